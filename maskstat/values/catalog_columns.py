"""Which column of a table of classes holds what: by its header, or by what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maskstat.errors import CatalogError
from maskstat.naming import printable
from maskstat.showing import one_line
from maskstat.values.catalog_fields import parse_colour

WHOLE = re.compile(r"[-+]?[0-9]{1,19}")
_TRIPLE = re.compile(r"[(\[]?\s*([0-9]{1,3})[\s,]+([0-9]{1,3})[\s,]+([0-9]{1,3})\s*[)\]]?")
HEX = re.compile(r"#[0-9a-fA-F]{6}")
# What no name is where no header says which column the names are in: it holds columns itself, is
# or begins with a number, begins or ends with what parts columns.
_IMPLAUSIBLE = re.compile(
    r".*(\t| {2}|[,;|:=]\s*[-+.#]?\d)|[-+]?\d+(?![^\s:;=|,])|[-+.]?\d+\.\d*$"
    r"|[-.:;,=|)]|.*[,;|:=]$|$"
)

# Headers, reduced to small letters and digits; those first in a row win.
NAMES = (
    *("name", "classname", "labelname", "categoryname", "rawcategory", "title"),
    *("class", "label", "category", "readable"),
)
_VALUES = (
    *("pixelvalue", "value", "maskvalue", "greyvalue", "grayvalue", "id", "classid", "labelid"),
    *("categoryid", "index", "idx", "classindex", "labelindex", "class", "label", "category"),
)
_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))
_COLOURS = ("color", "colour", "rgb", "hex", "colorrgb", "colourrgb", "hexcolor", "hexcolour")

HEADERS = {*NAMES, *_VALUES, *_COLOURS, *(c for channels in _CHANNELS for c in channels)}

# Columns of a table without a header: i is a whole number, c a colour, t a text.
_SIGNATURES = {
    "it": (0, 1, ()),
    "ti": (1, 0, ()),
    "tc": (None, 0, (1,)),
    "ct": (None, 1, (0,)),
    "itc": (0, 1, (2,)),
    "ict": (0, 2, (1,)),
    "tic": (1, 0, (2,)),
    "tci": (2, 0, (1,)),
    "cit": (1, 2, (0,)),
    "cti": (2, 1, (0,)),
    "tiii": (None, 0, (1, 2, 3)),
    "iiit": (None, 3, (0, 1, 2)),
    "itiii": (0, 1, (2, 3, 4)),
}


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line and its fields."""

    number: int
    fields: list[str]

    __repr__ = one_line


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which column holds what; `colours` is one column, three, or none."""

    value: int | None
    name: int
    colours: tuple[int, ...]

    __repr__ = one_line


def reduced(header: str) -> str:
    """A header without what spellings differ in."""
    return re.sub(r"[^a-z0-9]+", "", header.lower())


def is_header(line: str) -> bool:
    """Whether a line is what a column of names is called."""
    return reduced(line) in {*NAMES, "names", "classes", "labels"}


def columns_of_header(rows: Sequence[TableRow]) -> TableColumns | None:
    """What the columns are by the first row, where that is a header with names and more."""
    if not rows or len(rows[0].fields) < 2 or any(map(WHOLE.fullmatch, rows[0].fields)):
        return None
    headers = [reduced(field) for field in rows[0].fields]
    names = [headers.index(n) for n in NAMES if n in headers]
    channels = [tuple(map(headers.index, c)) for c in _CHANNELS if set(c) <= set(headers)]
    channels += [(headers.index(c),) for c in _COLOURS if c in headers]
    if not names or not (channels or set(_VALUES) & set(headers)):
        return None
    name = next((at for at in names if not _is_of_values(rows, at)), names[0])
    values = [headers.index(v) for v in _VALUES if v in headers and headers.index(v) != name]
    values = [at for at in values if at not in names or _is_of_values(rows, at)]
    for at in values[1:]:
        if any(_differ(row, values[0], at) for row in rows[1:]):
            first, second = (printable(rows[0].fields[n])[:40] for n in (values[0], at))
            raise CatalogError(
                f"has two columns of values that differ, {first!r} and {second!r}",
                remedy="leave the one that the masks hold",
            )
    if not values and not channels:
        return None
    return TableColumns(values[0] if values else None, name, channels[0] if channels else ())


def _differ(row: TableRow, first: int, second: int) -> bool:
    return max(first, second) < len(row.fields) and row.fields[first] != row.fields[second]


def _is_of_values(rows: Sequence[TableRow], at: int) -> bool:
    cells = [row.fields[at] for row in rows[1:] if at < len(row.fields)]
    return bool(cells) and all(map(WHOLE.fullmatch, cells))


def columns_of_kinds(rows: Sequence[TableRow], *, commas: bool) -> TableColumns | None:
    """What the columns are by what they hold; `commas` may be in names, since they are quoted."""
    width = len(rows[0].fields) if rows else 0
    if not 2 <= width <= 5 or any(len(row.fields) != width for row in rows):
        return None
    signature = "".join(_kind([row.fields[at] for row in rows], commas) for at in range(width))
    if signature not in _SIGNATURES:
        return None
    columns = TableColumns(*_SIGNATURES[signature])
    bytes_only = len(columns.colours) < 3 or all(
        colour_of(*(row.fields[at] for at in columns.colours)) is not None for row in rows
    )
    return columns if bytes_only else None


def _kind(cells: Iterable[str], commas: bool) -> str:
    cells = list(cells)
    if all(map(WHOLE.fullmatch, cells)):
        return "i"
    if all(colour_of(cell) is not None for cell in cells):
        return "c"
    return "t" if all(is_plausible(cell, commas=commas) for cell in cells) else "?"


def is_plausible(name: str, *, commas: bool) -> bool:
    """Whether a text is a name where no header says so, and holds no column itself."""
    return not _IMPLAUSIBLE.match(name) and (commas or "," not in name)


def colour_of(*cells: str) -> int | None:
    """0xRRGGBB, or None where these are no colour."""
    if len(cells) == 1 and HEX.fullmatch(cells[0]):
        return parse_colour(cells[0])
    found = _TRIPLE.fullmatch(" ".join(cells))
    channels = [int(part) for part in found.groups()] if found else [256]
    return parse_colour(channels) if max(channels) <= 255 else None
