"""PNG files of any kind, sound or broken, from our own plain writer; and a plain reader to match.

Nothing here shares code with the package: the writer predicts each byte from the pixels, the
reader undoes filters byte by byte in the words of the standard.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3
FILTERS = range(5)


def chunk(kind: bytes, data: bytes = b"", *, crc: int | None = None) -> bytes:
    """One chunk, with its right CRC or the one given."""
    right = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", right)


def header(
    width: int, height: int, bits: int, colour_type: int = GREY, methods: bytes = b"\0\0\0"
) -> bytes:
    """An IHDR chunk; `methods` are compression, filter, interlace."""
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, bits, colour_type) + methods)


def palette(entries: int = 256) -> bytes:
    """A PLTE chunk of some colours."""
    return chunk(b"PLTE", bytes((7 * k) % 256 for k in range(3 * entries)))


def row_bytes(width: int, bits: int) -> int:
    return -(-width * bits // 8)


def rows_of(
    pixels: NDArray[np.integer], bits: int, padding: NDArray[np.integer] | None = None
) -> NDArray[np.uint8]:
    """uint8[H, row_bytes] from pixels (H, W); `padding` (H,) fills spare bits, else they are 0."""
    height, width = pixels.shape
    if bits == 16:
        return pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    if bits == 8:
        return pixels.astype(np.uint8)
    per_byte = 8 // bits
    spare = -width % per_byte
    filled = np.zeros((height, width + spare), np.uint8)
    filled[:, :width] = pixels
    if padding is not None and spare:
        filled[:, width:] = padding[:, None] % (1 << bits)
    out = np.zeros((height, filled.shape[1] // per_byte), np.uint8)
    for k in range(per_byte):
        out |= filled[:, k::per_byte] << (8 - bits * (k + 1))
    return out


def filtered(rows: NDArray[np.uint8], filters: Iterable[int], pixel_bytes: int) -> bytes:
    """The rows as PNG stores them, each with its filter type: what IDAT inflates to."""
    x = rows.astype(np.int64)
    a, b, c = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    a[:, pixel_bytes:] = x[:, :-pixel_bytes]
    b[1:] = x[:-1]
    c[1:, pixel_bytes:] = x[:-1, :-pixel_bytes]
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    predictions = (np.zeros_like(x), a, b, (a + b) // 2, paeth)
    out = np.empty((len(x), x.shape[1] + 1), np.uint8)
    for row, kind in enumerate(filters):
        out[row, 0] = kind
        out[row, 1:] = (x[row] - predictions[kind][row]) % 256
    return out.tobytes()


def stream_of(pixels: NDArray[np.integer], bits: int, filters: Sequence[int]) -> bytes:
    """`filtered` rows of pixels (H, W)."""
    return filtered(rows_of(pixels, bits), filters, 2 if bits == 16 else 1)


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data in pieces that end at the cuts; a cut twice makes an empty piece."""
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


def idat(stream: bytes, *, level: int = 6, cuts: Iterable[int] = ()) -> bytes:
    """IDAT chunks of a stream, its zlib data cut anywhere."""
    return b"".join(chunk(b"IDAT", piece) for piece in split(zlib.compress(stream, level), cuts))


def png(
    pixels: NDArray[np.integer],
    bits: int,
    filters: Sequence[int],
    *,
    colour_type: int = GREY,
    level: int = 1,
    cuts: Iterable[int] = (),
    padding: NDArray[np.integer] | None = None,
) -> bytes:
    """A sound PNG file."""
    height, width = pixels.shape
    stream = filtered(rows_of(pixels, bits, padding), filters, 2 if bits == 16 else 1)
    return b"".join(
        [
            SIGNATURE,
            header(width, height, bits, colour_type),
            palette(1 << bits) if colour_type == PALETTE else b"",
            idat(stream, level=level, cuts=cuts),
            chunk(b"IEND"),
        ]
    )


def wrap(
    width: int, height: int, bits: int, stream: bytes, *, colour_type: int = GREY, level: int = 1
) -> bytes:
    """A PNG file around any stream, whether it fits or not."""
    middle = palette(1 << bits) if colour_type == PALETTE else b""
    return (
        SIGNATURE
        + header(width, height, bits, colour_type)
        + middle
        + idat(stream, level=level)
        + chunk(b"IEND")
    )


def labels(rng: np.random.Generator, height: int, width: int, bits: int) -> NDArray[np.uint16]:
    """A label map: a few flat regions with slanted, wobbling borders, some specks."""
    values = rng.integers(0, 1 << bits, 6)
    if rng.random() < 0.5:  # neighbouring ids, where Average settles beside its goal
        values = (int(values[0]) + np.arange(6)) % (1 << bits)
    slope = rng.uniform(-2, 2, 3)
    y, x = np.mgrid[0:height, 0:width]
    regions = sum(
        (x + s * y + rng.integers(-1, 2, (height, 1)) > rng.uniform(0, width)).astype(int)
        for s in slope
    )
    pixels = values[regions]
    specks = rng.random((height, width)) < 0.01
    pixels[specks] = rng.integers(0, 1 << bits, int(specks.sum()))
    return pixels.astype(np.uint16)


def noise(rng: np.random.Generator, height: int, width: int, bits: int) -> NDArray[np.uint16]:
    """Every pixel by itself."""
    return rng.integers(0, 1 << bits, (height, width)).astype(np.uint16)


def counts_of(pixels: NDArray[np.integer]) -> dict[int, int]:
    """{value: pixels}, the plain way."""
    values, counts = np.unique(pixels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def plain_unfilter(stream: bytes, height: int, width: int, bits: int) -> NDArray[np.uint16] | None:
    """Pixels (H, W) from filtered rows, byte by byte; None where a filter type is unknown.

    The reference for every kernel.
    """
    length = row_bytes(width, bits)
    step = 2 if bits == 16 else 1
    above = bytes(length)
    pixels = np.empty((height, width), np.uint16)
    for y in range(height):
        start = y * (length + 1)
        kind, row = stream[start], bytearray(stream[start + 1 : start + 1 + length])
        if kind not in FILTERS:
            return None
        for x in range(length):
            a = row[x - step] if x >= step else 0
            b = above[x]
            c = above[x - step] if x >= step else 0
            row[x] = (row[x] + (0, a, b, (a + b) // 2, _paeth(a, b, c))[kind]) % 256
        above = bytes(row)
        pixels[y] = [_pixel(row, x, bits) for x in range(width)]
    return pixels


def _paeth(a: int, b: int, c: int) -> int:
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    if pa <= pb and pa <= pc:
        return a
    return b if pb <= pc else c


def _pixel(row: bytearray, x: int, bits: int) -> int:
    if bits == 16:
        return row[2 * x] << 8 | row[2 * x + 1]
    first_bit = x * bits
    return row[first_bit // 8] >> (8 - bits - first_bit % 8) & ((1 << bits) - 1)


def plain_read(data: bytes) -> NDArray[np.uint16] | None:
    """Pixels of a non-interlaced grey or palette PNG whose critical chunks are sound, else None."""
    position, idat_data, found = 8, b"", None
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            found = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            idat_data += body
        elif kind == b"IEND":
            break
        position += 12 + length
    if found is None:
        return None
    width, height, bits, _ = found
    return plain_unfilter(zlib.decompressobj().decompress(idat_data), height, width, bits)
