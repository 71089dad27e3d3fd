"""Counting raw values of pixels that are already in memory.

Masks are constant almost everywhere, so wide values are counted run by run: a run's value is
looked at once, however long it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.tally import Encoding, MaskTally

_BAND_PIXELS = 1 << 22


def count_pixels(name: str, pixels: NDArray[np.integer], encoding: Encoding) -> MaskTally:
    """The tally of a label map (H, W) of any integer type, exact.

    Works in bands of rows, so that its own memory stays small beside the pixels'.
    """
    height, width = pixels.shape
    shape = (height, width)
    rows = max(1, _BAND_PIXELS // max(width, 1))
    bands = (pixels[top : top + rows] for top in range(0, height, rows))
    if pixels.dtype == np.uint8:
        bins = np.zeros(256, np.int64)
        for band in bands:
            bins += np.bincount(band.reshape(-1), minlength=256)
        return MaskTally.of_bins(name, shape, encoding, bins)
    totals: dict[int, int] = {}
    for band in bands:
        for value, count in zip(*_count_runs(band.reshape(-1)), strict=True):
            totals[value] = totals.get(value, 0) + count
    values = sorted(totals)
    return MaskTally(
        name,
        shape,
        encoding,
        np.array(values, np.int64),
        np.array([totals[value] for value in values], np.int64),
    )


def _count_runs(flat: NDArray[np.integer]) -> tuple[list[int], list[int]]:
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size)
    values, inverse = np.unique(flat[starts], return_inverse=True)
    counts = np.zeros(values.size, np.int64)
    np.add.at(counts, inverse.reshape(-1), lengths)
    return values.tolist(), counts.tolist()
