"""Labels: raw values of several channels under a catalogue, where a pixel has any number of them.

A raw value is the sum of 2^k over the channels k that are set, so that combinations are counted
once and read later, as all values are. What a class's values are in other masks are numbers of
channels here: a pixel has the class where one of them is set; -1 is a pixel in no channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray, TallyTable

MOST_LABELS = 62
NO_CHANNEL = -1


class Labels(NamedTuple):
    """What raw values of n entries mean.

    Attributes:
        has: bool[n, K], whether a pixel of the value has each label; none where it does not count.
        ignored: bool[n], whether it is in a channel that is ignored.
        unlisted: bool[n], whether it is in one that is neither a class's nor ignored, and in none
            that is ignored.
        beside: int64[n], the first such channel, of those that do not count.
    """

    has: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    unlisted: NDArray[np.bool_]
    beside: IntArray

    def __repr__(self) -> str:
        return one_line(self)

    @property
    def counts(self) -> NDArray[np.bool_]:
        """bool[n], values that count: pixels with a label or, for each that they lack, without."""
        return ~(self.ignored | self.unlisted)


def labels_of(catalog: ClassCatalog, values: IntArray) -> Labels:
    """What raw values int64[n] of multi-label masks mean."""
    listed, void = 0, _channels(catalog.ignored_values)
    has = np.zeros((values.size, len(catalog)), bool)
    empty = values == 0
    for info in catalog.classes:
        channels = _channels(info.values)
        listed |= channels
        has[:, info.index] = (values & channels) != 0
        if NO_CHANNEL in info.values:
            has[:, info.index] |= empty
    left = values & ~np.int64(listed | void)
    ignored = (values & void) != 0
    beside = np.where(ignored, _first(values & void), _first(left))
    if NO_CHANNEL in catalog.ignored_values:
        ignored |= empty
    unlisted = (left != 0) & ~ignored
    has[ignored | unlisted] = False
    return Labels(has, ignored, unlisted, beside)


class Entries(NamedTuple):
    """Pixels of masks, (mask, what) pairs, each once, ascending.

    Attributes:
        masks: int64[n], rows of the table.
        what: int64[n], class indices, or channels.
        pixels: int64[n].
    """

    masks: IntArray
    what: IntArray
    pixels: IntArray

    def __repr__(self) -> str:
        return one_line(self)


def positives(table: TallyTable, labels: Labels) -> Entries:
    """Pixels of each label in each mask, where there are any."""
    entry, index = labels.has.nonzero()
    return _summed(table, entry, index.astype(np.int64), max(labels.has.shape[1], 1))


def beside(table: TallyTable, labels: Labels, chosen: NDArray[np.bool_]) -> Entries:
    """Pixels of each channel that does not count, of the entries `chosen`; each pixel once."""
    entry = chosen.nonzero()[0]
    found = _summed(table, entry, labels.beside[entry] - NO_CHANNEL, MOST_LABELS + 1)
    return found._replace(what=found.what + NO_CHANNEL)


def counting(table: TallyTable, labels: Labels) -> IntArray:
    """int64[B], pixels of each mask that count: with a label or without."""
    sums = np.concatenate(
        ([0], np.cumsum(np.where(labels.counts, table.counts, 0), dtype=np.int64))
    )
    return np.asarray(sums[table.indptr[1:]] - sums[table.indptr[:-1]])


def _summed(table: TallyTable, entry: IntArray, what: IntArray, width: int) -> Entries:
    mask_of_entry = np.repeat(np.arange(len(table)), np.diff(table.indptr))
    every, inverse = np.unique(mask_of_entry[entry] * width + what, return_inverse=True)
    pixels = np.zeros(every.size, np.int64)
    np.add.at(pixels, inverse.reshape(-1), table.counts[entry])
    keys = every.astype(np.int64, copy=False)
    return Entries(keys // width, keys % width, pixels)


def _channels(values: Iterable[int]) -> int:
    """The raw value of a pixel that is in these channels."""
    return sum({1 << k for k in values if 0 <= k < MOST_LABELS})


def _first(values: IntArray) -> IntArray:
    """int64[n], the number of the lowest bit that is set; -1 where none is."""
    lowest = values & -values
    # A power of two is exact in floating point.
    return np.where(values == 0, NO_CHANNEL, np.log2(np.maximum(lowest, 1)).astype(np.int64))
