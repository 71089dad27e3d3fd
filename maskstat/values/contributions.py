"""What each mask adds to the totals of the classes: what standard errors are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted
from maskstat.showing import one_line
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
Total = Literal["pixels", "masks", "image_pixels", "labelled_image_pixels"]
TOTALS: tuple[Total, ...] = ("pixels", "masks", "image_pixels", "labelled_image_pixels")


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

    def __len__(self) -> int:
        """How many masks, B."""
        return len(self.indptr) - 1

    def __repr__(self) -> str:
        return one_line(self, counted(len(self), "mask"), counted(self.class_count, "class"))

    def of_groups(self, groups: MaskGroups, total: Total = "pixels") -> csr_array:
        """float64[G, K], what each group adds to one of the totals; every entry once."""
        from scipy.sparse import csr_array

        shape = (len(groups), self.class_count)
        parts = self._parts(total)
        if groups.are_masks and np.array_equal(groups.of, np.arange(len(self))):
            return csr_array((parts, self.classes, self.indptr), shape=shape)
        group = np.repeat(groups.of, np.diff(self.indptr))
        return csr_array((parts, (group, self.classes)), shape=shape)

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
