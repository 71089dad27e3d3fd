"""WebP: lossless ones only, unless allowed. WebP has no grey mode; grey comes as R = G = B."""

from __future__ import annotations

import struct

from PIL import WebPImagePlugin

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap, refuse_lossy
from maskstat.readers.options import ReadOptions
from maskstat.readers.pillow_images import label_map, open_image


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Colours as stored (see `maskstat.values.catalog` for grey label maps in WebP)."""
    lossy = _is_lossy(data)
    if lossy:
        refuse_lossy("WebP's VP8", options)
    image = open_image(data, WebPImagePlugin.WebPImageFile, "WebP")
    pixels, encoding = label_map(image, "webp", "WebP")
    return LabelMap(pixels, encoding.lossy() if lossy else encoding)


def _is_lossy(data: bytes) -> bool:
    """Whether the bitstream is VP8 (lossy) rather than VP8L. Raises MaskError if it is neither."""
    offset = 12
    while offset + 8 <= len(data):
        chunk, size = struct.unpack_from("<4sI", data, offset)
        if chunk in {b"VP8 ", b"VP8L"}:
            return bool(chunk == b"VP8 ")
        if chunk == b"ANMF":
            raise MaskError("an animated WebP where one mask is expected")
        offset += 8 + size + size % 2
    raise MaskError("corrupt WebP: no image data")
