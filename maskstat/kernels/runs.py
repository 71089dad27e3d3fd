"""Runs of equal pixels by NumPy: a run's value is looked at once, however long it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bins = NDArray[np.int64]

_DENSE = 8  # one change of value in so many pixels: counting pixels is cheaper than runs
_NARROW = 65536  # so many values have a histogram


def run_bins(pixels: NDArray[np.unsignedinteger], size: int) -> Bins:
    """int64[size] histogram of flat pixels below `size`, by runs where these are long."""
    changed = pixels[1:] != pixels[:-1]
    changes = int(np.count_nonzero(changed))
    if changes * _DENSE > pixels.size:
        return np.bincount(pixels, minlength=size)
    starts = _starts(changed, changes, pixels.size)
    return weighted_bins(pixels[starts[:-1]], np.diff(starts), size)


def weighted_bins(values: NDArray[np.integer], lengths: Bins, size: int) -> Bins:
    """Histogram of runs. The weights are floats to NumPy, exact below 2**53 pixels."""
    return np.bincount(values, weights=lengths, minlength=size).astype(np.int64)


def value_sums(pixels: NDArray[np.integer]) -> tuple[Bins, Bins]:
    """Values of flat pixels of any integer type, ascending, and how many have each."""
    changed = pixels[1:] != pixels[:-1]
    changes = int(np.count_nonzero(changed))
    values, lengths = pixels, None
    if changes * _DENSE <= pixels.size:
        starts = _starts(changed, changes, pixels.size)
        values, lengths = pixels[starts[:-1]], np.diff(starts)
    lowest = int(values.min())
    if int(values.max()) - lowest < _NARROW:
        offsets = values.astype(np.int64, copy=False)
        offsets = offsets - lowest if lowest else offsets
        bins = np.bincount(offsets) if lengths is None else weighted_bins(offsets, lengths, 0)
        at = bins.nonzero()[0]
        return at + lowest, bins[at]
    if lengths is None:
        lengths = np.ones(values.size, np.int64)
    return add_up(values.astype(np.int64), lengths)


def colour_sums(channels: NDArray[np.uint8]) -> tuple[Bins, Bins]:
    """The same of colours, uint8[n, 2 to 4]; a value is the bytes of a pixel, the first lowest."""
    size = channels.shape[1]
    unlike = channels[1:, 0] != channels[:-1, 0]
    for k in range(1, size):
        unlike |= channels[1:, k] != channels[:-1, k]
    starts = _starts(unlike, int(np.count_nonzero(unlike)), len(channels))
    firsts = channels[starts[:-1]].astype(np.int64)
    return add_up(firsts @ (1 << np.arange(0, 8 * size, 8)), np.diff(starts))


def add_up(values: Bins, counts: Bins) -> tuple[Bins, Bins]:
    """Each value once, ascending, with the sum of its counts."""
    unique, inverse = np.unique(values, return_inverse=True)
    sums = np.zeros(unique.size, np.int64)
    np.add.at(sums, inverse.reshape(-1), counts)
    return unique, sums


def _starts(changed: NDArray[np.bool_], changes: int, size: int) -> Bins:
    """Where runs start, and the end, of `size` pixels (at least one)."""
    starts = np.empty(changes + 2, np.int64)
    starts[0] = 0
    starts[1:-1] = changed.nonzero()[0]
    starts[1:-1] += 1
    starts[-1] = size
    return starts
