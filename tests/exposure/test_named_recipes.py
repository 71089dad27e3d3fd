"""The named recipes against loaders that are written here, from what their sources say.

Sizes are a sixteenth or so of the real ones. MASKSTAT_FUZZ=100000 draws more crops than the normal
run, MASKSTAT_FUZZ_SEED others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from maskstat.exposure import rescaling
from maskstat.exposure.mask_exposure import expose
from maskstat.exposure.named import load_recipe
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.recipes import recipe_names as names
from maskstat.exposure.units import CHANCE_BITS, UNIT_BITS
from maskstat.kernels.label_runs import runs_of

K, VOID = 5, 255
Pixels = NDArray[np.uint8]
Loader = Callable[[Pixels, np.random.Generator], Pixels]

CROPS = int(os.environ.get("MASKSTAT_FUZZ", "3000"))
SEED = int(os.environ.get("MASKSTAT_FUZZ_SEED", "11"))


def window(image: Pixels, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """A crop anywhere; a whole side where it is longer than the image."""
    top = rng.integers(0, max(image.shape[0] - height, 0) + 1)
    left = rng.integers(0, max(image.shape[1] - width, 0) + 1)
    return image[top : top + height, left : left + width]


def filled(image: Pixels, height: int, width: int) -> Pixels:
    """Void at the bottom and to the right."""
    missing = ((0, max(0, height - image.shape[0])), (0, max(0, width - image.shape[1])))
    return np.pad(image, missing, constant_values=VOID)


def mmseg(scale: tuple[int, int], crop_size: tuple[int, int]) -> Loader:
    """RandomResize(scale, ratio_range=(0.5, 2), keep_ratio=True), RandomCrop, and the padding."""
    cv2 = pytest.importorskip("cv2")

    def load(image: Pixels, rng: np.random.Generator) -> Pixels:
        ratio = rng.uniform(0.5, 2.0)
        room = int(scale[0] * ratio), int(scale[1] * ratio)
        height, width = image.shape
        factor = min(max(room) / max(height, width), min(room) / min(height, width))
        size = int(width * factor + 0.5), int(height * factor + 0.5)
        large = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
        crop = window(large, *crop_size, rng)
        for _ in range(10):
            values, times = np.unique(crop, return_counts=True)
            times = times[values != VOID]
            if len(times) > 1 and times.max() / times.sum() < 0.75:
                break
            crop = window(large, *crop_size, rng)
        return filled(crop, *crop_size)

    return load


def torchvision(base_size: int, crop_size: int) -> Loader:
    """The reference's RandomResize, pad_if_smaller and RandomCrop, of Pillow images."""

    def load(image: Pixels, rng: np.random.Generator) -> Pixels:
        shorter = int(rng.integers(int(0.5 * base_size), int(2.0 * base_size) + 1))
        height, width = image.shape
        longer = int(shorter * max(height, width) / min(height, width))
        size = (shorter, longer) if width <= height else (longer, shorter)
        large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.NEAREST))
        return window(filled(large, crop_size, crop_size), crop_size, crop_size, rng)

    return load


def deeplab(crop_size: int) -> Loader:
    """Scales in steps of a quarter, resize_nearest_neighbor with align_corners, padding, crop."""

    def load(image: Pixels, rng: np.random.Generator) -> Pixels:
        scale = rng.choice(np.linspace(0.5, 2.0, 7))
        at = []
        for side in image.shape:
            new = int(side * scale)
            places = np.arange(new, dtype=np.float32) * np.float32((side - 1) / (new - 1))
            at.append(np.minimum(np.floor(places + np.float32(0.5)).astype(int), side - 1))
        large = image[np.ix_(*at)]
        return window(filled(large, crop_size, crop_size), crop_size, crop_size, rng)

    return load


# The recipe's sizes are divided by the first number; the loader's are written out.
LOADERS: dict[str, tuple[int, Callable[[], Loader]]] = {
    "mmseg-cityscapes": (16, lambda: mmseg((128, 64), (32, 64))),
    "mmseg-ade20k": (16, lambda: mmseg((128, 32), (32, 32))),
    "torchvision-reference": (20, lambda: torchvision(26, 24)),
    "deeplab": (19, lambda: deeplab(27)),
}


def small(name: str) -> Recipe:
    recipe, factor = load_recipe(name), LOADERS[name][0]
    assert recipe.crop is not None
    assert recipe.scale is not None
    base = tuple(side // factor for side in recipe.scale.base)
    height, width = (side // factor for side in recipe.crop)
    return replace(recipe, crop=(height, width), scale=replace(recipe.scale, base=base))


def masks() -> list[Pixels]:
    """Landscape, portrait, and one smaller than most crops; blocks, a large class, thin lines."""
    rng = np.random.default_rng(7)
    made = []
    for height, width, step in ((33, 70, 9), (52, 31, 6), (14, 19, 4)):
        blocks = rng.choice([0, 0, 0, 1, 2, VOID], (height // step + 1, width // step + 1))
        image = np.kron(blocks, np.ones((step, step))).astype(np.uint8)[:height, :width].copy()
        image[height // 2, :], image[:, width // 3] = 3, 4
        image[: height // 3] = 0
        made.append(image)
    return made


def apart(seen: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """How many standard errors of the N rows seen their mean is from what is expected."""
    error = seen.std(axis=0) / np.sqrt(len(seen))
    difference = np.abs(seen.mean(axis=0) - expected)
    # What all crops have alike (a class that never comes, a mask without room) has no error.
    return np.asarray(np.where(error > 0, difference / np.maximum(error, 1e-300), difference * 1e3))


def test_every_named_recipe_has_a_loader_here() -> None:
    assert sorted(LOADERS) == names()


@pytest.mark.parametrize("name", LOADERS)
def test_a_named_recipe_is_its_loader(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected pixels, chances, and spread of sampled crops within 4 standard errors.

    Of 48 comparisons the largest of a true recipe exceeds 4 once in 300 seeds (Bonferroni).
    """
    recipe, loader = small(name), LOADERS[name][1]()
    assert recipe.scale is not None
    for number, image in enumerate(masks()):
        runs, classes = runs_of(image, np.arange(256), np.r_[np.arange(K), np.full(251, -1)])
        assert classes.tolist() == list(range(K))
        with monkeypatch.context() as patch:  # all sizes, where few stand for them otherwise
            patch.setattr(rescaling, "MIDPOINTS", max(600, CROPS // 10))
            law = expose(runs, classes, recipe, name="m", crops=0, presence=True)
        drawn = expose(runs, classes, recipe, name="m", crops=2000)
        assert law.chance is not None
        rng = np.random.default_rng((SEED, number))
        rows = np.array(
            [
                np.bincount(np.minimum(loader(image, rng), K).ravel(), minlength=K + 1)
                for _ in range(CROPS)
            ]
        )
        assert (rows.sum(axis=1) == drawn.area[0]).all()
        pixels = np.append(law.expected, law.rest) / 2**UNIT_BITS
        assert apart(rows, pixels).max() < 4
        assert apart(rows[:, :K] > 0, law.chance / 2**CHANCE_BITS).max() < 4
        seen, mine = ((table / drawn.area[0]) ** 2 for table in (rows[:, :K], drawn.counts))
        error = np.sqrt(seen.var(axis=0) / len(seen) + mine.var(axis=0) / len(mine))
        assert (np.abs(seen.mean(axis=0) - mine.mean(axis=0)) <= 4 * error + 1e-12).all()
        # Eight sizes for all of them; less so than of masks sixteen times as large.
        few = (drawn.expected - law.expected) / law.expected.sum()
        assert np.abs(few).max() < 0.02
