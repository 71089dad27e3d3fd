"""How even a class can be at all: masks are whole, so some errors are below every split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.split_search import least_error

FloatArray = NDArray[np.float64]
_MOST = 100_000  # ways to deal out the amounts of one class, up to which all are looked at


def error_floor(amounts: NDArray[np.int64], ratio: FloatArray) -> tuple[float, bool]:
    """No split has a smaller largest |held / (ratio * total) - 1| of one class.

    Args:
        amounts: int64[N], >= 1: pixels of the class, or masks that have it, in each unit.
        ratio: float64[F].

    Returns:
        The floor, and whether it is attained by a split that cares for this class alone.
    """
    parts = len(ratio)
    if (amounts == amounts[0]).all():
        return _of_equal(len(amounts), ratio), True
    if parts ** min(len(amounts), 64) <= _MOST:
        return least_error(np.sort(amounts).astype(np.float64), ratio), True
    shares = np.sort(amounts)[::-1] / amounts.sum()
    most = float(ratio.max())
    floor = max(0.0, float(shares[0]) / most - 1.0)  # some part takes the largest
    if len(amounts) < parts:
        floor = max(floor, 1.0)
    elif len(amounts) > parts:  # of the F + 1 largest two meet
        floor = max(floor, float(shares[parts - 1] + shares[parts]) / most - 1.0)
    return floor, False


def _of_equal(count: int, ratio: FloatArray) -> float:
    """Exact where all amounts are alike: the least error that lets the parts add up to `count`."""
    ideal = count * ratio
    margin = 1e-13 * (1.0 + ideal)  # of rounding
    low, high = 0.0, float((1.0 / ratio).max())
    for _ in range(60):
        error = (low + high) / 2
        least = np.ceil(ideal * (1 - error) - margin).clip(0)
        most = np.floor(ideal * (1 + error) + margin)
        if (least <= most).all() and least.sum() <= count <= most.sum():
            high = error
        else:
            low = error
    return round(high, 12)
