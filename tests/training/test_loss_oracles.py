"""The oracle of the losses holds against differences, limits and laws of its own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.loops import at_least_one
from tests.support.loss_cases import CASES, SPARSE_CASES, LossCase, expected, one_hot
from tests.support.loss_oracles import (
    LABEL_LOSSES,
    LOSSES,
    REDUCTIONS,
    Array,
    central_differences,
    evaluate,
)

MODERATE = [case for case in CASES if not case.extreme and case.logits.size <= 60]


def test_the_battery_has_everything() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.loss for case in CASES} == set(LOSSES)
    for case in at_least_one(CASES):
        assert np.array_equal(case.logits.astype(np.float16), case.logits), case.name
        assert np.isfinite(case.logits.astype(np.float16)).all(), case.name
    for loss in LABEL_LOSSES:
        own = [case for case in CASES if case.loss == loss]
        assert {case.logits.ndim for case in own} == {2, 3, 4, 5}
        assert {case.sparse for case in own} == {True, False}
        assert any(case.extreme for case in own) and any(case.classes == 2 for case in own)
        assert {case.ignore_index is None for case in own} == {True, False}


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_the_slopes_of_values(loss: str) -> None:
    for case in at_least_one(MODERATE):
        # Where all pixels are equally hard, the slope of "the hardest" jumps: there is none.
        if case.loss != loss or ("top_k" in case.options and np.ptp(case.logits) == 0):
            continue

        def value(logits: Array, case: LossCase = case) -> float:
            return float(expected(case, "weighted-mean", logits)[0])

        _, gradient = expected(case, "weighted-mean")
        slopes = central_differences(value, case.logits)
        assert np.allclose(gradient, slopes, rtol=1e-6, atol=1e-7), case.name


def test_one_hot_labels_are_sparse_ones() -> None:
    for case in at_least_one(SPARSE_CASES):
        for reduction in REDUCTIONS:
            for of_sparse, of_one_hot in zip(
                expected(case, reduction), expected(one_hot(case), reduction), strict=True
            ):
                assert np.array_equal(of_sparse, of_one_hot), (case.name, reduction)


def test_values_from_the_papers_formulas() -> None:
    """Written down directly, where that is stable."""
    logits = np.array([[0.3, -1.2, 2.0, 0.0], [1.0, 1.0, -0.5, 0.25]])
    labels = np.array([2, 1])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    true = p[[0, 1], labels]
    rest = np.array([np.delete(row, label) for row, label in zip(p, labels, strict=True)])
    q = rest / (1 - true[:, None])
    complement = -(q * np.log(q)).sum(-1)
    prior = np.array([0.5, 0.3, 0.15, 0.05])
    adjusted = p * prior**0.8 / (p * prior**0.8).sum(-1, keepdims=True)
    counts = np.array([1000.0, 100.0, 10.0, 81.0])
    margins = counts**-0.25 / (counts**-0.25).max() * 0.4
    moved = logits.copy()
    moved[[0, 1], labels] -= margins[labels]
    scaled = np.exp(7 * moved)
    wanted = {
        "cross_entropy": ({}, -np.log(true)),
        "focal": ({"gamma": 1.7}, -((1 - true) ** 1.7) * np.log(true)),
        "complement_entropy": ({}, complement),
        "complement_cross_entropy": ({"gamma": -0.6}, -np.log(true) - 0.6 / 3 * complement),
        "logit_adjusted": ({"prior": prior, "tau": 0.8}, -np.log(adjusted[[0, 1], labels])),
        "ldam": (
            {"counts": counts, "max_margin": 0.4, "scale": 7.0},
            -np.log(scaled[[0, 1], labels] / scaled.sum(-1)),
        ),
    }
    assert set(wanted) == set(LABEL_LOSSES)
    for loss, (options, values) in wanted.items():
        found, _ = evaluate(loss, logits, labels, reduction="none", **options)
        assert np.allclose(found, values, rtol=1e-12), loss


def test_heat_map_loss_from_the_papers_formula() -> None:
    logits = np.array([[0.3, -1.2, 2.0], [1.0, 1.5, -0.5]])
    heat = np.array([[1.0, 0.6, 0.0], [0.25, 1.0, 0.9]])
    p = 1 / (1 + np.exp(-logits))
    hit = -((1 - p) ** 2) * np.log(p)
    miss = -((1 - heat) ** 4) * p**2 * np.log(1 - p)
    found, _ = evaluate("distance_aware", logits, heat, reduction="mean")
    assert found == pytest.approx(np.where(heat == 1, hit, miss).sum() / 2, rel=1e-12)
