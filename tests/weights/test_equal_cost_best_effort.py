"""Best effort: the least spread of costs under a largest weight ratio, against a grid."""

from __future__ import annotations

import numpy as np
import pytest

from maskstat.errors import ParameterError, WeightError
from maskstat.weights import equal_cost, equal_cost_minimax
from maskstat.weights.batches import BatchDrawer, MaskRows
from tests.support.equal_cost_cases import ledger_of, rare_class_table


def spread_on_grid(table: np.ndarray, ratio: float, points: int = 121) -> float:
    """Least spread over all weights of three classes on a logarithmic grid, one of them 1."""
    table = table[table.any(axis=1)]
    steps = np.exp(np.linspace(0.0, np.log(ratio), points))
    one, other = (axis.ravel() for axis in np.meshgrid(steps, steps))
    best = np.inf
    for fixed in range(3):
        weights = np.insert(np.stack((one, other)), fixed, 1.0, axis=0).T
        held = weights[:, None, :] * table
        share = (held / held.sum(axis=2, keepdims=True)).mean(axis=1)
        best = min(best, float(np.ptp(share, axis=1).min()))
    return best


@pytest.mark.parametrize("ratio", [1.0, 2.0, 10.0, 300.0])
@pytest.mark.parametrize("seed", range(6))
def test_no_grid_point_is_better(seed, ratio):
    generator = np.random.default_rng(seed)
    table = generator.integers(1, 1000, (15, 3)) * (
        generator.random((15, 3)) < generator.uniform(0.1, 1.0, 3)
    )
    table[0] = 1
    result = equal_cost.best_effort(ledger_of(table), max_ratio=ratio)
    grid = spread_on_grid(table, ratio)
    assert result.weight_ratio <= ratio * (1 + 1e-12)
    assert result.spread <= grid * (1 + 2e-4) + 1e-9
    # The grid is fine enough to say that the result is no fluke either.
    assert result.spread >= grid - 0.03
    assert result.max_ratio == ratio


def test_every_start_leads_to_the_same_spread(monkeypatch):
    generator = np.random.default_rng(8)
    table = generator.integers(1, 1000, (40, 7)) * (generator.random((40, 7)) < 0.15)
    table[0] = 1
    batches = BatchDrawer(MaskRows.of(ledger_of(table)), 1, 0).every_batch()
    _, share, _ = equal_cost_minimax.most_equal_shares(batches, 20.0)
    for _ in range(8):
        start = generator.uniform(0.0, np.log(20.0), 7)
        monkeypatch.setattr(equal_cost_minimax, "_capped_sinkhorn", lambda *_, s=start: s)
        _, other, _ = equal_cost_minimax.most_equal_shares(batches, 20.0)
        assert np.ptp(other) == pytest.approx(np.ptp(share), rel=1e-3)


def test_it_is_the_exact_solution_where_that_fits():
    table = np.random.default_rng(1).integers(1, 1000, (30, 5))
    exact = equal_cost.weight_normalised(ledger_of(table))
    loose = equal_cost.best_effort(ledger_of(table), max_ratio=exact.weight_ratio * 1.001)
    np.testing.assert_array_equal(loose.weights, exact.weights)
    narrow = equal_cost.best_effort(ledger_of(table), max_ratio=exact.weight_ratio * 0.9)
    assert narrow.spread > 1e-4


def test_a_larger_ratio_never_costs_spread():
    table = rare_class_table()
    spreads = [
        equal_cost.best_effort(ledger_of(table), max_ratio=ratio).spread
        for ratio in (1.0, 10.0, 100.0, 1e4, 1e8)
    ]
    assert spreads == sorted(spreads, reverse=True)
    # The rare class is in 4% of the batches: at best it costs 0.96, the others 1 - 0.96/4.
    assert spreads[-1] == pytest.approx(0.2, abs=1e-3)


def test_classes_that_do_not_decide_the_spread_are_even():
    result = equal_cost.best_effort(ledger_of(rare_class_table()), max_ratio=1000.0)
    assert np.ptp(result.costs[:4]) < 1e-6
    assert result.costs[4] - result.costs[0] == pytest.approx(result.spread)
    assert result.smallest_batch_size == 6


def test_ratio_one_gives_equal_weights():
    table = np.random.default_rng(1).integers(1, 1000, (30, 5))
    result = equal_cost.best_effort(ledger_of(table), max_ratio=1.0)
    np.testing.assert_allclose(result.weights, 1.0)


def test_sampled_batches_report_the_error_of_their_shares():
    result = equal_cost.best_effort(ledger_of(rare_class_table()), 4, max_ratio=100.0)
    assert result.sampled
    assert result.batches >= 2048
    assert 0 < result.standard_errors.max() < 0.05
    assert result.weight_ratio <= 100.0 * (1 + 1e-12)


@pytest.mark.parametrize("ratio", [0.5, float("nan"), float("inf"), -3.0])
def test_a_ratio_without_meaning_is_refused(ratio):
    with pytest.raises(ParameterError, match="must be between 1 and 1e12"):
        equal_cost.best_effort(ledger_of(np.ones((2, 2))), max_ratio=ratio)


def test_nothing_labelled_is_refused():
    with pytest.raises(WeightError, match="nothing to weigh"):
        equal_cost.best_effort(ledger_of(np.zeros((2, 2))), max_ratio=10.0)
