"""Colours counted by compiled kernels (see `colour_histogram`)."""

from __future__ import annotations

import threading

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import colour_histogram
from maskstat.kernels.colour_histogram import (
    COLOURS_AT,
    OVERFLOW,
    PADDING,
    SUMS_AT,
    TABLE_SIZE,
    clear,
)
from maskstat.kernels.colours import colour_values, too_many_colours
from maskstat.kernels.filtered_rows import unknown_filter
from maskstat.kernels.runs import Bins

_BYTES = types.Array(types.uint8, 1, "C")
_PIXELS = types.Array(types.uint8, 1, "C", readonly=True)
_TABLE = types.Array(types.int64, 1, "C")


def signatures():
    """The kernels, each with its signature."""
    size = types.int64
    yield colour_histogram.count_colour_rows, (_BYTES, size, size, size, _BYTES, _TABLE)
    yield colour_histogram.count_colours, (_PIXELS, size, _TABLE)


class _ColourScratch(threading.local):
    """One thread's table, empty or not."""

    def __init__(self) -> None:
        self.table = np.zeros(TABLE_SIZE, np.int64)


_scratch = _ColourScratch()


class CompiledColourCounter:
    """See `maskstat.kernels.engine.ColourCounter`."""

    def __init__(self, kernels, width: int, channels: int, table: Bins | None = None) -> None:
        self._count_rows, self._count_pixels = kernels
        self._channels, self._length = channels, width * channels
        self._row = np.zeros(self._length + PADDING, np.uint8)
        self._table = np.zeros(TABLE_SIZE, np.int64) if table is None else table
        self._rows = 0

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count the next `height` rows, filter types included in `stream`."""
        rows = np.frombuffer(stream, np.uint8, height * (1 + self._length))
        bad = self._count_rows(rows, height, self._length, self._channels, self._row, self._table)
        if bad == OVERFLOW:
            raise too_many_colours()
        if bad >= 0:
            raise unknown_filter(int(rows[bad * (1 + self._length)]), self._rows + bad)
        self._rows += height

    def add_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Count plain pixels."""
        flat = np.ascontiguousarray(pixels).reshape(-1).view()
        flat.flags.writeable = False  # as the kernel was compiled for
        if flat.size and self._count_pixels(flat, self._channels, self._table) == OVERFLOW:
            raise too_many_colours()

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts."""
        entries = 1 + int(self._table[0])
        sums = self._table[SUMS_AT + 1 : SUMS_AT + entries]
        found = sums.nonzero()[0]
        colours = self._table[COLOURS_AT + 1 : COLOURS_AT + entries][found]
        return colour_values(colours, sums[found] // self._channels, self._channels)


def tally_colours(kernels, stream: bytearray, height: int, width: int, channels: int):
    """Values and counts of a whole image, in this thread's own table."""
    table = _scratch.table
    clear(table)
    counter = CompiledColourCounter(kernels, width, channels, table)
    counter.add(stream, height)
    return counter.finish()
