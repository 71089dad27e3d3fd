"""LZW strips and tiles of TIFFs that are not plain, decoded by libtiff, which comes with Pillow.

imagecodecs has a faster decoder, but damaged data makes it write where it should not. libtiff is
given a strip or tile as a TIFF of its own, of one strip of bytes.
"""

from __future__ import annotations

import struct

from PIL import TiffImagePlugin

from maskstat.errors import MaskError
from maskstat.memory import MemoryTask
from maskstat.readers.libtiff import libtiff_errors
from maskstat.readers.pillow_images import load_pixels, open_image

_LZW, _LONG = 5, 4
_HEADER_BYTES = 8
_ENTRY = struct.Struct("<HHII")


def decode_lzw(data: bytes, rows: int, row_bytes: int) -> bytes:
    """The rows x row_bytes bytes that LZW data makes. Raises MaskError where it makes fewer."""
    tags = {
        256: row_bytes,
        257: rows,
        258: 8,
        259: _LZW,
        262: 1,
        273: 0,
        277: 1,
        278: rows,
        279: len(data),
    }
    pixels_at = _HEADER_BYTES + 2 + _ENTRY.size * len(tags) + 4
    tags[273] = pixels_at
    entries = b"".join(_ENTRY.pack(tag, _LONG, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHIH", b"II", 42, _HEADER_BYTES, len(tags))
    image = open_image(
        b"".join([head, entries, bytes(4), data]), TiffImagePlugin.TiffImageFile, "TIFF"
    )
    if image.size != (row_bytes, rows) or image.mode != "L":
        raise MaskError("corrupt TIFF: not readable as LZW data")
    with MemoryTask(), libtiff_errors():  # one of many strips or tiles
        return load_pixels(image, "TIFF").tobytes()
