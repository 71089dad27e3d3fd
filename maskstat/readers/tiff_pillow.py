"""The common TIFFs through Pillow: one page, 1 to 32 bits, palettes, RGB(A), floats.

Pillow shows images; labels must come back as stored. So what it does for display is undone here:
2- and 4-bit samples are spread over 0..255, "white is zero" samples are inverted, and unsigned
32-bit or signed 8-bit samples come in a type of the wrong sign.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, TiffImagePlugin

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap, refuse_lossy
from maskstat.readers.libtiff import libtiff_errors
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, load_pixels, open_image
from maskstat.readers.tiff_deflate import DEFLATE, check_deflated
from maskstat.readers.tiff_directory import Directory, turned, upright
from maskstat.readers.tiff_nodata import with_nodata
from maskstat.values.tally import Encoding

_BITS, _PHOTOMETRIC, _SAMPLES_PER_PIXEL, _SAMPLE_FORMAT = 258, 262, 277, 339
_CHANNELS = {"greyalpha": 2, "rgb": 3, "rgba": 4}
_LOSSY_COMPRESSIONS = {"jpeg": "JPEG", "tiff_jpeg": "JPEG", "webp": "WebP"}
_UNSIGNED, _SIGNED = 1, 2
_FAX = frozenset({2, 3, 4})


def read_with_pillow(data: bytes, directory: Directory, options: ReadOptions) -> LabelMap:
    """Raw values as stored, the right way up. Raises MaskError."""
    page = directory.pages[0]
    if page.compression in DEFLATE:
        check_deflated(data, directory, page)
    if page.orientation != 1:
        data = upright(data, directory, page)
    image = open_image(data, TiffImagePlugin.TiffImageFile, "TIFF")
    lossy = _LOSSY_COMPRESSIONS.get(str(image.info.get("compression")))
    if lossy:
        refuse_lossy(f"{lossy}-in-TIFF", options)
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = _first(tags.get(_BITS), 1)
    photometric = _first(tags.get(_PHOTOMETRIC), 0)  # as Pillow has it where the tag is missing
    sample_format = _first(tags.get(_SAMPLE_FORMAT), _UNSIGNED)
    _check_coverage(image)
    with libtiff_errors() as errors:
        if image.mode == "F":
            floats, encoding = load_pixels(image, "TIFF"), Encoding("tiff", "float", 32)
            pixels, encoding = with_nodata(floats, page.nodata, encoding)
        else:
            pixels, encoding = label_map(image, "tiff", "TIFF")
    if page.compression in _FAX and errors:  # libtiff goes on, with rows of its own making
        raise MaskError(f"corrupt TIFF: {errors[0]}")
    pixels = turned(pixels, page.orientation)
    channels = _first(tags.get(_SAMPLES_PER_PIXEL), 1)
    if channels != _CHANNELS.get(encoding.samples, 1):
        raise MaskError(f"{channels} channels where one of class indices is expected")
    if (encoding.is_colour and bits != 8) or (encoding.samples == "float" and bits != 32):
        # Pillow would round them to its own types.
        raise MaskError(f"{bits}-bit {encoding.samples} samples are no class labels")
    if encoding.samples == "grey":
        if bits <= 8 and photometric == 0:
            pixels = (1 if bits == 1 else 255) - pixels
        if bits in {2, 4}:
            pixels = pixels // (255 // ((1 << bits) - 1))
        if bits == 8 and sample_format == _SIGNED:
            pixels = pixels.view(np.int8)
    elif encoding.samples == "int" and bits == 32 and sample_format == _UNSIGNED:
        pixels = pixels.view(np.uint32)
    samples = encoding.samples
    if samples in {"grey", "int"}:
        samples = "int" if sample_format == _SIGNED else "uint" if bits == 32 else "grey"
    encoding = Encoding("tiff", samples, bits, nodata=encoding.nodata)
    if samples != "float":
        pixels, encoding = with_nodata(pixels, page.nodata, encoding)
    return LabelMap(pixels, encoding.lossy() if lossy else encoding)


def _check_coverage(image: Image.Image) -> None:
    """Raise MaskError where strips or tiles are missing: Pillow would fill in zeros."""
    width, height = image.size
    extents = [tile[1] for tile in image.tile]  # type: ignore[attr-defined]
    covered = sum((min(x1, width) - x0) * (min(y1, height) - y0) for x0, y0, x1, y1 in extents)
    # Colour planes stored one after the other cover the image once each.
    if covered < width * height or covered % (width * height):
        raise MaskError("corrupt TIFF: strips or tiles are missing")


def _first(tag: object, default: int) -> int:
    value = tag[0] if isinstance(tag, tuple) and tag else tag
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else default
