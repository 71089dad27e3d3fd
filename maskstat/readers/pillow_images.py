"""What the formats decoded by Pillow share: opening safely, and raw values from Pillow's modes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from maskstat.errors import MaskError
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.readers.base import LabelMap
from maskstat.readers.packed_colours import pack_colours
from maskstat.values.tally import Encoding

_BYTES_OF_MODE = {
    "1": 1,
    "L": 1,
    "P": 1,
    "LA": 2,
    "PA": 2,
    "RGB": 4,
    "RGBA": 4,
    "RGBX": 4,
    "I": 4,
    "F": 4,
}
# Bytes a pixel that decoding takes at most: Pillow's own, the array's, and those of raw values.
_NEEDED = {"1": 3, "L": 2, "P": 2, "I;16": 4, "I": 8, "F": 28}
_COLOURS_NEEDED = 12
_BESIDE = {"GIF": 1, "JPEG": 6, "WebP": 8, "JPEG 2000": 40}  # that decoders take for themselves
_CROP_PIXELS = 1 << 20
_BOMB = "has more pixels than Pillow may decode (PIL.Image.MAX_IMAGE_PIXELS)"


def open_image(data: bytes, opener: Callable[[io.BytesIO], Image.Image], kind: str) -> Image.Image:
    """Open with one Pillow plugin (not `Image.open`, which would try others) and check its size.

    Raises:
        MaskError: Pillow can't parse it, it is empty, animated or too large to decode at once.
    """
    try:
        image = opener(io.BytesIO(data))
        frames = getattr(image, "n_frames", 1)
    except MaskError:
        raise
    except Image.DecompressionBombError as error:
        raise MaskError(_BOMB) from error
    except Exception as error:  # plugins raise anything on hostile bytes
        raise MaskError(f"not a readable {kind}: {_fact(error)}") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise MaskError("has no pixels")
    if frames != 1:
        raise MaskError(f"has {frames} frames or pages where one mask is expected")
    needed = width * height * _BYTES_OF_MODE.get(image.mode, 4)
    if needed > LARGEST_MASK:
        raise MaskError(
            f"{width}x{height} pixels would take {needed >> 20} MiB decoded, more than the "
            f"{LARGEST_MASK >> 20} MiB a {kind} may take"
        )
    return image


def load_pixels(image: Image.Image, kind: str) -> NDArray[np.generic]:
    """Decode. Raises MaskError where the pixel data is corrupt or incomplete."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        # Set by the program that imported us, it would make up what a truncated file lacks.
        raise MaskError("Pillow is told to invent missing pixels (LOAD_TRUNCATED_IMAGES); unset it")
    per_pixel = _NEEDED.get(image.mode, _COLOURS_NEEDED) + _BESIDE.get(kind, 0)
    ask_memory(image.width * image.height * per_pixel)
    try:
        image.load()
        return _array(image)
    except Image.DecompressionBombError as error:
        raise MaskError(_BOMB) from error
    except Exception as error:
        raise MaskError(f"corrupt {kind}: {_fact(error)}") from error


def _array(image: Image.Image) -> NDArray[np.generic]:
    """The pixels of a loaded image, some rows at a time: of a whole, Pillow makes two copies."""
    width, height = image.size
    rows = max(1, _CROP_PIXELS // width)
    if rows >= height:
        return np.asarray(image)
    first = np.asarray(image.crop((0, 0, width, rows)))
    whole: NDArray[np.generic] = np.empty((height, *first.shape[1:]), first.dtype)
    whole[:rows] = first
    for top in range(rows, height, rows):
        end = min(top + rows, height)
        whole[top:end] = np.asarray(image.crop((0, top, width, end)))
    return whole


def label_map(image: Image.Image, container: str, kind: str) -> LabelMap:
    """Raw values of an image whose Pillow mode holds them as stored.

    1-bit pixels are 0/1, palette pixels their indices, RGB(A) pixels packed as in MaskTally.

    Raises:
        MaskError: a mode that is no label mask (CMYK, YCbCr, ...), or corrupt pixels.
    """
    mode = image.mode
    if mode == "1":
        return LabelMap(load_pixels(image, kind).astype(np.uint8), Encoding(container, "grey", 1))
    if mode in {"L", "P"}:
        pixels = np.asarray(load_pixels(image, kind), np.uint8)
        samples = "palette" if mode == "P" else "grey"
        return LabelMap(pixels, Encoding(container, samples, 8))
    if mode.startswith("I;16"):
        wide = load_pixels(image, kind).astype(np.uint16, copy=False)
        return LabelMap(wide, Encoding(container, "grey", 16))
    if mode == "I":
        numbers = load_pixels(image, kind).astype(np.int32, copy=False)
        return LabelMap(numbers, Encoding(container, "int", 32))
    if mode in {"RGB", "RGBX", "RGBA", "LA"}:
        samples = {"RGBA": "rgba", "LA": "greyalpha"}.get(mode, "rgb")
        channels = np.asarray(load_pixels(image, kind), np.uint8)
        return LabelMap(pack_colours(channels, samples), Encoding(container, samples, 8))
    raise MaskError(f"{mode} pixels are no class labels")


def _fact(error: BaseException) -> str:
    """The message of somebody else's exception, short and on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:120]
