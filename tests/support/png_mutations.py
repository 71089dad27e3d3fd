"""Mutations of PNG files that reach every layer: chunks, header, compressed stream, rows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

from tests.support import png_factory
from tests.support.png_factory import SIGNATURE, chunk

Mutation = Callable[[np.random.Generator, bytes], bytes]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a sound file."""
    position, found = 8, []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def _file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file of chunks, all CRCs right."""
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in chunks)


def _flip(rng: np.random.Generator, data: bytes, most: int = 4) -> bytes:
    """Some bytes changed, most often one."""
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, most + 1))):
        position = int(rng.integers(len(changed)))
        changed[position] = int(rng.choice([changed[position] ^ 1 << rng.integers(8), 0, 255, 7]))
    return bytes(changed)


def _cut_or_grow(rng: np.random.Generator, data: bytes) -> bytes:
    """A piece removed, repeated, zeroed or inserted."""
    first, last = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    piece = data[first:last]
    middle = (b"", piece + piece, bytes(len(piece)), rng.bytes(int(rng.integers(20))) + piece)
    return data[:first] + middle[int(rng.integers(4))] + data[last:]


def anywhere(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes of the file, whatever they are."""
    return _flip(rng, data)


def truncated(rng: np.random.Generator, data: bytes) -> bytes:
    """The file's beginning, perhaps with something else behind."""
    return data[: int(rng.integers(len(data)))] + rng.bytes(int(rng.choice([0, 0, 1, 30])))


def shifted(rng: np.random.Generator, data: bytes) -> bytes:
    """Pieces of the file removed, repeated, zeroed."""
    return _cut_or_grow(rng, data)


def header_fields(rng: np.random.Generator, data: bytes) -> bytes:
    """IHDR says something else, its CRC is right."""
    chunks = _chunks(data)
    fields = bytearray(chunks[0][1])
    field = int(rng.integers(7))
    if field < 2:
        size = int.from_bytes(fields[4 * field : 4 * field + 4], "big")
        other = int(rng.choice([0, 1, size - 1, size + 1, 2 * size, 2**31 - 1, 2**32 - 1, 70000]))
        fields[4 * field : 4 * field + 4] = struct.pack(">I", max(other, 0))
    else:
        fields[6 + field] = int(rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]))
    return _file([(b"IHDR", bytes(fields)), *chunks[1:]])


_ANCILLARY = (b"pHYs", b"iCCP", b"sRGB", b"cHRM", b"gAMA", b"tRNS", b"zTXt", b"iTXt", b"eXIf")


def chunk_order(rng: np.random.Generator, data: bytes) -> bytes:
    """Chunks dropped, doubled, exchanged, or new ones put between."""
    chunks = _chunks(data)
    where = int(rng.integers(len(chunks)))
    other = int(rng.integers(len(chunks)))
    new = [
        (b"tEXt", b"Title\0street"),
        (b"zzZz", rng.bytes(9)),
        (b"PLTE", bytes(9)),
        (b"tRNS", b"\0\1"),
        (b"IDAT", b""),
        (b"IDAT", rng.bytes(5)),
        (b"IEND", b""),
        (b"ABCD", b"?"),
        (b"gAMA", rng.bytes(4)),
        (b"acTL", bytes(8)),
        (b"fcTL", rng.bytes(int(rng.integers(30)))),
        *((kind, rng.bytes(int(rng.integers(12)))) for kind in _ANCILLARY),
    ]
    match int(rng.integers(4)):
        case 0:
            del chunks[where]
        case 1:
            chunks.insert(other, chunks[where])
        case 2:
            chunks[where], chunks[other] = chunks[other], chunks[where]
        case _:
            chunks.insert(where, new[int(rng.integers(len(new)))])
    return _file(chunks)


def chunk_content(rng: np.random.Generator, data: bytes) -> bytes:
    """A chunk's data, or its name, changed; the CRC is right."""
    chunks = _chunks(data)
    where = int(rng.integers(len(chunks)))
    kind, content = chunks[where]
    if rng.random() < 0.2:
        chunks[where] = (_flip(rng, kind, 1), content)
    elif rng.random() < 0.6:
        chunks[where] = (kind, _flip(rng, content))
    else:
        chunks[where] = (kind, _cut_or_grow(rng, content))
    return _file(chunks)


def _with_packed(rng: np.random.Generator, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The IDAT data replaced, and cut into chunks anew."""
    chunks = _chunks(data)
    packed = change(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    cuts = rng.integers(0, len(packed) + 1, int(rng.integers(3))).tolist()
    pixels = [(b"IDAT", piece) for piece in png_factory.split(packed, cuts)]
    first = next(place for place, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    others = [(kind, content) for kind, content in chunks if kind != b"IDAT"]
    return _file([*others[:first], *pixels, *others[first:]])


def compressed(rng: np.random.Generator, data: bytes) -> bytes:
    """The zlib stream changed; CRCs are right, the Adler-32 most likely not."""
    change = _flip if rng.random() < 0.7 else _cut_or_grow
    return _with_packed(rng, data, lambda packed: change(rng, packed))


def checksum(rng: np.random.Generator, data: bytes) -> bytes:
    """The Adler-32 wrong, cut, or followed by something."""

    def change(packed: bytes) -> bytes:
        tails = (
            _flip(rng, packed[-4:], 1),
            packed[-4 : -int(rng.integers(1, 5))],
            b"",
            packed[-4:],
        )
        return packed[:-4] + tails[int(rng.integers(4))] + rng.bytes(int(rng.integers(3)))

    return _with_packed(rng, data, change)


def rows(rng: np.random.Generator, data: bytes) -> bytes:
    """Filter types and residuals changed, the stream compressed anew: all checksums are right."""
    width, height, bits = struct.unpack(">IIB", _chunks(data)[0][1][:9])
    stride = 1 + png_factory.row_bytes(width, bits)

    def change(packed: bytes) -> bytes:
        stream = bytearray(zlib.decompress(packed))
        for _ in range(int(rng.integers(1, 20))):
            row = int(rng.integers(height))
            if rng.random() < 0.5:
                stream[row * stride] = int(rng.choice([0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 5, 7, 255]))
            else:
                stream[row * stride + int(rng.integers(1, stride))] = int(rng.integers(256))
        return zlib.compress(bytes(stream), int(rng.integers(10)))

    return _with_packed(rng, data, change)


def filters(rng: np.random.Generator, data: bytes) -> bytes:
    """All rows get known filter types at random: another image, but an image."""
    width, height, bits = struct.unpack(">IIB", _chunks(data)[0][1][:9])
    stride = 1 + png_factory.row_bytes(width, bits)

    def change(packed: bytes) -> bytes:
        stream = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, stride).copy()
        stream[:, 0] = rng.integers(0, 5, height)
        return zlib.compress(stream.tobytes(), 1)

    return _with_packed(rng, data, change)


def length_of_stream(rng: np.random.Generator, data: bytes) -> bytes:
    """More or fewer rows and bytes than the header says, checksums right."""

    def change(packed: bytes) -> bytes:
        stream = zlib.decompress(packed)
        by = int(rng.choice([-1, 1, -7, 5, 1000, -len(stream) // 2, 100_000, -len(stream)]))
        stream = stream[:by] if by < 0 else stream + bytes(by)
        return zlib.compress(stream, 9)

    return _with_packed(rng, data, change)


MUTATIONS: tuple[Mutation, ...] = (
    anywhere,
    truncated,
    shifted,
    header_fields,
    chunk_order,
    chunk_content,
    compressed,
    checksum,
    rows,
    filters,
    length_of_stream,
)
