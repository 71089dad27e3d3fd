"""GIF: palette indices of a single frame."""

from __future__ import annotations

from PIL import GifImagePlugin

from maskstat.readers.base import LabelMap
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, open_image


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values; Pillow drops a palette only where it is the identity, so indices stay."""
    return label_map(open_image(data, GifImagePlugin.GifImageFile, "GIF"), "gif", "GIF")
