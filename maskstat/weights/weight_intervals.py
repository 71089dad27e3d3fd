"""How sure weights are, as they are printed: 95% intervals, where masks or groups are the sample.

A weight is a function of totals over all masks (pixels, masks, pixels of images). So the logarithm
of a printed weight follows a group g of masks by

    d_gc = sum over totals T of  (d ln w_c / d ln T) · (T_g / T),

less its mean over the groups, and has the variance G / (G - 1) · sum_g d_gc²: the delta method on
linearised totals (Binder 1983; Särndal, Swensson & Wretman 1992, section 5.5). The derivatives are
taken numerically through the scheme's own formula, the policy for absent classes and the
normalisation, so that any registered scheme has them, and what is scaled to be 1 is known to be 1.
Bounds of clipping are applied to the ends of the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from maskstat.errors import UnknownCountsError, WeightError
from maskstat.values.contributions import TOTALS, Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.choices import Absent
from maskstat.weights.compute import scaled
from maskstat.weights.schemes import ClassCounts, FloatArray
from maskstat.weights.table import WeightTable

Sample = Callable[[], tuple[Contributions, MaskGroups]]
"""Gives what each mask adds to the totals, and which masks belong together."""

MOST_WORK, MOST_CLASSES = 1 << 33, 2048
"""Entries times classes (some ten seconds), and classes, whose square is held in memory.

Beyond that weights have no intervals.
"""

TOO_MUCH = "unknown: there are too many classes, or masks with so many"

_STEP = 1e-5  # of a logarithm: central differences are then exact to about ten digits
_BLOCK_ENTRIES = 1 << 22
_MOST_DENSE = 1 << 20  # cells; less than that is worked out sooner than scipy.sparse is imported

Logs = Callable[[FloatArray], FloatArray]  # [F] -> [P], how logarithms of weights follow others


def with_intervals(
    table: WeightTable,
    histogram: ClassHistogram,
    formula: Callable[[ClassCounts], FloatArray],
    *,
    policy: Absent,
    sample: Sample | None,
) -> WeightTable:
    """The table of a scheme's weights, and how sure they are.

    Args:
        table: made from `histogram`.
        formula: gives raw weights [P] from the counts of the P classes that occur. It is asked at
            counts that are no whole numbers.
        policy: for absent classes.
        sample: without it, or where only counts are known, there are no intervals.
    """
    try:
        contributions, groups = (None, None) if sample is None else sample()
    except UnknownCountsError:
        return table
    if contributions is None or groups is None:
        return table
    present = histogram.present
    classes = int(present.sum())
    if too_much(contributions.classes.size, classes):
        return _without(table, contributions, groups, TOO_MUCH)
    totals = np.concatenate([getattr(histogram, total)[present] for total in TOTALS])

    def printed(logs: FloatArray) -> FloatArray:
        values = np.exp(logs).reshape(len(TOTALS), classes)
        # Schemes are formulas: numbers that are not whole are no matter to them.
        counts = ClassCounts(*cast(Any, values))
        return log_weights(table, present, formula(counts), values[0], policy)

    start = np.log(totals.astype(np.float64))
    try:
        used, jacobian = _jacobian(printed, start, classes)
    except WeightError:
        return _without(table, contributions, groups, "unknown: not counted mask by mask")
    parts = [
        _relative(contributions, groups, total, present) for total in map(TOTALS.__getitem__, used)
    ]
    variances = _scatter(_followed(parts, jacobian), len(groups), classes)
    return finished(table, contributions, groups, present, printed(start), np.sqrt(variances))


def too_much(entries: int, classes: int) -> bool:
    """Whether so many entries of so many classes that occur are beyond what is worked out."""
    return classes > MOST_CLASSES or entries * classes > MOST_WORK


def log_weights(
    table: WeightTable,
    present: np.ndarray,
    raw: FloatArray,
    pixels: FloatArray,
    policy: Absent,
) -> FloatArray:
    """float64[P], logarithms of weights as `table` has them, but for its clipping."""
    frequency = np.zeros(len(present))
    frequency[present] = pixels / pixels.sum()
    weights = scaled(raw, present, frequency, policy, cast(Any, table.normalisation))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weights[present]))


def finished(
    table: WeightTable,
    contributions: Contributions,
    groups: MaskGroups,
    present: np.ndarray,
    logs: FloatArray,
    errors: FloatArray,
    method: str = "linearised",
) -> WeightTable:
    """The table with intervals around exp(logs) [P], by relative standard errors [P]."""
    count = len(present)
    estimates, spread = np.full(count, np.nan), np.full(count, np.nan)
    estimates[present], spread[present] = np.exp(logs), errors
    bounds = table.clip or (0.0, np.inf)
    found = Intervals.around(
        estimates,
        spread,
        masks=contributions.masks_with,
        groups=groups_with(contributions, groups),
        mask_count=len(contributions),
        group_count=len(groups),
        rule=groups.rule,
        bounds=bounds,
        # What does not follow any mask, such as a largest weight that is scaled to be 1.
        fixed=(spread == 0) & (len(groups) > 1),
        method=method,
    )
    # What a bound decided does not move with the masks, as far as a derivative sees.
    moves = (estimates >= bounds[0]) & (estimates <= bounds[1])
    shown = np.where(moves | ~found.known, found.relative_standard_error, 0.0)
    return replace(table, intervals=replace(found, relative_standard_error=shown))


def groups_with(contributions: Contributions, groups: MaskGroups) -> np.ndarray:
    """int64[K], groups that have each class."""
    found = np.bincount(
        contributions.of_groups(groups).classes, minlength=contributions.class_count
    )
    return np.asarray(found, np.int64)


def _without(
    table: WeightTable, contributions: Contributions, groups: MaskGroups, method: str
) -> WeightTable:
    """The table with no interval of any class, and why."""
    present = table.pixels > 0
    nothing = np.full(int(present.sum()), np.nan)
    return finished(table, contributions, groups, present, nothing, nothing, method)


def derivatives(function: Logs, at: FloatArray, columns: Sequence[int]) -> FloatArray:
    """float64[P, columns]: central differences."""
    found = []
    with np.errstate(invalid="ignore"):
        for column in columns:
            step = np.zeros(at.size)
            step[column] = _STEP
            found.append((function(at + step) - function(at - step)) / (2 * _STEP))
    return np.stack(found, axis=1)


def _jacobian(function: Logs, at: FloatArray, classes: int) -> tuple[list[int], list[FloatArray]]:
    """Which totals matter, and how: a Jacobian [P, P] for each."""
    here = function(at)
    used, found = [], []
    for number in range(at.size // classes):
        columns = np.arange(number * classes, (number + 1) * classes)
        shaken = at.copy()
        shaken[columns] += _STEP * np.sin(1.0 + np.arange(classes))  # no direction of symmetry
        if (function(shaken) != here).any():
            used.append(number)
            found.append(derivatives(function, at, columns.tolist()))
    return used, found


def _relative(
    contributions: Contributions, groups: MaskGroups, total: Any, present: np.ndarray
) -> Any:
    """float64[G, P], the part of each total that each group has; columns sum to 1."""
    table = contributions.of_groups(groups, total)
    listed = present[table.classes]
    rows, classes = table.groups[listed], table.classes[listed]
    parts = table.parts[listed] / table.totals[classes]
    columns = (np.cumsum(present) - 1)[classes]
    shape = (len(groups), int(present.sum()))
    if shape[0] * shape[1] > _MOST_DENSE:
        from scipy.sparse import csr_array

        return csr_array((parts, (rows, columns)), shape=shape)
    dense = np.zeros(shape)
    dense[rows, columns] = parts
    return dense


def _followed(parts: list[Any], jacobians: list[FloatArray]) -> Iterator[FloatArray]:
    """float64[some groups, P]: by how much each group moves each logarithm."""
    if not parts:
        return
    count, classes = parts[0].shape
    step = max(1, _BLOCK_ENTRIES // classes)
    for start in range(0, count, step):
        yield sum(
            part[start : start + step] @ jacobian.T
            for part, jacobian in zip(parts, jacobians, strict=True)
        )


def _scatter(moved: Iterator[FloatArray], count: int, classes: int) -> FloatArray:
    """float64[P], variance of the sum of what G groups move."""
    sums, squares = np.zeros(classes), np.zeros(classes)
    for block in moved:
        sums += block.sum(axis=0)
        squares += (block * block).sum(axis=0)
    return np.asarray(
        np.maximum(squares - sums * sums / max(count, 1), 0.0) * (count / max(count - 1, 1))
    )
