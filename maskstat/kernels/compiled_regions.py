"""Runs and regions by the kernels of `region_walk`, which are loaded here, and their buffers sized.

Importing this module imports Numba. Memory of measuring beside the result: 40 bytes for each run
that no run of its label touches from above (a *piece*), as much again while that buffer grows, and
little else. The result takes up to 48 bytes a component. In the worst noise every pixel is a piece
and a component: then measuring takes up to 110 bytes a pixel, runs included. A mask of more than
MAX_PIECES pieces is refused.
"""

from __future__ import annotations

import threading

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import forest, region_types, region_walk
from maskstat.kernels.compiling import are_cached, loaded
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
from maskstat.memory import ask_memory

_FIRST_NODES = 1 << 12
_MOST_KEPT_NODES = 1 << 16  # between masks
_NODE_BYTES = 4 * forest.FIELDS + 8
_MATRIX_LABELS = 1024  # edges between more labels are logged, for the matrix would be large
_LOG_ENTRIES = 1 << 18

_SIZE = types.int64
_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_RUNS = (_INT64, _INT32, _INT32)


def _signatures():
    """The kernels, each with its signature."""
    for item in (types.uint8, types.uint16):
        pixels = types.Array(item, 1, "C", readonly=True)
        yield region_walk.find_runs, (pixels, _INT32, _SIZE, _SIZE, *_RUNS)
    yield region_walk.walk, (*_RUNS, _SIZE, _SIZE, _INT64, _INT32, _INT32, *(_INT64,) * 5)
    yield region_walk.spread, (*_RUNS, _SIZE, _SIZE, _INT64, _INT64)
    yield forest.settle, (_INT32, _INT64, _SIZE, _SIZE)
    boxes = types.Array(types.int32, 2, "C")
    yield forest.collect, (_INT32, _INT64, _SIZE, _SIZE, _INT32, _INT64, boxes, _INT64)


def is_cached() -> bool:
    """Whether loading will find all kernels in the cache; False where that cannot be told."""
    return are_cached(_signatures())


class _Scratch(threading.local):
    """One thread's buffers for nodes."""

    def __init__(self) -> None:
        self.nodes, self.sizes = np.empty(0, np.int32), np.empty(0, np.int64)

    def room_for(self, count: int) -> tuple[Int32Array, IntArray]:
        """Buffers for at least so many nodes, contents unspecified."""
        if self.sizes.size < count:
            self.keep(*_room(count))
        return self.nodes, self.sizes

    def keep(self, nodes: Int32Array, sizes: IntArray) -> None:
        """Have these for the next mask, unless they are large."""
        if sizes.size <= _MOST_KEPT_NODES:
            self.nodes, self.sizes = nodes, sizes


def _room(count: int) -> tuple[Int32Array, IntArray]:
    ask_memory(count * _NODE_BYTES)
    return np.empty(count * forest.FIELDS, np.int32), np.empty(count, np.int64)


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


class Regions:
    """Finds and measures runs as `maskstat.kernels.engine.Engine` says."""

    def __init__(self) -> None:
        kernels = [loaded(*kernel) for kernel in _signatures()]
        *find_runs, self._walk, self._spread, self._settle, self._collect = kernels
        self._find_runs = dict(zip((1, 2), find_runs, strict=True))
        self._scratch = _Scratch()

    def find_runs(self, image: Image, number_of: Int32Array, label_count: int) -> Runs:
        """The runs of an image."""
        height, width = image.shape
        flat = image.reshape(-1).view()
        flat.flags.writeable = False  # as the kernels were compiled for
        rows = np.empty(height + 1, np.int64)
        room = flat.size // 8 + width + 2
        while True:
            ask_memory(8 * room)
            starts, labels = np.empty(room, np.int32), np.empty(room, np.int32)
            find = self._find_runs[flat.itemsize]
            count = find(flat, number_of, height, width, rows, starts, labels)
            if count >= 0:
                return Runs(rows, starts[:count], labels[:count], (height, width), label_count)
            room = flat.size + 2 * height + width

    def measure(self, runs: Runs) -> RegionCounts:
        """What the runs show. Raises MaskError for too many pieces."""
        (height, width), labels = runs.shape, runs.label_count
        most = min(height * width, region_types.MAX_PIECES + width)
        nodes, sizes = self._scratch.room_for(min(most, max(_FIRST_NODES, width)))
        state = np.zeros(region_walk.STATE, np.int64)
        log = _EdgeLog(width) if labels > _MATRIX_LABELS else None
        state[region_walk.LOGGED] = -1 if log is None else 0
        moments, frame = np.zeros((labels, 2), np.int64), np.zeros(labels, np.int64)
        edges = np.zeros(labels * labels if log is None else 0, np.int64)
        run_nodes = np.empty(2 * width, np.int32)
        before = (runs.rows, runs.starts, runs.labels, width, labels, state, run_nodes)
        behind = moments.reshape(-1), frame, edges, edges if log is None else log.entries
        while not self._walk(*before, nodes, sizes, *behind):
            count = int(state[region_walk.NODES])
            if log is not None:
                log.drain(int(state[region_walk.LOGGED]))
                state[region_walk.LOGGED] = 0
            if sizes.size - count < width and sizes.size < height * width:
                if sizes.size >= most:
                    raise too_many_pieces()
                nodes, sizes = _grown(nodes, sizes, count, min(most, 2 * sizes.size))
                self._scratch.keep(nodes, sizes)
        count = int(state[region_walk.NODES])
        if count > region_types.MAX_PIECES:
            raise too_many_pieces()
        if log is None:
            pairs = edges.nonzero()[0]
            edges = edges[pairs]
        else:
            pairs, edges = log.finish(int(state[region_walk.LOGGED]))
        four, eight = self._components(nodes, sizes, count, labels - 1)
        adjacency = Adjacency(*np.divmod(pairs, labels), edges)
        return RegionCounts(moments, frame, adjacency, four, eight)

    def _components(
        self, nodes: Int32Array, sizes: IntArray, count: int, outside: int
    ) -> tuple[FourComponents, EightComponents]:
        """The components of both kinds, all but those of `outside`."""
        fours, eights = self._settle(nodes, sizes, count, outside)
        ask_memory(12 * fours + 32 * eights)
        four = FourComponents(np.empty(fours, np.int32), np.empty(fours, np.int64))
        places: NDArray[np.int32] = np.empty((6, eights), np.int32)
        eight_sizes = np.empty(eights, np.int64)
        self._collect(nodes, sizes, count, outside, *four, places, eight_sizes)
        label, top, left, bottom, right, x0 = places
        return four, EightComponents(label, eight_sizes, top, left, bottom, right, top, x0)

    def spread(self, runs: Runs, slots: IntArray, heat: IntArray) -> None:
        """Add the runs to the differences of heat maps."""
        grid = heat.shape[1]
        flat = heat.reshape(-1)
        self._spread(runs.rows, runs.starts, runs.labels, runs.shape[1], grid, slots, flat)


def _grown(
    nodes: Int32Array, sizes: IntArray, count: int, room: int
) -> tuple[Int32Array, IntArray]:
    """The first `count` nodes in buffers for `room`."""
    more_nodes, more_sizes = _room(room)
    more_nodes[: count * forest.FIELDS] = nodes[: count * forest.FIELDS]
    more_sizes[:count] = sizes[:count]
    return more_nodes, more_sizes
