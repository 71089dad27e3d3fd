"""Pixels that lie plain in memory, counted by compiled kernels (see `plain_pixels`), and `lzw`."""

from __future__ import annotations

import threading

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import lzw, plain_pixels
from maskstat.kernels.compiling import loaded
from maskstat.kernels.plain_pixels import LOWEST, MOST_OTHERS, TURN_BINS, WINDOW
from maskstat.kernels.runs import Bins, add_up
from maskstat.kernels.vector import WORD_BYTES

_INTS = types.Array(types.int64, 1, "C")


def _pixels(item):
    return types.Array(item, 1, "C", readonly=True)


def signatures():
    """The kernels, each with its signature."""
    yield plain_pixels.add_bytes, (_pixels(types.uint8), _INTS, _INTS)
    for item in (types.uint16, types.int32, types.int64):
        yield plain_pixels.add_wide, (_pixels(item), _INTS, _INTS, _INTS, _INTS, _INTS)
    bytes_made = types.Array(types.uint8, 1, "C")
    yield lzw.unpack_lzw, (_pixels(types.uint8), bytes_made, _INTS, _INTS)


class _PlainScratch(threading.local):
    """Buffers of one thread; `bins` and `turns` are always all zeros."""

    def __init__(self) -> None:
        self.bins = np.zeros(WINDOW, np.int64)
        self.turns = np.zeros(TURN_BINS, np.int64)
        self.other_values = np.empty(MOST_OTHERS, np.int64)
        self.other_counts = np.empty(MOST_OTHERS, np.int64)
        self.found = np.zeros(2, np.int64)
        self.places = np.empty(lzw.STRINGS, np.int64)
        self.lengths = np.empty(lzw.STRINGS, np.int64)


class PlainPixels:
    """Counts plain pixels as `maskstat.kernels.engine.Engine` says."""

    def __init__(self) -> None:
        kernels = [loaded(*kernel) for kernel in signatures()]
        self._add_bytes, *wide, self._unpack_lzw = kernels
        self._add_wide = dict(zip((2, 4, 8), wide, strict=True))
        self._scratch = _PlainScratch()

    def add_bytes(self, bins: Bins, pixels: NDArray[np.uint8]) -> None:
        """Add pixels to the histogram of their values."""
        self._add_bytes(_read_only(pixels), bins, self._scratch.turns)

    def value_sums(self, pixels: NDArray[np.integer]) -> tuple[Bins, Bins]:
        """Values of pixels, uint16, int32 or int64, ascending, and their counts."""
        scratch, flat = self._scratch, _read_only(pixels)
        add_wide = self._add_wide[flat.itemsize]
        last, done = -1, 0
        others: list[tuple[Bins, Bins]] = []
        while done < flat.size:
            done += add_wide(
                flat[done:],
                scratch.bins,
                scratch.turns,
                scratch.other_values,
                scratch.other_counts,
                scratch.found,
            )
            last = max(last, int(scratch.found[0]))
            if runs := int(scratch.found[1]):
                others.append(add_up(scratch.other_values[:runs], scratch.other_counts[:runs]))
        used = scratch.bins[: last + 1]
        at = used.nonzero()[0]
        values, counts = at + LOWEST, used[at]
        used[:] = 0
        if not others:
            return values, counts
        return add_up(
            np.concatenate([values, *(found[0] for found in others)]),
            np.concatenate([counts, *(found[1] for found in others)]),
        )

    def unpack_lzw(self, data: memoryview, size: int) -> memoryview | None:
        """The first bytes that LZW data makes."""
        scratch, made = self._scratch, np.empty(size + WORD_BYTES, np.uint8)
        packed = _read_only(np.frombuffer(data, np.uint8))
        if self._unpack_lzw(packed, made, scratch.places, scratch.lengths) < size:
            return None
        return made[:size].data


def _read_only(pixels: NDArray[np.integer]) -> NDArray[np.integer]:
    """A view as the kernels were compiled for."""
    flat = np.require(pixels, requirements="CA").view()  # one that is not aligned is another type
    flat.flags.writeable = False
    return flat
