"""What is to be even in a split, as sparse features of the units that move: masks, or groups.

Every feature is scaled so that its sum over all units is 1: a part of ratio r should hold r of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.split_search import Units
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

# What the squared relative error of each kind of feature counts.
_PIXELS = 1.0  # of a class
_PRESENCE = 0.1  # masks that have it
_SIZES = 0.005  # those in which it is small, medium or large
_AREA = 0.0025  # pixels of any kind
_MASKS = 0.0025  # which matters only where sizes have slack
_BINS = 8  # of sizes, at most


@dataclass(frozen=True, slots=True, eq=False)
class UnitCounts:
    """Pixels and masks of classes in U units; M pairs of a unit and a class in it.

    Attributes:
        of: int64[B], the unit of each mask.
        size: int64[U], masks of each unit.
        unit, classes: int64[M], the pairs, by units and then by classes.
        pixels, masks: int64[M], pixels of the class, and masks that have it.
        class_count: K.
    """

    of: IntArray
    size: IntArray
    unit: IntArray
    classes: IntArray
    pixels: IntArray
    masks: IntArray
    class_count: int

    @classmethod
    def of_ledger(cls, ledger: MaskLedger, of: IntArray) -> UnitCounts:
        """Of masks, whose units are numbered from 0; every number is in use."""
        k = max(ledger.class_count, 1)
        units = int(of.max(initial=-1)) + 1
        key = np.repeat(of, ledger.class_counts) * k + ledger.classes
        order = np.argsort(key, kind="stable")
        key = key[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        pixels = np.add.reduceat(ledger.pixels[order], starts) if key.size else key
        masks = np.diff(np.append(starts, key.size))
        pairs = key[starts]
        size = np.bincount(of, minlength=units)
        return cls(of, size, pairs // k, pairs % k, pixels, masks, ledger.class_count)

    @property
    def groups_with(self) -> IntArray:
        """int64[K], units that have each class."""
        return np.bincount(self.classes, minlength=self.class_count)

    def tables(self, part: IntArray, parts: int) -> tuple[IntArray, IntArray]:
        """int64[F, K] each, pixels of the classes in parts, and masks that have them.

        Args:
            part: int64[U], the part of each unit; below 0 it is in none.
            parts: F.
        """
        return self._table(part, parts, self.pixels), self._table(part, parts, self.masks)

    def pixel_table(self, part: IntArray, parts: int) -> IntArray:
        """The first of `tables` alone, which is half the work."""
        return self._table(part, parts, self.pixels)

    def _table(self, part: IntArray, parts: int, amounts: IntArray) -> IntArray:
        where = part[self.unit].astype(np.int64)
        used = where >= 0
        table = np.zeros(parts * self.class_count, np.int64)
        np.add.at(table, where[used] * self.class_count + self.classes[used], amounts[used])
        return table.reshape(parts, self.class_count)


def in_fixed_order(ledger: MaskLedger, groups: MaskGroups) -> tuple[MaskLedger, IntArray, IntArray]:
    """Masks and classes in an order that depends on what they are, not on how they are listed.

    So the same masks have the same split whatever their order and that of the classes.

    Returns:
        The ledger in that order, int64[B] units of its masks in order of their first, and int64[B]
        which mask of the given ledger each is.
    """
    rows = np.array(sorted(range(len(ledger)), key=ledger.names.__getitem__), np.int64)
    masks = ledger.take(rows.tolist())
    row = np.repeat(np.arange(len(masks)), masks.class_counts)
    order = np.lexsort((row, masks.classes))
    ends = np.cumsum(np.bincount(masks.classes, minlength=masks.class_count))
    content = np.stack((row[order], masks.pixels[order]), axis=1)
    digests = [
        hashlib.blake2b(np.ascontiguousarray(each).tobytes(), digest_size=16).digest()
        for each in np.split(content, ends[:-1])
    ]
    place = np.empty(masks.class_count, np.int64)
    place[sorted(range(masks.class_count), key=digests.__getitem__)] = np.arange(len(place))
    classes = place[masks.classes]
    within = np.lexsort((classes, row))
    renumbered = MaskLedger(
        masks.class_count,
        masks.names,
        masks.areas,
        masks.indptr,
        classes[within],
        masks.pixels[within],
    )
    _, first, unit = np.unique(groups.of[rows], return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return renumbered, number[unit.reshape(-1)], rows


def units_of(ledger: MaskLedger, of: IntArray, ratio: FloatArray) -> Units:
    """The features of units.

    Args:
        ledger: B masks.
        of: int64[B], the unit of each; every number from 0 on is in use.
        ratio: float64[F], what share of all each part is to have.
    """
    k, masks = ledger.class_count, np.arange(len(ledger))
    row = np.repeat(masks, ledger.class_counts)
    bins, bin_count = _size_bins(ledger, float(ratio.min()))
    binned = bins >= 0
    columns = np.concatenate(
        (
            ledger.classes,
            k + ledger.classes,
            2 * k + bins[binned],
            np.full(len(ledger), 2 * k + bin_count),
            np.full(len(ledger), 2 * k + bin_count + 1),
        )
    )
    ones = np.ones(row.size)
    values = np.concatenate(
        (ledger.pixels, ones, ones[binned], ledger.areas, np.ones(len(ledger)))
    ).astype(np.float64)
    weights = [_PIXELS, _PRESENCE, _SIZES, _AREA, _MASKS]
    root = np.sqrt(np.repeat(weights, [k, k, bin_count, 1, 1]))
    total = np.bincount(columns, values, len(root))
    root[total == 0] = 0.0
    rows = np.concatenate((row, row, row[binned], masks, masks))
    key = of[rows] * len(root) + columns
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    sums = np.add.reduceat(values[order], starts)
    index = key[starts] % len(root)
    unit = key[starts] // len(root)
    count = int(of.max()) + 1
    entries = np.bincount(unit, minlength=count)
    return Units(
        np.concatenate(([0], np.cumsum(entries))).astype(np.int64),
        index.astype(np.int32),
        sums / total[index] * root[index],
        np.bincount(unit[index < k], minlength=count).astype(np.int64),
        np.bincount(of, minlength=count).astype(np.int64),
        root,
        k,
    )


def _size_bins(ledger: MaskLedger, least_ratio: float) -> tuple[IntArray, int]:
    """A bin for each entry, by its pixels among those of its class; and how many bins there are.

    Entries of equal pixels share one. A class in m masks has up to 8 bins, so few that each has a
    mask for the smallest part; -1 where that leaves fewer than two.
    """
    k, nnz = ledger.class_count, ledger.classes.size
    order = np.lexsort((ledger.pixels, ledger.classes))
    kinds, pixels = ledger.classes[order], ledger.pixels[order]
    masks = np.bincount(kinds, minlength=k)
    start = np.concatenate(([0], np.cumsum(masks)))[:-1]
    new = np.ones(nnz, bool)
    new[1:] = (kinds[1:] != kinds[:-1]) | (pixels[1:] != pixels[:-1])
    first = np.maximum.accumulate(np.where(new, np.arange(nnz), 0)) - start[kinds]
    wanted = np.minimum(_BINS, np.floor(masks * least_ratio + 1e-9).astype(np.int64))
    wanted[wanted < 2] = 0
    offset = np.concatenate(([0], np.cumsum(wanted)))
    column = np.full(nnz, -1, np.int64)
    kept = wanted[kinds] > 0
    column[kept] = offset[kinds[kept]] + first[kept] * wanted[kinds[kept]] // masks[kinds[kept]]
    bins = np.empty(nnz, np.int64)
    bins[order] = column
    return bins, int(offset[-1])
