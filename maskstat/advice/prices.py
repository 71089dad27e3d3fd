"""What damping costs: weights in proportion to n^-alpha, from none (0) to full ones (1).

No theory gives the best alpha for mean IoU. What can be said of each is its price, from the class
frequencies p alone, with w = p^-alpha scaled so that the average pixel weighs 1 and s = p w:

- how far apart the constant predictors' costs are: (1 - min s) / (1 - max s) - 1, which is what a
  linear average of the loss makes of answering one class everywhere (docs/equal-cost.md);
- the effective share of the pixels, (sum p w)^2 / sum p w^2 (Kish 1965, Survey Sampling);
- how far apart the classes' shares of the loss are: max s / min s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line

FloatArray = NDArray[np.float64]

DAMPINGS = {0.0: "none", 0.25: "power 0.25", 0.5: "sqrt", 0.75: "power 0.75", 1.0: "equal-cost"}
"""Alpha, and the scheme that it is."""


@dataclass(frozen=True, slots=True)
class DampingPrice:
    """What weights in proportion to n^-alpha cost.

    Attributes:
        alpha: the damping.
        scheme: what these weights are called.
        weight_ratio: largest over smallest weight.
        cost_spread: the dearest constant predictor's cost over the cheapest one's, minus 1.
        effective_pixels: share of the pixels that as many equally heavy ones are worth, (0, 1].
        loss_ratio: largest over smallest share of the loss that a class has.
    """

    alpha: float
    scheme: str
    weight_ratio: float
    cost_spread: float
    effective_pixels: float
    loss_ratio: float

    __repr__ = one_line


def damped(frequency: FloatArray, alpha: float) -> FloatArray:
    """float64[K], weights in proportion to p^-alpha with sum p w = 1; 0 where a class has none."""
    occurs = frequency > 0
    weights = np.zeros(frequency.size)
    weights[occurs] = (frequency[occurs].max() / frequency[occurs]) ** alpha
    return np.asarray(weights / (frequency @ weights))


def prices_of(frequency: FloatArray, weights: FloatArray) -> tuple[float, float, float]:
    """Cost spread, effective share of the pixels and loss ratio of any weights float64[K].

    Args:
        frequency: float64[K], shares that sum to 1, each positive.
    """
    w = weights / (frequency @ weights)
    shares = frequency * w
    alone = shares.size == 1
    return (
        0.0 if alone else float((1 - shares.min()) / (1 - shares.max()) - 1),
        float(1 / (frequency @ w**2)),
        float(shares.max() / shares.min()),
    )


def price(frequency: FloatArray, alpha: float) -> DampingPrice:
    """Of shares [K] that sum to 1, some of them positive."""
    p = frequency[frequency > 0]
    w = damped(p, alpha)
    return DampingPrice(alpha, DAMPINGS[alpha], float(w.max() / w.min()), *prices_of(p, w))


def prices(frequency: FloatArray) -> tuple[DampingPrice, ...]:
    """Of every damping, from none on."""
    return tuple(price(frequency, alpha) for alpha in DAMPINGS)
