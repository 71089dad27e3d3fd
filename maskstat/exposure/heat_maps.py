"""Expected shares from heat maps, without pixels: close, and with a bound that holds.

A heat map knows how much of a class lies in each cell, and not where in it. A crop sees places of
a mask unevenly; within a cell it is taken to see them alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Shape
from maskstat.exposure.units import UNIT_BITS
from maskstat.regions.profile import PixelProfile
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ApproximateExposure:
    """Shares of the classes in crops, as far as heat maps tell.

    Attributes:
        recipe: what lies between the masks and the loss.
        catalog: the K classes.
        frequency: float64[K], shares among expected pixels of classes.
        lowest, highest: float64[K], between which the exact shares are.
    """

    recipe: Recipe
    catalog: ClassCatalog
    frequency: FloatArray
    lowest: FloatArray
    highest: FloatArray

    __repr__ = one_line

    def __post_init__(self) -> None:
        for shares in (self.frequency, self.lowest, self.highest):
            shares.flags.writeable = False


def approximate(profile: PixelProfile, recipe: Recipe, shape: Shape) -> ApproximateExposure:
    """Shares under a recipe, from the heat maps of masks that all have this shape.

    With g the pixels of a crop that come from a place of the mask, on average, a class has the
    integral of g over its area. Of a cell, only the class's area A in all masks is known, so g is
    replaced by its mean over the cell: that is off by at most A max|g - mean|, and by at most
    half of the integral of |g - mean| over the cell for each mask.

    Raises:
        ParameterError: crops are refused, or no class has a pixel.
    """
    if recipe.refuses:
        raise ParameterError(
            "whether a crop is refused depends on its pixels, which heat maps do not have",
            parameter="cat_max_ratio",
        )
    if recipe.draws is not None:
        raise ParameterError(
            "where crops lie depends on single pixels, which heat maps do not have",
            parameter="recipe",
        )
    grid, classes = profile.grid, len(profile.catalog)
    mean, furthest, spread = _cells(recipe, shape, grid)
    heat = profile.heat.astype(np.float64) / grid**2
    # Each class, and all others that are classes: a share is of both.
    both = np.stack([heat[:classes], heat[:classes].sum(axis=0) - heat[:classes]])
    expected = (both * mean).sum(axis=(2, 3))
    off = np.minimum(both * furthest, profile.mask_count * spread / 2).sum(axis=(2, 3))
    if recipe.padding is not None:
        fill = profile.mask_count * _fill(recipe, shape)
        expected[1] += fill
        expected[:, recipe.padding] += (fill, -fill)
    # What is called exact is whole units a mask, and sums of floating-point numbers are off, too.
    off += 1e-9 * expected + profile.mask_count * len(profile.catalog) * 2.0**-UNIT_BITS
    low, high = np.maximum(expected - off, 0.0), expected + off
    if not expected.any():
        raise ParameterError("no pixel of any class is in a crop", parameter="recipe")
    return ApproximateExposure(
        recipe,
        profile.catalog,
        expected[0] / expected.sum(axis=0),
        low[0] / np.maximum(low[0] + high[1], 1e-300),
        np.minimum(high[0] / np.maximum(high[0] + low[1], 1e-300), 1.0),
    )


def _fill(recipe: Recipe, shape: Shape) -> float:
    views = [recipe.view(shape, size) for size in _sizes(recipe, shape)]
    return float(np.mean([recipe.padded(view) for view in views]))


def _sizes(recipe: Recipe, shape: Shape) -> list[Shape]:
    return [shape] if recipe.scale is None else recipe.scale.sizes(shape)


def _cells(recipe: Recipe, shape: Shape, grid: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """float64[G, G] each: of g over each cell its mean, the furthest from it, and the integral of
    how far it is from it. g is the same all over a pixel, and a pixel may be in several cells.
    """
    views = [recipe.view(shape, size) for size in _sizes(recipe, shape)]
    rows = np.stack([np.diff(v.vertical.cover) / v.vertical.places for v in views])
    columns = np.stack([np.diff(v.horizontal.cover) / v.horizontal.places for v in views])
    mean, furthest, spread = (np.zeros((grid, grid)) for _ in range(3))
    area = shape[0] * shape[1] / grid**2
    for i, (ys, heights) in enumerate(_spans(shape[0], grid)):
        band = rows[:, ys].T @ columns / len(views)
        for j, (xs, widths) in enumerate(_spans(shape[1], grid)):
            seen, parts = band[:, xs], np.outer(heights, widths)
            mean[i, j] = (seen * parts).sum() / area
            away = np.abs(seen - mean[i, j])
            furthest[i, j] = away.max()
            spread[i, j] = (away * parts).sum()
    return mean, furthest, spread


def _spans(size: int, grid: int) -> list[tuple[slice, FloatArray]]:
    """Of each cell along an axis: its pixels, and how much of each is in it."""
    found = []
    for begin, end in pairwise(np.arange(grid + 1) * size):  # in units of 1 / grid pixel
        first, last = int(begin) // grid, -(-int(end) // grid)
        edges = np.clip(np.arange(first, last + 1) * grid, begin, end)
        found.append((slice(first, last), np.diff(edges) / grid))
    return found
