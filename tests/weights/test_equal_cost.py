"""Equal-cost weights: reference values, the defining property, and its laws."""

from __future__ import annotations

import tracemalloc
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskstat.errors import ParameterError, WeightError
from maskstat.weights import equal_cost
from maskstat.weights.batches import BatchDrawer, Batching, MaskRows
from maskstat.weights.matrix_scaling import Linearised, at_scale, scale, shares, sinkhorn_knopp
from tests.support.equal_cost_cases import (
    CAMVID_BATCH_1,
    batches_of_an_epoch,
    brute_force_status,
    camvid_table,
    ledger_of,
    rare_class_table,
)

tables = st.tuples(st.integers(1, 12), st.integers(1, 7)).flatmap(
    lambda shape: arrays(
        np.int64, shape, elements=st.one_of(st.just(0), st.integers(1, 10**6))
    ).filter(lambda table: bool(table.any()))
)


def mean_shares(
    batches: np.ndarray, weights: np.ndarray, chances: np.ndarray | None = None
) -> np.ndarray:
    """The definition, written down plainly: mean over batches of w n / sum(w n)."""
    labelled = batches.sum(axis=1) > 0
    held = batches[labelled] * weights
    chances = None if chances is None else chances[labelled]
    return np.average(held / held.sum(axis=1, keepdims=True), axis=0, weights=chances)


def every_sum(table: np.ndarray, size: int) -> np.ndarray:
    return np.array(
        [table[list(rows)].sum(axis=0) for rows in combinations(range(len(table)), size)]
    )


def every_batch_of_an_epoch(
    table: np.ndarray, size: int, *, drop_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All batches, and how many of each an epoch has on average."""
    batches, numbers = [], []
    for masks, number in batches_of_an_epoch(len(table), size, drop_last=drop_last):
        sums = every_sum(table, masks)
        batches.append(sums)
        numbers.append(np.full(len(sums), number / len(sums)))
    return np.concatenate(batches), np.concatenate(numbers)


# linear -------------------------------------------------------------------------------------


def test_linear_is_inverse_frequency_with_mean_pixel_weight_one():
    counts = np.array([1, 10**13, 0, 7_000, 123_456_789])
    weights = equal_cost.linear(counts)
    assert weights[2] == 0
    held = (counts * weights)[counts > 0]
    np.testing.assert_allclose(held, counts.sum() / 4, rtol=1e-15)


def test_linear_is_max_count_and_balanced_on_camvid(camvid):
    counts = camvid_table(camvid).sum(axis=0)
    weights = equal_cost.linear(counts)
    np.testing.assert_allclose(weights, counts.sum() / (11 * counts), rtol=1e-14)
    np.testing.assert_allclose(weights / weights.min(), counts.max() / counts, rtol=1e-14)
    assert weights[3] == pytest.approx(0.27582, abs=5e-6)
    assert weights[10] == pytest.approx(29.9383, abs=5e-5)


@pytest.mark.parametrize("right", [0.0, 0.3, -2.0])
def test_linear_does_not_depend_on_the_confidence_of_symmetric_predictors(right):
    counts = np.array([5.0, 80.0, 1e13])
    matrix = np.full((3, 3), 4.5)
    np.fill_diagonal(matrix, right)
    np.testing.assert_allclose(
        equal_cost.linear(counts, cost_matrix=matrix), equal_cost.linear(counts), rtol=1e-12
    )


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 9))
def test_linear_with_a_cost_matrix_makes_the_predictors_cost_the_same(seed, classes):
    generator = np.random.default_rng(seed)
    matrix = generator.uniform(0.9, 1.0, (classes, classes)) * 10.0 ** generator.integers(-6, 7)
    np.fill_diagonal(matrix, 0.0)
    counts = 10.0 ** generator.uniform(0, 13, classes)
    weights = equal_cost.linear(counts, cost_matrix=matrix)
    costs = matrix @ (counts * weights)
    assert (weights > 0).all()
    assert np.ptp(costs) <= 1e-9 * costs.mean()
    assert (counts * weights).sum() == pytest.approx(counts.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 1], [1, 1]], "singular"),
        ([[0, 0], [1, 0]], "answering road costs nothing"),
        ([[1, 0], [1, 0]], "bike costs no predictor anything"),
        ([[1, 1], [1, 1 + 1e-12]], "nearly so"),
        ([[1, 2], [1, 3]], "bike would need a weight of zero or less"),
        ([[0, 2], [1, 2]], "road would need a weight of zero or less"),
    ],
)
def test_a_cost_matrix_without_a_usable_solution_is_refused(matrix, message):
    with pytest.raises(WeightError, match=message):
        equal_cost.linear([10, 20], cost_matrix=matrix, names=["road", "bike"])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"shape \(3, 3\); 2 classes need 2 x 2"),
        ([[0, np.nan], [1, 0]], "not a finite number"),
    ],
)
def test_a_malformed_cost_matrix_is_refused(matrix, message):
    with pytest.raises(ParameterError, match=message):
        equal_cost.linear([10, 20], cost_matrix=matrix)


@pytest.mark.parametrize("counts", [[-1, 2], [[1, 2]], [np.nan, 1]])
def test_linear_refuses_what_are_no_counts(counts):
    with pytest.raises(ParameterError):
        equal_cost.linear(counts)


def test_nothing_labelled_is_refused():
    with pytest.raises(WeightError, match="nothing to weigh"):
        equal_cost.linear([0, 0])
    with pytest.raises(WeightError, match="nothing to weigh"):
        equal_cost.weight_normalised(ledger_of(np.zeros((3, 2))))


# weight-normalised --------------------------------------------------------------------------


def test_camvid_batch_size_1_reference_weights(camvid):
    result = equal_cost.weight_normalised(ledger_of(camvid_table(camvid)))
    np.testing.assert_allclose(
        result.weights / result.weights.min(), CAMVID_BATCH_1, rtol=0, atol=5.1e-6
    )
    np.testing.assert_allclose(result.costs, 1 - 1 / 11, rtol=1e-12)
    assert result.relative_spread <= 1e-9
    assert not result.sampled
    assert result.is_stable
    assert (result.batches, result.left_out, result.blocks) == (367, 0, 1)
    assert result.smallest_batch_size == 1
    assert not result.is_near_border


def test_camvid_inverse_frequencies_do_not_equalise_batches_of_one(camvid):
    table = camvid_table(camvid)
    costs = 1 - mean_shares(table, 1 / table.sum(axis=0))
    assert (round(costs.min(), 3), round(costs.max(), 3)) == (0.898, 0.932)


def test_camvid_takes_24_sinkhorn_steps(camvid):
    rows = MaskRows.of(ledger_of(camvid_table(camvid)))
    batches = BatchDrawer(rows, 1, 0).every_batch()
    targets, start = np.full(11, 1 / 11), 1.0 / rows.totals
    after = [shares(batches, sinkhorn_knopp(batches, targets, start, n)) for n in (12, 24)]
    assert np.ptp(after[0]) > 1e-10
    assert np.ptp(after[1]) < 1e-13


def test_camvid_tends_to_inverse_frequency_in_large_batches(camvid):
    table = camvid_table(camvid)
    linear = equal_cost.linear(table.sum(axis=0))
    distances = []
    for size in (1, 4, 64, 367):
        weights = equal_cost.weight_normalised(ledger_of(table), size).weights
        ratio = weights / linear
        distances.append(np.ptp(np.log(ratio)))
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.02
    assert distances[3] < 1e-14


@settings(max_examples=150, deadline=None)
@given(table=tables, size=st.integers(1, 8), drop_last=st.booleans())
def test_possible_means_solved_and_impossible_means_refused(table, size, drop_last):
    size, batching = min(size, len(table)), Batching(drop_last)
    status = brute_force_status(table, size, drop_last=drop_last)
    if status != "possible":
        with pytest.raises(equal_cost.InfeasibleEqualCost):
            equal_cost.weight_normalised(ledger_of(table), size, batching=batching)
        return
    result = equal_cost.weight_normalised(ledger_of(table), size, batching=batching)
    occurs = table.any(axis=0)
    batches = every_batch_of_an_epoch(table, size, drop_last=drop_last)
    share = mean_shares(batches[0], result.weights, batches[1])[occurs]
    np.testing.assert_allclose(share, 1 / occurs.sum(), rtol=1e-9)
    np.testing.assert_array_equal(result.weights > 0, occurs)
    np.testing.assert_allclose(result.costs[occurs], 1 - 1 / occurs.sum(), atol=1e-9)
    np.testing.assert_allclose(result.costs[~occurs], 1.0, rtol=1e-12)
    assert result.relative_spread <= 1e-9
    assert not result.sampled
    pixels = table.sum(axis=0)
    assert (pixels * result.weights).sum() == pytest.approx(pixels.sum(), rel=1e-12)


@pytest.fixture
def table():
    return np.random.default_rng(5).integers(0, 1000, (40, 6)) ** 2 // 7


def test_the_order_of_classes_and_masks_does_not_matter(table):
    result = equal_cost.weight_normalised(ledger_of(table))
    classes = np.random.default_rng(1).permutation(6)
    masks = np.random.default_rng(2).permutation(40)
    moved = equal_cost.weight_normalised(ledger_of(table[masks][:, classes]))
    np.testing.assert_allclose(moved.weights, result.weights[classes], rtol=1e-11)


def test_the_order_of_named_masks_does_not_change_the_draw(table):
    names = tuple(f"m{row}" for row in range(40))
    order = np.random.default_rng(2).permutation(40)
    shuffled = ledger_of(table[order], tuple(names[row] for row in order))
    one = equal_cost.weight_normalised(ledger_of(table, names), 8)
    other = equal_cost.weight_normalised(shuffled, 8)
    assert one.sampled
    np.testing.assert_array_equal(one.weights, other.weights)


def test_only_proportions_within_a_mask_matter_to_batches_of_one(table):
    factors = np.random.default_rng(3).integers(1, 10**9, 40)
    result = equal_cost.weight_normalised(ledger_of(table))
    scaled = equal_cost.weight_normalised(ledger_of(table * factors[:, None]))
    np.testing.assert_allclose(
        scaled.weights / scaled.weights[0], result.weights / result.weights[0], rtol=1e-11
    )


def test_doubling_the_data_set_changes_nothing(table):
    result = equal_cost.weight_normalised(ledger_of(table))
    twice = equal_cost.weight_normalised(ledger_of(np.concatenate((table, table))))
    np.testing.assert_allclose(twice.weights, result.weights, rtol=1e-11)


def test_extreme_counts_are_solved():
    generator = np.random.default_rng(0)
    table = (10.0 ** generator.uniform(0, 13, (60, 8))).astype(np.int64)
    result = equal_cost.weight_normalised(ledger_of(table))
    np.testing.assert_allclose(mean_shares(table, result.weights), 1 / 8, rtol=1e-9)


def test_one_step_from_the_border_is_solved_by_newton():
    table = np.random.default_rng(0).integers(1, 1000, (100_001, 5))
    table[20_001:, 4] = 0
    result = equal_cost.weight_normalised(ledger_of(table))
    np.testing.assert_allclose(mean_shares(table, result.weights), 0.2, rtol=1e-9)
    assert result.weight_ratio > 1e5
    assert result.is_near_border
    assert result.tightest is not None
    assert result.tightest.classes.tolist() == [4]
    assert result.tightest.slack == pytest.approx(0.8 / 100_001)


def test_one_batch_of_everything_is_the_linear_answer(table):
    linear = equal_cost.linear(table.sum(axis=0))
    for size in (40, 41, 10**9):
        result = equal_cost.weight_normalised(ledger_of(table), size)
        np.testing.assert_allclose(result.weights, linear, rtol=1e-14)
        assert (result.batch_size, result.batches, result.iterations) == (40, 1, 0)


def test_masks_without_labels_are_left_out(table):
    with_empty = np.concatenate((table, np.zeros((25, 6), np.int64)))
    result = equal_cost.weight_normalised(ledger_of(table))
    padded = equal_cost.weight_normalised(ledger_of(with_empty))
    np.testing.assert_allclose(padded.weights, result.weights, rtol=1e-12)
    assert padded.left_out == 25


def test_classes_that_never_meet_are_normalised_block_by_block():
    generator = np.random.default_rng(0)
    table = np.zeros((10, 4), np.int64)
    table[:5, :2] = generator.integers(1, 100, (5, 2))
    table[5:, 2:] = generator.integers(1, 10**6, (5, 2))
    result = equal_cost.weight_normalised(ledger_of(table))
    assert result.blocks == 2
    for block in (slice(0, 2), slice(2, 4)):
        pixels = table[:, block].sum(axis=0)
        assert pixels @ result.weights[block] == pytest.approx(pixels.sum())
    np.testing.assert_allclose(mean_shares(table, result.weights), 0.25, rtol=1e-9)


def test_absent_classes_take_no_memory():
    """Of 65,536 classes five occur: no table of all pairs is made."""
    table = np.random.default_rng(2).integers(1, 1000, (30, 5))
    few, many = ledger_of(table), 65536
    index = np.array([0, 7, 300, 40000, many - 1])
    ledger = SimpleNamespace(
        class_count=many, indptr=few.indptr, classes=index[few.classes], pixels=few.pixels
    )
    tracemalloc.start()
    try:
        result = equal_cost.weight_normalised(ledger)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    alone = equal_cost.weight_normalised(few)
    assert peak < 32 << 20
    np.testing.assert_array_equal(result.weights[index], alone.weights)
    np.testing.assert_allclose(result.costs[index], alone.costs, rtol=1e-12)
    np.testing.assert_allclose(np.delete(result.costs, index), 1.0, rtol=1e-12)


def test_a_cost_matrix_sets_the_shares(table):
    matrix = np.random.default_rng(4).uniform(0.5, 1.0, (6, 6))
    np.fill_diagonal(matrix, 0.0)
    result = equal_cost.weight_normalised(ledger_of(table), cost_matrix=matrix)
    assert np.ptp(result.shares) > 0.01
    np.testing.assert_allclose(mean_shares(table, result.weights), result.shares, rtol=1e-9)
    np.testing.assert_allclose(result.costs, result.costs.mean(), rtol=1e-9)


def test_a_sample_agrees_with_all_batches_within_its_error():
    table = np.random.default_rng(6).integers(0, 50, (24, 4)) ** 3
    exact = np.array(every_sum(table, 6))
    truth = np.log(equal_cost.weight_normalised(ledger_of(exact)).weights)
    sampled = equal_cost.weight_normalised(ledger_of(table), 6, seed=11)
    assert sampled.sampled
    assert sampled.is_stable
    distance = np.log(sampled.weights) - truth
    assert (np.abs(distance) < 4 * sampled.standard_errors).all()
    assert (sampled.standard_errors > 0).all()


def test_the_standard_error_is_the_scatter_between_seeds(table):
    rows = MaskRows.of(ledger_of(table))
    logs, errors = [], []
    for seed in range(60):
        batches = BatchDrawer(rows, 6, seed).draw(600)
        scaling = scale(batches, np.full(6, 1 / 6))
        # As they are printed: relative to the average pixel's weight.
        printed = scaling.log_weights - np.log(rows.totals @ np.exp(scaling.log_weights))
        logs.append(printed)
        by_logs, _ = at_scale(scaling, rows.totals)
        errors.append(Linearised.of(batches, scaling).errors(by_logs).total)
    ratio = np.mean(errors, axis=0) / np.std(logs, axis=0, ddof=1)
    assert (ratio > 0.7).all()
    assert (ratio < 1.4).all()


def test_a_seed_repeats_and_another_differs(table):
    first, again, other = (
        equal_cost.weight_normalised(ledger_of(table), 6, seed=seed).weights for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_wider_stability_needs_fewer_batches(table):
    loose = equal_cost.weight_normalised(ledger_of(table), 6, stability=0.2)
    strict = equal_cost.weight_normalised(ledger_of(table), 6, stability=0.002)
    assert loose.batches < strict.batches
    assert strict.standard_errors.max() <= 0.002


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [7] * 4), (False, [2] + [7] * 4)])
def test_batches_are_shuffled_masks_without_replacement(drop_last, sizes):
    rows = MaskRows.of(ledger_of(np.eye(30, dtype=np.int64)), Batching(drop_last))
    count = 2 * len(sizes) + 1
    batches = BatchDrawer(rows, 7, 3).draw(count)
    dense = batches.mixture.toarray() > 0
    assert batches.epochs.tolist() == [0] * len(sizes) + [1] * len(sizes) + [2]
    np.testing.assert_allclose(batches.chances, 1 / count)
    for epoch in (0, 1):
        of_epoch = dense[batches.epochs == epoch]
        assert sorted(of_epoch.sum(axis=1).tolist()) == sizes
        assert (of_epoch.sum(axis=0) <= 1).all()


def test_a_last_batch_may_come_anywhere_in_a_pass_so_that_parts_of_one_are_fair():
    rows = MaskRows.of(ledger_of(np.eye(9, dtype=np.int64)))
    places = set()
    for seed in range(40):
        sizes = (BatchDrawer(rows, 4, seed).draw(3).mixture.toarray() > 0).sum(axis=1)
        places.add(int(sizes.argmin()))
    assert places == {0, 1, 2}


def test_without_a_rest_nothing_depends_on_the_last_batch(table):
    for size in (1, 2, 8, 40, 41):
        kept, dropped = (
            equal_cost.weight_normalised(ledger_of(table), size, batching=Batching(drop_last))
            for drop_last in (False, True)
        )
        np.testing.assert_array_equal(kept.weights, dropped.weights)
        assert kept.last_batch == dropped.last_batch == 0


@pytest.mark.parametrize(
    ("masks", "size", "most", "least"), [(10, 8, 0.009, 0.03), (24, 16, 0.003, 0.004)]
)
def test_weights_for_whole_batches_are_wrong_for_a_loader_that_keeps_the_last(
    camvid, masks, size, most, least
):
    table = camvid_table(camvid)[np.linspace(0, 366, masks).astype(int)]
    table = table[:, table.any(axis=0)]
    generator = np.random.default_rng(1)
    drawn = [generator.permutation(masks) for _ in range(20_000)]
    batches = np.array(
        [
            table[order[cut]].sum(axis=0)
            for order in drawn
            for cut in (slice(size), slice(size, None))
        ]
    )
    distance = {}
    for drop_last in (False, True):
        solved = equal_cost.weight_normalised(
            ledger_of(table), size, batching=Batching(drop_last), stability=0.003
        )
        assert solved.last_batch == (0 if drop_last else masks - size)
        share = mean_shares(batches, solved.weights) * table.shape[1]
        distance[drop_last] = float(np.abs(share - 1).max())
    assert distance[False] < most
    assert distance[True] > least


def test_weights_relax_with_the_batch_size():
    steps = equal_cost.relaxations(ledger_of(rare_class_table()))
    assert [step.batch_size for step in steps] == [6, 12, 24]
    ratios = [step.weight_ratio for step in steps]
    assert ratios == sorted(ratios, reverse=True)
    slacks = [step.slack for step in steps]
    assert slacks == sorted(slacks)
    below = equal_cost.relaxations(ledger_of(rare_class_table()), [5])
    assert below[0].weight_ratio is None
    assert below[0].slack < 0


def test_a_batch_size_below_one_is_refused(table):
    with pytest.raises(ParameterError, match="at least 1"):
        equal_cost.weight_normalised(ledger_of(table), 0)


def test_one_class_is_its_own_answer():
    result = equal_cost.weight_normalised(ledger_of(np.array([[0, 3], [0, 9], [0, 0]])))
    np.testing.assert_array_equal(result.weights, [0.0, 1.0])
    np.testing.assert_array_equal(result.costs, [1.0, 0.0])
    assert result.relative_spread == 0.0
