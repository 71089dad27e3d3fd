"""Samplers that draw masks with the weights of `maskstat sampling`, on one process or many."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import distributed
from torch.utils.data import ConcatDataset, DistributedSampler, Subset

from maskstat.arrays.crop_dataset import CropDataset
from maskstat.errors import ParameterError
from maskstat.naming import printable
from maskstat.parameters import check_word, several
from maskstat.sampling.matching import match_names
from maskstat.sampling.methods import UNITS, Unit
from maskstat.sampling.table import SamplingTable, load_sampling
from maskstat.values.tally import IntArray

FloatArray = npt.NDArray[np.float64]

NAME_ATTRIBUTES = (
    "mask_paths",
    "masks",
    "names",
    "image_paths",
    "images",
    "paths",
    "files",
    "filenames",
)
"""Attributes of a data set that may list a name or path of every item, in order of preference."""

LONGEST_EPOCH = 1 << 27
"""Draws an epoch may have at most; a file that asks for more is taken for broken."""

_ONE = 1 << 32  # fractions of repeats in fixed point, so that they add up exactly


class MaskSampler(DistributedSampler[int]):
    """Draws items of a data set by weight; made by `sampler`.

    It is a torch DistributedSampler, so Lightning leaves it alone. Every process computes the same
    epoch from the seed and the epoch's number, and takes every `num_replicas`-th draw of it; all
    get equally many. A pass that comes to its end moves on to the next epoch, and `set_epoch` to
    any; a look at a first batch moves nothing. Where processes may look differently often, call
    `set_epoch` before each pass, as for every DistributedSampler.

    Accelerate, and with it the Trainer of transformers, gives each process its part of what a
    sampler draws. One that has done so already is refused there: `rank=0, world_size=1` makes one
    that draws all of the epoch.

    Attributes:
        num_samples: draws of this process in an epoch.
        total_size: draws of all processes together.
    """

    def __init__(
        self,
        dataset: Any,
        weights: FloatArray,
        unit: Unit,
        *,
        samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        if not 0 <= rank < world_size:
            raise ParameterError(f"there is no rank {rank} among {world_size} processes")
        if seed < 0:
            raise ParameterError(f"a seed is a whole number of at least 0, not {seed}")
        super().__init__(dataset, num_replicas=world_size, rank=rank, seed=seed)
        self.unit: Unit = check_word(unit, UNITS, parameter="unit")
        if unit == "repeat factor":
            wanted = self._prepare_repeats(weights, samples)
        else:
            wanted = self._prepare_draws(weights, samples)
        self.num_samples = math.ceil(wanted / world_size)
        self.total_size = self.num_samples * world_size

    def _prepare_repeats(self, factors: FloatArray, samples: int | None) -> int:
        if samples is not None:
            raise ParameterError("samples= goes with probabilities; repeat factors say how many")
        if (factors < 1).any():
            raise ParameterError("a repeat factor is at least 1")
        if factors.max() > LONGEST_EPOCH or factors.sum() > LONGEST_EPOCH:
            raise ParameterError(f"the repeat factors ask for more than {LONGEST_EPOCH:,} draws")
        whole = np.floor(factors)
        fractions = np.rint((factors - whole) * _ONE).astype(np.int64)
        self._whole = whole.astype(np.int64) + fractions // _ONE
        self._fractions = fractions % _ONE
        # Every fraction was rounded, by half a unit at most; that alone makes no further draw.
        rest = int(self._fractions.sum()) - self._fractions.size
        return int(self._whole.sum()) - -rest // _ONE

    def _prepare_draws(self, weights: FloatArray, samples: int | None) -> int:
        if not weights.max(initial=0.0) > 0:
            raise ParameterError("every item of the data set has the weight 0")
        if samples is not None and not 1 <= samples <= LONGEST_EPOCH:
            raise ParameterError(f"samples must be from 1 to {LONGEST_EPOCH:,}, not {samples}")
        sums = np.cumsum(weights / weights.max())
        self._shares = sums / sums[-1]
        return len(weights) if samples is None else samples

    def epoch_order(self, epoch: int) -> IntArray:
        """int64[total_size], the items that all processes together draw, in order."""
        random = np.random.default_rng([self.seed, epoch])
        if self.unit != "repeat factor":
            draws = random.random(self.total_size)
            return np.searchsorted(self._shares, draws, side="right").astype(np.int64)
        # Systematic sampling: every fraction is the chance of one more repeat, and the sum of all
        # repeats differs by less than one between epochs.
        items = _permutation(random, self._whole.size)
        sums = np.cumsum(self._fractions[items]) + int(random.integers(_ONE))
        extra = np.diff(sums // _ONE, prepend=0)
        order = np.repeat(items, self._whole[items] + extra)
        return np.resize(order[_permutation(random, order.size)], self.total_size)

    def __iter__(self) -> Iterator[int]:
        refuse_second_division(self.num_replicas, "sampler")
        epoch = self.epoch
        yield from self.epoch_order(epoch)[self.rank :: self.num_replicas].tolist()
        if self.epoch == epoch:
            self.epoch += 1

    def __len__(self) -> int:
        return self.num_samples


def sampler(
    source: str | Path | SamplingTable,
    dataset: Any,
    *,
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    key: Callable[[str], str] | None = None,
    samples: int | None = None,
    seed: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
) -> MaskSampler:
    """A sampler for torch.utils.data.DataLoader from the weights of `maskstat sampling`.

    Probabilities are drawn with replacement, as WeightedRandomSampler draws. Repeat factors repeat
    each item floor(r) times and once more with the chance of the fraction, newly every epoch
    (Gupta et al. 2019, LVIS); the epoch is shuffled and always has ceil(sum of r) items, rounded
    up to a multiple of the processes.

    Args:
        source: a file that `maskstat sampling -o` wrote, or a table. A file of numbers alone
            (.npy) must be in the order of the data set.
        dataset: whose items are drawn. Its names are looked for in `NAME_ATTRIBUTES`; those of a
            Subset or ConcatDataset come from what is inside. A list of paths names itself.
        names: name or path of every item in order, where the data set does not say.
        key: from an item's name to its mask's, where `match_names` can't see it.
        samples: draws an epoch; as many as there are items where None. Only for probabilities.
        seed: what the order depends on, beside the epoch.
        rank: this process, `world_size`: how many there are; torch.distributed's where it is
            initialised, else one. 0 and 1 for Accelerate and the Trainer of transformers, which
            divide what is drawn among processes themselves.

    Raises:
        FileFormatError: the file holds no sampling weights.
        ParameterError: names that fit no mask or several, or options that make no sense.
    """
    table = source if isinstance(source, SamplingTable) else load_sampling(source)
    where = None if isinstance(source, SamplingTable) else printable(str(source))
    rank, world_size = process_of(rank, world_size)
    try:
        weights = table.weights[_rows(table, dataset, names, key)]
        return MaskSampler(
            dataset,
            weights,
            _unit(table),
            samples=samples,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
    except ParameterError as error:
        raise ParameterError(
            error.problem, where=where, remedy=error.remedy, parameter=error.parameter
        ) from error


def process_of(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """This process and how many there are: those given, torch.distributed's, or one alone."""
    if rank is None and world_size is None:
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1
    if rank is None or world_size is None:
        raise ParameterError("rank and world_size go together")
    return rank, world_size


def refuse_second_division(world_size: int, function: str) -> None:
    """Raise ParameterError where Accelerate asks a sampler for draws that has divided them.

    Args:
        world_size: processes that it divides them among.
        function: what it was made by.
    """
    if world_size > 1 and _asked_by_accelerate():
        raise ParameterError(
            f"Accelerate divides an epoch among processes, and this sampler has kept 1 of"
            f" {world_size} parts already",
            remedy=f"make it with {function}(..., rank=0, world_size=1)",
        )


def _asked_by_accelerate() -> bool:
    """Whether a loader that Accelerate prepared for several processes is asking for draws.

    Its shards take batches of another sampler and have no hook, so who calls says it.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "accelerate.data_loader":
            return True
    return False


def item_names(dataset: Any) -> list[str] | None:
    """The name of every item, where the data set lists them; see `sampler`."""
    if isinstance(dataset, CropDataset):
        return item_names(dataset.dataset)
    if isinstance(dataset, Subset):
        inner = item_names(dataset.dataset)
        return None if inner is None else [inner[index] for index in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [item_names(part) for part in dataset.datasets]
        return None if None in parts else [name for part in parts for name in part or []]
    for found in (dataset, *(getattr(dataset, name, None) for name in NAME_ATTRIBUTES)):
        if (
            isinstance(found, (list, tuple))
            and len(found) == len(dataset)
            and all(isinstance(name, (str, os.PathLike)) for name in found)
        ):
            return [str(os.fspath(name)) for name in found]
    return None


def _rows(
    table: SamplingTable,
    dataset: Any,
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
    key: Callable[[str], str] | None,
) -> IntArray:
    """The row of the table of every item."""
    items = len(dataset)
    if not items:
        raise ParameterError("the data set is empty")
    if table.names == tuple(map(str, range(len(table)))):  # numbers alone
        if items != len(table):
            raise ParameterError(
                f"holds {len(table)} weights without names, the data set has {items} items",
                remedy="use the full layout of .csv or .json, which names the masks",
            )
        return np.arange(items)
    return rows_of_items(dataset, table.names, names, key)


def rows_of_items(
    dataset: Any,
    masks: Sequence[str],
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
    key: Callable[[str], str] | None,
) -> IntArray:
    """Which of these masks the mask of every item is, by name. Raises ParameterError."""
    items = len(dataset)
    known = (
        item_names(dataset) if names is None else [str(os.fspath(name)) for name in several(names)]
    )
    if known is None:
        raise ParameterError(
            "the data set does not list names of its items",
            remedy=f"give names=, one an item, or let it have one of {', '.join(NAME_ATTRIBUTES)}",
        )
    if len(known) != items:
        raise ParameterError(f"there are {len(known)} names for {items} items")
    return match_names(known if key is None else [key(name) for name in known], masks)


def _unit(table: SamplingTable) -> Unit:
    """What the weights are; files of numbers alone do not say, but the two never look alike."""
    for unit in UNITS:
        if table.unit == unit:
            return unit
    if math.isclose(float(table.weights.sum()), 1.0, rel_tol=1e-6):
        return "probability"
    if (table.weights >= 1).all():
        return "repeat factor"
    raise ParameterError(
        "the weights are neither probabilities, which sum to 1, nor repeat factors, at least 1",
        remedy="use the full layout of .csv or .json, which says what they are",
    )


def _permutation(random: np.random.Generator, size: int) -> IntArray:
    """A random order that depends on nothing but the generator's plain stream of numbers."""
    return np.argsort(random.random(size), kind="stable")
