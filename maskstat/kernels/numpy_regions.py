"""The slow way to measure regions: NumPy and SciPy, label by label, without a compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels import region_types
from maskstat.kernels.region_types import (
    Adjacency,
    EightComponents,
    FourComponents,
    Image,
    Int32Array,
    IntArray,
    RegionCounts,
    too_many_pieces,
)
from maskstat.memory import ask_memory

_BLOCK_PIXELS = 1 << 22


def measure_image(
    image: Image, number_of: Int32Array, labels: int, outside: int, grid: int
) -> RegionCounts:
    """See `region_types.Implementation`. Raises MaskError for too many pieces."""
    ask_memory(40 * image.size + 8 * labels * grid * grid)
    numbers = number_of[image]
    heat = np.zeros((labels, grid, grid), np.int64)
    moments = np.zeros((labels, 2), np.int64)
    sides = numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]
    eights, fours = [], []
    for label in np.unique(numbers).tolist():
        here = numbers == label
        heat[label] = _heat(here, grid)
        for axis in (0, 1):
            found = here.sum(axis=1 - axis)
            moments[label, axis] = found @ (2 * np.arange(found.size) + 1)
        if label != outside:
            fours.append(_components(here, label, corners=False))
            eights.append(_components(here, label, corners=True))
            if sum(len(some) for some in fours) > region_types.MAX_PIECES:
                raise too_many_pieces()
    four, eight = _in_raster_order(fours), _in_raster_order(eights)
    label, size, *places = eight.T
    return RegionCounts(
        np.arange(labels),
        heat,
        moments,
        sum(np.bincount(side, minlength=labels) for side in sides),
        _adjacency(numbers, labels),
        FourComponents(four[:, 0].astype(np.int32), four[:, 1].copy()),
        EightComponents(
            label.astype(np.int32), size.copy(), *(place.astype(np.int32) for place in places)
        ),
    )


def _overlaps(pixels: int, grid: int) -> NDArray[np.float64]:
    """float64[pixels, grid], the units that each pixel of an axis shares with each cell."""
    pixel, cell = np.arange(pixels)[:, None], np.arange(grid)
    end = np.minimum((pixel + 1) * grid, (cell + 1) * pixels)
    return np.maximum(end - np.maximum(pixel * grid, cell * pixels), 0).astype(np.float64)


def _heat(here: NDArray[np.bool_], grid: int) -> IntArray:
    """Heat map of one label. Products of floats, all whole numbers below 2^53."""
    height, width = here.shape
    down, across = _overlaps(height, grid), _overlaps(width, grid)
    heat = np.zeros((grid, grid))
    step = max(1, _BLOCK_PIXELS // width)
    for row in range(0, height, step):
        block = here[row : row + step].astype(np.float64)
        heat += down[row : row + step].T @ (block @ across)
    return heat.astype(np.int64)


def _adjacency(numbers: Int32Array, labels: int) -> Adjacency:
    """Pairs of neighbours of different labels."""
    found = []
    for view in (numbers, numbers.T):
        unequal = view[1:] != view[:-1]
        one, other = view[1:][unequal].astype(np.int64), view[:-1][unequal].astype(np.int64)
        found.append(np.minimum(one, other) * labels + np.maximum(one, other))
    pairs, edges = np.unique(np.concatenate(found), return_counts=True)
    return Adjacency(*np.divmod(pairs, labels), edges.astype(np.int64))


def _components(here: NDArray[np.bool_], label: int, *, corners: bool) -> IntArray:
    """int64[C, 8]: label, size, top, left, bottom, right, y0, x0 of one label's components."""
    from scipy import ndimage

    found, count = ndimage.label(here, np.ones((3, 3)) if corners else None)
    table = np.empty((count, 8), np.int64)
    table[:, 0] = label
    table[:, 1] = np.bincount(found.reshape(-1), minlength=count + 1)[1:]
    for number, (rows, columns) in enumerate(ndimage.find_objects(found)):
        x0 = columns.start + int((found[rows.start, columns] == number + 1).argmax())
        box = rows.start, columns.start, rows.stop, columns.stop
        table[number, 2:] = (*box, rows.start, x0)
    return table


def _in_raster_order(tables: list[IntArray]) -> IntArray:
    """The components of all labels, by their first pixels."""
    table = np.concatenate([np.empty((0, 8), np.int64), *tables])
    return table[np.lexsort((table[:, 7], table[:, 6]))]
