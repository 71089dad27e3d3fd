"""Weights change what the optimum means; calibration gives the posterior back."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.training.calibration import unweight_logits, unweight_probabilities
from maskstat.weights.costs import price_list
from tests.support.equal_cost_cases import ledger_of

WEIGHTS = np.array([1.0, 3.0, 40.0, 250.0])


def gaussian_posterior(points: np.ndarray) -> np.ndarray:
    """p(c|x) of four unit normals at 0, 1, 2, 3 with priors 0.7, 0.2, 0.08, 0.02; [N, 4]."""
    joint = np.array([0.7, 0.2, 0.08, 0.02]) * np.exp(
        -0.5 * (points[:, None] - np.arange(4.0)) ** 2
    )
    return joint / joint.sum(axis=1, keepdims=True)


def weighted_optimum(posterior: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """argmin over q of -sum_c w_c p_c ln q_c by Newton on the logits; knows no closed form."""
    logits = np.zeros_like(posterior)
    mass = posterior * weights
    for _ in range(200):
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        total = mass.sum(axis=1, keepdims=True)
        gradient = q * total - mass
        hessian = total[:, :, None] * (q[:, :, None] * np.eye(4) - q[:, :, None] * q[:, None, :])
        step = np.linalg.solve(hessian + np.ones((4, 4)), gradient[..., None])[..., 0]
        logits -= step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
    assert np.abs(gradient).max() < 1e-9
    return q


def test_the_weighted_optimum_is_corrected_to_the_true_posterior():
    posterior = gaussian_posterior(np.linspace(-2.0, 5.0, 60))
    optimum = weighted_optimum(posterior, WEIGHTS)
    assert np.abs(optimum - posterior).max() > 0.5
    np.testing.assert_allclose(unweight_probabilities(optimum, WEIGHTS), posterior, atol=1e-9)
    # The correction also changes decisions: weights call the rare class far too often.
    corrected = unweight_probabilities(optimum, WEIGHTS)
    changed = optimum.argmax(axis=1) != corrected.argmax(axis=1)
    assert changed.mean() > 0.3
    np.testing.assert_array_equal(corrected.argmax(axis=1), posterior.argmax(axis=1))
    assert (optimum.argmax(axis=1) == 3).sum() > (posterior.argmax(axis=1) == 3).sum()


@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(1, 6),
    axis=st.integers(-3, 2),
    scale=st.sampled_from([1e-300, 1.0, 1e300]),
)
def test_unweighting_inverts_weighting_on_every_axis(seed, classes, axis, scale):
    generator = np.random.default_rng(seed)
    shape = [2, 3, 4]
    shape[axis] = classes
    posterior = generator.random(shape)
    posterior /= posterior.sum(axis=axis, keepdims=True)
    weights = 10.0 ** generator.uniform(-6, 6, classes)
    along = np.moveaxis(np.ones(shape), axis, -1) * weights
    weighted = posterior * np.moveaxis(along, -1, axis)
    weighted /= weighted.sum(axis=axis, keepdims=True)
    corrected = unweight_probabilities(weighted, weights * scale, axis)
    np.testing.assert_allclose(corrected, posterior, rtol=1e-9)
    logits = unweight_logits(np.log(weighted) + 7.0, weights * scale, axis)
    power = np.exp(logits - logits.max(axis=axis, keepdims=True))
    np.testing.assert_allclose(power / power.sum(axis=axis, keepdims=True), posterior, rtol=1e-9)


def test_equal_weights_change_nothing():
    q = np.array([[0.2, 0.8], [0.0, 1.0]])
    np.testing.assert_allclose(unweight_probabilities(q, [5, 5]), q)
    np.testing.assert_allclose(unweight_logits(q, [5, 5]), q)


def test_a_class_of_weight_zero_is_left_to_the_others():
    q = np.array([[0.6, 0.3, 0.1]])
    np.testing.assert_allclose(
        unweight_probabilities(q, [1.0, 3.0, 0.0]), [[6 / 7, 1 / 7, 0.0]], rtol=1e-12
    )
    logits = unweight_logits(np.log(q), [1.0, 3.0, 0.0])
    assert np.isneginf(logits[0, 2])
    assert np.exp(logits[0, 0] - logits[0, 1]) == pytest.approx(6.0)


def test_a_pixel_without_trained_class_is_refused():
    with pytest.raises(ParameterError, match="whole probability on classes of weight 0"):
        unweight_probabilities([[0.0, 1.0]], [1.0, 0.0])
    with pytest.raises(ParameterError, match="no probability at all"):
        unweight_probabilities([[0.0, 0.0]], [1.0, 1.0])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floating_types_are_kept_and_inputs_untouched(kind):
    q = np.full((2, 2), 0.5, kind)
    before = q.copy()
    assert unweight_probabilities(q, [1, 2]).dtype == kind
    assert unweight_logits(q, [1, 2]).dtype == kind
    np.testing.assert_array_equal(q, before)
    assert unweight_logits([[1, 2]], [1, 2]).dtype == np.float64


@pytest.mark.parametrize("weights", [[1.0], [1, 2, 3], [[1, 2]], [-1, 2], [np.nan, 1], [0, 0]])
@pytest.mark.parametrize("function", [unweight_probabilities, unweight_logits])
def test_weights_that_do_not_fit_are_refused(function, weights):
    with pytest.raises(ParameterError, match="weights"):
        function([[0.5, 0.5]], weights)


@pytest.mark.parametrize("function", [unweight_probabilities, unweight_logits])
@pytest.mark.parametrize("name", ["weights.json", Path("weights.json")])
def test_a_file_is_no_weights_and_the_message_says_how_to_read_it(function, name):
    with pytest.raises(ParameterError, match=r"maskstat\.load_weights\('weights\.json'\) reads"):
        function([[0.5, 0.5]], name)


@pytest.mark.parametrize("function", [unweight_probabilities, unweight_logits])
def test_values_and_axes_without_meaning_are_refused(function):
    with pytest.raises(ParameterError, match="finite"):
        function([[np.inf, 0.5]], [1, 2])
    with pytest.raises(ParameterError, match="no axis 2"):
        function([[0.5, 0.5]], [1, 2], axis=2)
    with pytest.raises(ParameterError, match="no axis -1"):
        function(0.5, [1, 2])


def test_a_result_beyond_its_type_is_refused():
    with pytest.raises(ParameterError, match="do not fit float16"):
        unweight_logits(np.array([65500.0, 0.0], np.float16), [1e-60, 1.0])


def test_negative_probabilities_are_refused():
    with pytest.raises(ParameterError, match="not negative"):
        unweight_probabilities([[-0.5, 1.5]], [1, 2])


def undone_after_all_batches(pixels, weights, batch_size):
    """What undoing w gives of the optimum of PyTorch's mean over all batches of so many masks.

    Args:
        pixels: [B, X, K], pixels of each class in each mask, by what they look like.

    Returns: that and the true shares of the classes, both [X, K].
    """
    mass = np.zeros(pixels.shape[1:])
    for batch in combinations(range(len(pixels)), batch_size):
        some = pixels[list(batch)].sum(axis=0)
        mass += some * weights / (some.sum(axis=0) @ weights)
    truth = pixels.sum(axis=0)
    optimum = mass / mass.sum(axis=1, keepdims=True)
    return unweight_probabilities(optimum, weights), truth / truth.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("batch_size", "said"), [(1, 0.8), (2, 0.7075), (6, 0.6131), (8, 0.6)], ids=str
)
def test_undoing_weights_is_wrong_for_what_a_picture_does_not_tell(batch_size, said):
    """Road, and an object of half a mask that is A in three masks, B in two, absent in three."""
    kinds = [[[2, 0, 0], [0, 2, 0]], [[2, 0, 0], [0, 0, 2]], [[4, 0, 0], [0, 0, 0]]]
    pixels = np.repeat(kinds, [3, 2, 3], axis=0)
    found, truth = undone_after_all_batches(pixels, np.array([1.0, 0.5, 3.0]), batch_size)
    np.testing.assert_allclose(truth, [[1, 0, 0], [0, 0.6, 0.4]])
    np.testing.assert_allclose(found, [[1, 0, 0], [0, said, 1 - said]], atol=5e-5)


@given(seed=st.integers(0, 10**6), batch_size=st.integers(1, 5))
def test_undoing_weights_is_exact_where_pictures_tell_their_composition(seed, batch_size):
    """Also where two of them look the same, if all their pixels weigh the same together."""
    masks = 1 + np.random.default_rng(seed).integers(0, 9, (5, 4)) ** 2
    masks[0] += [3, 0, 0, 0]
    masks[1] = masks[0] + [-3, 1, 0, 0]
    assert masks[0] @ WEIGHTS == masks[1] @ WEIGHTS
    for looks in (range(5), (0, 0, 1, 2, 3)):
        pixels = np.zeros((5, max(looks) + 1, 4))
        pixels[range(5), looks] = masks
        found, truth = undone_after_all_batches(pixels, WEIGHTS, batch_size)
        np.testing.assert_allclose(found, truth, rtol=1e-9)


def test_what_to_undo_after_a_weight_normalised_loss():
    """The optimum of PyTorch's mean, in closed form, for two kinds of model.

    A pixel shows a feature x that depends on its class only; one mask is a batch. A model that
    also sees the mask's composition is corrected by w, a model that doesn't by the weight that an
    average pixel of each class really had.
    """
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 1000, (30, 4)) ** 2
    seen = generator.dirichlet(np.ones(3), 4)  # p(x | c), [4, 3]
    per_batch = 1.0 / (counts @ WEIGHTS)
    # Summed loss of all batches at a pixel of feature x: -sum_c mass_xc ln q(c|x).
    joint = counts[:, None, :] * seen.T[None]  # [masks, x, c], pixels
    mass = joint * per_batch[:, None, None] * WEIGHTS

    def normalised(values):
        return values / values.sum(axis=-1, keepdims=True)

    np.testing.assert_allclose(
        unweight_probabilities(normalised(mass), WEIGHTS), normalised(joint), rtol=1e-9
    )
    effective = price_list(ledger_of(counts), WEIGHTS, "batch").effective_weights
    blind = normalised(mass.sum(axis=0))
    np.testing.assert_allclose(
        unweight_probabilities(blind, effective), normalised(joint.sum(axis=0)), rtol=1e-9
    )
    wrong = unweight_probabilities(blind, WEIGHTS)
    assert np.abs(wrong - normalised(joint.sum(axis=0))).max() > 0.01
