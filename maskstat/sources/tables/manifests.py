"""Lists of masks with columns: .csv and .tsv, JSON and JSONL, and text lists of several a line."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from maskstat.errors import Blank, MaskError, SourceError, argument, unreadable
from maskstat.naming import did_you_mean, printable, storable
from maskstat.sources.annotations.run_lengths import open_run_lengths
from maskstat.sources.base import (
    REMOTE_READS,
    Entry,
    Selection,
    Source,
    SourceKind,
    no_columns,
    no_size,
)
from maskstat.sources.leads import Lead, lead_of
from maskstat.sources.listed import (
    LIST_SUFFIXES,
    Listed,
    ListSource,
    lines_of,
    listed_entries,
    name_of,
)
from maskstat.sources.local.named_files import file_entry
from maskstat.sources.locations import (
    TIMEOUT,
    Given,
    ends_in,
    is_url,
    location_of,
    options_of,
    shards_name,
    with_options,
)
from maskstat.sources.split_names import split_of
from maskstat.sources.tables.list_rows import NO_TEXT, ListRows, json_lines, sign_of, text_rows
from maskstat.sources.tables.mask_columns import (
    Choice,
    Look,
    choose,
    is_called_masks,
    look_at_images,
    look_at_texts,
)
from maskstat.values.groups import no_column

JSON_LINES = (".jsonl", ".ndjson")
_CSV = (".csv", ".tsv")
MANIFEST_SUFFIXES = (*_CSV, *JSON_LINES)
# Where no column is called one of masks; images' columns have names of their own.
_FILE_COLUMNS = ("path", "file_path", "filepath", "file", "filename", "file_name")
SPLIT_COLUMNS = ("split", "subset", "fold", "partition", "set", "usage")
_SHORT = "the row is too short: it has no path"
_IMAGES = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"))


class _Row(NamedTuple):
    """A row: where it is, its path and place, its split where there is such a column.

    `wrong` is what is wrong with it, where something is; `value` is what another column says.
    """

    row: str
    path: str
    place: str
    split: str | None
    wrong: str | None = None
    value: str = ""


@dataclass
class ManifestSource(Source):
    """A table with one mask a row: relative to the manifest's folder, absolute, or a URL.

    A path that is listed twice counts once. Rows without one are passed over: images that nobody
    has labelled. `sign` stands between the cells of a text list (`list_rows.sign_of`).
    """

    where: str
    selection: Selection
    column: str | None = None
    timeout: float = TIMEOUT
    sign: str | None = None
    _split_of: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _choices: dict[tuple[str, ...], Choice] = field(default_factory=dict, init=False, repr=False)

    @property
    def default_name(self) -> str:
        """The manifest's stem."""
        return shards_name(self.where, (*MANIFEST_SUFFIXES, *LIST_SUFFIXES, ".json"))

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
        lead = Lead(self.where)
        for where, path, place, split, wrong, _ in self._rows():
            if wrong is None and path == "":
                self._skipped += 1
                continue
            name = where if wrong else name_of(path)
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
            self._outside += not wrong and lead.is_outside(path)
            yield Listed(name, place, wrong)

    @contextmanager
    def _table(self) -> Iterator[ListRows]:
        """The rows of the list. Raises MaskError, OSError and csv.Error."""
        with lines_of(self.where, self.timeout, newline="") as lines:
            if ends_in(self.where, JSON_LINES):
                yield json_lines(lines)
            else:
                tabs = "\t" if ends_in(self.where, (".tsv",)) else None
                yield text_rows(lines, self.sign, self._is_path, tabs)

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
            with self._table() as table:
                columns = table.columns
                split_at = _first(SPLIT_COLUMNS, columns)
                if heading is not None and heading not in columns:
                    raise no_column(heading, columns, self.location)
                value_at = len(columns) if heading is None else columns.index(heading)
                path_at = self._path_at(table)
                lead = self._lead(table, path_at)
                for number, row in table.rows:
                    if not isinstance(row, list):
                        yield _Row(number, "", "", None, f"no row of a table: {row}")
                        continue
                    split = None
                    if split_at is not None:
                        split = row[split_at].strip() if split_at < len(row) else ""
                    wrong = None
                    if path_at >= len(row):
                        wrong = _SHORT
                    elif NO_TEXT in row[path_at]:
                        wrong = "no row of a table: a zero byte"
                    text = "" if wrong else row[path_at].strip()
                    path = lead.path(text) if text else ""
                    value = row[value_at].strip() if value_at < len(row) else ""
                    yield _Row(number, path, lead.place(path), split, wrong, storable(value))
        except csv.Error as error:
            raise SourceError(f"line 1 is no row of a table: {error}", where=where) from error
        except MaskError as error:
            raise SourceError(error.problem, where=where, remedy=error.remedy) from error
        except OSError as error:
            raise SourceError(unreadable(error), where=where) from error

    def _lead(self, table: ListRows, at: int) -> Lead:
        """Where the paths of a column lead, by its first cells. Raises SourceError."""
        return lead_of((cell for cell in _column(table, at) if NO_TEXT not in cell), self.where)

    def _is_path(self, cell: str) -> bool:
        return is_path(cell, self.where, self.selection)

    def _path_at(self, table: ListRows) -> int:
        """Which column holds the paths. Raises SourceError."""
        columns = table.columns
        if self.column is not None:
            if self.column in columns:
                at = columns.index(self.column)
                if look_at_texts(_column(table, at), self._exists(table, at)) == "run lengths":
                    raise self._of_runs(self.column)
                return at
            problem = f"has no column {printable(self.column)!r}"
            hint = did_you_mean(self.column, columns)
        else:
            choice = self._choice(table)
            if choice.column is not None:
                return columns.index(choice.column)
            runs = [name for name, look in choice.seen.items() if look == "run lengths"]
            if runs and len(choice.seen) == len(runs):
                raise self._of_runs(runs[0])
            hint = ""
            problem = "it is not clear which column holds the paths of masks" + choice.in_words()
        shown = columns if table.is_named or not table.first else table.first[0]
        listed = ", ".join(printable(storable(column)) or "''" for column in shown[:20])
        has = "its first line has the columns" if table.is_named else "its first row is"
        raise SourceError(
            problem,
            where=printable(self.location),
            remedy=f"{hint}{has} {listed or 'none'}:"
            f" {argument('column', Blank('NAME' if table.is_named else 'NUMBER'))}",
        )

    def _of_runs(self, column: str) -> SourceError:
        return SourceError(
            f"column {printable(storable(column))!r} holds run lengths (Kaggle's EncodedPixels),"
            " not paths of masks",
            where=printable(self.location),
            remedy="write them as masks first, or as annotations of COCO's format",
        )

    def _choice(self, table: ListRows) -> Choice:
        """The column that holds masks by its name, or by its first rows; decided once a header."""
        columns = table.columns
        key = tuple(columns)
        if key not in self._choices:
            texts = {
                name: look_at_texts(_column(table, at), self._exists(table, at))
                for at, name in enumerate(columns)
            }
            able = [name for name in columns if texts[name] == "unknown"]
            called = [name for name in able if is_called_masks(name)]
            files = [name for name in able if name.lower().replace(" ", "_") in _FILE_COLUMNS]
            if not table.is_named:
                files = able
            choice = choose(called or files, lambda name: self._look(table, columns.index(name)))
            if choice.column is None and not table.is_named:
                choice = Choice(_of_words(table, able), choice.seen)
            no_paths = [
                name
                for name in columns
                if texts[name] == "run lengths" or (name not in able and is_called_masks(name))
            ]
            seen = {**{name: texts[name] for name in no_paths}, **choice.seen}
            self._choices[key] = Choice(choice.column, seen)
        return self._choices[key]

    def _exists(self, table: ListRows, at: int) -> Callable[[str], bool]:
        lead = Lead(self.where)

        def exists(path: str) -> bool:
            return is_url(path) or (NO_TEXT not in path and os.path.exists(lead.place(path)))

        return exists

    def _look(self, table: ListRows, at: int) -> Look:
        """What the files of a column are: those of this machine are opened, a few."""
        lead = self._lead(table, at)
        cells = (cell for cell in _column(table, at) if cell and NO_TEXT not in cell)
        places = [lead.place(lead.path(cell)) for cell in cells]
        if not places or any(map(is_url, places)):
            return "unknown"
        files = [place for place in places if os.path.isfile(place)]
        if not files:
            return "unknown" if any(map(os.path.exists, places)) else "no files"
        try:
            return look_at_images(file_entry(place, place).load() for place in files)
        except MaskError:
            return "unknown"


def is_path(cell: str, listed_in: str, selection: Selection) -> bool:
    """Whether a cell of a list is the path of an image, and no name of a column."""
    if is_url(cell) or os.path.splitext(cell)[1].lower() in _IMAGES | selection.suffixes:
        return True
    return NO_TEXT not in cell and "." in cell and Lead(listed_in).finds(cell)


def _column(table: ListRows, at: int) -> list[str]:
    """The first cells of a column."""
    return [row[at].strip() for row in table.first if at < len(row)]


def _of_words(table: ListRows, able: Sequence[str]) -> str | None:
    """The only column whose paths are called like masks' (`SegmentationClass/1.png`), if any."""
    called = [
        name
        for name in able
        if all(
            any(map(is_called_masks, cell.replace("\\", "/").split("/")))
            for cell in _column(table, table.columns.index(name))
        )
    ]
    return called[0] if len(called) == 1 else None


def _first(known: Iterable[str], columns: Sequence[str]) -> int | None:
    """Which column has the first of the known names that any has."""
    names = [column.lower().replace(" ", "_") for column in columns]
    return next((names.index(name) for name in known if name in names), None)


def _open(given: Given, selection: Selection) -> Source:
    sign = None
    if given.ends_in(LIST_SUFFIXES):
        try:
            with lines_of(given.text, given.timeout) as lines:
                sign = sign_of(lines, lambda cell: is_path(cell, given.text, selection))
        except (MaskError, OSError):
            pass  # listing it says what is wrong
        if sign is None:
            if given.column is not None or given.size is not None:
                raise no_columns() if given.size is None else no_size()
            return ListSource(given.text, selection, given.timeout)
    elif given.ends_in(_CSV) and (found := open_run_lengths(given, selection)) is not None:
        return found
    if given.size is not None:
        raise no_size()
    return ManifestSource(given.text, selection, given.column, given.timeout, sign)


def _has_paths(location: str) -> bool:
    where, options = options_of(location)
    return ends_in(where, _SUFFIXES) and "runs" not in options


_SUFFIXES = (*MANIFEST_SUFFIXES, *LIST_SUFFIXES)
KIND = SourceKind(
    takes=lambda given: (
        given.ends_in(_SUFFIXES)
        and given.is_one
        and not (given.is_url and any(sign in given.text for sign in "*["))
    ),
    open=_open,
    has_columns=True,
    has_sizes=True,
    names_are_paths=_has_paths,
)
