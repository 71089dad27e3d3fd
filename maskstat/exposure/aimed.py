"""What a recipe that aims crops at classes makes of one mask: each of its classes on its own.

Which classes are drawn, and which of the masks that have them, is decided by all masks together
(`CropDraws`); `counts` puts that in. So what is kept of a mask serves any law of classes.
"""

from __future__ import annotations

import numpy as np

from maskstat.errors import MaskError
from maskstat.exposure.mask_exposure import expose, places_drawn, with_class
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import CHANCE_BITS, UNIT_BITS, AimedExposure, MaskExposure
from maskstat.kernels.aimed_crops import RunsByClass, aimed_meetings, aimed_pixels, ways
from maskstat.kernels.crops import crop_counts
from maskstat.kernels.region_types import Runs
from maskstat.values.crop_draws import crop_start
from maskstat.values.tally import IntArray


def expose_aimed(
    runs: Runs,
    classes: IntArray,
    recipe: Recipe,
    *,
    name: str,
    crops: int,
    seed: int = 0,
    presence: bool = False,
) -> AimedExposure:
    """Work out one mask: crops anywhere in it, and around a pixel of each of its classes.

    Args:
        runs, classes, name, crops, presence: as `expose` takes them; `crops` are those of each.

    Raises:
        MaskError: it has too many pixels.
        MemoryError: there is too little for it.
    """
    if recipe.padding is not None and recipe.padding not in classes:
        runs, classes = with_class(runs, classes, recipe.padding)
    anywhere = expose(runs, classes, recipe, name=name, crops=crops, seed=seed, presence=presence)
    found, view = RunsByClass.of(runs), recipe.view(runs.shape, runs.shape)
    crop = view.vertical.crop, view.horizontal.crop
    if runs.shape[0] * runs.shape[1] * view.crop_pixels * crop[1] >= 1 << 62:
        raise MaskError(f"has {runs.shape[1]} x {runs.shape[0]} pixels, too many to be cropped")
    own, fill = found.pixels, recipe.padded(view)
    filled = None if recipe.padding is None else int(np.searchsorted(classes, recipe.padding))
    sums, totals = aimed_pixels(runs, found, crop), ways(runs, found, crop)
    meetings = aimed_meetings(runs, found, crop).tolist() if presence else None
    parts = []
    for c in np.flatnonzero(own).tolist():
        pixels = _rounded(sums[c], totals[c], UNIT_BITS)
        pixels[-1 if filled is None else filled] += fill << UNIT_BITS
        chance = None
        if meetings is not None:
            chance = _rounded(meetings[c], totals[c], CHANCE_BITS)
            if filled is not None and fill:
                chance[filled] = 1 << CHANCE_BITS
        corners = _corners(found, c, recipe, runs, name, crops, (seed, 1 + int(classes[c])))
        counts = crop_counts(runs, [view], corners)
        counts[:, -1 if filled is None else filled] += fill
        areas = np.full(crops, view.crop_pixels + fill, np.int64)
        parts.append(
            MaskExposure(classes, pixels[:-1], int(pixels[-1]), chance, counts[:, :-1], areas)
        )
    return AimedExposure(anywhere, own, tuple(parts))


def _rounded(sums: list[int], total: int, bits: int) -> IntArray:
    """int64[...], sums / total in units of 2^-bits, rounded once."""
    return np.array([((one << bits + 1) + total) // (2 * total) for one in sums], np.int64)


def _corners(
    found: RunsByClass,
    c: int,
    recipe: Recipe,
    runs: Runs,
    name: str,
    crops: int,
    key: tuple[int, ...],
) -> IntArray:
    """int64[J, 3], view 0 and the corners of crops around random pixels of class c.

    Pixel and place in the crop are spread as evenly as places of other crops are.
    """
    drawn, sides = places_drawn(name, crops, *key), recipe.crop or runs.shape
    ranks = (drawn[:, 0] * found.pixels[c]).astype(np.int64)
    begins = [
        crop_start(at, np.full(crops, size), side, (drawn[:, 1 + axis] * side).astype(np.int64))
        for axis, (at, size, side) in enumerate(
            zip(found.pixel(c, ranks), runs.shape, sides, strict=True)
        )
    ]
    return np.stack([np.zeros(crops, np.int64), *begins], axis=1)
