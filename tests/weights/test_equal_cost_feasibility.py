"""Is equal cost possible, and from which batch size on? Against brute force over all sets."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.errors import WeightError
from maskstat.weights import equal_cost
from maskstat.weights.batches import Batching, Cut, MaskRows
from maskstat.weights.equal_cost_flow import CoverageHull
from maskstat.weights.feasibility import (
    Condition,
    chances_of_cut,
    smallest_batch_size,
    tightest_set,
    violated_set,
)
from tests.support.equal_cost_cases import (
    brute_force_status,
    chance_and_need,
    ledger_of,
    rare_class_table,
)

NAMES = ("road", "sky", "car", "tree", "bicycle")


@st.composite
def presences(draw):
    """bool[B, K], every class somewhere; rarer classes than a fair coin would give."""
    masks, classes = draw(st.integers(2, 13)), draw(st.integers(2, 8))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chance = generator.random(classes) ** draw(st.sampled_from([0.2, 0.5, 1.0, 2.0]))
    table = generator.random((masks, classes)) < chance
    table[generator.integers(0, masks, classes), np.arange(classes)] = True
    return table


def equal(classes: int) -> np.ndarray:
    return np.full(classes, 1.0 / classes)


def sets_of(table: np.ndarray) -> list[int]:
    return [sum(1 << c for c in range(table.shape[1]) if row[c]) for row in table]


@settings(max_examples=400, deadline=None)
@given(table=presences(), size=st.integers(1, 9), drop_last=st.booleans())
def test_the_decision_is_that_of_all_sets(table, size, drop_last):
    size = min(size, len(table))
    rows = MaskRows.of(ledger_of(table), Batching(drop_last))
    found = violated_set(rows, size, equal(table.shape[1]))
    status = brute_force_status(table, size, drop_last=drop_last)
    assert (found is None) == (status == "possible")
    if found is None:
        return
    chosen = sum(1 << int(c) for c in found)
    chance, needed = chance_and_need(
        sets_of(table), chosen, size, table.shape[1], drop_last=drop_last
    )
    assert chance <= needed
    assert 0 < len(found) < table.shape[1]
    if status == "impossible" and size == 1:
        assert chance < needed


@settings(max_examples=300, deadline=None)
@given(table=presences(), size=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_critical_classes_are_those_of_every_violated_or_tight_set(table, size, seed):
    classes = table.shape[1]
    skewed = np.random.default_rng(seed).random(classes) ** 2 + 1e-3
    for targets in (equal(classes), skewed / skewed.sum()):
        rows = MaskRows.of(ledger_of(table))
        condition = Condition.random_batches(rows, min(size, len(table)), targets)
        critical = np.isin(np.arange(classes), condition.critical_classes())
        for chosen in range(1, 2**classes - 1):
            members = (chosen >> np.arange(classes) & 1).astype(bool)
            assert condition.slack(members) > 0 or (critical | ~members).all()


def test_rows_of_many_classes_leave_no_set_to_look_at():
    """Each class is in a third of the masks, and no mask has fewer than a third of the classes."""
    table = np.random.default_rng(0).permuted(
        np.arange(30)[None, :] < np.full((400, 1), 10), axis=1
    )
    rows = MaskRows.of(ledger_of(table.astype(np.int64)))
    assert Condition.random_batches(rows, 1, equal(30)).critical_classes().size
    assert not Condition.random_batches(rows, 8, equal(30)).critical_classes().size


def test_the_generated_cases_are_of_every_kind():
    seen = Counter()
    generator = np.random.default_rng(0)
    for _ in range(150):
        table = generator.random((6, 4)) < generator.random(4)
        if table.any():
            seen[brute_force_status(table, 1, drop_last=True)] += 1
    assert min(seen[kind] for kind in ("possible", "border", "impossible")) > 5


@settings(max_examples=150, deadline=None)
@given(table=presences(), start=st.integers(1, 4), drop_last=st.booleans())
def test_the_smallest_batch_size_is_the_first_possible_one(table, start, drop_last):
    start = min(start, len(table))
    rows = MaskRows.of(ledger_of(table), Batching(drop_last))
    possible = (
        size
        for size in range(start, len(table) + 1)
        if brute_force_status(table, size, drop_last=drop_last) == "possible"
    )
    assert smallest_batch_size(rows, equal(table.shape[1]), start) == next(possible)


def test_with_a_last_batch_a_larger_size_may_be_impossible_again():
    """10 masks are two batches of 5, or a batch of 6 and one of 4: fewer of them have the class."""
    table = np.ones((10, 2), np.int64)
    table[1:, 1] = 0
    for size, possible in ((4, False), (5, False), (6, False), (7, False), (9, False), (10, True)):
        status = brute_force_status(table, size, drop_last=False)
        assert (status == "possible") is possible
    with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
        equal_cost.weight_normalised(ledger_of(table), 6)
    assert str(caught.value) == (
        "class 1 is in 1 of 10 masks; with batch size 6 and a last batch of 4 no finite weight can"
        " make ignoring it as costly as ignoring class 0; with drop_last=True it can, with batch"
        " size 10 it can"
    )


@settings(max_examples=200, deadline=None)
@given(table=presences(), seed=st.integers(0, 10**6))
def test_the_hull_finds_a_violation_under_any_concave_chance(table, seed):
    """Not only under those of random batches, and after it was refined for others."""
    classes = table.shape[1]
    generator = np.random.default_rng(seed)
    groups = Condition.random_batches(MaskRows.of(ledger_of(table)), 1, equal(classes)).groups
    hull = CoverageHull(groups, equal(classes))
    for _ in range(4):
        steps = np.sort(generator.random(groups.total) ** generator.integers(1, 6))[::-1]
        chances = np.concatenate(([0.0], np.cumsum(steps) / steps.sum()))
        condition = Condition(groups, chances, equal(classes))
        slacks = [
            condition.slack((chosen >> np.arange(classes) & 1).astype(bool))
            for chosen in range(1, 2**classes - 1)
        ]
        found = hull.violated(chances, -1e-9)
        assert (found is not None) == (min(slacks) <= -1e-9)
        if found is not None:
            assert condition.slack(found) <= -1e-9


@given(
    masks=st.integers(1, 40), empty=st.integers(0, 10), size=st.integers(1, 50), met=st.integers(0)
)
def test_meeting_chances_are_hypergeometric(masks, empty, size, met):
    labelled, total, met = masks, masks + empty, met % (masks + 1)
    size = min(size, total)
    chances = chances_of_cut(total, labelled, Cut.of(total, size, drop_last=True))
    count = math.comb(total, size)
    expected = Fraction(
        count - math.comb(total - met, size), count - math.comb(total - labelled, size)
    )
    assert chances[met] == pytest.approx(float(expected), rel=1e-12, abs=1e-15)


def test_meeting_chances_of_a_large_data_set_keep_their_digits():
    chances = chances_of_cut(10**6, 10**6, Cut.of(10**6, 1000, drop_last=True))
    assert chances[1] == pytest.approx(1e-3, rel=1e-12)
    assert chances[-1] == 1.0
    assert (np.diff(chances) >= -1e-15).all()


@settings(max_examples=100, deadline=None)
@given(table=presences(), size=st.integers(1, 5), drop_last=st.booleans())
def test_the_tightest_set_is_that_of_all_sets(table, size, drop_last):
    classes = table.shape[1]
    size = min(size, len(table) - 1)
    rows = MaskRows.of(ledger_of(table), Batching(drop_last))
    condition = Condition.random_batches(rows, size, equal(classes))
    tight = tightest_set(condition, ())
    sets = sets_of(table)
    slacks = [
        float(chance - needed)
        for chosen in range(1, 2**classes - 1)
        for chance, needed in [chance_and_need(sets, chosen, size, classes, drop_last=drop_last)]
    ]
    if tight is None:
        assert min(slacks) == pytest.approx(1 / classes)
    else:
        assert tight.exhaustive
        assert tight.slack == pytest.approx(min(slacks), abs=1e-12)
        assert tight.slack < 1 / classes


def test_the_tightest_set_of_many_classes_is_found_by_search():
    generator = np.random.default_rng(0)
    table = generator.random((2000, 40)) < 0.5
    # Three classes that occur only together, in a few more masks than they need.
    table[:, 30:33] = False
    table[:180, 30:33] = True
    condition = Condition.random_batches(MaskRows.of(ledger_of(table)), 1, equal(40))
    tight = tightest_set(condition, ())
    assert tight is not None
    assert tight.classes.tolist() == [30, 31, 32]
    assert not tight.exhaustive
    assert tight.slack == pytest.approx(0.09 - 3 / 40)
    assert tight.masks == 180


def test_many_classes_are_decided_and_the_smallest_batch_size_is_a_threshold():
    generator = np.random.default_rng(1)
    chance = np.minimum(0.9, 3.0 * np.arange(1.0, 61.0) ** -1.5)
    table = generator.random((5000, 60)) < chance
    table[0] = True
    rows = MaskRows.of(ledger_of(table))
    smallest = smallest_batch_size(rows, equal(60))
    assert smallest > 1
    below = violated_set(rows, smallest - 1, equal(60))
    assert below is not None
    assert violated_set(rows, smallest, equal(60)) is None
    members = np.isin(np.arange(60), below)
    assert Condition.random_batches(rows, smallest - 1, equal(60)).slack(members) < 0


def test_the_synthetic_example_is_possible_from_batch_size_6_on():
    ledger = ledger_of(rare_class_table())
    for size in range(1, 6):
        with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
            equal_cost.weight_normalised(ledger, size, names=NAMES)
        error = caught.value
        assert error.classes == (4,)
        assert error.presence == (80,)
        assert (error.masks_with_any, error.mask_count) == (80, 2000)
        assert (error.batch_size, error.smallest_batch_size) == (size, 6)
        assert error.chance == pytest.approx(1 - 0.96**size, rel=0.01)
        assert error.needed == pytest.approx(0.2)
    ratios = []
    for size in (6, 7, 8, 16):
        result = equal_cost.weight_normalised(ledger, size, stability=0.03)
        assert result.relative_spread <= 1e-9
        assert result.standard_errors.max() <= 0.03
        assert result.smallest_batch_size == 6
        ratios.append(result.weight_ratio)
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 10 * ratios[-1]


def test_the_message_is_one_a_practitioner_understands():
    table = np.ones((500, 7), np.int64)
    table[2:, 3] = 0
    names = ("road", "sky", "car", "bicycle", "tree", "fence", "pole")
    with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
        equal_cost.weight_normalised(ledger_of(table), 4, names=names)
    assert str(caught.value) == (
        "bicycle is in 2 of 500 masks; with batch size 4 no weight can make ignoring it as costly "
        "as ignoring road; with batch size 39 it can"
    )
    # 1 - C(498, S) / C(500, S) passes 1/7 at 38, but 13 batches of 38 leave a batch of 6.
    met = [1 - math.comb(498, size) / math.comb(500, size) for size in range(40)]
    assert met[37] < 1 / 7 < met[38]
    assert (13 * met[38] + met[6]) / 14 < 1 / 7 < (12 * met[39] + met[32]) / 13


def test_a_set_of_classes_is_named_with_its_needs():
    table = np.ones((1000, 5), np.int64)
    table[390:, 3:] = 0
    with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
        equal_cost.weight_normalised(ledger_of(table), names=NAMES)
    assert caught.value.classes == (3, 4)
    assert str(caught.value) == (
        "only 390 of 1,000 masks contain any of tree and bicycle; with batch size 1 that is 39% of "
        "the batches, equal cost needs more than 40% for 2 of 5 classes, and no weights can make "
        "ignoring each of them as costly as ignoring road; with batch size 2 they can"
    )


def test_exactly_on_the_border_only_infinite_weights_would_do():
    table = np.ones((1000, 5), np.int64)
    table[200:, 4] = 0
    with pytest.raises(equal_cost.InfeasibleEqualCost, match="no finite weight can"):
        equal_cost.weight_normalised(ledger_of(table), names=NAMES)


def test_names_are_escaped_and_the_error_travels_between_processes():
    table = np.ones((100, 3), np.int64)
    table[1:, 2] = 0
    with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
        equal_cost.weight_normalised(ledger_of(table), names=("a", "b", "\x1b[2J"))
    assert "\x1b" not in str(caught.value)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value)
    assert copied.smallest_batch_size == caught.value.smallest_batch_size
    assert isinstance(copied, WeightError)


def test_a_cost_matrix_moves_the_border():
    """With shares 2/3 and 1/3 a class in half of the masks is enough only for the smaller one."""
    table = np.ones((100, 2), np.int64)
    table[50:, 1] = 0
    matrix = np.array([[0.0, 1.0], [2.0, 0.0]])  # v = (1/2, 1), shares 1/3 and 2/3
    with pytest.raises(equal_cost.InfeasibleEqualCost, match="class 1 is in 50 of 100"):
        equal_cost.weight_normalised(ledger_of(table), cost_matrix=matrix)
    swapped = equal_cost.weight_normalised(ledger_of(table), cost_matrix=matrix[::-1, ::-1])
    np.testing.assert_allclose(swapped.shares, [2 / 3, 1 / 3], rtol=1e-9)
