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
from maskstat.kernels.colours import MOST_COLOURS, colour_values, raw_values, too_many_colours
from maskstat.kernels.filtered_rows import unknown_filter
from maskstat.kernels.image_buffers import lent_array
from maskstat.kernels.region_types import IndexedPixels
from maskstat.kernels.runs import Bins

_BYTES = types.Array(types.uint8, 1, "C")
_IMAGE = types.Array(types.uint16, 1, "C")
_PIXELS = types.Array(types.uint8, 1, "C", readonly=True)
_TABLE = types.Array(types.int64, 1, "C")
_NO_IMAGE = np.empty(0, np.uint16)


def signatures():
    """The kernels, each with its signature."""
    size = types.int64
    yield (
        colour_histogram.count_colour_rows,
        (
            _BYTES,
            size,
            size,
            size,
            _BYTES,
            _TABLE,
            _IMAGE,
            size,
        ),
    )
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
        self._add(stream, height, _NO_IMAGE, 0)

    def add_and_index(self, stream: bytearray | memoryview, height: int) -> IndexedPixels | None:
        """The same of a whole image, and its pixels; None where these have too many entries."""
        width = self._length // self._channels
        image = lent_array(height * width, np.uint16)
        self._add(stream, height, image, width)
        entries = 1 + int(self._table[0])
        if entries > MOST_COLOURS:
            return None
        colours = self._table[COLOURS_AT : COLOURS_AT + entries]
        return IndexedPixels(image.reshape(height, width), raw_values(colours, self._channels))

    def _add(
        self, stream: bytearray | memoryview, height: int, image: NDArray[np.uint16], step: int
    ) -> None:
        rows = np.frombuffer(stream, np.uint8, height * (1 + self._length))
        lengths = height, self._length, self._channels
        bad = self._count_rows(rows, *lengths, self._row, self._table, image, step)
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
    counter = _counter(kernels, width, channels)
    counter.add(stream, height)
    return counter.finish()


def tally_and_index(kernels, stream: bytearray, height: int, width: int, channels: int):
    """The same, and its pixels; None where these have too many entries."""
    counter = _counter(kernels, width, channels)
    pixels = counter.add_and_index(stream, height)
    return None if pixels is None else (*counter.finish(), pixels)


def _counter(kernels, width: int, channels: int) -> CompiledColourCounter:
    clear(_scratch.table)
    return CompiledColourCounter(kernels, width, channels, _scratch.table)
