"""How large an image is, from its header alone: no pixel is decoded, whatever size it claims."""

from __future__ import annotations

import importlib
from typing import IO, TYPE_CHECKING, NamedTuple

from maskstat.errors import MaskError, unreadable
from maskstat.regular_files import open_file

if TYPE_CHECKING:
    from PIL.Image import Image

# A fixed list: what looks like an image but is a program (EPS) is never run through Pillow.
_IMAGE_FORMATS = (
    (b"\xff\xd8\xff", "JpegImagePlugin", "JpegImageFile"),
    (b"\x89PNG\r\n\x1a\n", "PngImagePlugin", "PngImageFile"),
    (b"BM", "BmpImagePlugin", "BmpImageFile"),
    (b"GIF8", "GifImagePlugin", "GifImageFile"),
    (b"RIFF", "WebPImagePlugin", "WebPImageFile"),
    (b"\0\0\0\x0cjP  ", "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    (b"P", "PpmImagePlugin", "PpmImageFile"),
)
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH_TAG, _HEIGHT_TAG, _ORIENTATION_TAG = 256, 257, 274


class ImageHeader(NamedTuple):
    """Size of an image in pixels and its EXIF orientation (1 is upright)."""

    height: int
    width: int
    orientation: int


def read_image_header(path: str) -> ImageHeader:
    """Size and orientation of an image without decoding a pixel, however large it is.

    Raises:
        MaskError: not a file, of no known format, or its header is corrupt.
    """
    try:
        with open_file(path) as file:
            return image_header(file)
    except OSError as error:
        raise MaskError(unreadable(error)) from error


def image_header(file: IO[bytes]) -> ImageHeader:
    """The same of an open file, of which no more is read than its header. Raises MaskError."""
    try:
        head = file.read(16)
        file.seek(0)
        if head[:4] in _TIFF_MAGIC:
            return _tiff_header(file)
        image = opened_image(file)
        if image is not None:
            return _pillow_header(image)
    except OSError as error:
        raise MaskError(unreadable(error)) from error
    except Exception as error:  # plugins raise anything on hostile bytes
        raise MaskError("its header is corrupt") from error
    raise MaskError("of no image format that is known here")


def opened_image(file: IO[bytes]) -> Image | None:
    """An image by one plugin of Pillow, no pixel decoded; None where it is of no format known here.

    Raises whatever the plugin raises.
    """
    head = file.read(16)
    file.seek(0)
    for magic, module, opener in _IMAGE_FORMATS:
        if head.startswith(magic):
            plugin = importlib.import_module(f"PIL.{module}")
            found: Image = getattr(plugin, opener)(file)
            return found
    return None


def _pillow_header(image: Image) -> ImageHeader:
    from PIL.Image import Exif

    width, height = image.size
    exif = Exif()
    if "exif" in image.info:
        exif.load(image.info["exif"])
    return ImageHeader(height, width, _orientation(exif.get(_ORIENTATION_TAG)))


def _tiff_header(file: IO[bytes]) -> ImageHeader:
    """From the first directory alone: satellite images have pixels that Pillow does not know."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    head = file.read(8)
    if head[2:4] in {b"+\0", b"\0+"}:
        head += file.read(8)
    directory = ImageFileDirectory_v2(head)
    file.seek(directory.next)
    directory.load(file)
    return ImageHeader(
        int(directory[_HEIGHT_TAG]),
        int(directory[_WIDTH_TAG]),
        _orientation(directory.get(_ORIENTATION_TAG)),
    )


def _orientation(tag: object) -> int:
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1
