"""The fast way to measure regions: loads the kernels of `region_walk`, and sizes their buffers.

Importing this module imports Numba. Kernels for pixels of one byte are loaded or compiled with it,
those for two bytes when the first such mask turns up.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import forest, region_types, region_walk
from maskstat.kernels.compiling import loaded
from maskstat.kernels.region_types import (
    Adjacency,
    EightComponents,
    FourComponents,
    Image,
    Int32Array,
    IntArray,
    RegionCounts,
    too_many_pieces,
)
from maskstat.memory import ask_memory

_FIRST_NODES = 1 << 12
_NODE_BYTES = 4 * forest.FIELDS + 8
_MATRIX_LABELS = 1024  # edges between more labels are logged, for the matrix would be large
_LOG_ENTRIES = 1 << 18

_SIZE = types.int64
_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_settle = loaded(forest.settle, (_INT32, _INT64, _SIZE, _SIZE))
_collect = loaded(
    forest.collect,
    (_INT32, _INT64, _SIZE, _SIZE, _INT32, _INT64, types.Array(types.int32, 2, "C"), _INT64),
)


@cache
def _walk(pixel: types.Integer):
    """The kernel for pixels of one item type."""
    pixels, bytes_ = (types.Array(t, 1, "C") for t in (pixel, types.uint8))
    signature = (
        pixels,
        _SIZE,
        _SIZE,
        _INT32,
        _SIZE,
        _SIZE,
        _INT64,
        _INT32,
        _INT32,
        _INT32,
        _INT32,
        _INT64,
        _INT64,
        bytes_,
        _INT64,
        _INT64,
        _INT64,
        _INT64,
        _INT64,
    )
    return loaded(region_walk.walk, signature)


_walk(types.uint8)


class _EdgeLog:
    """Edges between many labels: entries of (pair, edges), added up when there is no more room."""

    def __init__(self, width: int) -> None:
        self.entries = np.empty(2 * max(_LOG_ENTRIES, 4 * width), np.int64)
        self._pairs = self._edges = np.empty(0, np.int64)

    def drain(self, count: int) -> None:
        """Take `count` entries away."""
        entries = self.entries[: 2 * count].reshape(-1, 2)
        pairs = np.concatenate([self._pairs, entries[:, 0]])
        self._pairs, at = np.unique(pairs, return_inverse=True)
        edges = np.concatenate([self._edges, entries[:, 1]])
        self._edges = np.zeros(self._pairs.size, np.int64)
        np.add.at(self._edges, at.reshape(-1), edges)

    def finish(self, count: int) -> tuple[IntArray, IntArray]:
        """All pairs, ascending, and their edges, the last `count` entries included."""
        self.drain(count)
        return self._pairs, self._edges


def measure_image(
    image: Image, number_of: Int32Array, labels: int, outside: int, grid: int
) -> RegionCounts:
    """See `region_types.Implementation`. Raises MaskError for too many pieces."""
    height, width = image.shape
    most = min(image.size, region_types.MAX_PIECES + width)
    room = min(most, max(_FIRST_NODES, width))
    nodes, sizes = np.empty(room * forest.FIELDS, np.int32), np.empty(room, np.int64)
    state = np.zeros(region_walk.STATE, np.int64)
    log = _EdgeLog(width) if labels > _MATRIX_LABELS else None
    state[region_walk.LOGGED] = -1 if log is None else 0
    ask_memory(8 * labels * grid * grid)
    heat = np.empty((labels, grid, grid), np.int64)
    moments, frame = np.zeros((labels, 2), np.int64), np.zeros(labels, np.int64)
    edges = np.zeros(labels * labels if log is None else 0, np.int64)
    rows = np.empty((3, 2 * (width + region_walk.SPARE)), np.int32)
    before = (image.reshape(-1), height, width, number_of, labels, grid, state, *rows)
    behind = (
        np.zeros(labels * (grid + 2), np.int64),
        np.zeros(labels, np.uint8),
        heat.reshape(-1),
        moments.reshape(-1),
        frame,
        edges,
        edges if log is None else log.entries,
    )
    walk = _walk(types.uint8 if image.dtype == np.uint8 else types.uint16)
    while not walk(*before, nodes, sizes, *behind):
        count = int(state[region_walk.NODES])
        if log is not None:
            log.drain(int(state[region_walk.LOGGED]))
            state[region_walk.LOGGED] = 0
        if sizes.size - count < width:
            if sizes.size == most < image.size:
                raise too_many_pieces()
            nodes, sizes = _grown(nodes, sizes, count, min(most, 2 * sizes.size))
    if log is None:
        pairs = edges.nonzero()[0]
        edges = edges[pairs]
    else:
        pairs, edges = log.finish(int(state[region_walk.LOGGED]))
    four, eight = _components(nodes, sizes, int(state[region_walk.NODES]), outside)
    adjacency = Adjacency(*np.divmod(pairs, labels), edges)
    return RegionCounts(np.arange(labels), heat, moments, frame, adjacency, four, eight)


def _grown(
    nodes: Int32Array, sizes: IntArray, count: int, room: int
) -> tuple[Int32Array, IntArray]:
    """The first `count` nodes in buffers for `room`."""
    ask_memory(room * _NODE_BYTES)
    more_nodes, more_sizes = np.empty(room * forest.FIELDS, np.int32), np.empty(room, np.int64)
    more_nodes[: count * forest.FIELDS] = nodes[: count * forest.FIELDS]
    more_sizes[:count] = sizes[:count]
    return more_nodes, more_sizes


def _components(
    nodes: Int32Array, sizes: IntArray, count: int, outside: int
) -> tuple[FourComponents, EightComponents]:
    """The components of both kinds, all but those of `outside`."""
    fours, eights = _settle(nodes, sizes, count, outside)
    ask_memory(12 * fours + 32 * eights)
    four = FourComponents(np.empty(fours, np.int32), np.empty(fours, np.int64))
    places: NDArray[np.int32] = np.empty((6, eights), np.int32)
    eight_sizes = np.empty(eights, np.int64)
    _collect(nodes, sizes, count, outside, *four, places, eight_sizes)
    label, top, left, bottom, right, x0 = places
    return four, EightComponents(label, eight_sizes, top, left, bottom, right, top, x0)
