"""The runs of each class of one mask as bytes, and pixels that such bytes have: see `run_codes`.

Importing this module imports Numba; there is no other way to code runs here.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels import run_codes
from maskstat.kernels.compiling import loaded
from maskstat.kernels.region_types import IntArray, Runs
from maskstat.memory import ask_memory

_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_UINT32, _TABLE = types.Array(types.uint32, 1, "C"), types.Array(types.int64, 2, "C")
_BYTES = types.Array(types.uint8, 1, "C")
_STORED = types.Array(types.uint8, 1, "C", readonly=True)
_READING = types.Array(types.uint16, 2, "C")
MOST_PIXELS = (1 << 32) - 1  # of a mask

_INDEX = (_INT64, _INT64, _TABLE, _INT64, _UINT32, _INT64, _STORED, _READING)


@cache
def _by_label() -> Any:
    return loaded(run_codes.by_label, (_INT64, _INT32, _INT32, *(_INT64,) * 4))


@cache
def _encode() -> Any:
    return loaded(run_codes.encode, (*(_INT64,) * 5, _BYTES, _INT64, _INT64))


@cache
def _find() -> Any:
    return loaded(run_codes.find, (*_INDEX, _INT64, _INT64, _INT64))


@cache
def _find_one() -> Any:
    return loaded(run_codes.find_one, (*_INDEX, types.int64))


@cache
def _check() -> Any:
    return loaded(run_codes.check, _INDEX)


class CodedRuns(NamedTuple):
    """Where the classes of one mask are. A class has one or more blocks of runs.

    Attributes:
        shape: (H, W) of the mask.
        classes: int64[C], those that occur, ascending.
        blocks: int64[C], how many blocks each has.
        pixels: int64[N], pixels of each block, class by class.
        sizes: int64[N], bytes of each block.
        data: the bytes of all blocks.
    """

    shape: tuple[int, int]
    classes: IntArray
    blocks: IntArray
    pixels: IntArray
    sizes: IntArray
    data: bytes

    @classmethod
    def of(cls, runs: Runs, classes: IntArray) -> CodedRuns:
        """Of what `label_runs.runs_of` gives. Raises MaskError for too many pixels."""
        count, (height, width) = len(classes), runs.shape
        if height * width > MOST_PIXELS:
            raise MaskError(f"more than {MOST_PIXELS:,} pixels are too many for a class index")
        ask_memory(24 * runs.starts.size)
        ys, firsts, ends = (np.empty(runs.starts.size, np.int64) for _ in range(3))
        behind = np.empty(count, np.int64)
        _by_label()(runs.rows, runs.starts, runs.labels, behind, ys, firsts, ends)
        # An event and a SKIP, two numbers, the number of rows before it.
        most = 2 * run_codes.LONGEST + 2 * (2 * width.bit_length() + 8) + 2 * height.bit_length()
        data, blocks, pixels, sizes = bytearray(), [], [], []
        first = 0
        for last in behind.tolist():
            some = -(-(last - first) // run_codes.BLOCK)
            before, places = np.empty(some, np.int64), np.empty(some, np.int64)
            ask_memory(room := (last - first) * (most // 8 + 1) + some)
            out = np.empty(room, np.uint8)
            own = ys[first:last], firsts[first:last], ends[first:last]
            size = _encode()(*own, run_codes.WORDS, run_codes.LENGTHS, out, before, places)
            total = int((own[2] - own[1]).sum())
            data += out[:size].tobytes()
            blocks.append(some)
            pixels.append(np.diff(before, append=total))
            sizes.append(np.diff(places, append=size))
            first = last
        none = np.empty(0, np.int64)
        return cls(
            runs.shape,
            classes,
            np.array(blocks, np.int64),
            np.concatenate([none, *pixels]),
            np.concatenate([none, *sizes]),
            bytes(data),
        )


class RunTables(NamedTuple):
    """Blocks of runs of many masks. An entry is a class in a mask; entry e has blocks[e] and on.

    Attributes:
        before: int64[E + 1], pixels of all entries before each.
        masks: int64[E], the mask of each entry.
        sizes: int64[B, 2], height and width of each mask.
        blocks: int64[E + 1].
        block_pixels: uint32[N], pixels of its entry before each block.
        block_bytes: int64[N], where each block begins.
        data: uint8[D], read-only.
    """

    before: IntArray
    masks: IntArray
    sizes: IntArray
    blocks: IntArray
    block_pixels: NDArray[np.uint32]
    block_bytes: IntArray
    data: NDArray[np.uint8]

    def find(self, places: IntArray) -> tuple[IntArray, IntArray]:
        """int64[n], int64[n]: masks and pixels that so many pixels of all entries are before.

        Pixels by their places in raster order, -1 where the bytes are damaged; places are in range.
        """
        of, at = np.empty(places.size, np.int64), np.empty(places.size, np.int64)
        _find()(*self, run_codes.READING, places, of, at)
        return of, at

    def find_one(self, place: int) -> tuple[int, int]:
        """The same of one place."""
        mask, at = _find_one()(*self, run_codes.READING, place)
        return int(mask), int(at)

    @property
    def first_damaged(self) -> int:
        """The first entry whose bytes are not runs of its pixels; -1 where there is none."""
        return int(_check()(*self, run_codes.READING))
