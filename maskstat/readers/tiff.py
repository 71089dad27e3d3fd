"""TIFF: single-page, 1 to 32 bits, palettes, RGB(A), float masks of whole numbers.

Pillow shows images; labels must come back as stored. So what it does for display is undone here:
2- and 4-bit samples are spread over 0..255, "white is zero" samples are inverted, and unsigned
32-bit or signed 8-bit samples come in a type of the wrong sign.
"""

from __future__ import annotations

import numpy as np
from PIL import TiffImagePlugin

from maskstat.errors import MaskError
from maskstat.readers import LabelMap, ReadOptions, refuse_lossy
from maskstat.readers.raster import label_map, open_image
from maskstat.tally import Encoding

_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT = 262, 258, 339
_LOSSY_COMPRESSIONS = {"jpeg": "JPEG", "tiff_jpeg": "JPEG", "webp": "WebP"}
_UNSIGNED, _SIGNED = 1, 2


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored."""
    image = open_image(data, TiffImagePlugin.TiffImageFile, "TIFF")
    lossy = _LOSSY_COMPRESSIONS.get(str(image.info.get("compression")))
    if lossy:
        refuse_lossy(f"{lossy}-in-TIFF", options)
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = _first(tags.get(_BITS), 1)
    photometric = _first(tags.get(_PHOTOMETRIC), 1)
    sample_format = _first(tags.get(_SAMPLE_FORMAT), _UNSIGNED)
    pixels, encoding = label_map(image, "tiff", "TIFF")
    if encoding.is_colour and bits != 8:
        raise MaskError(f"{bits}-bit colour samples are no class colours")
    if encoding.samples == "grey" and bits <= 8:
        if photometric == 0:
            pixels = (1 if bits == 1 else 255) - pixels
        if bits in {2, 4}:
            pixels = pixels // (255 // ((1 << bits) - 1))
        if sample_format == _SIGNED and bits == 8:
            pixels = pixels.view(np.int8)
        encoding = Encoding("tiff", "int" if sample_format == _SIGNED else "grey", bits)
    elif encoding.samples == "int" and sample_format == _UNSIGNED and bits == 32:
        pixels, encoding = pixels.view(np.uint32), Encoding("tiff", "uint", 32)
    return LabelMap(pixels, encoding.lossy() if lossy else encoding)


def _first(tag: object, default: int) -> int:
    value = tag[0] if isinstance(tag, tuple) and tag else tag
    return value if isinstance(value, int) else default
