"""Crops in torch's DataLoader: real images, workers, processes, Accelerate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskstat.arrays.crop_dataset import CropDataset
from maskstat.crops.sampler import CropSampler
from maskstat.errors import ParameterError
from maskstat.values.crop_draws import CropDraws
from tests.support.crop_cases import blob_index, blobs, camvid_index
from tests.support.equal_cost_cases import camvid_masks

torch = pytest.importorskip("torch")
from torch.utils.data import (  # noqa: E402
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    Subset,
)

from maskstat.torch.crops import crop_sampler  # noqa: E402

FIRST = 12


class CamVid(Dataset):
    """Images as tensors (3, H, W), as large as their masks (H, W), in which void is 255."""

    def __init__(self, folder: Path):
        self.images = sorted((folder / "train" / "images").glob("*"))[:FIRST]
        self.folder = folder

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int):
        with Image.open(self.images[item]) as image:
            larger = np.asarray(image.convert("RGB").resize((480, 360)))
        pixels = torch.from_numpy(larger.copy()).permute(2, 0, 1)
        mask = camvid_masks(self.folder)[item].copy()
        mask[mask == 11] = 255
        return pixels, torch.from_numpy(mask).long()


class Blobs(Dataset):
    names = tuple(f"b{k}.png" for k in range(6))

    def __len__(self) -> int:
        return 6

    def __getitem__(self, item: int):
        return np.full_like(blobs()[item], item), blobs()[item]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("crop", [96, (400, 500)])
def test_real_images_and_masks_come_cut_alike(camvid: Path, workers: int, crop) -> None:
    data, index = CamVid(camvid), camvid_index(camvid, FIRST)
    if not data.images:
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/images")
    draws = CropDraws(classes="uniform", chance=0.25)
    sampler = crop_sampler(index, data, crop, draws, samples=16, seed=3)
    loader = DataLoader(CropDataset(data), batch_size=8, sampler=sampler, num_workers=workers)
    wanted = crop_sampler(index, data, crop, draws, samples=16, seed=3)
    classes = wanted.draw(0, 0, 16).classes
    sides = (crop, crop) if isinstance(crop, int) else crop
    batches = list(loader)
    images, masks = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert len(loader) == 2 and images.shape == (16, 3, *sides) and masks.shape == (16, *sides)
    for number, draw in enumerate(wanted):
        image, mask = data[draw.item]
        inside = (draw.box.rows, draw.box.columns)
        rows, columns = mask[inside].shape
        assert torch.equal(masks[number, :rows, :columns], mask[inside])
        assert torch.equal(images[number, :, :rows, :columns], image[(slice(None), *inside)])
        assert (masks[number, rows:] == 255).all() and (masks[number, :, columns:] == 255).all()
        assert not images[number, :, rows:].any() and not images[number, :, :, columns:].any()
        assert classes[number] < 0 or (masks[number] == classes[number]).any()


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_an_epoch(processes: int) -> None:
    index, data = blob_index(), Blobs()
    alone = list(CropSampler(index, 8, samples=30, seed=1))
    parts = [
        crop_sampler(index, data, 8, samples=30, seed=1, rank=rank, world_size=processes)
        for rank in range(processes)
    ]
    assert all(isinstance(part, DistributedSampler) for part in parts)
    drawn = [list(part) for part in parts]
    assert [draw for draws in zip(*drawn, strict=True) for draw in draws] == alone
    for part in parts:
        part.set_epoch(0)
    assert [list(part) for part in parts] == drawn
    assert all(part.epoch == 1 for part in parts)


def test_what_accelerate_divides_is_not_divided_already() -> None:
    import types

    module = types.ModuleType("accelerate.data_loader")
    exec("def shard(batches, rank):\n    return list(batches)[rank::2]", module.__dict__)
    index, data = blob_index(), Blobs()

    def seen(samplers):
        from torch.utils.data import BatchSampler

        return [
            draw
            for rank, sampler in enumerate(samplers)
            for batch in module.shard(BatchSampler(sampler, 3, drop_last=False), rank)
            for draw in batch
        ]

    whole = [crop_sampler(index, data, 8, rank=0, world_size=1, samples=24) for _ in range(2)]
    assert Counter(seen(whole)) == Counter(CropSampler(index, 8, samples=24))
    with pytest.raises(ParameterError, match=r"crop_sampler\(..., rank=0, world_size=1\)"):
        seen([crop_sampler(index, data, 8, rank=rank, world_size=2) for rank in range(2)])


def test_only_masks_of_the_data_set_are_drawn() -> None:
    """Chances are those of the part, and items are numbered as there."""
    index, data = blob_index(), Blobs()
    part = Subset(data, [5, 0, 1])
    sampler = crop_sampler(index, CropDataset(part), 8, "uniform", samples=500)
    crops = CropDataset(part)
    assert {int(crops[draw][0].flat[0]) for draw in sampler} == {0, 1, 5}
    assert set(sampler.draw(0, 0, 500).classes.tolist()) == {0, 1, 2}  # 3 is in mask 4 alone
    both = ConcatDataset([part, Subset(data, [4])])
    drawn = crop_sampler(index, both, 8, (0, 0, 0, 1.0), samples=5)
    assert {item for item, _ in drawn} == {3}


def test_names_are_asked_for_and_matched() -> None:
    index, items = blob_index(), [(mask, mask) for mask in blobs()]
    with pytest.raises(ParameterError, match="does not list names"):
        crop_sampler(index, items, 8)
    named = crop_sampler(index, items, 8, names=index.names, samples=9)
    assert list(named) == list(CropSampler(index, 8, samples=9))
    images = [f"/data/b{k}_image.jpg" for k in range(6)]
    keyed = crop_sampler(
        index, items, 8, names=images, key=lambda name: name.replace("_image", ""), samples=9
    )
    assert list(keyed) == list(CropSampler(index, 8, samples=9))
    with pytest.raises(ParameterError, match="fit no mask"):
        crop_sampler(index, items, 8, names=images)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"rank": 0}, "go together"), ({"rank": 2, "world_size": 2}, "no rank 2 among 2")],
)
def test_what_makes_no_sense_is_refused(options, said) -> None:
    with pytest.raises(ParameterError, match=said):
        crop_sampler(blob_index(), Blobs(), 8, **options)
