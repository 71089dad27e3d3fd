"""CSV: one row a class. The full layout has its metadata in a first comment line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from maskstat.files.documents.base import Document, Layout
from maskstat.files.spreadsheets import guarded, guarded_json, unguarded

LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")
_MARK = "# "
_SINGULAR = {"classes": "name", "masks": "mask", "weights": "weight", "shares": "share"}


def dumps(document: Document, layout: Layout) -> bytes:
    """UTF-8 CSV: "list" is the values alone, "dict" index and value, "full" every column.

    No cell is a formula; an apostrophe in front of a name is no part of it.

    Read the full layout with `pandas.read_csv(path, comment="#")`.
    """
    text = io.StringIO(newline="")
    # Python quotes a lone carriage return in a name only where all text is quoted.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    value = _SINGULAR.get(document.values, document.values)
    column = document.columns[document.values]
    if layout == "full":
        metadata = json.dumps(document.metadata, allow_nan=False)
        text.write(_MARK + guarded_json(metadata) + "\n")
        writer.writerow(["index", *(_SINGULAR.get(name, name) for name in document.columns)])
        rows = zip(*map(_cells, document.columns.values()), strict=True)
        writer.writerows([index, *row] for index, row in enumerate(rows))
    elif layout == "dict":
        writer.writerow(["index", value])
        writer.writerows(enumerate(column))
    else:
        writer.writerow([value])
        writer.writerows([item] for item in column)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cells(column: Sequence[object]) -> list[object]:
    return [guarded(cell) if isinstance(cell, str) else cell for cell in column]


def loads(data: bytes, values: str) -> Document:
    """Read any of the layouts. Raises ValueError or KeyError where it is none."""
    text = data.decode("utf-8-sig")
    metadata: dict[str, object] = {}
    if text.startswith(_MARK):
        first, _, text = text.partition("\n")
        metadata = json.loads(first[len(_MARK) :])
    if not isinstance(metadata, dict):
        raise ValueError("metadata that is no object")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if any(None in row for row in rows):
        raise ValueError("a row longer than the header")
    if rows and "index" in rows[0]:
        # A spreadsheet may have sorted the rows; the index says which class is which.
        rows.sort(key=lambda row: int(row["index"]))
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise ValueError("indices with gaps")
    plural = {singular: name for name, singular in _SINGULAR.items()}
    header = list(rows[0]) if rows else []
    columns: dict[str, list[object]] = {
        plural.get(name, name): [unguarded(row[name]) for row in rows]
        for name in header
        if name != "index"
    }
    return Document(metadata, {**columns, values: [float(v) for v in columns[values]]}, values)  # type: ignore[arg-type]
