"""Co-occurrence and variety of masks against dense NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import entropy

from maskstat.errors import ParameterError
from maskstat.statistics.cooccurrence import (
    MAX_CLASSES,
    CoOccurrence,
    mask_entropies,
    mask_variety,
    spread,
)
from maskstat.values.ledger import MaskLedger
from tests.support.equal_cost_cases import ledger_of

Table = NDArray[np.int64]

tables = st.tuples(st.integers(0, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.sampled_from([0, 0, 1, 7, 10**12]))
)


@given(tables)
def test_counts_equal_a_dense_product(table: Table) -> None:
    found = CoOccurrence.of(ledger_of(table))
    present = (table > 0).astype(np.int64)
    assert np.array_equal(found.masks, present.T @ present)
    assert found.masks.dtype == np.int64
    assert found.mask_count == len(table)


@given(tables)
def test_laws(table: Table) -> None:
    found = CoOccurrence.of(ledger_of(table))
    present = table > 0
    occurs = present.any(axis=0)
    assert np.array_equal(found.masks, found.masks.T)
    assert np.array_equal(found.masks.diagonal(), present.sum(axis=0))
    assert np.allclose(found.lift, found.lift.T)
    for a in range(table.shape[1]):
        for b in range(table.shape[1]):
            both = present[:, a] & present[:, b]
            if occurs[a] and occurs[b]:
                chance = found.presence[a] * found.presence[b]
                assert found.lift[a, b] == pytest.approx(both.mean() / chance)


@given(tables, st.randoms(use_true_random=False))
def test_order_of_masks_is_no_matter_and_classes_move_along(table: Table, random: object) -> None:
    rows, columns = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    whole = CoOccurrence.of(ledger_of(table)).masks
    moved = CoOccurrence.of(ledger_of(table[rows][:, columns])).masks
    assert np.array_equal(moved, whole[np.ix_(columns, columns)])


@given(tables, st.integers(0, 12))
def test_sets_of_masks_add(table: Table, cut: int) -> None:
    parts = [CoOccurrence.of(ledger_of(part)).masks for part in (table[:cut], table[cut:])]
    assert np.array_equal(parts[0] + parts[1], CoOccurrence.of(ledger_of(table)).masks)


def test_independent_classes_have_lift_one() -> None:
    table = np.array([[1, 1], [1, 0], [0, 1], [0, 0]]) * 5
    assert CoOccurrence.of(ledger_of(table)).lift[0, 1] == 1


def test_too_many_classes_are_refused_before_memory_is_taken() -> None:
    empty = np.empty(0, np.int64)
    ledger = MaskLedger(MAX_CLASSES + 1, (), empty, np.zeros(1, np.int64), empty, empty)
    with pytest.raises(ParameterError, match="4,096 classes are the most"):
        CoOccurrence.of(ledger)


@given(tables)
def test_entropies_agree_with_scipy(table: Table) -> None:
    found = mask_entropies(ledger_of(table))
    expected = [entropy(row) if row.any() else 0.0 for row in table]
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_entropy_limits() -> None:
    found = mask_entropies(ledger_of(np.array([[5, 0, 0], [4, 4, 4], [0, 0, 0]])))
    assert found.tolist() == pytest.approx([0, np.log(3), 0])


@given(tables)
def test_variety(table: Table) -> None:
    ledger = ledger_of(table)
    found = mask_variety(ledger)
    classes = (table > 0).sum(axis=1)
    assert sum(found.masks_by_classes) == len(table)
    assert all(found.masks_by_classes[k] == (classes == k).sum() for k in set(classes.tolist()))
    if not len(table):
        assert found.classes is None and found.entropy is None
        return
    assert found.classes is not None and found.labelled is not None and found.pixels is not None
    assert found.classes.mean == pytest.approx(classes.mean())
    assert (found.classes.least, found.classes.most) == (classes.min(), classes.max())
    assert found.labelled.median == pytest.approx(np.median(table.sum(axis=1)))
    assert found.pixels.most == ledger.areas.max()


def test_spread_of_nothing_and_of_one() -> None:
    assert spread(np.empty(0, np.int64)) is None
    only = spread(np.array([3]))
    assert only is not None
    assert {only.least, only.lower_quartile, only.median, only.upper_quartile, only.most} == {3.0}
