"""Tables of counts that people already have: from files and from values in memory.

Read are a name and a number a class (CSV, TSV, JSON, YAML; a header is optional), columns or
records with the headings of `_HEADINGS` (MATLAB's countEachLabel among them), and what this
project writes itself: weight files with names, and the document of `maskstat show --json`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskstat.errors import FileFormatError, ParameterError, unreadable
from maskstat.files.documents.formats import no_format
from maskstat.files.spreadsheets import unguarded
from maskstat.naming import printable
from maskstat.parameters import parse_number
from maskstat.regular_files import read_file
from maskstat.values.given import Given

MAX_FILE_BYTES = 64 << 20
SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".yaml", ".yml")

Key = str | int
"""A class's name, or a raw value of masks."""

_HEADINGS = {
    "name": {"", "name", "class", "classes", "classname", "label", "labels", "category"},
    "counts": {"pixels", "pixelcount", "pixelcounts", "count", "counts", "n"},
    "shares": {"share", "shares", "frequency", "frequencies", "fraction"},
    "percent": {"percent", "percentage", "percentages", "%"},
    "masks": {"masks", "maskcount", "images", "imagecount"},
    "image_pixels": {"imagepixels", "imagepixelcount"},
}
_UNITS: tuple[Given, ...] = ("counts", "shares", "percent")


@dataclass(frozen=True, slots=True)
class GivenTable:
    """What a table of counts holds, as it was written.

    Attributes:
        numbers: of each class, counts or shares.
        keys: names of the classes, or raw values; None where numbers came without.
        unit: what the numbers are, where the table says it.
        columns: "masks" and "image_pixels", where the table has them.
        document: the document of a scan, where the table is one.
    """

    numbers: Sequence[object]
    keys: Sequence[Key] | None = None
    unit: Given | None = None
    columns: Mapping[str, Sequence[object]] = field(default_factory=dict)
    document: Mapping[str, object] | None = None


def read_count_table(path: Path) -> GivenTable:
    """A table from a file; its suffix decides the format.

    Raises:
        FileFormatError: it can't be read, has another suffix, or holds no table of counts.
    """
    where = printable(str(path))
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise no_format(path, FileFormatError, of="table of counts", known=SUFFIXES)
    try:
        data = read_file(path, MAX_FILE_BYTES)
        if data is None:
            raise FileFormatError(f"larger than {MAX_FILE_BYTES >> 20} MiB: no table of counts")
        text = data.decode("utf-8-sig")
        if suffix == ".json":
            return table_of(json.loads(text, object_pairs_hook=_object))
        if suffix in {".yaml", ".yml"}:
            return table_of(_yaml(text))
        return _delimited(text)
    except OSError as error:
        raise FileFormatError(unreadable(error), where=where) from error
    except UnicodeDecodeError as error:
        raise FileFormatError("not UTF-8 text", where=where) from error
    except (ParameterError, FileFormatError) as error:
        raise FileFormatError(error.problem, where=where, remedy=error.remedy) from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise FileFormatError(f"not a readable {suffix} file", where=where) from error


def table_of(content: object) -> GivenTable:
    """A table from what is in memory: a mapping, a sequence, an array, records, a pandas table.

    Raises:
        ParameterError: it is none, its headings say nothing, or a class is in it twice.
    """
    pandas = sys.modules.get("pandas")  # whoever has its tables has imported it
    if pandas is not None and isinstance(content, pandas.DataFrame):
        columns = {str(name): list(content[name]) for name in content.columns}
        if not isinstance(content.index, pandas.RangeIndex) and not _find(columns, "name"):
            columns = {"name": [str(name) for name in content.index], **columns}
        return _of_columns(columns)
    if pandas is not None and isinstance(content, pandas.Series):
        if isinstance(content.index, pandas.RangeIndex):
            return GivenTable(list(content))
        return _of_pairs(zip(content.index, content, strict=True))
    if isinstance(content, Mapping):
        return _of_mapping(content)
    if isinstance(content, np.ndarray):
        if content.ndim != 1:
            raise ParameterError(
                f"an array of shape {content.shape} is no list of counts",
                parameter="counts",
                remedy="give one number a class",
            )
        return GivenTable(list(content))
    if hasattr(content, "tolist") and not isinstance(content, (list, tuple)):
        return table_of(np.asarray(content.tolist()))
    if isinstance(content, (str, bytes, set, frozenset)) or not isinstance(content, Iterable):
        raise ParameterError(
            f"a {type(content).__name__} is no table of counts",
            parameter="counts",
            remedy="give a mapping of names to numbers, or one number a class in order",
        )
    items = list(content)
    if items and all(isinstance(item, Mapping) for item in items):
        return _of_records(items)
    if items and all(isinstance(i, (tuple, list)) and len(i) == 2 for i in items):
        return _of_pairs(items)
    return GivenTable(items)


def _of_mapping(content: Mapping[object, object]) -> GivenTable:
    classes = content.get("classes")
    if isinstance(classes, Sequence) and not isinstance(classes, str):
        if classes and all(isinstance(row, Mapping) for row in classes):
            return _of_document(content, classes)
        # A weight file: what is not a value a class says where they come from.
        content = {
            key: value
            for key, value in content.items()
            if isinstance(value, list) and len(value) == len(classes)
        }
    many = [
        isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
        for value in content.values()
    ]
    if many and all(many):
        return _of_columns({str(key): list(value) for key, value in content.items()})  # type: ignore[call-overload]
    return _of_pairs(content.items())


def _of_document(
    document: Mapping[object, object], rows: Sequence[Mapping[str, object]]
) -> GivenTable:
    """What `scan_document` made, or any object that lists its classes like that."""
    table = _of_records(rows)
    scan = {str(key): value for key, value in document.items()}
    return GivenTable(table.numbers, table.keys, table.unit, table.columns, scan)


def _of_pairs(pairs: Iterable[Iterable[object]]) -> GivenTable:
    keys: list[Key] = []
    numbers: list[object] = []
    for key, number in pairs:
        if isinstance(key, np.integer):
            key = int(key)
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise ParameterError(
                f"{printable(repr(key))[:60]} is neither a name nor a value of masks",
                parameter="counts",
            )
        if isinstance(number, (Mapping, Sequence, np.ndarray)) and not isinstance(number, str):
            raise ParameterError(
                f"{printable(str(key))[:60]} has a {type(number).__name__} for a number",
                parameter="counts",
            )
        keys.append(key)
        numbers.append(number)
    _refuse_twice(keys)
    if len(set(map(type, keys))) > 1:
        raise ParameterError("the keys are both names and values of masks", parameter="counts")
    if all(isinstance(key, str) and re.fullmatch(r"[0-9]{1,18}", key) for key in keys):
        keys = [int(key) for key in keys]  # JSON has no other way to say them
    return GivenTable(numbers, keys)


def _of_records(rows: Sequence[Mapping[str, object]]) -> GivenTable:
    headings = {str(heading): None for row in rows for heading in row}
    return _of_columns({name: [row.get(name) for row in rows] for name in headings})


def _of_columns(columns: Mapping[str, Sequence[object]]) -> GivenTable:
    """A table from columns by their headings; those with other headings are left out."""
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ParameterError("columns are not equally long", parameter="counts")
    if any(_plain(name) == "negatives" for name in columns):
        raise ParameterError(
            "are of labels, with negatives: a pixel has any number of labels, and what is made of"
            " given counts is of classes, one a pixel",
            parameter="counts",
        )
    names = _find(columns, "name")
    found = [(unit, heading) for unit in _UNITS if (heading := _find(columns, unit)) is not None]
    found = [(unit, heading) for unit, heading in found if _filled(columns[heading])]
    unit, heading = found[0] if found else (None, "")
    if unit is None:
        others = [
            name
            for name in columns
            if name != names and _plain(name) not in {"index", "weight", "weights"}
        ]
        if len(others) != 1:
            raise ParameterError(
                f"has no column of counts among {_listed(columns)}",
                parameter="counts",
                remedy="call one 'pixels', or 'share' or 'percent'",
            )
        heading = others[0]
    keys = None if names is None else [str(name) for name in columns[names]]
    if keys is not None:
        _refuse_twice(keys)
    more = {}
    for kind in ("masks", "image_pixels"):
        column = _find(columns, kind)
        if column is not None and _filled(columns[column]):
            more[kind] = columns[column]
    rows = _order(columns)
    return GivenTable(
        [columns[heading][row] for row in rows],
        None if keys is None else [keys[row] for row in rows],
        unit,
        {kind: [column[row] for row in rows] for kind, column in more.items()},
    )


def _order(columns: Mapping[str, Sequence[object]]) -> list[int]:
    """Rows in the order of a column "index", which a spreadsheet may have sorted otherwise."""
    count = max(map(len, columns.values()), default=0)
    rows = list(range(count))
    index = next((columns[name] for name in columns if _plain(name) == "index"), None)
    if index is not None:
        numbers = [parse_number(str(value)) for value in index]
        if sorted(-1.0 if n is None else n for n in numbers) == rows:
            rows.sort(key=lambda row: numbers[row] or 0.0)
    return rows


def _find(columns: Mapping[str, object], kind: str) -> str | None:
    found = [name for name in columns if _plain(name) in _HEADINGS[kind]]
    if len(found) > 1:
        raise ParameterError(f"has two columns of {kind}: {_listed(found)}", parameter="counts")
    return found[0] if found else None


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z0-9%]", "", heading.lower())


def _filled(column: Sequence[object]) -> bool:
    return any(value is not None for value in column)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(printable(name)[:40]) for name in list(names)[:8])


def _refuse_twice(keys: Sequence[Key]) -> None:
    for key, times in Counter(map(str, keys)).items():
        if times > 1:
            raise ParameterError(
                f"class {printable(key)[:60]!r} is in it {times} times", parameter="counts"
            )


def _delimited(text: str) -> GivenTable:
    """Rows of a name and a number, or of numbers alone, with or without a header."""
    own = text.startswith("# {")
    if own:
        text = text.partition("\n")[2]  # what weight files say of themselves
    first = text.lstrip().partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = [[cell.strip() for cell in row] for row in reader if any(map(str.strip, row))]
    if own:
        rows = [list(map(unguarded, row)) for row in rows]
    if not rows:
        raise FileFormatError("is empty")
    header, *others = rows
    width = len(header)
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise FileFormatError(f"row {number} has {len(row)} cells where the first has {width}")
    # Where the first cell is empty, somebody wrote an index without a name (pandas does).
    if not any(map(_is_number, header)) or (width > 1 and not header[0]):
        if not others:
            raise FileFormatError("holds no numbers")
        if len(set(header)) < width:
            raise FileFormatError("has two columns of one heading")
        return _of_columns({name: [row[at] for row in others] for at, name in enumerate(header)})
    if width == 1 or (len(rows) == 1 and all(map(_is_number, header))):
        return GivenTable([cell for row in rows for cell in row])
    if width != 2:
        raise FileFormatError(
            f"has {width} columns and no header", remedy="say in a first row what they are"
        )
    return _of_pairs(rows)


def _is_number(cell: str) -> bool:
    return parse_number(cell) is not None or cell.lower() in {"nan", "inf", "-inf"}


def numbers_of(text: str) -> list[str] | None:
    """The numbers of a text like "5587,802,11"; None where it is another text."""
    cells = [cell.strip() for cell in text.split(",")]
    return cells if len(cells) > 1 and all(map(_is_number, cells)) else None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object in which no key comes twice: the last one would win in silence."""
    _refuse_twice([key for key, _ in pairs])
    return dict(pairs)


def _yaml(text: str) -> object:
    import yaml

    from maskstat.files.documents.yaml import Loader

    class Strict(Loader):
        def construct_mapping(
            self, node: yaml.MappingNode, deep: bool = False
        ) -> dict[object, object]:
            _refuse_twice([str(key.value) for key, _ in node.value])
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader=Strict)
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error
