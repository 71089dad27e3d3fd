"""What the formats decoded by Pillow share: opening safely, and raw values from Pillow's modes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap
from maskstat.values.tally import Encoding

MAX_DECODED_BYTES = 1 << 30
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
    if needed > MAX_DECODED_BYTES:
        raise MaskError(
            f"{width}x{height} pixels would take {needed >> 20} MiB decoded, more than the "
            f"{MAX_DECODED_BYTES >> 20} MiB a {kind} may take"
        )
    return image


def load_pixels(image: Image.Image, kind: str) -> NDArray[np.generic]:
    """Decode. Raises MaskError where the pixel data is corrupt or incomplete."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        # Set by the program that imported us, it would make up what a truncated file lacks.
        raise MaskError("Pillow is told to invent missing pixels (LOAD_TRUNCATED_IMAGES); unset it")
    try:
        image.load()
        return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise MaskError(_BOMB) from error
    except Exception as error:
        raise MaskError(f"corrupt {kind}: {_fact(error)}") from error


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
        return LabelMap(load_pixels(image, kind).astype(np.uint16), Encoding(container, "grey", 16))
    if mode == "I":
        return LabelMap(load_pixels(image, kind).astype(np.int32), Encoding(container, "int", 32))
    if mode in {"RGB", "RGBX", "RGBA", "LA"}:
        samples = {"RGBA": "rgba", "LA": "greyalpha"}.get(mode, "rgb")
        channels = np.asarray(load_pixels(image, kind), np.uint8)
        return LabelMap(pack_colours(channels, samples), Encoding(container, samples, 8))
    raise MaskError(f"{mode} pixels are no class labels")


def pack_colours(channels: NDArray[np.uint8], samples: str) -> NDArray[np.uint32]:
    """(H, W, C) samples as one value a pixel: 0xRRGGBB, plus (255 - alpha) << 24."""
    wide = channels.astype(np.uint32)
    if samples == "greyalpha":
        packed: NDArray[np.integer] = wide[..., 0] * np.uint32(0x010101)
    else:
        packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    if samples != "rgb":
        packed = packed | (255 - wide[..., -1]) << 24
    return packed.astype(np.uint32, copy=False)


def _fact(error: BaseException) -> str:
    """The message of somebody else's exception, short and on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:120]
