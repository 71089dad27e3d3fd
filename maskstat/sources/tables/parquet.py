"""Masks in Parquet and Arrow files, as Hugging Face datasets keep them: encoded, one a row.

A column holds either the bytes themselves, a struct of `bytes` and `path`, or, in Parquet files,
lists of lists of numbers. Files are read by row groups (Arrow, in `arrow`: record batches), a few
rows at a time, and of one column only; what is in memory is a page of that column, and the rows
taken out of it.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, BinaryIO, NamedTuple

from maskstat.errors import (
    Blank,
    MaskError,
    MissingExtraError,
    ParameterError,
    SourceError,
    argument,
)
from maskstat.naming import did_you_mean, printable, storable
from maskstat.sources.base import BrokenEntry, Entry, SourceKind, changed
from maskstat.sources.blobs import Blob, Shard
from maskstat.sources.locations import is_url, location_of, with_options
from maskstat.sources.reading_ahead import CARRIED_MAX, StreamedEntry
from maskstat.sources.shards import ShardedSource, shard_name
from maskstat.sources.tables.arrow import ArrowFile
from maskstat.sources.tables.arrow_schema import TEXT
from maskstat.sources.tables.headerless import as_image, shape_columns
from maskstat.sources.tables.mask_columns import LOOKED_AT, Look, choose, look_at_images
from maskstat.sources.tables.nested_lists import is_nested, masks_of, rows_together
from maskstat.sources.tables.parquet_pages import chunks_of, count_values
from maskstat.values.groups import no_column

TABLE_SUFFIXES = (".parquet", ".arrow")
_THREADS, _REMOTE_THREADS = 2, 8  # files that are read at once
_BATCH_BYTES = 16 << 20  # of masks that are taken out of a file together
_REPEATED_BYTES = 256 << 20  # the same where one stored value may stand in many rows
_BATCH_ROWS = 1024
_BUFFER = 1 << 20
_SCALARS = re.compile(
    r"(dictionary<values=)?(large_)?string|u?int\d|bool|float|double|half|date|timestamp|decimal"
)


class Rows(NamedTuple):
    """Consecutive rows: the number of the first, and of each its content, or why not, and path."""

    start: int
    contents: Sequence[bytes | MaskError | None]
    paths: list[str | None]


class Table:
    """The column of masks in one file. Raises MaskError and SourceError from all that reads it."""

    def __init__(self, blob: Blob, column: str | None):
        self.blob, self._asked = blob, column
        self._lock = threading.Lock()
        self._reading: Iterator[Rows | MaskError] | None = None
        self._rows = Rows(0, [], [])

    def __getstate__(self) -> dict[str, object]:
        return {"blob": self.blob, "_asked": self._asked}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(state["blob"], state["_asked"])  # type: ignore[misc]

    @property
    def local_files(self) -> tuple[str, ...]:
        """The table, where it is on disk."""
        return self.blob.local_files

    def again(self, place: int, size: int) -> bytes:
        """The content of row `place`; quick in the order of the file."""
        with self._lock, _translated():
            if not 0 <= place - self._rows.start < len(self._rows.contents):
                self._find(place)
            content = self._rows.contents[place - self._rows.start]
        if not isinstance(content, bytes):
            raise content or changed()
        return content

    def reopen(self, place: int, size: int) -> BinaryIO:
        """The same as a file."""
        return io.BytesIO(self.again(place, size))

    def _find(self, row: int) -> None:
        """Go on to the rows that hold this one, or start again in its row group."""
        end = self._rows.start + len(self._rows.contents)
        reading, self._reading = self._reading, None  # which is of no use once it has failed
        if reading is None or not end <= row < end + _BATCH_ROWS:
            reading = self.rows(row)
        for rows in reading:
            if isinstance(rows, MaskError):
                continue
            self._rows = rows
            if rows.start <= row < rows.start + len(rows.contents):
                self._reading = reading
                return
        raise changed()

    def rows(self, first: int = 0) -> Iterator[Rows | MaskError]:
        """All rows from the start of the row group of row `first`, a few at a time.

        A row group that can't be read is an error among them, and the next ones follow.
        """
        arrow = _pyarrow()
        with _translated(), self.blob.open() as file:
            if self.blob.read_at(0, 4) == b"PAR1":
                yield from self._parquet_rows(arrow, file, first)
            else:
                yield from self._arrow_rows(file, first)

    def texts(self, heading: str) -> Iterator[tuple[int, list[str | None]]]:
        """What another column says: the number of a row, and texts from there on.

        Rows of a group that can't be read are left out. Raises ParameterError where there is no
        such column, or none that holds a text, a number or the like.
        """
        arrow = _pyarrow()
        with _translated(), self.blob.open() as file:
            if self.blob.read_at(0, 4) == b"PAR1":
                yield from self._parquet_texts(arrow, file, heading)
            else:
                yield from self._arrow_texts(file, heading)

    def _parquet_texts(
        self, arrow: Any, file: BinaryIO, heading: str
    ) -> Iterator[tuple[int, list[str | None]]]:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        kinds = {field.name: str(field.type) for field in table.schema_arrow}
        self._check_heading(heading, kinds, _SCALARS.match)
        start = 0
        for number in range(table.metadata.num_row_groups):
            at, start = start, start + table.metadata.row_group(number).num_rows
            with suppress(arrow.ArrowException, OSError):
                for batch in table.iter_batches(
                    batch_size=_BATCH_ROWS,
                    row_groups=[number],
                    columns=[heading],
                    use_threads=False,
                ):
                    yield at, _texts_of(batch.column(0))
                    at += batch.num_rows

    def _arrow_texts(self, file: BinaryIO, heading: str) -> Iterator[tuple[int, list[str | None]]]:
        table = ArrowFile(file, self.blob.size)
        self._check_heading(heading, {f.name: f.kind for f in table.fields}, TEXT.__contains__)
        start = 0
        for length, open_batch in table.batches(heading):
            start, at = start + length, start
            with suppress(MaskError):
                batch = open_batch()
                while at < start:
                    found, _ = batch.rows(at - start + length, _BATCH_ROWS, _BATCH_BYTES)
                    yield at, [_decoded(text) for text in found]
                    at += len(found)

    def _check_heading(
        self, heading: str, kinds: Mapping[str, str], is_text: Callable[[str], object]
    ) -> None:
        where = location_of(self.blob.path)
        if heading not in kinds:
            raise no_column(heading, kinds, where)
        if not is_text(kinds[heading]):
            raise ParameterError(
                f"column {printable(repr(heading))} is {printable(_kind(kinds[heading]))}, which"
                " names no groups",
                parameter="group_by",
                where=printable(where),
                remedy="a column of texts does; in Parquet files one of numbers, too",
            )

    def _parquet_rows(self, arrow: Any, file: BinaryIO, first: int) -> Iterator[Rows | MaskError]:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        kinds = {field.name: str(field.type) for field in table.schema_arrow}
        fields = {
            field.name: (kinds[field.name], _holds_bytes(field.type) or is_nested(str(field.type)))
            for field in table.schema_arrow
        }

        def first_rows(name: str) -> Rows | None:
            return None if is_nested(kinds[name]) else _first_parquet_rows(table, name)

        column = self._column(fields, first_rows)
        columns = [column, *shape_columns(column, fields)]
        nested = is_nested(kinds[column])
        size, groups = self.blob.size, table.metadata.num_row_groups
        chunks = chunks_of(file, size, column, groups) if nested else []
        start = 0
        for number in range(groups):
            group = table.metadata.row_group(number)
            start, end = start, start + group.num_rows
            if end > first:
                try:
                    at = start
                    together = _rows_at_once(group)
                    if nested:
                        values = count_values(file, size, chunks[number])
                        together = min(rows_together(values, group.num_rows), _BATCH_ROWS)
                    for batch in table.iter_batches(
                        batch_size=together,
                        row_groups=[number],
                        columns=[column] if nested else columns,
                        use_threads=False,
                    ):
                        yield _listed(batch, at) if nested else _shaped(batch, at, columns)
                        at += batch.num_rows
                except (arrow.ArrowException, OSError, MaskError) as error:
                    yield MaskError(f"row group {number} from row {start} on: {_first_line(error)}")
            start = end

    def _arrow_rows(self, file: BinaryIO, first: int) -> Iterator[Rows | MaskError]:
        table = ArrowFile(file, self.blob.size)
        fields = {field.name: (field.in_words, field.holds_bytes) for field in table.fields}
        column = self._column(fields, partial(_first_arrow_rows, table))
        start = 0
        for number, (length, open_batch) in enumerate(table.batches(column)):
            start, at = start + length, start
            if length and start <= first:
                continue
            try:
                batch = open_batch()
                while at < start:
                    found = batch.rows(at - start + length, _BATCH_ROWS, _BATCH_BYTES)
                    yield Rows(at, *found)
                    at += len(found[0])
            except MaskError as error:
                place = f"record batch {number} from row {at} on"
                yield MaskError(f"{place}: {error.problem}", remedy=error.remedy)

    def _column(
        self, fields: Mapping[str, tuple[str, bool]], first_rows: Callable[[str], Rows | None]
    ) -> str:
        """The column of masks; once decided, it stays. Raises SourceError where it is not clear.

        `fields` are the columns by name: the type in words, and whether it may hold masks.
        """
        able = [name for name, (_, holds_bytes) in fields.items() if holds_bytes]
        where = printable(location_of(self.blob.path))
        listed = ", ".join(
            f"{printable(name)} ({printable(_kind(fields[name][0]))})" for name in list(fields)[:30]
        )
        remedy = f"the columns are {listed or 'none'}: {argument('column', Blank('NAME'))}"
        if self._asked is not None:
            if self._asked in able:
                return self._asked
            asked = printable(self._asked)
            if self._asked in fields:
                raise SourceError(f"column {asked!r} holds no bytes", where=where, remedy=remedy)
            hint = did_you_mean(self._asked, fields)
            raise SourceError(f"has no column {asked!r}", where=where, remedy=hint + remedy)
        choice = choose(able, lambda name: _look_at(first_rows(name)))
        if choice.column is not None:
            self._asked = choice.column
            return choice.column
        problem = "it is not clear which column holds the masks" + choice.in_words()
        raise SourceError(problem, where=where, remedy=remedy)


def _first_parquet_rows(table: Any, column: str) -> Rows | None:
    """The first rows of a column; of a file no more than their pages is read."""
    for batch in table.iter_batches(batch_size=LOOKED_AT, columns=[column], use_threads=False):
        return _rows(0, batch.column(0))
    return None


def _first_arrow_rows(table: ArrowFile, column: str) -> Rows | None:
    """The first rows of a column, where there is a batch at all."""
    for _, open_batch in table.batches(column):
        with suppress(MaskError):  # of one batch; listing it says so
            return Rows(0, *open_batch().rows(0, LOOKED_AT, _BATCH_BYTES))
    return None


def _look_at(rows: Rows | None) -> Look:
    contents = rows.contents if rows else ()
    return look_at_images(content for content in contents if isinstance(content, bytes) and content)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            "reading Parquet and Arrow files needs the package pyarrow",
            remedy='pip install "maskstat[parquet]"',
        ) from error
    return pyarrow


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what a damaged file raises into a MaskError."""
    arrow = _pyarrow()
    try:
        yield
    except (arrow.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise MaskError(f"damaged, or neither Parquet nor Arrow: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return printable(str(error).strip().partition("\n")[0])[:200] or type(error).__name__


def _is_binary(kind: Any) -> bool:
    return str(kind) in {"binary", "large_binary", "binary_view"}


def _holds_bytes(kind: Any) -> bool:
    """Whether a column of this type may hold encoded masks."""
    return _is_binary(kind) or any(
        kind.field(at).name == "bytes" and _is_binary(kind.field(at).type)
        for at in range(kind.num_fields if str(kind).startswith("struct<") else 0)
    )


def _kind(text: str) -> str:
    """A type in a few words."""
    return text if len(text) <= 40 else f"{text[:37]}..."


def _rows_at_once(group: Any) -> int:
    """How many rows may be taken out of a row group together, so that memory stays bounded.

    The group is looked at as a whole: pyarrow's look at one column ends the process where the
    statistics of its sizes are damaged. One stored value may stand in many rows.
    """
    total = max(1, int(group.total_byte_size))
    most = min(_BATCH_BYTES * max(1, int(group.num_rows)), _REPEATED_BYTES) // total
    return max(1, min(most, _BATCH_ROWS))


def _rows(start: int, column: Any) -> Rows:
    """Contents and paths of a column's rows; None where a row, or its bytes, is null."""
    paths: list[str | None] = [None] * len(column)
    if _is_binary(column.type):
        return Rows(start, column.to_pylist(), paths)
    names = [column.type.field(at).name for at in range(column.type.num_fields)]
    parts = dict(zip(names, column.flatten(), strict=True))
    if "path" in parts and str(parts["path"].type) in {"string", "large_string", "string_view"}:
        # As bytes: what no one has checked may be no UTF-8.
        raw = parts["path"].cast("binary").to_pylist()
        paths = [None if text is None else text.decode("utf-8", "backslashreplace") for text in raw]
    return Rows(start, parts["bytes"].to_pylist(), paths)


def _listed(batch: Any, start: int) -> Rows:
    """The rows of a column of nested lists."""
    return Rows(start, list(masks_of(batch.column(0))), [None] * batch.num_rows)


def _shaped(batch: Any, start: int, columns: list[str]) -> Rows:
    """The rows of a column; pixels without a header get one where their shape is in columns."""
    names = list(batch.schema.names)
    rows, *shapes = (batch.column(names.index(name)) for name in columns)
    found = _rows(start, rows)
    if not shapes:
        return found
    contents = [
        as_image(content, *shape) if isinstance(content, bytes) else content
        for content, *shape in zip(
            found.contents, *(column.to_pylist() for column in shapes), strict=True
        )
    ]
    return found._replace(contents=contents)


@dataclass
class TableSource(ShardedSource):
    """Masks in tables. A mask is called by its row, and by its path where the table has one."""

    column: str | None = None

    suffixes = TABLE_SUFFIXES

    @property
    def location(self) -> str:
        """The absolute path or pattern, or the URL without passwords."""
        return with_options(location_of(self.where), column=self.column)

    def entries(self) -> Iterator[Entry]:
        """One entry a row. Raises SourceError where it is not clear which column has the masks."""
        _pyarrow()
        yield from super().entries()

    def column_values(self, heading: str, names: Collection[str]) -> dict[str, str]:
        """What a column says of masks, by their rows. Raises SourceError where it can't be read."""
        found: dict[str, str] = {}
        texts: dict[str, str] = {}  # many masks share few
        for shard in self._shards():
            try:
                for start, values in Table(shard.open(), self.column).texts(heading):
                    if not names:
                        return {}
                    for row, text in enumerate(values, start):
                        if text:
                            found[f"{shard.prefix}{row}"] = texts.setdefault(text, text)
            except MaskError as error:
                where = printable(location_of(shard.where))
                raise SourceError(error.problem, where=where, remedy=error.remedy) from error
        rows = {name: _row_of(name, found) for name in names}
        return {name: found[row] for name, row in rows.items() if row is not None}

    def _threads(self) -> int:
        return _REMOTE_THREADS if is_url(self.where) else _THREADS

    def _masks(self, shard: Shard) -> Iterator[Entry | None]:
        failures = count(1)
        table = Table(shard.open(), self.column)
        for rows in table.rows():
            if isinstance(rows, MaskError):
                name = f"{shard_name(shard)} ({next(failures)})"
                yield BrokenEntry(name, shard.where, reason=rows.text)
            else:
                yield from self._entries(table, shard.prefix, rows)

    def _entries(self, table: Table, prefix: str, rows: Rows) -> Iterator[Entry | None]:
        for row, (content, path) in enumerate(
            zip(rows.contents, rows.paths, strict=True), rows.start
        ):
            name = prefix + storable(f"{row}/{path}" if path else str(row))
            place = f"{table.blob.path}::{row}"
            if not self.selection.takes_named(name):
                yield None
            elif isinstance(content, MaskError):
                yield BrokenEntry(name, place, reason=content.text)
            elif content is None:
                hint = f": only the path {printable(path)}" if path else ""
                yield BrokenEntry(name, place, reason=f"the row holds no bytes{hint}")
            else:
                stamp = f"{table.blob.stamp}@{row}"
                carried = content if len(content) <= CARRIED_MAX else None
                yield StreamedEntry(name, place, len(content), stamp, row, table, carried)


def _row_of(name: str, rows: Container[str]) -> str | None:
    """The row that a mask's name begins with: behind its file, and before the path that it has."""
    parts = name.split("/")
    beginnings = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((beginning for beginning in beginnings if beginning in rows), None)


def _texts_of(column: Any) -> list[str | None]:
    """The values of a column as texts, as far as it has some."""
    if str(column.type).startswith("dictionary<"):
        column = column.dictionary_decode()
    if "string" in str(column.type):  # as bytes: what no one has checked may be no UTF-8
        return [_decoded(text) for text in column.cast("binary").to_pylist()]
    return [None if value is None else str(value) for value in column.to_pylist()]


def _decoded(text: bytes | None) -> str | None:
    return None if text is None else text.decode("utf-8", "backslashreplace").strip()


KIND = SourceKind(
    takes=lambda given: given.ends_in(TABLE_SUFFIXES) and given.is_one_or_many,
    open=lambda given, selection: TableSource(given.text, selection, given.timeout, given.column),
    has_columns=True,
)
