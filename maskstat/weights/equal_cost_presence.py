"""Masks grouped by the set of classes they contain: all that feasibility depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskstat.showing import one_line
from maskstat.values.tally import IntArray

BoolArray = npt.NDArray[np.bool_]

_PACKED_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class PresenceGroups:
    """Rows (masks or batches) grouped by the set of classes they contain.

    Attributes:
        class_count: K.
        indptr, columns: CSR over the J different non-empty sets.
        sizes: int64[J], rows with that set.
    """

    class_count: int
    indptr: IntArray
    columns: IntArray
    sizes: IntArray

    __repr__ = one_line

    @classmethod
    def of(
        cls,
        indptr: IntArray,
        columns: IntArray,
        class_count: int,
        repeats: IntArray | None = None,
    ) -> PresenceGroups:
        """Rows without a class are left out; a row may count several times, or not at all."""
        lengths = np.diff(indptr)
        packed = []
        for start in range(0, len(lengths), _PACKED_ROWS):
            stop = min(start + _PACKED_ROWS, len(lengths))
            bits = np.zeros((stop - start, class_count), np.bool_)
            entry_rows = np.repeat(np.arange(stop - start), lengths[start:stop])
            bits[entry_rows, columns[indptr[start] : indptr[stop]]] = True
            packed.append(np.packbits(bits, axis=1))
        width = (class_count + 7) // 8
        keys = np.concatenate(packed).view(np.dtype((np.void, width))).ravel()
        if repeats is None:
            unique, sizes = np.unique(keys[lengths > 0], return_counts=True)
        else:
            kept = (lengths > 0) & (repeats > 0)
            unique, group = np.unique(keys[kept], return_inverse=True)
            sizes = np.bincount(group, repeats[kept])
        sets = np.unpackbits(unique.view(np.uint8).reshape(-1, width), axis=1, count=class_count)
        return cls._of_sets(sets.astype(np.bool_), sizes.astype(np.int64))

    @classmethod
    def _of_sets(cls, sets: BoolArray, sizes: IntArray) -> PresenceGroups:
        group, column = np.nonzero(sets)
        lengths = np.bincount(group, minlength=len(sets))
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        return cls(sets.shape[1], indptr, column.astype(np.int64), sizes)

    @property
    def total(self) -> int:
        """Rows in all groups."""
        return int(self.sizes.sum())

    @property
    def presence(self) -> IntArray:
        """int64[K], rows that contain each class."""
        counted = np.bincount(
            self.columns, np.repeat(self.sizes, np.diff(self.indptr)), self.class_count
        )
        return counted.astype(np.int64)

    def restricted(self, classes: IntArray) -> PresenceGroups:
        """Only these classes, renumbered in the given order; rows without them drop out."""
        number = np.full(self.class_count, -1, np.int64)
        number[classes] = np.arange(len(classes))
        kept = number[self.columns] >= 0
        lengths = np.bincount(
            np.repeat(np.arange(len(self.sizes)), np.diff(self.indptr))[kept],
            minlength=len(self.sizes),
        )
        some = lengths > 0
        indptr = np.concatenate(([0], np.cumsum(lengths[some]))).astype(np.int64)
        columns = number[self.columns[kept]]
        return PresenceGroups(len(classes), indptr, columns, self.sizes[some])

    def uncovered(self, members: BoolArray) -> PresenceGroups:
        """Only the rows without a class of the set."""
        free = self.members_per_group(members) == 0
        lengths = np.diff(self.indptr)
        indptr = np.concatenate(([0], np.cumsum(lengths[free]))).astype(np.int64)
        columns = self.columns[np.repeat(free, lengths)]
        return PresenceGroups(self.class_count, indptr, columns, self.sizes[free])

    def members_per_group(self, members: BoolArray) -> IntArray:
        """int64[J], how many classes of the set each group contains."""
        return np.add.reduceat(members[self.columns].astype(np.int64), self.indptr[:-1])

    def covered(self, members: BoolArray) -> int:
        """Rows that contain a class of the set."""
        return int(self.sizes[self.members_per_group(members) > 0].sum())

    def covered_prefixes(self, order: IntArray) -> IntArray:
        """int64[K], rows that contain one of the first k + 1 classes of the order."""
        rank = np.empty(self.class_count, np.int64)
        rank[order] = np.arange(self.class_count)
        first = np.minimum.reduceat(rank[self.columns], self.indptr[:-1])
        return np.cumsum(np.bincount(first, self.sizes, self.class_count)).astype(np.int64)

    def covered_after_moves(self, members: BoolArray) -> IntArray:
        """int64[K], rows covered after class k joins the set, or leaves it if it is in."""
        inside = self.members_per_group(members)
        lengths = np.diff(self.indptr)
        size = np.repeat(self.sizes, lengths)
        held = np.repeat(inside, lengths)
        joins = np.bincount(self.columns, size * (held == 0), self.class_count)
        mine = members[self.columns]
        leaves = np.bincount(self.columns, size * ((held == 1) & mine), self.class_count)
        now = int(self.sizes[inside > 0].sum())
        return now + np.where(members, -leaves, joins).astype(np.int64)

    def covered_sets(self) -> IntArray:
        """int64[2^K], rows covered by every set, bit k of the index standing for class k."""
        keys = np.add.reduceat(np.int64(1) << self.columns, self.indptr[:-1])
        within = np.bincount(keys, self.sizes, 1 << self.class_count).astype(np.int64)
        for bit in range(self.class_count):
            halves = within.reshape(-1, 2, 1 << bit)
            halves[:, 1] += halves[:, 0]
        # A row avoids T iff its set lies within the complement of T, which is the reversed index.
        return self.total - within[::-1]
