"""How many masks a sample is worth: fewer than it has, where masks are alike or the same.

Masks of one group say nearly the same again. By Kish's design effect (Survey Sampling 1965, section
8.2), the ratio of the variances with groups and without, B masks are worth B / deff = B · (rse by
mask / rse by group)² independent ones.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from maskstat.naming import counted
from maskstat.showing import cut
from maskstat.statistics.findings import Finding
from maskstat.values.error_bars import FloatArray, Intervals


def effective_masks(by_mask: Intervals, by_group: Intervals) -> FloatArray:
    """float64[K], independent masks that would be as sure of each class; NaN where unknown.

    Few groups say little of how large a class's error is, so single ones may be more than all
    masks.

    Args:
        by_mask: intervals for which each mask is a group of its own.
        by_group: those of the groups.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = by_mask.relative_standard_error / by_group.relative_standard_error
    found = by_mask.mask_count * ratio**2
    return np.where(np.isfinite(found), found, np.nan)


def effective_words(by_mask: Intervals, by_group: Intervals) -> str:
    """The same of the median class, in words."""
    worth = effective_masks(by_mask, by_group)
    known = worth[~np.isnan(worth)]
    masks = by_mask.mask_count
    what = (
        f"{counted(masks, 'mask')} in {counted(by_group.group_count, 'group')} by"
        f" {cut(repr(by_group.rule))}"
    )
    if not known.size:
        return f"{what}: nothing says how much others would differ"
    median = round(float(np.median(known)))
    if median >= masks:
        return f"{what} are worth as many independent ones (median class)"
    return f"{what} are worth about {max(median, 1):,} independent ones (median class)"


def different_masks(findings: Iterable[Finding], masks: int) -> int:
    """How many masks of a set that was checked are different ones, pixel for pixel."""
    copies = [
        len(group["masks"]) - 1
        for finding in findings
        if finding.kind == "duplicate"
        for group in finding.details
    ]
    return masks - sum(copies)


def different_words(different: int, masks: int) -> str:
    """The same in words; empty where all are different."""
    if different == masks:
        return ""
    return (
        f"{counted(masks, 'mask')} are {different:,} different ones: intervals count the copies,"
        " and are too narrow"
    )
