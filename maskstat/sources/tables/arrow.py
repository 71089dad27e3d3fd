"""Arrow IPC files and streams: one column of bytes, batch by batch, read here.

pyarrow maps the buffers of such a file without a look at them, and crashes where they are damaged.
So its metadata, offsets and bitmaps are read here with every number checked; pyarrow no more than
decompresses. Of a batch only the column's own buffers are read, a few rows at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import printable
from maskstat.sources.base import MAX_IN_MEMORY
from maskstat.sources.tables.arrow_schema import TEXT, Placed, fields_of, placed
from maskstat.sources.tables.flatbuffers import FlatTable, damaged
from maskstat.sources.virtual_files import Unrolled

MAGIC = b"ARROW1"
_MAX_METADATA = 64 << 20
_MAX_PATHS = 16 << 20  # bytes of the paths of rows that are taken together
_IN_MEMORY = 64 << 20  # of a compressed buffer; larger ones are decompressed once more
_PIECE = 1 << 20
_SCHEMA, _RECORDS = 1, 3
_PLAUSIBLE_ROWS = 1 << 40
_BLOCK = ("i8", "i4", "i8")  # where a message starts, bytes of its metadata, bytes of its body
_LARGEST_GAP = 80  # bytes before the footer: an end mark and padding, less than any batch has
_CODECS = ("lz4", "zstd")
_CUT_OFF = "the file is cut off, or damaged"

Contents = tuple[list[bytes | None], list[str | None]]


class Message(NamedTuple):
    """A part of a file: what it is, and where its body lies."""

    kind: int
    version: int
    header: FlatTable
    body: int
    length: int


class ArrowFile:
    """An open file; raises MaskError and OSError from all that reads it.

    Args:
        file: seekable, and stays open.
        size: its bytes.
    """

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self._blocks: NDArray[np.int64] | None = None
        if self._bytes(0, len(MAGIC)) == MAGIC:
            footer = self._footer()
            schema, version = footer.table(1), footer.number(0, "h")
            self._blocks = footer.numbers(3, *_BLOCK)
            self._check_blocks(np.concatenate([self._blocks, footer.numbers(2, *_BLOCK)]))
        else:
            first = self._first()
            schema, version = first.header, first.version
            self._start = first.body + first.length
        if schema is None:
            raise damaged()
        self.fields = fields_of(schema, version)
        self._placed = placed(self.fields)

    def batches(self, column: str) -> Iterator[tuple[int, Callable[[], Batch]]]:
        """How many rows each record batch says it has, and the column's part of it.

        Making that raises MaskError where it is damaged; iterating does where what follows can't
        be found.
        """
        places = [place for place in self._placed if place.field.name == column]
        if len(places) > 1:
            raise MaskError(f"has {len(places)} columns called {printable(column)!r}")
        for message in self._messages():
            if isinstance(message, MaskError):
                yield 0, partial(_fail, message)
            elif message.kind == _RECORDS:
                rows = message.header.number(0, "q")
                plausible = 0 <= rows < _PLAUSIBLE_ROWS
                yield rows if plausible else 0, partial(Batch, self._file, message, places[0])

    def _messages(self) -> Iterator[Message | MaskError]:
        if self._blocks is None:
            at = self._start
            while (message := self._message(at)) is not None:
                yield message
                at = message.body + message.length
            return
        for block in self._blocks:
            offset, metadata, _ = block.tolist()
            try:
                found = self._message(offset)
                if found is None or found.kind != _RECORDS or found.body > offset + metadata:
                    raise damaged()
                yield found._replace(body=offset + metadata)
            except MaskError as error:
                yield error

    def _first(self) -> Message:
        """The schema that a stream begins with."""
        try:
            found = self._message(0)
        except MaskError:
            found = None
        if found is None or found.kind != _SCHEMA:
            raise MaskError("damaged, or neither Parquet nor Arrow")
        return found

    def _check_blocks(self, blocks: NDArray[np.int64]) -> None:
        """Raise MaskError where the footer does not know of all that is before it."""
        ends = blocks.clip(0, self._size).sum(axis=1)
        if len(ends) and self._footer_at - ends.max() > _LARGEST_GAP:
            raise MaskError("damaged: its footer leaves out a part of the file")

    def _footer(self) -> FlatTable:
        ending = struct.Struct(f"<i{len(MAGIC)}s")
        start = self._size - ending.size
        length, magic = ending.unpack(self._bytes(start, ending.size)) if start > 0 else (0, b"")
        if magic != MAGIC:
            raise MaskError("damaged: an Arrow file without its end")
        if not 0 < length <= min(start, _MAX_METADATA):
            raise damaged()
        self._footer_at = start - length
        return FlatTable.root(self._bytes(self._footer_at, length))

    def _message(self, at: int) -> Message | None:
        """The message at a place; None at the end."""
        start = self._bytes(at, 8, at_most=True)
        if not start:
            return None
        marked = start[:4] == b"\xff" * 4  # Arrow writes the mark since 0.15
        length = int.from_bytes(start[4:8] if marked else start[:4], "little", signed=True)
        begin = at + (8 if marked else 4)
        if length == 0 and begin == self._size:
            return None
        if not 0 < length <= min(_MAX_METADATA, self._size - begin):
            raise MaskError(_CUT_OFF) if length > 0 else damaged()
        table = FlatTable.root(self._bytes(begin, length))
        header = table.table(2)
        kind, body = table.number(1, "B"), table.number(3, "q")
        if header is None or not _SCHEMA <= kind <= 5:
            raise damaged()
        if not 0 <= body <= self._size - begin - length:
            raise damaged() if body < 0 else MaskError(_CUT_OFF)
        return Message(kind, table.number(0, "h"), header, begin + length, body)

    def _bytes(self, at: int, length: int, *, at_most: bool = False) -> bytes:
        if at < 0:
            raise damaged()
        return _read(self._file, at, length, at_most=at_most)


class Batch:
    """One column of a record batch. Raises MaskError from the start where it is damaged."""

    def __init__(self, file: BinaryIO, message: Message, place: Placed):
        header = message.header
        self.length = header.number(0, "q")
        self._file, self._body, self._size = file, message.body, message.length
        self._nodes = header.numbers(1, "i8", "i8")
        self._buffers = header.numbers(2, "i8", "i8")
        self._views = header.numbers(4, "i8")[:, 0]
        if self.length < 0 or ((self._views < 0) | (self._views > len(self._buffers))).any():
            raise damaged()
        self._codec: str | None = None
        compression = header.table(3)
        if compression is not None:
            codec = compression.number(0, "b")
            if not 0 <= codec < len(_CODECS) or compression.number(1, "b"):
                raise MaskError("compressed in a way that is not known here")
            self._codec = _CODECS[codec]
        self._valid = [self._validity(place)]
        self._path: _Cells | None = None
        if place.field.kind == "struct":
            parts = {part.field.name: part for part in place.children}
            self._content = self._cells(parts["bytes"])
            self._valid.append(self._content.validity)
            path = parts.get("path")
            if path is not None and path.field.kind in TEXT:
                self._path = self._cells(path)
        else:
            self._content = self._cells(place)

    def rows(self, start: int, most: int, most_bytes: int) -> Contents:
        """Contents and paths of rows from `start` on: at most so many, and so many bytes, but one.

        Raises MaskError where they are damaged, or one is too large.
        """
        wanted = min(most, self.length - start)
        valid = np.ones(wanted, bool)
        for validity in self._valid:
            valid &= _bits(validity, start, wanted)
        cells, paths = self._content, self._path
        spans = cells.spans(start, wanted)
        taken = _how_many(spans, most_bytes, MAX_IN_MEMORY)
        if paths is not None:
            path_spans = paths.spans(start, taken)
            taken = _how_many(path_spans, _MAX_PATHS, _MAX_PATHS)
        contents = cells.take(spans.part(taken), valid[:taken])
        if paths is None:
            return contents, [None] * taken
        has_path = _bits(self._valid[0], start, taken) & _bits(paths.validity, start, taken)
        texts = paths.take(path_spans.part(taken), has_path)
        return contents, [t if t is None else t.decode("utf-8", "backslashreplace") for t in texts]

    def _nulls(self, place: Placed) -> int:
        """How many rows have no value."""
        if place.node >= len(self._nodes) or self._nodes[place.node, 0] != self.length:
            raise damaged()
        return int(self._nodes[place.node, 1])

    def _first_buffer(self, place: Placed) -> int:
        """Which of the batch's buffers is the first of a field."""
        if place.views > len(self._views):
            raise damaged()
        return place.buffer + int(self._views[: place.views].sum())

    def _validity(self, place: Placed) -> _Buffer | None:
        """The bitmap of the rows that have a value; None where all have."""
        nulls = self._nulls(place)
        if nulls == 0:
            return None
        found = self._buffer(self._first_buffer(place))
        if nulls < 0 or found.size < (self.length + 7) // 8:
            raise damaged()
        return found

    def _cells(self, place: Placed) -> _Cells:
        first, validity = self._first_buffer(place), self._validity(place)
        kind = place.field.kind
        if kind.endswith("_view"):
            if place.views >= len(self._views):
                raise damaged()
            views = self._buffer(first + 1)
            others = int(self._views[place.views])
            room = MAX_IN_MEMORY
            data: list[_Buffer] = []
            for number in range(first + 2, first + 2 + others):
                data.append(self._buffer(number, room))
                room -= data[-1].size if isinstance(data[-1], _Packed) else 0
            if views.size < 16 * self.length:
                raise damaged()
            return _Viewed(validity, views, data)
        width = 8 if kind.startswith("large_") else 4
        offsets, values = self._buffer(first + 1), self._buffer(first + 2)
        if self.length and offsets.size < width * (self.length + 1):
            raise damaged()
        return _Offset(validity, offsets, values, np.dtype(f"<i{width}"))

    def _buffer(self, number: int, room: int | None = None) -> _Buffer:
        """One of the batch's buffers; a compressed one that is no larger than `room`."""
        if not 0 <= number < len(self._buffers):
            raise damaged()
        start, size = self._buffers[number].tolist()
        if start < 0 or size < 0 or start + size > self._size:
            raise damaged()
        start += self._body
        if self._codec is None or size == 0:
            return _Plain(self._file, start, size)
        if size < 8:
            raise damaged()
        (expanded,) = struct.unpack("<q", _read(self._file, start, 8))
        if expanded == -1:
            return _Plain(self._file, start + 8, size - 8)
        if expanded < 0:
            raise damaged()
        if room is not None and expanded > room:
            raise MaskError(
                f"its compressed views have more than {MAX_IN_MEMORY >> 20} MiB: write it in"
                " smaller record batches"
            )
        return _Packed(_Plain(self._file, start + 8, size - 8), expanded, self._codec)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A buffer as it lies in the file."""

    file: BinaryIO
    start: int
    size: int

    def at(self, start: int, length: int) -> bytes:
        """Some of its bytes. Raises MaskError where it has fewer."""
        if start < 0 or start + length > self.size:
            raise damaged()
        return _read(self.file, self.start + start, length)


class _Packed:
    """A compressed buffer; what it says of its size is checked before anything is taken from it."""

    def __init__(self, packed: _Plain, size: int, codec: str):
        self._packed, self.size, self._codec = packed, size, codec
        kept: list[bytes] = []
        found = 0
        for piece in self._pieces():
            found += len(piece)
            if found > size:
                break
            if size <= _IN_MEMORY:
                kept.append(piece)
        if found != size:
            raise MaskError("a compressed buffer is not of the size that it is said to have")
        self._whole = b"".join(kept) if size <= _IN_MEMORY else None
        self._unrolled = Unrolled(self._pieces, size)

    def at(self, start: int, length: int) -> bytes:
        """Some of its bytes, quick in their order. Raises MaskError where it has fewer."""
        if start < 0 or start + length > self.size:
            raise damaged()
        if self._whole is not None:
            return self._whole[start : start + length]
        return _read(self._unrolled, start, length)  # type: ignore[arg-type]

    def _pieces(self) -> Iterator[bytes]:
        import pyarrow

        stream = pyarrow.PythonFile(_Forwards(self._packed), mode="r")
        try:
            with pyarrow.CompressedInputStream(stream, self._codec) as unpacked:
                while piece := unpacked.read(_PIECE):
                    yield piece
        except (pyarrow.ArrowException, OSError) as error:
            raise MaskError("a compressed buffer is damaged") from error


_Buffer = _Plain | _Packed


class _Forwards:
    """The bytes of a buffer as what pyarrow takes for a file."""

    closed = False

    def __init__(self, buffer: _Plain):
        self._buffer, self._at = buffer, 0

    def read(self, length: int) -> bytes:
        """The next bytes."""
        data = self._buffer.at(self._at, min(length, self._buffer.size - self._at))
        self._at += len(data)
        return data

    def close(self) -> None:
        """Nothing: the file stays open."""
        self.closed = True


class _Spans(NamedTuple):
    """Rows by their lengths, and where they are: an array that `_Cells` makes and understands."""

    lengths: NDArray[np.int64]
    places: NDArray[Any]

    def part(self, taken: int) -> _Spans:
        """The first ones."""
        return _Spans(self.lengths[:taken], self.places[:taken])


@dataclass(frozen=True, slots=True)
class _Offset:
    """Values one after another, and where each begins."""

    validity: _Buffer | None
    offsets: _Buffer
    values: _Buffer
    form: np.dtype[np.signedinteger[Any]]

    def spans(self, start: int, count: int) -> _Spans:
        """Of some rows. Raises MaskError where they lie outside the values, or overlap."""
        width = self.form.itemsize
        raw = self.offsets.at(width * start, width * (count + 1))
        ends = np.frombuffer(raw, self.form).astype(np.int64)
        if ends[0] < 0 or ends[-1] > self.values.size or (ends[1:] < ends[:-1]).any():
            raise damaged()
        return _Spans(np.diff(ends), ends[:-1])

    def take(self, spans: _Spans, valid: NDArray[np.bool_]) -> list[bytes | None]:
        """The values of rows, None where they have none."""
        if not len(valid):
            return []
        first = int(spans.places[0])
        data = self.values.at(first, int(spans.lengths.sum()))
        return [
            data[begin : begin + length] if there else None
            for begin, length, there in zip(
                (spans.places - first).tolist(), spans.lengths.tolist(), valid.tolist(), strict=True
            )
        ]


_VIEW = np.dtype([("length", "<i4"), ("prefix", "<i4"), ("buffer", "<i4"), ("offset", "<i4")])
_INLINE = 12


@dataclass(frozen=True, slots=True)
class _Viewed:
    """Values anywhere in some buffers; short ones lie in the views themselves."""

    validity: _Buffer | None
    views: _Buffer
    data: list[_Buffer]

    def spans(self, start: int, count: int) -> _Spans:
        """Of some rows. Raises MaskError where a length is negative."""
        views = np.frombuffer(self.views.at(16 * start, 16 * count), _VIEW)
        lengths = views["length"].astype(np.int64)
        if (lengths < 0).any():
            raise damaged()
        return _Spans(lengths, views)

    def take(self, spans: _Spans, valid: NDArray[np.bool_]) -> list[bytes | None]:
        """The values of rows, None where they have none."""
        found: list[bytes | None] = []
        for view, length, there in zip(
            spans.places, spans.lengths.tolist(), valid.tolist(), strict=True
        ):
            if not there:
                found.append(None)
            elif length <= _INLINE:
                found.append(view.tobytes()[4 : 4 + length])
            else:
                if not 0 <= view["buffer"] < len(self.data):
                    raise damaged()
                data = self.data[view["buffer"]].at(int(view["offset"]), length)
                if data[:4] != view.tobytes()[4:8]:
                    raise damaged()
                found.append(data)
        return found


_Cells = _Offset | _Viewed


def _bits(validity: _Buffer | None, start: int, count: int) -> NDArray[np.bool_]:
    """Which of some rows have a value."""
    if validity is None:
        return np.ones(count, bool)
    first = start // 8
    raw = validity.at(first, (start + count + 7) // 8 - first)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    return bits[start - 8 * first :][:count].astype(bool)


def _how_many(spans: _Spans, most: int, largest: int) -> int:
    """How many rows have no more than `most` bytes together, but at least one.

    Raises MaskError where that one is too large.
    """
    if len(spans.lengths) and spans.lengths[0] > largest:
        raise MaskError(f"a row of more than {largest >> 20} MiB")
    return max(
        min(1, len(spans.lengths)),
        int(np.searchsorted(np.cumsum(spans.lengths), most, side="right")),
    )


def _fail(error: MaskError) -> NoReturn:
    raise error


def _read(file: BinaryIO, start: int, length: int, *, at_most: bool = False) -> bytes:
    file.seek(start)
    data = file.read(length)
    while len(data) < length and (more := file.read(length - len(data))):
        data += more
    if len(data) < length and not at_most:
        raise MaskError(_CUT_OFF)
    return data
