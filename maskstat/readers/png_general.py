"""PNGs that the fast path leaves out (interlaced ones) and pixels of colours, through Pillow.

It reads every other PNG as well, which makes it the fast path's second opinion.
"""

from __future__ import annotations

from PIL import PngImagePlugin

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap
from maskstat.readers.pillow_images import label_map, open_image
from maskstat.values.tally import Encoding

_DEPTH_AT, _COLOUR_TYPE_AT = 24, 25
_GREY, _PALETTE = 0, 3


def read_general(data: bytes) -> LabelMap:
    """Raw values as stored: Pillow's spreading of 2- and 4-bit grey over 0..255 is undone.

    Raises:
        MaskError: corrupt, too large, or colours of 16 bits, which Pillow would cut to 8.
    """
    image = open_image(data, PngImagePlugin.PngImageFile, "PNG")
    depth, colour_type = data[_DEPTH_AT], data[_COLOUR_TYPE_AT]
    if colour_type not in {_GREY, _PALETTE} and depth != 8:
        raise MaskError(f"an interlaced PNG of {depth}-bit colour samples is not decoded here")
    pixels, encoding = label_map(image, "png", "PNG")
    if encoding.is_colour:
        return LabelMap(pixels, encoding)
    if colour_type == _GREY and depth in {2, 4}:
        pixels = pixels // (255 // ((1 << depth) - 1))
    return LabelMap(
        pixels, Encoding("png", "palette" if colour_type == _PALETTE else "grey", depth)
    )
