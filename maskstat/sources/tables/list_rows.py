"""The rows of a list of masks, however its text has them: CSV, words in lines, or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from maskstat.naming import storable
from maskstat.sources.split_names import split_word
from maskstat.sources.tables.mask_columns import LOOKED_AT

if TYPE_CHECKING:
    from _csv import Reader

NO_TEXT = "\udc00"  # for a zero byte, which `csv` takes in some versions; in no decoded text
WORDS = " "  # the sign between words, of which any number is one
_SIGNS = ("\t", ",", ";", WORDS)
_IN_SPLITS = "split"  # the column of which list of a JSON file a row is in

Cells = list[str] | str
"""A row's, or what is wrong with it."""


@dataclass
class ListRows:
    """A list's rows.

    Attributes:
        columns: their names; "1", "2", ... where the list names none.
        first: what the first rows hold, to be looked at.
        rows: all of them, those of `first` among them, each with where it is.
        is_named: whether the list names its columns.
    """

    columns: list[str]
    first: list[list[str]]
    rows: Iterator[tuple[str, Cells]]
    is_named: bool = True

    @classmethod
    def of(
        cls, columns: Sequence[str], rows: Iterator[tuple[str, Cells]], *, is_named: bool = True
    ) -> ListRows:
        """Look at the first ones."""
        some = list(islice(rows, LOOKED_AT))
        first = [cells for _, cells in some if isinstance(cells, list)]
        return cls([*columns], first, chain(some, rows), is_named)


def sign_of(lines: Iterable[str], is_path: Callable[[str], bool]) -> str | None:
    """What stands between the cells of a text list: a tab, a comma, words; None: each is a path.

    Args:
        is_path: whether a text is the path of an image, as far as its name says.
    """
    first = list(islice(_lines(lines), LOOKED_AT))
    for sign in _SIGNS:
        rows = [_split(line, sign) for line in first]
        if not rows or len(rows[0]) < 2 or {len(row) for row in rows} != {len(rows[0])}:
            continue
        below = rows if any(map(is_path, rows[0])) or len(rows) == 1 else rows[1:]
        paths = sum(all(map(is_path, column)) for column in zip(*below, strict=True))
        if paths > (sign == WORDS):  # one word of several may be the end of a name with blanks
            return sign
    return None


def text_rows(
    lines: Iterable[str],
    sign: str | None,
    is_path: Callable[[str], bool],
    delimiter: str | None = None,
) -> ListRows:
    """The rows of a CSV, or with `sign` of a text list, whose comments are left out.

    Columns are named by the first line, unless a path is in it. Raises csv.Error where that is no
    row.
    """
    lines = (line.replace("\0", NO_TEXT) for line in lines)
    rows: Iterator[tuple[str, Cells]]
    if sign is not None:
        found = (_split(line, sign) for line in _lines(lines))
        header = next(found, [])
        rows = ((f"row {n}", _as_long(cells, len(header))) for n, cells in enumerate(found, 2))
    else:
        line = next(lines, "")
        reader = csv.reader(
            chain([line], lines), delimiter=delimiter or max(",;\t", key=line.count)
        )
        header = next(reader, [])
        rows = _cells_of(reader)
    cells = [cell.strip() for cell in header]
    if not any(map(is_path, cells)):
        return ListRows.of(cells, rows)
    place = "row 1" if sign is not None else "line 1"
    names = [str(number) for number in range(1, len(cells) + 1)]
    return ListRows.of(names, chain([(place, cells)], rows), is_named=False)


def json_lines(lines: Iterable[str]) -> ListRows:
    """The rows of a JSONL, an object a line; columns are the keys of the first ones."""
    loaded = (
        (f"line {number}", _loaded(line)) for number, line in enumerate(lines, 1) if line.strip()
    )
    return _of_objects(loaded)


def json_rows(document: object) -> ListRows | None:
    """The rows of a JSON list of objects or paths, or of several by split; None where it is none.

    Of several (MSD, MONAI) those count that are called like a split or are the only ones; paths
    beside objects are images without masks.
    """
    lists: Mapping[str, object] = document if isinstance(document, dict) else {"": document}
    found = {key: rows for key, rows in lists.items() if isinstance(rows, list) and _is_list(rows)}
    splits = {key: rows for key, rows in found.items() if split_word(key)}
    if not splits and len(found) != 1:
        return None
    objects: list[tuple[str, object]] = []
    has_objects = any(isinstance(row, dict) for rows in (splits or found).values() for row in rows)
    for key, rows in (splits or found).items():
        for number, row in enumerate(rows, 1):
            place = f"{key or 'row'} {number}"
            own = {"image" if has_objects else "path": row} if isinstance(row, str) else row
            objects.append((place, {_IN_SPLITS: key, **own} if splits else own))
    return _of_objects(iter(objects))


def _is_list(rows: list[object]) -> bool:
    return bool(rows) and all(isinstance(row, (dict, str)) for row in rows)


def _of_objects(objects: Iterator[tuple[str, object]]) -> ListRows:
    first = list(islice(objects, LOOKED_AT))
    keys = dict.fromkeys(key for _, row in first if isinstance(row, dict) for key in row)

    def cells(row: object) -> Cells:
        if not isinstance(row, dict):
            return row if isinstance(row, str) else "it is no object"
        return [_text(row.get(key)) for key in keys]

    return ListRows.of([*keys], ((place, cells(row)) for place, row in chain(first, objects)))


def _loaded(line: str) -> object:
    """The object, or what is wrong."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "it is no JSON"
    return found if isinstance(found, dict) else None


def _text(value: object) -> str:
    """A cell: a text, or the only one of a list; the path of Hugging Face's images."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("path")
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, list):
        return f"{len(value)} values"
    return "" if value is None else json.dumps(value)[:100]


def storable_text(text: str) -> str:
    """A text of JSON as one of a file: half a pair of UTF-16 is in no name, nor is a zero."""
    return storable(text).replace("\0", NO_TEXT)


def _lines(lines: Iterable[str]) -> Iterator[str]:
    """Those that are no comments."""
    for line in lines:
        text = line.strip(" \r\n")  # a tab at the end may be an empty cell
        if text.strip() and not text.startswith("#"):
            yield text


def _split(line: str, sign: str) -> list[str]:
    return line.split() if sign == WORDS else [cell.strip() for cell in line.split(sign)]


def _as_long(cells: list[str], length: int) -> Cells:
    """The cells, where there are as many: a name with a blank in it would move all others."""
    return cells if len(cells) == length else f"{len(cells)} cells, and the first row has {length}"


def _cells_of(rows: Reader) -> Iterator[tuple[str, Cells]]:
    """Every row behind the header that has any cell, and what is no row."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:  # the next row begins on the next line
            yield f"line {rows.line_num}", str(error)
            continue
        if row:
            yield f"line {rows.line_num}", row
