"""The columns of Arrow files: their types, and which buffers of a record batch are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from maskstat.errors import MaskError
from maskstat.sources.tables.flatbuffers import FlatTable, damaged

_MOST_FIELDS = 100_000
_DEEPEST = 64
_V5 = 4
_NAMES = """
    none null int float binary string bool decimal date time timestamp interval
    list struct union fixed_size_binary fixed_size_list map duration
    large_binary large_string large_list run_end_encoded binary_view string_view
    list_view large_list_view
    """.split()  # noqa: SIM905
_BUFFERS = {
    "null": 0,
    "binary": 3,
    "string": 3,
    "struct": 1,
    "fixed_size_list": 1,
    "large_binary": 3,
    "large_string": 3,
    "run_end_encoded": 0,
    "list_view": 3,
    "large_list_view": 3,
}  # all others have 2; views any number besides
_VIEWS = frozenset({"binary_view", "string_view"})
BINARY = frozenset({"binary", "large_binary", "binary_view"})
TEXT = frozenset({"string", "large_string", "string_view"})


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a part of one."""

    name: str
    kind: str
    buffers: int
    children: tuple[Field, ...]

    @property
    def in_words(self) -> str:
        """Its type."""
        if self.kind != "struct":
            return self.kind
        return f"struct<{', '.join(f'{part.name}: {part.in_words}' for part in self.children)}>"

    @property
    def holds_bytes(self) -> bool:
        """Whether it may hold encoded masks."""
        return self.kind in BINARY or (
            self.kind == "struct"
            and any(part.name == "bytes" and part.kind in BINARY for part in self.children)
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a field is in the record batches: its first node and buffers.

    `views` is how many fields with views come before it; each has buffers in addition, and batches
    say how many.
    """

    field: Field
    node: int
    buffer: int
    views: int
    children: tuple[Placed, ...]


def fields_of(schema: FlatTable, version: int) -> list[Field]:
    """The columns of a schema. Raises MaskError where they are not what can be read."""
    if version < _V5 - 1:
        raise MaskError("written by an Arrow from before 2018, whose format is not read here")
    if schema.number(0, "h"):
        raise MaskError("its numbers are big-endian, which is not read here")
    made = count(1)
    return [_field(table, version, made, _DEEPEST) for table in schema.tables(1)]


def _field(table: FlatTable, version: int, made: Iterator[int], depth: int) -> Field:
    if depth == 0 or next(made) > _MOST_FIELDS:
        raise MaskError("its columns are nested too deeply, or too many")
    number = table.number(2, "B")
    if not 0 < number < len(_NAMES):
        raise MaskError(f"a column has the type {number}, which is not known here")
    kind, buffers = _NAMES[number], _BUFFERS.get(_NAMES[number], 2)
    details = table.table(3)
    if details is None:
        raise damaged()
    if kind == "int":
        kind = f"{'' if details.number(1, '?') else 'u'}int{details.number(0, 'i')}"
    elif kind == "union":
        buffers = 1 + details.number(0, "h") + (version < _V5)
    children = tuple(_field(child, version, made, depth - 1) for child in table.tables(5))
    name = table.text(0)
    if table.table(4) is not None:  # the values are elsewhere, and here are their numbers
        return Field(name, f"dictionary<{kind}>", 2, ())
    return Field(name, kind, buffers, children)


def placed(fields: list[Field]) -> list[Placed]:
    """The columns with their places, in order."""
    node, buffer, views = count(), 0, 0

    def place(field: Field) -> Placed:
        nonlocal buffer, views
        own = (next(node), buffer, views)
        buffer += field.buffers
        views += field.kind in _VIEWS
        return Placed(field, *own, tuple(map(place, field.children)))

    return list(map(place, fields))
