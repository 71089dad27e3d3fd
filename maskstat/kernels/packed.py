"""Pixels of 1, 2 and 4 bits, several to a byte: the leftmost pixel in the highest bits.

A row begins at a byte; what is left of its last byte is padding, whose bits may be anything. So
a histogram of the *bytes* of all rows gives the histogram of pixels, once the padding pixels,
known from a histogram of the last bytes alone, are taken off again.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def bytes_per_row(width: int, bits: int) -> int:
    """Bytes of one row of `width` pixels of 1, 2, 4, 8 or 16 bits."""
    return (width * bits + 7) >> 3


@lru_cache(maxsize=32)
def _pixels_in_byte(bits: int, first: int) -> NDArray[np.int64]:
    """int64[256, 2**bits]: how often each value occurs in a byte, from its pixel `first` on."""
    table = np.zeros((256, 1 << bits), np.int64)
    every_byte = np.arange(256)
    for shift in range(8 - bits * (first + 1), -1, -bits):
        table[every_byte, (every_byte >> shift) & ((1 << bits) - 1)] += 1
    return table


def pixel_bins(
    byte_bins: NDArray[np.int64], last_bins: NDArray[np.int64], width: int, bits: int
) -> NDArray[np.int64]:
    """int64[2**bits] histogram of pixels from int64[256] histograms of bytes and of last bytes."""
    in_last_byte = (width - 1) % (8 // bits) + 1
    bins = byte_bins @ _pixels_in_byte(bits, 0)
    if in_last_byte * bits < 8:
        bins -= last_bins @ _pixels_in_byte(bits, in_last_byte)
    return bins


@lru_cache(maxsize=3)
def _pixels_of_byte(bits: int) -> NDArray[np.unsignedinteger]:
    """For each byte its 8 / bits pixels, of a byte each, side by side in one item."""
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    pixels = (np.arange(256, dtype=np.uint8)[:, None] >> shifts) & np.uint8((1 << bits) - 1)
    return np.ascontiguousarray(pixels).view(f"u{8 // bits}").reshape(256)


def unpack_rows(rows: NDArray[np.uint8], width: int, bits: int) -> NDArray[np.uint8]:
    """uint8[H, width] pixels from uint8[H, bytes_per_row] packed rows."""
    pixels = _pixels_of_byte(bits)[rows].view(np.uint8)
    return np.ascontiguousarray(pixels[:, :width])
