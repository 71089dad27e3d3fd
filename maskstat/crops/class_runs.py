"""The runs of every class in every mask, and which pixel of a class has which rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskstat.values.tally import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassRuns:
    """Runs, the longest stretches of one class in a mask in raster order.

    An *entry* is a class in a mask that has it; there are E.

    Attributes:
        classes, masks: int64[E], the class and the mask of each entry, ascending: by class, then by
            mask.
        before: int64[E + 1], pixels of all entries before each.
        starts: int64[R], the first pixel of each run in its mask, entry by entry.
        ahead: int64[R + 1], pixels of all runs before each.
    """

    classes: IntArray
    masks: IntArray
    before: IntArray
    starts: IntArray
    ahead: IntArray

    @classmethod
    def of(cls, arrays: Sequence[IntArray]) -> ClassRuns:
        """Of labels (H, W); negative ones have no runs."""
        parts = [np.empty((4, 0), np.int64)]
        for mask, array in enumerate(arrays):
            labels = array.ravel()
            starts = np.flatnonzero(np.diff(labels, prepend=-2))
            lengths = np.diff(starts, append=labels.size)
            classes = labels[starts]
            runs = np.stack([classes, np.full_like(classes, mask), starts, lengths])
            parts.append(runs[:, classes >= 0])
        runs = np.concatenate(parts, axis=1)
        classes, masks, starts, lengths = runs[:, np.argsort(runs[0], kind="stable")]
        ahead = np.concatenate([[0], np.cumsum(lengths)])
        new = (np.diff(classes, prepend=-1) != 0) | (np.diff(masks, prepend=-1) != 0)
        first = np.flatnonzero(new)
        before = np.append(ahead[first], ahead[-1])
        return cls(classes[first], masks[first], before, starts, ahead)

    @property
    def count(self) -> int:
        """R."""
        return len(self.starts)

    def find(self, entry: IntArray, rank: IntArray) -> IntArray:
        """The pixel of each of these ranks in each of these entries: its place in raster order."""
        place = self.before[entry] + rank
        run = np.searchsorted(self.ahead, place, side="right") - 1
        return self.starts[run] + place - self.ahead[run]
