"""CamVid's training masks under crops, against figures of two programs that are not this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import maskstat
from maskstat.crops.class_index import ClassIndex
from maskstat.crops.sampler import CropSampler
from maskstat.exposure.recipe import Recipe
from maskstat.naming import percent
from tests.support.equal_cost_cases import CAMVID_NAMES
from tests.support.paths import CAMVID, ROOT

MASKS = CAMVID / "train" / "masks"

SHOWN = ("Sky", "Building", "Pole", "Pavement", "Fence", "Car", "Pedestrian", "Bicyclist")

# What weights 1/share gain by the crop, in percent.
GAINS = {
    321: (-10.8, 12.7, -6.5, 23.5, 22.5, -1.6, -4.5, -0.9),
    256: (-1.5, 6.8, -17.7, 14.2, 4.5, -19.8, -20.5, -19.3),
    128: (17.4, -5.2, -24.4, -0.1, -14.9, -26.3, -31.8, -24.1),
}


@pytest.fixture(scope="module")
def scan() -> Iterator[maskstat.Scan]:
    if not MASKS.is_dir():
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/masks")
    with maskstat.scan(MASKS, classes=list(CAMVID_NAMES), ignore=[11]) as scan:
        yield scan


def by_pixels(side: int) -> NDArray[np.float64]:
    """Expected pixels of the classes: every pixel as often as crops of this side have it."""

    def seen(length: int) -> NDArray[np.int64]:
        at = np.arange(length)
        return np.minimum(at, length - side) - np.maximum(0, at - side + 1) + 1

    cover = np.outer(seen(360), seen(480)).ravel()  # sums of it are below 2^53
    masks = (np.asarray(Image.open(path)).ravel() for path in sorted(MASKS.iterdir()))
    total = sum(np.bincount(mask, cover, 12)[:11] for mask in masks)
    return np.asarray(total / ((360 - side + 1) * (480 - side + 1)))


@pytest.mark.parametrize("side", GAINS)
def test_weights_of_crops_against_those_of_the_folder(scan: maskstat.Scan, side: int) -> None:
    seen = scan.exposure(Recipe((side, side)), crops=1)
    assert np.allclose(by_pixels(side), seen.counts.expected_pixels, rtol=0, atol=367 / 2**21)
    gain = 100 * (scan.histogram.frequency / seen.frequency - 1)
    shown = [CAMVID_NAMES.index(name) for name in SHOWN]
    assert gain[shown].round(1).tolist() == list(GAINS[side])


def test_the_page_has_these_figures() -> None:
    page = (ROOT / "docs" / "exposure.md").read_text(encoding="utf-8")
    assert f"| crop | {' | '.join(SHOWN)} |" in page
    for side, gains in GAINS.items():
        assert f"| {side}² | {' | '.join(f'{gain:+.1f}' for gain in gains)} |" in page


def test_presence_and_pedestrians_in_crops_of_128(scan: maskstat.Scan) -> None:
    seen = scan.exposure(Recipe((128, 128)), crops=1, presence=True)
    bicyclist, pedestrian = CAMVID_NAMES.index("Bicyclist"), CAMVID_NAMES.index("Pedestrian")
    assert round(100 * float(seen.in_crops[bicyclist]), 2) == 14.63
    histogram = scan.histogram
    assert round(100 * histogram.masks[bicyclist] / histogram.mask_count, 1) == 54.8
    times = seen.frequency[pedestrian] / histogram.frequency[pedestrian]
    assert round(float(times), 2) == 1.47


def test_refusal_in_crops_of_128_and_256(scan: maskstat.Scan) -> None:
    """What refusal from 0.75 on changes of weights 1/share, in percent."""
    small, refused = (
        scan.exposure(Recipe((128, 128), cat_max_ratio=ratio), crops=1).frequency
        for ratio in (1.0, 0.75)
    )
    change = 100 * (small / refused - 1)
    by_name = dict(zip(CAMVID_NAMES, change.round().tolist(), strict=True))
    assert (by_name["Road"], by_name["Sky"], by_name["Building"]) == (31, -7, 3)
    others = np.delete(change, [CAMVID_NAMES.index(n) for n in ("Road", "Sky", "Building")])
    assert -26.5 < others.min() < -25.5
    assert -13.5 < others.max() < -12.5
    large, refused = (
        scan.exposure(Recipe((256, 256), cat_max_ratio=ratio), crops=1).frequency
        for ratio in (1.0, 0.75)
    )
    assert round(float(np.abs(100 * (large / refused - 1)).max()), 1) <= 0.7


# Shares in crops of 64 x 64, and chances to be in a batch of 8, by how crops are drawn; in percent.
BY_CLASS: dict[str, dict[str, Any]] = {
    "anywhere": {},
    "`uniform`, 0.67 left to chance": {"draw": "uniform", "chance": 0.67},
    "`rare`": {"draw": "rare"},
}


def test_crops_that_are_drawn_by_class(scan: maskstat.Scan) -> None:
    """The rows of the page, and a sampler that draws what they say."""
    page = (ROOT / "docs" / "exposure.md").read_text(encoding="utf-8")
    for name, words in BY_CLASS.items():
        seen = scan.exposure(crop=64, **words, presence=True)
        found = {"shares": seen.frequency, "batches": seen.in_batches(8)}
        for what, values in found.items():
            cells = [percent(value).removesuffix("%") for value in values.tolist()]
            assert f"| {name}: {what} | {' | '.join(cells)} |\n" in page
    crops = (ROOT / "docs" / "crops.md").read_text(encoding="utf-8")
    for name in ("anywhere", "`rare`"):
        seen = scan.exposure(crop=128, **BY_CLASS[name], presence=True)
        for what, values in (("shares", seen.frequency), ("in crops", seen.in_crops)):
            cells = [percent(value).removesuffix("%") for value in values.tolist()]
            assert f"| {name}: {what} | {' | '.join(cells)} |\n" in crops
    seen = scan.exposure(crop=64, draw="rare", presence=True)
    images = [np.asarray(Image.open(path)) for path in sorted(MASKS.iterdir())]
    labels = [np.where(image < 11, image, 255) for image in images]
    index = ClassIndex.of_labels(map(str, range(len(labels))), labels, 11)
    rows = []
    for item, box in CropSampler(index, 64, "rare", samples=20_000, seed=1):
        part = images[item][box.top : box.top + 64, box.left : box.left + 64]
        rows.append(np.bincount(part.ravel(), minlength=12)[:11])
    counts = np.array(rows)
    error = counts.std(axis=0, ddof=1) / np.sqrt(len(counts))
    assert (np.abs(counts.mean(axis=0) - seen.counts.expected_pixels / 367) <= 4 * error).all()
    chance = seen.in_crops
    error = np.sqrt(chance * (1 - chance) / len(counts))
    assert (np.abs((counts > 0).mean(axis=0) - chance) <= 4 * error).all()
