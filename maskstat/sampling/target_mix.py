"""Sampling probabilities whose expected class mix is close to a target: a convex problem."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskstat.errors import WeightError, argument
from maskstat.sampling.mix import FloatArray, effective_masks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Distance = Literal["kl", "squares"]

GAP = 1e-8
"""How far from the optimum, at most, a solution may be: the duality gap, for factors up to 1."""

_WEAKEST, _STRONGEST = 1e-5, 1e7
_LOG_PRICE = 100.0
_QUICK_STEPS = 200
_NEVER = 1e-18


class TargetMix:
    """min over u in the simplex of F(P^T u) + l KL(u || u0), for F the distance from a target t.

    F(m) = sum_c t_c ln(t_c / m_c) ("kl") or K/2 sum_c (m_c - t_c)^2 ("squares"). The dual has one
    unknown a class, the price v_c, instead of one a mask; it is smooth and concave:

        maximise  -l ln sum_b u0_b exp((P v)_b / l) + sum_c t_c (1 + ln v_c)            ("kl")
        maximise  -l ln sum_b u0_b exp((P v)_b / l) + sum_c t_c v_c - |v|^2 / (2 K)     ("squares")

    and u_b ~ u0_b exp((P v)_b / l). L-BFGS solves it with two sparse products a step, and primal
    minus dual bounds how far the primal value is from the optimum.

    Args:
        mixes: B x K, sparse, the class mix of each mask; rows sum to 1.
        labelled: float64[B], labelled pixels, all positive; u0 is their share.
        target: float64[K], t, all positive, summing to 1.
        distance: F.
    """

    def __init__(
        self, mixes: csr_array, labelled: FloatArray, target: FloatArray, distance: Distance = "kl"
    ):
        self.mixes, self.labelled, self.target, self.distance = mixes, labelled, target, distance
        self.transposed = mixes.T.tocsr()
        self.log_plain = np.log(labelled / labelled.sum())
        plain = self.transposed @ np.exp(self.log_plain)
        self.scale = math.sqrt(target.size)
        # The prices that are optimal while u is still plain sampling.
        self.start = np.log(target / plain) if distance == "kl" else self.scale * (target - plain)

    def solve(self, needed: float) -> FloatArray:
        """Probabilities of the smallest factor l with an effective number of at least `needed`.

        Raises:
            WeightError: the gap does not close.
        """
        uniform = np.full(self.labelled.size, 1.0 / self.labelled.size)
        if needed >= self.labelled.size:
            return uniform
        factor = 1.0
        probabilities = self.at(factor)
        while effective_masks(probabilities) < needed:
            if factor > _STRONGEST:
                return uniform
            factor *= 4
            probabilities = self.at(factor)
        strong, weak = factor, 0.0
        while not weak and strong > _WEAKEST:
            trial = self.at(strong / 4)
            if effective_masks(trial) < needed:
                weak = strong / 4
            else:
                strong, probabilities = strong / 4, trial
        while weak and strong > 1.02 * weak:
            middle = math.sqrt(weak * strong)
            trial = self.at(middle)
            if effective_masks(trial) < needed:
                weak = middle
            else:
                strong, probabilities = middle, trial
        return probabilities

    def at(self, factor: float) -> FloatArray:
        """Probabilities for one factor l > 0. Raises WeightError where the gap does not close.

        L-BFGS is quick while the problem is smooth. With a small factor it is nearly a linear
        programme, where a trust-region method with second derivatives finishes the job.
        """
        from scipy.optimize import minimize

        # A line search may try prices e^x that overflow; optimal ones, t_c / m_c, are far inside.
        bounds = [(-_LOG_PRICE, _LOG_PRICE)] * self.start.size if self.distance == "kl" else None
        quick = minimize(
            self._negative_dual,
            self.start,
            (factor,),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxfun": _QUICK_STEPS, "maxcor": 30, "ftol": 1e-16, "gtol": 1e-10},
        )
        best = quick.x
        allowed = GAP * max(1.0, factor)

        def stop_when_closed(intermediate_result: Any) -> None:
            if self._gap(intermediate_result.x, factor) <= allowed / 10:
                raise StopIteration

        if self._gap(best, factor) > allowed:
            with np.errstate(over="ignore", invalid="ignore"):  # steps too far are taken back
                best = minimize(
                    self._negative_dual,
                    best,
                    (factor,),
                    jac=True,
                    hess=self._hessian,
                    method="trust-exact",
                    callback=stop_when_closed,
                    options={"maxiter": 1000, "gtol": 1e-12},
                ).x
        if not (gap := self._gap(best, factor)) <= allowed:
            raise WeightError(
                f"the target mix was missed by {gap:.1g}: the iteration did not converge",
                remedy=f"use a larger {argument('parameters', {'effective': None})}",
            )
        self.start = best
        _, u = self._primal(self._prices(best), factor)
        probabilities = u / self.labelled
        return np.asarray(probabilities / probabilities.sum())

    def _gap(self, x: FloatArray, factor: float) -> float:
        """Primal minus dual value: no less than what the primal value is above the optimum."""
        _, u = self._primal(self._prices(x), factor)
        positive = u > 0
        divergence = float(u[positive] @ (np.log(u[positive]) - self.log_plain[positive]))
        primal = self._distance(self.transposed @ u) + factor * divergence
        return primal + self._negative_dual(x, factor)[0]

    def _hessian(self, x: FloatArray, factor: float) -> FloatArray:
        prices = self._prices(x)
        _, u = self._primal(prices, factor)
        mix = self.transposed @ u
        drawn = np.flatnonzero(u > _NEVER)  # with a small factor, few masks are left
        rows = self.mixes[drawn]
        spread = (rows.T @ rows.multiply(u[drawn, None])).toarray() - np.outer(mix, mix)
        if self.distance == "kl":
            return np.asarray(spread * np.outer(prices, prices) / factor + np.diag(prices * mix))
        return np.asarray(spread * self.scale**2 / factor + np.eye(mix.size))

    def _distance(self, mix: FloatArray) -> float:
        if self.distance == "squares":
            return float(((mix - self.target) ** 2).sum()) * self.target.size / 2
        with np.errstate(divide="ignore"):
            return float(self.target @ (np.log(self.target) - np.log(mix)))

    def _prices(self, x: FloatArray) -> FloatArray:
        """v from the unknowns that L-BFGS works on: ln v, or v / sqrt K."""
        return np.asarray(np.exp(x) if self.distance == "kl" else self.scale * x)

    def _negative_dual(self, x: FloatArray, factor: float) -> tuple[float, FloatArray]:
        prices = self._prices(x)
        log_sum, u = self._primal(prices, factor)
        mix = self.transposed @ u
        if self.distance == "kl":
            value = factor * log_sum - 1.0 - float(self.target @ x)
            return value, prices * mix - self.target
        value = factor * log_sum - float(self.target @ prices - x @ x / 2)
        return value, self.scale * (mix - self.target) + x

    def _primal(self, prices: FloatArray, factor: float) -> tuple[float, FloatArray]:
        """ln of the sum that normalises u, and u."""
        exponents = self.log_plain + (self.mixes @ prices) / factor
        largest = float(exponents.max())
        terms = np.exp(exponents - largest)
        total = float(terms.sum())
        return largest + math.log(total), terms / total
