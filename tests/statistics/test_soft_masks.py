"""Soft and resized masks are told from masks of many classes and from ids of instances."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from maskstat.errors import spelled
from maskstat.statistics.soft_masks import SoftMasks, find_soft_masks
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.loops import at_least_one
from tests.support.paths import CAMVID, SHARED

Mask = NDArray[np.integer]
GREY = Encoding("png", "grey", 8)


def found(masks: Sequence[Mask], encoding: Encoding = GREY, **options: object) -> SoftMasks | None:
    table = TallyTable.of(
        MaskTally.of_pixels(f"{at}.png", mask, encoding) for at, mask in enumerate(masks)
    )
    return find_soft_masks(lambda: [table], **options)  # type: ignore[arg-type]


def shapes(values: Sequence[int], side: int, seed: int) -> NDArray[np.uint8]:
    """A background of the first value, and a disc of each of the others."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    mask = np.full((side, side), values[0], np.uint8)
    for value in values[1:]:
        centre = rng.integers(side // 4, 3 * side // 4, 2)
        radius = rng.integers(side // 6, side // 4)
        mask[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = value
    return mask


def resized(mask: NDArray[np.uint8], side: int, how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(mask).resize((side, side), how))


@settings(max_examples=60, deadline=None)
@given(
    values=st.sampled_from(
        [(0, 255), (255, 0), (0, 200), (0, 85, 170, 255), (0, 60, 120, 180), (10, 100, 250)]
    ),
    sides=st.tuples(st.integers(64, 200), st.integers(100, 300)).filter(
        lambda sides: abs(sides[1] / sides[0] - 1) > 0.05
    ),
    seed=st.integers(0, 1 << 20),
)
def test_the_same_masks_resized_bilinearly_are_soft_and_by_nearest_neighbour_are_not(
    values: tuple[int, ...], sides: tuple[int, int], seed: int
) -> None:
    masks = [shapes(values, sides[0], seed + at) for at in range(4)]
    nearest = [resized(mask, sides[1], Image.Resampling.NEAREST) for mask in masks]
    assert found(masks) is found(nearest) is None
    soft = found([resized(mask, sides[1], Image.Resampling.BILINEAR) for mask in masks])
    assert soft is not None
    assert set(soft.peaks) <= set(values)
    assert {soft.lowest, soft.highest} == {min(values), max(values)}


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(2, 256),
    step=st.integers(1, 5),
    cell=st.integers(8, 12),
    seed=st.integers(0, 1 << 20),
)
def test_no_set_of_classes_is_soft(classes: int, step: int, cell: int, seed: int) -> None:
    """A third of each mask is of one class, a third of another; the rest of any, in cells."""
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(3):
        some = rng.permutation(classes)[: min(classes, 60)]
        labels = rng.choice(some, (15, 15))
        labels[:5], labels[5:10] = some[0], some[-1]
        masks.append(np.kron(labels * step, np.ones((cell, cell), np.int64)))
    encoding = GREY if classes * step <= 256 else GREY._replace(bits=16)
    assert found(masks, encoding) is None


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 300) | st.integers(1, 5000),
    first=st.sampled_from([1, 1000, 26000]),
    seed=st.integers(0, 1 << 20),
)
def test_no_ids_of_instances_are_soft(count: int, first: int, seed: int) -> None:
    """Cells on a background, of sizes that differ by a factor of a hundred."""
    rng = np.random.default_rng(seed)
    tables = []
    for at in range(3):
        sizes = np.maximum(1, rng.lognormal(4, 0.8, count)).astype(np.int64)
        counts = np.append(max(1, 4_000_000 - sizes.sum()), sizes)
        values = np.append(0, first + np.arange(count))
        shape = (1, int(counts.sum()))
        bits = GREY if values[-1] < 250 else GREY._replace(bits=16)
        tables.append(TallyTable.of([MaskTally(f"{at}", shape, bits, values, counts)]))
    assert find_soft_masks(lambda: tables) is None


@pytest.mark.skipif(not CAMVID.is_dir(), reason="real masks are absent: ../shared")
def test_real_masks_are_not_soft_before_they_are_resized() -> None:
    paths = sorted((CAMVID / "train" / "masks").iterdir())[:40]
    masks = [np.asarray(Image.open(path)) for path in at_least_one(paths)]
    assert found(masks) is None
    spread = [(mask * 8).astype(np.uint8) for mask in masks]
    assert found(spread) is None
    soft = found([resized(mask, 200, Image.Resampling.BILINEAR) for mask in spread])
    assert soft is not None and soft.masks == len(masks)


@pytest.mark.skipif(not SHARED.is_dir(), reason="real masks are absent: ../shared")
def test_the_case_of_soft_masks() -> None:
    paths = sorted((SHARED / "cases" / "soft-binary" / "png").iterdir())
    soft = found([np.asarray(Image.open(path)) for path in paths])
    assert soft == SoftMasks(2, "0.png", 2, 175, 0, 255, (0, 255))


def test_smooth_blurred_lossy_and_probable_masks_are_soft() -> None:
    crisp = [shapes((0, 255), 256, seed) for seed in range(3)]
    lossy = []
    for mask in crisp:
        stream = io.BytesIO()
        Image.fromarray(mask).save(stream, "JPEG", quality=75)
        lossy.append(np.asarray(Image.open(stream)))
    y, x = np.mgrid[:256, :256]
    probable = [255 / (1 + np.exp((np.hypot(y - 90, x - 80 - s) - 60) / 4)) for s in range(3)]
    ramp = [np.broadcast_to(np.arange(256), (64, 256))]
    for masks in (lossy, [p.astype(np.uint8) for p in probable], ramp):
        soft = found(masks)
        assert soft is not None and soft.masks == len(masks)
        assert soft.ranges == ((0, 127), (128, 255))


def test_sixteen_bits_are_soft_as_well() -> None:
    masks = [shapes((0, 255), 100, seed) for seed in range(3)]
    soft = [resized(m, 317, Image.Resampling.BILINEAR).astype(np.int64) * 257 for m in masks]
    answer = found(soft, GREY._replace(bits=16))
    assert answer is not None and answer.peaks == (0, 65535)
    assert answer.ranges == ((0, 32767), (32768, 65535))


def test_a_few_soft_masks_among_many_of_classes_are_found() -> None:
    """They would make most of the classes; the others explain theirs."""
    clean = [np.kron(np.arange(12).reshape(3, 4), np.ones((9, 9), np.int64)) for _ in range(90)]
    soft = [
        resized(shapes((0, 255), 64, seed), 100, Image.Resampling.BILINEAR) for seed in range(3)
    ]
    assert found(clean) is None
    answer = found([*clean, *soft])
    assert answer is not None and (answer.masks, answer.of) == (3, 93)


def test_ignored_values_and_nodata_are_not_looked_at() -> None:
    mask = resized(shapes((0, 255), 64, 1), 100, Image.Resampling.BILINEAR)
    assert found([mask], ignored=range(1, 255)) is None
    assert found([mask], GREY._replace(nodata=255)) is None
    assert found([np.zeros((0, 4), np.uint8)]) is None


def test_what_is_said_fits_the_masks() -> None:
    two = SoftMasks(3, "a.png", 4, 99, 0, 255, (0, 200))
    assert two.ranges == ((0, 100), (101, 255))
    assert spelled(two.problem) == (
        "3 of 4 masks (first a.png) look soft, or resized by interpolation: 99 different values lie"
        " between 0 and 200"
    )
    assert "'values: [0-100]' and 'values: [101-255]'" in spelled(two.remedy)
    assert "nearest neighbour" in two.remedy and "draft=FILE.yaml" in spelled(two.remedy)
    many = SoftMasks(3, "a.png", 4, 99, 0, 255, (0, 85, 255))
    assert "the values 0, 85 and 255, where unlisted='ignore'" in spelled(many.remedy)
    assert "draft" not in many.remedy
    assert SoftMasks.from_dict(many.to_dict()) == many
    none = SoftMasks(3, "a.png", 4, 99, -4, 700, ())
    assert none.ranges == ((-4, 348), (349, 700))


@given(st.lists(st.integers(0, 300), min_size=0, max_size=5, unique=True))
def test_however_many_values_stand_out_there_is_something_to_say(peaks: list[int]) -> None:
    """One that stands out alone is no two classes: the threshold is half-way between all values."""
    soft = SoftMasks(3, "a.png", 4, 60, 0, 300, tuple(sorted(peaks)))
    (low, middle), (after, high) = soft.ranges
    assert low <= middle < after <= high and after == middle + 1
    if len(peaks) < 2:
        assert middle == 150
    assert soft.problem and soft.remedy and soft.record()["threshold"]
    assert ("standing_out" in soft.record()) is (len(peaks) > 1)
