"""Whole PNG files counted by the compiled kernel (see `whole_files`)."""

from __future__ import annotations

import threading

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import whole_files
from maskstat.kernels.c_functions import Libdeflate
from maskstat.kernels.compiling import are_cached, loaded
from maskstat.kernels.event_histogram import PADDING
from maskstat.kernels.image_buffers import lent_array
from maskstat.kernels.region_types import IntArray

_BYTES = types.Array(types.uint8, 1, "C")
_INTS = types.Array(types.int64, 1, "C")
_TABLE = types.Array(types.int64, 2, "C")
_KERNEL = (
    whole_files.tally_files,
    (_BYTES, _INTS, _INTS, *(types.int64,) * 3, *(_BYTES,) * 3, _INTS, _TABLE, _INTS, _INTS),
)


def is_cached() -> bool:
    """Whether loading will find the kernel in the cache."""
    return are_cached([_KERNEL])


class _Scratch(threading.local):
    """The bins of one thread, always all zeros."""

    def __init__(self) -> None:
        self.bins = np.zeros(256, np.int64)


class PngFiles:
    """The kernel, ready to run."""

    def __init__(self) -> None:
        self._kernel = loaded(*_KERNEL)
        self._scratch = _Scratch()

    def tally(
        self,
        data: NDArray[np.uint8],
        starts: IntArray,
        sizes: IntArray,
        room: tuple[int, int],
        library: Libdeflate,
    ) -> tuple[IntArray, IntArray, IntArray]:
        """As `maskstat.kernels.engine.Engine.tally_files`."""
        rows, width = room
        found = np.empty((starts.size, 3), np.int64)
        values, counts = np.empty((2, 256 * starts.size), np.int64)
        decompressor = library.borrow()
        try:
            used = self._kernel(
                data,
                starts,
                sizes,
                library.crc32,
                library.inflate,
                decompressor,
                lent_array(int(sizes.max()), np.uint8),
                lent_array(rows, np.uint8),
                lent_array(width + PADDING, np.uint8),
                self._scratch.bins,
                found,
                values,
                counts,
            )
        finally:
            library.give_back(decompressor)
        return found, values[:used].copy(), counts[:used].copy()
