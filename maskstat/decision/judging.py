"""What a decision gains on groups that it was not chosen on, and how sure that is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.ascent import ROUNDED, PixelSample, decided, may_change
from maskstat.decision.choices import Measure
from maskstat.decision.families import DecisionFamily, Training
from maskstat.decision.measures import DecisionCounts, FloatArray, without_each_group
from maskstat.decision.reservoir import Reservoir
from maskstat.values.students_t import student
from maskstat.values.tally import IntArray

LEAST_GROUPS = 5
"""With fewer, no interval says anything, and nothing is recommended."""

FOLDS = 10  # parts that groups are put into, each judged by what was chosen on the others
_FEWER_FOLDS = 5  # where there are so many classes that a choice takes seconds
_MANY_CLASSES = 40


@dataclass(frozen=True, slots=True)
class Gain:
    """How much a measure rises, in its unit, and the 95% interval; NaN where groups are too few."""

    value: float
    lower: float
    upper: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval is above zero."""
        return self.lower > 0


def gain(
    plain: DecisionCounts,
    other: DecisionCounts,
    groups: IntArray,
    group_count: int,
    measure: Measure,
) -> Gain:
    """What another decision gains over argmax, when groups are the sample.

    The interval is the delete-one-group jackknife's with Student's t of one degree of freedom less
    than there are groups (Efron and Tibshirani 1993, chapter 11).

    Args:
        plain, other: of the same B images.
        groups: int64[B] in 0..G-1, every group at least once.
    """
    value = other.score(measure) - plain.score(measure)
    if group_count < 2:
        return Gain(value, math.nan, math.nan)
    rest = without_each_group(other, groups, group_count, measure)
    rest -= without_each_group(plain, groups, group_count, measure)
    rest = rest[np.isfinite(rest)]  # one group may hold every labelled pixel
    if rest.size < 2:
        return Gain(value, math.nan, math.nan)
    error = math.sqrt((rest.size - 1) / rest.size * float(((rest - rest.mean()) ** 2).sum()))
    width = float(student(np.array([rest.size - 1]))[0]) * error
    return Gain(value, value - width, value + width)


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Shifts of every family that were chosen without each fold, and with all of them.

    Attributes:
        families: J of them, simplest first.
        folds: int64[G], the fold of each group, 0..F-1.
        held_out: float64[F, J, K], chosen on all groups but those of a fold.
        all_groups: float64[J, K], chosen on all groups.
        nested: int64[F], the family that would have been recommended without a fold; -1 for none.
    """

    families: tuple[DecisionFamily, ...]
    folds: IntArray
    held_out: FloatArray
    all_groups: FloatArray
    nested: IntArray

    def shifts_for(self, group: int) -> FloatArray:
        """float64[2 J + 2, K]: argmax, each family held out, the nested choice, each in sample."""
        fold = int(self.folds[group])
        held_out = self.held_out[fold]
        none = np.zeros_like(self.all_groups[:1])
        best = int(self.nested[fold])
        nested = none if best < 0 else held_out[best : best + 1]
        return np.concatenate([none, held_out, nested, self.all_groups])


def folds_of(sizes: IntArray, class_count: int) -> IntArray:
    """int64[G]: groups of so many images put into folds of about as many, the largest first."""
    most = _FEWER_FOLDS if class_count > _MANY_CLASSES else FOLDS
    count = min(most, sizes.size)
    folds = np.empty(sizes.size, np.int64)
    filled = np.zeros(count, np.int64)
    for group in np.argsort(-sizes, kind="stable").tolist():
        folds[group] = fold = int(filled.argmin())
        filled[fold] += sizes[group]
    return folds


def choose(
    sample: Reservoir,
    families: Sequence[DecisionFamily],
    measure: Measure,
    training: Training,
    on_fit: Callable[[int, int], None] | None = None,
) -> Choices:
    """Shifts of all families, with and without every fold.

    The nested choice of a fold is made on the others alone, each of them judged by what was chosen
    on the rest: so what is recommended is judged, too, on groups that had no part in it.

    Args:
        on_fit: is told before each of the n fits, which of them it is, from 1 on, and n.
    """
    groups = sample.groups
    sizes = np.bincount(groups)
    folds = folds_of(sizes, sample.class_count)
    count = int(folds.max()) + 1
    is_nested = sizes.size > LEAST_GROUPS  # without a group there are enough left
    fits = count + 1 + (math.comb(count, 2) if is_nested else 0)
    numbers = itertools.count(1)

    def chosen_without(*left_out: int) -> FloatArray:
        if on_fit is not None:
            on_fit(next(numbers), fits)
        pixels = sample.pixels(~np.isin(folds, left_out))
        return np.array([family.choose(pixels, measure, training) for family in families])

    held_out = np.array([chosen_without(fold) for fold in range(count)])
    nested = np.full(count, -1)
    if is_nested:
        pairs = {(f, h): chosen_without(f, h) for f in range(count) for h in range(f + 1, count)}
        for fold in range(count):
            shifts = {h: pairs[min(fold, h), max(fold, h)] for h in range(count) if h != fold}
            nested[fold] = _simplest(sample, folds, shifts, measure)
    return Choices(tuple(families), folds, held_out, chosen_without(), nested)


def _simplest(
    sample: Reservoir, folds: IntArray, shifts: dict[int, FloatArray], measure: Measure
) -> int:
    """The first family that gains for sure on the sample's folds, -1 for none."""
    parts = [
        _outcomes(sample.pixels(folds == fold), np.vstack([np.zeros_like(found[:1]), found]))
        for fold, found in sorted(shifts.items())
    ]
    joined = [
        DecisionCounts.joined([part[d] for part, _ in parts]) for d in range(len(parts[0][0]))
    ]
    groups = np.unique(np.concatenate([of for _, of in parts]), return_inverse=True)[1]
    count = int(groups.max()) + 1
    for number, other in enumerate(joined[1:]):
        if gain(joined[0], other, groups, count, measure).is_sure:
            return number
    return -1


def _outcomes(pixels: PixelSample, shifts: FloatArray) -> tuple[list[DecisionCounts], IntArray]:
    """What each of some decisions makes of the images of a sample, and the groups of these."""
    rows, groups = pixels.image_rows()
    of = [
        pixels.outcomes(decided(pixels.logits, each), by=rows, count=groups.size) for each in shifts
    ]
    return of, groups


def all_outcomes(
    logits: NDArray[np.float32], labels: IntArray, shifts: FloatArray
) -> list[DecisionCounts]:
    """What each of D decisions float64[D, K] makes of one image."""
    plain = decided(logits, np.zeros(len(logits)))
    least = may_change(logits)
    known: dict[bytes, DecisionCounts] = {}
    for each in shifts:
        if each.tobytes() not in known:
            # Where the largest leads by more than the shifts are apart, they change nothing.
            apart = np.ptp(each) + ROUNDED * np.abs(each).max()
            near = np.flatnonzero(least <= apart)
            chosen = plain.copy()
            chosen[near] = decided(logits[:, near], each)
            known[each.tobytes()] = DecisionCounts.of(labels, chosen, len(logits))
    return [known[each.tobytes()] for each in shifts]


def sampled_outcomes(sample: Reservoir, choices: Choices) -> tuple[list[DecisionCounts], IntArray]:
    """What each decision makes of the images of a sample, and int64[B], the groups of these."""
    every = np.arange(choices.folds.size)
    parts = [
        _outcomes(sample.pixels(every == group), choices.shifts_for(group))
        for group in every.tolist()
    ]
    decisions = [
        DecisionCounts.joined(list(of)) for of in zip(*(of for of, _ in parts), strict=True)
    ]
    return decisions, np.concatenate([groups for _, groups in parts])
