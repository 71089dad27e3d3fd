"""Matrix scaling: column weights that give every class its share of the average batch.

With a batch table A (batches x classes, rows normalised) and weights w, class i holds the part
s_Si = w_i A_Si / (A w)_S of batch S. Its *share* is y_i = mean_S s_Si, and we look for w with
y = targets. Sinkhorn and Knopp (1967) alternate between rows and columns; the fixed point is also
the minimum of the convex function

    f(x) = mean_S ln (A exp x)_S - targets . x,    x = ln w,
    gradient y - targets,    Hessian diag(y) - mean_S s_S s_S^T,

(Kalantari and Khachiyan 1996). The Hessian is the Laplacian of a weighted graph of classes, so
Newton's method has quadratic convergence where Sinkhorn's steps become small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from maskstat.errors import WeightError, argument
from maskstat.showing import one_line
from maskstat.values.tally import IntArray
from maskstat.weights.batches import Batches, FloatArray

TOLERANCE = 1e-9
"""A solution is accepted when every share is within this relative distance of its target."""

INDEPENDENT_PASSES = 8
"""From so many passes over the data on, their scatter gives the standard error."""

_POLISH = 1e-13
_SINKHORN_STEPS = 40
_NEWTON_STEPS = 200
_BLOCK_ENTRIES = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """A solved scaling.

    Attributes:
        log_weights: float64[K], natural logarithms; the mean of every block is 0.
        shares: float64[K], y, which sum to 1.
        deviation: max |y_i / target_i - 1|.
        iterations: Sinkhorn steps plus Newton steps.
        blocks: int64[K], classes of different blocks never meet in a batch, so that nothing
            ties the weights of one block to those of another.
    """

    log_weights: FloatArray
    shares: FloatArray
    deviation: float
    iterations: int
    blocks: IntArray

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False)
class BatchParts:
    """Which part of each batch's weight belongs to each class.

    Attributes:
        table: CSR float64[M, K]; rows sum to 1. A batch in which only zero weights occur has no
            parts (its mean loss is 0/0) and no row.
        chances: float64[M], how likely each batch is; they add up to 1.
        replicates: of these batches, as in `Batches`.
        whole: whether these are all batches.
    """

    table: Any
    chances: FloatArray
    replicates: IntArray | None
    whole: bool

    __repr__ = one_line

    def __len__(self) -> int:
        return int(self.table.shape[0])

    @property
    def mean(self) -> FloatArray:
        """float64[K], y: the share of each class in the average batch."""
        return np.asarray(self.table.T @ self.chances)

    def second_moments(self) -> FloatArray:
        """float64[K, K], mean_S s_S s_S^T."""
        count, classes = self.table.shape
        lengths = np.diff(self.table.indptr)
        # A sparse product costs some hundred times a dense one per term.
        if 100.0 * float(lengths @ lengths.astype(float)) < float(count) * classes * classes:
            weighted = self.table.copy()
            weighted.data *= np.repeat(self.chances, lengths)
            return np.asarray((self.table.T @ weighted).toarray())
        moments = np.zeros((classes, classes))
        step = max(1, _BLOCK_ENTRIES // classes)
        for start in range(0, count, step):
            rows = self.table[start : start + step].toarray()
            moments += rows.T @ (rows * self.chances[start : start + step, None])
        return moments


def parts(batches: Batches, weights: FloatArray) -> BatchParts:
    """Which part of each batch's weight belongs to each class."""
    from scipy.sparse import csr_array

    table = batches.mixture
    values = table.data * weights[table.indices]
    sums = np.add.reduceat(values, table.indptr[:-1])
    lengths = np.diff(table.indptr)
    with np.errstate(invalid="ignore", divide="ignore"):
        values /= np.repeat(sums, lengths)
    result = csr_array((values, table.indices, table.indptr), shape=table.shape)
    chances, turns = batches.chances, batches.replicates
    whole = bool((sums > 0).all())
    if not whole:
        kept = np.flatnonzero(sums > 0)
        result, chances = result[kept], chances[kept]
        turns = None if turns is None else turns[kept]
        chances = chances / (chances.sum() or 1.0)
    return BatchParts(result, chances, turns, whole)


def shares(batches: Batches, weights: FloatArray) -> FloatArray:
    """float64[K], y: the mean part of each class. Zero weights are allowed, all zero is not."""
    split = parts(batches, weights)
    if not len(split):
        raise WeightError("every batch holds classes of weight zero only")
    return split.mean


def sinkhorn_knopp(
    batches: Batches, targets: FloatArray, weights: FloatArray, steps: int
) -> FloatArray:
    """`steps` plain iterations r = 1/(A w), w = targets / mean_S(r A); returns w, largest 1."""
    table = batches.mixture
    transposed = table.T
    for _ in range(steps):
        weights = targets / (transposed @ (batches.chances / (table @ weights)))
        weights = weights / weights.max()
    return weights


def scale(batches: Batches, targets: FloatArray, start: FloatArray | None = None) -> Scaling:
    """Solve y(w) = targets by some Sinkhorn steps and then Newton's method.

    Args:
        batches: M batches over K classes, every class in some batch.
        targets: float64[K], positive, sum 1.
        start: log weights to begin with; default ln(targets / mean frequency).

    Raises:
        WeightError: the shares did not come within `TOLERANCE` of the targets.
    """
    if batches.mixture.shape[1] == 1:
        return Scaling(np.zeros(1), np.ones(1), 0.0, 0, np.zeros(1, np.int64))
    if start is None:
        start = np.log(targets) - np.log(batches.mixture.T @ batches.chances)
    weights = sinkhorn_knopp(batches, targets, np.exp(start - start.max()), _SINKHORN_STEPS)
    point = _Point.at(batches, targets, np.log(weights))
    blocks = _blocks(point.moments())
    steps = 0
    while point.deviation > _POLISH and steps < _NEWTON_STEPS:
        following = _newton_step(batches, targets, point, blocks)
        if following is None:
            break
        point = following
        steps += 1
    if point.deviation > TOLERANCE:
        raise WeightError(
            "the equal-cost weights did not converge: after "
            f"{_SINKHORN_STEPS + steps} iterations a class still misses its share by "
            f"{point.deviation:.1e} of it",
            remedy=f"choose a larger batch size or {argument('best_effort', True)}",
        )
    logs = point.logs.copy()
    for block in np.unique(blocks):
        logs[blocks == block] -= logs[blocks == block].mean()
    return Scaling(logs, point.shares, point.deviation, _SINKHORN_STEPS + steps, blocks)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Value and derivatives of f at x = logs."""

    logs: FloatArray
    value: float
    split: BatchParts
    shares: FloatArray
    deviation: float

    @classmethod
    def at(cls, batches: Batches, targets: FloatArray, logs: FloatArray) -> _Point:
        logs = logs - logs.max()
        weights = np.exp(logs)
        table = batches.mixture
        value = float(batches.chances @ np.log(table @ weights) - targets @ logs)
        split = parts(batches, weights)
        share = split.mean
        return cls(logs, value, split, share, float(np.abs(share / targets - 1.0).max()))

    def moments(self) -> FloatArray:
        return self.split.second_moments()


def _blocks(moments: FloatArray) -> IntArray:
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(moments > 0, directed=False)
    return np.asarray(labels, np.int64)


def laplacian(moments: FloatArray) -> FloatArray:
    """The Hessian diag(y) - moments, its diagonal summed from the rest of the row.

    Every batch's parts sum to 1, so rows of the Hessian sum to 0. Near the border of feasibility
    diag(y) - moments cancels; the sum of the other entries does not.
    """
    hessian = -moments
    np.fill_diagonal(hessian, 0.0)
    np.fill_diagonal(hessian, -hessian.sum(axis=1))
    return hessian


def solve_laplacian(hessian: FloatArray, blocks: IntArray, right: FloatArray) -> FloatArray:
    """Solve H d = right where right sums to 0 over each block, with d of mean 0 in each block."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    same = blocks[:, None] == blocks[None, :]
    sizes = same.sum(axis=1)
    # Ones over each block are the null space; giving it the mean eigenvalue changes nothing else.
    filled = hessian + same * (np.trace(hessian) / len(hessian) / sizes[:, None])
    try:
        return np.asarray(cho_solve(cho_factor(filled), right))
    except LinAlgError:
        return np.asarray(np.linalg.lstsq(filled, right, rcond=None)[0])


def _newton_step(
    batches: Batches, targets: FloatArray, point: _Point, blocks: IntArray
) -> _Point | None:
    """The next point, or None where rounding lets no step make progress."""
    gradient = point.shares - targets
    for block in np.unique(blocks):
        gradient[blocks == block] -= gradient[blocks == block].mean()
    step = -solve_laplacian(laplacian(point.moments()), blocks, gradient)
    reach = float(np.ptp(step))
    length = min(1.0, 8.0 / reach) if reach > 0 else 1.0
    slope = float(gradient @ step)
    # An accepted point is only polished: there a step that rounding spoils ends the search.
    for _ in range(1 if point.deviation <= TOLERANCE else 40):
        candidate = _Point.at(batches, targets, point.logs + length * step)
        # Close to the minimum f no longer resolves progress, the deviation still does.
        descends = candidate.value < point.value + 1e-4 * length * slope
        if descends or candidate.deviation < 0.5 * point.deviation:
            return candidate
        length /= 2
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """How sure an average over batches is, as standard errors.

    Attributes:
        total: float64[K], of drawing batches and of sampling crops together.
        drawing: float64[K], of drawing batches alone.
        crops: float64[K], what more batches do not lessen; 0 where rows are masks.
    """

    total: FloatArray
    drawing: FloatArray
    crops: FloatArray

    __repr__ = one_line

    @classmethod
    def none(cls, count: int) -> Errors:
        """Where every batch was taken."""
        return cls(np.zeros(count), np.zeros(count), np.zeros(count))

    @classmethod
    def of(cls, drawing: FloatArray, between: FloatArray | None) -> Errors:
        """From variances: of drawing, and between the means over replicates of the crops.

        Replicates differ by their crops and by the batches drawn of them, so what is between them
        is all there is; but they are few, and what drawing alone does is better known.
        """
        drawing = np.maximum(drawing, 0.0)
        if between is None:
            return cls(np.sqrt(drawing), np.sqrt(drawing), np.zeros(len(drawing)))
        total = np.maximum(drawing, between)
        return cls(np.sqrt(total), np.sqrt(drawing), np.sqrt(total - drawing))

    def over(self, scale: FloatArray) -> Errors:
        """Relative to these."""
        return Errors(self.total / scale, self.drawing / scale, self.crops / scale)


def share_errors(batches: Batches, split: BatchParts) -> Errors:
    """float64[K], standard errors of the mean share."""
    if not batches.exact:
        drawing = np.diag(mean_covariance(batches, split, split.second_moments()))
    else:
        drawing = np.zeros(split.table.shape[1])
    scatter = crop_scatter(split)
    return Errors.of(drawing, None if scatter is None else between_replicates(scatter))


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """How the weights of a scaling follow small changes of the mean shares.

    Attributes:
        response: float64[K, K]; d ln w = -response @ d shares, of mean 0 in every block.
        drawing: float64[K, K], covariance of the shares over repeated draws of the batches.
        crops: float64[R, K] or None, see `crop_scatter`.
        blocks: as in `Scaling`.
    """

    response: FloatArray
    drawing: FloatArray
    crops: FloatArray | None
    blocks: IntArray

    __repr__ = one_line

    @classmethod
    def of(cls, batches: Batches, scaling: Scaling) -> Linearised:
        """At the solution."""
        count, blocks = len(scaling.log_weights), scaling.blocks
        none = np.zeros((count, count))
        if count == 1:
            return cls(none, none, None, blocks)
        split = parts(batches, np.exp(scaling.log_weights - scaling.log_weights.max()))
        moments = split.second_moments()
        same = blocks[:, None] == blocks
        centred = np.eye(count) - same / same.sum(axis=1)
        return cls(
            solve_laplacian(laplacian(moments), blocks, centred),
            none if batches.exact else mean_covariance(batches, split, moments),
            crop_scatter(split),
            blocks,
        )

    def errors(self, jacobian: FloatArray, totals: FloatArray | None = None) -> Errors:
        """Standard errors of what follows ln w by this Jacobian [.., K]: the sandwich formula.

        `totals` [R, ..] is by how much the replicates of the crops move the same besides.
        """
        follows = jacobian @ self.response
        drawing = ((follows @ self.drawing) * follows).sum(axis=1)
        if self.crops is None:
            return Errors.of(drawing, None)
        moved = -self.crops @ follows.T
        return Errors.of(drawing, between_replicates(moved if totals is None else moved + totals))


def at_scale(scaling: Scaling, totals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Jacobians [K, K] of ln w where the average pixel weighs 1: by ln w, and by ln totals."""
    weighted = totals * np.exp(scaling.log_weights - scaling.log_weights.max())
    same = scaling.blocks[:, None] == scaling.blocks
    shares = same * weighted / (same @ weighted)[:, None]
    by_totals = same * totals / (same @ totals)[:, None] - shares
    return np.eye(len(weighted)) - shares, by_totals


def crop_scatter(split: BatchParts) -> FloatArray | None:
    """float64[R, K], how the mean shares of R replicates of the crops differ from their mean.

    Every batch belongs to one of them. None where there are none, or not two of them have batches.
    """
    if split.replicates is None:
        return None
    count = int(split.replicates.max()) + 1
    heavy = np.bincount(split.replicates, split.chances, count)
    if count < 2 or not heavy.all():
        return None
    from scipy.sparse import csr_array

    where = (split.replicates, np.arange(len(split)))
    members = csr_array((split.chances, where), shape=(count, len(split)))
    means = np.asarray((members @ split.table).toarray()) / heavy[:, None]
    return np.asarray(means - means.mean(axis=0))


def between_replicates(scatter: FloatArray) -> FloatArray:
    """float64[..], variance of a mean over replicates [R, ..] that differ so from it."""
    count = len(scatter)
    return np.asarray((scatter * scatter).sum(axis=0) / (count * (count - 1)))


def mean_covariance(batches: Batches, split: BatchParts, moments: FloatArray) -> FloatArray:
    """float64[K, K], covariance of the mean share over repeated draws of the batches.

    From the scatter between passes over the data, which are independent of each other, when
    there are enough of them. Otherwise from the scatter between batches as if these were
    independent; that errs on the large side, since a pass takes every mask once.
    """
    from scipy.sparse import csr_array

    count, mean = len(split), split.mean
    passes = int(batches.epochs[-1]) + 1
    if passes < INDEPENDENT_PASSES or not split.whole:
        return np.asarray((moments - np.outer(mean, mean)) / count)
    members = csr_array((np.ones(count), (batches.epochs, np.arange(count))), shape=(passes, count))
    sizes = np.asarray(members.sum(axis=1))
    scatter = np.asarray((members @ split.table).toarray()) - sizes[:, None] * mean
    return np.asarray(scatter.T @ scatter / count**2 * (passes / (passes - 1)))
