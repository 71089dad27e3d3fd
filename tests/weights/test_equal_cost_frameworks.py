"""Equal cost measured by the frameworks' own losses, on the pixels of every CamVid mask."""

from __future__ import annotations

import os

import numpy as np
import pytest

from maskstat.weights import equal_cost
from tests.support.equal_cost_cases import camvid_masks, camvid_table, ledger_of

VOID, IGNORE = 11, 255
EPSILON = 1e-7


@pytest.fixture
def torch():
    """PyTorch on one thread: batches are small, and threads that wait cost more than they do."""
    framework = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    threads = framework.get_num_threads()
    framework.set_num_threads(1)
    yield framework
    framework.set_num_threads(threads)


@pytest.fixture
def keras(request):
    """Keras on PyTorch unless another backend was chosen; the loss is the same on all of them."""
    if os.environ.get("KERAS_BACKEND", "torch") == "torch":
        request.getfixturevalue("torch")
        os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is the oracle of this test")


def torch_losses(torch, labels, weights) -> np.ndarray:
    """float64[11], `CrossEntropyLoss` of every constant predictor on one batch of labels."""
    criterion = torch.nn.CrossEntropyLoss(weight=torch.tensor(weights), ignore_index=IGNORE)
    target = torch.tensor(np.where(labels == VOID, IGNORE, labels).astype(np.int64).ravel())
    losses = []
    for answer in range(11):
        logits = torch.full((11,), np.log(EPSILON / 10), dtype=torch.float64)
        logits[answer] = np.log1p(-EPSILON)
        losses.append(float(criterion(logits.expand(len(target), 11), target)))
    return np.array(losses)


def expected_cost() -> float:
    wrong, right = -np.log(EPSILON / 10), -np.log1p(-EPSILON)
    return wrong - (wrong - right) / 11


def test_pytorch_agrees_in_batches_of_one(torch, camvid):
    masks, table = camvid_masks(camvid, 10), camvid_table(camvid, 10)
    equal = equal_cost.weight_normalised(ledger_of(table)).weights
    inverse = equal_cost.linear(table.sum(axis=0))
    costs = np.mean([torch_losses(torch, mask, equal) for mask in masks], axis=0)
    np.testing.assert_allclose(costs, expected_cost(), rtol=1e-6)
    # What is usually done instead does not pass: the test can tell.
    others = np.mean([torch_losses(torch, mask, inverse) for mask in masks[::8]], axis=0)
    assert np.ptp(others) > 0.01 * expected_cost()


def test_pytorch_agrees_in_shuffled_batches_of_eight(torch, camvid):
    masks, table = camvid_masks(camvid, 12), camvid_table(camvid, 12)
    equal = equal_cost.weight_normalised(ledger_of(table), 8, stability=0.002).weights
    inverse = equal_cost.linear(table.sum(axis=0))
    passes = {"equal": [], "inverse": []}
    generator = np.random.default_rng(2024)
    for _ in range(8):
        batches = generator.permutation(len(masks))[:360].reshape(45, 8)
        for name, weights in (("equal", equal), ("inverse", inverse)):
            losses = [torch_losses(torch, masks[rows], weights) for rows in batches]
            passes[name].append(np.mean(losses, axis=0))
    distance = {name: np.mean(means, axis=0) - expected_cost() for name, means in passes.items()}
    error = np.std(passes["equal"], axis=0, ddof=1) / np.sqrt(8)
    # Five standard errors of this measurement, and the 0.2% of the weights themselves.
    allowed = 5 * error + 0.002 / 11 * expected_cost()
    assert (np.abs(distance["equal"]) < allowed).all()
    assert (np.abs(distance["inverse"]) > allowed).any()


def keras_losses(keras, reduction, labels, weights) -> np.ndarray:
    """float64[11], `SparseCategoricalCrossentropy` with pixel weights, void weighing nothing."""
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction, dtype="float64")
    valid = labels.ravel() != VOID
    target = np.where(valid, labels.ravel(), 0)
    sample_weight = weights[target] * valid
    return np.array(
        [
            float(
                loss(
                    keras.ops.convert_to_tensor(target),
                    keras.ops.convert_to_tensor(np.tile(np.eye(11)[answer], (len(target), 1))),
                    sample_weight=keras.ops.convert_to_tensor(sample_weight),
                )
            )
            for answer in range(11)
        ]
    )


def test_keras_agrees_with_inverse_frequencies(keras, camvid):
    masks, table = camvid_masks(camvid, 10), camvid_table(camvid, 10)
    weights = equal_cost.linear(table.sum(axis=0))
    costs = np.mean(
        [keras_losses(keras, "sum_over_batch_size", mask, weights) for mask in masks], axis=0
    )
    np.testing.assert_allclose(costs, costs.mean(), rtol=1e-6)
    plain = np.mean(
        [keras_losses(keras, "sum_over_batch_size", mask, np.ones(11)) for mask in masks[::8]],
        axis=0,
    )
    assert np.ptp(plain) > 0.1 * plain.mean()


def test_keras_mean_with_sample_weight_needs_the_weight_normalised_answer(keras, camvid):
    masks, table = camvid_masks(camvid, 10), camvid_table(camvid, 10)
    weights = equal_cost.weight_normalised(ledger_of(table)).weights
    costs = np.mean(
        [keras_losses(keras, "mean_with_sample_weight", mask, weights) for mask in masks], axis=0
    )
    np.testing.assert_allclose(costs, costs.mean(), rtol=1e-6)
