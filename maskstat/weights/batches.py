"""Training batches, seen as what a loss sees of them: pixels per class.

A batch of size S is the sum of the ledger rows of S masks. Which masks meet in one batch is left
to chance as a shuffling data loader does it: the masks are permuted, the permutation is cut into
batches of S and an incomplete last batch is dropped, epoch after epoch. Every single batch is then
a uniformly drawn S-subset of the masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError
from maskstat.showing import one_line
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]

ENUMERATED_BATCHES = 1 << 14
"""Up to so many different batches are all taken, instead of a random sample of them."""

FIRST_BATCHES = 256
"""A random sample begins with so many batches, rounded up to whole passes over the masks."""

LARGEST_SAMPLE = 1 << 23
"""A random sample holds at most so many entries, about half a gigabyte while it is worked on."""


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
class MaskRows:
    """The ledger over the classes that occur, in an order of masks that can be reproduced.

    Attributes:
        class_count: all classes, absent ones included.
        present: int64[K], indices of the classes that occur, ascending; K counts these only.
        indptr, columns, pixels: CSR over B masks (empty ones included) and K columns.
    """

    class_count: int
    present: IntArray
    indptr: IntArray
    columns: IntArray
    pixels: IntArray

    __repr__ = one_line

    @classmethod
    def of(cls, ledger: LedgerLike) -> MaskRows:
        """Sorted by mask name where the ledger has names, so that input order is no matter.

        Raises:
            WeightError: no mask has a labelled pixel.
        """
        indptr = np.asarray(ledger.indptr, np.int64)
        classes = np.asarray(ledger.classes, np.int64)
        pixels = np.asarray(ledger.pixels, np.int64)
        names: Sequence[str] | None = getattr(ledger, "names", None)
        if names is not None and any(a > b for a, b in pairwise(names)):
            order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
            lengths = np.diff(indptr)[order]
            moved = np.concatenate(([0], np.cumsum(lengths)))
            entries = np.repeat(indptr[order] - moved[:-1], lengths) + np.arange(moved[-1])
            indptr, classes, pixels = moved, classes[entries], pixels[entries]
        if not pixels.size:
            raise WeightError("no mask has a labelled pixel, so there is nothing to weigh")
        occurs = np.bincount(classes, minlength=ledger.class_count) > 0
        present = np.flatnonzero(occurs)
        columns = (np.cumsum(occurs) - 1)[classes]
        return cls(ledger.class_count, present, indptr, columns, pixels)

    @property
    def mask_count(self) -> int:
        """B, all masks, those without a labelled pixel included."""
        return len(self.indptr) - 1

    @property
    def labelled_masks(self) -> int:
        """Masks with at least one labelled pixel."""
        return int(np.count_nonzero(np.diff(self.indptr)))

    @property
    def totals(self) -> IntArray:
        """int64[K], pixels of each class over all masks.

        Raises:
            WeightError: a class has 2^63 pixels or more.
        """
        if self.pixels.sum(dtype=np.float64) >= 2.0**63:
            raise WeightError("the pixel counts do not fit 63 bits")
        sums = np.zeros(len(self.present), np.int64)
        np.add.at(sums, self.columns, self.pixels)
        return sums

    @property
    def presence(self) -> IntArray:
        """int64[K], how many masks contain each class."""
        return np.bincount(self.columns, minlength=len(self.present)).astype(np.int64)

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
        exact: whether these are all the batches there are, each once, and not a sample.
        epochs: int64[M], in which pass over the data a batch was drawn. Within one pass no mask
            comes twice, so that batches of one pass vary less together than alone.
        left_out: batches without any labelled pixel: their mean loss is 0/0 and they are in no
            average.
    """

    mixture: csr_array
    exact: bool
    epochs: IntArray
    left_out: int

    __repr__ = one_line

    def __len__(self) -> int:
        return int(self.mixture.shape[0])


class BatchDrawer:
    """Draws batches of S masks; more of them continue the same seeded stream."""

    def __init__(self, rows: MaskRows, batch_size: int, seed: int):
        from scipy.sparse import csr_array

        if batch_size < 1:
            raise ParameterError(
                f"the batch size is {batch_size}; it must be at least 1", parameter="batch_size"
            )
        self.rows = rows
        self.batch_size = min(batch_size, rows.mask_count)
        self._generator = np.random.default_rng(seed)
        self._members = np.empty((0, self.batch_size), np.int64)
        self._table = csr_array(
            (rows.pixels, rows.columns, rows.indptr),
            shape=(rows.mask_count, len(rows.present)),
        )

    @property
    def enumerable(self) -> bool:
        """Whether so few different batches exist that all of them are taken."""
        size, masks = self.batch_size, self.rows.mask_count
        if size in (1, masks):
            return True
        few = min(size, masks - size)
        return (few <= 20 or masks < 30) and comb(masks, size) <= ENUMERATED_BATCHES

    def every_batch(self) -> Batches:
        """All different batches, each once."""
        masks = self.rows.mask_count
        if self.batch_size == 1:
            return self._batches(np.arange(masks)[:, None], exact=True)
        members = np.array(list(combinations(range(masks), self.batch_size)), np.int64)
        return self._batches(members, exact=True)

    @property
    def per_epoch(self) -> int:
        """Complete batches in one pass over the masks."""
        return self.rows.mask_count // self.batch_size

    def first_count(self) -> int:
        """`FIRST_BATCHES`, rounded up to whole passes as far as the largest sample allows."""
        rows = self.rows
        density = min(self.batch_size * rows.pixels.size / rows.mask_count, len(rows.present))
        passes = self.per_epoch * -(-FIRST_BATCHES // self.per_epoch)
        return max(FIRST_BATCHES, min(passes, int(LARGEST_SAMPLE / density)))

    def draw(self, count: int) -> Batches:
        """The first `count` batches of the stream."""
        masks, size, per_epoch = self.rows.mask_count, self.batch_size, self.per_epoch
        epochs = [self._members]
        drawn = len(self._members)
        while drawn < count:
            shuffled = self._generator.permutation(masks)[: per_epoch * size]
            epochs.append(shuffled.reshape(per_epoch, size))
            drawn += per_epoch
        self._members = np.concatenate(epochs)
        return self._batches(self._members[:count], exact=False)

    def _batches(self, members: IntArray, *, exact: bool) -> Batches:
        from scipy.sparse import csr_array

        count, size = members.shape
        if size == 1:
            sums = self._table[members[:, 0]]
        else:
            chosen = csr_array(
                (np.ones(members.size, np.int64), members.ravel(), np.arange(count + 1) * size),
                shape=(count, self.rows.mask_count),
            )
            sums = chosen @ self._table
            sums.sort_indices()
        filled = np.diff(sums.indptr) > 0
        if not filled.all():
            sums = sums[filled]
        if not sums.shape[0]:
            raise WeightError(
                f"none of {count} batches of {size} has a labelled pixel",
                remedy="choose a larger batch size",
            )
        entries = sums.data.astype(np.float64)
        pixels = np.add.reduceat(entries, sums.indptr[:-1])
        entries /= np.repeat(pixels, np.diff(sums.indptr))
        mixture = csr_array((entries, sums.indices, sums.indptr), shape=sums.shape)
        epochs = np.flatnonzero(filled) // self.per_epoch
        return Batches(mixture, exact, epochs, int(count - filled.sum()))


def sample_of_passes(drawer: BatchDrawer) -> Batches:
    """Random batches for an average: eight passes over the masks, at least 2,048, in bounds."""
    wanted = max(2048, 8 * drawer.per_epoch)
    first = drawer.draw(min(wanted, FIRST_BATCHES))
    density = first.mixture.nnz / len(first)
    return drawer.draw(max(FIRST_BATCHES, min(wanted, int(LARGEST_SAMPLE / 4 / density))))
