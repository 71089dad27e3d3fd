"""A mask in runs, what measuring them gives, and what may be too much of it: for all engines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError

IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]
Image = NDArray[np.uint8] | NDArray[np.uint16]

MAX_PIECES = 1 << 25


class IndexedPixels(NamedTuple):
    """Pixels of a few values, such as colours.

    Attributes:
        image: uint16 (H, W).
        values: int64[E], the raw value of each number in the image; others may be among them.
    """

    image: NDArray[np.uint16]
    values: IntArray


Pixels = NDArray[np.integer] | IndexedPixels  # (H, W); raw values are of any integer type


def raw_pixels(pixels: Pixels) -> NDArray[np.integer]:
    """Raw values (H, W)."""
    if isinstance(pixels, IndexedPixels):
        return pixels.values.astype(np.uint32)[pixels.image]
    return pixels


class Runs(NamedTuple):
    """The runs of a label image (H, W); each row ends with a sentinel that starts at W.

    Attributes:
        rows: int64[H + 1]; the entries of row y are rows[y]..rows[y + 1] - 1.
        starts: int32, first pixel of each run.
        labels: int32, its label, 0..L-1, another one than that of the run before it in its row;
            label L - 1 is "no class". -1 for sentinels.
        shape: (H, W).
        label_count: L.
    """

    rows: IntArray
    starts: Int32Array
    labels: Int32Array
    shape: tuple[int, int]
    label_count: int


class Adjacency(NamedTuple):
    """Pairs of labels that share pixel edges, in ascending order.

    Attributes:
        first, second: int64[E], labels, first < second.
        edges: int64[E], pairs of pixels, one above or left of the other, that have these labels.
    """

    first: IntArray
    second: IntArray
    edges: IntArray


class FourComponents(NamedTuple):
    """Components of pixels joined by edges, in raster order of their first pixels.

    Attributes:
        label: int32[C].
        size: int64[C], pixels.
    """

    label: Int32Array
    size: IntArray


class EightComponents(NamedTuple):
    """Components of pixels joined by edges or corners, in raster order of their first pixels.

    Attributes:
        label: int32[C].
        size: int64[C], pixels.
        top, left, bottom, right: int32[C], the bounding box, half-open.
        y0, x0: int32[C], the first pixel in raster order.
    """

    label: Int32Array
    size: IntArray
    top: Int32Array
    left: Int32Array
    bottom: Int32Array
    right: Int32Array
    y0: Int32Array
    x0: Int32Array


class RegionCounts(NamedTuple):
    """What one mask (H, W) of labels 0..L - 1 shows; label L - 1 is "no class".

    Attributes:
        moments: int64[L, 2], sums of 2 y + 1 and of 2 x + 1 over the pixels of each label.
        frame: int64[L], pixel edges of each label that are the mask's own edge; 2 (H + W) in all.
        adjacency: pixel edges between labels, L - 1 among them.
        four, eight: components of labels 0..L - 2.
    """

    moments: IntArray
    frame: IntArray
    adjacency: Adjacency
    four: FourComponents
    eight: EightComponents


def too_many_pieces() -> MaskError:
    """The error for a mask of more than MAX_PIECES."""
    return MaskError(f"falls into more than {MAX_PIECES} pieces: noise or a photograph?")
