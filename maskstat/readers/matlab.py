"""MATLAB's .mat, versions 5 to 7: the only array of numbers, or the one that `--array` names.

Fields of structures are named with a "/" or, as MATLAB does, with a "." (GTcls.Segmentation). Only
headers and the array that counts are looked at: SciPy builds every cell and object, as deep as a
file nests them, and takes the memory that tags ask for. Version 7.3 is HDF5.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.naming import printable
from maskstat.readers.base import LabelMap
from maskstat.readers.chunked import ChunkedPlanes, InMemory
from maskstat.readers.matlab_axes import order_of_axes
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import MOST_DEFLATED, Planes
from maskstat.readers.raw_masks import ArrayInMemory, choose_array, read_whole
from maskstat.values.tally import MaskTally

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4"}
_NUMBERS |= {6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _UINT8, _ARRAYS = 2, 9, range(6, 16)  # classes: double, single, integers
_OTHERS = {
    1: "a cell",
    2: "an array of structures",
    3: "an object",
    4: "a text",
    5: "a sparse matrix",
    16: "a function",
    17: "an object",
}
_COMPLEX = 0x800
_HEAD = 4096  # bytes that a matrix's class, shape and name fit into
_MOST_DEEP, _MOST_FIELDS, _MOST_AXES = 4, 1000, 32
_DAMAGED = "not a readable MATLAB file: it is damaged"


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count an array."""
    return ArrayInMemory(_array(data, options), "matlab", options).tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError."""
    return ArrayInMemory(_array(data, options), "matlab", options).read()


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The planes of an array: its first two axes. Raises MaskError."""
    return ChunkedPlanes(InMemory(_array(read_whole(file), options), "matlab"), options)


class _Element(NamedTuple):
    """What is behind a tag."""

    kind: int
    body: memoryview


class _Matrix(NamedTuple):
    """The beginning of a matrix: its class and shape as MATLAB has them, and what it is called."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str


class _Found(NamedTuple):
    """An array of numbers, and the element that it is or, compressed, is in."""

    matrix: _Matrix
    element: _Element


def _array(data: bytes, options: ReadOptions) -> NDArray[np.generic]:
    """The array asked for, with its planes before height and width. Raises MaskError."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise MaskError(_DAMAGED)
    asked = None if options.array is None else options.array.replace(".", "/")
    found, others = _variables(memoryview(data)[128:], order)
    if not found and not others:
        raise MaskError("a MATLAB file that holds nothing")
    named = asked if asked in others else next(iter(others), None)
    if named is not None and (named == asked or not found):
        raise MaskError(f"its {printable(named)!r} is {others[named]}, no array of numbers")
    if asked is None and len(found) > 1:
        masks = [name for name in found if sum(at > 1 for at in found[name].matrix.shape) > 1]
        found = {name: found[name] for name in masks} or found
    matrix, element = found[choose_array(list(found), replace(options, array=asked))]
    if matrix.is_complex:
        raise MaskError("complex numbers where whole numbers are expected")
    if element.kind == _COMPRESSED:
        element = _inflated(element.body, order, LARGEST_MASK)
    parts = list(itertools.islice(_elements(element.body, order), 4))
    kind, body = parts[-1]
    dtype = np.dtype(order + _NUMBERS.get(kind, "V1"))
    if len(parts) < 4 or dtype.kind == "V" or len(body) != math.prod(matrix.shape) * dtype.itemsize:
        raise MaskError(_DAMAGED)
    array = np.frombuffer(body, dtype).reshape(matrix.shape, order="F")
    # Numbers of any class may be stored as bytes: colours are bytes as MATLAB has them.
    kept = dtype if matrix.kind == _UINT8 else np.dtype(np.float64)
    return array.transpose(order_of_axes(matrix.shape, kept, options))


def _variables(data: memoryview, order: str) -> tuple[dict[str, _Found], dict[str, str]]:
    """The arrays of numbers of a file by name, and what else it has."""
    found: dict[str, _Found] = {}
    others: dict[str, str] = {}
    room = LARGEST_MASK  # for structures, which have to be inflated before their fields are known

    def look(element: _Element, where: str, deep: int) -> None:
        nonlocal room
        packed = element.kind == _COMPRESSED
        start = _inflated(element.body, order, _HEAD, whole=False) if packed else element
        matrix = _matrix(start.body, order)
        if start.kind != _MATRIX or matrix is None or not (where or matrix.name):
            return  # an empty field, or what MATLAB keeps of its objects
        name = where or matrix.name
        if matrix.kind in _ARRAYS:
            found[name] = _Found(matrix, element)
        elif matrix.kind == _STRUCT and math.prod(matrix.shape) == 1 and deep < _MOST_DEEP:
            inner = _inflated(element.body, order, room) if packed else element
            room -= len(inner.body) if packed else 0
            for field, part in _fields(inner.body, order):
                look(part, f"{name}/{field}", deep + 1)
        else:
            others[name] = _OTHERS.get(matrix.kind, "something unknown")

    for element in _elements(data, order):
        look(element, "", 0)
    return found, others


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """What stands one behind the other. Raises MaskError where something is cut off."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise MaskError(_DAMAGED)
        kind, size = np.frombuffer(data[at : at + 8], f"{order}u4").tolist()
        start, at = at + 8, at + 8
        if kind >> 16:  # four bytes or fewer, within the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, start - 4
        else:
            at += size if kind == _COMPRESSED else -(-size // 8) * 8
        if start + size > min(max(at, start), len(data)):
            raise MaskError(_DAMAGED)
        yield _Element(kind, data[start : start + size])


def _matrix(body: memoryview, order: str) -> _Matrix | None:
    """What the beginning of a matrix says; None where it is empty."""
    head = [part.body for part in itertools.islice(_elements(body, order), 3)]
    if not head:
        return None
    if len(head) < 3 or len(head[0]) < 4 or len(head[1]) % 4:
        raise MaskError(_DAMAGED)
    flags = int(np.frombuffer(head[0][:4], f"{order}u4")[0])
    shape = tuple(np.frombuffer(head[1], f"{order}i4").tolist())
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
        raise MaskError(_DAMAGED)
    return _Matrix(flags & 0xFF, bool(flags & _COMPLEX), shape, bytes(head[2]).decode("latin-1"))


def _fields(body: memoryview, order: str) -> Iterator[tuple[str, _Element]]:
    """The fields of a structure."""
    parts = itertools.islice(_elements(body, order), 3, None)
    length, names = next(parts, None), next(parts, None)
    if length is None or names is None:
        raise MaskError(_DAMAGED)
    step = int.from_bytes(length.body[:4], "little" if order == "<" else "big")
    if not 1 <= step <= 64 or len(names.body) > _MOST_FIELDS * step:
        raise MaskError(_DAMAGED)
    for at, part in zip(range(0, len(names.body), step), parts, strict=False):
        name = bytes(names.body[at : at + step]).partition(b"\0")[0]
        yield name.decode("latin-1"), part


def _inflated(packed: memoryview, order: str, room: int, *, whole: bool = True) -> _Element:
    """A compressed element, no larger than its own tag says, or its first `room` bytes.

    Raises:
        MaskError: it is damaged, or `whole` and larger than `room`.
    """
    stream = zlib.decompressobj()
    try:
        tag = stream.decompress(packed, 8)
        if len(tag) < 8:
            raise MaskError(_DAMAGED)
        kind, size = np.frombuffer(tag, f"{order}u4").tolist()
        if whole:
            if min(size, MOST_DEFLATED * len(packed)) > room:
                raise MaskError(f"would take more than {LARGEST_MASK >> 20} MiB inflated")
            ask_memory(2 * min(size, MOST_DEFLATED * len(packed)))
        body = stream.decompress(stream.unconsumed_tail, size + 1 if whole else min(size, room))
    except zlib.error as error:
        raise MaskError(_DAMAGED) from error
    if whole and (len(body) != size or not stream.eof):
        raise MaskError(_DAMAGED)
    return _Element(kind, memoryview(body))
