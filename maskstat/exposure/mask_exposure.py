"""What a recipe makes of one mask: expected pixels, the chance that a crop has a class, crops.

All of it is whole numbers, rounded once a mask, so that sums do not depend on order. Crop j of a
mask is a function of (seed, name, j) alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from math import lcm, prod

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Shape
from maskstat.exposure.units import CHANCE_BITS, REPLICATES, UNIT_BITS, MaskExposure
from maskstat.kernels.crop_views import CropView
from maskstat.kernels.crops import crop_counts, expected, places_with, refused_places
from maskstat.kernels.region_types import Runs
from maskstat.memory import ask_memory
from maskstat.values.tally import IntArray

_TOGETHER = 64  # refused crops that are drawn anew together
_SMALL = 1 << 13  # height and width of masks together whose views are kept
_LONGEST = 1 << 20  # side that a mask may be resized to
_AXIS_BYTES = 40  # of working out how an axis is resized, for each of its pixels, about
# 1 / g^k with g^4 = g + 1: additive recurrences that fill three dimensions evenly
_STEPS = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])


def expose(
    runs: Runs,
    classes: IntArray,
    recipe: Recipe,
    *,
    name: str,
    crops: int,
    seed: int = 0,
    presence: bool = False,
) -> MaskExposure:
    """Work out one mask.

    Args:
        runs: of labels 0..C, of which the last is "no class".
        classes: int64[C], the class that each label stands for, ascending.
        name: of the mask; crops depend on it.
        crops: J.
        presence: whether the exact chance of each class to be in a crop is wanted.

    Raises:
        MaskError: it has too many pixels, some of them only once it is resized.
        MemoryError: there is too little for it.
    """
    if recipe.padding is not None and recipe.padding not in classes:
        runs, classes = with_class(runs, classes, recipe.padding)
    sizes = [runs.shape] if recipe.scale is None else recipe.scale.sizes(runs.shape)
    views = [_view(recipe, runs.shape, size) for size in sizes]
    filled = None if recipe.padding is None else int(np.searchsorted(classes, recipe.padding))
    seen: IntArray | None
    if recipe.refuses:
        pixels, seen = _law_of_refusal(runs, views, recipe, filled, presence=presence)
    else:
        pixels, seen = _law(runs, views, recipe, filled, presence=presence)
    counts, area = draw(runs, recipe, name=name, crops=crops, seed=seed, filled=filled)
    return MaskExposure(
        classes, pixels[:-1], int(pixels[-1]), seen if presence else None, counts, area
    )


def with_class(runs: Runs, classes: IntArray, fill: int) -> tuple[Runs, IntArray]:
    """Room for a class that only fills."""
    at = int(np.searchsorted(classes, fill))
    labels = runs.labels + (runs.labels >= at)
    more = np.insert(classes, at, fill)
    return runs._replace(labels=labels.astype(np.int32), label_count=runs.label_count + 1), more


def _view(recipe: Recipe, shape: Shape, size: Shape) -> CropView:
    """The view; those of small masks are kept for the next ones. Raises MaskError, MemoryError."""
    cut = [min(sides) for sides in zip(recipe.crop or size, size, strict=True)]
    places = [side - less + 1 for side, less in zip(size, cut, strict=True)]
    # Sums over all places are of 64 bits.
    if max(size) > max(*shape, _LONGEST) or prod(cut) * prod(places) >= 1 << 62:
        raise MaskError(f"becomes {size[1]} x {size[0]} pixels, too many to be cropped")
    if sum(shape) <= _SMALL:
        return _kept_view(recipe, shape, size)
    ask_memory(_AXIS_BYTES * (sum(shape) + sum(size)))
    return recipe.view(shape, size)


@lru_cache(512)
def _kept_view(recipe: Recipe, shape: Shape, size: Shape) -> CropView:
    return recipe.view(shape, size)


def _rounded(sums: IntArray, places: Sequence[int], bits: int) -> IntArray:
    """The mean over views of sums / places, int64[...] in units of 2^-bits, rounded once."""
    common = lcm(*places)
    whole = len(places) * common
    factors = [common // number for number in places]
    columns = zip(*sums.tolist(), strict=True)
    totals = [sum(f * s for f, s in zip(factors, column, strict=True)) for column in columns]
    return np.array([((t << bits + 1) + whole) // (2 * whole) for t in totals], np.int64)


def _law(
    runs: Runs, views: Sequence[CropView], recipe: Recipe, filled: int | None, *, presence: bool
) -> tuple[IntArray, IntArray | None]:
    """Expected pixels of each label, and the chance of each class, where all crops are taken."""
    places = [view.places for view in views]
    sums = expected(runs, views)
    fills: IntArray = np.array([recipe.padded(view) for view in views], np.int64)
    sums[:, -1 if filled is None else filled] += fills * np.array(places, np.int64)
    if not presence:
        return _rounded(sums, places, UNIT_BITS), None
    found = places_with(runs, views)
    if filled is not None:
        found[:, filled] = np.where(fills > 0, places, found[:, filled])
    return _rounded(sums, places, UNIT_BITS), _rounded(found, places, CHANCE_BITS)


def _law_of_refusal(
    runs: Runs, views: Sequence[CropView], recipe: Recipe, filled: int | None, *, presence: bool
) -> tuple[IntArray, IntArray]:
    """The same where crops are refused, which is before they are filled.

    With q the share of places that is taken, at one size of this mask, a crop is a refused one
    only after as many refusals as there are tries and one more: (1 - q)^(tries + 1).
    """
    pixels = np.zeros(runs.label_count)
    seen = np.zeros(runs.label_count - 1)
    everywhere = expected(runs, views)
    refused, see_refused = refused_places(runs, views, recipe.cat_max_ratio, presence=presence)
    see_any = places_with(runs, views) if presence else see_refused
    for v, view in enumerate(views):
        totals = refused[v, :-1], everywhere[v] - refused[v, :-1]
        with_class = see_refused[v], see_any[v] - see_refused[v]
        places = float(refused[v, -1]), float(view.places - refused[v, -1])
        left = (places[0] / view.places) ** (recipe.tries + 1) if places[1] else 1.0
        fill = recipe.padded(view)
        pixels[-1 if filled is None else filled] += fill
        for share, flag in ((left, 0), (1.0 - left, 1)):
            if places[flag]:
                pixels += share * totals[flag] / places[flag]
                chances = with_class[flag] / places[flag]
                if filled is not None and fill:
                    chances[filled] = 1.0
                seen += share * chances
    count = len(views)
    return (
        np.rint(pixels / count * 2.0**UNIT_BITS).astype(np.int64),
        np.rint(seen / count * 2.0**CHANCE_BITS).astype(np.int64),
    )


# --- crops ---------------------------------------------------------------------------------------


def places_drawn(name: str, crops: int, *key: int) -> NDArray[np.float64]:
    """float64[J, 3] in [0, 1): scale, top and left of each crop, uniform and evenly spread.

    `key` is the seed, and whatever else crops of a mask depend on.

    Crops take turns among REPLICATES lattices of independent shifts; more crops go on with them.
    """
    shifts = _fractions(3 * REPLICATES, name, *key).reshape(REPLICATES, 3)
    at = np.arange(crops)
    drawn: NDArray[np.float64] = (
        shifts[at % REPLICATES] + (at // REPLICATES)[:, None] * _STEPS
    ) % 1.0
    return drawn


def _fractions(count: int, name: str, *key: int) -> NDArray[np.float64]:
    """float64[count] in [0, 1), that depend on the name and the key only."""
    text = "/".join([*map(str, key), name]).encode("utf-8", "surrogatepass")
    words = np.frombuffer(hashlib.shake_256(text).digest(8 * count), "<u8")
    return np.asarray((words >> np.uint64(11)) * 2.0**-53)


def draw(
    runs: Runs, recipe: Recipe, *, name: str, crops: int, seed: int, filled: int | None = None
) -> tuple[IntArray, IntArray]:
    """int64[J, C] pixels of each class in J crops as the loader makes them; int64[J] all pixels.

    The scale is drawn once a crop; a refusal redraws the place only.
    """
    drawn = places_drawn(name, crops, seed)
    sizes = [
        runs.shape if recipe.scale is None else recipe.scale.size(runs.shape, u)
        for u in drawn[:, 0].tolist()
    ]
    number = {size: k for k, size in enumerate(dict.fromkeys(sizes))}
    views = [_view(recipe, runs.shape, size) for size in number]
    which = np.array([number[size] for size in sizes], np.int64)
    counts = _crops(runs, views, which, drawn[:, 1:])
    if recipe.refuses:
        refused = np.flatnonzero(~_taken(counts, recipe.cat_max_ratio))
        for at in range(0, len(refused), _TOGETHER):
            _redraw(runs, recipe, views, which, counts, refused[at : at + _TOGETHER], name, seed)
    fills: IntArray = np.array([recipe.padded(view) for view in views], np.int64)
    area = np.array([view.crop_pixels for view in views], np.int64) + fills
    if filled is not None:
        counts[:, filled] += fills[which]
    return counts[:, :-1], area[which]


def _redraw(
    runs: Runs,
    recipe: Recipe,
    views: Sequence[CropView],
    which: IntArray,
    counts: IntArray,
    refused: IntArray,
    name: str,
    seed: int,
) -> None:
    """Put others in the place of refused crops: the first that is taken, or the last one untested.

    Most are taken at once, so tries are looked at by 1, 2, 4, ...
    """
    again = np.stack([_fractions(2 * recipe.tries, name, seed, j) for j in refused.tolist()])
    done = 0
    while len(refused):
        upto = min(2 * done + 1, recipe.tries)
        places = again[:, 2 * done : 2 * upto].reshape(-1, 2)
        others = _crops(runs, views, np.repeat(which[refused], upto - done), places)
        taken = _taken(others, recipe.cat_max_ratio).reshape(len(refused), -1)
        taken[:, -1] |= upto == recipe.tries
        first = np.arange(len(refused)) * (upto - done) + taken.argmax(axis=1)
        some = taken.any(axis=1)
        counts[refused[some]] = others[first[some]]
        refused, again, done = refused[~some], again[~some], upto


def _crops(
    runs: Runs, views: Sequence[CropView], which: IntArray, places: NDArray[np.float64]
) -> IntArray:
    """int64[n, L], labels in crops of some views, at these fractions (top, left) of all places."""
    free = np.array([(view.vertical.places, view.horizontal.places) for view in views], np.int64)
    corners = (places * free.reshape(-1, 2)[which]).astype(np.int64)
    return crop_counts(runs, views, np.concatenate([which[:, None], corners], axis=1))


def _taken(rows: IntArray, ratio: float) -> NDArray[np.bool_]:
    """Two classes or more, none with `ratio` of the labelled pixels."""
    some = rows[:, :-1]
    largest, total = some.max(axis=1, initial=0), some.sum(axis=1)
    taken: NDArray[np.bool_] = ((some > 0).sum(axis=1) > 1) & (
        largest / np.maximum(total, 1) < ratio
    )
    return taken
