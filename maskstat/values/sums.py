"""Sums of counts that stay within 64 bits, or raise: NumPy's wrap round in silence."""

from __future__ import annotations

from operator import mul

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import CountOverflowError

IntArray = NDArray[np.int64]

LARGEST = (1 << 63) - 1
_SURE = 2.0**62  # a sum in floating point below this proves that the exact one does not pass 2^63


def added(left: IntArray, right: IntArray) -> IntArray:
    """Counts and counts. Raises CountOverflowError where one would pass 2^63."""
    found: IntArray = left + right
    if (found < 0).any():  # both are no less than 0 and below 2^63
        raise too_many()
    return found


def total(counts: IntArray) -> int:
    """The sum of counts. Raises CountOverflowError where it passes 2^63."""
    if counts.sum(dtype=np.float64) < _SURE:
        return int(counts.sum())
    return within(sum(counts.reshape(-1).tolist()))


def multiplied(left: IntArray, right: IntArray) -> IntArray:
    """Lengths times lengths. Raises CountOverflowError where a product passes 2^63."""
    if left.size and (left.astype(np.float64) * right).max() >= _SURE:
        for product in map(mul, left.tolist(), right.tolist()):
            within(product)
    found: IntArray = left * right
    return found


def within(count: int) -> int:
    """The count itself. Raises CountOverflowError where it passes 2^63."""
    if count > LARGEST:
        raise too_many()
    return count


def too_many() -> CountOverflowError:
    """What is wrong with counts that 64 bits do not hold."""
    return CountOverflowError(
        "these counts add up to 2^63 or more, which 64 bits do not hold",
        remedy="give them in a larger unit, or as shares",
    )
