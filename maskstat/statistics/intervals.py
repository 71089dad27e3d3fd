"""How sure the shares of classes are: 95% intervals, where masks or groups are the sample.

With groups g of n_gc pixels of class c, N_g = sum_c n_gc, and p_c = n_c / N,

    relative standard error of p_c = sqrt(G / (G - 1) · sum_g (n_gc - p_c N_g)²) / n_c,

the linearised variance of a ratio (Cochran 1977, section 6.8; Särndal, Swensson & Wretman 1992,
result 5.6.2), which is that of 1 / p_c as well.
"""

from __future__ import annotations

import numpy as np

from maskstat.values.contributions import Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import MaskGroups


def frequency_intervals(
    contributions: Contributions, groups: MaskGroups, *, exclusive: bool = True
) -> Intervals:
    """95% intervals of the pixel frequencies of K classes.

    Args:
        contributions: of B masks.
        groups: which of them belong together.
        exclusive: whether a pixel has one class, so that classes add up to all labelled pixels; of
            labels it has any number.

    Returns:
        Shares that are at most 1. None for classes that never occur or are in one group only.
    """
    table = contributions.of_groups(groups)
    count, classes = len(groups), contributions.class_count
    row, column = table.groups, table.classes
    totals = table.totals
    sizes = None if exclusive else np.bincount(groups.of, contributions.labelled, count)
    whole = max(float(totals.sum() if sizes is None else sizes.sum()), 1.0)
    # As parts of all pixels, so that no square overflows.
    part = table.parts / whole
    size = np.bincount(row, part, count) if sizes is None else sizes / whole
    shares = totals / whole
    off = np.bincount(column, (part - shares[column] * size[row]) ** 2, classes)
    found = np.bincount(column, minlength=classes)
    # Groups without the class are off by share x size; where there are none, rounding is not.
    squares = size * size
    lacking = np.maximum(squares.sum() - np.bincount(column, squares[row], classes), 0.0)
    off = off + np.where(found < count, shares**2 * lacking, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(off * (count / max(count - 1, 1))) / shares
    return Intervals.around(
        shares,
        errors,
        masks=contributions.masks_with,
        groups=found.astype(np.int64),
        mask_count=len(contributions),
        group_count=count,
        rule=groups.rule,
        bounds=(0.0, 1.0),
    )
