"""PixelProfile: where in the masks classes lie, how large they are and what they touch.

Everything is a whole number, so profiles of sets of masks add up to the profile of their union,
whatever the order: a monoid, like the counts of a scan. What people read (shares, centres,
quantiles) is computed from the sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import CountOverflowError, ParameterError, argument
from maskstat.naming import counted, natural_key
from maskstat.regions.components import Components
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

DEFAULT_GRID = 64
MAX_GRID = 256
MAX_CLASSES = 4096
MAX_CELLS = 1 << 25  # of all heat maps together: 256 MiB
MAX_PIXELS = 1 << 47  # so that no sum below can leave 64 bits
MOMENT_BITS = 16
SIDE_BINS = 4 * 31  # quarter octaves of a side of up to 2^31 - 1 pixels
SMALLEST = 5
_TABLED_SIDES = 1 << 13
_FITTING = 2000


_natural_key = lru_cache(maxsize=4096)(natural_key)


class SmallComponent(NamedTuple):
    """One of a class's smallest components.

    Attributes:
        pixels: its area.
        mask: the mask it is in.
        y, x: its first pixel, row by row from the top left.
    """

    pixels: int
    mask: str
    y: int
    x: int

    def __repr__(self) -> str:
        return one_line(self)

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key: area, then natural order of the masks, then the place."""
        return (self.pixels, _natural_key(self.mask), self.y, self.x)


Smallest = tuple[tuple[SmallComponent, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PixelProfile:
    """What the pixels of a set of masks show under one catalogue: an identity, `+`, builtin `sum`.

    There are K classes and K + 1 labels: label K is "no class", ignored and unlisted pixels
    together. Heat maps and adjacency know it; components and sides are of classes only.
    Maps and positions are relative to each mask, so masks of different sizes add up.

    Attributes:
        catalog: what the classes are.
        grid: G, cells a side of the heat maps.
        mask_count: masks measured.
        extent: sums of the masks' heights and of their widths.
        pixels: int64[K + 1], pixels of each label.
        heat: int64[K + 1, G, G], area of each label in each cell in units of 1 / G^2 pixel, rows
            from the top. A pixel across a cell's border is shared out exactly, so a label's cells
            sum to its pixels x G^2.
        moments: int64[K, 2], sums of the relative positions (y, x) of a class's pixels, their
            middles, 0 at the top left, in units of 2^-16. Each mask's sum is rounded to a unit
            before it is added (that is what keeps sums independent of their order), so a centre
            is off by less than 2^-17 a mask and pixel.
        frame: int64[K], pixel edges of a class that are the mask's own edge.
        adjacency: int64[K + 1, K + 1], pixel edges between two labels; symmetric, diagonal 0.
        four, eight: connected components, where pixels join by edges only, or by corners too.
        sides: int64[K, 2, SIDE_BINS], heights and widths of the bounding boxes of the components
            of `eight`, relative to the mask's: bin j holds ratios in (2^(-(j + 1) / 4), 2^(-j /
            4)], so bin 0 is as large as the mask and 4 bins are a factor of 2.
        smallest: for each class up to SMALLEST of the smallest components of `eight`, in order of
            area, then mask (natural order), then place.
    """

    catalog: ClassCatalog
    grid: int
    mask_count: int
    extent: tuple[int, int]
    pixels: IntArray
    heat: IntArray
    moments: IntArray
    frame: IntArray
    adjacency: IntArray
    four: Components
    eight: Components
    sides: IntArray
    smallest: Smallest

    def __post_init__(self) -> None:
        if sum(self.pixels.tolist()) > MAX_PIXELS:
            raise CountOverflowError(f"a profile holds at most {MAX_PIXELS} pixels")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __repr__(self) -> str:
        return one_line(
            self,
            counted(len(self.catalog), "class"),
            counted(self.mask_count, "mask"),
            f"grid {self.grid}",
        )

    @classmethod
    def empty(cls, catalog: ClassCatalog, grid: int = DEFAULT_GRID) -> PixelProfile:
        """The identity of `+`: no masks. Raises ParameterError as `check_size` does."""
        count = len(catalog)
        check_size(count, grid)

        def zeros(*shape: int) -> IntArray:
            return np.zeros(shape, np.int64)

        return cls(
            catalog,
            grid,
            0,
            (0, 0),
            zeros(count + 1),
            zeros(count + 1, grid, grid),
            zeros(count, 2),
            zeros(count),
            zeros(count + 1, count + 1),
            Components.none(count),
            Components.none(count),
            zeros(count, 2, SIDE_BINS),
            ((),) * count,
        )

    def __add__(self, other: object) -> PixelProfile:
        if not isinstance(other, PixelProfile):
            return NotImplemented
        if self.catalog.digest != other.catalog.digest:
            raise ValueError("profiles of different catalogues do not add")
        if self.grid != other.grid:
            raise ValueError(f"profiles of grids {self.grid} and {other.grid} do not add")
        return PixelProfile(
            self.catalog,
            self.grid,
            self.mask_count + other.mask_count,
            (self.extent[0] + other.extent[0], self.extent[1] + other.extent[1]),
            self.pixels + other.pixels,
            self.heat + other.heat,
            self.moments + other.moments,
            self.frame + other.frame,
            self.adjacency + other.adjacency,
            self.four + other.four,
            self.eight + other.eight,
            self.sides + other.sides,
            tuple(
                smallest_of((*mine, *others))
                for mine, others in zip(self.smallest, other.smallest, strict=True)
            ),
        )

    def __radd__(self, other: object) -> PixelProfile:
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PixelProfile):
            return NotImplemented
        return self.catalog.digest == other.catalog.digest and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name))
            if isinstance(getattr(self, f.name), np.ndarray)
            else getattr(self, f.name) == getattr(other, f.name)
            for f in fields(self)
            if f.name != "catalog"
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def class_pixels(self) -> IntArray:
        """int64[K], pixels of each class."""
        return self.pixels[:-1]

    @property
    def components(self) -> IntArray:
        """int64[K], components of each class where pixels join by edges and corners."""
        return self.eight.counts

    @property
    def aspect(self) -> float:
        """Width over height of the average mask; 1 where there is none."""
        height, width = self.extent
        return width / height if height else 1.0

    @property
    def vertical(self) -> FloatArray:
        """float64[K, G], share of a class's pixels in each row of cells, from the top."""
        return self._shares(self.heat[:-1].sum(axis=2))

    @property
    def horizontal(self) -> FloatArray:
        """float64[K, G], share of a class's pixels in each column of cells, from the left."""
        return self._shares(self.heat[:-1].sum(axis=1))

    def _shares(self, cells: IntArray) -> FloatArray:
        whole = self.class_pixels * self.grid**2
        return np.asarray(cells / np.maximum(whole, 1)[:, None])

    @property
    def centres(self) -> FloatArray:
        """float64[K, 2], mean relative position (y, x) of a class's pixels, (0, 0) the top left.

        The middle, (0.5, 0.5), for classes that never occur.
        """
        some = self.class_pixels[:, None]
        found = self.moments / (np.maximum(some, 1) * float(1 << MOMENT_BITS))
        return np.asarray(np.where(some > 0, found, 0.5))

    @property
    def outline(self) -> IntArray:
        """int64[K], pixel edges between a class and anything else, the mask's own edge included."""
        return np.asarray(self.adjacency[:-1].sum(axis=1) + self.frame)

    @property
    def width(self) -> FloatArray:
        """float64[K], typical width in pixels: 2 x pixels / outline; 0 where absent.

        a b / (a + b) of a rectangle of a x b pixels: the width of a long upright or level band of
        any width, along the mask's edge too, and half the side of a square. Of slanted bands it
        says less, at 45 degrees 29% (1 - 1 / sqrt 2), because steps make their outline longer.
        """
        return np.asarray(2 * self.class_pixels / np.maximum(self.outline, 1))

    @property
    def neighbours(self) -> FloatArray:
        """float64[K + 1, K + 1], of the pixel edges between label a and others, the share with b.

        Rows sum to 1, or are 0 for a label that touches no other one.
        """
        edges = self.adjacency.sum(axis=1, keepdims=True)
        return np.asarray(self.adjacency / np.maximum(edges, 1))

    @property
    def touch_ratio(self) -> FloatArray:
        """float64[K + 1, K + 1], pixel edges between two labels over those expected by chance.

        By chance outlines of given lengths pair at random, each with those of other labels only:
        e_ab = u_a u_b for a != b, with u so that rows add up to the outlines (quasi-independence,
        Goodman 1968). 1 is as by chance; 0 where two never touch, and on the diagonal. Where one
        label has half of all edges, which can only be its own, u is off by some 0.1%.
        """
        edges = self.adjacency.astype(np.float64)
        outlines = edges.sum(axis=1)
        has = outlines > 0
        expected = np.zeros_like(edges)
        if has.sum() > 1:
            outline = outlines[has] / outlines.sum()
            u = np.sqrt(outline)
            for _ in range(_FITTING):
                u = np.sqrt(u * outline / (u.sum() - u))
            expected[np.ix_(has, has)] = np.outer(u, u) * outlines.sum()
        np.fill_diagonal(expected, 0.0)
        return np.divide(edges, expected, out=np.zeros_like(edges), where=expected > 0)

    def side_quantiles(self, share: float) -> FloatArray:
        """float64[K, 2], height and width relative to the mask that this share of boxes reaches.

        The upper end of the bin that the quantile falls in, so up to 19% above it; 0 for classes
        without components.
        """
        upto = np.cumsum(self.sides[:, :, ::-1], axis=2)  # from the smallest bin on
        ranks = np.maximum(1, np.ceil(share * upto[:, :, -1:]))
        bins = SIDE_BINS - 1 - (upto < ranks).sum(axis=2)
        return np.asarray(np.where(upto[:, :, -1] > 0, 2.0 ** (-bins / 4), 0.0))


def check_size(class_count: int, grid: int) -> None:
    """Raise ParameterError where a profile of so many classes and cells can't be kept."""
    if not 1 <= grid <= MAX_GRID:
        raise ParameterError(f"is 1 to {MAX_GRID} cells a side, not {grid}", parameter="grid")
    if not class_count:
        raise ParameterError(
            "a pixel profile needs classes",
            parameter="profile",
            remedy=f"say what the values mean with {argument('classes')}",
        )
    if class_count > MAX_CLASSES:
        raise ParameterError(
            f"a pixel profile of {class_count:,} classes would compare {class_count**2:,} pairs;"
            f" {MAX_CLASSES:,} classes are the most",
            parameter="profile",
            remedy=f"say with {argument('classes')} which values are classes",
        )
    if (class_count + 1) * grid**2 > MAX_CELLS:
        raise ParameterError(
            f"heat maps of {class_count:,} classes with {grid} x {grid} cells take more than"
            f" {MAX_CELLS >> 17} MiB",
            parameter="grid",
            remedy=f"at most {argument('grid', math.isqrt(MAX_CELLS // (class_count + 1)))}",
        )


def smallest_of(found: tuple[SmallComponent, ...]) -> tuple[SmallComponent, ...]:
    """The first `SMALLEST` by rank."""
    return tuple(sorted(found, key=lambda component: component.rank)[:SMALLEST])


def side_bins(sides: IntArray, whole: int) -> IntArray:
    """int64[n], the quarter-octave bins of box sides [n] of a mask `whole` pixels long; exact."""
    if whole < _TABLED_SIDES:
        return _side_table(whole)[sides].astype(np.int64)
    edges = _side_edges(whole)
    return edges.size - np.searchsorted(edges, sides, side="left")


@lru_cache(maxsize=1024)
def _side_table(whole: int) -> NDArray[np.uint8]:
    """uint8[whole + 1], the bin of every side."""
    edges = _side_edges(whole)
    bins = edges.size - np.searchsorted(edges, np.arange(whole + 1), side="left")
    return bins.astype(np.uint8)


@lru_cache(maxsize=4096)
def _side_edges(whole: int) -> IntArray:
    """The longest side of each bin from 1 on, ascending: floor(whole / 2^(j / 4)), all >= 1.

    A side s is in bin j or a later one where s^4 2^j <= whole^4: whole numbers, no rounding.
    """
    fourth = whole**4
    edges = []
    for j in range(1, SIDE_BINS):
        if not (edge := math.isqrt(math.isqrt(fourth >> j))):
            break
        edges.append(edge)
    return np.array(edges[::-1], np.int64)
