"""What a document is, and the layouts that a file may hold it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Layout = Literal["full", "list", "dict"]
LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")


class Document(NamedTuple):
    """What a file holds: metadata, columns of equal length, the name of the value column."""

    metadata: Mapping[str, object]
    columns: Mapping[str, Sequence[object]]
    values: str
