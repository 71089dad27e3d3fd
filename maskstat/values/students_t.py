"""Student's t: what is put around an estimate of which few groups say how sure it is.

For whole degrees of freedom its distribution is a finite sum (Abramowitz & Stegun 26.7.3 and 4). So
it is inverted here: importing scipy's special functions takes half as long as all else that a look
at a stored scan does.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of every interval: in so many of repeated samples it holds the true value."""

NORMAL = 1.959963984540054
"""The quantile of a normal distribution that so much lies within on both sides."""

_MANY = 400  # degrees from which the expansion is exact to 13 digits


def student(degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """The quantile of Student's t that 95% lie within on both sides, for each number of degrees.

    At least one degree; exact to 13 digits.
    """
    unique, inverse = np.unique(degrees, return_inverse=True)
    return np.array([_quantile(number) for number in unique.tolist()])[inverse]


@cache
def _quantile(degrees: int) -> float:
    if degrees >= _MANY:
        return _expanded(degrees)
    odd = degrees % 2
    # Newton's method in the angle whose tangent is t / sqrt(degrees). The probability is concave
    # in it, so from below, where the normal distribution's quantile is, every step stays below.
    angle = math.atan(NORMAL / math.sqrt(degrees))
    while True:
        sine, cosine = math.sin(angle), math.cos(angle)
        term, total = (cosine if odd else 1.0), 0.0
        for at in range(1 + odd, degrees, 2):
            total += term
            term *= cosine * cosine * at / (at + 1)
        within, slope = sine * total, degrees * term / cosine
        if odd:
            within, slope = 2 / math.pi * (angle + within), 2 / math.pi * slope
        step = (CONFIDENCE - within) / slope
        angle += step
        if step <= 1e-9 * angle:  # what is left is its square
            return math.sqrt(degrees) * math.tan(angle)


def _expanded(degrees: int) -> float:
    """By powers of 1 / degrees (Abramowitz & Stegun 26.7.5)."""
    z, z2 = NORMAL, NORMAL**2
    terms = (
        1.0,
        (z2 + 1) / 4,
        ((5 * z2 + 16) * z2 + 3) / 96,
        (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384,
        ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160,
    )
    return z * math.fsum(term / degrees**power for power, term in enumerate(terms))
