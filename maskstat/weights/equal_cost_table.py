"""Equal-cost weights as a table to save: one entry for both frameworks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, argument
from maskstat.naming import printable
from maskstat.showing import one_line
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.weights.compute import finish, present_counts, refuse_unlisted, resolve_absent
from maskstat.weights.equal_cost import EqualCostWeights, best_effort, linear, weight_normalised
from maskstat.weights.schemes import equal_cost as closed_form
from maskstat.weights.table import WeightTable

Framework = Literal["keras", "torch"]
FRAMEWORKS: tuple[Framework, ...] = ("keras", "torch")
REDUCTIONS = {"keras": "linear", "torch": "weight-normalised"}
DEFAULT_MAX_RATIO = 1000.0


@dataclass(frozen=True, slots=True)
class EqualCost:
    """Equal-cost weights: the table, and for PyTorch's mean how they were found (else None)."""

    table: WeightTable
    solution: EqualCostWeights | None

    __repr__ = one_line


def equal_cost(
    histogram: ClassHistogram,
    ledger: Callable[[], MaskLedger],
    framework: Framework = "keras",
    *,
    batch_size: int | None = None,
    seed: int = 0,
    cost_matrix: npt.ArrayLike | None = None,
    max_ratio: float | None = None,
    normalize: str = "none",
    clip: tuple[float, float] | None = None,
    absent: str | None = None,
    unlisted: Literal["refuse", "ignore"] = "refuse",
    source: str | None = None,
) -> EqualCost:
    """Weights under which every constant prediction costs the same; see docs/equal-cost.md.

    Args:
        histogram: exact counts.
        ledger: gives the mask x class counts; asked only for "torch".
        framework: "keras" for plain means and sums, "torch" for a mean that every batch divides
            by its own sum of weights.
        batch_size: masks in a batch; "torch" needs it.
        seed: of the random batches.
        cost_matrix: [K, K], what a pixel of class c costs the predictor of class i.
        max_ratio: best effort: the least spread with max w / min w <= max_ratio ("torch").
        normalize, clip, absent, unlisted, source: as in `maskstat.weights.compute.compute`.

    Raises:
        InfeasibleEqualCost: no weights do it at this batch size.
        ParameterError: "torch" without a batch size, or options that do not go together.
        WeightError: as `maskstat.weights.compute.compute`, or the iteration did not converge.
    """
    if framework not in FRAMEWORKS:
        raise ParameterError(
            f"is keras or torch, not {printable(repr(framework))}", parameter="framework"
        )
    if framework == "keras" and max_ratio is not None:
        raise ParameterError(
            "a plain mean always has an exact answer", parameter="max_ratio", remedy="leave it out"
        )
    if max_ratio is not None and cost_matrix is not None:
        raise ParameterError(f"does not go with {argument('max_ratio')}", parameter="cost_matrix")
    if framework == "torch" and batch_size is None:
        raise ParameterError(
            "PyTorch's mean divides by each batch's weights, so its answer depends on the batch",
            parameter="framework",
            where="torch",
            remedy=f"say how many masks one process averages over: {argument('batch_size', 8)}",
        )
    if unlisted != "ignore":
        refuse_unlisted(histogram)
    policy = resolve_absent(histogram, absent)
    counts = present_counts(histogram)
    names = histogram.catalog.names
    solution = None
    parameters: dict[str, object] = {"for": framework}
    if framework == "keras" or batch_size is None:
        if cost_matrix is None:
            raw = closed_form(counts)
        else:
            every = linear(histogram.pixels, cost_matrix=cost_matrix, names=names)
            raw = every[histogram.present]
    else:
        parameters |= {"batch_size": batch_size, "seed": seed}
        if max_ratio is not None:
            parameters["max_ratio"] = max_ratio
            solution = best_effort(ledger(), batch_size, max_ratio=max_ratio, seed=seed)
        else:
            solution = weight_normalised(
                ledger(), batch_size, seed=seed, cost_matrix=cost_matrix, names=names
            )
        raw = solution.weights[histogram.present]
    if cost_matrix is not None:
        parameters["cost_matrix"] = np.asarray(cost_matrix, np.float64).tolist()
    table = finish(
        histogram,
        raw,
        "equal-cost",
        parameters,
        policy=policy,
        normalize=normalize,
        clip=clip,
        source=source,
        reduction=REDUCTIONS[framework],
    )
    return EqualCost(table, solution)
