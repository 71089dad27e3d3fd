"""A mask at one size, and where crops of it may lie: maps of indices, no pixels."""

from __future__ import annotations

from typing import Literal, NamedTuple

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

    @property
    def source(self) -> IntArray:
        """int64[resized], the mask's pixel that each resized one comes from."""
        return np.repeat(np.arange(self.size), np.diff(self.edges))

    @classmethod
    def of(cls, size: int, crop: int, resized: int, nearest: Nearest = "floor") -> Axis:
        """The map of a resize with the nearest neighbour, in the arithmetic of its library.

        "floor": floor(i size / resized), OpenCV's (mmcv, albumentations) and torch's. "centred":
        floor((i + 1/2) size / resized), Pillow's, and so torchvision's of images. "corners":
        i (size - 1) / (resized - 1) rounded, TensorFlow's with align_corners, in single precision.
        """
        at = np.arange(resized)
        if nearest == "corners" and resized > 1:
            place = at.astype(np.float32) * (np.float32(size - 1) / np.float32(resized - 1))
            place = place.astype(np.float64) + 0.5
        elif nearest == "centred":
            steps = np.full(resized, size / resized)
            steps[0] *= 0.5
            place = np.cumsum(steps)
        else:
            place = at * (1.0 / (resized / size))
        source = np.minimum(np.floor(place).astype(np.int64), size - 1)
        edges = np.searchsorted(source, np.arange(size + 1))
        crop = min(crop, resized)
        seen = np.minimum(at, resized - crop) - np.maximum(0, at - crop + 1) + 1
        return cls(size, resized, crop, edges, np.concatenate(([0], np.cumsum(seen)))[edges])


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
