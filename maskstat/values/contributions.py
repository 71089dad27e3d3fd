"""What each mask adds to the totals of the classes: what standard errors are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted
from maskstat.showing import one_line
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]
Total = Literal["pixels", "masks", "image_pixels", "labelled_image_pixels"]
TOTALS: tuple[Total, ...] = ("pixels", "masks", "image_pixels", "labelled_image_pixels")


@dataclass(frozen=True, slots=True, eq=False)
class GroupParts:
    """What each of G groups adds to a total of K classes; every entry once.

    Attributes:
        group_count, class_count: G and K.
        groups: int64[n], the group of each entry, ascending.
        classes: int64[n], its class, ascending within a group.
        parts: float64[n], what it adds.
    """

    group_count: int
    class_count: int
    groups: IntArray
    classes: IntArray
    parts: FloatArray

    __repr__ = one_line

    @property
    def totals(self) -> FloatArray:
        """float64[K], what all groups add up to."""
        return np.asarray(np.bincount(self.classes, self.parts, self.class_count), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Parts of the totals of K classes that B masks have, in compressed sparse rows.

    The totals are those of `ClassHistogram`; of crops, those that are expected of each mask.

    Attributes:
        class_count: K.
        indptr: int64[B + 1]; mask b owns entries indptr[b]:indptr[b + 1].
        classes: int64[nnz], class indices.
        pixels: float64[nnz], pixels of the class, > 0.
        presence: float64[nnz], 1, or how often crops of the mask have the class in an epoch.
        areas, labelled: float64[B], all and labelled pixels of the mask, or of a crop of it.
    """

    class_count: int
    indptr: IntArray
    classes: IntArray
    pixels: FloatArray
    presence: FloatArray
    areas: FloatArray
    labelled: FloatArray

    @classmethod
    def of(cls, ledger: MaskLedger) -> Contributions:
        """Those of masks as they are."""
        return cls(
            ledger.class_count,
            ledger.indptr,
            ledger.classes,
            ledger.pixels.astype(np.float64),
            np.ones(ledger.pixels.size),
            ledger.areas.astype(np.float64),
            ledger.labelled.astype(np.float64),
        )

    def times(self, factors: FloatArray) -> Contributions:
        """The same with all that counts pixels times a factor a mask [B]: their volumes, say."""
        return replace(
            self,
            pixels=self.pixels * np.repeat(factors, np.diff(self.indptr)),
            areas=self.areas * factors,
            labelled=self.labelled * factors,
        )

    def __len__(self) -> int:
        """How many masks, B."""
        return len(self.indptr) - 1

    def __repr__(self) -> str:
        return one_line(self, counted(len(self), "mask"), counted(self.class_count, "class"))

    def of_groups(self, groups: MaskGroups, total: Total = "pixels") -> GroupParts:
        """What each group adds to one of the totals."""
        parts, classes = self._parts(total), self.classes
        rows = np.repeat(groups.of, np.diff(self.indptr))
        if not groups.are_masks or not np.array_equal(groups.of, np.arange(len(self))):
            keys = rows * self.class_count + classes
            order = np.argsort(keys, kind="stable")
            keys, parts = keys[order], parts[order]
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            keys, parts = keys[starts], np.add.reduceat(parts, starts) if keys.size else parts
            rows, classes = np.divmod(keys, max(self.class_count, 1))
        return GroupParts(len(groups), self.class_count, rows, classes, parts)

    @property
    def masks_with(self) -> IntArray:
        """int64[K], masks that have each class."""
        return np.bincount(self.classes, minlength=self.class_count).astype(np.int64)

    def _parts(self, total: Total) -> FloatArray:
        if total == "pixels":
            return self.pixels
        if total == "masks":
            return self.presence
        per_mask = self.areas if total == "image_pixels" else self.labelled
        return np.asarray(self.presence * np.repeat(per_mask, np.diff(self.indptr)))
