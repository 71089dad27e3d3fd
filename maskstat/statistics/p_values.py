"""Fisher's exact test of presence, and Holm's correction for many tests."""

from __future__ import annotations

import numpy as np

from maskstat.statistics.distances import FloatArray
from maskstat.values.tally import IntArray

_EQUAL = 1e-7  # of two chances, as a logarithm: what rounding makes different


def fisher_exact(
    first: IntArray, first_masks: int, second: IntArray, second_masks: int
) -> FloatArray:
    """float64[K], is a class equally often present in two sets of masks? Two-sided.

    Fisher's (1935) exact test of the table (contains the class or not) x (split): the chance of
    all tables of these margins that are no more likely than the one given. Never more than
    nominal, at any number of masks. (Chi-square is, where few are expected.) A class that every
    mask has, or none, differs nowhere: 1.

    Args:
        first, second: int64[K], masks that contain each class.
        first_masks, second_masks: masks of each split.
    """
    from scipy.special import gammaln

    total = first_masks + second_masks
    logs = gammaln(np.arange(total + 1) + 1.0)  # of factorials

    def choose(n: int, k: IntArray) -> FloatArray:
        return np.asarray(logs[n] - logs[k] - logs[n - k])

    p_value = np.ones(first.size)
    for k, (own, inside) in enumerate(zip(first.tolist(), (first + second).tolist(), strict=True)):
        if not 0 < inside < total:
            continue
        counts = np.arange(max(0, inside - second_masks), min(inside, first_masks) + 1)
        chances = choose(first_masks, counts) + choose(second_masks, inside - counts)
        rare = chances <= chances[own - counts[0]] + _EQUAL
        chances = np.exp(chances - chances.max())
        p_value[k] = min(1.0, chances[rare].sum() / chances.sum())
    return p_value


def holm(p_values: FloatArray) -> FloatArray:
    """p-values adjusted for their number by the step-down method of Holm (1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = p_values.size - np.arange(p_values.size)
    adjusted = np.empty(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
