"""MaskLedger: how many pixels of each class each mask has, as a sparse mask x class table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import gt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskstat.frames import data_frame
from maskstat.naming import counted, natural_key
from maskstat.parameters import several
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.labels import Labels, counting, labels_of, positives
from maskstat.values.tally import IntArray, TallyTable

if TYPE_CHECKING:
    from pandas import DataFrame

_BLOCK = 8192  # names that are looked at together


@dataclass(frozen=True, slots=True, eq=False)
class MaskLedger:
    """Mask x class pixel counts in compressed sparse rows; labelled pixels only.

    Of labels (`ClassCatalog.multilabel`) a pixel counts once for each that it has.

    Attributes:
        class_count: K.
        names: names of the B masks.
        areas: int64[B], all pixels of each mask, labelled or not.
        indptr: int64[B + 1]; mask b owns entries indptr[b]:indptr[b + 1].
        classes: int64[nnz], class indices, ascending within a mask.
        pixels: int64[nnz], pixels, all >= 1.
        counting: int64[B], of labels the pixels of each mask that are neither ignored nor unlisted;
            None of classes, whose pixels add up to that.
    """

    class_count: int
    names: tuple[str, ...]
    areas: IntArray
    indptr: IntArray
    classes: IntArray
    pixels: IntArray
    counting: IntArray | None = None

    def __post_init__(self) -> None:
        for array in (self.areas, self.indptr, self.classes, self.pixels, self.counting):
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def of(cls, catalog: ClassCatalog, table: TallyTable) -> MaskLedger:
        """Interpret raw tallies with a catalogue; several raw values may meet in one class."""
        if catalog.multilabel:
            return cls._of_labels(table, labels_of(catalog, table.values))
        targets = catalog.targets(table)
        labelled = targets >= 0
        mask_of_entry = np.repeat(np.arange(len(table)), np.diff(table.indptr))[labelled]
        width = max(len(catalog), 1)
        keys = mask_of_entry * width + targets[labelled]
        pixels = table.counts[labelled]
        if keys.size and not (np.diff(keys) > 0).all():
            order = np.argsort(keys, kind="stable")
            keys, pixels = keys[order], pixels[order]
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            keys, pixels = keys[starts], np.add.reduceat(pixels, starts)
        rows = np.bincount(keys // width, minlength=len(table))
        indptr = np.concatenate(([0], np.cumsum(rows, dtype=np.int64)))
        return cls(len(catalog), table.names, table.areas, indptr, keys % width, pixels)

    @classmethod
    def _of_labels(cls, table: TallyTable, labels: Labels) -> MaskLedger:
        found = positives(table, labels)
        rows = np.bincount(found.masks, minlength=len(table))
        return cls(
            labels.has.shape[1],
            table.names,
            table.areas,
            np.concatenate(([0], np.cumsum(rows, dtype=np.int64))),
            found.what,
            found.pixels,
            counting(table, labels),
        )

    @classmethod
    def concatenate(cls, ledgers: Sequence[MaskLedger], class_count: int) -> MaskLedger:
        """The rows of several ledgers of the same classes, one below the other."""
        if any(ledger.class_count != class_count for ledger in ledgers):
            raise ValueError("ledgers of different classes do not join")
        none = np.empty(0, np.int64)
        lengths = [np.diff(ledger.indptr) for ledger in ledgers]
        that_count = [ledger.counting for ledger in ledgers if ledger.counting is not None]
        return cls(
            class_count,
            tuple(name for ledger in ledgers for name in ledger.names),
            np.concatenate([none, *(ledger.areas for ledger in ledgers)]),
            np.concatenate(([0], np.cumsum(np.concatenate([none, *lengths]), dtype=np.int64))),
            np.concatenate([none, *(ledger.classes for ledger in ledgers)]),
            np.concatenate([none, *(ledger.pixels for ledger in ledgers)]),
            np.concatenate([none, *that_count]) if that_count else None,
        )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return one_line(self, counted(len(self), "mask"), counted(self.class_count, "class"))

    @property
    def labelled(self) -> IntArray:
        """int64[B], labelled pixels of each mask; of labels all that count, with one or without."""
        if self.counting is not None:
            return self.counting
        sums = np.concatenate(([0], np.cumsum(self.pixels, dtype=np.int64)))
        return sums[self.indptr[1:]] - sums[self.indptr[:-1]]

    @property
    def class_counts(self) -> IntArray:
        """int64[B], how many classes occur in each mask."""
        return np.diff(self.indptr)

    def dense(self) -> IntArray:
        """int64[B, K]; for small ledgers and tests."""
        table = np.zeros((len(self), self.class_count), np.int64)
        table[np.repeat(np.arange(len(self)), self.class_counts), self.classes] = self.pixels
        return table

    def to_pandas(self, classes: str | Iterable[str] | None = None) -> DataFrame:
        """A row a mask, a column a class: pixels. Not sparse: 8 bytes for each of B x K.

        Args:
            classes: names of the K classes; without, they are numbered.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        headings = range(self.class_count) if classes is None else several(classes)
        return data_frame(self.dense(), {"mask": self.names}, headings)

    def take(self, rows: Iterable[int]) -> MaskLedger:
        """The masks at these positions, in this order."""
        chosen = np.fromiter(rows, np.int64)
        lengths = self.class_counts[chosen]
        indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        within = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
        entries = np.repeat(self.indptr[chosen], lengths) + within
        return MaskLedger(
            self.class_count,
            tuple(self.names[row] for row in chosen),
            self.areas[chosen],
            indptr,
            self.classes[entries],
            self.pixels[entries],
            None if self.counting is None else self.counting[chosen],
        )

    def naturally_sorted(self) -> MaskLedger:
        """The same masks in natural order of their names (`mask_2` before `mask_10`)."""
        if is_in_natural_order(self.names):
            return self
        keys = [natural_key(name) for name in self.names]
        return self.take(sorted(range(len(keys)), key=keys.__getitem__))


def is_in_natural_order(names: Sequence[str]) -> bool:
    """Whether names surely are: they ascend, and each has digits where the first one has them.

    Then numbers are as long as those they are compared with, and the order of characters is that of
    numbers. It spares a key for every name: they take far more memory and time than the counts.
    """
    first: NDArray[np.bool_] | None = None
    for start in range(0, len(names), _BLOCK):
        # With the last name of the block before, which this one goes on from.
        block = names[max(0, start - 1) : start + _BLOCK]
        texts = [name.encode("utf-8", "surrogatepass") for name in block]
        if len({*map(len, texts)}) > 1 or any(map(gt, texts, texts[1:])):
            return False
        characters = np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)
        digits = (characters >= ord("0")) & (characters <= ord("9"))
        if first is None:
            first = digits[0]
        if digits.shape[1] != first.size or (digits != first).any():
            return False
    return True
