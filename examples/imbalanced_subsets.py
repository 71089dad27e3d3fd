"""Imbalanced subsets of balanced data sets, to study what imbalance does.

Long-tailed and step imbalance as in Cao et al. 2019 (arXiv 1906.07413), which follow Cui et al.
2019 and Buda et al. 2018. `long_tailed_counts(10, 5000, 100)` are the class sizes of the
CIFAR-10-LT that papers report on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.values.tally import IntArray

_ROUNDING = 1 + 1e-12  # so that 1000 ** (1/3), a bit off 10, costs no element


def long_tailed_counts(class_count: int, largest: int, ratio: float) -> IntArray:
    """Class sizes that fall exponentially: n_i = floor(n_1 r^(-i / (K - 1))), i = 0..K-1.

    Args:
        class_count: K.
        largest: n_1, size of class 0.
        ratio: r = n_1 / n_K, imbalance ratio of the largest to the smallest class, >= 1.

    Returns:
        int64[K], non-increasing, from `largest` to floor(largest / ratio).

    Raises:
        ParameterError: no class, a ratio below 1, or one that leaves the smallest class empty.
    """
    _check(class_count, largest, ratio)
    exponents = np.arange(class_count) / max(class_count - 1, 1)
    return _floor(largest / ratio**exponents)


def step_counts(class_count: int, largest: int, ratio: float, *, minority: float = 0.5) -> IntArray:
    """Class sizes in two steps: the first classes have n_1, the others floor(n_1 / r).

    Args:
        class_count: K.
        largest: n_1, size of the majority classes.
        ratio: r, how many times larger a majority class is than a minority one, >= 1.
        minority: share of the classes that are small, rounded down to whole classes.

    Returns:
        int64[K], non-increasing.

    Raises:
        ParameterError: as `long_tailed_counts`, or a share outside 0..1.
    """
    _check(class_count, largest, ratio)
    if not 0 <= minority <= 1:
        raise ParameterError(f"the share of minority classes is from 0 to 1, not {minority}")
    small = math.floor(minority * class_count * _ROUNDING)
    sizes = np.full(class_count, float(largest))
    sizes[class_count - small :] = largest / ratio
    return _floor(sizes)


def subset_indices(
    labels: npt.ArrayLike, counts: npt.ArrayLike | Sequence[int], *, seed: int = 0
) -> IntArray:
    """Indices of a random subset with counts[c] elements of each class c.

    What is drawn of one class depends on the seed and that class alone, and a smaller count draws
    a part of what a larger one draws: subsets of growing imbalance are nested.

    Args:
        labels: integer[N], the class of every element, 0 to K - 1.
        counts: integer[K], elements wanted of each class.
        seed: chooses the subset; the same on every machine.

    Returns:
        int64[sum of counts], ascending, without repetitions.

    Raises:
        ParameterError: labels or counts that are no whole numbers in range, or a class that has
            fewer elements than are wanted.
    """
    classes, wanted = np.asarray(labels), np.asarray(counts)
    if classes.ndim != 1 or classes.dtype.kind not in "iu":
        raise ParameterError("labels must be one integer an element")
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or (wanted < 0).any():
        raise ParameterError("counts must be one whole number of at least 0 a class")
    if seed < 0:
        raise ParameterError(f"a seed is a whole number of at least 0, not {seed}")
    if classes.size and not (classes.min() >= 0 and classes.max() < wanted.size):
        wrong = classes.min() if classes.min() < 0 else classes.max()
        raise ParameterError(f"the label {wrong} is no class (0 to {wanted.size - 1})")
    chosen = []
    for index, number in enumerate(wanted.tolist()):
        members = np.flatnonzero(classes == index)
        if members.size < number:
            raise ParameterError(
                f"class {index} has {members.size} elements, {number} are wanted",
                remedy="choose a smaller largest class",
            )
        keys = np.random.default_rng([seed, index]).random(members.size)
        chosen.append(members[np.argsort(keys, kind="stable")[:number]])
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))


def _check(class_count: int, largest: int, ratio: float) -> None:
    if class_count < 1:
        raise ParameterError(f"there must be at least 1 class, not {class_count}")
    if not (math.isfinite(ratio) and ratio >= 1):
        raise ParameterError(f"an imbalance ratio is a number of at least 1, not {ratio}")
    if largest / ratio * _ROUNDING < 1:
        raise ParameterError(
            f"a largest class of {largest} leaves nothing in the smallest at a ratio of {ratio:g}",
            remedy=f"start from at least {math.ceil(ratio)}",
        )


def _floor(sizes: npt.NDArray[np.float64]) -> IntArray:
    return np.floor(sizes * _ROUNDING).astype(np.int64)
