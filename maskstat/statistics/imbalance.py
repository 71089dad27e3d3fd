"""How unequal a distribution over classes is, in the field's usual numbers.

Every function takes int64[K] counts of anything: pixels, masks that contain the class, components.
All raise CountOverflowError where these add up to 2^63 or more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.values.sums import total
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

HEAD_SHARE, TAIL_SHARE = 0.80, 0.95
_DEGREES = ((3, "balanced classes"), (10, "mild imbalance"), (100, "strong imbalance"))


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Measures of one distribution p over K classes.

    Attributes:
        ratio: n_max / n_min over the classes that occur; None where none does.
        entropy: Shannon entropy of p in nats.
        normalised_entropy: entropy / ln K, 1 for equal counts; None for fewer than two classes.
        effective_classes: e^entropy, the number of equally frequent classes as diverse as these.
        gini: 0 for equal counts, (K - 1) / K where one class has everything.
        kl_uniform: Kullback-Leibler divergence KL(p || uniform) = ln K - entropy in nats; 0 for
            equal counts, ln K where one class has everything; None where nothing is counted.
        majority_accuracy: the largest share: how often the constant prediction of the most
            frequent class is right; None where nothing is counted.
    """

    ratio: float | None
    entropy: float
    normalised_entropy: float | None
    effective_classes: float
    gini: float
    kl_uniform: float | None
    majority_accuracy: float | None

    __repr__ = one_line


def imbalance(counts: IntArray) -> Imbalance:
    """Measures of int64[K] counts; classes that never occur count in K."""
    whole = total(counts)
    present = counts[counts > 0]
    if whole == 0:
        return Imbalance(None, 0.0, None, 0.0, 0.0, None, None)
    shares = present / whole
    entropy = max(0.0, float(-(shares * np.log(shares)).sum()))
    ordered = np.sort(counts) / whole
    ranks = np.arange(1, counts.size + 1)
    gini = float(((2 * ranks - counts.size - 1) * ordered).sum() / counts.size)
    return Imbalance(
        ratio=float(present.max() / present.min()),
        entropy=entropy,
        normalised_entropy=entropy / math.log(counts.size) if counts.size > 1 else None,
        effective_classes=math.exp(entropy),
        gini=max(0.0, gini),
        kl_uniform=max(0.0, math.log(counts.size) - entropy),
        majority_accuracy=float(shares.max()),
    )


def degree_of(ratio: float) -> str:
    """A ratio of the largest to the smallest class in words: "strong imbalance"."""
    return next((name for most, name in _DEGREES if ratio < most), "severe imbalance")


def lorenz_curve(counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """The Lorenz curve: the rarest x of the classes hold y of everything (Lorenz 1905).

    Returns:
        x and y, float64[K + 1] each, from (0, 0) to (1, 1), convex, never above the diagonal. The
        area between curve and diagonal is half of the Gini coefficient. Where nothing is counted,
        the diagonal.
    """
    x = np.linspace(0.0, 1.0, counts.size + 1)
    whole = total(counts)
    if whole == 0:
        return x, x.copy()
    return x, np.concatenate(([0], np.cumsum(np.sort(counts)))) / whole


@dataclass(frozen=True, slots=True)
class ClassGroups:
    """Classes by how common they are; every class is in exactly one group.

    Attributes:
        head, medium, tail, absent: class indices, ascending.
        rule: how they were told apart, for people.
    """

    head: tuple[int, ...]
    medium: tuple[int, ...]
    tail: tuple[int, ...]
    absent: tuple[int, ...]
    rule: str

    __repr__ = one_line


def groups_by_share(counts: IntArray) -> ClassGroups:
    """Head, medium and tail by cumulative share, the ABC analysis of Dickie (1951).

    The most frequent classes that together make up the first 80% are the head, those that lead
    on to 95% are medium, the rest is the tail. A class belongs where the share of all strictly
    more frequent classes ends, so equally frequent classes are always together.
    """
    ordered, places = np.unique(counts, return_inverse=True)
    sums = ordered * np.bincount(places.reshape(-1), minlength=ordered.size)
    whole = max(total(counts), 1)
    before = ((whole - np.cumsum(sums)) / whole)[places.reshape(-1)]
    return _groups(
        counts,
        before < HEAD_SHARE,
        before >= TAIL_SHARE,
        f"head: the most frequent classes up to {HEAD_SHARE:.0%} of all, medium: up to"
        f" {TAIL_SHARE:.0%}, tail: the rest",
    )


def _groups(
    counts: IntArray, head: NDArray[np.bool_], tail: NDArray[np.bool_], rule: str
) -> ClassGroups:
    occurs = counts > 0

    def chosen(group: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(np.flatnonzero(group).tolist())

    return ClassGroups(
        chosen(occurs & head),
        chosen(occurs & ~head & ~tail),
        chosen(occurs & tail),
        chosen(~occurs),
        rule,
    )
