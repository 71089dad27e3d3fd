"""Comparison of splits: SciPy as oracle, symmetry, identity, invariances, limits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import fisher_exact as scipy_fisher_exact
from scipy.stats import ks_2samp
from scipy.stats.contingency import association

from maskstat.errors import MaskstatError, ParameterError
from maskstat.render.terminal.compare_tables import compare_document
from maskstat.statistics.comparison import METRICS, PairComparison, compare_splits
from maskstat.statistics.distances import (
    PSI_FLOOR,
    cramers_v,
    jensen_shannon_shares,
    kolmogorov_smirnov,
    population_stability_index,
    size_distance,
)
from maskstat.statistics.p_values import fisher_exact, holm
from maskstat.statistics.random_splits import ClassTest, Split
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from tests.support.loops import at_least_one
from tests.support.split_cases import split

Table = NDArray[np.int64]
NAMES = ("train", "val", "test")
CLASSES = 5

rows = arrays(np.int64, (CLASSES,), elements=st.sampled_from([0, 0, 1, 3, 40]))
tables = st.lists(rows.filter(np.any), min_size=1, max_size=5).map(np.stack)


def pair(first: Table, second: Table) -> PairComparison:
    return compare_splits([split("train", first), split("val", second)]).pairs[0]


def class_tests(found: PairComparison) -> tuple[ClassTest, ClassTest]:
    return found.chance.frequency, found.chance.presence


def p_values(found: PairComparison) -> tuple[NDArray[np.float64], ...]:
    frequency, presence = class_tests(found)
    return frequency.p_value, frequency.adjusted_p, presence.p_value, presence.adjusted_p


def metrics(found: PairComparison) -> list[float]:
    return [metric.value(found) for metric in METRICS.values()]


@given(tables, tables)
def test_symmetric(first: Table, second: Table) -> None:
    there, back = pair(first, second), pair(second, first)
    assert metrics(there) == pytest.approx(metrics(back), abs=1e-12)
    assert there.only_first == back.only_second
    assert there.js_shares == pytest.approx(back.js_shares, abs=1e-12)
    for one, other in zip(p_values(there), p_values(back), strict=True):
        assert one == pytest.approx(other, abs=1e-12)


@given(tables)
def test_zero_on_identical_splits(table: Table) -> None:
    found = pair(table, table)
    assert metrics(found) == pytest.approx([0.0] * len(METRICS), abs=1e-9)
    assert at_least_one(p_values(found))
    assert all((each == 1).all() for each in p_values(found))
    assert found.chance.p_value == 1


@given(tables, tables, st.permutations(range(CLASSES)), st.randoms(use_true_random=False))
def test_order_is_no_matter(first: Table, second: Table, order: Any, random: Any) -> None:
    shuffled = first.tolist()
    random.shuffle(shuffled)
    found = pair(first, second)
    moved = pair(np.array(shuffled)[:, order], second[:, order])
    assert metrics(moved) == pytest.approx(metrics(found), abs=1e-12)
    assert moved.js_shares == pytest.approx(found.js_shares[list(order)], abs=1e-12)
    for one, other in zip(p_values(moved), p_values(found), strict=True):
        assert one == pytest.approx(other[list(order)], abs=1e-12)


@given(tables, tables, st.integers(2, 3))
def test_repeating_every_mask_is_no_evidence_and_changes_no_effect_size(
    first: Table, second: Table, times: int
) -> None:
    """Copies that are said to be copies, a group each, are not even evidence."""
    once = pair(first, second)
    copies = [
        split(name, table.repeat(times, axis=0), np.repeat(np.arange(len(table)), times) + at)
        for name, table, at in (("train", first, 0), ("val", second, 100))
    ]
    more = compare_splits(copies).pairs[0]
    assert metrics(more) == pytest.approx(metrics(once), abs=1e-9)
    assert more.cramers_v == pytest.approx(once.cramers_v, abs=1e-9)
    assert more.chance.frequency.p_value == pytest.approx(once.chance.frequency.p_value)


@given(tables, tables)
def test_jensen_shannon_agrees_with_scipy(first: Table, second: Table) -> None:
    p, q = first.sum(axis=0) / first.sum(), second.sum(axis=0) / second.sum()
    found = pair(first, second)
    # SciPy's root of a rounding error is as large as 1e-8.
    assert found.js_distance == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert (found.js_shares >= 0).all()
    assert found.js_distance**2 == pytest.approx(found.js_shares.sum(), abs=1e-12)


def test_jensen_shannon_limits() -> None:
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert jensen_shannon_shares(p, q).tolist() == [0.5, 0.5]
    assert not jensen_shannon_shares(p, p).any()


def test_population_stability_index_by_hand() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
    expected = 0.1 * np.log(0.5 / 0.4) + 0.1 * np.log(0.4 / 0.3)
    assert population_stability_index(p, q) == pytest.approx(expected)
    gone = population_stability_index(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    floored = 0.5 * np.log(2) + (0.5 - PSI_FLOOR) * np.log(0.5 / PSI_FLOOR)
    assert gone == pytest.approx(floored)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    arrays(np.float64, (2, 4), elements=st.floats(0, 1)),
)
def test_presence_agrees_with_scipy(
    first_masks: int, second_masks: int, shares: NDArray[np.float64]
) -> None:
    first = np.round(shares[0] * first_masks).astype(np.int64)
    second = np.round(shares[1] * second_masks).astype(np.int64)
    p_value = fisher_exact(first, first_masks, second, second_masks)
    effect = cramers_v(first, first_masks, second, second_masks)
    for k in range(4):
        observed = np.array(
            [[first[k], first_masks - first[k]], [second[k], second_masks - second[k]]]
        )
        if not observed.sum(axis=0).all():
            assert (p_value[k], effect[k]) == (1, 0)
            continue
        assert p_value[k] == pytest.approx(scipy_fisher_exact(observed).pvalue, rel=1e-6)
        assert effect[k] == pytest.approx(association(observed), abs=1e-6)


def test_presence_in_all_masks_of_one_and_none_of_the_other() -> None:
    assert cramers_v(np.array([7]), 7, np.array([0]), 3) == pytest.approx(1)
    assert fisher_exact(np.array([7]), 7, np.array([0]), 3) == pytest.approx(1 / 120)


def test_presence_in_many_masks() -> None:
    """Where chances are as small as they get, and factorials as large."""
    first, second = np.array([60_000, 5]), np.array([5_000, 0])
    p_value = fisher_exact(first, 100_000, second, 10_000)
    table = [[60_000, 40_000], [5_000, 5_000]]
    assert p_value[0] == pytest.approx(scipy_fisher_exact(table).pvalue, rel=1e-4)
    assert p_value[1] == pytest.approx(1)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.empty(0)).size == 0


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1, width=16)))
def test_holm_never_lowers_and_keeps_the_order(p_values: NDArray[np.float64]) -> None:
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all() and (adjusted <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert adjusted.min() == pytest.approx(min(1.0, p_values.min() * p_values.size))


samples = arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 9))


@given(samples, samples)
def test_kolmogorov_smirnov_agrees_with_scipy(first: Table, second: Table) -> None:
    expected = ks_2samp(first, second, method="exact").statistic
    assert kolmogorov_smirnov(first, second) == pytest.approx(expected)


def test_sizes_differ_by_area_or_by_aspect() -> None:
    wide, tall, large = np.array([[2, 8]]), np.array([[8, 2]]), np.array([[20, 80]])
    assert size_distance(wide, wide) == 0
    assert size_distance(wide, tall) == 1
    assert size_distance(wide, large) == 1
    assert size_distance(np.array([[2, 8], [8, 2]]), wide) == 0.5


@given(st.tuples(tables, tables, tables))
def test_missing_classes_and_what_differs_most_come_first(found_tables: Any) -> None:
    splits = [split(name, table) for name, table in zip(NAMES, found_tables, strict=True)]
    found = compare_splits(splits)
    assert [(p.first, p.second) for p in found.pairs] == [
        ("train", "val"),
        ("train", "test"),
        ("val", "test"),
    ]
    present = np.stack([table.any(axis=0) for table in found_tables])
    for one, (a, b) in zip(found.pairs, [(0, 1), (0, 2), (1, 2)], strict=True):
        assert one.only_first == tuple(np.flatnonzero(present[a] & ~present[b]))
        assert one.only_second == tuple(np.flatnonzero(present[b] & ~present[a]))
    assert sorted(found.order) == list(range(CLASSES))

    def rank(k: int) -> tuple[bool, bool, bool, float]:
        missing = bool(present[:, k].any() and not present[:, k].all())
        differs = any(test.differs[k] for p in found.pairs for test in class_tests(p))
        share = max(p.js_shares[k] for p in found.pairs)
        return not present[:, k].any(), not differs, not missing, -share

    ranks = [rank(k) for k in found.order]
    assert ranks == sorted(ranks)


@given(tables, tables)
def test_documents_are_plain(first: Table, second: Table) -> None:
    comparison = compare_splits([split("train", first), split("val", second)])
    document = json.loads(json.dumps(compare_document(comparison), allow_nan=False))
    assert set(METRICS) <= set(document["pairs"][0])
    assert document["pairs"][0]["leaked"] is None
    for row in at_least_one(document["classes"]):
        for one, table in zip(row["splits"], (first, second), strict=True):
            assert one["pixels"] == table[:, row["index"]].sum()
            assert one["presence"] == pytest.approx((table[:, row["index"]] > 0).mean())


def test_what_can_not_be_compared() -> None:
    train, table = split("train", np.ones((2, 3), np.int64)), np.ones((2, 3), np.int64)
    with pytest.raises(ParameterError, match="two or more"):
        compare_splits([train])
    with pytest.raises(ParameterError, match="different splits"):
        compare_splits([train, split("train", table)])
    with pytest.raises(MaskstatError, match="different classes"):
        compare_splits([train, split("val", table[:, :2])])
    nothing = ClassHistogram.empty(ClassCatalog.numbered(3))
    empty = Split("val", nothing, train.ledger.take(()), np.empty((0, 2), np.int64), train.groups)
    with pytest.raises(MaskstatError, match="val: has not one labelled pixel"):
        compare_splits([train, empty])
