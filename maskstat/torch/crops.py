"""A sampler of crops for torch.utils.data.DataLoader, on one process or many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from numpy.typing import ArrayLike
from torch.utils.data import DistributedSampler

from maskstat.crops.class_index import ClassIndex
from maskstat.crops.sampler import CropDraw, CropSampler
from maskstat.torch.data import process_of, refuse_second_division, rows_of_items
from maskstat.values.crop_draws import ClassLaw, CropDraws


class LoaderCropSampler(CropSampler, DistributedSampler[CropDraw]):
    """A `maskstat.CropSampler` for items of a data set; made by `crop_sampler`.

    It is a torch DistributedSampler, so Lightning leaves it alone, and as `MaskSampler` it refuses
    to be divided a second time by Accelerate.
    """

    def __init__(self, dataset: Any, index: ClassIndex, *law: Any, **options: Any):
        CropSampler.__init__(self, index, *law, **options)
        # What DistributedSampler's own __init__ does, which would also count draws its own way.
        self.dataset, self.num_replicas = dataset, self.world_size
        self.shuffle, self.drop_last = True, False

    def __iter__(self) -> Iterator[CropDraw]:
        refuse_second_division(self.world_size, "crop_sampler")
        yield from super().__iter__()


def crop_sampler(
    index: ClassIndex,
    dataset: Any,
    crop: int | tuple[int, int],
    draws: CropDraws | ClassLaw | ArrayLike = "rare",
    *,
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    key: Callable[[str], str] | None = None,
    samples: int | None = None,
    seed: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
) -> LoaderCropSampler:
    """A sampler for torch.utils.data.DataLoader that asks a `CropDataset` for crops.

    Chances are those of the masks that the data set has, whatever else the index holds.

    Args:
        index: of masks, among them all of the data set.
        dataset: whose items are drawn, wrapped or not; its names are looked for as by `sampler`.
        crop: the side in pixels, or (height, width).
        draws: the law, or its `classes`: "rare", "uniform", K numbers or a WeightTable.
        names: name or path of every item in order, where the data set does not say.
        key: from an item's name to its mask's, where names do not show it.
        samples: draws an epoch; as many as there are items where None.
        seed: what the draws depend on, beside the epoch.
        rank: this process, `world_size`: how many there are; as for `sampler`.

    Raises:
        ParameterError: names that fit no mask or several, or as `maskstat.CropSampler`.
    """
    rank, world_size = process_of(rank, world_size)
    items = rows_of_items(dataset, index.names, names, key)
    return LoaderCropSampler(
        dataset,
        index,
        crop,
        draws,
        items=items,
        samples=samples,
        seed=seed,
        rank=rank,
        world_size=world_size,
    )
