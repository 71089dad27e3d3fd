"""How different splits of a dataset are: class frequencies, presence, sizes, missing classes.

Pixels of one mask are neighbours, not independent observations: a test on pixel counts finds
every difference "significant". So what is compared with chance are groups of masks, or masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from maskstat.errors import Blank, MaskstatError, ParameterError, argument, call, spelled
from maskstat.frames import data_frame
from maskstat.naming import printable
from maskstat.parameters import find_named
from maskstat.showing import cut, html, one_line
from maskstat.statistics.distances import (
    FloatArray,
    cramers_v,
    jensen_shannon_distance,
    jensen_shannon_shares,
    population_stability_index,
    size_distance,
)
from maskstat.statistics.random_splits import RandomSplits, Split, random_splits
from maskstat.statistics.split_verdict import verdict
from maskstat.values.groups import MaskGroups

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class PairComparison:
    """Two splits.

    Attributes:
        first, second: their names.
        js_distance: Jensen-Shannon distance of the class frequencies, base 2: 0 to 1.
        js_shares: float64[K], what each class adds to its square; all >= 0.
        psi: population stability index of the class frequencies.
        cramers_v: float64[K], effect size of each class's presence in masks: 0 the same, 1 one
            split has the class in every mask and the other in none.
        only_first, only_second: classes that occur in one of them only.
        resolution: Kolmogorov-Smirnov distance, 0 to 1, of the masks' areas or of their aspect
            ratios, whichever is larger.
        chance: where they stand among splits that chance makes of the same groups.
        told: what it comes to, a text for `errors.spelled`.
        leaked: pairs (masks of the first, masks of the second) that are equal pixel for pixel;
            None where nobody looked.
    """

    first: str
    second: str
    js_distance: float
    js_shares: FloatArray
    psi: float
    cramers_v: FloatArray
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    resolution: float
    chance: RandomSplits
    told: str
    leaked: Leaked | None

    __repr__ = one_line

    @property
    def leakage(self) -> int:
        """Masks of the second split that are also in the first."""
        return _leakage(self.leaked)

    @property
    def verdict(self) -> str:
        """What it comes to, in words."""
        return spelled(self.told)


Leaked = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def _leakage(leaked: Leaked | None) -> int:
    return sum(len(second) for _, second in leaked or ())


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
            lambda pair: float(pair.cramers_v.max(initial=0.0)),
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
        Metric(
            "shared-groups",
            "groups of masks that are in both",
            lambda pair: len(pair.chance.shared),
        ),
    )
}
# What `Comparison.below` knows: "p" is the least p-value of all tests after Holm's correction.
P_VALUES = ("p", "js", "psi", "cramers-v", "missing", "resolution")


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
        """A row a pair of splits: each of `METRICS`, p and the verdict.

        Raises MissingExtraError where pandas is not installed.
        """
        return data_frame(
            {
                **{
                    metric.name: [metric.value(pair) for pair in self.pairs]
                    for metric in METRICS.values()
                },
                "p": [pair.chance.p_value for pair in self.pairs],
                "verdict": [pair.verdict for pair in self.pairs],
            },
            {
                "first": [pair.first for pair in self.pairs],
                "second": [pair.second for pair in self.pairs],
            },
        )

    @property
    def verdict(self) -> str:
        """What it comes to, in words: a line a pair."""
        return "\n".join(pair.verdict for pair in self.pairs)

    @property
    def order(self) -> tuple[int, ...]:
        """Class indices, what differs most first.

        Classes that differ more than chance makes them come first, then those that some split lacks
        and another has, then those that add most to the Jensen-Shannon divergence of a pair;
        classes that occur nowhere come last.
        """
        tests = [t for p in self.pairs for t in (p.chance.frequency, p.chance.presence)]
        differs = np.any([test.differs for test in tests], axis=0)
        present = np.stack([split.histogram.present for split in self.splits])
        missing = present.any(axis=0) & ~present.all(axis=0)
        share = np.max([pair.js_shares for pair in self.pairs], axis=0)
        return tuple(np.lexsort((-share, ~missing, ~differs, ~present.any(axis=0))).tolist())

    def above(self, fail_above: Mapping[str, float]) -> tuple[Excess, ...]:
        """Where a metric is larger than a limit.

        Args:
            fail_above: largest allowed value by metric: js, psi, cramers-v, missing, resolution,
                leakage or shared-groups.

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

    def below(self, fail_below: Mapping[str, float]) -> tuple[Excess, ...]:
        """Where a p-value is smaller than a limit: splits that chance does not make.

        Args:
            fail_below: smallest allowed p-value. Of "p": the least one of all tests of a pair
                (pixels and presence of each class, js, resolution) after Holm's correction, so
                that 0.05 is wrong once in twenty pairs at most. Or of one metric alone: js, psi,
                cramers-v, missing or resolution.

        Raises:
            ParameterError: no p-value is called so, or a limit is not above 0 and at most 1.
            MaskstatError: the groups of a pair are too few for a p-value below the limit, which
                would let everything pass.
        """
        check_p_limits(fail_below)
        found = []
        for pair in self.pairs:
            for name, limit in fail_below.items():
                chance, alone = pair.chance, name != "p"
                value = chance.metrics[name].p_value if alone else chance.p_value
                if value < limit:
                    found.append(Excess(name, pair.first, pair.second, value, limit))
                elif (least := chance.least_p if alone else chance.least_adjusted) >= limit:
                    raise MaskstatError(
                        f"random splits of these {chance.noun}s give no p-value below {limit:g},"
                        f" whatever they hold: of {chance.count:,} the least is {least:.2g}",
                        parameter="fail_below",
                        where=f"{name} of {printable(pair.first)} : {printable(pair.second)}",
                    )
        return tuple(found)


class Excess(NamedTuple):
    """A metric of two splits that is beyond its limit."""

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
        find_named(name, METRICS, noun="metric", parameter="fail_above")
        if not 0 <= limit < math.inf:
            raise ParameterError(
                f"{limit:g} is not a number of at least 0", parameter="fail_above", where=name
            )


def check_p_limits(fail_below: Mapping[str, float]) -> None:
    """Raise ParameterError where a limit is of no p-value, or none itself."""
    for name, limit in fail_below.items():
        find_named(name, dict.fromkeys(P_VALUES), noun="p-value", parameter="fail_below")
        if not 0 < limit <= 1:
            raise ParameterError(
                f"{limit:g} is not above 0 and at most 1",
                parameter="fail_below",
                where=name,
            )


Leaks = Mapping[tuple[str, str], Sequence[tuple[tuple[str, ...], tuple[str, ...]]]]


def compare_splits(
    splits: Sequence[Split],
    leaks: Leaks | None = None,
    *,
    unconfirmed: Sequence[tuple[str, str]] = (),
    suggested: Mapping[str, MaskGroups] | None = None,
) -> Comparison:
    """Compare every pair of splits.

    Args:
        splits: two or more, in an order that puts training first.
        leaks: equal masks of each pair (first, second), where somebody looked for them.
        unconfirmed: (split, mask) of masks that could not be looked at.
        suggested: by split, groups that the names of its masks suggest, where nobody said any.

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
        tuple(
            _compare(first, second, leaks, suggested) for first, second in combinations(splits, 2)
        ),
        tuple(unconfirmed),
    )


def _compare(
    first: Split,
    second: Split,
    leaks: Leaks | None,
    suggested: Mapping[str, MaskGroups] | None,
) -> PairComparison:
    one, other = first.histogram, second.histogram
    shares = jensen_shannon_shares(one.frequency, other.frequency)
    leaked = None if leaks is None else tuple(leaks.get((first.name, second.name), ()))
    chance = random_splits(first, second)
    told = verdict(
        first,
        second,
        missing=np.flatnonzero(one.present ^ other.present).tolist(),
        leakage=_leakage(leaked),
        js_shares=shares,
        chance=chance,
        suggested=(suggested[first.name], suggested[second.name]) if suggested else None,
    )
    return PairComparison(
        first.name,
        second.name,
        float(jensen_shannon_distance(shares)),
        shares,
        float(population_stability_index(one.frequency, other.frequency)),
        cramers_v(one.masks, one.mask_count, other.masks, other.mask_count),
        tuple(np.flatnonzero(one.present & ~other.present).tolist()),
        tuple(np.flatnonzero(other.present & ~one.present).tolist()),
        size_distance(first.shapes, second.shapes),
        chance,
        " ".join(told),
        leaked,
    )
