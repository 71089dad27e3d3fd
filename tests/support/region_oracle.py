"""The regions of one mask the slow and obvious way, with SciPy's labelling and plain NumPy."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, MaskTally, TallyTable

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
SQUARE = np.ones((3, 3), int)


def label_map(
    catalog: ClassCatalog, pixels: NDArray[np.integer], encoding: Encoding
) -> NDArray[np.int64]:
    """int64[H, W], the label of every pixel: a class, or K where it has none."""
    tally = MaskTally.of_pixels("m", pixels, encoding)
    targets = catalog.targets(TallyTable.of([tally]))
    targets = np.where(targets < 0, len(catalog), targets)
    return targets[np.searchsorted(tally.values, pixels)]


def cell_overlap(length: int, grid: int) -> NDArray[np.int64]:
    """int64[grid, length], what each pixel of an axis has of each cell, in 1/grid pixels."""
    pixels = np.arange(length)[None, :]
    cells = np.arange(grid)[:, None]
    low = np.maximum(pixels * grid, cells * length)
    high = np.minimum((pixels + 1) * grid, (cells + 1) * length)
    return np.maximum(high - low, 0)


class Box(NamedTuple):
    """One component: its label, area, bounding box and first pixel."""

    label: int
    size: int
    top: int
    left: int
    bottom: int
    right: int
    y0: int
    x0: int


def components(labels: NDArray[np.int64], class_count: int, structure: Any) -> list[Box]:
    """All components of classes, in the order of their first pixels."""
    found = []
    for k in range(class_count):
        pieces, count = ndimage.label(labels == k, structure)
        for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
            y, x = np.argwhere(pieces == number)[0].tolist()
            size = int((pieces == number).sum())
            found.append(Box(k, size, rows.start, columns.start, rows.stop, columns.stop, y, x))
        assert count == len([box for box in found if box.label == k])
    return sorted(found, key=lambda box: (box.y0, box.x0))


def edges_between(labels: NDArray[np.int64]) -> Counter[tuple[int, int]]:
    """(a, b) with a < b -> edges between pixels of the two labels."""
    found: Counter[tuple[int, int]] = Counter()
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
            if a != b:
                found[min(a, b), max(a, b)] += 1
    return found


def frame_edges(labels: NDArray[np.int64], label: int) -> int:
    """Pixel edges of a label along the mask's own edge: sides of its pixels with nothing beyond."""
    padded = np.pad(labels, 1, constant_values=-1)
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return sum(int(((labels == label) & (side == -1)).sum()) for side in around)


def regions_of(labels: NDArray[np.int64], class_count: int, grid: int) -> Any:
    """Everything `tests.support.regions.measure` says of a label map."""
    height, width = labels.shape
    present = np.unique(labels)
    rows, columns = cell_overlap(height, grid), cell_overlap(width, grid)
    ys, xs = np.mgrid[:height, :width]
    edges = sorted(edges_between(labels).items())
    tables = {}
    for name, structure in (("four", CROSS), ("eight", SQUARE)):
        boxes = components(labels, class_count, structure)
        columns_of = np.array(boxes, np.int64).reshape(-1, len(Box._fields)).T
        tables[name] = SimpleNamespace(**dict(zip(Box._fields, columns_of, strict=True)))
    return Plain(
        present,
        np.array([rows @ (labels == k) @ columns.T for k in present]),
        np.array([[(2 * c + 1)[labels == k].sum() for c in (ys, xs)] for k in present]),
        np.array([frame_edges(labels, k) for k in present]),
        SimpleNamespace(
            first=np.array([a for (a, _), _ in edges], np.int64),
            second=np.array([b for (_, b), _ in edges], np.int64),
            edges=np.array([count for _, count in edges], np.int64),
        ),
        tables["four"],
        tables["eight"],
    )


class Plain(NamedTuple):
    """The fields of `tests.support.regions.Regions`."""

    labels: Any
    heat: Any
    moments: Any
    frame: Any
    adjacency: Any
    four: Any
    eight: Any
