"""Samples of colours as one raw value a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BAND_PIXELS = 1 << 18


def pack_colours(channels: NDArray[np.uint8], samples: str) -> NDArray[np.uint32]:
    """(H, W, C) samples as one value a pixel: 0xRRGGBB, plus (255 - alpha) << 24."""
    packed = np.empty(channels.shape[:-1], np.uint32)
    rows = max(1, _BAND_PIXELS // max(1, packed[:1].size))
    for first in range(0, len(packed), rows):
        band, wide = packed[first : first + rows], channels[first : first + rows].astype(np.uint32)
        if samples == "greyalpha":
            np.multiply(wide[..., 0], np.uint32(0x010101), out=band)
        else:
            np.bitwise_or(wide[..., 0] << 16 | wide[..., 1] << 8, wide[..., 2], out=band)
        if samples != "rgb":
            band |= (255 - wide[..., -1]) << 24
    return packed
