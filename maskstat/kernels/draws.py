"""Draws without replacement: the chance that none of them has what each does with its own chance.

`maskstat.exposure.counts` calls this; importing it imports Numba.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels.compiling import compiled, loaded

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def _means(starts, lacks, means):
    """means float64[K, S + 1]: of all subsets of k of a class's entries, the mean product.

    The elementary symmetric polynomial e_k, divided by the number of subsets: sums of nothing
    negative, so that no digit is lost.
    """
    for c in range(starts.size - 1):
        row = means[c]
        row[:] = 0.0
        row[0] = 1.0
        for n in range(1, starts[c + 1] - starts[c] + 1):
            lack = lacks[starts[c] + n - 1]
            for k in range(min(n, row.size - 1), 0, -1):
                share = k / n
                row[k] = (1.0 - share) * row[k] + share * lack * row[k - 1]


@cache
def _loaded() -> Any:
    row, table = types.Array(types.float64, 1, "C"), types.Array(types.float64, 2, "C")
    return loaded(_means, (types.Array(types.int64, 1, "C"), row, table))


def chance_of_none(starts: IntArray, chances: FloatArray, total: int, drawn: int) -> FloatArray:
    """float64[K]: chance that none of so many masks, drawn from all without replacement, has c.

    Args:
        starts: int64[K + 1]; class c owns entries starts[c]:starts[c + 1].
        chances: of a mask to have it; the class has none in all other masks.
        total, drawn: masks that there are, and that are drawn.
    """
    some = np.diff(starts)
    most = min(drawn, int(some.max(initial=0)))
    means = np.empty((some.size, most + 1))
    _loaded()(np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(1.0 - chances), means)
    # How many of the drawn ones are among those of the class is hypergeometric.
    some = some[:, None]
    rest, k = total - some - drawn, np.arange(most + 1)
    possible = (k >= -rest) & (k <= np.minimum(some, drawn))
    steps = np.zeros(means.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log((some - k + 1) * (drawn - k + 1) / (k * (rest + k)))
    np.copyto(steps, ratios, where=possible & (k > np.maximum(0, -rest)))
    logs = np.where(possible, np.cumsum(steps, axis=1), -np.inf)
    law = np.exp(logs - logs.max(axis=1, keepdims=True))
    law /= law.sum(axis=1, keepdims=True)
    return np.asarray((law * means).sum(axis=1))
