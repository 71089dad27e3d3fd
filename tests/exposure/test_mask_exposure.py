"""What a recipe makes of one mask, against all crops of small masks."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from maskstat.exposure.mask_exposure import _fractions, expose, places_drawn
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Rescaling
from maskstat.exposure.units import CHANCE_BITS, UNIT_BITS, MaskExposure
from maskstat.kernels.crop_views import Nearest
from maskstat.kernels.crops import crop_counts, expected, places_with, refused_places
from maskstat.kernels.engine import current_engine
from maskstat.kernels.region_types import Runs

K = 5
Pixels = NDArray[np.uint8]


@st.composite
def masks(draw: st.DrawFn) -> Pixels:
    """Blocky masks with K classes and 255: of up to 40 x 40 pixels, or low and wide ones."""
    most_height, most_width, most_step = draw(st.sampled_from([(40, 40, 7), (6, 300, 90)]))
    height, width = draw(st.integers(1, most_height)), draw(st.integers(1, most_width))
    step = draw(st.integers(1, most_step))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    small = rng.integers(0, K + 1, (height // step + 1, width // step + 1)).astype(np.uint8)
    small[small == K] = 255
    return np.kron(small, np.ones((step, step), np.uint8))[:height, :width].copy()


sides = st.integers(1, 45)


def runs_of(image: Pixels) -> Runs:
    numbers = np.full(256, K, np.int32)
    numbers[:K] = np.arange(K)
    return current_engine().find_runs(image, numbers, K + 1)


def histogram(part: Pixels) -> NDArray[np.int64]:
    return np.bincount(np.minimum(part, K).ravel(), minlength=K + 1)


def every(image: Pixels, height: int, width: int) -> NDArray[np.int64]:
    """Labels in all crops."""
    height, width = min(height, image.shape[0]), min(width, image.shape[1])
    return np.array(
        [
            histogram(image[y : y + height, x : x + width])
            for y in range(image.shape[0] - height + 1)
            for x in range(image.shape[1] - width + 1)
        ]
    )


def resized(image: Pixels, size: tuple[int, int], nearest: Nearest) -> Pixels:
    """By Pillow, by OpenCV, or as TensorFlow does with align_corners."""
    if nearest == "corners":
        rows, columns = (
            [
                min(int(np.float32(k) * (np.float32(old - 1) / np.float32(new - 1)) + 0.5), old - 1)
                if new > 1
                else 0
                for k in range(new)
            ]
            for old, new in zip(image.shape, size, strict=True)
        )
        return image[np.ix_(rows, columns)]
    if nearest == "centred":
        return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST))
    cv2 = pytest.importorskip("cv2")
    large: Pixels = cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST)
    return large


def is_taken(rows: NDArray[np.int64], ratio: float) -> NDArray[np.bool_]:
    some = rows[:, :-1]
    return ((some > 0).sum(axis=1) > 1) & (
        some.max(axis=1) / np.maximum(some.sum(axis=1), 1) < ratio
    )


@given(
    masks(),
    sides,
    st.integers(1, 300),
    sides,
    st.integers(1, 300),
    st.sampled_from(get_args(Nearest)),
    st.sampled_from([0.4, 0.5, 0.75, 0.9]),
)
def test_kernels_agree_with_all_crops_of_the_resized_mask(
    image: Pixels,
    height: int,
    width: int,
    new_height: int,
    new_width: int,
    nearest: Nearest,
    ratio: float,
) -> None:
    view = Recipe((height, width), Rescaling(nearest=nearest)).view(
        image.shape, (new_height, new_width)
    )
    large = resized(image, (new_height, new_width), nearest)
    rows, runs = every(large, height, width), runs_of(image)
    assert view.places == len(rows)
    assert np.array_equal(expected(runs, [view])[0], rows.sum(axis=0))
    assert np.array_equal(places_with(runs, [view])[0], (rows[:, :K] > 0).sum(axis=0))
    refused = rows[~is_taken(rows, ratio)]
    for presence in (True, False):
        totals, seen = refused_places(runs, [view], ratio, presence=presence)
        assert totals.tolist() == [[*refused.sum(axis=0), len(refused)]]
        assert np.array_equal(seen[0], (refused[:, :K] > 0).sum(axis=0) * presence)
    at = (7 * height + 3 * width) % len(rows)
    crop = np.array([(0, *divmod(at, view.horizontal.places))])
    assert np.array_equal(crop_counts(runs, [view], crop), rows[[at]])


def exposed(image: Pixels, recipe: Recipe, crops: int = 0) -> MaskExposure:
    return expose(runs_of(image), np.arange(K), recipe, name="m", crops=crops, presence=True)


RECIPES = {
    "crop": Recipe((9, 14)),
    "padded by a class": Recipe((30, 30), padding=2),
    "steps": Recipe((9, 14), Rescaling("steps", (0.5, 1.0, 1.75), nearest="corners")),
    "uniform": Recipe((12, 12), Rescaling("uniform", (0.5, 2.0), nearest="centred")),
    "short side": Recipe((16, 16), Rescaling("uniform", (0.5, 2.0), "short-side", (20,))),
    "fit": Recipe((16, 12), Rescaling("log-uniform", (0.5, 2.0), "fit", (40, 20))),
    "refused": Recipe((9, 9), cat_max_ratio=0.75),
    "refused and scaled": Recipe(
        (9, 9), Rescaling("steps", (0.5, 1.5)), cat_max_ratio=0.6, tries=3
    ),
    "whole": Recipe(),
}


@pytest.mark.parametrize("name", RECIPES)
@given(image=masks())
def test_expected_pixels_and_chances_are_those_of_all_crops(name: str, image: Pixels) -> None:
    """Within half a unit a mask."""
    recipe = RECIPES[name]
    sizes = [image.shape] if recipe.scale is None else recipe.scale.sizes(image.shape)
    pixels, chance = [Fraction(0)] * (K + 1), [Fraction(0)] * K
    for size in sizes:
        large = resized(image, size, recipe.scale.nearest if recipe.scale else "floor")
        crop = recipe.crop or size
        rows = every(large, *crop)
        fill = crop[0] * crop[1] - int(rows[0].sum())
        taken = is_taken(rows, recipe.cat_max_ratio) if recipe.refuses else np.ones(len(rows), bool)
        left = (1 - Fraction(int(taken.sum()), len(rows))) ** (recipe.tries + 1)
        rows[:, K if recipe.padding is None else recipe.padding] += fill
        for share, chosen in ((left, rows[~taken]), (1 - left, rows[taken])):
            if len(chosen):
                share /= len(chosen) * len(sizes)
                for c in range(K + 1):
                    pixels[c] += share * int(chosen[:, c].sum())
                for c in range(K):
                    chance[c] += share * int((chosen[:, c] > 0).sum())
    found = exposed(image, recipe)
    assert found.chance is not None
    slack = Fraction(1, 2)
    if recipe.refuses:  # powers of shares are floats, of 53 bits
        slack += Fraction(1, 100)
    for mine, exact in zip([*found.expected.tolist(), found.rest], pixels, strict=True):
        assert abs(mine - exact * 2**UNIT_BITS) <= slack
    for mine, exact in zip(found.chance.tolist(), chance, strict=True):
        assert abs(mine - exact * 2**CHANCE_BITS) <= slack


@pytest.mark.parametrize("name", RECIPES)
def test_crops_are_drawn_from_the_law(name: str) -> None:
    """Their means agree with what is expected of the law, within 4 standard errors."""
    recipe = RECIPES[name]
    rng = np.random.default_rng(3)
    small = rng.integers(0, K + 1, (5, 7)).astype(np.uint8)
    small[small == K] = 255
    image = np.kron(small, np.ones((6, 6), np.uint8))
    if name == "refused":
        image[:] = 0
        image[9:14, 9:14], image[25:, :3] = 1, 255
    found = exposed(image, recipe, crops=6000)
    mean, error = found.counts.mean(axis=0), found.counts.std(axis=0) / np.sqrt(6000)
    # A lattice is at least as even as chance; eight midpoints stand for a continuous law.
    slack = 0.01 * mean.max() if recipe.scale and recipe.scale.law != "steps" else 1e-3
    assert (np.abs(mean - found.expected / 2**UNIT_BITS) <= 4 * error + slack).all()
    assert (found.counts.sum(axis=1) <= found.area).all()


@given(masks(), st.integers(0, 30), st.integers(0, 30))
def test_more_crops_go_on_with_the_same_stream(image: Pixels, few: int, more: int) -> None:
    first = exposed(image, RECIPES["refused and scaled"], few)
    longer = exposed(image, RECIPES["refused and scaled"], few + more)
    assert np.array_equal(longer.counts[:few], first.counts)
    assert np.array_equal(longer.expected, first.expected)


@given(masks(), st.integers(1, 12))
def test_a_refused_crop_gives_way_to_the_first_try_that_is_taken(image: Pixels, tries: int) -> None:
    recipe = Recipe((5, 6), cat_max_ratio=0.6, tries=tries)
    height, width = (min(sides) for sides in zip((5, 6), image.shape, strict=True))
    free = image.shape[0] - height + 1, image.shape[1] - width + 1

    def crop(place: NDArray[np.float64]) -> NDArray[np.int64]:
        y, x = (int(u * n) for u, n in zip(place, free, strict=True))
        return histogram(image[y : y + height, x : x + width])

    rows = []
    for j, place in enumerate(places_drawn("m", 9, 0)[:, 1:]):
        row = crop(place)
        for other in _fractions(2 * tries, "m", 0, j).reshape(-1, 2):
            if is_taken(row[None], recipe.cat_max_ratio)[0]:
                break
            row = crop(other)
        rows.append(row[:K].tolist())
    assert exposed(image, recipe, 9).counts.tolist() == rows


@given(masks())
def test_a_flip_of_the_mask_changes_no_expectation(image: Pixels) -> None:
    for recipe in (RECIPES["crop"], RECIPES["refused"]):
        plain, flipped = exposed(image, recipe), exposed(image[:, ::-1].copy(), recipe)
        assert np.array_equal(plain.expected, flipped.expected)


def test_the_whole_mask_is_what_a_crop_larger_than_it_sees() -> None:
    image = np.full((4, 5), 3, np.uint8)
    found = exposed(image, Recipe((8, 8)))
    assert found.expected.tolist() == [0, 0, 0, 20 << UNIT_BITS, 0]
    assert found.rest == 44 << UNIT_BITS
