"""Coordinate ascent: each step exact, the end a place where no class gains by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat.decision.ascent import PixelSample, best_shifts, decided
from maskstat.decision.choices import MEASURES, Measure
from tests.support.loops import at_least_one


def pixels_of(seed: int, classes: int, count: int, *, ties: bool = False) -> PixelSample:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = 2 * rng.normal(size=(classes, count))
    logits[labels, np.arange(count)] += 1
    logits[-1] -= 1.5
    if ties:
        logits = np.round(logits)
    weights = rng.integers(1, 4, count).astype(np.float64)
    images = np.sort(rng.integers(0, 4, count))
    return PixelSample(logits.astype(np.float32), labels, weights, images % 2, images)


def score(pixels: PixelSample, shifts: np.ndarray, measure: Measure) -> float:
    rows, groups = pixels.image_rows()
    decision = decided(pixels.logits, shifts)
    return pixels.outcomes(decision, by=rows, count=groups.size).score(measure)


@given(
    st.integers(0, 10_000),
    st.integers(2, 5),
    st.integers(1, 60),
    st.sampled_from(MEASURES),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_no_shift_of_one_class_is_better(
    seed: int, classes: int, count: int, measure: Measure, ties: bool
) -> None:
    pixels = pixels_of(seed, classes, count, ties=ties)
    found = best_shifts(pixels, measure, bound=3.0)
    reached = score(pixels, found, measure)
    assert reached >= score(pixels, np.zeros(classes), measure) - 1e-9
    assert np.abs(found).max() <= 3.0
    # What a class's pixels change at, and the middle between two of these: all that there is.
    for c in range(classes):
        others = np.delete(pixels.logits + found[:, None], c, 0).max(0)
        margins = np.unique(np.clip(others - pixels.logits[c], -3, 3))
        edges = np.concatenate([[-3.0], margins, [3.0]])
        for shift in (edges[1:] + edges[:-1]) / 2:
            moved = found.copy()
            moved[c] = shift
            # one round may gain up to 1e-4 and be the last
            assert score(pixels, moved, measure) <= reached + 1e-4 + 1e-6


@pytest.mark.parametrize("measure", MEASURES)
def test_two_classes_find_the_best_threshold_of_all(measure: Measure) -> None:
    for seed in range(20):
        pixels = pixels_of(seed, 2, 50)
        best = score(pixels, best_shifts(pixels, measure, bound=8.0), measure)
        margins = np.sort(pixels.logits[0] - pixels.logits[1])
        edges = np.concatenate([[margins[0] - 1], margins, [margins[-1] + 1]])
        every = [
            score(pixels, np.array([0.0, shift]), measure) for shift in (edges[1:] + edges[:-1]) / 2
        ]
        assert best == pytest.approx(max(at_least_one(every)), abs=1e-9)


def test_nothing_to_move() -> None:
    none = np.empty(0, np.int64)
    empty = PixelSample(np.empty((3, 0), np.float32), none, np.empty(0), none, none)
    assert not best_shifts(empty, "iou", bound=1.0).any()
    sure = pixels_of(0, 3, 30)
    sure.logits[:] = -100.0
    sure.logits[sure.labels, np.arange(30)] = 100.0
    assert not best_shifts(sure, "iou", bound=6.0).any()


def test_decided_is_argmax_and_takes_the_first_of_equals() -> None:
    rng = np.random.default_rng(0)
    logits = rng.integers(-2, 3, (5, 500)).astype(np.float32)
    shifts = rng.integers(-2, 3, 5).astype(np.float64)
    np.testing.assert_array_equal(decided(logits, shifts), (logits + shifts[:, None]).argmax(0))
