"""Normalisation of weights: a separate, named step after the scheme's formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maskstat.parameters import check_word
from maskstat.weights.choices import NORMALISATIONS, Normalisation
from maskstat.weights.schemes import FloatArray

# Each gives the number that all weights are divided by.
_DIVISORS: dict[Normalisation, Callable[[FloatArray, FloatArray], float]] = {
    "none": lambda weights, frequency: 1.0,
    "mean": lambda weights, frequency: float(weights.mean()),
    "sum": lambda weights, frequency: float(weights.sum()),
    "max": lambda weights, frequency: float(weights.max()),
    "min": lambda weights, frequency: float(weights[weights > 0].min()),
    "pixel": lambda weights, frequency: float(frequency @ weights),
}


def normalise(weights: FloatArray, frequency: FloatArray, how: Normalisation) -> FloatArray:
    """Scale weights [K] (some positive) under pixel frequencies [K]; ratios are kept.

    Raises:
        ParameterError: no normalisation is called `how`.
    """
    check_word(how, NORMALISATIONS, parameter="normalize")
    # Dividing by the largest first keeps sums of huge weights finite.
    relative = weights if how == "none" else weights / weights.max()
    return np.asarray(relative / _DIVISORS[how](relative, frequency))
