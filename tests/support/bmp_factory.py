"""BMP files with any palette and bit depth from our own plain writer."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


def bmp(
    pixels: NDArray[np.uint8], bits: int, palette: Sequence[Colour], *, stated_colours: int = 0
) -> bytes:
    """A bottom-up BMP of palette indices (H, W); 0 stated colours stands for 2**bits."""
    height, width = pixels.shape
    shifts = np.arange(bits - 1, -1, -1)
    digits = ((pixels[::-1, :, None] >> shifts) & 1).reshape(height, -1).astype(np.uint8)
    rows = np.packbits(digits, axis=1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    colours = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette)
    start = 14 + 40 + len(colours)
    return b"".join(
        [
            struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start),
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, stated_colours, 0),
            colours,
            rows.tobytes(),
        ]
    )
