"""The numbers of the table, a block of masks at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import printable
from maskstat.values.catalog import IGNORED, ClassCatalog
from maskstat.values.labels import labels_of
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, IntArray, TallyTable

FIXED = ("mask", "height", "width", "pixels", "ignored", "unlisted")
VOXEL = "voxel_mm3"  # before the pixels of the wide table, where files have a spacing
LONG = ("mask", "class_index", "class", "pixels")


class Block(NamedTuple):
    """Some masks of the table.

    Attributes:
        names: of the B masks.
        sizes: int64[5, B]: height, width, all pixels, ignored and unlisted ones, in the order of
            `FIXED`.
        rows: int64[n], the mask within the block of each number of `pixels`, ascending.
        classes: int64[n], its class.
        pixels: int64[n], pixels of the class in the mask, all >= 1.
        encodings: of the B masks.
    """

    names: tuple[str, ...]
    sizes: IntArray
    rows: IntArray
    classes: IntArray
    pixels: IntArray
    encodings: tuple[Encoding, ...]

    @property
    def voxels(self) -> list[float | None]:
        """mm³ of a voxel of each mask; None where its file has no spacing."""
        return [encoding.voxel or None for encoding in self.encodings]

    def dense(self, class_count: int) -> IntArray:
        """int64[K, B], pixels of each class in each mask."""
        counts = np.zeros((class_count, len(self.names)), np.int64)
        counts[self.classes, self.rows] = self.pixels
        return counts


def blocks(tables: Iterable[TallyTable], catalog: ClassCatalog, most: int) -> Iterator[Block]:
    """Blocks of at most `most` masks, in the order of the tables."""
    for table in tables:
        ledger = MaskLedger.of(catalog, table)
        ignored = np.where(_is_ignored(table, catalog), table.counts, 0)
        sums = np.concatenate(([0], np.cumsum(ignored, dtype=np.int64)))
        ignored = sums[table.indptr[1:]] - sums[table.indptr[:-1]]
        unlisted = ledger.areas - ledger.labelled - ignored
        sizes = np.stack([table.shapes[:, 0], table.shapes[:, 1], table.areas, ignored, unlisted])
        rows = np.repeat(np.arange(len(table)), ledger.class_counts)
        for first in range(0, len(table), most):
            last = min(first + most, len(table))
            entries = slice(ledger.indptr[first], ledger.indptr[last])
            yield Block(
                table.names[first:last],
                sizes[:, first:last],
                rows[entries] - first,
                ledger.classes[entries],
                ledger.pixels[entries],
                table.encodings[first:last],
            )


def _is_ignored(table: TallyTable, catalog: ClassCatalog) -> NDArray[np.bool_]:
    if catalog.multilabel:
        return labels_of(catalog, table.values).ignored
    return np.asarray(catalog.targets(table) == IGNORED)


def fixed(*, voxels: bool) -> tuple[str, ...]:
    """The columns of the wide table before those of classes; some with the size of `voxels`."""
    return (*FIXED[:3], VOXEL, *FIXED[3:]) if voxels else FIXED


def column_names(catalog: ClassCatalog) -> tuple[str, ...]:
    """A column of the wide table for every class: its name, made printable and unique.

    Unique also where case is ignored, as SQL does, and apart from the columns before them. A name
    that is taken gets the index of its class behind it.
    """
    taken = {*FIXED, VOXEL}
    columns = []
    for info in catalog.classes:
        name = column = printable(info.name)
        number = info.index
        while column.casefold() in taken:
            column = f"{name}_{number}"
            number += len(catalog)
        taken.add(column.casefold())
        columns.append(column)
    return tuple(columns)
