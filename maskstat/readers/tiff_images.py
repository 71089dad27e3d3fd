"""Strips and tiles that are images of their own (JPEG, JPEG 2000, WebP, PNG) within a TIFF.

Their decoders take the memory that the image's own header asks for; so Pillow reads that header
first, which decodes nothing.
"""

from __future__ import annotations

from PIL import Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from maskstat.errors import MaskError
from maskstat.readers.pillow_images import open_image

_JPEG_2000 = ("JPEG 2000", False)

# Compression -> (its name, whether it changes nothing).
IMAGE_CODECS: dict[int, tuple[str, bool]] = {
    7: ("JPEG", False),
    33003: _JPEG_2000,
    33004: _JPEG_2000,
    33005: _JPEG_2000,
    34712: _JPEG_2000,
    34933: ("PNG", True),
    50001: ("WebP", False),
}
_OPENERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}


def check_image(data: bytes, compression: int, shape: tuple[int, int]) -> None:
    """Raise MaskError where an image is larger than its strip or tile, (height, width)."""
    name, _ = IMAGE_CODECS[compression]
    image = open_image(data, _OPENERS[name], name)
    if image.size[1] > shape[0] or image.size[0] > shape[1]:
        raise MaskError(
            f"corrupt TIFF: a {name} of {image.size[0]}x{image.size[1]} pixels in a tile of"
            f" {shape[1]}x{shape[0]}"
        )
