"""How different splits of a dataset are: class frequencies, presence, sizes, missing classes.

Pixels of one mask are neighbours, not independent observations: a test on pixel counts finds
every difference "significant". So tests here count masks, which contain a class or do not. (Frames
of one video are not independent either: read effect sizes first, p-values second.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskstatError, ParameterError, argument, call
from maskstat.frames import data_frame
from maskstat.naming import counted, did_you_mean, printable
from maskstat.showing import cut, html, one_line
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from pandas import DataFrame

FloatArray = NDArray[np.float64]

PSI_FLOOR = 1e-4
SMALLEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One side of a comparison.

    Attributes:
        name: what it is called.
        histogram: its totals.
        shapes: int64[B, 2], height and width of its masks.
    """

    name: str
    histogram: ClassHistogram
    shapes: IntArray

    def __repr__(self) -> str:
        return one_line(self, cut(self.name), counted(self.histogram.mask_count, "mask"))


@dataclass(frozen=True, slots=True, eq=False)
class PresenceTest:
    """Is a class equally often present in two splits? One chi-square test a class.

    Attributes:
        chi_square: float64[K], Pearson's statistic of the 2 x 2 table (contains the class or not)
            x (split), one degree of freedom, no continuity correction.
        p_value: float64[K], of that statistic.
        adjusted_p: float64[K], after Holm's (1979) correction for the classes that occur.
        cramers_v: float64[K], effect size sqrt(chi_square / masks): 0 the same, 1 one split has
            the class in every mask and the other in none.
        reliable: bool[K], whether every expected count is at least 5 (Cochran's rule); else the
            p-value is a rough one.
    """

    chi_square: FloatArray
    p_value: FloatArray
    adjusted_p: FloatArray
    cramers_v: FloatArray
    reliable: NDArray[np.bool_]

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False)
class PairComparison:
    """Two splits.

    Attributes:
        first, second: their names.
        js_distance: Jensen-Shannon distance of the class frequencies, base 2: 0 to 1.
        js_shares: float64[K], what each class adds to its square; all >= 0.
        psi: population stability index of the class frequencies.
        presence: a test for each class.
        only_first, only_second: classes that occur in one of them only.
        resolution: Kolmogorov-Smirnov distance, 0 to 1, of the masks' areas or of their aspect
            ratios, whichever is larger.
        leaked: pairs (masks of the first, masks of the second) that are equal pixel for pixel;
            None where nobody looked.
    """

    first: str
    second: str
    js_distance: float
    js_shares: FloatArray
    psi: float
    presence: PresenceTest
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    resolution: float
    leaked: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] | None

    __repr__ = one_line

    @property
    def leakage(self) -> int:
        """Masks of the second split that are also in the first."""
        return sum(len(second) for _, second in self.leaked or ())


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a pair of splits that a limit can be set for; 0 where they are alike."""

    name: str
    meaning: str
    value: Callable[[PairComparison], float]

    __repr__ = one_line


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "js",
            "Jensen-Shannon distance of class frequencies, 0 to 1",
            lambda pair: pair.js_distance,
        ),
        Metric("psi", "population stability index of class frequencies", lambda pair: pair.psi),
        Metric(
            "cramers-v",
            "largest Cramér's V of a class's presence, 0 to 1",
            lambda pair: float(pair.presence.cramers_v.max(initial=0.0)),
        ),
        Metric(
            "missing",
            "classes that occur in one of the two only",
            lambda pair: len(pair.only_first) + len(pair.only_second),
        ),
        Metric(
            "resolution",
            "Kolmogorov-Smirnov distance of mask sizes, 0 to 1",
            lambda pair: pair.resolution,
        ),
        Metric(
            "leakage",
            "masks of the second that are in the first, pixel for pixel",
            lambda pair: pair.leakage,
        ),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Splits of one dataset under one catalogue.

    Attributes:
        splits: as given.
        pairs: every two of them.
        unconfirmed: (split, mask) of masks that have the counts of another split's, but could not
            be compared with it pixel for pixel.
    """

    splits: tuple[Split, ...]
    pairs: tuple[PairComparison, ...]
    unconfirmed: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return one_line(self, *(cut(split.name, 20) for split in self.splits))

    def _repr_html_(self) -> str | None:
        return html(self)

    def to_pandas(self) -> DataFrame:
        """A row a pair of splits: each of `METRICS`. Raises MissingExtraError without pandas."""
        return data_frame(
            {
                metric.name: [metric.value(pair) for pair in self.pairs]
                for metric in METRICS.values()
            },
            {
                "first": [pair.first for pair in self.pairs],
                "second": [pair.second for pair in self.pairs],
            },
        )

    @property
    def order(self) -> tuple[int, ...]:
        """Class indices, what differs most first.

        Classes that some split lacks and another has come first, then those that add most to the
        Jensen-Shannon divergence of a pair; classes that occur nowhere come last.
        """
        present = np.stack([split.histogram.present for split in self.splits])
        missing = present.any(axis=0) & ~present.all(axis=0)
        share = np.max([pair.js_shares for pair in self.pairs], axis=0)
        return tuple(np.lexsort((-share, ~missing, ~present.any(axis=0))).tolist())

    def above(self, fail_above: Mapping[str, float]) -> tuple[Excess, ...]:
        """Where a metric is larger than a limit.

        Args:
            fail_above: largest allowed value by metric: js, psi, cramers-v, missing, resolution
                or leakage.

        Raises:
            ParameterError: no metric is called so, or a limit is not a number of at least 0.
        """
        check_limits(fail_above)
        return tuple(
            Excess(name, pair.first, pair.second, value, limit)
            for pair in self.pairs
            for name, limit in fail_above.items()
            if (value := float(METRICS[name].value(pair))) > limit
        )


class Excess(NamedTuple):
    """A metric of two splits that is above its limit."""

    metric: str
    first: str
    second: str
    value: float
    limit: float

    def __repr__(self) -> str:
        return one_line(self)


def check_limits(fail_above: Mapping[str, float]) -> None:
    """Raise ParameterError where a limit is of no metric, or not a number of at least 0."""
    for name, limit in fail_above.items():
        if name not in METRICS:
            raise ParameterError(
                f"no metric is called {printable(name)!r}",
                parameter="fail_above",
                remedy=f"{did_you_mean(name, METRICS)}known are {', '.join(METRICS)}",
            )
        if not 0 <= limit < math.inf:
            raise ParameterError(
                f"{limit:g} is not a number of at least 0", parameter="fail_above", where=name
            )


Leaks = Mapping[tuple[str, str], Sequence[tuple[tuple[str, ...], tuple[str, ...]]]]


def compare_splits(
    splits: Sequence[Split],
    leaks: Leaks | None = None,
    *,
    unconfirmed: Sequence[tuple[str, str]] = (),
) -> Comparison:
    """Compare every pair of splits.

    Args:
        splits: two or more, in an order that puts training first.
        leaks: equal masks of each pair (first, second), where somebody looked for them.
        unconfirmed: (split, mask) of masks that could not be looked at.

    Raises:
        ParameterError: fewer than two splits, or two of one name.
        MaskstatError: splits of different catalogues, or one without a labelled pixel.
    """
    names = [split.name for split in splits]
    if len(splits) < 2 or len(set(names)) < len(names):
        raise ParameterError(
            "a comparison needs two or more different splits",
            where=" ".join(map(printable, names)) or None,
            remedy=f"name their scans: {call('Scan.compare', Blank('train'), Blank('val'))}",
        )
    if len({split.histogram.catalog.digest for split in splits}) > 1:
        raise MaskstatError("splits of different classes can't be compared")
    for split in splits:
        if not split.histogram.labelled_pixels:
            raise MaskstatError(
                "has not one labelled pixel, so there is nothing to compare",
                where=printable(split.name),
                remedy=f"check {argument('classes')} and {argument('ignore')} against"
                f" '{call('open_scan')}'",
            )
    return Comparison(
        tuple(splits),
        tuple(_compare(first, second, leaks) for first, second in combinations(splits, 2)),
        tuple(unconfirmed),
    )


def _compare(first: Split, second: Split, leaks: Leaks | None) -> PairComparison:
    one, other = first.histogram, second.histogram
    shares = jensen_shannon_shares(one.frequency, other.frequency)
    return PairComparison(
        first.name,
        second.name,
        float(np.sqrt(min(1.0, shares.sum()))),
        shares,
        population_stability_index(one.frequency, other.frequency),
        presence_test(one.masks, one.mask_count, other.masks, other.mask_count),
        tuple(np.flatnonzero(one.present & ~other.present).tolist()),
        tuple(np.flatnonzero(other.present & ~one.present).tolist()),
        size_distance(first.shapes, second.shapes),
        None if leaks is None else tuple(leaks.get((first.name, second.name), ())),
    )


def jensen_shannon_shares(p: FloatArray, q: FloatArray) -> FloatArray:
    """float64[K], what each class adds to the Jensen-Shannon divergence (base 2) of p and q.

    (p ln(p / m) + q ln(q / m)) / (2 ln 2) with m = (p + q) / 2; never negative (Lin 1991). The
    root of the sum is a metric (Endres & Schindelin 2003).
    """
    middle = (p + q) / 2
    shares = np.zeros(p.size)
    for side in (p, q):
        occurs = side > 0
        shares[occurs] += side[occurs] * np.log2(side[occurs] / middle[occurs]) / 2
    return np.maximum(shares, 0.0)


def population_stability_index(p: FloatArray, q: FloatArray) -> float:
    """PSI = sum (q - p) ln(q / p), with shares below 1e-4 taken as 1e-4. Symmetric, >= 0.

    By custom below 0.1 is stable, 0.1 to 0.25 a moderate shift, more a major one (Siddiqi 2006).
    Without the floor one missing class would make it infinite.
    """
    p, q = np.maximum(p, PSI_FLOOR), np.maximum(q, PSI_FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def presence_test(
    first: IntArray, first_masks: int, second: IntArray, second_masks: int
) -> PresenceTest:
    """Chi-square of each class's presence, from image counts int64[K] of two sets of masks.

    A class that every mask has, or none, differs nowhere: statistic 0, p-value 1.
    """
    from scipy.special import erfc

    observed = np.stack([first, first_masks - first, second, second_masks - second])
    total = first_masks + second_masks
    inside = (first + second).astype(np.float64)
    shares = np.array([first_masks, first_masks, second_masks, second_masks]) / max(total, 1)
    columns = np.stack([inside, total - inside, inside, total - inside])
    expected = shares[:, None] * columns
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(expected > 0, (observed - expected) ** 2 / expected, 0.0)
    chi_square = terms.sum(axis=0)
    varies = (inside > 0) & (inside < total)
    chi_square[~varies] = 0.0
    p_value = np.asarray(erfc(np.sqrt(chi_square / 2)))  # the tail of chi-square with 1 df
    adjusted = np.ones(p_value.size)
    adjusted[inside > 0] = holm(p_value[inside > 0])
    return PresenceTest(
        chi_square,
        p_value,
        adjusted,
        np.sqrt(np.minimum(chi_square / max(total, 1), 1.0)),
        expected.min(axis=0) >= SMALLEST_EXPECTED,
    )


def holm(p_values: FloatArray) -> FloatArray:
    """p-values adjusted for their number by the step-down method of Holm (1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = p_values.size - np.arange(p_values.size)
    adjusted = np.empty(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def size_distance(first: IntArray, second: IntArray) -> float:
    """The larger Kolmogorov-Smirnov distance of areas and of aspect ratios, shapes int64[B, 2]."""
    if not len(first) or not len(second):
        return 0.0
    return max(
        kolmogorov_smirnov(first[:, 0] * first[:, 1], second[:, 0] * second[:, 1]),
        kolmogorov_smirnov(first[:, 1] / first[:, 0], second[:, 1] / second[:, 0]),
    )


def kolmogorov_smirnov(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Largest difference of the two empirical distribution functions, 0 to 1."""
    points = np.union1d(first, second)
    below = [
        np.searchsorted(np.sort(sample), points, side="right") / sample.size
        for sample in (first, second)
    ]
    return float(np.abs(below[0] - below[1]).max())
