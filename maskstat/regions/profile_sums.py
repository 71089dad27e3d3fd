"""Adding up what was measured in single masks, quickly and in little memory.

A `ProfileSum` is what a thread fills while it decodes. It holds only what occurs: heat maps of the
labels it has met, rows of components until they are enough to be counted together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

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
    from maskstat.kernels.region_types import RegionCounts

    Measured: TypeAlias = tuple[str, tuple[int, int], RegionCounts]  # name, (H, W), regions

MOST_ROWS, MOST_MASKS = 1 << 20, 256  # components, and masks, that wait to be counted together


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
    _heat: dict[int, IntArray] = field(default_factory=dict)
    _moments: IntArray = field(init=False)
    _frame: IntArray = field(init=False)
    _edges: CountTable = field(default_factory=CountTable.empty)
    _four: Components = field(init=False)
    _eight: Components = field(init=False)
    _sides: CountTable = field(default_factory=CountTable.empty)
    _smallest: dict[int, tuple[SmallComponent, ...]] = field(default_factory=dict)
    _waiting: list[Measured] = field(default_factory=list)
    _rows: int = 0

    __repr__ = one_line

    def __post_init__(self) -> None:
        count = len(self.catalog)
        check_size(count, self.grid)
        self._moments = np.zeros((count, 2), np.int64)
        self._frame = np.zeros(count, np.int64)
        self._four = self._eight = Components.none(count)

    def add(self, name: str, shape: tuple[int, int], regions: RegionCounts) -> None:
        """Add one mask (H, W) that was measured under this catalogue and grid."""
        for label, cells in zip(regions.labels.tolist(), regions.heat, strict=True):
            if (own := self._heat.get(label)) is None:
                self._heat[label] = cells.copy()  # its base holds all labels' maps
            else:
                own += cells
        self.mask_count += 1
        self._extent = (self._extent[0] + shape[0], self._extent[1] + shape[1])
        self._waiting.append((name, shape, regions._replace(heat=regions.heat[:0])))
        self._rows += regions.four.label.size + regions.eight.label.size
        if self._rows > MOST_ROWS or len(self._waiting) >= MOST_MASKS:
            self.settle()

    def absorb(self, other: ProfileSum) -> None:
        """Add all masks of another sum of the same catalogue and grid, which is used up."""
        self.settle()
        other.settle()
        self.mask_count += other.mask_count
        self._extent = (self._extent[0] + other._extent[0], self._extent[1] + other._extent[1])
        for label, cells in other._heat.items():
            if (own := self._heat.get(label)) is None:
                self._heat[label] = cells
            else:
                own += cells
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
        masks = sorted(self._waiting, key=lambda mask: natural_key(mask[0]))
        self._waiting, self._rows = [], 0
        self._add_labels(masks)
        self._add_components(masks)

    def _add_components(self, masks: list[Measured]) -> None:
        """Sizes and numbers of components, boxes, and the smallest."""
        count = len(self.catalog)
        for name in ("four", "eight"):
            tables = [getattr(regions, name) for _, _, regions in masks]
            rows = [table.label.size for table in tables]
            label = np.concatenate([table.label for table in tables]).astype(np.int64)
            number = np.repeat(np.arange(len(masks)), rows)
            keys = label << NUMBER_BITS | np.concatenate([table.size for table in tables])
            sizes = CountTable.of_keys(keys)
            found = np.bincount(number * count + label, minlength=len(masks) * count)
            some = found.nonzero()[0]
            in_mask = CountTable.of(some % count, found[some])
            setattr(self, f"_{name}", getattr(self, f"_{name}") + Components(count, sizes, in_mask))
        self._add_boxes(masks, label, rows)
        self._add_smallest(masks, keys, number, sizes)

    def _add_labels(self, masks: list[Measured]) -> None:
        """Moments and outlines."""
        labels = np.concatenate([regions.labels for _, _, regions in masks])
        classes = labels < len(self.catalog)
        labels = labels[classes]
        frame = np.concatenate([regions.frame for _, _, regions in masks])
        np.add.at(self._frame, labels, frame[classes])
        repeats = [regions.labels.size for _, _, regions in masks]
        sides = np.repeat(np.array([shape for _, shape, _ in masks], np.int64), repeats, axis=0)
        sides = 2 * sides[classes]  # the middles were summed up in halves of a pixel
        moments = np.concatenate([regions.moments for _, _, regions in masks])[classes]
        whole, rest = np.divmod(moments, sides)
        rounded = (whole << MOMENT_BITS) + ((rest << MOMENT_BITS) + sides // 2) // sides
        np.add.at(self._moments, labels, rounded)
        first, second, edges = (
            np.concatenate([getattr(regions.adjacency, part) for _, _, regions in masks])
            for part in ("first", "second", "edges")
        )
        self._edges += CountTable.of(first.astype(np.int64), second.astype(np.int64), edges)

    def _add_boxes(self, masks: list[Measured], label: IntArray, rows: list[int]) -> None:
        """Sides of the boxes of components of `eight`."""
        for axis, (start, stop) in enumerate((("top", "bottom"), ("left", "right"))):
            long = np.concatenate(
                [
                    getattr(regions.eight, stop) - getattr(regions.eight, start)
                    for _, _, regions in masks
                ]
            )
            lengths = [shape[axis] for _, shape, _ in masks]
            if len(set(lengths)) == 1:
                bins = side_bins(long, lengths[0])
            else:
                ends = np.cumsum(rows).tolist()
                parts = zip(lengths, [0, *ends[:-1]], ends, strict=True)
                bins = np.concatenate([side_bins(long[a:b], length) for length, a, b in parts])
            self._sides += CountTable.of(label, axis * SIDE_BINS + bins)

    def _add_smallest(
        self, masks: list[Measured], keys: IntArray, number: IntArray, sizes: CountTable
    ) -> None:
        """Keep the smallest components: `keys` are class and size, `number` says in which mask."""
        # The smallest sizes of each class that together have enough components.
        before = np.cumsum(sizes.counts) - sizes.counts
        first = np.searchsorted(sizes.classes, sizes.classes)
        wanted = before - before[first] < SMALLEST
        limit = np.zeros(len(self.catalog), np.int64)
        limit[sizes.classes[wanted]] = sizes.keys[wanted]  # ascending: the last one stays
        rows = np.flatnonzero(keys <= limit[keys >> NUMBER_BITS])
        rows = rows[np.argsort(keys[rows], kind="stable")]  # equal ones by mask and place
        label = keys[rows] >> NUMBER_BITS
        some = np.arange(rows.size) - np.searchsorted(label, label) < SMALLEST
        rows, label = rows[some], label[some]
        size, y0, x0 = (
            np.concatenate([getattr(regions.eight, part) for _, _, regions in masks])[rows].tolist()
            for part in ("size", "y0", "x0")
        )
        found: dict[int, list[SmallComponent]] = {}
        columns = zip(label.tolist(), size, number[rows].tolist(), y0, x0, strict=True)
        for k, pixels, at, y, x in columns:
            found.setdefault(k, []).append(SmallComponent(pixels, masks[at][0], y, x))
        for k, components in found.items():
            self._smallest[k] = smallest_of((*self._smallest.get(k, ()), *components))

    def profile(self) -> PixelProfile:
        """The masks added so far as a value."""
        self.settle()
        count = len(self.catalog)
        heat = np.zeros((count + 1, self.grid, self.grid), np.int64)
        for label, cells in self._heat.items():
            heat[label] = cells
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
