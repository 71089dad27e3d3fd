"""PNG files of indexed images, as data URIs: heat maps, matrices and thumbnails of the page.

Written here because a page holds hundreds of them: 2, 4 or 8 bits a pixel, one chunk each, and the
same bytes whatever imaging library is installed.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


def palette_png(indices: NDArray[np.integer], palette: Sequence[Colour]) -> bytes:
    """A PNG of indices [H, W] into at most 256 colours.

    Rows are unfiltered: of labels, that is what compresses best.
    """
    height, width = indices.shape
    bits = next(bits for bits in (1, 2, 4, 8) if len(palette) <= 1 << bits)
    rows = np.asarray(indices, np.uint8)
    if bits < 8:
        lanes = 8 // bits
        padded = np.pad(rows, ((0, 0), (0, -width % lanes))).reshape(height, -1, lanes)
        shifts = np.arange(lanes - 1, -1, -1, dtype=np.uint8) * bits
        rows = np.bitwise_or.reduce(padded << shifts, axis=2).astype(np.uint8)
    scanlines = np.pad(rows, ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)
    colours = bytes(part for colour in palette for part in colour)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", colours)
        + _chunk(b"IDAT", zlib.compress(scanlines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def data_uri(png: bytes) -> str:
    """The PNG as what an `<img>` takes."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def rgb(colour: str) -> Colour:
    """The parts of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
