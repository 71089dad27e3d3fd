"""`MaskExposure` as bytes, some hundred of them, and back; one whose crops are aimed is several."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from maskstat.exposure.units import AimedExposure, MaskExposure
from maskstat.values.tally import IntArray

_HEADER = struct.Struct("<IIIqB3B")  # CRC-32 of the rest, classes, crops, rest, chance?, item sizes
_AIMED = struct.Struct("<IIB")  # CRC-32 of the rest, classes, item size of their pixels
_LENGTH = struct.Struct("<I")  # of each part
_KINDS = {size: np.dtype(f"<u{size}") for size in (1, 2, 4, 8)}


def to_bytes(one: MaskExposure, drawn: str) -> bytes:
    """All of it, each table in the narrowest type that holds it.

    `drawn` is the name that decided its crops: the checksum is of both.
    """
    areas = one.area if one.area.size and (one.area != one.area[0]).any() else one.area[:1]
    there = one.counts > 0
    tables = [_narrow(one.classes), _narrow(one.counts[there]), _narrow(areas)]
    fixed = one.expected.astype("<i8").tobytes()
    if one.chance is not None:
        fixed += one.chance.astype("<i8").tobytes()
    sizes = [table.itemsize for table in tables]
    bits = np.packbits(there).tobytes()  # crops have few of the mask's classes
    body = b"".join([fixed, bits, *(table.tobytes() for table in tables)])
    header = (len(one.classes), len(one.area), one.rest, one.chance is not None, *sizes)
    crc = _checksum(drawn, _HEADER.pack(0, *header) + body)
    return _HEADER.pack(crc, *header) + body


def from_bytes(data: bytes, drawn: str) -> MaskExposure:
    """What `to_bytes` packed. Raises ValueError where it, or the name, has changed since."""
    if len(data) < _HEADER.size:
        raise ValueError("no exposure of a mask")
    crc, *header = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if _checksum(drawn, _HEADER.pack(0, *header) + body) != crc:
        raise ValueError("an exposure of a mask that has changed")
    count, crops, rest, has_chance, *sizes = header
    place = 0

    def take(kind: np.dtype[np.unsignedinteger] | str, items: int) -> IntArray:
        nonlocal place
        found = np.frombuffer(body, kind, items, place).astype(np.int64)
        place += np.dtype(kind).itemsize * items
        return found

    expected = take("<i8", count)
    chance = take("<i8", count) if has_chance else None
    bits = take("u1", -(-crops * count // 8)).astype(np.uint8)
    there = np.unpackbits(bits, count=crops * count).astype(bool)
    classes = take(_KINDS[sizes[0]], count)
    counts = np.zeros(crops * count, np.int64)
    counts[there] = take(_KINDS[sizes[1]], int(there.sum()))
    areas = take(_KINDS[sizes[2]], (len(body) - place) // sizes[2])
    area = areas if areas.size == crops else np.repeat(areas, crops)
    return MaskExposure(classes, expected, rest, chance, counts.reshape(crops, count), area)


def aimed_to_bytes(one: AimedExposure, drawn: str) -> bytes:
    """All of it: the pixels, and what `to_bytes` makes of each part."""
    pixels = _narrow(one.pixels)
    parts = [to_bytes(part, drawn) for part in (one.anywhere, *one.aimed)]
    body = b"".join([pixels.tobytes(), *(_LENGTH.pack(len(part)) + part for part in parts)])
    header = (len(one.pixels), pixels.itemsize)
    return _AIMED.pack(_checksum(drawn, _AIMED.pack(0, *header) + body), *header) + body


def aimed_from_bytes(data: bytes, drawn: str) -> AimedExposure:
    """What `aimed_to_bytes` packed. Raises ValueError where it, or the name, has changed since."""
    if len(data) < _AIMED.size:
        raise ValueError("no exposure of a mask")
    crc, *header = _AIMED.unpack_from(data)
    body = data[_AIMED.size :]
    if _checksum(drawn, _AIMED.pack(0, *header) + body) != crc:
        raise ValueError("an exposure of a mask that has changed")
    count, size = header
    pixels = np.frombuffer(body, _KINDS[size], count).astype(np.int64)
    parts, place = [], count * size
    while place < len(body):
        (length,) = _LENGTH.unpack_from(body, place)
        place += _LENGTH.size + length
        parts.append(from_bytes(body[place - length : place], drawn))
    return AimedExposure(parts[0], pixels, tuple(parts[1:]))


def _checksum(drawn: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(drawn.encode("utf-8", "surrogatepass")))


def _narrow(table: IntArray) -> NDArray[np.unsignedinteger]:
    """Of whole numbers from 0 on."""
    largest = int(table.max()) if table.size else 0
    size = next(size for size in _KINDS if largest < 1 << 8 * size)
    return table.astype(_KINDS[size])
