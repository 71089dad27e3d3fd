"""JPEG 2000: reversible ones only, unless allowed. Samples are those of the codestream, as stored.

Whether a wavelet is the reversible one stands in every header that may say otherwise for a tile or
a component, so all of them are looked at (ISO/IEC 15444-1, annex A). What a JP2 file says around
its codestream (palettes, colour spaces) changes no sample.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Jpeg2KImagePlugin

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap, refuse_lossy
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, open_image

_CODESTREAM = b"\xff\x4f\xff\x51"
_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_WAVELET = {_COD: 11, _COC: 8}  # where in the segment it stands; the reversible one is 1
_MOST_HEADERS = 1 << 22
_RGB = (16,)  # colour spaces whose samples are red, green and blue


class _Facts(NamedTuple):
    """What a codestream's headers say."""

    bits: int
    components: int
    is_reversible: bool


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Grey levels, palette indices or colours as stored."""
    stream = _codestream(data)
    try:
        facts = _facts(stream)
    except (struct.error, IndexError) as error:
        raise MaskError("corrupt JPEG 2000: it ends within a header") from error
    if not facts.is_reversible:
        refuse_lossy("JPEG 2000's 9/7", options)
    if facts.bits > 16 or (facts.components > 1 and facts.bits != 8):
        raise MaskError(f"{facts.bits}-bit JPEG 2000 of {facts.components} components")
    image = open_image(stream, Jpeg2KImagePlugin.Jpeg2KImageFile, "JPEG 2000")
    pixels, encoding = label_map(image, "jpeg 2000", "JPEG 2000")
    if facts.components == 1:  # Pillow fills bytes up from below
        pixels = np.right_shift(pixels, (-facts.bits) % 8, dtype=pixels.dtype)
        encoding = encoding._replace(bits=facts.bits)
    return LabelMap(pixels, encoding if facts.is_reversible else encoding.lossy())


def _codestream(data: bytes) -> bytes:
    """The codestream of a JP2, or the data. Raises MaskError where samples are other colours."""
    if data.startswith(_CODESTREAM):
        return data
    found = b""
    for kind, start, stop in _boxes(data, 0, len(data)):
        if kind == b"jp2h":
            _check_colours(data, start, stop)
        elif kind == b"jp2c" and not found:
            found = data[start:stop]
    if not found.startswith(_CODESTREAM):
        raise MaskError("corrupt JPEG 2000: no codestream")
    return found


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind and content of each box. Raises MaskError where one is longer than what it is in."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1 and at + 16 <= end:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if length == 0 else at + length
        if not start <= stop <= end:
            raise MaskError("corrupt JPEG 2000: a box that ends behind the file")
        yield kind, start, stop
        at = stop


def _check_colours(data: bytes, start: int, stop: int) -> None:
    boxes = {kind: data[a:b] for kind, a, b in _boxes(data, start, stop)}
    components = int.from_bytes(boxes.get(b"ihdr", b"")[8:10], "big")
    colour, order = boxes.get(b"colr", b""), boxes.get(b"cdef", b"\0\0")
    if components > 2 and colour[:1] == b"\1" and int.from_bytes(colour[3:7], "big") not in _RGB:
        raise MaskError("JPEG 2000 in a colour space that is not RGB")
    for at in range(2, len(order) - 5, 6):
        channel, kind, place = struct.unpack_from(">3H", order, at)
        if kind == 0 and place not in {0, channel + 1}:
            raise MaskError("JPEG 2000 whose colours are in another order")


def _facts(stream: bytes) -> _Facts:
    """What the headers say of all tiles. Raises MaskError, struct.error and IndexError."""
    bits = components = tiles = 0
    wavelets, seen = set[int](), set[int]()
    at, tile_end = 2, 0
    for _ in range(_MOST_HEADERS):
        (marker,) = struct.unpack_from(">H", stream, at)
        if marker == _EOC:
            if len(seen) != tiles:
                raise MaskError(f"JPEG 2000 with {len(seen)} of {tiles} tiles")
            return _Facts(bits, components, wavelets == {1})
        if marker == _SOD:
            at = tile_end
            continue
        (length,) = struct.unpack_from(">H", stream, at + 2)
        if marker == _SIZ:
            bits, components, tiles = _sizes(stream, at + 2)
        elif marker in _WAVELET:
            wavelets.add(stream[at + 2 + _WAVELET[marker]])
        elif marker == _SOT:
            tile, size = struct.unpack_from(">HI", stream, at + 4)
            seen.add(tile)
            tile_end = at + size if size else len(stream) - 2
            if tile_end < at + 14 or tile_end > len(stream) - 2:
                raise MaskError("corrupt JPEG 2000: its pixels are cut off")
        if length < 2 or marker < 0xFF00:
            raise MaskError("corrupt JPEG 2000: no header where one should be")
        at += 2 + length
    raise MaskError("JPEG 2000 with too many headers")


def _sizes(stream: bytes, at: int) -> tuple[int, int, int]:
    """Bits of a sample, components and tiles, from the segment SIZ."""
    wide, high, left, top, tile_wide, tile_high, tile_left, tile_top, components = (
        struct.unpack_from(">8IH", stream, at + 4)
    )
    samples = {
        struct.unpack_from(">3B", stream, at + 38 + 3 * n) for n in range(min(components, 5))
    }
    if len(samples) != 1 or components > 4:
        raise MaskError("JPEG 2000 of several kinds of components, or of more than 4")
    ((depth, across, down),) = samples
    if across != 1 or down != 1 or depth & 0x80:
        raise MaskError("JPEG 2000 of signed or subsampled components")
    if not (tile_wide and tile_high and wide > left >= tile_left and high > top >= tile_top):
        raise MaskError("corrupt JPEG 2000: impossible sizes")
    across, down = -(-(wide - tile_left) // tile_wide), -(-(high - tile_top) // tile_high)
    return depth + 1, components, across * down
