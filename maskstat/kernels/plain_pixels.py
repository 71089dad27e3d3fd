"""Pixels as they lie in memory, counted 64 bytes at a time.

A label map is constant almost everywhere. One vector comparison tells which of 64 bytes of pixels
differ from the pixel before them (see `vector`); a run of equal pixels is then counted at its end,
however long it is. Where most pixels of a word differ (noise, a mask of single pixels) runs do not
pay: the pixels of that word are counted one by one, into four histograms in turn, since adding to
the same place twice in a row has to wait for memory.

Values of more than one byte are counted in a window of a histogram, where labels, ids of classes
and -1 are; runs of values elsewhere are handed back as they come.

Callers guarantee sizes and that there is at least one pixel; nothing is read outside `pixels`.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined
from maskstat.kernels.event_histogram import change_events
from maskstat.kernels.vector import (
    ONE,
    pointer_to,
    set_bits,
    trailing_zeros,
    word_pixels,
)

BYTE_VALUES = 256
TURNS = 4
TURN_BINS = TURNS * BYTE_VALUES
LOWEST = -256  # value of the window's first bin
WINDOW = 65536 + 256  # with a bin for every value of two bytes
MOST_OTHERS = 4096  # runs outside of the window that are handed back at once

_ZERO = np.int64(0)
_FIRST = np.int64(0)
_SECOND = np.int64(1)
_DENSE = 4  # a word in which more than one pixel in so many differs is counted pixel by pixel


@inlined
def _is_dense(word, pixels, x, like):
    """Whether all of the word's pixels are there, and many differ from the one before."""
    return set_bits(word) * _DENSE > word_pixels(like) and x + word_pixels(like) <= pixels


@inlined
def _gather(turns, bins, first):
    """Move the histograms of pixels counted one by one to `bins`, from bin `first` on."""
    for value in range(BYTE_VALUES):
        count = _ZERO
        for turn in range(TURNS):
            count += turns[turn * BYTE_VALUES + value]
            turns[turn * BYTE_VALUES + value] = 0
        bins[first + value] += count


@compiled
def add_bytes(pixels, bins, turns):
    """Add pixels of one byte to their histogram.

    Args:
        pixels: uint8[n], n >= 1, read-only.
        bins: int64[256], added to.
        turns: int64[TURN_BINS], scratch: all zeros before and after.
    """
    data, totals, ones = pointer_to(pixels), pointer_to(bins), pointer_to(turns)
    size = pixels.size
    value = data[0]
    start = _FIRST
    x = _SECOND
    was_dense = False
    while x < size:
        word = change_events(data, _ZERO, x, size, data)
        if _is_dense(word, size, x, data):
            was_dense = True
            totals[value] += x - start
            for at in range(x, x + word_pixels(data), TURNS):
                ones[data[at]] += 1
                ones[BYTE_VALUES + data[at + 1]] += 1
                ones[2 * BYTE_VALUES + data[at + 2]] += 1
                ones[3 * BYTE_VALUES + data[at + 3]] += 1
            start = x + word_pixels(data)
            value = data[start - 1]
        else:
            while word != 0:
                event = x + trailing_zeros(word)
                word &= word - ONE
                totals[value] += event - start
                start = event
                value = data[event]
        x += word_pixels(data)
    totals[value] += size - start
    if was_dense:
        _gather(ones, totals, _ZERO)


@inlined
def _all_bytes(data, x, like):
    """Whether all pixels of a word are 0 to 255."""
    every = data[x]
    for at in range(x + 1, x + word_pixels(like)):
        every |= data[at]
    return every >= 0 and every < BYTE_VALUES


@compiled
def add_wide(pixels, bins, turns, other_values, other_counts, found):
    """Add pixels of two, four or eight bytes, as far as there is room for runs of other values.

    Args:
        pixels: uint16[n], int32[n] or int64[n], n >= 1, read-only.
        bins: int64[WINDOW], added to; bins[0] is for the value LOWEST.
        turns: int64[TURN_BINS], scratch: all zeros before and after.
        other_values, other_counts: int64[MOST_OTHERS], receive runs of values without a bin.
        found: int64[2], receives the last bin that was added to, or -1, and the number of
            those runs.

    Returns how many pixels were counted: all, unless there were more runs than there is room for.
    """
    data, totals, ones = pointer_to(pixels), pointer_to(bins), pointer_to(turns)
    values, counts = pointer_to(other_values), pointer_to(other_counts)
    size = pixels.size
    value = np.int64(data[0])
    start = _FIRST
    x = _SECOND
    last = np.int64(-1)
    others = _ZERO
    was_dense = False
    while x < size and others < MOST_OTHERS:
        word = change_events(data, _ZERO, x, size, data)
        direct = _is_dense(word, size, x, data) and _all_bytes(data, x, data)
        if direct:
            word = ONE  # the run before it is all that is left to count by its length
        while word != 0 and others < MOST_OTHERS:
            event = x + trailing_zeros(word)
            word &= word - ONE
            at = value - LOWEST
            if at >= 0 and at < WINDOW:
                totals[at] += event - start
                last = max(last, at)
            else:
                values[others] = value
                counts[others] = event - start
                others += 1
            start = event
            value = np.int64(data[event])
        if direct and others < MOST_OTHERS:
            was_dense = True
            start = x + word_pixels(data)
            value = np.int64(data[start - 1])
            for at in range(x, start, TURNS):
                ones[data[at]] += 1
                ones[BYTE_VALUES + data[at + 1]] += 1
                ones[2 * BYTE_VALUES + data[at + 2]] += 1
                ones[3 * BYTE_VALUES + data[at + 3]] += 1
        x += word_pixels(data)
    if was_dense:
        _gather(ones, totals, -LOWEST)
        last = max(last, BYTE_VALUES - 1 - LOWEST)
    found[1] = others
    if others == MOST_OTHERS:
        found[0] = last
        return start
    at = value - LOWEST
    if at >= 0 and at < WINDOW:
        totals[at] += size - start
        last = max(last, at)
    else:
        values[others] = value
        counts[others] = size - start
        found[1] = others + 1
    found[0] = last
    return size
