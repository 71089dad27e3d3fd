"""Heat maps: nearness to key points and to the classes of a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.training.keypoint_heatmaps import gaussian_heatmap, mask_distance_heatmap

points_on_a_map = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), max_size=6)
SHAPE = (9, 13)


def bumps_by_hand(points: Any, shape: tuple[int, ...], sigma: float) -> Any:
    """One bump after another, the largest where they overlap."""
    heat = np.zeros(shape)
    for point in points:
        squares = sum((axis - p) ** 2 for axis, p in zip(np.indices(shape), point, strict=True))
        heat = np.maximum(heat, np.exp(-squares / (2 * sigma**2)))
    return heat


def cornernet(points: Any, shape: tuple[int, int], radius: int) -> Any:
    """As the authors' code draws it: windows of 2 radius + 1, sigma a sixth of that."""
    heat = np.zeros(shape)
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    bump = np.exp(-(x * x + y * y) / (2 * ((2 * radius + 1) / 6) ** 2))
    for row, column in points:
        top, bottom = min(row, radius), min(shape[0] - row, radius + 1)
        left, right = min(column, radius), min(shape[1] - column, radius + 1)
        window = heat[row - top : row + bottom, column - left : column + right]
        part = bump[radius - top : radius + bottom, radius - left : radius + right]
        np.maximum(window, part, out=window)
    return heat


@given(points_on_a_map, st.floats(0.3, 50))
def test_the_largest_bump_is_the_nearest_points(points: Any, sigma: float) -> None:
    heat = gaussian_heatmap(points, SHAPE, sigma=sigma)
    assert heat.dtype == np.float32 and heat.shape == SHAPE
    assert np.allclose(heat, bumps_by_hand(points, SHAPE, sigma), rtol=2e-6, atol=1e-30)
    assert set(map(tuple, np.argwhere(heat == 1))) == set(points)


@given(points_on_a_map, st.integers(0, 20))
def test_radius_is_cornernets(points: Any, radius: int) -> None:
    heat = gaussian_heatmap(points, SHAPE, radius=radius)
    assert np.allclose(heat, cornernet(points, SHAPE, radius), rtol=1e-6)
    assert set(map(tuple, np.argwhere(heat == 1))) == set(points)


def test_points_between_pixels_and_other_dimensions() -> None:
    heat = gaussian_heatmap([[1.5, 0.49], [-0.5, 3.2]], (4, 4), sigma=1)
    assert np.argwhere(heat == 1).tolist() == [[0, 3], [2, 0]]
    line = gaussian_heatmap([[2]], (5,), radius=1)
    assert line == pytest.approx([0, np.exp(-2), 1, np.exp(-2), 0])
    volume = gaussian_heatmap([[1, 2, 3]], (3, 4, 5), sigma=2)
    assert volume == pytest.approx(bumps_by_hand([(1, 2, 3)], (3, 4, 5), 2), rel=1e-6)
    assert not gaussian_heatmap([], (3, 3), sigma=1).any()


def test_very_wide_bumps_have_one_centre() -> None:
    heat = gaussian_heatmap([[4, 4]], SHAPE, sigma=1e6)
    assert (heat == 1).sum() == 1
    assert heat.min() > 0.999
    assert (gaussian_heatmap([[4, 4]], SHAPE, radius=10**6) == 1).sum() == 1


masks = st.integers(0, 10**6).map(lambda seed: np.random.default_rng(seed).integers(0, 5, (7, 8)))


@given(masks, st.floats(0.3, 20))
def test_every_class_is_near_to_its_pixels(mask: Any, sigma: float) -> None:
    mask = np.where(mask == 3, 0, mask)
    heat = mask_distance_heatmap(mask, 6, sigma)
    assert heat.shape == (6, 7, 8) and heat.dtype == np.float32
    for index in range(6):
        wanted = bumps_by_hand(np.argwhere(mask == index), mask.shape, sigma)
        assert np.allclose(heat[index], wanted, rtol=2e-6, atol=1e-30)
        assert np.array_equal(heat[index] == 1, mask == index)
    assert not heat[3].any() and not heat[5].any()


@given(masks)
def test_ignored_pixels_are_left_out(mask: Any) -> None:
    marked = np.where(mask == 4, 255, mask).astype(np.uint8)
    heat = mask_distance_heatmap(marked, 4, 2.0, ignore_index=255)
    assert (heat[:, mask == 4] == -1).all()
    whole = mask_distance_heatmap(mask, 5, 2.0)
    assert np.array_equal(heat[:, mask != 4], whole[:4, mask != 4])
    inside = mask_distance_heatmap(mask, 5, 2.0, ignore_index=4)
    assert np.array_equal(inside[:4], heat)
    assert (inside[4, mask != 4] == 0).all()


def test_class_axis_where_the_framework_wants_it() -> None:
    mask = np.arange(24).reshape(2, 3, 4) % 3
    first = mask_distance_heatmap(mask, 3, 1.0)
    last = mask_distance_heatmap(mask, 3, 1.0, axis=-1)
    assert first.shape == (3, 2, 3, 4) and last.shape == (2, 3, 4, 3)
    assert np.array_equal(np.moveaxis(first, 0, -1), last)
    assert last.flags.c_contiguous


@pytest.mark.parametrize(
    ("points", "shape", "options", "message"),
    [
        ([[1, 1]], (4, 4), {}, "either sigma or radius"),
        ([[1, 1]], (4, 4), {"sigma": 1, "radius": 1}, "either sigma or radius"),
        ([[1, 1]], (4, 4), {"sigma": 0}, "sigma is 0"),
        ([[1, 1]], (4, 4), {"sigma": float("nan")}, "sigma is nan"),
        ([[1, 1]], (4, 4), {"radius": -1}, "radius is -1"),
        ([[1, 1]], (4, 4), {"radius": 1.5}, "radius is 1.5"),
        ([[4, 1]], (4, 4), {"sigma": 1}, r"point \[4.0, 1.0\] is outside"),
        ([[-1, 1]], (4, 4), {"sigma": 1}, "outside"),
        ([[np.nan, 1]], (4, 4), {"sigma": 1}, "outside"),
        ([[1, 1, 1]], (4, 4), {"sigma": 1}, "do not fit a map of 2 axes"),
        ([1, 1], (4, 4), {"sigma": 1}, "do not fit"),
        ([[1, 1]], (4, 0), {"sigma": 1}, "no shape of a heat map"),
        ([[1, 1]], (10**6, 10**6), {"sigma": 1}, "no shape of a heat map"),
        ([], (), {"sigma": 1}, "no shape of a heat map"),
    ],
)
def test_key_points_refused(points: Any, shape: Any, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        gaussian_heatmap(points, shape, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.array([[0, 7]]), 3, 1.0), {}, "label 7 is none of the 3 classes"),
        ((np.array([[0, -1]]), 3, 1.0), {}, "label -1 is none"),
        ((np.array([[0.0, 1.0]]), 3, 1.0), {}, "not integers"),
        ((np.array([[0, 1]]), 3, -1.0), {}, "sigma is -1"),
        ((np.array([[0, 1]]), 0, 1.0), {}, "0 channels"),
        ((np.array([[0, 1]]), 2**31, 1.0), {}, "no heat map"),
        ((np.array([[0, 1]]), 3, 1.0), {"axis": 3}, "no axis 3"),
    ],
)
def test_masks_refused(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mask_distance_heatmap(*arguments, **options)
