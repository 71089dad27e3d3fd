"""The price list of constant predictors against plain computation on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.errors import ParameterError, WeightError
from maskstat.weights import equal_cost
from maskstat.weights.choices import AVERAGES
from maskstat.weights.costs import price_list
from tests.support.equal_cost_cases import camvid_table, ledger_of
from tests.support.packages import package

oracle = package("sklearn.metrics")


def some_table(seed: int = 0, masks: int = 12, classes: int = 5) -> np.ndarray:
    generator = np.random.default_rng(seed)
    table = generator.integers(1, 40, (masks, classes)) * (generator.random((masks, classes)) < 0.6)
    table[0] = generator.integers(1, 40, classes)
    table[:, 0] += 1
    return table


def pixels_of(table: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(table.shape[1]), table.sum(axis=0))


def constant(classes: int, answer: int, epsilon: float) -> np.ndarray:
    probabilities = np.full(classes, epsilon / (classes - 1))
    probabilities[answer] = 1 - epsilon
    return probabilities


@pytest.mark.parametrize("epsilon", [1e-7, 0.01, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_keras_costs_are_the_mean_cross_entropy_of_the_pixels(epsilon, weighted):
    table = some_table()
    labels = pixels_of(table)
    weights = np.array([1.0, 0.2, 7.0, 3.0, 0.0]) if weighted else np.ones(5)
    prices = price_list(ledger_of(table), weights if weighted else None, "pixel", epsilon=epsilon)
    for answer in range(5):
        predicted = np.tile(constant(5, answer, epsilon), (len(labels), 1))
        total = oracle.log_loss(
            labels, predicted, labels=range(5), sample_weight=weights[labels], normalize=False
        )
        assert prices.costs[answer] == pytest.approx(total / len(labels), rel=1e-9)


@pytest.mark.parametrize("epsilon", [1e-7, 0.2])
def test_torch_costs_are_the_mean_of_weight_normalised_batches(epsilon):
    table, weights = some_table(), np.array([1.0, 0.2, 7.0, 3.0, 9.0])
    prices = price_list(ledger_of(table), weights, "batch", epsilon=epsilon)
    for answer in range(5):
        loss = -np.log(constant(5, answer, epsilon))
        batch = (table * weights) @ loss / (table @ weights)
        assert prices.costs[answer] == pytest.approx(batch.mean(), rel=1e-12)
    assert prices.batches == 12
    assert (prices.standard_errors == 0).all()


def test_metrics_are_those_of_scikit_learn():
    table = some_table()
    table[:, 2] = 0
    labels = pixels_of(table)
    prices = price_list(ledger_of(table))
    occurring = np.unique(labels)
    for answer in range(5):
        predicted = np.full(len(labels), answer)
        assert prices.pixel_accuracy[answer] == pytest.approx((labels == answer).mean())
        if answer == 2:
            assert prices.mean_iou[answer] == prices.balanced_accuracy[answer] == 0.0
            continue
        iou = oracle.jaccard_score(labels, predicted, labels=occurring, average="macro")
        assert prices.mean_iou[answer] == pytest.approx(iou)
        recall = oracle.balanced_accuracy_score(labels, predicted)
        assert prices.balanced_accuracy[answer] == pytest.approx(recall)
    assert not prices.occurs[2]
    assert prices.costs[2] == prices.costs.max()
    assert prices.spread < np.ptp(prices.costs)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-7, 1e-3, 0.5])
def test_equal_cost_is_equal_at_every_confidence(epsilon):
    """The confidence changes every price and no ratio of weights: it cancels."""
    ledger = ledger_of(some_table(masks=60))
    linear = price_list(
        ledger, equal_cost.linear(some_table(masks=60).sum(axis=0)), "pixel", epsilon=epsilon
    )
    normalised = price_list(
        ledger, equal_cost.weight_normalised(ledger).weights, "batch", epsilon=epsilon
    )
    wrong, right = -np.log(epsilon / 4), -np.log1p(-epsilon)
    for prices in (linear, normalised):
        assert prices.relative_spread < 1e-9
        np.testing.assert_allclose(prices.costs, wrong - (wrong - right) / 5, rtol=1e-9)
        np.testing.assert_allclose(prices.soft_predictor, 0.2, rtol=1e-9)
        assert prices.soft_loss == pytest.approx(np.log(5), rel=1e-9)


@pytest.mark.parametrize("average", AVERAGES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_constant_distribution_beats_the_soft_predictor(average, seed):
    generator = np.random.default_rng(seed)
    table, weights = some_table(seed), generator.lognormal(0, 2, 5)
    prices = price_list(ledger_of(table), weights, average)

    def loss(q):
        per_mask = -(table * weights) @ np.log(q)
        if average == "pixel":
            return per_mask.sum() / table.sum()
        return (per_mask / (table @ weights)).mean()

    assert loss(prices.soft_predictor) == pytest.approx(prices.soft_loss, rel=1e-12)
    for other in generator.dirichlet(np.ones(5), 20):
        near = 0.99 * prices.soft_predictor + 0.01 * other
        assert loss(near) >= prices.soft_loss * (1 - 1e-12)
    assert prices.soft_loss <= prices.costs.min() + 1e-12


def test_effective_weights_are_the_weights_for_keras_and_inverse_frequencies_for_equal_cost():
    table = some_table(masks=60)
    ledger, weights = ledger_of(table), np.array([1.0, 0.2, 7.0, 3.0, 9.0])
    by_pixel = price_list(ledger, weights, "pixel").effective_weights
    np.testing.assert_allclose(by_pixel / by_pixel[0], weights, rtol=1e-12)
    equal = price_list(ledger, equal_cost.weight_normalised(ledger).weights, "batch")
    np.testing.assert_allclose(
        equal.effective_weights, equal_cost.linear(table.sum(axis=0)), rtol=1e-9
    )


def test_keras_ignores_the_batch_size_and_one_torch_batch_of_everything_agrees():
    ledger, weights = ledger_of(some_table()), np.array([1.0, 0.2, 7.0, 3.0, 9.0])
    keras = price_list(ledger, weights, "pixel", batch_size=3)
    torch = price_list(ledger, weights, "batch", batch_size=12)
    np.testing.assert_allclose(keras.costs / keras.scale, torch.costs, rtol=1e-12)
    np.testing.assert_array_equal(keras.costs, price_list(ledger, weights).costs)


def test_sampled_batches_carry_a_standard_error_that_holds():
    table, weights = some_table(3, masks=300), np.array([1.0, 0.2, 7.0, 3.0, 9.0])
    lists = [
        price_list(ledger_of(table), weights, "batch", batch_size=9, seed=seed)
        for seed in range(40)
    ]
    scatter = np.std([prices.costs for prices in lists], axis=0, ddof=1)
    errors = np.mean([prices.standard_errors for prices in lists], axis=0)
    assert (errors > 0.6 * scatter).all()
    assert (errors < 1.6 * scatter).all()
    assert lists[0].batches >= 2048


def test_batches_that_weigh_nothing_are_left_out():
    table = np.array([[5, 5], [10, 0], [0, 0]])
    prices = price_list(ledger_of(table), [0.0, 1.0], "batch")
    assert (prices.batches, prices.left_out) == (1, 2)
    np.testing.assert_allclose(prices.shares, [0.0, 1.0])


def test_camvid_prices(camvid):
    ledger = ledger_of(camvid_table(camvid))
    unweighted = price_list(ledger)
    assert unweighted.pixel_accuracy.max() == pytest.approx(20076880 / 60913605)
    assert unweighted.mean_iou[3] == pytest.approx(20076880 / 60913605 / 11)
    np.testing.assert_allclose(unweighted.balanced_accuracy, 1 / 11)
    inverse = equal_cost.linear(camvid_table(camvid).sum(axis=0))
    torch = price_list(ledger, inverse, "batch", epsilon=1e-300)
    scaled = torch.costs / -np.log(1e-300 / 10)
    assert (round(scaled.min(), 3), round(scaled.max(), 3)) == (0.898, 0.932)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0]}, "must be 5 finite numbers"),
        ({"weights": [1, 1, 1, 1, -1]}, "none of them negative"),
        ({"weights": [1, 1, 1, 1, np.nan]}, "finite"),
        ({"average": "jax"}, "'jax' is not one of pixel, batch"),
        ({"epsilon": 0.0}, "confidence must lie above 0.2 and below 1"),
        ({"epsilon": 0.8}, "confidence must lie above 0.2 and below 1"),
        ({"epsilon": float("nan")}, "confidence"),
        ({"average": "batch", "batch_size": 0}, "at least 1"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        price_list(ledger_of(some_table()), **options)


@pytest.mark.parametrize("average", AVERAGES)
def test_weights_of_nothing_are_refused(average):
    with pytest.raises(WeightError, match="0/0"):
        price_list(ledger_of(np.array([[3, 0]])), [0.0, 1.0], average)


def test_one_class_costs_nothing():
    prices = price_list(ledger_of(np.array([[3], [4]])))
    np.testing.assert_array_equal(prices.costs, [0.0])
    assert prices.relative_spread == prices.soft_loss == 0.0
