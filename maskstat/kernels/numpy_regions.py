"""Runs and regions by NumPy: what `region_walk` does run by run, for all runs at once."""

from __future__ import annotations

import numpy as np

from maskstat.kernels import region_types
from maskstat.kernels.region_types import (
    Adjacency,
    EightComponents,
    FourComponents,
    Image,
    Int32Array,
    IntArray,
    RegionCounts,
    Runs,
    too_many_pieces,
)
from maskstat.kernels.runs import add_up
from maskstat.memory import ask_memory

_RUN_BYTES = 256  # that measuring takes a run


def find_runs(image: Image, number_of: Int32Array, label_count: int) -> Runs:
    """See `maskstat.kernels.engine.Engine.find_runs`."""
    height, width = image.shape
    ask_memory(image.size)
    begins = np.ones(image.shape, bool)
    np.not_equal(image[:, 1:], image[:, :-1], out=begins[:, 1:])
    at = np.flatnonzero(begins)
    ask_memory(40 * at.size)
    found = number_of[image.reshape(-1)[at]]
    ys, xs = np.divmod(at, width)
    new = np.ones(at.size, bool)  # several values may have one label
    new[1:] = (found[1:] != found[:-1]) | (xs[1:] == 0)
    ys, xs, found = ys[new], xs[new], found[new]
    rows = np.zeros(height + 1, np.int64)
    np.cumsum(np.bincount(ys, minlength=height) + 1, out=rows[1:])
    starts, labels = np.full(rows[-1], width, np.int32), np.full(rows[-1], -1, np.int32)
    place = np.arange(ys.size) + ys  # a sentinel behind each row above
    starts[place], labels[place] = xs, found
    return Runs(rows, starts, labels, (height, width), label_count)


def measure(runs: Runs) -> RegionCounts:
    """See `maskstat.kernels.engine.Engine.measure`."""
    (height, width), outside = runs.shape, runs.label_count - 1
    ask_memory(_RUN_BYTES * runs.starts.size)
    some = runs.labels >= 0
    label = runs.labels[some].astype(np.int64)
    y = np.repeat(np.arange(height), np.diff(runs.rows) - 1)
    start = runs.starts[some].astype(np.int64)
    at = y * width + start
    length = np.diff(at, append=height * width)
    moments, frame = np.zeros((runs.label_count, 2), np.int64), np.zeros(outside + 1, np.int64)
    np.add.at(moments[:, 0], label, (2 * y + 1) * length)
    np.add.at(moments[:, 1], label, (2 * start + length) * length)
    first, last = start == 0, np.append(start[1:] == 0, True)
    np.add.at(frame, label, first.astype(np.int64) + last)
    np.add.at(frame, label, length * ((y == 0).astype(np.int64) + (y == height - 1)))

    # Pieces of two rows, in which one run lies over another; `cuts` are where they begin.
    above, below = at[y < height - 1] + width, at[y > 0]
    cuts = np.sort(np.concatenate([above, below]), kind="stable")
    cuts = cuts[np.append(True, cuts[1:] != cuts[:-1])[: cuts.size]]
    over = np.searchsorted(above, cuts, side="right") - 1
    under = np.searchsorted(below, cuts, side="right") - 1 + (at.size - below.size)
    same = label[over] == label[under]
    hangs = np.zeros(at.size, bool)
    hangs[under[same]] = True
    if at.size - np.count_nonzero(hangs) > region_types.MAX_PIECES:
        raise too_many_pieces()
    beside = np.flatnonzero(~first)
    adjacency = _adjacency(
        np.concatenate([label[over[~same]], label[beside - 1]]),
        np.concatenate([label[under[~same]], label[beside]]),
        np.concatenate(
            [
                np.diff(cuts, append=height * width)[~same],
                np.ones(beside.size, np.int64),
            ]
        ),
        runs.label_count,
    )
    # Where runs of both rows begin, four meet in a corner.
    corner = 1 + np.flatnonzero(
        (over[1:] != over[:-1]) & (under[1:] != under[:-1]) & (start[under[1:]] > 0)
    )
    one = np.concatenate([over[corner - 1], over[corner]])
    other = np.concatenate([under[corner], under[corner - 1]])
    touch = label[one] == label[other]
    four = _roots(np.arange(at.size), over[same], under[same])
    eight = _roots(four, one[touch], other[touch])

    roots = np.flatnonzero((four == np.arange(at.size)) & (label != outside))
    fours = FourComponents(label[roots].astype(np.int32), _sums(four, length)[roots])
    roots = np.flatnonzero((eight == np.arange(at.size)) & (label != outside))
    left, right, bottom = start.copy(), start + length, y + 1
    np.minimum.at(left, eight, start)
    np.maximum.at(right, eight, start + length)
    np.maximum.at(bottom, eight, y + 1)
    places = (part[roots].astype(np.int32) for part in (y, left, bottom, right, y, start))
    eights = EightComponents(label[roots].astype(np.int32), _sums(eight, length)[roots], *places)
    return RegionCounts(moments, frame, adjacency, fours, eights)


def _adjacency(one: IntArray, other: IntArray, edges: IntArray, labels: int) -> Adjacency:
    """Edges between pairs of labels, added up."""
    pairs, sums = add_up(np.minimum(one, other) * labels + np.maximum(one, other), edges)
    return Adjacency(*np.divmod(pairs, labels), sums)


def _roots(root: IntArray, one: IntArray, other: IntArray) -> IntArray:
    """The smallest node that each hangs together with, from such roots and pairs of nodes.

    Every tree but those smaller than all their neighbours is hung below a smaller one. What is left
    of a tree's neighbours is smaller than it then, so two turns halve the trees that are to be
    joined.
    """
    root = root.copy()
    while one.size:
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(up := root[root], root):
            root = up
    return root


def _sums(root: IntArray, length: IntArray) -> IntArray:
    """int64[n], for each root what its nodes sum to. Floats to NumPy, exact below 2**53."""
    return np.bincount(root, weights=length, minlength=root.size).astype(np.int64)


def spread(runs: Runs, slots: IntArray, heat: IntArray) -> None:
    """See `maskstat.kernels.engine.Engine.spread`."""
    (height, width), grid = runs.shape, heat.shape[1]
    some = np.flatnonzero(runs.labels >= 0)
    y = np.repeat(np.arange(height), np.diff(runs.rows) - 1)
    first = slots[runs.labels[some]] * heat[0].size
    flat, stride = heat.reshape(-1), heat.shape[2]
    for ends, sign in ((runs.starts[some], 1), (runs.starts[some + 1], -1)):
        cell, rest = np.divmod(ends.astype(np.int64) * grid, width)
        for step in range(grid // height + 2):  # rows of cells that a row of pixels overlaps
            row = y * grid // height + step
            high = np.minimum((y + 1) * grid, (row + 1) * height)
            weight = sign * (high - np.maximum(y * grid, row * height))
            there = weight * sign > 0
            at = (first + row * stride + cell)[there]
            np.add.at(flat, at, ((width - rest) * weight)[there])
            np.add.at(flat, at + 1, (rest * weight)[there])
