"""Masks named in a .csv or .tsv with a column of paths, and perhaps one of splits."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from maskstat.errors import Blank, MaskError, SourceError, argument, unreadable
from maskstat.naming import did_you_mean, printable, storable
from maskstat.sources.base import REMOTE_READS, Entry, Selection, Source, SourceKind
from maskstat.sources.listed import Listed, lines_of, listed_entries, name_of, place_of
from maskstat.sources.local.named_files import file_entry
from maskstat.sources.locations import (
    TIMEOUT,
    ends_in,
    is_url,
    location_of,
    shards_name,
    with_options,
)
from maskstat.sources.split_names import split_of
from maskstat.sources.tables.mask_columns import (
    LOOKED_AT,
    Choice,
    Look,
    choose,
    is_called_masks,
    look_at_images,
    look_at_texts,
)
from maskstat.values.groups import no_column

if TYPE_CHECKING:
    from _csv import Reader

MANIFEST_SUFFIXES = (".csv", ".tsv")
# Where no column is called one of masks; images' columns have names of their own.
_FILE_COLUMNS = ("path", "file_path", "filepath", "file", "filename", "file_name")
SPLIT_COLUMNS = ("split", "subset", "fold", "partition", "set", "usage")
_SHORT = "the row is too short: it has no path"
_ZERO = "\udc00"  # for a zero byte, which `csv` takes in some versions; in no text that was decoded


class _Row(NamedTuple):
    """A row: the number of its line, its path, its split where there is such a column.

    `wrong` is what is wrong with it, where something is; `value` is what another column says.
    """

    line: int
    path: str
    split: str | None
    wrong: str | None = None
    value: str = ""


@dataclass
class ManifestSource(Source):
    """A table with one mask a row: relative to the manifest's folder, absolute, or a URL.

    A path that is listed twice counts once. Rows without one are passed over: images that nobody
    has labelled.
    """

    where: str
    selection: Selection
    column: str | None = None
    timeout: float = TIMEOUT
    _split_of: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _choices: dict[tuple[str, ...], Choice] = field(default_factory=dict, init=False, repr=False)

    @property
    def default_name(self) -> str:
        """The manifest's stem."""
        return shards_name(self.where, MANIFEST_SUFFIXES)

    @property
    def location(self) -> str:
        """The absolute path or the URL of the manifest."""
        return with_options(location_of(self.where), column=self.column)

    def __post_init__(self) -> None:
        self.reads = REMOTE_READS if is_url(self.where) or self._starts_with_url() else None

    def _starts_with_url(self) -> bool:
        try:
            return any(is_url(row.path) for row in islice(self._rows(), 1))
        except SourceError:
            return False  # listing it says what is wrong

    def entries(self) -> Iterator[Entry]:
        """One entry a row. Raises SourceError where there is no column of paths."""
        self._begin()
        self._split_of.clear()
        yield from listed_entries(self._chosen(), self.where, self.timeout)

    def split_of(self, entry: Entry) -> str | None:
        """What the split column says; where there is none, what the path says."""
        return self._split_of.get(entry.name) or super().split_of(entry)

    def column_values(self, heading: str, names: Collection[str]) -> dict[str, str]:
        """What a column says of masks: in the first row of each, which is the one that counts."""
        found: dict[str, str] = {}
        texts: dict[str, str] = {}  # many masks share few
        for row in self._rows(heading):
            if not names:
                break
            name = storable(name_of(row.path)) if row.path and row.wrong is None else ""
            if name in names:
                found.setdefault(name, texts.setdefault(row.value, row.value))
        return {name: value for name, value in found.items() if value}

    def _chosen(self) -> Iterator[Listed]:
        """Rows that the selection takes, each mask once."""
        seen: set[str] = set()
        plain = replace(self.selection, split=None)
        for number, path, split, wrong, _ in self._rows():
            if wrong is None and path == "":
                self._skipped += 1
                continue
            place = "" if wrong else place_of(path, self.where)
            name = f"line {number}" if wrong else name_of(path)
            if name in seen:
                continue
            seen.add(name)
            found = split_of(name) if split is None else split
            wanted = self.selection.split in {None, found}
            if not (wanted and plain.takes_named(name)):
                self._skipped += wanted
                continue
            if split is not None:
                self._split_of[storable(name)] = split
            if found:
                self._splits |= {found}
            yield Listed(name, place, wrong)

    def _rows(self, heading: str | None = None) -> Iterator[_Row]:
        """Every row; one that is none is among them.

        Args:
            heading: of the column that says the rows' `value`.

        Raises:
            SourceError: it can't be read, is no text, or has no column of paths.
            ParameterError: there is no column `heading`.
        """
        where = printable(self.location)
        try:
            with lines_of(self.where, self.timeout, newline="") as text:
                lines = (line.replace("\0", _ZERO) for line in text)
                header = next(lines, "")
                tabs = self.where.partition("?")[0].lower().endswith(".tsv")
                delimiter = "\t" if tabs else max(",;\t", key=header.count)
                rows = csv.reader(chain([header], lines), delimiter=delimiter)
                columns = [cell.strip() for cell in next(rows, [])]
                split_at = _first(SPLIT_COLUMNS, columns)
                if heading is not None and heading not in columns:
                    raise no_column(heading, columns, self.location)
                value_at = len(columns) if heading is None else columns.index(heading)
                filled = _cells_of(rows)
                first = list(islice(filled, LOOKED_AT))
                path_at = self._path_at(columns, [row for _, row in first if isinstance(row, list)])
                for number, row in chain(first, filled):
                    if not isinstance(row, list):
                        yield _Row(number, "", None, f"no row of a table: {row}")
                        continue
                    split = None
                    if split_at is not None:
                        split = row[split_at].strip() if split_at < len(row) else ""
                    wrong = None
                    if path_at >= len(row):
                        wrong = _SHORT
                    elif _ZERO in row[path_at]:
                        wrong = "no row of a table: a zero byte"
                    path = "" if wrong else row[path_at].strip()
                    value = row[value_at].strip() if value_at < len(row) else ""
                    yield _Row(number, path, split, wrong, storable(value))
        except csv.Error as error:
            raise SourceError(f"line 1 is no row of a table: {error}", where=where) from error
        except MaskError as error:
            raise SourceError(error.problem, where=where, remedy=error.remedy) from error
        except OSError as error:
            raise SourceError(unreadable(error), where=where) from error

    def _path_at(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
        """Which column holds the paths, of which these are the first rows. Raises SourceError."""
        if self.column is not None:
            if self.column in columns:
                at = columns.index(self.column)
                cells = [row[at].strip() for row in rows if at < len(row)]
                if look_at_texts(cells, self._exists) == "run lengths":
                    raise self._of_runs(self.column)
                return at
            problem = f"has no column {printable(self.column)!r}"
            hint = did_you_mean(self.column, columns)
        else:
            choice = self._choice(columns, rows)
            if choice.column is not None:
                return columns.index(choice.column)
            runs = [name for name, look in choice.seen.items() if look == "run lengths"]
            if runs and len(choice.seen) == len(runs):
                raise self._of_runs(runs[0])
            hint = ""
            problem = "it is not clear which column holds the paths of masks" + choice.in_words()
        listed = ", ".join(printable(storable(column)) or "''" for column in columns[:20])
        raise SourceError(
            problem,
            where=printable(self.location),
            remedy=f"{hint}its first line has the columns {listed or 'none'}:"
            f" {argument('column', Blank('NAME'))}",
        )

    def _of_runs(self, column: str) -> SourceError:
        return SourceError(
            f"column {printable(storable(column))!r} holds run lengths (Kaggle's EncodedPixels),"
            " not paths of masks",
            where=printable(self.location),
            remedy="write them as masks first, or as annotations of COCO's format",
        )

    def _choice(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Choice:
        """The column that holds masks by its name, or by its first rows; decided once a header."""
        key = tuple(columns)
        if key not in self._choices:
            cells = {
                name: [row[at].strip() for row in rows if at < len(row)]
                for at, name in enumerate(columns)
            }
            texts = {name: look_at_texts(cells[name], self._exists) for name in columns}
            able = [name for name in columns if texts[name] == "unknown"]
            called = [name for name in able if is_called_masks(name)]
            files = [name for name in able if name.lower().replace(" ", "_") in _FILE_COLUMNS]
            choice = choose(called or files, lambda name: self._look(cells[name]))
            no_paths = [
                name
                for name in columns
                if texts[name] == "run lengths" or (name not in able and is_called_masks(name))
            ]
            seen = {**{name: texts[name] for name in no_paths}, **choice.seen}
            self._choices[key] = Choice(choice.column, seen)
        return self._choices[key]

    def _exists(self, path: str) -> bool:
        return is_url(path) or (_ZERO not in path and os.path.exists(place_of(path, self.where)))

    def _look(self, cells: Sequence[str]) -> Look:
        """What the files of a column are: those of this machine are opened, a few."""
        places = [place_of(cell, self.where) for cell in cells if cell and _ZERO not in cell]
        if not places or any(map(is_url, places)):
            return "unknown"
        files = [place for place in places if os.path.isfile(place)]
        if not files:
            return "unknown" if any(map(os.path.exists, places)) else "no files"
        try:
            return look_at_images(file_entry(place, place).load() for place in files)
        except MaskError:
            return "unknown"


def _cells_of(rows: Reader) -> Iterator[tuple[int, list[str] | str]]:
    """(line, cells) of every row behind the header that has any, or what is wrong with it."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:  # the next row begins on the next line
            yield rows.line_num, str(error)
            continue
        if row:
            yield rows.line_num, row


def _first(known: Iterable[str], columns: Sequence[str]) -> int | None:
    """Which column has the first of the known names that any has."""
    names = [column.lower().replace(" ", "_") for column in columns]
    return next((names.index(name) for name in known if name in names), None)


KIND = SourceKind(
    takes=lambda given: given.ends_in(MANIFEST_SUFFIXES) and given.is_one,
    open=lambda given, selection: ManifestSource(
        given.text, selection, given.column, given.timeout
    ),
    has_columns=True,
    names_are_paths=lambda where: ends_in(where, MANIFEST_SUFFIXES),
)
