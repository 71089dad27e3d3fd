"""How many values the pages of a Parquet column say they have, before pyarrow makes room for them.

A few hundred bytes may stand for gigabytes of equal numbers, and pyarrow believes every page. So
headers are read here, which are structs in Thrift's compact protocol; all else is left to pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from maskstat.errors import MaskError

MOST_VALUES = 1 << 27  # of a column in a row group
_MOST_FOOTER = 64 << 20  # bytes
_MOST_HEADER = 1 << 12  # bytes of a page's
_MOST_PAGE = 256 << 20  # bytes, unpacked
_DEEPEST = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_HEADERS = {0: 5, 1: 0, 2: 0, 3: 8}  # by types of pages: which field tells their values, if any


class Chunk(NamedTuple):
    """What the footer says of a column in a row group: where its pages lie, and its values."""

    start: int
    end: int
    values: int


def chunks_of(file: BinaryIO, size: int, column: str, groups: int) -> list[Chunk]:
    """Each row group's part of a column of lists of numbers. Raises MaskError."""
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    if not 0 < length <= min(_MOST_FOOTER, size - 8):
        raise _damaged()
    file.seek(size - 8 - length)
    with _known():
        chunks = []
        for _, group in zip(range(groups), _Thrift(file.read(length)).struct()[4], strict=True):
            (said,) = (part[3] for part in group[1] if part[3][3][0] == column.encode())
            start = min(said[9], said.get(11) or said[9])
            chunks.append(Chunk(start, start + said[7], said[5]))
        return chunks


def count_values(file: BinaryIO, size: int, chunk: Chunk) -> int:
    """The values of its pages. Raises MaskError where pyarrow should not be given so many."""
    at, end, said = chunk
    total = 0
    if not 0 < at <= end <= size:
        raise _damaged()
    while at < end:
        file.seek(at)
        reader = _Thrift(file.read(min(_MOST_HEADER, end - at)))
        with _known():
            page = reader.struct()
            header = _HEADERS[page[1]]
            values = page[header][1] if header else 0
            if min(values, page[2], page[3]) < 0 or page[2] > _MOST_PAGE:
                raise _damaged()
            at += reader.at + page[3]
        total += values
        if total > MOST_VALUES:
            raise MaskError(
                f"lists of more than {MOST_VALUES:,} numbers in one row group",
                remedy="write it again with smaller ones, or with masks as images",
            )
    if at != end or total != said:
        raise _damaged()
    return total


@contextmanager
def _known() -> Iterator[None]:
    """Turn what is not there, or not of its kind, into a MaskError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _damaged() from error


class _Thrift:
    """Values one after another. Raises IndexError, ValueError and MaskError on damage."""

    def __init__(self, data: bytes):
        self._data, self.at = data, 0

    def struct(self, depth: int = _DEEPEST) -> dict[int, Any]:
        """The fields of a struct by number."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            found[number] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int, *, in_list: bool = False) -> Any:
        if depth == 0:
            raise _damaged()
        if kind in {_TRUE, _FALSE}:
            return (self._byte() if in_list else kind) == _TRUE
        if kind == _BYTE:
            return self._byte()
        if _BYTE < kind < _DOUBLE:
            return self._integer()
        if kind in {_DOUBLE, _BINARY}:
            return self._bytes(8 if kind == _DOUBLE else self._varint())
        if kind in {_LIST, _SET}:
            head = self._byte()
            length = head >> 4 if head >> 4 < 15 else self._varint()
            if length > len(self._data) - self.at:
                raise _damaged()
            return [self._value(head & 15, depth - 1, in_list=True) for _ in range(length)]
        if kind == _STRUCT:
            return self.struct(depth - 1)
        raise _damaged()

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _bytes(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise _damaged()
        self.at += length
        return self._data[self.at - length : self.at]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise _damaged()

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def _damaged() -> MaskError:
    return MaskError("the headers of its pages are damaged, or of a kind that is not known here")
