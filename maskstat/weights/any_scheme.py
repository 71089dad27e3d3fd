"""Class weights by any scheme: one entry, also to equal cost under both averages of a loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, UnlistedValuesError, WeightError, argument, call
from maskstat.parameters import check_word, refuse_idle
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray
from maskstat.weights.choices import AVERAGES, Absent, Average, Normalisation, Unlisted
from maskstat.weights.compute import (
    compute,
    finish,
    heed_unlisted,
    present_counts,
    resolve_absent,
)
from maskstat.weights.notes import SAMPLED
from maskstat.weights.schemes import SCHEMES, ClassCounts, FloatArray, find_scheme
from maskstat.weights.schemes import equal_cost as closed_form
from maskstat.weights.table import WeightTable
from maskstat.weights.weight_intervals import Sample, with_intervals

EQUAL_COST = "equal-cost"
DEFAULT_MAX_RATIO = 1000.0
# What `WeightTable.reduction` says of weights for each average.
_REDUCTIONS: dict[Average, str] = {"pixel": "linear", "batch": "weight-normalised"}

if TYPE_CHECKING:
    from maskstat.weights.batches import Batching

CostMatrix = npt.ArrayLike | str | os.PathLike[str]


def weigh(
    histogram: ClassHistogram,
    ledger: Callable[[], MaskLedger],
    scheme: str = EQUAL_COST,
    *,
    parameters: Mapping[str, object] | None = None,
    average: Average | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    seed: int | None = None,
    cost_matrix: CostMatrix | None = None,
    best_effort: bool = False,
    max_ratio: float | None = None,
    batching: Batching | None = None,
    normalize: Normalisation = "none",
    clip: tuple[float, float] | None = None,
    absent: Absent | None = None,
    unlisted: Unlisted = "refuse",
    source: str | None = None,
    components: Callable[[], IntArray] | None = None,
    sample: Sample | None = None,
) -> WeightTable:
    """Class weights from exact counts; see `maskstat.api.scan.Scan.weights`.

    Args:
        histogram: counts of K classes.
        ledger: gives the mask x class counts; asked only where batches matter.
        batching: how its rows come to batches, besides `drop_last`; without, they are masks.
        source: where the counts are from, for the table's provenance.
        components: gives int64[K], connected components, where a scheme is asked to count them.
        sample: what is drawn at random, for intervals; without, there are none.
    """
    chosen = find_scheme(scheme)
    bound = chosen.bind(parameters or {})
    if scheme != EQUAL_COST:
        refuse_idle(
            {
                "average": average,
                "batch_size": batch_size,
                "drop_last": drop_last,
                "cost_matrix": cost_matrix,
                "best_effort": best_effort,
                "max_ratio": max_ratio,
                "seed": seed,
            },
            goes_with=argument("scheme", EQUAL_COST),
        )
        table = compute(
            histogram,
            scheme,
            parameters=bound,
            normalize=normalize,
            clip=clip,
            absent=absent,
            unlisted=unlisted,
            source=source,
            components=components,
        )
        policy = resolve_absent(histogram, absent)
        return with_intervals(
            table,
            histogram,
            lambda counts: chosen.function(counts, **bound),
            policy=policy,
            sample=sample,
        )
    asked = check_average(average, batch_size, seed, drop_last=drop_last)
    limit = _limit(asked, best_effort, max_ratio)
    matrix = _matrix(cost_matrix, len(histogram.catalog))
    if limit is not None and matrix is not None:
        raise ParameterError(
            f"does not go with {argument('best_effort', True)}", parameter="cost_matrix"
        )
    if asked == "batch" and batch_size is None:
        raise ParameterError(
            "PyTorch's mean divides by each batch's weights, so its answer depends on the batch",
            parameter="average",
            remedy=(
                f"say how many {histogram.row}s one process averages over:"
                f" {argument('batch_size', 8)}"
            ),
        )
    heed_unlisted(histogram, unlisted)
    policy = resolve_absent(histogram, absent)
    counts = present_counts(histogram)
    names = histogram.catalog.names
    solution = None
    sampled: dict[str, object] = {}
    said: dict[str, object] = {"average": asked}
    if asked == "pixel" or batch_size is None:
        formula = closed_form
        if matrix is not None:
            from maskstat.weights.equal_cost import linear

            formula = _linear(linear(histogram.pixels, cost_matrix=matrix, names=names), histogram)
        raw = formula(counts)
    else:
        from maskstat.weights.equal_cost import best_effort as most_equal
        from maskstat.weights.equal_cost import relaxations, weight_normalised

        batching = batching_of(batching, drop_last=drop_last)
        said |= {"batch_size": batch_size, "drop_last": batching.drop_last, "seed": seed or 0}
        rows, seed = ledger(), seed or 0
        _demand_in_crops(rows, histogram, batching)
        if limit is not None:
            said["max_ratio"] = limit
            solution = most_equal(rows, batch_size, max_ratio=limit, batching=batching, seed=seed)
        else:
            solution = weight_normalised(
                rows, batch_size, batching=batching, seed=seed, cost_matrix=matrix, names=names
            )
            if solution.is_near_border:
                solution = replace(solution, relaxations=relaxations(rows, batching=batching))
        raw = solution.weights[histogram.present]
        if batching.stand_for_others:
            sampled = {SAMPLED: {"masks": len(rows), "of": batching.masks}}
    if matrix is not None:
        said["cost_matrix"] = np.asarray(matrix, np.float64).tolist()
    table = finish(
        histogram,
        raw,
        EQUAL_COST,
        said,
        policy=policy,
        normalize=normalize,
        clip=clip,
        source=source,
        reduction=_REDUCTIONS[asked],
        solution=solution,
    )
    table = replace(table, provenance={**table.provenance, **sampled})
    if solution is None or batching is None:
        return with_intervals(table, histogram, formula, policy=policy, sample=sample)
    if sample is None:
        return table
    from maskstat.weights.batch_intervals import with_batch_intervals

    return with_batch_intervals(table, solution, rows, batching, *sample(), policy=policy)


def weights_by_batch(
    histogram: ClassHistogram, ledger: MaskLedger, batch_size: int, batching: Batching | None
) -> FloatArray:
    """float64[K], `weigh(average="batch", normalize="pixel", absent="one", unlisted="ignore")`.

    The weights and nothing else: neither errors, nor what other batch sizes would allow.

    Raises:
        WeightError: as `weigh`.
    """
    from maskstat.weights.equal_cost import batch_weights

    policy = resolve_absent(histogram, "one")
    batching = batching_of(batching, drop_last=False)
    _demand_in_crops(ledger, histogram, batching)
    raw = batch_weights(ledger, batch_size, batching=batching)[histogram.present]
    said = {"average": "batch", "batch_size": batch_size}
    return finish(histogram, raw, EQUAL_COST, said, policy=policy, normalize="pixel").weights


def _linear(weights: FloatArray, histogram: ClassHistogram) -> Callable[[ClassCounts], FloatArray]:
    """Weights [K] of these counts as a formula of any: each class keeps its share of the loss."""
    present = histogram.present
    kept = (weights * histogram.frequency)[present]

    def formula(counts: ClassCounts) -> FloatArray:
        pixels = counts.pixels.astype(np.float64)
        return np.asarray(kept * (pixels.sum() / pixels))

    return formula


def weigh_all(
    histogram: ClassHistogram,
    *,
    normalize: Normalisation = "none",
    clip: tuple[float, float] | None = None,
    absent: Absent | None = None,
    unlisted: Unlisted = "refuse",
    source: str | None = None,
    components: Callable[[], IntArray] | None = None,
) -> dict[str, WeightTable | WeightError]:
    """By scheme its weights, default parameters, or why it has none; see `Scan.all_weights`.

    Raises:
        UnlistedValuesError: pixels have values that are neither classes nor ignored.
        WeightError: no scheme has weights here.
        ParameterError: a word that means nothing.
    """
    tables: dict[str, WeightTable | WeightError] = {}
    for name in SCHEMES:
        try:
            tables[name] = compute(
                histogram,
                name,
                normalize=normalize,
                clip=clip,
                absent=absent,
                unlisted=unlisted,
                source=source,
                components=components,
            )
        except UnlistedValuesError:
            raise
        except WeightError as error:
            tables[name] = error
    first = next(iter(tables.values()))
    if isinstance(first, WeightError) and all(isinstance(t, WeightError) for t in tables.values()):
        raise first
    return tables


def batching_of(batching: Batching | None, *, drop_last: bool) -> Batching:
    """The same, which drops the last batch where it does so or is asked to."""
    from maskstat.weights.batches import Batching

    batching = batching or Batching()
    return replace(batching, drop_last=batching.drop_last or drop_last)


def _demand_in_crops(ledger: MaskLedger, histogram: ClassHistogram, batching: Batching) -> None:
    """Raise WeightError where a class of which crops have pixels is in none that were sampled."""
    from maskstat.weights.equal_cost_shares import listed

    found = np.bincount(ledger.classes, minlength=len(histogram.catalog)) > 0
    lacking = np.flatnonzero(histogram.present & ~found)
    if batching.crops and lacking.size:
        names = histogram.catalog.names
        raise WeightError(
            f"{listed(lacking, names)}: in no sampled crop"
            f" ({argument('crops', batching.crops)}), so batches can't be weighed",
            remedy=f"{argument('crops', 4 * batching.crops)} of '{call('Scan.exposure')}' samples"
            " more",
        )


def check_average(
    average: Average | None, batch_size: int | None, seed: int | None, *, drop_last: bool
) -> Average:
    """The average asked for, "pixel" where none is.

    Raises:
        ParameterError: there is no such average, or it knows no batches and one of their options
            is given.
    """
    if average is not None:
        check_word(average, AVERAGES, parameter="average")
    if average != "batch":
        refuse_idle(
            {"batch_size": batch_size, "drop_last": drop_last, "seed": seed},
            goes_with=argument("average", "batch"),
        )
    return average or "pixel"


def _limit(average: Average, best_effort: bool, max_ratio: float | None) -> float | None:
    """The largest weight ratio of a best effort, None where an exact answer is wanted."""
    if not best_effort:
        refuse_idle({"max_ratio": max_ratio}, goes_with=argument("best_effort", True))
        return None
    if average == "pixel":
        raise ParameterError(
            "a plain mean always has an exact answer",
            parameter="best_effort",
            remedy="leave it out",
        )
    return DEFAULT_MAX_RATIO if max_ratio is None else max_ratio


def _matrix(given: CostMatrix | None, class_count: int) -> npt.ArrayLike | None:
    from maskstat.weights.cost_matrix import read_cost_matrix

    if isinstance(given, (str, os.PathLike)):
        return read_cost_matrix(Path(given), class_count)
    return given
