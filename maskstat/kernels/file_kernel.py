"""Whole PNG files, counted by compiled code that needs no Numba once it is kept."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels import loading
from maskstat.kernels.c_functions import Libdeflate
from maskstat.kernels.image_buffers import WORD_BYTES, lent_array
from maskstat.kernels.kept_code import MachineCode, keep, kept, loaded_code
from maskstat.kernels.region_types import IntArray

# What the code is made of: kept code of other text is not used.
SOURCES = (
    "whole_files",
    "event_histogram",
    "vector",
    "image_buffers",
    "png_filters",
    "native_calls",
    "compiling",
)
_NAME = "whole_files"
_NUMBER, _POINTER = ctypes.c_int64, ctypes.c_void_p
_CALL = ctypes.CFUNCTYPE(
    ctypes.c_int32,
    *(_POINTER,) * 2,  # where its result goes, and what an exception would be
    *(_POINTER,) * 3,
    *(_NUMBER,) * 4,
    *(_POINTER,) * 2,
    _NUMBER,
    _POINTER,
    _NUMBER,
    *(_POINTER,) * 5,
)
ARGUMENTS = len(_CALL._argtypes_) - 2


class _Scratch(threading.local):
    """What one thread has: bins, always all zeros, and three numbers."""

    def __init__(self) -> None:
        self.bins = np.zeros(256, np.int64)
        self.place = np.empty(3, np.int64)


class PngFiles:
    """The code, ready to run."""

    def __init__(self, code: MachineCode) -> None:
        self._call = _CALL(loaded_code(code))
        self._scratch = _Scratch()

    def tally(
        self,
        data: NDArray[np.uint8],
        starts: IntArray,
        sizes: IntArray,
        room: tuple[int, int],
        library: Libdeflate,
    ) -> tuple[IntArray, IntArray, IntArray]:
        """As `maskstat.kernels.engine.FileCounter.tally`."""
        rows, width = room
        files = starts.size
        found = np.empty((files, 3), np.int64)
        values, counts = np.empty((2, 256 * files), np.int64)
        joined, stream, row = (
            lent_array(size, np.uint8) for size in (int(sizes.max()), rows, width + WORD_BYTES)
        )
        scratch, used, failure = self._scratch, ctypes.c_int64(0), ctypes.c_void_p()
        decompressor = library.borrow()
        try:
            failed = self._call(
                ctypes.addressof(used),
                ctypes.addressof(failure),
                data.ctypes.data,
                starts.ctypes.data,
                sizes.ctypes.data,
                files,
                library.crc32,
                library.inflate,
                decompressor,
                joined.ctypes.data,
                stream.ctypes.data,
                rows,
                row.ctypes.data,
                width,
                scratch.bins.ctypes.data,
                scratch.place.ctypes.data,
                found.ctypes.data,
                values.ctypes.data,
                counts.ctypes.data,
            )
        finally:
            library.give_back(decompressor)
        if failed:
            raise RuntimeError("the kernel for files has failed")
        return found, values[: used.value].copy(), counts[: used.value].copy()


_ready: PngFiles | None = None


def is_cached() -> bool:
    """Whether there is nothing to compile: the code is kept, or loaded, or of no use here."""
    return not loading.CAN_READ_MANY or _ready is not None or kept(_NAME, SOURCES) is not None


def file_kernel(*, compile_it: bool) -> PngFiles | None:
    """The code: loaded before, or kept by a process before; else compiled, or None.

    None also where it is of no use.
    """
    global _ready
    if not loading.CAN_READ_MANY:
        return None
    with loading.lock:
        if _ready is None:
            code = kept(_NAME, SOURCES)
            if code is None and compile_it:
                from maskstat.kernels.compiled_files import machine_code

                code = machine_code(ARGUMENTS)
                keep(_NAME, SOURCES, code)
            if code is not None:
                _ready = PngFiles(code)
    return _ready
