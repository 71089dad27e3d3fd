"""Adding up what was measured in single masks, quickly and in little memory.

A `ProfileSum` is what a thread fills while it decodes. It holds only what occurs: heat maps of the
labels it has met, as differences from cell to cell, and rows of components until they are enough to
be counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from maskstat.naming import natural_key
from maskstat.regions.components import NUMBER_BITS, Components, CountTable
from maskstat.regions.profile import (
    MOMENT_BITS,
    SIDE_BINS,
    SMALLEST,
    PixelProfile,
    SmallComponent,
    check_size,
    side_bins,
    smallest_of,
)
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from maskstat.kernels.region_types import Int32Array, RegionCounts

MOST_ROWS, MOST_MASKS = 1 << 20, 256  # components, and masks, that wait to be counted together


class _Measured(NamedTuple):
    """A mask that waits to be counted: `labels` are the catalogue's, by their numbers in it."""

    name: str
    shape: tuple[int, int]
    labels: IntArray
    regions: RegionCounts


def _places(masks: Sequence[_Measured], numbers: Sequence[IntArray | Int32Array]) -> IntArray:
    """Where the labels of what belongs to each of the masks are among the labels of all masks."""
    starts = np.cumsum([0, *(mask.labels.size for mask in masks[:-1])])
    places = np.repeat(starts, [some.size for some in numbers])
    places += np.concatenate(numbers)
    return places


def _ends(masks: Sequence[_Measured]) -> IntArray:
    """int64[n], components of `eight` that the masks have up to each of them, it included."""
    return np.cumsum([mask.regions.eight.label.size for mask in masks])


def _firsts(labels: IntArray) -> IntArray:
    """int64[n], the place of the first of its kind for each of the labels, which are sorted."""
    at = np.flatnonzero(np.append(True, labels[1:] != labels[:-1])[: labels.size])
    return np.repeat(at, np.diff(at, append=labels.size))


@dataclass(slots=True, eq=False)
class ProfileSum:
    """The profile of the masks added so far; `profile` makes a value of it.

    Attributes:
        catalog: K classes.
        grid: cells a side of the heat maps.
        mask_count: masks added.
    """

    catalog: ClassCatalog
    grid: int
    mask_count: int = 0
    _extent: tuple[int, int] = (0, 0)
    _outside: IntArray = field(init=False)
    _slots: IntArray = field(init=False)
    _heat: IntArray = field(init=False)
    _moments: IntArray = field(init=False)
    _frame: IntArray = field(init=False)
    _edges: CountTable = field(default_factory=CountTable.empty)
    _four: Components = field(init=False)
    _eight: Components = field(init=False)
    _sides: CountTable = field(default_factory=CountTable.empty)
    _smallest: dict[int, tuple[SmallComponent, ...]] = field(default_factory=dict)
    _waiting: list[_Measured] = field(default_factory=list)
    _rows: int = 0

    __repr__ = one_line

    def __post_init__(self) -> None:
        count = len(self.catalog)
        check_size(count, self.grid)
        self._outside = np.array([count])
        self._slots = np.full(count + 1, -1, np.int64)
        self._heat = np.zeros((0, self.grid, self.grid + 2), np.int64)
        self._moments = np.zeros((count, 2), np.int64)
        self._frame = np.zeros(count, np.int64)
        self._four = self._eight = Components.none(count)

    def add(
        self,
        name: str,
        shape: tuple[int, int],
        classes: IntArray,
        regions: RegionCounts,
        spread: Callable[[IntArray, IntArray], None],
    ) -> None:
        """Add one mask (H, W).

        Args:
            classes: int64[L - 1], those that its labels 0..L - 2 mean.
            regions: what was measured.
            spread: adds its runs to heat maps, as `maskstat.kernels.engine.Engine.spread` does
                with `slots` and `heat`.
        """
        labels = np.concatenate([classes, self._outside])
        slots = self._slots_of(labels)
        spread(slots, self._heat)
        self.mask_count += 1
        self._extent = (self._extent[0] + shape[0], self._extent[1] + shape[1])
        self._waiting.append(_Measured(name, shape, labels, regions))
        self._rows += regions.four.label.size + regions.eight.label.size
        if self._rows > MOST_ROWS or len(self._waiting) >= MOST_MASKS:
            self.settle()

    def _slots_of(self, labels: IntArray) -> IntArray:
        """The heat map of each label; new ones are made."""
        slots = self._slots[labels]
        if (new := labels[slots < 0]).size:
            used = int(self._slots.max()) + 1
            if used + new.size > len(self._heat):
                heat = np.zeros((2 * (used + new.size), self.grid, self.grid + 2), np.int64)
                heat[:used] = self._heat[:used]
                self._heat = heat
            self._slots[new] = np.arange(used, used + new.size)
            slots = self._slots[labels]
        return slots

    def absorb(self, other: ProfileSum) -> None:
        """Add all masks of another sum of the same catalogue and grid, which is used up."""
        self.settle()
        other.settle()
        self.mask_count += other.mask_count
        self._extent = (self._extent[0] + other._extent[0], self._extent[1] + other._extent[1])
        labels = np.flatnonzero(other._slots >= 0)
        slots = self._slots_of(labels)  # before the heat, which it may make anew
        self._heat[slots] += other._heat[other._slots[labels]]
        self._moments += other._moments
        self._frame += other._frame
        self._edges += other._edges
        self._four += other._four
        self._eight += other._eight
        self._sides += other._sides
        for label, found in other._smallest.items():
            self._smallest[label] = smallest_of((*self._smallest.get(label, ()), *found))

    def settle(self) -> None:
        """Count together what waits: results take as little memory as they can."""
        if not self._waiting:
            return
        # In natural order of the masks rows are in the order that decides between equal sizes.
        masks = sorted(self._waiting, key=lambda mask: natural_key(mask.name))
        self._waiting, self._rows = [], 0
        self._add_labels(masks)
        self._add_components(masks)

    def _add_components(self, masks: list[_Measured]) -> None:
        """Sizes and numbers of components, boxes, and the smallest."""
        count = len(self.catalog)
        labels = np.concatenate([mask.labels for mask in masks])
        for name in ("four", "eight"):
            tables = [getattr(mask.regions, name) for mask in masks]
            places = _places(masks, [table.label for table in tables])
            keys = (labels << NUMBER_BITS)[places]
            keys |= np.concatenate([table.size for table in tables])
            sizes = CountTable.of_keys(keys)
            found = np.bincount(places, minlength=labels.size)
            some = found.nonzero()[0]
            in_mask = CountTable.of(labels[some], found[some])
            setattr(self, f"_{name}", getattr(self, f"_{name}") + Components(count, sizes, in_mask))
        self._add_boxes(masks, labels, places)
        self._add_smallest(masks, keys, sizes, labels, places)

    def _add_labels(self, masks: list[_Measured]) -> None:
        """Moments and outlines."""
        all_labels = np.concatenate([mask.labels for mask in masks])
        classes = all_labels < len(self.catalog)
        labels = all_labels[classes]
        frame = np.concatenate([mask.regions.frame for mask in masks])
        np.add.at(self._frame, labels, frame[classes])
        repeats = [mask.labels.size for mask in masks]
        sides = np.repeat(np.array([mask.shape for mask in masks], np.int64), repeats, axis=0)
        sides = 2 * sides[classes]  # the middles were summed up in halves of a pixel
        moments = np.concatenate([mask.regions.moments for mask in masks])[classes]
        whole, rest = np.divmod(moments, sides)
        rounded = (whole << MOMENT_BITS) + ((rest << MOMENT_BITS) + sides // 2) // sides
        np.add.at(self._moments, labels, rounded)
        first, second = (
            all_labels[_places(masks, [getattr(mask.regions.adjacency, part) for mask in masks])]
            for part in ("first", "second")
        )
        edges = np.concatenate([mask.regions.adjacency.edges for mask in masks])
        self._edges += CountTable.of(first, second, edges)

    def _add_boxes(self, masks: list[_Measured], labels: IntArray, places: IntArray) -> None:
        """Sides of the boxes of components of `eight`."""
        for axis, (start, stop) in enumerate((("top", "bottom"), ("left", "right"))):
            ends, starts = (
                np.concatenate([getattr(mask.regions.eight, part) for mask in masks])
                for part in (stop, start)
            )
            long = ends - starts
            lengths = [mask.shape[axis] for mask in masks]
            if len(set(lengths)) == 1:
                bins = side_bins(long, lengths[0])
            else:
                behind = _ends(masks).tolist()
                parts = zip(lengths, [0, *behind[:-1]], behind, strict=True)
                bins = np.concatenate([side_bins(long[a:b], length) for length, a, b in parts])
            bins += (labels * SIDE_BINS)[places]
            found = np.bincount(bins)
            some = found.nonzero()[0]
            classes, bins = np.divmod(some, SIDE_BINS)
            self._sides += CountTable.of(classes, axis * SIDE_BINS + bins, found[some])

    def _add_smallest(
        self,
        masks: list[_Measured],
        keys: IntArray,
        sizes: CountTable,
        labels: IntArray,
        places: IntArray,
    ) -> None:
        """Keep the smallest components: `keys` are class and size."""
        # The smallest sizes of each class that together have enough components.
        before = np.cumsum(sizes.counts) - sizes.counts
        wanted = before - before[_firsts(sizes.classes)] < SMALLEST
        limit = np.zeros(len(self.catalog) + 1, np.int64)
        limit[sizes.classes[wanted]] = sizes.keys[wanted]  # ascending: the last one stays
        rows = np.flatnonzero(keys <= limit[labels][places])
        rows = rows[np.argsort(keys[rows], kind="stable")]  # equal ones by mask and place
        label = keys[rows] >> NUMBER_BITS
        some = np.arange(rows.size) - _firsts(label) < SMALLEST
        rows, label = rows[some], label[some]
        number = np.searchsorted(_ends(masks), rows, side="right")
        size, y0, x0 = (
            np.concatenate([getattr(mask.regions.eight, part) for mask in masks])[rows].tolist()
            for part in ("size", "y0", "x0")
        )
        found: dict[int, list[SmallComponent]] = {}
        columns = zip(label.tolist(), size, number.tolist(), y0, x0, strict=True)
        for k, pixels, at, y, x in columns:
            found.setdefault(k, []).append(SmallComponent(pixels, masks[at].name, y, x))
        for k, components in found.items():
            self._smallest[k] = smallest_of((*self._smallest.get(k, ()), *components))

    def profile(self) -> PixelProfile:
        """The masks added so far as a value."""
        self.settle()
        count = len(self.catalog)
        heat = np.zeros((count + 1, self.grid, self.grid), np.int64)
        labels = np.flatnonzero(self._slots >= 0)
        differences = self._heat[self._slots[labels], :, : self.grid]
        heat[labels] = np.cumsum(differences, axis=2)
        adjacency = np.zeros((count + 1, count + 1), np.int64)
        first, second = self._edges.classes, self._edges.numbers
        adjacency[first, second] = self._edges.counts
        adjacency[second, first] = self._edges.counts
        sides = np.zeros((count, 2 * SIDE_BINS), np.int64)
        sides[self._sides.classes, self._sides.numbers] = self._sides.counts
        return PixelProfile(
            self.catalog,
            self.grid,
            self.mask_count,
            self._extent,
            heat.sum(axis=(1, 2)) // self.grid**2,
            heat,
            self._moments.copy(),
            self._frame.copy(),
            adjacency,
            self._four,
            self._eight,
            sides.reshape(count, 2, SIDE_BINS),
            tuple(self._smallest.get(k, ()) for k in range(count)),
        )
