"""YAML: the same objects as JSON."""

from __future__ import annotations

import yaml

from maskstat.export import Document, Layout
from maskstat.export.json import as_object, from_object

LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")


def dumps(document: Document, layout: Layout) -> bytes:
    """UTF-8 YAML; floats are written by repr, so they read back to the same bits."""
    text = yaml.safe_dump(
        as_object(document, layout), sort_keys=False, allow_unicode=True, default_flow_style=None
    )
    return str(text).encode("utf-8", "backslashreplace")


def loads(data: bytes, values: str) -> Document:
    """Read any of the layouts. Raises ValueError where it is not YAML."""
    try:
        return from_object(yaml.safe_load(data), values)
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error
