"""Whether an image is a photograph: masks are constant almost everywhere, photographs are not."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.files.image_headers import opened_image

MOST_BYTES = 64 << 20  # of an image that is looked at, encoded
_MOST_PIXELS = 1 << 26
_VALUES = 64  # a mask with more different ones has them in patches
_CHANGING = 0.25  # share of pixels that differ from the next one
_SIDE = 512  # what is looked at: the middle


def is_photograph(data: bytes) -> bool | None:
    """Whether an encoded image shows many values, of which most differ from their neighbours'.

    So do maps of measurements. None where it can't be told: no image that Pillow decodes here (NPY,
    NIfTI, TIFF), damaged, or too large to be worth it.
    """
    if len(data) > MOST_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what nobody asked for
            image = opened_image(io.BytesIO(data))
            if image is None or image.size[0] * image.size[1] > _MOST_PIXELS:
                return None
            pixels = np.asarray(image)
    except MaskError:
        return None
    except Exception:  # plugins raise anything on hostile bytes
        return None
    return changes_everywhere(pixels)


def changes_everywhere(pixels: NDArray[np.generic]) -> bool:
    """The same of pixels [H, W] or [H, W, C]."""
    height, width = pixels.shape[:2]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    middle = pixels[top : top + _SIDE, left : left + _SIDE]
    values = middle.reshape(middle.shape[0], middle.shape[1], -1)
    if values.shape[1] < 2:
        return False
    changing = (values[:, 1:] != values[:, :-1]).any(axis=2).mean()
    if not changing > _CHANGING:  # a mask, most often; counting its values takes far longer
        return False
    if values.shape[2] == 1:
        return len(np.unique(values)) > _VALUES
    return len(np.unique(values.reshape(-1, values.shape[2]), axis=0)) > _VALUES
