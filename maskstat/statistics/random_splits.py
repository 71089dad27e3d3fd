"""What two splits would differ by if chance alone had made them: groups permuted between them.

Where the groups of both splits are draws from one population, every way to deal them out to two
splits of as many groups is equally likely (Fisher 1935). So a p-value is the share of such random
splits that differ as much as the given one or more, itself among them. It is exact, whatever the
masks look like, and it is as honest as the groups: frames of one video are no draws of their own.

Kept is the number of *groups* of each split, not of masks: a draw decides on groups, and how many
masks come with one is part of what it draws. Groups that are in both splits stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted, natural_key
from maskstat.showing import cut, one_line
from maskstat.statistics.distances import (
    FloatArray,
    cramers_v,
    jensen_shannon_distance,
    jensen_shannon_shares,
    population_stability_index,
    size_measures,
)
from maskstat.statistics.p_values import fisher_exact, holm
from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

SIGNIFICANT = 0.05
LEAST_SPLITS = 10_000  # random splits that are looked at, unless there are fewer
SPLITS_A_TEST = 125  # so that the least p-value after Holm's correction is 0.008
_ADDITIONS = 12_000_000_000  # some ten seconds
_UNITS = 128  # of the smaller split, before several groups move together
_CELLS = 8_000_000  # of the table of units, 64 MB
_BLOCK = 1_000_000  # cells of sums that are looked at together
_SIZES = 128  # points of a distribution of sizes


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One side of a comparison.

    Attributes:
        name: what it is called.
        histogram: its totals.
        ledger: its B masks.
        shapes: int64[B, 2], height and width of its masks, in the order of the ledger.
        groups: which of them belong together.
    """

    name: str
    histogram: ClassHistogram
    ledger: MaskLedger
    shapes: IntArray
    groups: MaskGroups

    def __repr__(self) -> str:
        return one_line(self, cut(self.name), counted(self.histogram.mask_count, "mask"))


class MetricNull(NamedTuple):
    """Where a metric stands among random splits.

    Attributes:
        p_value: share of them that differ as much or more; 1 - p_value is its percentile.
        usual: 95% of them have at most this.
    """

    p_value: float
    usual: float

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, slots=True, eq=False)
class ClassTest:
    """Does each class differ between two splits?

    Attributes:
        p_value: float64[K], of one class alone.
        adjusted_p: float64[K], after Holm's (1979) correction for all tests of the two splits.
    """

    p_value: FloatArray
    adjusted_p: FloatArray

    __repr__ = one_line

    @property
    def differs(self) -> NDArray[np.bool_]:
        """bool[K], significant at a family-wise error of 5%."""
        return np.asarray(self.adjusted_p <= SIGNIFICANT)


@dataclass(frozen=True, slots=True, eq=False)
class RandomSplits:
    """Two splits among those that chance would make of the same groups.

    Attributes:
        rule: the rule that groups were read by; "mask" where each is one of its own.
        groups: how many groups each of the two has.
        shared: names of groups that are in both, which stay where they are; in natural order.
        count: how many splits p-values are shares of, the given one among them.
        exact: whether these are all that there are.
        least_p: the least p-value that so many can give.
        tests: how many tests Holm's correction is for: pixels and presence of each class that
            occurs, Jensen-Shannon distance, sizes.
        metrics: by name, js, psi, cramers-v, missing and resolution.
        frequency: is the share of pixels of a class different? By permutation.
        presence: is a class in another share of the masks? By Fisher's exact test where masks are
            the groups, else by permutation.
        js_adjusted, resolution_adjusted: p-values after Holm's correction of those two.
        by_mask: where groups are not masks, the Jensen-Shannon distance among random splits of
            masks: what one would have thought.
    """

    rule: str
    groups: tuple[int, int]
    shared: tuple[str, ...]
    count: int
    exact: bool
    least_p: float
    tests: int
    metrics: Mapping[str, MetricNull]
    frequency: ClassTest
    presence: ClassTest
    js_adjusted: float
    resolution_adjusted: float
    by_mask: MetricNull | None

    __repr__ = one_line

    @property
    def noun(self) -> str:
        """What is moved: "mask" or "group"."""
        return "mask" if self.by_mask is None else "group"

    @property
    def p_value(self) -> float:
        """The least p-value of all tests after Holm's correction: does anything differ?"""
        classes = (self.frequency.adjusted_p, self.presence.adjusted_p)
        least = min(float(each.min(initial=1.0)) for each in classes)
        return min(least, self.js_adjusted, self.resolution_adjusted)

    @property
    def least_adjusted(self) -> float:
        """The least that permutation can give for the most different of all tests."""
        return min(1.0, self.least_p * self.tests)


def shared_groups(first: MaskGroups, second: MaskGroups) -> tuple[str, ...]:
    """Names of groups that two splits have in common, in natural order.

    A mask or a file is another one in another split, even where it is called the same; and masks
    without a folder, or with an empty column, are in no group together.
    """
    if {GroupRule(groups.rule).kind for groups in (first, second)} & {"mask", "file"}:
        return ()
    return tuple(sorted({*first.names} & {*second.names} - {""}, key=natural_key))


def random_splits(first: Split, second: Split) -> RandomSplits:
    """Compare two splits with those that chance makes of the same groups; always the same ones.

    Up to 10,000 of them all are looked at, else as many are drawn: 10,000, or 125 for each test
    where these are more. A split of many groups moves several of them at once, as many of each
    side and drawn beforehand: the same law, and as exact. Needs memory for 8 million numbers,
    and three seconds with 150 classes; of more than 900 classes fewer splits are drawn than their
    tests would need.
    """
    found = _Permuted(first, second, first.groups, second.groups)
    by_mask = None
    if not (first.groups.are_masks and second.groups.are_masks):
        alone = [MaskGroups.of_labels("mask", each.ledger.names) for each in (first, second)]
        by_mask = _Permuted(first, second, *alone, least=True).metrics["js"]
    one, other = first.histogram, second.histogram
    occurs = one.present | other.present
    masks = one.mask_count + other.mask_count
    inside = one.masks + other.masks
    presence = found.presence
    if by_mask is None and not found.shared:
        presence = fisher_exact(one.masks, one.mask_count, other.masks, other.mask_count)
    varies = (inside > 0) & (inside < masks)
    sizes = found.metrics["resolution"].p_value if found.has_sizes else None
    family = np.concatenate(
        (
            [found.metrics["js"].p_value],
            [] if sizes is None else [sizes],
            found.frequency[occurs],
            presence[varies],
        )
    )
    adjusted = holm(family)
    frequency_adjusted, presence_adjusted = np.ones(occurs.size), np.ones(occurs.size)
    at = family.size - int(varies.sum())
    frequency_adjusted[occurs] = adjusted[at - int(occurs.sum()) : at]
    presence_adjusted[varies] = adjusted[at:]
    return RandomSplits(
        first.groups.rule,
        (len(first.groups), len(second.groups)),
        found.shared,
        found.count,
        found.exact,
        found.least_p,
        family.size,
        found.metrics,
        ClassTest(found.frequency, frequency_adjusted),
        ClassTest(presence, presence_adjusted),
        float(adjusted[0]),
        1.0 if sizes is None else float(adjusted[1]),
        by_mask,
    )


class _Permuted:
    """Random splits of the groups of two, counted by how far each differs."""

    def __init__(
        self,
        first: Split,
        second: Split,
        first_groups: MaskGroups,
        second_groups: MaskGroups,
        *,
        least: bool = False,
    ):
        self.shared = shared_groups(first_groups, second_groups)
        sides = [(first, first_groups), (second, second_groups)]
        # The same splits whichever of the two comes first.
        sides.sort(key=lambda side: (len(side[1]), side[1].names))
        self._classes = len(first.histogram.catalog)
        points = _size_points(first.shapes, second.shapes)
        self.has_sizes = any(each.size for each in points)
        columns = 2 * self._classes + 1 + sum(each.size for each in points)
        random = np.random.default_rng(0)
        free = [len(groups) - len(self.shared) for _, groups in sides]
        together = max(1, free[0] // _UNITS)
        most = max(_CELLS // columns, 2 * _UNITS)
        tables, stays = [], []
        for split, groups in sides:
            units, count = _units_of(groups, self.shared, together, most, random)
            table = _table(split, units, count + 1, points)
            tables.append(table[:-1])
            stays.append(table[-1])
        few = len(tables[0])
        self._table = np.concatenate(tables)
        self._few_stay = stays[0]
        self._total = self._table.sum(axis=0) + stays[0] + stays[1]
        self._points = [each.size for each in points]
        choices = math.comb(len(self._table), few)
        tests = 2 * self._classes + 2
        wanted = LEAST_SPLITS
        if not least:
            affordable = _ADDITIONS // max(few * columns, 1)
            wanted = max(wanted, min(SPLITS_A_TEST * tests, affordable))
        self.exact = choices <= wanted
        self.count = min(choices, wanted)
        mirrored = 2 * few == len(self._table) and not np.any(stays)
        self.least_p = min(1.0, (1 + mirrored) / self.count) if self.exact else 1 / self.count
        self._count_them(few, random)

    def _count_them(self, few: int, random: np.random.Generator) -> None:
        """Looks at all, a block at a time; the given split is the first."""
        exceeding: list[IntArray] = []
        bounds: list[FloatArray] = []
        values: dict[str, list[FloatArray]] = {}
        for sums in self._sums(few, random):
            metrics, frequency, presence = self._differences(sums)
            if not bounds:
                # What is equal but for rounding counts as equal.
                bounds = [each[0] * (1 - 1e-9) - 1e-12 for each in (frequency, presence)]
                exceeding = [np.zeros(each.size, np.int64) for each in bounds]
            for place, each in enumerate((frequency, presence)):
                exceeding[place] += (each >= bounds[place]).sum(axis=0)
            for name, found in metrics.items():
                values.setdefault(name, []).append(found)
        self.frequency, self.presence = (each / self.count for each in exceeding)
        self.metrics = {}
        for name, blocks in values.items():
            every = np.concatenate(blocks)
            far = (every >= every[0] * (1 - 1e-9) - 1e-12).sum()
            usual = np.quantile(every, 0.95, method="inverted_cdf")
            self.metrics[name] = MetricNull(float(far / self.count), float(usual))

    def _sums(self, few: int, random: np.random.Generator) -> Iterator[FloatArray]:
        """float64[n, columns], totals of the smaller split, whole numbers."""
        from scipy.sparse import csr_array

        step = max(1, _BLOCK // self._table.shape[1])
        every = combinations(range(len(self._table)), few) if self.exact else None
        for start in range(0, self.count, step):
            size = min(step, self.count - start)
            if every is not None:
                chosen = np.array(list(islice(every, size)), np.int64).reshape(size, few)
            else:
                chosen = np.empty((size, few), np.int64)
                for row in chosen:
                    row[:] = random.choice(len(self._table), few, replace=False, shuffle=False)
                if start == 0:
                    chosen[0] = np.arange(few)
            ones, ends = np.ones(chosen.size), np.arange(size + 1) * few
            picked = csr_array((ones, chosen.ravel(), ends), (size, len(self._table)))
            yield picked @ self._table + self._few_stay

    def _differences(
        self, sums: FloatArray
    ) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
        """Metrics float64[n] by name, and float64[n, K] of classes, by pixels and by presence."""
        k, others = self._classes, self._total - sums
        frequencies, masks, lacking = [], [], np.zeros(len(sums), bool)
        for side in (sums, others):
            labelled = side[:, :k].sum(axis=1, keepdims=True)
            frequencies.append(side[:, :k] / np.maximum(labelled, 1.0))
            masks.append(side[:, 2 * k, None])
            lacking |= labelled[:, 0] == 0
        shares = jensen_shannon_shares(*frequencies)
        shares[lacking] = 1.0  # a split without a labelled pixel is as different as can be
        presence = [side[:, k : 2 * k] for side in (sums, others)]
        effects = cramers_v(presence[0], masks[0], presence[1], masks[1])
        sizes, at = np.zeros(len(sums)), 2 * k + 1
        for length in self._points:
            below = [
                side[:, at : at + length] / np.maximum(count, 1.0)
                for side, count in zip((sums, others), masks, strict=True)
            ]
            sizes = np.maximum(sizes, np.abs(below[0] - below[1]).max(axis=1, initial=0.0))
            at += length
        metrics = {
            "js": jensen_shannon_distance(shares),
            "psi": population_stability_index(*frequencies),
            "cramers-v": effects.max(axis=1, initial=0.0),
            "missing": ((presence[0] > 0) != (presence[1] > 0)).sum(axis=1).astype(np.float64),
            "resolution": sizes,
        }
        return metrics, shares, effects


def _units_of(
    groups: MaskGroups,
    shared: tuple[str, ...],
    together: int,
    most: int,
    random: np.random.Generator,
) -> tuple[IntArray, int]:
    """int64[B], the unit each mask moves with, and how many; masks that stay have this number."""
    fixed = {*shared}
    free = np.flatnonzero(np.array([name not in fixed for name in groups.names], bool))
    if together > 1 or free.size > most:
        free = random.permutation(free)
    count = min(free.size // together, most)
    unit = np.full(len(groups), count)
    unit[free[: count * together]] = np.arange(count).repeat(together)
    return unit[groups.of], count


def _table(
    split: Split, units: IntArray, count: int, points: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """float64[count, columns] of so many units, whole numbers.

    Columns: pixels of each class, masks with each class, masks, masks up to each size.
    """
    ledger, k = split.ledger, len(split.histogram.catalog)
    rows = np.repeat(units, ledger.class_counts)
    keys = rows * k + ledger.classes
    cells = count * k
    parts = [
        np.bincount(keys, weights, minlength=cells).reshape(count, k)
        for weights in (ledger.pixels, None)
    ]
    parts.append(np.bincount(units, minlength=count)[:, None])
    for measure, ends in zip(size_measures(split.shapes), points, strict=True):
        places = np.searchsorted(ends, measure)
        width = ends.size + 1
        histogram = np.bincount(units * width + places, minlength=count * width)
        parts.append(histogram.reshape(count, width)[:, :-1].cumsum(axis=1))
    return np.concatenate(parts, axis=1).astype(np.float64)


def _size_points(first: IntArray, second: IntArray) -> tuple[FloatArray, FloatArray]:
    """Where distributions of areas and of aspect ratios are looked at: all sizes, or 128 of them.

    None where all masks have one size: there all distributions are 1 from the first point on.
    """
    points = []
    for measures in zip(size_measures(first), size_measures(second), strict=True):
        values = np.unique(np.concatenate(measures))[:-1]
        at = np.linspace(0, values.size - 1, min(values.size, _SIZES)).astype(np.int64)
        points.append(values[at])
    return points[0], points[1]
