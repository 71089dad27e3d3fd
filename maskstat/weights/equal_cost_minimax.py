"""The nearest thing to equal cost under a largest weight ratio.

Minimise the spread max y - min y of the shares (for the cost 1 - y of a constant predictor that
is the spread of the costs) over log weights x in a box [0, ln R]. The scale of the weights is
free, so the box is the ratio limit itself. Sequential linear programming with a trust region:
the derivative of y is the Laplacian of `matrix_scaling`, each step is a linear program.
"""

from __future__ import annotations

import numpy as np

from maskstat.weights.batches import Batches, FloatArray
from maskstat.weights.matrix_scaling import laplacian, parts

_CAPPED_STEPS = 200
_PROGRAMS = 100
_EVENNESS = 1e-4
"""How much of the spread may be given up so that classes that do not determine it are even."""

_SMALLEST_GAIN = 1e-8


def most_equal_shares(batches: Batches, max_ratio: float) -> tuple[FloatArray, FloatArray, int]:
    """Log weights within [0, ln max_ratio] of (locally) least share spread.

    Starts from the minimum of the convex scaling function over the box (capped Sinkhorn steps:
    every class has share 1/K, or less at the upper bound, or more at the lower) and improves the
    spread until the linear program, at any radius, sees no gain of 1e-8 / K. So the result is
    never worse than the capped solution and is stationary; that it is the global minimum is not
    proved (no start and no grid has shown another minimum so far).

    Returns:
        float64[K] log weights, float64[K] shares, number of linear programs.
    """
    reach = float(np.log(max_ratio))
    logs = _capped_sinkhorn(batches, reach)
    share, moments = _derivatives(batches, logs)
    value, radius, programs = _merit(share), min(2.0, max(reach, 1e-3)), 0
    while programs < _PROGRAMS and radius > 1e-10:
        programs += 1
        step, promised = _program(share, laplacian(moments), logs, reach, radius)
        if value - promised < _SMALLEST_GAIN:
            break
        following = np.clip(logs + step, 0.0, reach)
        new_share, new_moments = _derivatives(batches, following)
        gain = (value - _merit(new_share)) / (value - promised)
        if gain > 0.05:
            logs, share, moments = following, new_share, new_moments
            value = _merit(share)
        radius *= 2.0 if gain > 0.75 else 0.5 if gain > 0.25 else 0.25
        radius = min(radius, max(reach, 1e-3))
    return logs, share, programs


def _merit(share: FloatArray) -> float:
    """The spread in units of 1/K, plus a small price on unevenness among the rest."""
    scaled = share * len(share)
    return float(np.ptp(scaled) + _EVENNESS * np.abs(scaled - 1.0).mean())


def _derivatives(batches: Batches, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    split = parts(batches, np.exp(logs - logs.max()))
    return split.mean, split.second_moments()


def _capped_sinkhorn(batches: Batches, reach: float) -> FloatArray:
    """Coordinate steps of the convex scaling function, clipped to the box."""
    table = batches.mixture
    classes, transposed = table.shape[1], table.T
    logs = -np.log(transposed @ batches.chances)
    logs = np.clip(logs - np.median(logs) + reach / 2, 0.0, reach)
    for _ in range(_CAPPED_STEPS):
        held = transposed @ (batches.chances / (table @ np.exp(logs - reach)))
        following = np.clip(reach - np.log(classes * held), 0.0, reach)
        settled = np.abs(following - logs).max() < 1e-12
        logs = following
        if settled:
            break
    return np.asarray(logs)


def _program(
    share: FloatArray, slope: FloatArray, logs: FloatArray, reach: float, radius: float
) -> tuple[FloatArray, float]:
    """The step that minimises the linearised merit within the box and the trust region.

    Variables: step d[K], distances u[K] from an even share, highest and lowest share.
    """
    from scipy.optimize import linprog

    count = len(share)
    scaled, rise = share * count, slope * count
    eye, zero, one = np.eye(count), np.zeros((count, count)), np.ones((count, 1))
    nil = np.zeros((count, 1))
    limits = np.block(
        [
            [rise, zero, -one, nil],
            [-rise, zero, nil, one],
            [rise, -eye, nil, nil],
            [-rise, -eye, nil, nil],
        ]
    )
    bounds = np.concatenate((-scaled, scaled, 1.0 - scaled, scaled - 1.0))
    price = np.concatenate((np.zeros(count), np.full(count, _EVENNESS / count), [1.0, -1.0]))
    lower = np.maximum(-radius, -logs)
    upper = np.minimum(radius, reach - logs)
    ranges = [*zip(lower, upper, strict=True), *[(0.0, None)] * count, (None, None), (None, None)]
    found = linprog(price, A_ub=limits, b_ub=bounds, bounds=ranges, method="highs")
    if found.x is None:
        return np.zeros(count), _merit(share)
    return np.asarray(found.x[:count]), float(found.fun)
