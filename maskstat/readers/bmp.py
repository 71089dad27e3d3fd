"""BMP: 1/4/8-bit palettes (indices), 16/24/32-bit colours."""

from __future__ import annotations

from PIL import BmpImagePlugin

from maskstat.readers import LabelMap, ReadOptions
from maskstat.readers.raster import label_map, open_image


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values; Pillow drops a palette only where it is the identity, so indices stay."""
    return label_map(open_image(data, BmpImagePlugin.BmpImageFile, "BMP"), "bmp", "BMP")
