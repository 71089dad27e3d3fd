"""Crops that are aimed at a class: what they hold when laid around a random pixel of it.

A pixel (y, x) of class c is drawn, all alike, and a place (dy, dx) of it in the crop, all alike;
the crop then begins at y - dy and x - dx, moved into the mask where it would leave it. Along an
axis with several places, the h values of dy take a pixel y to place t

    1 time where t <= y < t + h, for places that are neither first nor last;
    h - y times for the first place, t = 0, and y - t + 1 times for the last one, t = H - h,

since what would leave the mask is moved there. So place (t, l) has the weight of a sum over its
window, all weights are whole numbers, and nothing is rounded. Where the mask has one place only,
that is 1 time, and not h times.

`maskstat.exposure.aimed` calls these; importing this module imports Numba.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from maskstat.kernels.compiling import compiled, inlined, loaded
from maskstat.kernels.region_types import IntArray, Runs
from maskstat.memory import ask_memory

_SIZE = types.int64
_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_TABLE, _SUMS = types.Array(types.int64, 2, "C"), types.Array(types.int64, 3, "C")


class RunsByClass(NamedTuple):
    """The runs of each class of a mask, row by row.

    Attributes:
        first: int64[C + 1]; class c owns entries first[c]:first[c + 1] of the others.
        rows, begins, ends: int64, the row of a run, its first pixel, and the first behind it.
    """

    first: IntArray
    rows: IntArray
    begins: IntArray
    ends: IntArray

    @classmethod
    def of(cls, runs: Runs) -> RunsByClass:
        """Sort the runs by their classes; those of no class are left out."""
        classes = runs.label_count - 1
        rows = np.repeat(np.arange(runs.shape[0]), np.diff(runs.rows))
        kept = np.ones(rows.size, bool)
        kept[runs.rows[1:] - 1] = False  # sentinels
        kept &= runs.labels < classes
        at = np.flatnonzero(kept)
        at = at[np.argsort(runs.labels[at], kind="stable")]
        starts = runs.starts.astype(np.int64)
        first = np.searchsorted(runs.labels[at], np.arange(classes + 1))
        return cls(first.astype(np.int64), rows[at], starts[at], starts[at + 1])

    @property
    def pixels(self) -> IntArray:
        """int64[C], of each class."""
        before = np.concatenate(([0], np.cumsum(self.ends - self.begins)))
        return np.asarray(np.diff(before[self.first]))

    def pixel(self, of: int, ranks: IntArray) -> tuple[IntArray, IntArray]:
        """int64[n] rows and columns of the pixels of a class that have these ranks."""
        own = slice(self.first[of], self.first[of + 1])
        behind = np.cumsum(self.ends[own] - self.begins[own])
        run = np.searchsorted(behind, ranks, side="right")
        return self.rows[own][run], self.ends[own][run] - (behind[run] - ranks)


@inlined
def _prefixes(steps, prefix):
    """prefix int64[W + 1], sums of the columns whose steps int64[W + 1] are these."""
    column = total = np.int64(0)
    prefix[0] = 0
    for x in range(prefix.size - 1):
        column += steps[x]
        total += column
        prefix[x + 1] = total


@inlined
def _weights(prefix, w, weights):
    """weights int64[places] of one row of places, from the sums of columns that are before x."""
    last = weights.size - 1
    total = prefix[prefix.size - 1]
    if last == 0:
        weights[0] = total
        return
    begin = end = np.int64(0)
    for x in range(1, w + 1):
        begin += prefix[x]
    for x in range(prefix.size - 1 - w, prefix.size - 1):
        end += total - prefix[x]
    weights[0], weights[last] = begin, end
    for at in range(1, last):
        weights[at] = prefix[at + w] - prefix[at]


@inlined
def _cover(weights, w, before, cover):
    """cover int64[W + 1]: what all columns before x have of the places that see them."""
    places = weights.size
    before[0] = 0
    for at in range(places):
        before[at + 1] = before[at] + weights[at]
    total = np.int64(0)
    cover[0] = 0
    for x in range(cover.size - 1):
        total += before[min(x, places - 1) + 1] - before[max(0, x - w + 1)]
        cover[x + 1] = total


@inlined
def _edge_steps(rows, begins, ends, enter, leave, t, h, steps):
    """steps int64[W + 1] of the columns of the first place, t = 0, or of the last one."""
    steps[:] = 0
    for r in range(leave, enter):
        times = h - rows[r] if t == 0 else rows[r] - t + 1
        steps[begins[r]] += times
        steps[ends[r]] -= times


@inlined
def _slide(rows, begins, ends, stop, enter, leave, t, h, steps):
    """(enter, leave), the runs of rows t..t+h-1, and their steps, from those of earlier rows."""
    while enter < stop and rows[enter] < t + h:
        steps[begins[enter]] += 1
        steps[ends[enter]] -= 1
        enter += 1
    while leave < enter and rows[leave] < t:
        steps[begins[leave]] -= 1
        steps[ends[leave]] += 1
        leave += 1
    return enter, leave


@compiled
def _aimed_pixels(all_rows, starts, labels, first, rows, begins, ends, width, h, w, sums):
    """sums int64[C, L, 2] += pixels of each label in the crops aimed at each class, in all its
    ways: [..., 0] in units of 2^32, and [..., 1] what is left, which may be above 2^32."""
    height = all_rows.size - 1
    down, across = height - h + 1, width - w + 1
    depth = min(h, down)
    steps, edge = np.empty(width + 1, np.int64), np.empty(width + 1, np.int64)
    prefix, window = np.empty(width + 1, np.int64), np.empty(width + 1, np.int64)
    weights, before = np.empty(across, np.int64), np.empty(across + 1, np.int64)
    ring, filled = np.empty((depth, width + 1), np.int64), np.empty(depth, np.bool_)
    for c in range(first.size - 1):
        steps[:] = 0
        window[:] = 0
        filled[:] = False
        live, enter, leave = 0, first[c], first[c]
        for y in range(height):
            if y >= h and filled[(y - h) % depth]:  # a row of places that no longer sees y
                gone = ring[(y - h) % depth]
                for x in range(width + 1):
                    window[x] -= gone[x]
                filled[(y - h) % depth] = False
                live -= 1
            if y < down:
                enter, leave = _slide(rows, begins, ends, first[c + 1], enter, leave, y, h, steps)
                if leave < enter:
                    if down > 1 and (y == 0 or y == down - 1):
                        _edge_steps(rows, begins, ends, enter, leave, y, h, edge)
                        _prefixes(edge, prefix)
                    else:
                        _prefixes(steps, prefix)
                    cover = ring[y % depth]
                    _weights(prefix, w, weights)
                    _cover(weights, w, before, cover)
                    for x in range(width + 1):
                        window[x] += cover[x]
                    filled[y % depth] = True
                    live += 1
            if live:
                for r in range(all_rows[y], all_rows[y + 1] - 1):
                    seen = window[starts[r + 1]] - window[starts[r]]
                    sums[c, labels[r], 0] += seen >> 32
                    sums[c, labels[r], 1] += seen & 0xFFFFFFFF


@compiled
def _aimed_meetings(first, rows, begins, ends, height, width, h, w, found):
    """found int64[C, C] += ways of the crops aimed at class c in which class k is."""
    classes = first.size - 1
    down, across = height - h + 1, width - w + 1
    enter, leave = first[:-1].copy(), first[:-1].copy()
    steps, edge = np.zeros((classes, width + 1), np.int64), np.empty(width + 1, np.int64)
    prefix, weights = np.empty(width + 1, np.int64), np.empty((classes, across), np.int64)
    inside = np.empty(classes, np.int64)
    for t in range(down):
        count = 0
        for c in range(classes):
            enter[c], leave[c] = _slide(
                rows, begins, ends, first[c + 1], enter[c], leave[c], t, h, steps[c]
            )
            if leave[c] == enter[c]:
                continue
            if down > 1 and (t == 0 or t == down - 1):
                _edge_steps(rows, begins, ends, enter[c], leave[c], t, h, edge)
                _prefixes(edge, prefix)
            else:
                _prefixes(steps[c], prefix)
            _weights(prefix, w, weights[c])
            inside[count] = c
            count += 1
        for i in range(count):
            aimed = weights[inside[i]]
            for j in range(count):
                other, total = weights[inside[j]], np.int64(0)
                # A place has a weight for a class where, and only where, its crop has the class.
                for at in range(across):
                    total += aimed[at] * (other[at] > 0)
                found[inside[i], inside[j]] += total


@cache
def _pixels() -> Any:
    runs = (_INT64, _INT32, _INT32)
    return loaded(_aimed_pixels, (*runs, *(_INT64,) * 4, _SIZE, _SIZE, _SIZE, _SUMS))


@cache
def _meetings() -> Any:
    return loaded(_aimed_meetings, (*(_INT64,) * 4, *(_SIZE,) * 4, _TABLE))


def ways(runs: Runs, found: RunsByClass, crop: tuple[int, int]) -> list[int]:
    """Of each class, in how many ways a crop is aimed at it: pixels times places in the crop."""
    places = 1
    for side, cut in zip(runs.shape, crop, strict=True):
        places *= cut if side > cut else 1
    return [pixels * places for pixels in found.pixels.tolist()]


def aimed_pixels(runs: Runs, found: RunsByClass, crop: tuple[int, int]) -> list[list[int]]:
    """[C][L]: pixels of each label, added up over all ways to aim a crop at each class.

    Args:
        crop: (h, w), at most the mask's own; pixels x h x w x w must be below 2^62.
    """
    (height, width), (h, w) = runs.shape, crop
    ask_memory(8 * (width + 1) * (min(h, height - h + 1) + 6))
    sums = np.zeros((runs.label_count - 1, runs.label_count, 2), np.int64)
    _pixels()(runs.rows, runs.starts, runs.labels, *found, width, h, w, sums)
    return [[(high << 32) + low for high, low in row] for row in sums.tolist()]


def aimed_meetings(runs: Runs, found: RunsByClass, crop: tuple[int, int]) -> IntArray:
    """int64[C, C]: of the ways to aim a crop at class c (row), those whose crop has class k."""
    classes, (height, width) = runs.label_count - 1, runs.shape
    ask_memory(8 * (width + 1) * (2 * classes + 2))
    meetings = np.zeros((classes, classes), np.int64)
    _meetings()(*found, height, width, *crop, meetings)
    return meetings
