"""Shifts of logits that do best on given pixels: exact one class at a time, in turn.

A decision is argmax_c (z_c + b_c), with shifts b in nats, which matter up to a common constant. A
temperature would be no parameter: argmax(z / T + b) = argmax(z + T b).

Everything is a sum over *cells*: pairs of an image and a class that is labelled in it. Where the
measure is one of the data set, all images are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.choices import Measure
from maskstat.decision.measures import DecisionCounts, FloatArray
from maskstat.values.tally import IntArray

Logits = NDArray[np.float32]

_LEAST_GAIN = 1e-4  # of a round over all classes; one that gains less is the last
_ROUNDS = 20
_BLOCK = 1 << 16
ROUNDED = 1e-6  # of a number; more than float32 rounds it by in a sum or two


@dataclass(frozen=True, slots=True, eq=False)
class PixelSample:
    """Labelled pixels with their logits, a sample of some images.

    Attributes:
        logits: float32[K, N].
        labels: int64[N], 0..K-1.
        weights: float64[N], pixels that each stands for.
        groups: int64[N], whose image it is of.
        images: int64[N].
    """

    logits: Logits
    labels: IntArray
    weights: FloatArray
    groups: IntArray
    images: IntArray

    def outcomes(self, decided: IntArray, *, by: IntArray, count: int) -> DecisionCounts:
        """What a decision int64[N] makes of them, by image or group: by int64[N] in 0..count-1."""
        classes = len(self.logits)

        def cells(of: IntArray, amount: FloatArray) -> FloatArray:
            sums = np.bincount(by * classes + of, amount, count * classes)
            return np.asarray(sums.reshape(count, classes))

        hit = self.weights * (decided == self.labels)
        return DecisionCounts(
            cells(self.labels, self.weights), cells(decided, self.weights), cells(decided, hit)
        )

    def image_rows(self) -> tuple[IntArray, IntArray]:
        """int64[N], the images numbered from 0 on, and int64[B], the group of each."""
        found, first, rows = np.unique(self.images, return_index=True, return_inverse=True)
        del found
        return rows.astype(np.int64).reshape(-1), self.groups[first]


def decided(logits: Logits, shifts: FloatArray) -> IntArray:
    """int64[N]: the first of the largest shifted logits of float32[K, N]."""
    chosen = np.empty(logits.shape[1], np.int64)
    offsets = shifts.astype(np.float32)
    for start in range(0, chosen.size, _BLOCK):
        some = logits[:, start : start + _BLOCK]
        best = some[0] + offsets[0]
        first = np.zeros(best.size, np.int64)
        row, better = np.empty_like(best), np.empty(best.size, bool)
        for c in range(1, len(logits)):
            np.greater(np.add(some[c], offsets[c], out=row), best, out=better)
            np.copyto(best, row, where=better)
            np.copyto(first, c, where=better)
        chosen[start : start + _BLOCK] = first
    return chosen


def may_change(logits: Logits) -> FloatArray:
    """float64[N], how far shifts must be apart at least to change the argmax of float32[K, N].

    By how much the largest leads, less what float32 may round away when shifts are added.
    """
    best, second = logits[0].copy(), np.full(logits.shape[1], -np.inf, np.float32)
    for start in range(0, best.size, _BLOCK):
        first, other = best[start : start + _BLOCK], second[start : start + _BLOCK]
        for row in logits[1:, start : start + _BLOCK]:
            np.maximum(other, np.minimum(first, row), out=other)
            np.maximum(first, row, out=first)
    lead = best.astype(np.float64) - second
    return np.asarray(lead * (1 - ROUNDED) - ROUNDED * np.abs(best))


def best_shifts(pixels: PixelSample, measure: Measure, *, bound: float) -> FloatArray:
    """Shifts float64[K] within [-bound, bound], by coordinate ascent from none.

    Each step sets the shift of one class to the best value there is, the others held, so that the
    measure of these pixels never falls; it ends where no class gains by itself. That is a local
    optimum: of a function whose top is flat, so that single shifts mean little.

    Cost of a step: one sort of the pixels that the class's shift can move, whatever K is.
    """
    search = _Search(pixels, measure, bound)
    for _ in range(_ROUNDS):
        if sum(search.improve(c) for c in range(len(pixels.logits))) < _LEAST_GAIN:
            break
    return search.shifts


class _Search:
    """The two best classes of every pixel, and what is in the cells, under the present shifts."""

    def __init__(self, pixels: PixelSample, measure: Measure, bound: float) -> None:
        self.pixels, self.measure, self.bound = pixels, measure, bound
        classes, count = pixels.logits.shape
        self.shifts = np.zeros(classes)
        images = np.zeros(count, np.int64)
        if measure == "image-iou":
            images, _ = pixels.image_rows()
        self.row = images * classes
        self.size = (int(images.max(initial=0)) + 1) * classes
        labelled = np.bincount(self.row + pixels.labels, pixels.weights, self.size)
        self.labelled: FloatArray = labelled.astype(np.float64)
        occurs = (self.labelled > 0).reshape(-1, classes)
        share = occurs / np.maximum(occurs.sum(1, keepdims=True), 1) / max(len(occurs), 1)
        self.share = share.ravel()
        self.predicted, self.hits = np.zeros(self.size), np.zeros(self.size)
        self.first, self.second = np.empty(count, np.int64), np.empty(count, np.int64)
        self.best = np.empty(count, np.float32)
        self.next_best = np.empty(count, np.float32)
        every = np.arange(count)
        self.rank(every)
        self.count(every, self.first, 1.0, self.hits, self.predicted)

    def rank(self, which: IntArray) -> None:
        """Find the two best classes of some pixels again."""
        shifts = self.shifts[:, None].astype(np.float32)
        for begin in range(0, len(which), _BLOCK):
            part = which[begin : begin + _BLOCK]
            columns = self.pixels.logits[:, part] + shifts
            at = np.arange(len(part))
            for owner, value in ((self.first, self.best), (self.second, self.next_best)):
                owner[part] = top = columns.argmax(0)
                value[part] = columns[top, at]
                columns[top, at] = -np.inf

    def count(
        self, which: IntArray, owner: IntArray, sign: float, hits: FloatArray, predicted: FloatArray
    ) -> None:
        """Put pixels into the cells of their owners, or take them out (-1)."""
        amount = sign * self.pixels.weights[which]
        cell = self.row[which] + owner
        predicted += np.bincount(cell, amount, self.size)
        hits += np.bincount(cell, amount * (owner == self.pixels.labels[which]), self.size)

    def value(self, cell: IntArray, hits: FloatArray, predicted: FloatArray) -> FloatArray:
        """float64 of cell's shape: what each of these cells adds to the measure."""
        bottom: FloatArray = self.labelled[cell]
        if self.measure != "recall":
            bottom = bottom + predicted - hits
        return np.asarray(self.share[cell] * hits / np.maximum(bottom, 1e-300))

    def improve(self, c: int) -> float:
        """Set the shift of class c to the best there is; what that gains."""
        logits, labels = self.pixels.logits, self.pixels.labels
        if len(logits) == 1 or not labels.size:
            return 0.0
        own = self.first == c
        margin = np.where(own, self.next_best, self.best) - logits[c]
        moving = np.flatnonzero((margin > -self.bound) & (margin <= self.bound))
        rival = np.where(own, self.second, self.first)[moving]
        mine = own[moving]
        # A sweep begins at the lowest shift, where the class has lost what it can lose.
        hits, predicted = self.hits.copy(), self.predicted.copy()
        lost = moving[mine]
        self.count(lost, np.full(lost.size, c), -1.0, hits, predicted)
        self.count(lost, rival[mine], 1.0, hits, predicted)
        order = np.argsort(margin[moving], kind="stable")
        moving, rival = moving[order], rival[order]
        gains = self.along(moving, rival, -1.0, hits, predicted)
        gains += self.along(moving, np.full(moving.size, c), 1.0, hits, predicted)
        every = np.arange(self.size)
        start = self.value(every, hits, predicted).sum()
        start -= self.value(every, self.hits, self.predicted).sum()
        total = start + np.concatenate([[0.0], np.cumsum(gains)])
        edges = np.concatenate([[-self.bound], margin[moving], [self.bound]])
        total[np.diff(edges) <= 0] = -np.inf  # pixels of one margin go together
        best = int(np.argmax(total))
        if total[best] <= 1e-12:
            return 0.0
        # the middle, so that no pixel lies on the border
        self.move(c, float(edges[best] + edges[best + 1]) / 2)
        return float(total[best])

    def along(
        self,
        which: IntArray,
        owner: IntArray,
        sign: float,
        hits: FloatArray,
        predicted: FloatArray,
    ) -> FloatArray:
        """float64[M]: what the measure gains as pixels, in this order, enter or leave (-1) cells.

        The steps of each cell are brought together, added up, and put back where they came from.
        """
        if not which.size:
            return np.zeros(0)
        cell = self.row[which] + owner
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        amount = sign * self.pixels.weights[which][order]
        hit = (owner == self.pixels.labels[which])[order]
        starts = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
        sizes = np.diff(np.append(starts, cell.size))

        def running(values: FloatArray) -> FloatArray:
            total = np.cumsum(values)
            return np.asarray(total - np.repeat(total[starts] - values[starts], sizes))

        after = self.value(
            cell, hits[cell] + running(amount * hit), predicted[cell] + running(amount)
        )
        before = np.empty_like(after)
        before[1:] = after[:-1]
        head = cell[starts]
        before[starts] = self.value(head, hits[head], predicted[head])
        gains = np.empty_like(after)
        gains[order] = after - before
        return gains

    def move(self, c: int, shift: float) -> None:
        """Give class c this shift, and bring everything up to date."""
        self.shifts[c] = shift
        rises = self.pixels.logits[c] + np.float32(shift) >= self.next_best
        changed = np.flatnonzero((self.first == c) | (self.second == c) | rises)
        self.count(changed, self.first[changed], -1.0, self.hits, self.predicted)
        self.rank(changed)
        self.count(changed, self.first[changed], 1.0, self.hits, self.predicted)
