"""Kaggle's run lengths: a table with a row an image, an object or a class, and runs in a column.

"1 3 10 5" is pixels 1 to 3 and 10 to 14, counted from 1 down the columns; in two competitions along
the rows. The table is held in memory, and runs become numbers when their image is drawn.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, SourceError, argument, unreadable
from maskstat.files.image_headers import read_image_header
from maskstat.memory import ask_memory
from maskstat.naming import natural_key, printable, storable
from maskstat.sources.annotations.drawn_classes import Legend
from maskstat.sources.annotations.rasterising import (
    RULE,
    MaskDrawing,
    RasterEntry,
    Region,
    check_size,
    draw,
    encoded_size,
    type_of,
)
from maskstat.sources.annotations.texts import MAX_FILE_BYTES
from maskstat.sources.annotations.yolo import IMAGE_SUFFIXES
from maskstat.sources.base import BrokenEntry, Entry, Selection, Source
from maskstat.sources.leads import Lead
from maskstat.sources.listed import lines_of
from maskstat.sources.local.folders import FolderSource
from maskstat.sources.local.named_files import file_entry
from maskstat.sources.locations import Given, is_url, location_of, shards_name, with_options
from maskstat.sources.tables.mask_columns import look_at_images
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray

_LOOKED_AT = 256  # rows, of which the first may have no runs
_CALLED = re.compile(r"encoded|rle|encoding|runlength|segmentation|annotation|mask|predict")
_RUNS = re.compile(r"[0-9]+(?: +[0-9]+)+ *")
_NONE = frozenset({"", "-1", "nan", "NaN"})  # what stands for no runs
_BOX = 4  # numbers, of which a column of boxes has as many in every row
_SURE = re.compile(r"encod|rle|runlength")
_JOINED_NAME = re.compile(r"(.+?\.(?:jpe?g|png|tiff?|bmp)|.+)_(.+)", re.IGNORECASE)
_JOINED = ("imageidclassid", "imagelabel")
_IMAGES = (
    "imageid",
    "id",
    "image",
    "filename",
    "imagename",
    "img",
    "imgid",
    "imagepath",
    "path",
    "file",
)
_CLASSES = ("classid", "class", "label", "labelid", "category", "categoryid", "celltype")
_HEIGHTS, _WIDTHS = ("height", "imgheight", "imageheight"), ("width", "imgwidth", "imagewidth")
# Columns of competitions whose runs go along the rows: UW-Madison GI, Sartorius.
_ALONG_ROWS = frozenset({("class", "segmentation"), ("celltype", "annotation")})


class RunTable(NamedTuple):
    """Where the columns of such a table are; None for those that it lacks."""

    runs: int
    image: int
    label: int | None
    height: int | None
    width: int | None
    is_joined: bool
    """Whether the class stands behind the image's name: `0002cc93b.jpg_1`."""
    along_rows: bool


class RunRow(NamedTuple):
    """A row: what its class and its runs are as texts, and the size that it says, if any."""

    label: str
    text: str
    size: tuple[str, str] | None


@dataclass(frozen=True)
class RunLengthDrawing(MaskDrawing):
    """The runs of one image, each with its value. Without `size` it is that of `image`."""

    regions: tuple[tuple[int, str], ...]
    size: tuple[int, int] | None
    image: str | None
    along_rows: bool
    background: int
    kind: str

    @property
    def local_files(self) -> tuple[str, ...]:
        """The image, where its size is needed."""
        return (self.image,) if self.size is None and self.image is not None else ()

    def pixels(self) -> NDArray[np.integer]:
        """Draw them. Raises MaskError naming the run that can't be drawn."""
        height, width = self._size()
        ask_memory(4 * height * width * np.dtype(self.kind).itemsize)
        regions = [Region(value, _runs(text, height * width)) for value, text in self.regions]
        if not self.along_rows:
            return draw(regions, (height, width), self.background, self.kind)
        drawn = draw(regions, (width, height), self.background, self.kind)
        return np.asfortranarray(drawn.T)

    def _size(self) -> tuple[int, int]:
        if self.size is not None:
            return check_size(*self.size, self.kind)
        if self.image is None:
            raise MaskError(
                "its size is not known: no image of this name is in the folder of the table or"
                f" below ({argument('size', Blank('HxW'))} says the size of all)"
            )
        try:
            header = read_image_header(self.image)
        except MaskError as error:
            name = printable(storable(os.path.basename(self.image)))
            raise MaskError(f"the size of its image {name} is not to be had: {error}") from error
        return check_size(header.height, header.width, self.kind)


def _runs(text: str, pixels: int) -> IntArray:
    """Runs outside and inside in turns, from "start length start length". Raises MaskError."""
    words = text.split()
    if not _RUNS.fullmatch(" ".join(words)) or len(words) % 2:
        raise MaskError(f"runs that are no pairs of numbers: {printable(storable(text[:40]))!r}")
    if max(map(len, words)) > 18:
        raise MaskError("a run beyond the image")
    numbers = np.array(words, np.int64)
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = starts + lengths
    if starts.min() < 0 or lengths.min() < 1:
        raise MaskError("a run that begins before pixel 1, or has no pixel")
    if ends.max() > pixels:
        raise MaskError(f"a run to pixel {int(ends.max())} of an image of {pixels}")
    if (starts[1:] < ends[:-1]).any():
        raise MaskError(
            "runs that overlap or are in no order: starts that count from the end of the run before"
            " (SIIM) are not read"
        )
    edges = np.stack([starts, ends], axis=1).ravel()
    return np.diff(edges, prepend=0)


@dataclass
class RunLengthSource(Source):
    """The images of a table of run lengths; those that it does not list are none."""

    where: str
    selection: Selection
    timeout: float
    size: tuple[int, int] | None
    column: str
    table: RunTable
    rows: Mapping[str, Sequence[RunRow]] = field(repr=False)
    _numbers: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _legend: Legend | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        labels = {runs.label for own in self.rows.values() for runs in own}
        if all(label.isascii() and label.isdigit() and len(label) < 9 for label in labels):
            self._numbers = {label: int(label) for label in labels}
            return
        ordered = sorted(labels, key=natural_key)
        self._numbers = {label: at for at, label in enumerate(ordered, 1)}
        named = [{"id": at, "name": storable(name)} for name, at in self._numbers.items()]
        self._legend = Legend.of(named, name=f"classes of {self.default_name}")

    @property
    def default_name(self) -> str:
        """The table's stem."""
        return shards_name(self.where, (".csv", ".tsv"))

    @property
    def location(self) -> str:
        """Where the table is, with the column of runs and the size."""
        size = None if self.size is None else f"{self.size[0]}x{self.size[1]}"
        return with_options(location_of(self.where), runs=self.column, size=size)

    def catalog(self) -> ClassCatalog | None:
        """The classes, where they have names; numbers are values."""
        return None if self._legend is None else self._legend.catalog

    def entries(self) -> Iterator[Entry]:
        """One entry an image."""
        self._begin()
        images = self._images() if self.size is None and self.table.height is None else {}
        background = -1 if 0 in self._numbers.values() else 0
        kind = type_of([background, *self._numbers.values()])
        for image, rows in self.rows.items():
            name = storable(image)
            if not self.selection.takes_named(name):
                self._skipped += 1
                continue
            self._meet(name)
            try:
                yield self._entry(image, rows, background, kind, images)
            except MaskError as error:
                yield BrokenEntry(name, self._place(image), reason=error.problem)

    def _place(self, image: str) -> str:
        return f"{location_of(self.where)}::{storable(image)}"

    def _entry(
        self,
        image: str,
        rows: Sequence[RunRow],
        background: int,
        kind: str,
        images: Mapping[str, str | None],
    ) -> RasterEntry:
        size, file = self.size, images.get(image, images.get(os.path.splitext(image)[0]))
        said = {runs.size for runs in rows}
        if size is None and said != {None}:
            both = next(iter(said)) or ("", "")
            if len(said) > 1 or not all(text.isascii() and text.isdigit() for text in both):
                raise MaskError("its rows do not agree on a size of the image")
            size = int(both[0][:9]), int(both[1][:9])
        encoded = 0
        if size is not None:
            encoded = encoded_size(check_size(*size, kind), kind)
        regions = tuple(
            (self._numbers[runs.label], runs.text) for runs in rows if runs.text not in _NONE
        )
        along_rows = self.table.along_rows
        says = (RULE, background, along_rows, sorted(regions), size or _mark(file))
        stamp = hashlib.blake2b(repr(says).encode(), digest_size=16).hexdigest()
        drawing = RunLengthDrawing(regions, size, file, along_rows, background, kind)
        return RasterEntry(storable(image), self._place(image), encoded, stamp, drawing)

    def _images(self) -> dict[str, str | None]:
        """Images below the table's folder by name and by stem; None where several are called so."""
        found: dict[str, str | None] = {}
        if is_url(self.where):
            return found
        folder = os.path.dirname(os.path.abspath(self.where))
        for entry in FolderSource(folder, Selection(suffixes=IMAGE_SUFFIXES)).entries():
            last = os.path.basename(entry.path)
            for key in {last, os.path.splitext(last)[0]}:
                found[key] = entry.path if key not in found else None
        return found


def _mark(file: str | None) -> str:
    try:
        status = os.stat(file or "")
    except OSError:
        return ""
    return f"{status.st_size}.{status.st_mtime_ns}"


def open_run_lengths(given: Given, selection: Selection) -> RunLengthSource | None:
    """The source that a CSV is; None where none of its columns holds runs.

    Raises:
        SourceError: it can't be read.
    """
    table, rows = None, dict[str, list[RunRow]]()
    try:
        with lines_of(given.text, given.timeout) as lines:
            line = next(lines, "")
            sign = "\t" if given.ends_in((".tsv",)) else max(",;\t", key=line.count)
            header, first = _cells(line, sign), _beginning(lines)
            looked_at = [_cells(line, sign) for line in first]
            table = _table(header, looked_at, given.column)
            if table is None:
                return None
            if given.column is None and _lists_masks(given, table, looked_at):
                return None
            held = 0
            for line in chain(first, lines):
                held += len(line)
                if held > MAX_FILE_BYTES:
                    raise MaskError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
                if line.strip():
                    _add(rows, table, _cells(line, sign))
    except (MaskError, OSError, csv.Error) as error:
        if table is None:
            return None  # who takes it for a list says what is wrong
        problem = unreadable(error) if isinstance(error, OSError) else str(error)
        raise SourceError(problem, where=printable(location_of(given.text))) from error
    size, column = given.size, header[table.runs]
    return RunLengthSource(given.text, selection, given.timeout, size, column, table, rows)


def _beginning(lines: Iterator[str]) -> list[str]:
    """The first lines, and no more than memory should hold before anybody knows what they are."""
    found: list[str] = []
    held = 0
    for line in islice(lines, _LOOKED_AT):
        found.append(line)
        held += len(line)
        if held > _LOOKED_AT << 16:
            break
    return found


def _cells(line: str, sign: str) -> list[str]:
    """A row's. Runs are longer than what `csv` takes, and have no quotes."""
    line = line.rstrip("\r\n")
    cells = next(csv.reader([line], delimiter=sign), []) if '"' in line else line.split(sign)
    return [cell.strip() for cell in cells]


def _table(header: list[str], rows: list[list[str]], column: str | None) -> RunTable | None:
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    at = header.index(column) if column in header else -1
    for place, name in enumerate(plain):
        cells = [row[place] for row in rows if place < len(row) and row[place] not in _NONE]
        found = [bool(_RUNS.fullmatch(cell)) for cell in cells]
        runs = any(found)
        if not _SURE.search(name) and place != at:
            runs = runs and all(found) and {len(cell.split()) for cell in cells} != {_BOX}
        if runs and (place == at or (column is None and _CALLED.search(name))):
            label = _first(_CLASSES, plain)
            joined = _first(_JOINED, plain)
            image = _first(_IMAGES, plain) if joined is None else joined
            sizes = _first(_HEIGHTS, plain), _first(_WIDTHS, plain)
            return RunTable(
                place,
                (1 if place == 0 else 0) if image is None else image,
                None if joined is not None else label,
                *(sizes if None not in sizes else (None, None)),
                is_joined=joined is not None,
                along_rows=label is not None and (plain[label], name) in _ALONG_ROWS,
            )
    return None


def _lists_masks(given: Given, table: RunTable, rows: Sequence[Sequence[str]]) -> bool:
    """Whether what is called an image is the file of a mask, and runs only stand beside it."""
    paths = (row[table.image] for row in rows if table.image < len(row))
    places = [Lead(given.text).place(path) for path in paths if path and not is_url(path)]
    files = (place for place in places if os.path.isfile(place))
    return look_at_images(file_entry(place, place).load() for place in files) == "masks"


def _first(known: Iterable[str], names: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _add(rows: dict[str, list[RunRow]], table: RunTable, cells: list[str]) -> None:
    """Take in a row; what is none makes its image fail when it is drawn."""

    def cell(at: int | None) -> str:
        return cells[at] if at is not None and at < len(cells) else ""

    image, label = cell(table.image), cell(table.label) or "1"
    if table.is_joined:
        joined = _JOINED_NAME.fullmatch(image)
        image, label = joined.groups() if joined else ("", "1")
    size = None if table.height is None else (cell(table.height), cell(table.width))
    text = cell(table.runs) if len(cells) > table.runs else "a row that is too short"
    rows.setdefault(image or "no name", []).append(RunRow(label, text, size))
