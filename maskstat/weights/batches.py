"""Training batches, seen as what a loss sees of them: pixels per class.

A batch of size S is the sum of the ledger rows of S masks. Which masks meet in one batch is left
to chance as a shuffling data loader does it: the masks are permuted and the permutation is cut into
batches of S, epoch after epoch. Every single batch is then a uniformly drawn subset of the masks.
Where S does not divide the number of masks, r are left at the end; they are a last batch of their
own (the default of PyTorch's loader), or are dropped.

Under a recipe a mask has several rows, its crops, of which an epoch takes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import comb
from operator import gt
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError
from maskstat.showing import one_line
from maskstat.values.tally import IntArray
from maskstat.weights.equal_cost_presence import PresenceGroups

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]

ENUMERATED_BATCHES = 1 << 14
"""Up to so many different batches are all taken, instead of a random sample of them."""

FIRST_BATCHES = 256
"""A random sample begins with so many batches, rounded up to whole passes over the masks."""

LARGEST_SAMPLE = 1 << 23
"""A random sample holds at most so many entries, about half a gigabyte while it is worked on."""

_FINEST_DRAWS = 1 << 20
_MOST_DRAWS = 1 << 24


class LedgerLike(Protocol):
    """What is needed of a `MaskLedger`: mask x class pixel counts in compressed sparse rows."""

    @property
    def class_count(self) -> int: ...

    @property
    def indptr(self) -> IntArray: ...

    @property
    def classes(self) -> IntArray: ...

    @property
    def pixels(self) -> IntArray: ...


@dataclass(frozen=True, slots=True, eq=False)
class Batching:
    """How batches are made of the rows of a ledger.

    Attributes:
        drop_last: whether masks that fill no batch at the end of an epoch are left out.
        crops: rows of each mask, one after another, of which an epoch takes one; 0 where rows are
            masks.
        replicates: crops j with the same j % replicates were sampled independently of the others.
        processes: that share an epoch, each with batches of its own.
        draws: float64[B] in proportion to how often a sampler draws each mask, with replacement;
            None where an epoch takes every mask once.
        masks: draws in an epoch of all processes, where these are not as many as `draws`: crops
            that are drawn by class are of parts of masks.
        stand_for_others: whether rows are a sample of the masks, and `draws` how many each is in
            place of.
    """

    drop_last: bool = False
    crops: int = 0
    replicates: int = 1
    processes: int = 1
    draws: FloatArray | None = None
    masks: int | None = None
    stand_for_others: bool = False

    __repr__ = one_line

    @property
    def per_mask(self) -> int:
        """Rows of each mask."""
        return max(1, self.crops)

    def epoch(self, rows: int) -> int:
        """Masks that one process sees in an epoch, where there are so many rows."""
        masks = rows // self.per_mask if self.masks is None else self.masks
        return -(-masks // self.processes)


@dataclass(frozen=True, slots=True)
class Cut:
    """An epoch of one process, cut into batches.

    Attributes:
        masks: in the epoch.
        size: masks in a batch, at most all of them.
        whole: batches of that size.
        last: masks in the last batch, 0 where there is none that is smaller.
    """

    masks: int
    size: int
    whole: int
    last: int

    __repr__ = one_line

    @classmethod
    def of(cls, masks: int, batch_size: int, *, drop_last: bool) -> Cut:
        """Raises ParameterError where the batch size is below 1."""
        if batch_size < 1:
            raise ParameterError(
                f"the batch size is {batch_size}; it must be at least 1", parameter="batch_size"
            )
        size = min(batch_size, masks)
        whole, left = divmod(masks, size)
        return cls(masks, size, whole, 0 if drop_last else left)

    @property
    def batches(self) -> int:
        """In an epoch."""
        return self.whole + (self.last > 0)

    @property
    def lengths(self) -> IntArray:
        """int64[batches], masks in each, the last one at the end."""
        lengths = np.full(self.batches, self.size, np.int64)
        if self.last:
            lengths[-1] = self.last
        return lengths


@dataclass(frozen=True, eq=False)  # without slots, since it keeps what was computed
class MaskRows:
    """The ledger over the classes that occur, in an order of masks that can be reproduced.

    Attributes:
        class_count: all classes, absent ones included.
        present: int64[K], indices of the classes that occur, ascending; K counts these only.
        indptr, columns, pixels: CSR over N rows (empty ones included) and K columns. A row is a
            mask, or one of `batching.crops` crops of a mask; masks that are never drawn have none.
        batching: what makes batches of them; its draws are those of the masks that are left.
        epoch: masks that one process sees in an epoch.
    """

    class_count: int
    present: IntArray
    indptr: IntArray
    columns: IntArray
    pixels: IntArray
    batching: Batching
    epoch: int

    __repr__ = one_line

    @classmethod
    def of(cls, ledger: LedgerLike, batching: Batching | None = None) -> MaskRows:
        """Sorted by mask name where the ledger has names, so that input order is no matter.

        Crops stay as they are, mask by mask.

        Raises:
            WeightError: no mask has a labelled pixel.
        """
        batching = batching or Batching()
        indptr = np.asarray(ledger.indptr, np.int64)
        classes = np.asarray(ledger.classes, np.int64)
        pixels = np.asarray(ledger.pixels, np.int64)
        count = len(indptr) - 1
        epoch = batching.epoch(count)
        names: Sequence[str] | None = getattr(ledger, "names", None)
        order: IntArray | None = None
        if batching.draws is not None:
            drawn = np.flatnonzero(batching.draws > 0)
            order = (drawn[:, None] * batching.per_mask + np.arange(batching.per_mask)).ravel()
            batching = replace(batching, draws=batching.draws[drawn])
        elif batching.per_mask == 1 and names is not None and any(map(gt, names, names[1:])):
            order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        if order is not None:
            lengths = np.diff(indptr)[order]
            moved = np.concatenate(([0], np.cumsum(lengths)))
            entries = np.repeat(indptr[order] - moved[:-1], lengths) + np.arange(moved[-1])
            indptr, classes, pixels = moved, classes[entries], pixels[entries]
        if not pixels.size:
            raise WeightError("no pixel has a class, so there is nothing to weigh")
        occurs = np.bincount(classes, minlength=ledger.class_count) > 0
        present = np.flatnonzero(occurs)
        columns = (np.cumsum(occurs) - 1)[classes]
        return cls(ledger.class_count, present, indptr, columns, pixels, batching, epoch)

    @property
    def row_count(self) -> int:
        """N, all rows, those without a labelled pixel included."""
        return len(self.indptr) - 1

    @property
    def crops(self) -> int:
        """Of each mask; 0 where rows are masks."""
        return self.batching.crops

    @property
    def labelled_rows(self) -> int:
        """Rows with at least one labelled pixel; of a sample the masks that these stand for."""
        return round(float(self._stands_for[np.diff(self.indptr) > 0].sum()))

    @property
    def _stands_for(self) -> FloatArray:
        """float64[N], how many rows each is in place of."""
        draws = self.batching.draws
        if draws is None or not self.batching.stand_for_others:
            return np.ones(self.row_count)
        return draws

    @property
    def row_chances(self) -> FloatArray:
        """float64[N], how likely each row is where one is drawn."""
        if self.batching.draws is None:
            return np.full(self.row_count, 1.0 / self.row_count)
        rows = np.repeat(self.batching.draws, self.batching.per_mask)
        return np.asarray(rows / rows.sum())

    @cached_property
    def groups(self) -> PresenceGroups:
        """The rows, each as often as it is drawn, by the classes that they contain."""
        return PresenceGroups.of(self.indptr, self.columns, len(self.present), self.repeats)

    @property
    def repeats(self) -> IntArray | None:
        """int64[N], rows repeated as often as they are drawn, in whole numbers; None for all alike.

        Many for each row on average, so that rounding is no matter; of a sample about as many as
        there are masks.
        """
        if self.batching.draws is None:
            return None
        finest = _FINEST_DRAWS
        if self.batching.stand_for_others:
            finest = min(max(finest, self.epoch), _MOST_DRAWS)
        total = self.row_count * max(1, finest // self.row_count)
        ends = np.rint(np.cumsum(self.row_chances) * total).astype(np.int64)
        return np.diff(ends, prepend=0)

    def cut(self, batch_size: int) -> Cut:
        """An epoch in batches of this size. Raises ParameterError where it is below 1."""
        return Cut.of(self.epoch, batch_size, drop_last=self.batching.drop_last)

    @property
    def totals(self) -> FloatArray:
        """float64[K], pixels of each class over all rows, each as often as it is drawn.

        Raises:
            WeightError: a class has 2^63 pixels or more.
        """
        if self.pixels.sum(dtype=np.float64) >= 2.0**63:
            raise WeightError("the pixel counts do not fit 63 bits")
        if self.batching.draws is not None:
            times = np.repeat(self.row_chances * self.row_count, np.diff(self.indptr))
            sums = np.bincount(self.columns, self.pixels * times, len(self.present))
            return np.asarray(sums, np.float64)
        whole = np.zeros(len(self.present), np.int64)
        np.add.at(whole, self.columns, self.pixels)
        return whole.astype(np.float64)

    @property
    def replicate_totals(self) -> FloatArray | None:
        """float64[R, K], by what part the totals of each replicate of the crops differ from all.

        None where there are no two.
        """
        count = self.batching.replicates
        if count < 2:
            return None
        turn = np.arange(self.row_count) % self.batching.per_mask % count
        row = np.repeat(np.arange(self.row_count), np.diff(self.indptr))
        width = len(self.present)
        sums = np.bincount(
            turn[row] * width + self.columns,
            self.pixels * self.row_chances[row],
            count * width,
        ).reshape(count, width)
        means = sums / np.bincount(turn, self.row_chances, count)[:, None]
        return np.asarray(means / means.mean(axis=0) - 1)

    @property
    def presence(self) -> IntArray:
        """int64[K], how many rows contain each class; of a sample how many masks."""
        times = np.repeat(self._stands_for, np.diff(self.indptr))
        return np.rint(np.bincount(self.columns, times, len(self.present))).astype(np.int64)

    def spread_out(self, values: FloatArray) -> FloatArray:
        """Values of the K present classes placed among all classes; absent classes get 0."""
        table = np.zeros(self.class_count)
        table[self.present] = values
        return table


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batches as class shares.

    Attributes:
        mixture: CSR float64[M, K], each row the class frequencies of one batch (sums to 1).
            Only this matters to a loss that every batch normalises by itself.
        chances: float64[M], how likely each is; they add up to 1.
        exact: whether these are all the batches there are, each once, and not a sample.
        epochs: int64[M], in which pass over the data a batch was drawn. Within one pass no mask
            comes twice, so that batches of one pass vary less together than alone.
        left_out: batches without any labelled pixel: their mean loss is 0/0 and they are in no
            average.
        replicates: int64[M], of which replicate of the crops each batch is; None where rows are
            masks, or crops of one replicate.
    """

    mixture: csr_array
    chances: FloatArray
    exact: bool
    epochs: IntArray
    left_out: int
    replicates: IntArray | None = None

    __repr__ = one_line

    def __len__(self) -> int:
        return int(self.mixture.shape[0])


class BatchDrawer:
    """Draws batches of S masks; more of them continue the same seeded stream."""

    def __init__(self, rows: MaskRows, batch_size: int, seed: int):
        from scipy.sparse import csr_array

        self.rows = rows
        self.cut = rows.cut(batch_size)
        self.batch_size = self.cut.size
        self._generator = np.random.default_rng(seed)
        self._epochs: list[IntArray] = []
        self._lengths: list[IntArray] = []
        batching, masks = rows.batching, rows.row_count // rows.batching.per_mask
        self._starts = np.zeros((masks, batching.replicates), np.int64)
        if batching.per_mask > 1:
            self._starts = self._generator.integers(1 << 30, size=self._starts.shape)
        self._table = csr_array(
            (rows.pixels, rows.columns, rows.indptr),
            shape=(rows.row_count, len(rows.present)),
        )

    @property
    def enumerable(self) -> bool:
        """Whether so few different batches exist that all of them are taken."""
        size, masks, last = self.batch_size, self.rows.row_count, self.cut.last
        if size == 1:
            return True
        if self.rows.crops > 1 or self.rows.batching.draws is not None:
            return False
        few = min(size, masks - size)
        return (few <= 20 or masks < 30) and (
            comb(masks, size) + (comb(masks, last) if last else 0) <= ENUMERATED_BATCHES
        )

    def every_batch(self) -> Batches:
        """All different batches, each once."""
        count, cut = self.rows.row_count, self.cut
        if cut.size == 1:
            batching, rows = self.rows.batching, np.arange(count)
            turns = rows % batching.per_mask % batching.replicates
            return self._batches(
                rows,
                np.ones(count, np.int64),
                self.rows.row_chances,
                turns if batching.replicates > 1 else None,
                exact=True,
            )
        members, lengths, chances = [], [], []
        for size, number in ((cut.size, cut.whole), (cut.last, 1)):
            if size:
                sets = np.array(list(combinations(range(count), size)), np.int64)
                members.append(sets.ravel())
                lengths.append(np.full(len(sets), size))
                chances.append(np.full(len(sets), number / cut.batches / len(sets)))
        return self._batches(
            np.concatenate(members),
            np.concatenate(lengths),
            np.concatenate(chances),
            None,
            exact=True,
        )

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the masks."""
        return self.cut.batches

    def first_count(self) -> int:
        """`FIRST_BATCHES`, rounded up to whole passes as far as the largest sample allows."""
        rows = self.rows
        density = min(self.batch_size * rows.pixels.size / rows.row_count, len(rows.present))
        passes = self.per_epoch * -(-FIRST_BATCHES // self.per_epoch)
        return max(FIRST_BATCHES, min(passes, int(LARGEST_SAMPLE / density)))

    def draw(self, count: int) -> Batches:
        """The first `count` batches of the stream."""
        per_epoch, batching = self.per_epoch, self.rows.batching
        while len(self._epochs) * per_epoch < count:
            self._epochs.append(self._drawn(len(self._epochs)))
            lengths = self.cut.lengths
            if self.cut.last:
                # Anywhere among the others: the first batches of a pass then are like all of it.
                at = int(self._generator.integers(per_epoch))
                lengths[at], lengths[-1] = lengths[-1], lengths[at]
            self._lengths.append(lengths)
        needed = -(-count // per_epoch)
        lengths = np.concatenate(self._lengths[:needed])[:count]
        members = np.concatenate(self._epochs[:needed])[: lengths.sum()]
        several = batching.replicates > 1
        turns = np.arange(count) // per_epoch % batching.replicates if several else None
        return self._batches(members, lengths, np.full(count, 1 / count), turns, exact=False)

    def _drawn(self, epoch: int) -> IntArray:
        """Rows of a pass over the masks, as many as its batches hold."""
        rows, batching = self.rows, self.rows.batching
        length, masks = int(self.cut.lengths.sum()), rows.row_count // batching.per_mask
        if batching.draws is None:
            drawn = self._generator.permutation(masks)[:length]
        else:
            drawn = self._generator.choice(masks, length, p=batching.draws / batching.draws.sum())
        if batching.per_mask == 1:
            return np.asarray(drawn, np.int64)
        # Each mask goes through its crops of one replicate, from a place of its own.
        round_, turn = divmod(epoch, batching.replicates)
        of_turn = -(-(batching.per_mask - turn) // batching.replicates)
        starts = self._starts[drawn, turn]
        if batching.draws is not None:
            starts = self._generator.integers(of_turn, size=length)
        crop = turn + batching.replicates * ((starts + round_) % of_turn)
        return np.asarray(drawn * batching.per_mask + crop, np.int64)

    def _batches(
        self,
        members: IntArray,
        lengths: IntArray,
        chances: FloatArray,
        replicates: IntArray | None,
        *,
        exact: bool,
    ) -> Batches:
        from scipy.sparse import csr_array

        count = len(lengths)
        if self.batch_size == 1:
            sums = self._table[members]
        else:
            starts = np.concatenate(([0], np.cumsum(lengths)))
            chosen = csr_array(
                (np.ones(members.size, np.int64), members, starts),
                shape=(count, self.rows.row_count),
            )
            sums = chosen @ self._table
            sums.sort_indices()
        filled = np.diff(sums.indptr) > 0
        if not filled.all():
            sums, chances = sums[filled], chances[filled]
            replicates = None if replicates is None else replicates[filled]
        if not sums.shape[0]:
            raise WeightError(
                f"none of {count} batches of {self.batch_size} has a labelled pixel",
                remedy="choose a larger batch size",
            )
        entries = sums.data.astype(np.float64)
        pixels = np.add.reduceat(entries, sums.indptr[:-1])
        entries /= np.repeat(pixels, np.diff(sums.indptr))
        mixture = csr_array((entries, sums.indices, sums.indptr), shape=sums.shape)
        epochs = np.flatnonzero(filled) // self.per_epoch
        return Batches(
            mixture,
            chances / chances.sum(),
            exact,
            epochs,
            int(count - filled.sum()),
            replicates,
        )


def sample_of_passes(drawer: BatchDrawer) -> Batches:
    """Random batches for an average: eight passes over the masks, at least 2,048, in bounds."""
    per_epoch = drawer.per_epoch
    wanted = per_epoch * max(8, -(-2048 // per_epoch))
    first = drawer.draw(min(wanted, FIRST_BATCHES))
    density = first.mixture.nnz / len(first)
    return drawer.draw(max(FIRST_BATCHES, min(wanted, int(LARGEST_SAMPLE / 4 / density))))
