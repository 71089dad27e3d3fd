"""Masks whose values lie everywhere between those of their classes, as far as counts can tell.

Smoothing, interpolation and lossy compression put values between two classes, probabilities have no
others. To infer a class from each of them would give hundreds, with weights.

Two things tell such a mask from one of many classes or instances. Its classes stand out: the values
between them come from borders, so each has few pixels, and all about as few. And the values reach
from one class that stands out to another; ids of instances have nothing at their upper end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, argument, call
from maskstat.naming import counted, natural_key, printable
from maskstat.showing import one_line
from maskstat.values.tally import GREY, IntArray, TallyTable

BoolArray = NDArray[np.bool_]

STANDS_OUT = 16  # times what three quarters of a mask's values have at most
FEWEST_BETWEEN = 8
SURELY = 64  # values between, which no set of classes has all so small
THIN_SIDE = 0.5  # thin: fewer pixels than a line of half the side
THICK_SIDES = 2.0  # thick: as many as an area has, where some values between are of many borders
WIDE = 128  # from the lowest to the highest value
NEARLY_ALL = 192  # of the 256 that 8 bits have
_NEARLY_TOP = 250
SHARE_OF_MASKS = 0.4
SHARE_OF_PEAKS = 0.02
_SHOWN_PEAKS = 12


@dataclass(frozen=True, slots=True)
class SoftMasks:
    """What is known of masks whose values lie everywhere between those of their classes.

    Attributes:
        masks: how many masks look so.
        first: the first of them in natural order.
        of: masks of indices, with them.
        values: different values in masks of indices.
        lowest, highest: the least and the largest of these.
        peaks: values that stand out, ascending: the classes, where there are two or more.
    """

    masks: int
    first: str
    of: int
    values: int
    lowest: int
    highest: int
    peaks: tuple[int, ...]

    __repr__ = one_line

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "peaks": list(self.peaks)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> SoftMasks:
        """What `to_dict` gave. Raises TypeError or KeyError otherwise."""
        return cls(**{**document, "peaks": tuple(document["peaks"])})

    @property
    def two(self) -> bool:
        """Whether no more than two values stand out: a threshold parts them."""
        return len(self.peaks) <= 2

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(first, last) value of two classes, with the threshold half-way.

        That is right where there are two: on the way from the first of three to the last are the
        values of the second.
        """
        several = len(self.peaks) > 1  # one alone is no two classes
        low, high = (self.peaks[0], self.peaks[-1]) if several else (self.lowest, self.highest)
        eight_bit = self.lowest >= 0 and self.highest <= 255
        first, last = (0, 255) if eight_bit else (self.lowest, self.highest)
        middle = (low + high) // 2
        return (first, middle), (middle + 1, last)

    @property
    def problem(self) -> str:
        """What they look like, in a few words; a text for `errors.spelled`."""
        between = (
            f"lie between {self._listed_peaks}"
            if len(self.peaks) > 1
            else f"from {self.lowest} to {self.highest}, none of which stands out"
        )
        masks = f"{self.masks:,} of {counted(self.of, 'mask')} (first {printable(self.first)})"
        return (
            f"{masks} look soft, or resized by interpolation:"
            f" {self.values:,} different values {between}"
        )

    @property
    def remedy(self) -> str:
        """What to do, in the order in which it should be considered; a text like `problem`."""
        return (
            f"export them again with nearest neighbour and without smoothing; or {self._otherwise}"
        )

    @property
    def _otherwise(self) -> str:
        in_file = argument("classes", Blank("FILE"))
        ranges = " and ".join(f"'values: [{each}]'" for each in self._written_ranges)
        if self.two:
            return (
                f"take a threshold: {in_file} with classes of {ranges}, as"
                f" '{call('scan', Blank('SOURCE'), draft=Blank('FILE.yaml'))}' writes it"
            )
        return (
            f"{in_file} with the values {self._listed_peaks}, where"
            f" {argument('unlisted', 'ignore')} leaves out the pixels between; of two classes only,"
            f" {ranges} are a threshold"
        )

    def record(self) -> dict[str, Any]:
        """What a finding says of them."""
        stand_out = {"standing_out": self._listed_peaks} if len(self.peaks) > 1 else {}
        threshold = " and ".join(self._written_ranges)
        return {"first": self.first, "values": self.values, **stand_out, "threshold": threshold}

    @property
    def _written_ranges(self) -> list[str]:
        return [f"{first}-{last}" for first, last in self.ranges]

    @property
    def _listed_peaks(self) -> str:
        shown = [str(peak) for peak in self.peaks[:_SHOWN_PEAKS]]
        more = len(self.peaks) - len(shown)
        last = f"{more:,} more" if more else shown.pop()
        return f"{', '.join(shown)} and {last}"


def find_soft_masks(
    tables: Callable[[], Iterable[TallyTable]], ignored: Iterable[int] = ()
) -> SoftMasks | None:
    """What there is to say of soft masks, where most values found are due to them; else None.

    A value is explained where it stands out in a soft mask, or has more pixels than a border in
    another. Half of the values must be left, and two in five of the masks with such values be soft:
    one mask in a thousand that happens to look so, among others of a thousand instances, is none.

    Args:
        tables: gives the raw tallies, a block at a time; they are gone through twice.
        ignored: raw values that are no classes anyway.
    """
    void = np.array(sorted(ignored), np.int64)
    found = explained = np.empty(0, np.int64)
    standing: dict[int, int] = {}  # value -> masks in which it does
    soft: list[str] = []
    of = 0
    for entries in (_Entries(table, void) for table in tables()):
        of += entries.masks
        is_soft, stands_out = entries.soft()
        soft += [entries.names[row] for row in np.flatnonzero(is_soft)]
        there = is_soft[entries.rows]
        known = stands_out | (~there & ~entries.thin)
        found = np.union1d(found, entries.values)
        explained = np.union1d(explained, entries.values[known])
        for value in entries.values[stands_out].tolist():
            standing[value] = standing.get(value, 0) + 1
    unexplained = np.setdiff1d(found, explained)
    if not soft or unexplained.size < max(FEWEST_BETWEEN, found.size / 2):
        return None
    holders = 0
    for entries in (_Entries(table, void) for table in tables()):
        strange = entries.rows[np.isin(entries.values, unexplained)]
        holders += int((np.bincount(strange) >= FEWEST_BETWEEN).sum())
    if len(soft) < SHARE_OF_MASKS * holders:
        return None
    least, most = int(found[0]), int(found[-1])
    first = min(soft, key=natural_key)
    peaks = _peaks(standing, len(soft))
    return SoftMasks(len(soft), first, of, int(found.size), least, most, peaks)


class _Entries:
    """The entries of a table that are index values of masks, and which of these are soft."""

    def __init__(self, table: TallyTable, void: IntArray):
        rows = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        index = np.array(table.by_encoding(lambda e: not e.is_colour), bool)
        grey = np.array(table.by_encoding(lambda e: e.lacks_grey), bool)
        values = table.values
        as_grey = grey[rows] & (values == (values & 0xFF) * GREY)
        values = np.where(as_grey, values & 0xFF, values)
        nodata = np.array(table.by_encoding(lambda e: e.nodata is not None), bool)
        kept = index[rows] | as_grey
        if nodata.any():
            none = np.array(table.by_encoding(lambda e: e.nodata or 0), np.int64)
            kept &= ~(nodata[rows] & (values == none[rows]))
        if void.size:
            kept &= ~np.isin(values, void)
        self.names = table.names
        self.rows, self.values, self.counts = rows[kept], values[kept], table.counts[kept]
        self.sizes = np.bincount(self.rows, minlength=len(table))
        self.eight_bit = grey | np.array(table.by_encoding(lambda e: e.is_eight_bit), bool)
        self.masks = int((self.sizes > 0).sum())
        sides = np.sqrt(table.areas)[self.rows]
        self.thin = self.counts < THIN_SIDE * sides
        self.thick = self.counts >= THICK_SIDES * sides

    def soft(self) -> tuple[BoolArray, BoolArray]:
        """bool[B], masks that look soft; bool[entries], what stands out as a class in those."""
        rows, values, masks = self.rows, self.values, self.sizes.size
        starts = np.cumsum(self.sizes) - self.sizes
        # The count that three quarters of a mask's values do not exceed.
        ordered = self.counts[np.lexsort((self.counts, rows))]
        usual = np.zeros(masks, np.int64)
        some = self.sizes > 0
        usual[some] = ordered[(starts + 3 * (self.sizes - 1) // 4)[some]]
        stands_out = self.counts >= STANDS_OUT * usual[rows]
        low, high = _ends(rows[stands_out], values[stands_out], masks)
        least, most = _ends(rows, values, masks)
        between = ~stands_out & (values > low[rows]) & (values < high[rows])
        middle = low[rows] / 2 + high[rows] / 2

        def number(which: BoolArray) -> IntArray:
            return np.bincount(rows[which], minlength=masks)

        inner, thin = number(between), number(between & self.thin)
        lower = number(between & (values < middle))
        everywhere = 8 * np.minimum(lower, inner - lower) >= inner
        # Enlarged twofold, borders of two classes have few values, and as many on either side.
        at = np.arange(values.size)
        mirrored = values[(2 * starts + self.sizes - 1)[rows] - at]
        lopsided = number(np.abs(values + mirrored - (least + most)[rows]) > 1) > 0
        even = ~lopsided & (low == least) & (high == most) & (high >= low + WIDE)
        small = (inner >= SURELY) | (4 * thin >= 3 * inner) | even
        # Ids of 8 bits begin at 0 or 1, and seldom go all the way up.
        full = self.eight_bit & (self.sizes >= NEARLY_ALL) & ((least > 1) | (most >= _NEARLY_TOP))
        beyond = number(~stands_out) - inner  # of curves that swing over, some; of ids, as it comes
        soft = (inner >= FEWEST_BETWEEN) & (4 * beyond <= inner) & everywhere & small
        return soft | full, stands_out & self.thick & soft[rows]


def _ends(rows: IntArray, values: IntArray, masks: int) -> tuple[IntArray, IntArray]:
    """int64[masks] twice: least and largest value of each; 0 where a mask has none."""
    first, last = np.zeros(masks, np.int64), np.zeros(masks, np.int64)
    # Values ascend within a row.
    last[rows] = values
    first[rows[::-1]] = values[::-1]
    return first, last


def _peaks(standing: dict[int, int], masks: int) -> tuple[int, ...]:
    """What stands out in more than a few of the soft masks."""
    often = (value for value, there in standing.items() if there >= SHARE_OF_PEAKS * masks)
    return tuple(sorted(often))
