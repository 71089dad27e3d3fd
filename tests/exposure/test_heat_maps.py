"""Shares from heat maps: the exact ones are within the bound, and equal where cells are pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import maskstat as ms
from maskstat.errors import ExposureError, ParameterError, ProfileError
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.heat_maps import approximate
from maskstat.exposure.mask_exposure import expose
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Rescaling
from maskstat.kernels.label_runs import runs_of
from maskstat.regions.profile import PixelProfile
from maskstat.regions.profile_sums import ProfileSum
from maskstat.values.catalog import ClassCatalog
from tests.support.regions import add_mask
from tests.support.scan_cases import grey_png, write

K = 4
CATALOG = ClassCatalog.numbered(K)
Image = NDArray[np.uint8]


@st.composite
def folders(draw: st.DrawFn) -> list[Image]:
    """A few blocky masks of one size, of some classes and 255."""
    height, width, step = (draw(st.integers(1, most)) for most in (30, 30, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    images = []
    for _ in range(draw(st.integers(1, 4))):
        small = rng.integers(0, K + 1, (height // step + 1, width // step + 1)).astype(np.uint8)
        small[small == K] = 255
        images.append(np.kron(small, np.ones((step, step), np.uint8))[:height, :width].copy())
    return images


scales = st.none() | st.builds(
    lambda low, more, nearest: Rescaling(ratios=(low, low + more), nearest=nearest),
    st.floats(0.3, 2),
    st.floats(0, 2),
    st.sampled_from(["floor", "centred"]),
)
recipes = st.builds(
    lambda crop, scale, padding: Recipe(crop, scale, padding if crop else None),
    st.none() | st.tuples(st.integers(1, 35), st.integers(1, 35)),
    scales,
    st.none() | st.integers(0, K - 1),
)


def profile_of(images: list[Image], grid: int) -> PixelProfile:
    total = ProfileSum(CATALOG, grid)
    for number, image in enumerate(images):
        values = np.unique(image).astype(np.int64)
        labels = np.where(values < K, values, K)
        add_mask(total, f"{number}", image, (values, labels))
    total.settle()
    return total.profile()


def exact(images: list[Image], recipe: Recipe) -> ExposureCounts:
    parts: list[tuple[str, Any]] = []
    for number, image in enumerate(images):
        values = np.unique(image).astype(np.int64)
        runs = runs_of(image, values, np.where(values < K, values, -1))
        parts.append((f"{number}", expose(*runs, recipe, name=f"{number}", crops=1)))
    return ExposureCounts.of(recipe, CATALOG, parts)


@given(folders(), recipes, st.integers(1, 40))
def test_exact_shares_are_within_the_bound(images: list[Image], recipe: Recipe, grid: int) -> None:
    right = exact(images, recipe)
    if not right.expected_pixels.any():
        return
    found = approximate(profile_of(images, grid), recipe, images[0].shape)
    assert (found.lowest <= right.frequency).all() and (right.frequency <= found.highest).all()
    assert (found.lowest <= found.frequency).all() and (found.frequency <= found.highest).all()
    height, width = images[0].shape
    if grid % height == 0 and grid % width == 0:
        np.testing.assert_allclose(found.frequency, right.frequency, atol=1e-4)


@given(folders(), recipes)
def test_cells_of_a_pixel_or_less_know_all(images: list[Image], recipe: Recipe) -> None:
    side = min(6, *images[0].shape)
    images = [image[:side, :side].copy() for image in images]
    right = exact(images, recipe)
    if right.expected_pixels.sum() < 1:
        return
    found = approximate(profile_of(images, 2 * side), recipe, (side, side))
    np.testing.assert_allclose(found.frequency, right.frequency, rtol=0, atol=1e-5)
    assert (found.highest - found.lowest <= 1e-4).all()


def test_what_heat_maps_cannot_tell(tmp_path: Path) -> None:
    write(tmp_path / "m" / "a.png", grey_png([[0, 1, 1], [0, 0, 1]]))
    with ms.scan(tmp_path / "m", classes=2) as scan, pytest.raises(ProfileError):
        scan.approximate_exposure(crop=2)
    with ms.scan(tmp_path / "m", classes=2, profile=True) as scan:
        found = scan.approximate_exposure(crop=2)
        assert found.frequency == pytest.approx([0.5, 0.5])
        assert found.frequency == pytest.approx(scan.exposure(crop=2).frequency)
        with pytest.raises(ParameterError, match="refused"):
            scan.approximate_exposure(crop=2, cat_max_ratio=0.75)
        with pytest.raises(ParameterError, match="padding: 2 is the index of no class"):
            scan.approximate_exposure({"crop": 9, "padding": 2})
        with pytest.raises(ParameterError, match="padding: 2 is the index of no class"):
            scan.exposure({"crop": 9, "padding": 2})
    write(tmp_path / "m" / "b.png", grey_png([[0, 1]]))
    with (
        ms.scan(tmp_path / "m", classes=2, profile=True) as scan,
        pytest.raises(ExposureError, match=r"masks have 2 sizes.*Scan\.exposure\(crop=2\)"),
    ):
        scan.approximate_exposure(crop=2)
