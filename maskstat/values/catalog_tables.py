"""Tables of classes in lines of text: columns of names, of values, of colours.

    7,road    7;road    7<TAB>road    7 road    7: road    road: 7     a value and a name
    road,128,64,128     128 64 128<TAB>road     128 64 128 road        a name and a colour
    7 road 128 64 128   7,road,#804080                                 all three
    Pixel Value, Class          a header names the columns, and there may be others: Roboflow's
    name,r,g,b                  `_classes.csv`, `class_dict.csv`, ScanNet's TSV
    id<TAB>raw_category<TAB>...

Classes are in the order of their values, negative ones last; without values the place is the
value. Where values are given, colours that two classes share show these classes and match nothing.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from maskstat.errors import CatalogError
from maskstat.naming import printable
from maskstat.values.catalog import MAX_CLASSES, ClassCatalog, ClassInfo
from maskstat.values.catalog_columns import (
    HEADERS,
    HEX,
    NAMES,
    WHOLE,
    TableColumns,
    TableRow,
    colour_of,
    columns_of_header,
    columns_of_kinds,
    is_plausible,
    reduced,
)
from maskstat.values.catalog_fields import place_of, whole_number

_VALUE_FIRST = re.compile(r"([-+]?[0-9]+)\s*[:=]\s*")
_VALUE_LAST = re.compile(r"[:=]\s*([-+]?[0-9]+)$")
Line = tuple[int, str]


class _Entry(NamedTuple):
    value: int | None
    name: str
    colour: int | None


def table_of(lines: Sequence[Line], *, name: str) -> ClassCatalog | None:
    """The catalogue of a table without blank lines, or None where no table fits.

    Raises CatalogError where a header says what the columns are and the rest denies it.
    """
    for delimiter in "\t,;":
        rows = [TableRow(number, _delimited(line, delimiter)) for number, line in lines]
        if (columns := columns_of_header(rows)) is not None:
            return _catalog(_entries(_of_length(rows), columns), name=name)
        if (columns := columns_of_kinds(rows, commas=delimiter == ",")) is not None:
            return _catalog(_entries(rows, columns), name=name)
    if (columns := columns_of_header(rows := _spaced_below_header(lines))) is not None:
        return _catalog(_entries(rows[1:], columns), name=name)
    for fields_of in (_spaced, _value_first, _value_last):
        rows = [TableRow(number, fields_of(line)) for number, line in lines]
        if (columns := columns_of_kinds(rows, commas=False)) is not None:
            return _catalog(_entries(rows, columns), name=name)
    return None


def _delimited(line: str, delimiter: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        return []
    return [field.strip() for field in fields]


def _spaced(line: str) -> list[str]:
    """Numbers and colours in front of a name, the name, and colours behind it.

    Numbers behind it that are not three belong to the name: "class 1".
    """
    words = line.split()
    texts = [at for at, word in enumerate(words) if not _is_number_or_colour(word)]
    if not texts:
        return []
    first, behind = texts[0], words[texts[-1] + 1 :]
    is_colour = len(behind) >= 3 or any(map(HEX.fullmatch, behind))
    behind = behind if is_colour else []
    rest = line.split(None, first)[-1] if first else line
    name = rest.rsplit(None, len(behind))[0] if behind else rest
    return [*words[:first], name, *behind]


def _is_number_or_colour(word: str) -> bool:
    return WHOLE.fullmatch(word) is not None or HEX.fullmatch(word) is not None


def _value_first(line: str) -> list[str]:
    found = _VALUE_FIRST.match(line)
    return [found[1], line[found.end() :]] if found else []


def _value_last(line: str) -> list[str]:
    found = _VALUE_LAST.search(line)
    return [line[: found.start()].rstrip(), found[1]] if found else []


def _spaced_below_header(lines: Sequence[Line]) -> list[TableRow]:
    """Lines whose first names columns in single words: names take the words that are over."""
    header = lines[0][1].split()
    words = [reduced(word) for word in header]
    at = min((words.index(n) for n in NAMES if n in words), default=None)
    if at is None or not HEADERS.issuperset(words):
        return []
    behind = len(header) - at - 1
    rows = [TableRow(lines[0][0], header)]
    for number, line in lines[1:]:
        fields = line.split()
        if len(fields) < len(header):
            return []
        name = line.split(None, at)[-1] if at else line
        name = name.rsplit(None, behind)[0] if behind else name
        if not is_plausible(name, commas=False):
            return []
        rows.append(TableRow(number, [*fields[:at], name, *fields[len(fields) - behind :]]))
    return rows


def _of_length(rows: Sequence[TableRow]) -> Sequence[TableRow]:
    """The rows below the header. Raises CatalogError where one has more or fewer fields."""
    fields = len(rows[0].fields)
    for row in rows[1:]:
        if len(row.fields) != fields:
            raise CatalogError(
                f"line {row.number} has {len(row.fields)} fields, the header has {fields}",
                remedy="a name that holds the delimiter is put in quotes",
            )
    return rows[1:]


def _entries(rows: Sequence[TableRow], columns: TableColumns) -> list[_Entry]:
    if not rows:
        raise CatalogError("has a header and no classes")
    if len(rows) > MAX_CLASSES:
        raise CatalogError(f"{len(rows)} classes: more than {MAX_CLASSES}")
    return [_entry(row, columns) for row in rows]


def _entry(row: TableRow, columns: TableColumns) -> _Entry:
    value, colour, where = None, None, f"line {row.number}"
    if columns.value is not None:
        cell = row.fields[columns.value]
        if not WHOLE.fullmatch(cell):
            raise CatalogError(
                f"{where}: {printable(cell)[:40]!r} is no whole number, as values are"
            )
        value = whole_number(int(cell), where)
    cells = [row.fields[at] for at in columns.colours]
    if any(cells):
        colour = colour_of(*cells)
        if colour is None:
            raise CatalogError(f"{where}: {printable(','.join(cells))[:40]!r} is no colour")
    if not row.fields[columns.name]:
        raise CatalogError(f"{where} has no name")
    return _Entry(value, row.fields[columns.name], colour)


def _catalog(entries: list[_Entry], *, name: str) -> ClassCatalog:
    uses = Counter(entry.colour for entry in entries)
    classes = []
    for place, entry in enumerate(sorted(entries, key=lambda e: place_of(e.value or 0))):
        shared = entry.value is not None and uses[entry.colour] > 1
        colours = () if entry.colour is None or shared else (entry.colour,)
        value = place if entry.value is None else entry.value
        classes.append(ClassInfo(place, entry.name, (value,), colours, entry.colour))
    try:
        return ClassCatalog(tuple(classes), name=name)
    except CatalogError as error:
        twice = "two classes are called" in error.problem
        remedy = "a class of several values is {name: x, values: [1, 2]} in YAML" if twice else None
        raise CatalogError(error.problem, remedy=remedy) from None
