"""How far two splits are from each other: pure functions of frequencies, mask counts and sizes.

The last axis is that of the classes (or sizes), so that all of them serve one pair of splits and
many random splits alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

PSI_FLOOR = 1e-4


def jensen_shannon_shares(p: FloatArray, q: FloatArray) -> FloatArray:
    """float64[..., K], what each class adds to the Jensen-Shannon divergence (base 2) of p and q.

    (p ln(p / m) + q ln(q / m)) / (2 ln 2) with m = (p + q) / 2; never negative (Lin 1991). The
    root of the sum is a metric (Endres & Schindelin 2003).
    """
    middle = (p + q) / 2
    shares = np.zeros(middle.shape)
    for side in (p, q):
        ratio = np.divide(side, middle, out=np.ones(middle.shape), where=side > 0)
        shares += side * np.log2(ratio) / 2
    return np.maximum(shares, 0.0)


def jensen_shannon_distance(shares: FloatArray) -> FloatArray:
    """float64[...], 0 to 1, from what the classes add to the divergence."""
    return np.asarray(np.sqrt(np.minimum(shares.sum(axis=-1), 1.0)))


def population_stability_index(p: FloatArray, q: FloatArray) -> FloatArray:
    """PSI = sum (q - p) ln(q / p), with shares below 1e-4 taken as 1e-4. Symmetric, >= 0.

    By custom below 0.1 is stable, 0.1 to 0.25 a moderate shift, more a major one (Siddiqi 2006).
    Without the floor one missing class would make it infinite.
    """
    p, q = np.maximum(p, PSI_FLOOR), np.maximum(q, PSI_FLOOR)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def cramers_v(
    first: FloatArray | IntArray,
    first_masks: FloatArray | int,
    second: FloatArray | IntArray,
    second_masks: FloatArray | int,
) -> FloatArray:
    """float64[..., K], effect size of a class's presence in masks: 0 the same, 1 always and never.

    sqrt(chi-square / masks) of the table (contains the class or not) x (split), Pearson's without
    correction for continuity. A class that every mask has, or none, differs nowhere: 0.
    """
    one, other = np.asarray(first_masks, np.float64), np.asarray(second_masks, np.float64)
    total = one + other
    inside = (first + second).astype(np.float64)
    spread = inside * (total - inside)
    gap = np.abs(first * other - second * one)
    root = np.sqrt(np.maximum(spread * one * other, 0.0))
    return np.minimum(np.divide(gap, root, out=np.zeros(gap.shape), where=root > 0), 1.0)


def size_distance(first: IntArray, second: IntArray) -> float:
    """The larger Kolmogorov-Smirnov distance of areas and of aspect ratios, shapes int64[B, 2]."""
    if not len(first) or not len(second):
        return 0.0
    return max(
        kolmogorov_smirnov(one, other)
        for one, other in zip(size_measures(first), size_measures(second), strict=True)
    )


def size_measures(shapes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Areas and aspect ratios of masks, float64[B] each, from int64[B, 2]."""
    return (shapes[:, 0] * shapes[:, 1]).astype(np.float64), shapes[:, 1] / shapes[:, 0]


def kolmogorov_smirnov(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Largest difference of the two empirical distribution functions, 0 to 1."""
    points = np.union1d(first, second)
    below = [
        np.searchsorted(np.sort(sample), points, side="right") / sample.size
        for sample in (first, second)
    ]
    return float(np.abs(below[0] - below[1]).max())
