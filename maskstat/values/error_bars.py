"""Intervals: how sure an estimate of each class is, when masks or groups of them are the sample.

Pixels of one mask are nearly copies of each other, and masks of one video are, too. So what is
drawn at random is a mask, or a group that somebody named, and all errors count these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted
from maskstat.showing import cut, one_line
from maskstat.values.students_t import CONFIDENCE, NORMAL, student
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

PRECISION = 0.1
"""What `Intervals.needed` is asked for: an interval of about ±10%."""

FILE_COLUMNS = (
    "relative_standard_error",
    "lower",
    "upper",
    "seen_in_masks",
    "seen_in_groups",
)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """95% intervals of one positive number a class, and what they count.

    On a logarithmic scale: the estimate × and ÷ exp(t · relative standard error), with t of
    Student's distribution and one degree of freedom less than groups that have the class (1.96
    where these are many). A class in fewer than two groups has none: nothing says how much it
    varies.

    Attributes:
        relative_standard_error: float64[K], NaN where there is none.
        lower, upper: float64[K], the 95% interval, NaN where there is none.
        masks: int64[K], masks with the class.
        groups: int64[K], groups with the class.
        mask_count: all masks, B.
        group_count: all groups, G.
        rule: what makes groups, as `GroupRule.text`; "mask" where each mask is one.
        method: how they were worked out, in a word.
    """

    relative_standard_error: FloatArray
    lower: FloatArray
    upper: FloatArray
    masks: IntArray
    groups: IntArray
    mask_count: int
    group_count: int
    rule: str
    method: str = "linearised"

    def __post_init__(self) -> None:
        arrays = (self.relative_standard_error, self.lower, self.upper, self.masks, self.groups)
        if len({array.shape for array in arrays}) != 1:
            raise ValueError("intervals must be equally long")
        for array in arrays:
            array.flags.writeable = False

    @classmethod
    def around(
        cls,
        estimates: FloatArray,
        errors: FloatArray,
        *,
        masks: IntArray,
        groups: IntArray,
        mask_count: int,
        group_count: int,
        rule: str,
        bounds: tuple[float, float] = (0.0, math.inf),
        fixed: NDArray[np.bool_] | None = None,
        method: str = "linearised",
    ) -> Intervals:
        """From estimates and their relative standard errors, [K] each.

        There is none where either is no positive finite number (0 for an error), where fewer than
        two groups have the class, or where the interval is no finite number. `bounds` are what
        no value is beyond, and `fixed` [K] are no estimates: they are what they are.
        """
        sampled = groups >= 2 if fixed is None else (groups >= 2) | fixed
        known = sampled & (estimates > 0) & np.isfinite(estimates) & np.isfinite(errors)
        factor = np.full(len(estimates), np.nan)
        with np.errstate(over="ignore"):
            factor[known] = np.exp(student(np.maximum(groups[known] - 1, 1)) * errors[known])
            upper = np.clip(estimates * factor, *bounds)
            known &= np.isfinite(upper)
            lower = np.clip(estimates / factor, *bounds)
        return cls(
            np.where(known, errors, np.nan),
            np.where(known, lower, np.nan),
            np.where(known, upper, np.nan),
            masks,
            groups,
            mask_count,
            group_count,
            rule,
            method,
        )

    def __len__(self) -> int:
        """How many classes, K."""
        return self.lower.size

    def __repr__(self) -> str:
        return one_line(
            self,
            counted(int(self.known.sum()), "class"),
            counted(self.group_count, "group"),
            cut(self.rule),
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool[K], classes that have an interval."""
        return ~np.isnan(self.lower)

    @property
    def unit(self) -> str:
        """What is counted: "mask" or "group"."""
        return "mask" if self.rule == "mask" else "group"

    @property
    def needed(self) -> FloatArray:
        """float64[K], groups (or masks) like these for ±10%; NaN where nobody can say."""
        errors = self.relative_standard_error
        return np.asarray(np.ceil(self.group_count * (NORMAL * errors / PRECISION) ** 2))

    def interval(self, k: int) -> tuple[float, float] | None:
        """The 95% interval of a class, or None."""
        return (float(self.lower[k]), float(self.upper[k])) if self.known[k] else None

    def seen_in(self, k: int) -> str:
        """What is known of a class: "201 masks", or "201 masks in 3 groups"."""
        masks = counted(int(self.masks[k]), "mask")
        if self.unit == "mask":
            return masks
        return f"{masks} in {counted(int(self.groups[k]), 'group')}"

    def reason(self, k: int) -> str | None:
        """Why a class has no interval; None where it has one."""
        if self.known[k]:
            return None
        if not self.groups[k]:
            return "it never occurs"
        if self.groups[k] == 1:
            return f"it is in one {self.unit} only"
        return "its error is unknown"

    def about(self) -> dict[str, Any]:
        """What documents say of all of them."""
        return {
            "confidence": CONFIDENCE,
            "group_by": self.rule,
            "groups": self.group_count,
            "masks": self.mask_count,
            "method": self.method,
        }

    def columns(self) -> dict[str, list[Any]]:
        """A value a class: `relative_standard_error` and `interval` ([low, high]), or None."""
        held = self.file_columns()
        pairs = zip(held["lower"], held["upper"], strict=True)
        return {
            "relative_standard_error": held["relative_standard_error"],
            "interval": [None if low is None else [low, high] for low, high in pairs],
        }

    def file_columns(self) -> dict[str, list[Any]]:
        """What files hold of each class, without NaN."""
        known = self.known.tolist()
        held: dict[str, list[Any]] = {
            name: [
                value if sure else None
                for value, sure in zip(getattr(self, name).tolist(), known, strict=True)
            ]
            for name in FILE_COLUMNS[:3]
        }
        return held | {
            name: getattr(self, name.removeprefix("seen_in_")).tolist() for name in FILE_COLUMNS[3:]
        }

    @classmethod
    def from_file(cls, about: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]) -> Intervals:
        """What `about` and `file_columns` gave. Raises ValueError for anything else."""
        try:
            errors, lower, upper = (
                np.array([math.nan if v in (None, "") else float(v) for v in columns[name]])
                for name in FILE_COLUMNS[:3]
            )
            masks, groups = (
                np.array([int(v) for v in columns[name]], np.int64) for name in FILE_COLUMNS[3:]
            )
            counts = int(about["masks"]), int(about["groups"])
            rule, method = str(about["group_by"]), str(about["method"])
            found = cls(errors, lower, upper, masks, groups, *counts, rule, method)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError("intervals that lack something") from error
        sure = found.known
        held = np.stack([errors, lower, upper])
        if not np.isfinite(held[:, sure]).all() or not np.isnan(held[:, ~sure]).all():
            raise ValueError("intervals that are no numbers")
        if (held < 0).any() or (lower > upper).any() or min(masks.min(), groups.min(), *counts) < 0:
            raise ValueError("intervals that are none")
        return found
