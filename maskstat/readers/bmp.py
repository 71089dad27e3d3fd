"""BMP: 1/4/8-bit palettes (indices), 16/24/32-bit colours."""

from __future__ import annotations

import struct

from PIL import BmpImagePlugin

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.readers.base import LabelMap
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, open_image
from maskstat.values.tally import Encoding

_FILE_HEADER = 14
_NO_GREY = b"\x01\x02\x03"
_RUN_LENGTHS = {1: 8, 2: 4}  # compression -> bits that it is defined for


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values: palette indices, whatever colours the palette gives them."""
    bits, palette = _layout(data)
    if bits <= 8:
        # A palette of greys makes Pillow drop it and take the pixels for plain grey, also 4-bit
        # ones and 8-bit ones of a 2-colour palette, which then come out wrong. Colours don't
        # matter here, so one entry is painted over.
        ask_memory(len(data))
        data = data[:palette] + _NO_GREY + data[palette + len(_NO_GREY) :]
    pixels, encoding = label_map(open_image(data, BmpImagePlugin.BmpImageFile, "BMP"), "bmp", "BMP")
    return LabelMap(pixels, Encoding("bmp", "palette", bits) if bits <= 8 else encoding)


def _layout(data: bytes) -> tuple[int, int]:
    """Bits a pixel, and where the palette of an indexed image starts.

    Raises MaskError where the header contradicts itself: decoders then differ in what they read.
    """
    try:
        pixels, header = struct.unpack_from("<II", data, _FILE_HEADER - 4)
        (bits,) = struct.unpack_from("<H", data, _FILE_HEADER + (10 if header == 12 else 14))
        compression = 0 if header == 12 else struct.unpack_from("<I", data, _FILE_HEADER + 16)[0]
    except struct.error:
        raise MaskError("not a readable BMP: it ends within its header") from None
    palette = _FILE_HEADER + header
    if pixels < palette + (len(_NO_GREY) if bits <= 8 else 0):
        raise MaskError(f"its pixels begin at byte {pixels}, within the header or the palette")
    if _RUN_LENGTHS.get(compression, bits) != bits:
        raise MaskError(f"run lengths of another depth than its {bits} bits")
    return bits, palette
