"""Weights under which every constant predictor costs the same.

The question: a model that answers every pixel with class i, whatever it sees, should not be better
off with one i than with another. The answer depends on how the framework averages a weighted loss:

- `linear`: sums, and means over a fixed number of pixels (Keras). n_c w_c is constant.
- `weight_normalised`: every batch is divided by its own sum of weights (PyTorch's
  `CrossEntropyLoss(weight=w, reduction="mean")`). With the share of class i in a batch S,
  s_Si = w_i n_Si / sum_c w_c n_Sc, the mean share has to be 1/K: matrix scaling.

`docs/equal-cost.md` derives both. The confidence of the predictors is no parameter here: a
predictor that gives its class 1 - eps and every other class eps / (K - 1) costs
b - (b - a) share_i with a = -ln(1 - eps), b = -ln(eps / (K - 1)), so equal shares are equal costs
for every eps. Costs are therefore given in units in which a wrong pixel costs 1 and a right one 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError, argument
from maskstat.parameters import several
from maskstat.showing import one_line
from maskstat.weights import feasibility
from maskstat.weights.batches import (
    LARGEST_SAMPLE,
    BatchDrawer,
    Batches,
    Batching,
    FloatArray,
    LedgerLike,
    MaskRows,
    sample_of_passes,
)
from maskstat.weights.equal_cost_minimax import most_equal_shares
from maskstat.weights.equal_cost_presence import PresenceGroups
from maskstat.weights.equal_cost_shares import class_name, equal_cost_shares, listed
from maskstat.weights.feasibility import Condition, TightSet, tightest_set
from maskstat.weights.matrix_scaling import (
    Errors,
    Linearised,
    Scaling,
    at_scale,
    parts,
    scale,
    share_errors,
)

STABILITY = 0.01
"""Batches are drawn until no weight has a larger relative standard error."""

LARGEST_RATIO = 1e12
"""The largest weight ratio that may be asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class EqualCostWeights:
    """Weights for a weight-normalised mean, and how far they can be trusted.

    Attributes:
        weights: float64[classes]; 0 for classes that do not occur. The expected weight of a
            labelled pixel is 1 (within every block).
        shares: float64[classes], mean share of each class in a batch's weight.
        costs: float64[classes], cost of answering always with each class. A wrong pixel costs 1
            unless a cost matrix said otherwise.
        standard_errors: float64[classes], relative standard error of each of these weights from
            the drawing of batches and of crops; 0 where every batch of masks was taken. What other
            masks would change is in `WeightTable.intervals`, and mostly larger.
        crop_errors: float64[classes], the part of it that more batches do not lessen, of crops.
        crops: of each mask; 0 where rows of the ledger are masks.
        batch_size: masks in a batch, at most the number of masks.
        last_batch: masks in the last batch of an epoch where that is smaller and kept, else 0.
        batches: batches that the solution is made of.
        sampled: whether these are a random sample of all possible batches.
        left_out: batches (among those) without a labelled pixel.
        iterations: of the scaling, or linear programs of a best effort; 0 for a closed form.
        blocks: groups of classes that never meet in a batch. With more than one, nothing ties
            the scales of the blocks together and each is normalised by itself.
        linear_ratio: largest weight ratio of 1 / n_c, for comparison.
        tightest: the set of classes nearest to the border of what is possible, with class indices;
            None where none is nearer than any set that leaves out one class.
        smallest_batch_size: the first at which equal cost is possible; None where that is at none,
            which can be of crops only.
        max_ratio: the limit that a best effort was given.
        relaxations: what larger batches would allow; looked for by `any_scheme.weigh` where the
            weights are near the border, else empty.
        follows: how the weights of the classes that occur follow the shares; None for a best
            effort.
    """

    weights: FloatArray
    shares: FloatArray
    costs: FloatArray
    standard_errors: FloatArray
    crop_errors: FloatArray
    crops: int
    batch_size: int
    last_batch: int
    batches: int
    sampled: bool
    left_out: int
    iterations: int
    blocks: int
    linear_ratio: float
    tightest: TightSet | None
    smallest_batch_size: int | None
    max_ratio: float | None = None
    relaxations: tuple[Relaxation, ...] = ()
    follows: Linearised | None = None

    __repr__ = one_line

    @property
    def spread(self) -> float:
        """Dearest minus cheapest constant predictor, among classes that occur."""
        return float(np.ptp(self.costs[self.weights > 0]))

    @property
    def relative_spread(self) -> float:
        """The spread over the mean cost."""
        return self.spread / abs(float(self.costs[self.weights > 0].mean()) or 1.0)

    @property
    def weight_ratio(self) -> float:
        """Largest weight over smallest, among classes that occur."""
        occurring = self.weights[self.weights > 0]
        return float(occurring.max() / occurring.min())

    @property
    def is_stable(self) -> bool:
        """Whether every relative standard error is known and at most 1%."""
        return self.crops != 1 and bool(self.standard_errors.max() <= STABILITY)

    @property
    def crops_needed(self) -> int | None:
        """Crops of each mask that would make the weights sure to 1%; None where these are enough.

        On a lattice the error falls about like 1 / crops. Rounded up to a doubling. One crop says
        nothing of its error: 24 do.
        """
        if self.crops == 1:
            return 24
        error = float(self.crop_errors.max())
        if not self.crops or error <= STABILITY:
            return None
        return self.crops << int(np.ceil(np.log2(error / STABILITY)))

    @property
    def is_near_border(self) -> bool:
        """Whether the weights are far larger than class frequencies alone would make them."""
        return self.weight_ratio > 3.0 * self.linear_ratio


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What a batch size costs: the largest weight ratio and the slack of the tightest set.

    `weight_ratio` is None where equal cost is not possible, or too near the border to be solved.
    """

    batch_size: int
    weight_ratio: float | None
    slack: float

    __repr__ = one_line


class InfeasibleEqualCost(WeightError):
    """No weights make all constant predictors equally costly at this batch size.

    Attributes:
        classes: indices of a set of classes that are in too few batches.
        presence: masks (or crops) that contain each of these classes.
        masks_with_any: masks (or crops) that contain at least one of them.
        mask_count: masks (or crops) with a labelled pixel.
        batch_size: the one asked for.
        chance: share of batches that contain one of the classes.
        needed: share that equal cost needs (the number of classes over K).
        smallest_batch_size: the first larger one at which equal cost is possible; None where
            there is none, which can be of crops only.
    """

    classes: tuple[int, ...]
    presence: tuple[int, ...]
    masks_with_any: int
    mask_count: int
    batch_size: int
    chance: float
    needed: float
    smallest_batch_size: int | None


def linear(
    pixels: npt.ArrayLike,
    *,
    cost_matrix: npt.ArrayLike | None = None,
    names: str | Iterable[str] | None = None,
) -> FloatArray:
    """Equal-cost weights for sums and fixed means: w_c proportional to share_c / n_c.

    Args:
        pixels: [classes], labelled pixels n_c of each class.
        cost_matrix: [classes, classes], L_ic, what a pixel of class c costs the predictor of
            class i; default 0 for i = c and 1 otherwise. Solves L (n w) = x 1.
        names: class names, for messages.

    Returns:
        float64[classes] with sum_c p_c w_c = 1; 0 for classes that do not occur.

    Raises:
        WeightError: no class occurs, or the cost matrix has no usable solution.
        ParameterError: the cost matrix has another shape or a value that is not finite.
    """
    counts = np.asarray(pixels, np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ParameterError("pixel counts must be one non-negative number a class")
    present = np.flatnonzero(counts)
    if not present.size:
        raise WeightError("no pixel has a class, so there is nothing to weigh")
    called = None if names is None else several(names)
    targets = equal_cost_shares(cost_matrix, present, len(counts), called)
    weights = np.zeros(len(counts))
    weights[present] = targets * (counts.sum() / counts[present])
    return weights


def weight_normalised(
    ledger: LedgerLike,
    batch_size: int = 1,
    *,
    batching: Batching | None = None,
    seed: int = 0,
    cost_matrix: npt.ArrayLike | None = None,
    names: str | Iterable[str] | None = None,
    stability: float = STABILITY,
) -> EqualCostWeights:
    """Equal-cost weights for PyTorch's weighted mean over batches of `batch_size` masks.

    Exact for a batch size of 1, for one batch of everything, and where there are few different
    batches; otherwise solved on seeded random batches, doubled until drawing them gives every
    weight a relative standard error of at most `stability` (or there are 8 million entries). What
    sampling crops adds to that only more crops lessen; see `EqualCostWeights.is_stable`.

    `batching` says how the ledger's rows come to batches: by default they are masks, and those left
    at the end of an epoch are a last batch.

    Raises:
        InfeasibleEqualCost: no weights do it; names the classes and the first batch size that
            does.
        WeightError: no labelled pixel; the iteration did not converge (shares within 1e-9 of
            their targets); or equal cost is possible only by so little that no sample shows it.
        ParameterError: the batch size is below 1 or the cost matrix is malformed.
    """
    rows = MaskRows.of(ledger, batching)
    drawer = BatchDrawer(rows, batch_size, seed)
    called = None if names is None else several(names)
    targets = equal_cost_shares(cost_matrix, rows.present, rows.class_count, called)
    scaling, batches, follows = _solve(rows, drawer, targets, called, stability)
    by_logs, by_totals = at_scale(scaling, rows.totals)
    moved = rows.replicate_totals
    errors = follows.errors(by_logs, None if moved is None else moved @ by_totals.T)
    result = _result(rows, drawer, scaling, batches, errors, targets, cost_matrix)
    return replace(result, follows=follows)


def batch_weights(
    ledger: LedgerLike, batch_size: int = 1, *, batching: Batching | None = None
) -> FloatArray:
    """float64[classes], the `weights` of `weight_normalised` and nothing else about them.

    Raises:
        InfeasibleEqualCost, WeightError, ParameterError: as `weight_normalised`.
    """
    rows = MaskRows.of(ledger, batching)
    drawer = BatchDrawer(rows, batch_size, seed=0)
    targets = equal_cost_shares(None, rows.present, rows.class_count, None)
    scaling, *_ = _solve(rows, drawer, targets, None, STABILITY)
    return rows.spread_out(_scaled(scaling, rows.totals))


def best_effort(
    ledger: LedgerLike,
    batch_size: int = 1,
    *,
    max_ratio: float,
    batching: Batching | None = None,
    seed: int = 0,
) -> EqualCostWeights:
    """Weights of the least cost spread with max w / min w <= max_ratio.

    The exact weights where they exist within the ratio. Otherwise a minimum of the spread
    max cost - min cost found by sequential linear programs from the capped matrix scaling: at
    least as good as that, stationary (no small change improves it), and equal to the global
    minimum wherever it could be compared; that it always is has not been proved. Where classes do
    not determine the spread they are kept even, at up to 1e-4 of the spread. For batch sizes
    above 1 the shares carry the sampling error of some thousand batches.

    Raises:
        ParameterError: the ratio is not between 1 and 1e12, or the batch size is below 1.
        WeightError: no labelled pixel.
    """
    if not 1.0 <= max_ratio <= LARGEST_RATIO:
        raise ParameterError(
            f"{argument('max_ratio', max_ratio)} is no largest ratio of weights: it must be between"
            " 1 and 1e12"
        )
    rows = MaskRows.of(ledger, batching)
    drawer = BatchDrawer(rows, batch_size, seed)
    targets = np.full(len(rows.present), 1.0 / len(rows.present))
    try:
        exact = weight_normalised(ledger, batch_size, batching=batching, seed=seed)
    except WeightError:
        pass
    else:
        if exact.weight_ratio <= max_ratio:
            return replace(exact, max_ratio=max_ratio)
    batches = drawer.every_batch() if drawer.enumerable else sample_of_passes(drawer)
    logs, share, programs = most_equal_shares(batches, max_ratio)
    blocks = np.zeros(len(logs), np.int64)
    deviation = float(np.abs(share * len(share) - 1.0).max())
    scaling = Scaling(logs, share, deviation, programs, blocks)
    split = parts(batches, np.exp(logs - logs.max()))
    errors = share_errors(batches, split).over(share)
    result = _result(rows, drawer, scaling, batches, errors, targets, None)
    return replace(result, max_ratio=max_ratio)


def relaxations(
    ledger: LedgerLike,
    batch_sizes: Sequence[int] | None = None,
    *,
    batching: Batching | None = None,
    seed: int = 0,
) -> tuple[Relaxation, ...]:
    """How weight ratio and slack change with the batch size.

    Default sizes: the smallest feasible one, twice and four times it, as far as there are masks.
    """
    rows = MaskRows.of(ledger, batching)
    targets = np.full(len(rows.present), 1.0 / len(rows.present))
    if batch_sizes is None:
        smallest = feasibility.smallest_batch_size(rows, targets) or rows.epoch
        batch_sizes = sorted({min(rows.epoch, smallest * k) for k in (1, 2, 4)})
    steps = []
    for size in batch_sizes:
        tight = tightest_set(Condition.random_batches(rows, size, targets), ())
        try:
            ratio = weight_normalised(
                ledger, size, batching=batching, seed=seed, stability=0.1
            ).weight_ratio
        except WeightError:
            ratio = None
        steps.append(
            Relaxation(size, ratio, tight.slack if tight is not None else float(targets.min()))
        )
    return tuple(steps)


def _demand_feasible(
    rows: MaskRows, batch_size: int, targets: FloatArray, names: Sequence[str] | None
) -> None:
    violated = feasibility.violated_set(rows, batch_size, targets)
    if violated is None:
        return
    condition = Condition.random_batches(rows, batch_size, targets)
    members = np.isin(np.arange(len(targets)), violated)
    covered = condition.groups.covered(members)
    chance, needed = float(condition.chances[covered]), float(targets[members].sum())
    smallest = feasibility.smallest_batch_size(rows, targets, batch_size)
    classes = rows.present[violated]
    outside = np.where(members, -1, rows.presence)
    other = class_name(rows.present[int(outside.argmax())], names)
    which = listed(classes, names)
    cut = rows.cut(batch_size)
    total, kind = rows.labelled_rows, "crops" if rows.crops else "masks"
    if rows.repeats is not None:  # a sampler's draws are many for a row
        covered = round(covered / condition.groups.total * total)
    finite = " finite" if abs(chance - needed) <= feasibility.SLACK_RESOLUTION else ""
    size = f"batch size {batch_size}" + (f" and a last batch of {cut.last}" if cut.last else "")
    if len(classes) == 1:
        fact = (
            f"{which} is in {covered:,} of {total:,} {kind}; with {size} no{finite}"
            f" weight can make ignoring it as costly as ignoring {other}"
        )
    else:
        fact = (
            f"only {covered:,} of {total:,} {kind} contain any of {which}; with {size} that is "
            f"{100 * chance:.3g}% of the batches, equal cost needs more than "
            f"{100 * needed:.3g}% for {len(classes)} of {len(targets)} classes, and no{finite} "
            f"weights can make ignoring each of them as costly as ignoring {other}"
        )
    can = "it can" if len(classes) == 1 else "they can"
    remedies = []
    if cut.last:
        whole = replace(rows, batching=replace(rows.batching, drop_last=True))
        if feasibility.violated_set(whole, batch_size, targets) is None:
            remedies.append(f"with {argument('drop_last', True)} {can}")
    if smallest is not None:
        remedies.append(f"with batch size {smallest} {can}")
    if not remedies:
        remedies.append(f"no batch size makes it possible: {argument('best_effort', True)}")
    error = InfeasibleEqualCost(fact, remedy=", ".join(remedies))
    error.classes = tuple(int(c) for c in classes)
    error.presence = tuple(int(m) for m in rows.presence[violated])
    error.masks_with_any, error.mask_count = covered, total
    error.batch_size, error.smallest_batch_size = batch_size, smallest
    error.chance, error.needed = chance, needed
    raise error


def _solve(
    rows: MaskRows,
    drawer: BatchDrawer,
    targets: FloatArray,
    names: Sequence[str] | None,
    stability: float,
) -> tuple[Scaling, Batches, Linearised]:
    """The weights, the batches that they are solved on, and how they follow these."""
    _demand_feasible(rows, drawer.batch_size, targets, names)
    if drawer.batch_size >= rows.row_count:
        logs = np.log(targets) - np.log(rows.totals)
        none = np.zeros(len(targets), np.int64)
        scaling, batches = Scaling(logs, targets, 0.0, 0, none), drawer.every_batch()
    elif drawer.enumerable:
        batches = drawer.every_batch()
        scaling = scale(batches, targets)
    else:
        return _solve_sampled(drawer, rows.totals, targets, stability)
    return scaling, batches, Linearised.of(batches, scaling)


def _solve_sampled(
    drawer: BatchDrawer, totals: FloatArray, targets: FloatArray, stability: float
) -> tuple[Scaling, Batches, Linearised]:
    """Double the number of batches until the weights are stable or the sample is full."""
    count = drawer.first_count()
    solved: tuple[Scaling, Batches, Linearised] | None = None
    while True:
        batches = drawer.draw(count)
        table = batches.mixture
        groups = PresenceGroups.of(
            table.indptr.astype(np.int64), table.indices.astype(np.int64), len(targets)
        )
        if feasibility.violated_by_flow(groups, targets) is None:
            start = solved[0].log_weights if solved else None
            scaling = scale(batches, targets, start)
            solved = scaling, batches, Linearised.of(batches, scaling)
            if solved[2].errors(at_scale(scaling, totals)[0]).drawing.max() <= stability:
                return solved
        if 2 * table.nnz > LARGEST_SAMPLE:
            break
        count *= 2
    if solved is None:
        raise WeightError(
            f"with batch size {drawer.batch_size} equal cost is possible, but so narrowly that "
            f"{count:,} random batches do not show it",
            remedy=f"choose a larger batch size or {argument('best_effort', True)}",
        )
    return solved


def _result(
    rows: MaskRows,
    drawer: BatchDrawer,
    scaling: Scaling,
    batches: Batches,
    errors: Errors,
    targets: FloatArray,
    cost_matrix: npt.ArrayLike | None,
) -> EqualCostWeights:
    totals = rows.totals
    weights = _scaled(scaling, totals)
    shares = rows.spread_out(scaling.shares)
    # Where every wrong pixel costs 1 no matrix is made: most classes may be absent.
    costs = (
        shares.sum() - shares
        if cost_matrix is None
        else np.asarray(cost_matrix, np.float64) @ shares
    )
    tight = None
    if drawer.batch_size < rows.row_count:
        condition = Condition.random_batches(rows, drawer.batch_size, targets)
        by_weight = np.argsort(-scaling.log_weights, kind="stable")
        tight = tightest_set(condition, (by_weight,))
    if tight is not None:
        found = tight.masks
        if rows.repeats is not None:
            found = round(found / condition.groups.total * rows.labelled_rows)
        tight = replace(tight, classes=rows.present[tight.classes], masks=found)
    return EqualCostWeights(
        weights=rows.spread_out(weights),
        shares=shares,
        costs=costs,
        standard_errors=rows.spread_out(errors.total),
        crop_errors=rows.spread_out(errors.crops),
        crops=rows.crops,
        batch_size=drawer.batch_size,
        last_batch=drawer.cut.last,
        batches=len(batches),
        sampled=not batches.exact,
        left_out=batches.left_out,
        iterations=scaling.iterations,
        blocks=len(np.unique(scaling.blocks)),
        linear_ratio=float(totals.max() / totals.min()),
        tightest=tight,
        smallest_batch_size=feasibility.smallest_batch_size(rows, targets),
    )


def _scaled(scaling: Scaling, totals: FloatArray) -> FloatArray:
    """float64[K], weights under which a labelled pixel weighs 1 on average, in every block."""
    weights = np.exp(scaling.log_weights - scaling.log_weights.max())
    for block in np.unique(scaling.blocks):
        inside = scaling.blocks == block
        weights[inside] *= totals[inside].sum() / (totals[inside] @ weights[inside])
    return np.asarray(weights)
