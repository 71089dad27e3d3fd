"""CSV: a header and plain rows, UTF-8; text is quoted, numbers are not; no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from maskstat.files.mask_tables.columns import FIXED, LONG, Block, blocks, column_names, fixed
from maskstat.files.spreadsheets import guarded
from maskstat.naming import printable
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import TallyTable

_CELLS = 1 << 19  # that are numbers of Python at once
_MOST = 8192


def write(
    tables: Iterable[TallyTable],
    catalog: ClassCatalog,
    file: BinaryIO,
    layout: str,
    metadata: Mapping[str, object],
    *,
    voxels: bool,
) -> None:
    """Write the table; to a terminal, names have their control characters escaped."""
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=True)
    try:
        # Python quotes a lone carriage return in a name only where all text is quoted.
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        shown = printable if file.isatty() else str
        if layout == "wide":
            headings = [guarded(shown(name)) for name in column_names(catalog)]
            writer.writerow([*fixed(voxels=voxels), *headings])
            most = max(1, min(_MOST, _CELLS // (len(FIXED) + len(catalog))))
            for block in blocks(tables, catalog, most):
                names = [guarded(shown(name)) for name in block.names]
                columns = [*block.sizes.tolist(), *block.dense(len(catalog)).tolist()]
                if voxels:
                    columns.insert(2, block.voxels)
                writer.writerows(zip(names, *columns, strict=True))
        else:
            writer.writerow(LONG)
            classes = [guarded(shown(name)) for name in catalog.names]
            for block in blocks(tables, catalog, _MOST):
                names = [guarded(shown(name)) for name in block.names]
                writer.writerows(_long_rows(block, names, classes))
    finally:
        text.detach()  # the file is its owner's to close


def _long_rows(
    block: Block, names: Sequence[str], classes: Sequence[str]
) -> Iterable[tuple[str, int, str, int]]:
    numbers = zip(block.rows.tolist(), block.classes.tolist(), block.pixels.tolist(), strict=True)
    return ((names[row], k, classes[k], pixels) for row, k, pixels in numbers)
