"""Normalisation of weights: a separate, named step after the scheme's formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maskstat.errors import ParameterError
from maskstat.naming import did_you_mean, printable
from maskstat.weights.schemes import FloatArray

# Each gives the number that all weights are divided by.
NORMALISATIONS: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "none": lambda weights, frequency: 1.0,
    "mean": lambda weights, frequency: float(weights.mean()),
    "sum": lambda weights, frequency: float(weights.sum()),
    "max": lambda weights, frequency: float(weights.max()),
    "min": lambda weights, frequency: float(weights[weights > 0].min()),
    "pixel": lambda weights, frequency: float(frequency @ weights),
}

MEANING = {
    "none": "as the formula gives them",
    "mean": "mean weight 1",
    "sum": "weights sum to 1",
    "max": "largest weight 1",
    "min": "smallest positive weight 1",
    "pixel": "average pixel weighs 1: loss scale and learning rate carry over",
}


def normalise(weights: FloatArray, frequency: FloatArray, how: str) -> FloatArray:
    """Scale weights [K] (some positive) under pixel frequencies [K]; ratios are kept.

    Raises:
        ParameterError: no normalisation is called `how`.
    """
    if how not in NORMALISATIONS:
        raise ParameterError(
            f"no normalisation is called {printable(how)!r}",
            parameter="normalize",
            remedy=f"{did_you_mean(how, NORMALISATIONS)}known are {', '.join(NORMALISATIONS)}",
        )
    # Dividing by the largest first keeps sums of huge weights finite.
    relative = weights if how == "none" else weights / weights.max()
    return np.asarray(relative / NORMALISATIONS[how](relative, frequency))
