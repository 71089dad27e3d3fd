"""JPEG: refused unless allowed, because its compression changes labels."""

from __future__ import annotations

from PIL import JpegImagePlugin

from maskstat.readers.base import LabelMap, refuse_lossy
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, open_image


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Grey levels or colours as decoded, marked lossy."""
    refuse_lossy("JPEG", options)
    pixels, encoding = label_map(
        open_image(data, JpegImagePlugin.JpegImageFile, "JPEG"), "jpeg", "JPEG"
    )
    return LabelMap(pixels, encoding.lossy())
