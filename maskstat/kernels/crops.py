"""What crops of one mask hold: exact integers, from the runs of its labels.

Importing this module imports Numba; there is no other way to count crops here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import types

from maskstat.kernels import crop_walk
from maskstat.kernels.compiling import loaded
from maskstat.kernels.crop_views import CropView
from maskstat.kernels.region_types import IntArray, Runs
from maskstat.memory import ask_memory

_SIZE, _RATIO = types.int64, types.float64
_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_TABLE, _BITS = types.Array(types.int64, 2, "C"), types.Array(types.uint64, 2, "C")
_RUNS = (_INT64, _INT32, _INT32)


@cache
def _expected() -> Any:
    return loaded(crop_walk.expected, (*_RUNS, _TABLE, _TABLE, _TABLE))


@cache
def _crop_counts() -> Any:
    return loaded(crop_walk.crop_counts, (*_RUNS, *(_TABLE,) * 4))


@cache
def _places_with() -> Any:
    return loaded(crop_walk.places_with, (*_RUNS, *(_TABLE,) * 3, _BITS, _BITS, _TABLE))


@cache
def _refused_places() -> Any:
    tables = (_TABLE,) * 3
    return loaded(
        crop_walk.refused_places, (*_RUNS, *tables, _RATIO, types.boolean, _TABLE, _TABLE)
    )


def expected(runs: Runs, views: Sequence[CropView]) -> IntArray:
    """int64[S, L]: pixels of each label, summed over all places of each of S views.

    Row s sums to crop pixels x places, at most ((H' + 1)(W' + 1))^2 / 16: below 2^63 up to 2^33
    pixels.
    """
    sums = np.zeros((len(views), runs.label_count), np.int64)
    seen = np.stack([np.diff(view.vertical.cover) for view in views])
    covers = np.stack([view.horizontal.cover for view in views])
    _expected()(runs.rows, runs.starts, runs.labels, seen, covers, sums)
    return sums


def places_with(runs: Runs, views: Sequence[CropView]) -> IntArray:
    """int64[S, L - 1]: of all places of the crop, those that see each class, in each of S views."""
    (height, width), classes = runs.shape, runs.label_count - 1
    row_edges, column_edges, sides = _stacked(views)
    size, room = classes * ((width + 63) >> 6), min(height, int(sides[:, 0].max()))
    ask_memory(8 * size * (height + room))
    bits, suffix = np.empty((height, size), np.uint64), np.empty((room, size), np.uint64)
    found = np.zeros((len(views), classes), np.int64)
    _places_with()(
        runs.rows, runs.starts, runs.labels, row_edges, column_edges, sides, bits, suffix, found
    )
    return found


def _stacked(views: Sequence[CropView]) -> tuple[IntArray, IntArray, IntArray]:
    """int64[V, H + 1] and int64[V, W + 1], edges of the axes; int64[V, 2], sides of the crops."""
    ask_memory(8 * len(views) * (views[0].vertical.size + views[0].horizontal.size))
    return (
        np.stack([view.vertical.edges for view in views]),
        np.stack([view.horizontal.edges for view in views]),
        np.array([(view.vertical.crop, view.horizontal.crop) for view in views]),
    )


def crop_counts(runs: Runs, views: Sequence[CropView], crops: IntArray) -> IntArray:
    """int64[n, L], pixels of each label in n crops of the mask at different sizes.

    `crops` is int64[n, 3]: which of the views, and the crop's top and left there.
    """
    counts = np.zeros((len(crops), runs.label_count), np.int64)
    if len(crops):
        row_edges, column_edges, sides = _stacked(views)
        placed = np.concatenate([crops, sides[crops[:, 0]]], axis=1)
        _crop_counts()(runs.rows, runs.starts, runs.labels, row_edges, column_edges, placed, counts)
    return counts


def refused_places(
    runs: Runs, views: Sequence[CropView], ratio: float, *, presence: bool
) -> tuple[IntArray, IntArray]:
    """int64[S, L + 1]: label counts summed over all refused places, and places, in each of S views;
    int64[S, L - 1]: those of the places that see each class, zeros without `presence`.

    A crop is taken if it has more than one class and none has `ratio` of its labelled pixels.
    """
    ask_memory(4 * runs.label_count * max(view.horizontal.resized for view in views))
    totals = np.zeros((len(views), runs.label_count + 1), np.int64)
    seen = np.zeros((len(views), runs.label_count - 1), np.int64)
    arrays = runs.rows, runs.starts, runs.labels, *_stacked(views)
    _refused_places()(*arrays, ratio, presence, totals, seen)
    return totals, seen
