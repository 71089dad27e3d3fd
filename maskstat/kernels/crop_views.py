"""A mask at one size, and where crops of it may lie: maps of indices, no pixels."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from maskstat.kernels.region_types import IntArray

Nearest = Literal["floor", "centred", "corners"]


class Axis(NamedTuple):
    """One axis of a mask under a resize and a crop.

    Attributes:
        size, resized, crop: pixels of the mask, after the resize, and of the crop, which is cut to
            `resized`.
        edges: int64[size + 1], resized pixels that come from before mask pixel x.
        cover: int64[size + 1], the same, each pixel counted once for every place that sees it. Its
            last entry is crop x places.
    """

    size: int
    resized: int
    crop: int
    edges: IntArray
    cover: IntArray

    @property
    def places(self) -> int:
        """Where the crop may begin."""
        return self.resized - self.crop + 1

    @classmethod
    def of(cls, size: int, crop: int, resized: int, nearest: Nearest = "floor") -> Axis:
        """The map of a resize with the nearest neighbour, in the arithmetic of its library.

        "floor": floor(i size / resized), OpenCV's (mmcv, albumentations) and torch's. "centred":
        floor((i + 1/2) size / resized), Pillow's, and so torchvision's of images. "corners":
        i (size - 1) / (resized - 1) rounded, TensorFlow's with align_corners, in single precision.
        """
        crop = min(crop, resized)
        edges, cover = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
        _map_axis()(crop, resized, nearest == "centred", nearest == "corners", edges, cover)
        return cls(size, resized, crop, edges, cover)


@cache
def _map_axis() -> Any:
    """The kernel. What there is to know of recipes is known without Numba."""
    from numba import types

    from maskstat.kernels import crop_walk
    from maskstat.kernels.compiling import loaded

    column = types.Array(types.int64, 1, "C")
    arguments = (types.int64, types.int64, types.boolean, types.boolean, column, column)
    return loaded(crop_walk.map_axis, arguments)


class CropView(NamedTuple):
    """A mask at one size, and the crops of it."""

    vertical: Axis
    horizontal: Axis

    @property
    def places(self) -> int:
        """Crops that there are."""
        return self.vertical.places * self.horizontal.places

    @property
    def crop_pixels(self) -> int:
        """Pixels of a crop, padding left out."""
        return self.vertical.crop * self.horizontal.crop
