"""JSON: everything in one object, a plain list, or index -> value."""

from __future__ import annotations

import json

from maskstat.files.documents.base import Document, Layout

LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")


def dumps(document: Document, layout: Layout) -> bytes:
    """UTF-8 JSON. NaN and infinity raise ValueError instead of making invalid JSON."""
    return (
        json.dumps(as_object(document, layout), indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    ).encode("utf-8", "backslashreplace")


def loads(data: bytes, values: str) -> Document:
    """Read any of the layouts."""
    return from_object(json.loads(data), values)


def as_object(document: Document, layout: Layout) -> object:
    """The document as plain lists and dicts; YAML holds the same."""
    column = document.columns[document.values]
    if layout == "list":
        return list(column)
    if layout == "dict":
        return dict(enumerate(column))
    return {**document.metadata, **document.columns}


def from_object(content: object, values: str) -> Document:
    """The inverse of `as_object`. Raises ValueError for anything else."""
    if isinstance(content, list):
        return Document({}, {values: content}, values)
    if not isinstance(content, dict):
        raise ValueError("neither a list nor an object")
    if values not in content:
        numbered = sorted((int(index), value) for index, value in content.items())
        if [index for index, _ in numbered] != list(range(len(numbered))):
            raise ValueError("indices with gaps")
        return Document({}, {values: [value for _, value in numbered]}, values)
    columns = {
        key: value
        for key, value in content.items()
        if isinstance(value, list) and key in _COLUMNS | {values}
    }
    metadata = {key: value for key, value in content.items() if key not in columns}
    return Document(metadata, columns, values)


_COLUMNS = {
    "classes",
    "masks",
    "pixels",
    "negatives",
    "shares",
    "relative_standard_error",
    "lower",
    "upper",
    "seen_in_masks",
    "seen_in_groups",
}
