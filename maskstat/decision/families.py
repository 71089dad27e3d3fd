"""Families of decisions, from none to a free shift a class: what each chooses on given pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from maskstat.decision.ascent import PixelSample, best_shifts, decided
from maskstat.decision.choices import Measure
from maskstat.decision.measures import FloatArray

TAUS = np.linspace(-1.0, 2.0, 31)
BOUND = 0.7  # nats: a factor of 2 of a class's odds
FREE = 6.0  # nats, a factor of 400; beyond, a class is decided everywhere or nowhere


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What is known of training, for families that need it.

    Attributes:
        prior: float64[K], class frequencies in training, sum 1; zeros where a class had none.
        weights: float64[K] the network was trained with; None where it had none.
    """

    prior: FloatArray
    weights: FloatArray | None = None


Choose = Callable[[PixelSample, Measure, Training], FloatArray]


@dataclass(frozen=True, slots=True)
class DecisionFamily:
    """One way to decide.

    Attributes:
        name: of it.
        choose: shifts float64[K], in nats, from pixels, the measure, and what is known.
        measures: it is for.
        needs_weights: it is there only for a network that was trained with weights.
    """

    name: str
    choose: Choose
    measures: tuple[Measure, ...] = ("iou", "image-iou", "recall")
    needs_weights: bool = False


def _undone(pixels: PixelSample, measure: Measure, training: Training) -> FloatArray:
    """- ln of the training weights; of a class of weight 0, that of the smallest other one."""
    del pixels, measure
    assert training.weights is not None
    weights = training.weights
    return -_log_or_lowest(weights)


def _tau(pixels: PixelSample, measure: Measure, training: Training) -> FloatArray:
    """The best -tau ln(prior) of a grid (Menon et al. 2021); ties go to the tau nearest 0."""
    logs = _log_or_lowest(training.prior)
    if not pixels.labels.size:
        return np.zeros_like(logs)
    rows, of_images = pixels.image_rows()
    found = []
    for tau in TAUS.tolist():
        chosen = decided(pixels.logits, -tau * logs)
        outcomes = pixels.outcomes(chosen, by=rows, count=of_images.size)
        found.append((outcomes.score(measure), -abs(tau), tau))
    return np.asarray(-max(found)[2] * logs)


def _log_or_lowest(values: FloatArray) -> FloatArray:
    """ln, relative to the largest; a class of 0 is taken for the smallest that is not."""
    positive = values > 0
    lowest = values[positive].min() if positive.any() else 1.0
    logs = np.log(np.where(positive, values, lowest))
    return np.asarray(logs - logs.max())


def _bounded(pixels: PixelSample, measure: Measure, training: Training) -> FloatArray:
    del training
    return best_shifts(pixels, measure, bound=BOUND)


def _free(pixels: PixelSample, measure: Measure, training: Training) -> FloatArray:
    del training
    return best_shifts(pixels, measure, bound=FREE)


NONE = "none"
"""What argmax is called beside the families."""

FAMILIES: tuple[DecisionFamily, ...] = (
    DecisionFamily("weights undone", _undone, needs_weights=True),
    DecisionFamily("tau", _tau),
    DecisionFamily("bounded shifts", _bounded, ("iou", "image-iou")),
    DecisionFamily("free shifts", _free, ("iou", "image-iou")),
)
"""From the simplest on: of several that help, the first is recommended."""


def families_for(measure: Measure, training: Training) -> tuple[DecisionFamily, ...]:
    """Those that there are for a measure, simplest first; none of them is argmax."""
    return tuple(
        family
        for family in FAMILIES
        if measure in family.measures and (training.weights is not None or not family.needs_weights)
    )
