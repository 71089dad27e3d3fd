"""PNG's predictors for compiled kernels, on pixels of one byte and of two.

PNG filters work byte by byte. A two-byte pixel (16-bit grey) is therefore two predictions side by
side, whatever its bytes mean together; the arithmetic is modulo 256 in each byte.

Names follow the standard: `left`, `above`, `upper_left` are the reconstructed neighbours a, b, c.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

NONE, SUB, UP, AVERAGE, PAETH = range(5)


def add_bytes(pixel, residual):
    """The sum of two pixels, modulo 256 in each byte."""
    raise NotImplementedError("for compiled code")


def average(left, above):
    """PNG's Average predictor: floor of the mean, in each byte."""
    raise NotImplementedError("for compiled code")


def paeth(left, above, upper_left):
    """PNG's Paeth predictor, in each byte: the neighbour nearest left + above - upper_left."""
    raise NotImplementedError("for compiled code")


@register_jitable
def _paeth_byte(left, above, upper_left):
    """Paeth without branches: which neighbour wins is not predictable, so selects are faster.

    The formulation of stb_image: with low <= high the ordered pair (left, above), the winner is
    low where 3c - a - b >= high, high where it is <= low, and the upper left otherwise.
    """
    a, b, c = np.int64(left), np.int64(above), np.int64(upper_left)
    tilt = 3 * c - (a + b)
    low = a if a < b else b
    high = b if a < b else a
    nearest = low if high <= tilt else c
    return high if tilt <= low else nearest


@register_jitable
def paeth_of_bytes(left, above, upper_left):
    """Paeth in each of the four bytes of an unsigned 32-bit pixel."""
    if above == upper_left:
        return left
    if left == upper_left:
        return above
    predicted = np.uint32(0)
    for shift in range(0, 32, 8):
        byte = _paeth_byte(
            (left >> shift) & 0xFF, (above >> shift) & 0xFF, (upper_left >> shift) & 0xFF
        )
        predicted |= np.uint32(byte) << np.uint32(shift)
    return np.uint32(predicted)


def _is_byte(pixel):
    return isinstance(pixel, types.Integer) and pixel.bitwidth == 8


@overload(add_bytes)
def _add_bytes(pixel, residual):
    if _is_byte(pixel):
        return lambda pixel, residual: np.uint8(pixel + residual)

    def add(pixel, residual):
        # carries must not cross from byte to byte: add seven bits of each, then the eighth
        seven = (pixel & 0x7F7F) + (residual & 0x7F7F)
        return np.uint16(seven ^ ((pixel ^ residual) & 0x8080))

    return add


@overload(average)
def _average(left, above):
    if _is_byte(left):
        return lambda left, above: np.uint8((np.int64(left) + np.int64(above)) >> 1)

    def mean(left, above):
        # a + b = 2 (a & b) + (a ^ b), so the mean needs no ninth bit
        return np.uint16((left & above) + (((left ^ above) & 0xFEFE) >> 1))

    return mean


@overload(paeth)
def _paeth(left, above, upper_left):
    if _is_byte(left):
        return lambda left, above, upper_left: np.uint8(_paeth_byte(left, above, upper_left))

    def predict(left, above, upper_left):
        low = _paeth_byte(np.uint8(left), np.uint8(above), np.uint8(upper_left))
        high = _paeth_byte(np.uint8(left >> 8), np.uint8(above >> 8), np.uint8(upper_left >> 8))
        return np.uint16(high << 8 | low)

    return predict
