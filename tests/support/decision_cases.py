"""Predictions with known faults: what a network says of images in groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.choices import Measure
from maskstat.decision.decision_report import DecisionReport
from maskstat.decision.decisions import Decision

PRIOR = np.array([0.6, 0.25, 0.1, 0.05])


class Predicted(NamedTuple):
    """Logits float32[K, N] and labels int64[N] of an image, its group and name."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    group: str
    name: str


def predicted(
    seed: int,
    *,
    groups: int = 8,
    images: int = 3,
    pixels: int = 200,
    prior: NDArray[np.float64] = PRIOR,
    overstated: float = 0.0,
    group_deviation: float = 0.0,
) -> list[Predicted]:
    """Images of pixels whose posterior is known: z = ln p(c | x) + overstated * ln prior + group.

    Args:
        overstated: how far frequent classes are overstated; 0 for calibrated logits.
        group_deviation: standard deviation of what each group adds to each class, nats.
    """
    rng = np.random.default_rng(seed)
    classes = prior.size
    found = []
    for group in range(groups):
        own = group_deviation * rng.normal(size=classes)
        for image in range(images):
            labels = rng.choice(classes, pixels, p=prior)
            seen = rng.normal(size=(classes, pixels))
            seen[labels, np.arange(pixels)] += 1.5  # so ln p(x | c) is 1.5 x_c and a constant
            logits = 1.5 * seen + ((1 + overstated) * np.log(prior) + own)[:, None]
            name = f"{group}/{image}.png"
            found.append(Predicted(logits.astype(np.float32), labels, str(group), name))
    return found


def decide(
    images: list[Predicted],
    *,
    measure: Measure = "iou",
    prior: NDArray[np.float64] | None = PRIOR,
    weights: NDArray[np.float64] | None = None,
) -> DecisionReport:
    """The report of two passes."""
    classes = len(images[0].logits)
    decision = Decision(classes, measure=measure, prior=prior, weights=weights)
    for _ in decision.passes():
        for one in images:
            decision.update(one.logits, one.labels, group=one.group, name=one.name)
    return decision.report()
