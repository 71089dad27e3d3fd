"""What measuring the regions of a mask gives, and what may be too much of it: for all engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError

IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]
Image = NDArray[np.uint8] | NDArray[np.uint16]

MAX_PIECES = 1 << 25


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
    """What one mask (H, W) of labels 0..K shows; label K is "no class"; heat maps have G x G cells.

    Attributes:
        labels: int64[P], labels that occur, ascending.
        heat: int64[P, G, G], area of each label in each cell in units of 1 / G^2 pixel, rows from
            the top: pixel x covers [x G, (x + 1) G) of an axis where cell g covers [g W, (g + 1)
            W). Sums to pixels x G^2.
        moments: int64[P, 2], sums of 2 y + 1 and of 2 x + 1 over the pixels.
        frame: int64[P], pixel edges of each label that are the mask's own edge; 2 (H + W) in all.
        adjacency: pixel edges between labels, K among them.
        four, eight: components of labels 0..K - 1.
    """

    labels: IntArray
    heat: IntArray
    moments: IntArray
    frame: IntArray
    adjacency: Adjacency
    four: FourComponents
    eight: EightComponents


# (image, label of each value, labels P, the one that is no class, G) -> RegionCounts in which
# labels are numbers 0..P - 1 and have rows also where they do not occur
Implementation = Callable[[Image, Int32Array, int, int, int], RegionCounts]


def too_many_pieces() -> MaskError:
    """The error for a mask of more than MAX_PIECES."""
    return MaskError(f"falls into more than {MAX_PIECES} pieces: noise or a photograph?")
