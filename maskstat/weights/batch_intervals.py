"""How sure equal-cost weights for PyTorch's mean are, where masks or groups are the sample.

The weights solve y(w) = targets, y_i = E s_Si the mean share of class i in a batch S of m masks. So
they follow a mask b by its projection (Hajek's; von Mises' derivative of the distribution of masks)

    h_b = E( s_S | b in S ) - y,     d ln w = -H^+ · m/B · sum of h_b over the masks of a group,

H the Hessian of matrix scaling, and from there to the printed weights as in `weight_intervals`. For
m = 1 that is the sandwich formula of an M-estimator, for larger batches that of a U-statistic. The
expectation is taken over the same random rests (m - 1 other masks) for every mask, so that what the
rests do is common to all and drops out.

A mask's crops are together one mask: how they vary is part of how masks vary. Drawing other batches
for the solution adds its own variance, of `EqualCostWeights.follows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from maskstat.values.contributions import Contributions
from maskstat.values.groups import MaskGroups
from maskstat.values.tally import IntArray
from maskstat.weights.batches import Batching, Cut, LedgerLike
from maskstat.weights.choices import Absent
from maskstat.weights.equal_cost import EqualCostWeights
from maskstat.weights.notes import SAMPLED
from maskstat.weights.schemes import FloatArray
from maskstat.weights.table import WeightTable
from maskstat.weights.weight_intervals import (
    TOO_MUCH,
    derivatives,
    finished,
    log_weights,
    too_much,
)

MOST_RESTS = 256
_RESTS_WORK = 1 << 24  # rows times rests
_BLOCK_ENTRIES = 1 << 22


def with_batch_intervals(
    table: WeightTable,
    solution: EqualCostWeights,
    ledger: LedgerLike,
    batching: Batching,
    contributions: Contributions,
    groups: MaskGroups,
    *,
    policy: Absent,
) -> WeightTable:
    """The table of these weights, and how sure they are.

    Args:
        ledger: the rows that batches are made of: masks, or crops of masks.
        contributions: of the masks, for how many have a class.
        groups: of the masks.
        policy: for absent classes.
    """
    present = solution.weights > 0
    classes, follows = int(present.sum()), solution.follows
    nothing = np.full(int((table.pixels > 0).sum()), np.nan)
    occurs = np.flatnonzero(table.pixels > 0)
    if follows is None:
        method = "unknown: a best effort follows no formula"
        return finished(table, contributions, groups, table.pixels > 0, nothing, nothing, method)
    if too_much(ledger.pixels.size, classes) or occurs.size != classes:
        return finished(table, contributions, groups, table.pixels > 0, nothing, nothing, TOO_MUCH)
    rows = _Rows.of(ledger, batching, present)
    totals = rows.totals
    blocks = follows.blocks

    def printed(features: FloatArray) -> FloatArray:
        logs, pixels = features[:classes], np.exp(features[classes:])
        weights = np.exp(logs - logs.max())
        scale = np.bincount(blocks, pixels) / np.bincount(blocks, pixels * weights)
        raw = weights * scale[blocks]
        return log_weights(table, present, raw, pixels, policy)

    start = np.log(np.concatenate([solution.weights[present], totals]))
    jacobian = derivatives(printed, start, range(2 * classes))
    by_shares = -jacobian[:, :classes] @ follows.response
    projected = _Projection(rows, solution, start[:classes], solution.shares[present])
    by_shares /= projected.filled
    squares, left_out = _Squares(len(groups), classes), _LeftOut(classes)
    for keys, chosen, block in rows.by_group(groups):
        chances = rows.chances[chosen]
        moved = projected.excess(block) @ by_shares.T
        moved += block @ (jacobian[:, classes:] / totals).T
        moved *= chances[:, None]
        squares.add(keys, chances, moved)
        if batching.stand_for_others and batching.draws is not None:
            left_out.add(1 - 1 / batching.draws[chosen], chances, moved)
    variances = squares.variances()
    variances += follows.errors(jacobian[:, :classes]).drawing ** 2
    found = finished(table, contributions, groups, present, printed(start), np.sqrt(variances))
    if not batching.stand_for_others:
        return found
    error = float(np.sqrt(left_out.variances().max()))
    sampled = {**cast(dict[str, object], table.provenance[SAMPLED]), "standard_error": error}
    return replace(found, provenance={**table.provenance, SAMPLED: sampled})


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The ledger over the P classes that occur, with how likely each row is.

    Attributes:
        table: CSR int64[N, P].
        chances: float64[N], which add up to 1.
        batching: what makes batches.
    """

    table: Any
    chances: FloatArray
    batching: Batching

    @classmethod
    def of(cls, ledger: LedgerLike, batching: Batching, present: np.ndarray) -> _Rows:
        from scipy.sparse import csr_array

        shape = (len(ledger.indptr) - 1, ledger.class_count)
        table = csr_array((ledger.pixels, ledger.classes, ledger.indptr), shape=shape)
        masks = shape[0] // batching.per_mask
        draws = np.ones(masks) if batching.draws is None else batching.draws
        chances = np.repeat(draws / draws.sum() / batching.per_mask, batching.per_mask)
        return cls(table[:, np.flatnonzero(present)], chances, batching)

    def by_group(self, groups: MaskGroups) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Groups [n], numbers [n] and pixels [n, P] of some rows, group after group."""
        count, classes = self.table.shape
        group = groups.of[np.arange(count) // self.batching.per_mask]
        order = np.argsort(group, kind="stable")
        step = max(1, _BLOCK_ENTRIES // max(MOST_RESTS, classes))
        for start in range(0, count, step):
            chosen = order[start : start + step]
            yield group[chosen], chosen, self.table[chosen].toarray().astype(float)

    @property
    def lacking(self) -> float:
        """How likely a row is that has no labelled pixel."""
        return float(self.chances[np.diff(self.table.indptr) == 0].sum())

    @property
    def totals(self) -> FloatArray:
        """float64[P], pixels of an average row."""
        return np.asarray(self.table.T @ self.chances)

    def rests(self, size: int, count: int) -> FloatArray:
        """float64[count, P]: sums of so many random rows, of different masks where possible."""
        from scipy.sparse import csr_array

        generator = np.random.default_rng(size)
        per_mask, rows = self.batching.per_mask, self.table.shape[0]
        draws, masks = self.batching.draws, rows // per_mask
        chances = None if draws is None else draws / draws.sum()
        chosen = np.stack(
            [
                generator.choice(masks, size, replace=chances is not None, p=chances)
                for _ in range(count)
            ]
        ).ravel()
        chosen = chosen * per_mask + generator.integers(per_mask, size=chosen.size)
        starts = np.arange(0, chosen.size + 1, size) if size else np.zeros(count + 1, np.int64)
        picked = csr_array((np.ones(chosen.size), chosen, starts), shape=(count, rows))
        return np.asarray((picked @ self.table).toarray())


class _Projection:
    """m (s - y) of the batches that a row is in: how mean shares follow each row.

    Attributes:
        filled: the share of batches that have a labelled pixel; others are in no average.
    """

    def __init__(
        self, rows: _Rows, solution: EqualCostWeights, logs: FloatArray, shares: FloatArray
    ):
        self._shares, self._weights = shares, np.exp(logs - logs.max())
        count = rows.table.shape[0]
        cut = Cut.of(
            rows.batching.epoch(count),
            solution.batch_size,
            drop_last=rows.batching.drop_last,
        )
        self.filled = 0.0
        # How often a batch has so many masks, and what may be beside one of them.
        self._kinds = []
        for often, size in ((cut.whole / cut.batches, cut.size), (1 / cut.batches, cut.last)):
            if not size:
                continue
            most = min(_RESTS_WORK // count, 2 * _RESTS_WORK // size)
            rests = 1 if size == 1 else max(32, min(MOST_RESTS, most))
            beside = rows.rests(size - 1, rests) * self._weights
            self._kinds.append((often * size / rests, beside))
            self.filled += often * (1 - rows.lacking * float((beside.sum(axis=1) == 0).mean()))

    def excess(self, block: FloatArray) -> FloatArray:
        """float64[n, P], of rows with these pixels [n, P]."""
        own = block * self._weights
        weight = own.sum(axis=1)
        excess = np.zeros(block.shape)
        for often, beside in self._kinds:
            sums = weight[:, None] + beside.sum(axis=1)
            some = sums > 0
            share = np.divide(often, sums, out=np.zeros(sums.shape), where=some)
            own_part = own * share.sum(axis=1)[:, None]
            excess += share @ beside + own_part - np.outer(often * some.sum(axis=1), self._shares)
        return excess


class _Squares:
    """Adds up what rows of a group move, group after group, and squares it.

    What moves every row alike, such as the rests that were drawn, is taken out: shares do not
    follow it.
    """

    def __init__(self, count: int, classes: int):
        self._count, self._group = count, -1
        self._open = np.zeros(classes + 1)
        self._sums, self._products = np.zeros(classes), np.zeros((2, classes))
        self._sizes = 0.0

    def add(self, groups: IntArray, chances: FloatArray, moved: FloatArray) -> None:
        """Rows in the order of their groups: [n], [n], [n, P]."""
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        sums = np.add.reduceat(np.column_stack([moved, chances]), starts, axis=0)
        if groups[0] == self._group:
            sums[0] += self._open
        else:
            self._close(self._open[None])
        self._close(sums[:-1])
        self._group, self._open = int(groups[-1]), sums[-1]

    def _close(self, sums: FloatArray) -> None:
        moved, size = sums[:, :-1], sums[:, -1]
        self._sums += moved.sum(axis=0)
        self._products += (moved * moved).sum(axis=0), size @ moved
        self._sizes += float(size @ size)

    def variances(self) -> FloatArray:
        """float64[P]."""
        self._close(self._open[None])
        squares, with_size = self._products
        left = squares - 2 * self._sums * with_size + self._sums**2 * self._sizes
        return np.asarray(np.maximum(left, 0.0) * (self._count / max(self._count - 1, 1)))


class _LeftOut:
    """The variance that comes from masks that are not in a sample: that of Poisson sampling.

    A mask that stands for e of them is there with the chance 1 / e, so what it moves by adds
    (1 - 1 / e) times its square (Särndal, Swensson & Wretman 1992, section 3.5), around the mean.
    """

    def __init__(self, classes: int):
        self._sums, self._products = np.zeros(classes), np.zeros((2, classes))
        self._sizes = 0.0

    def add(self, absent: FloatArray, chances: FloatArray, moved: FloatArray) -> None:
        """How likely each row was not to be there [n], its chance [n], and what it moves [n, P]."""
        self._sums += moved.sum(axis=0)
        self._products += absent @ (moved * moved), (absent * chances) @ moved
        self._sizes += float(absent @ (chances * chances))

    def variances(self) -> FloatArray:
        """float64[P]."""
        squares, with_size = self._products
        left = squares - 2 * self._sums * with_size + self._sums**2 * self._sizes
        return np.asarray(np.maximum(left, 0.0))
