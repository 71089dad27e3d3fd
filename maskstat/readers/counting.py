"""Counting raw values of pixels that are already in memory.

Masks are constant almost everywhere, so wide values are counted run by run: a run's value is
looked at once, however long it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.tally import Encoding, IntArray, MaskTally

MAX_DISTINCT_VALUES = 65536
_BAND_PIXELS = 1 << 22


def count_pixels(name: str, pixels: NDArray[np.integer], encoding: Encoding) -> MaskTally:
    """The tally of a label map (H, W) of any integer type, exact.

    Works band by band, so that its own memory stays small beside the pixels'.

    Raises:
        MaskError: more different values than a label mask can have.
    """
    height, width = pixels.shape
    flat = pixels.ravel(order="K")  # in memory order: a view, also of Fortran arrays
    bands = (flat[start : start + _BAND_PIXELS] for start in range(0, flat.size, _BAND_PIXELS))
    if pixels.dtype == np.uint8:
        bins = np.zeros(256, np.int64)
        for band in bands:
            bins += np.bincount(band, minlength=256)
        return MaskTally.of_bins(name, (height, width), encoding, bins)
    values = counts = np.empty(0, np.int64)
    for band in bands:
        more, pixels_of = _count_runs(band)
        values, counts = _sums(np.concatenate([values, more]), np.concatenate([counts, pixels_of]))
        if values.size > MAX_DISTINCT_VALUES:
            raise MaskError(
                f"more than {MAX_DISTINCT_VALUES} different values: a photograph or a float map?"
            )
    return MaskTally(name, (height, width), encoding, values, counts)


def _count_runs(flat: NDArray[np.integer]) -> tuple[IntArray, IntArray]:
    """Values that occur, ascending, and how many pixels have each."""
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    return _sums(flat[starts].astype(np.int64), np.diff(starts, append=flat.size))


def _sums(values: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Each value once, ascending, with the sum of its counts."""
    unique, inverse = np.unique(values, return_inverse=True)
    sums = np.zeros(unique.size, np.int64)
    np.add.at(sums, inverse.reshape(-1), counts)
    return unique, sums
