"""Text: one number a line, as numpy.loadtxt reads it; metadata in comment lines."""

from __future__ import annotations

import json

from maskstat.files.documents.base import Document, Layout

LAYOUTS: tuple[Layout, ...] = ("full", "list")
_MARK = "# "


def dumps(document: Document, layout: Layout) -> bytes:
    """UTF-8 text; "full" starts with one comment line of JSON: metadata and the other columns."""
    lines = [repr(value) for value in document.columns[document.values]]
    if layout == "full":
        others = {k: list(v) for k, v in document.columns.items() if k != document.values}
        head = {**document.metadata, "columns": others}
        lines.insert(0, _MARK + json.dumps(head, allow_nan=False))
    return ("\n".join(lines) + "\n").encode("utf-8")


def loads(data: bytes, values: str) -> Document:
    """Read either layout. Raises ValueError where a line is no number."""
    lines = data.decode("utf-8-sig").splitlines()
    metadata: dict[str, object] = {}
    columns: dict[str, list[object]] = {}
    if lines and lines[0].startswith(_MARK + "{"):
        metadata = json.loads(lines[0][len(_MARK) :])
        others = metadata.pop("columns", {})
        columns = dict(others) if isinstance(others, dict) else {}
    numbers = [float(line) for line in lines if line.strip() and not line.startswith("#")]
    return Document(metadata, {**columns, values: list(numbers)}, values)
