"""TIFF's LZW, decoded without a table of strings.

A code stands for the bytes of the code before it and the first byte of the one behind it. Both lie
one after the other in what is written already, so that a string is a place there and a length.

Data and codes come from files that nobody vouches for: nothing is read behind `data`, written
behind `out`, or copied from a place that was not written before.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined
from maskstat.kernels.vector import WORD_BYTES, copy_word, pointer_to

STRINGS = 4096  # codes have at most 12 bits
_CLEAR, _END, _FIRST = 256, 257, 258
_HELD_BITS = 56  # with 8 more a word is full
_FEWEST_BITS, _MOST_BITS = 9, 12

_ZERO = np.int64(0)


@inlined
def _copy(row, place, size, index):
    """Copy bytes that end at `index` or before, in words: what is behind them is overwritten."""
    for k in range(0, size, WORD_BYTES):
        copy_word(row, place + k, index + k)


@compiled
def unpack_lzw(data, out, places, lengths):
    """Decode until `out` is full; the number of bytes written, which are fewer where data is bad.

    Args:
        data: uint8[n], read-only: codes of 9 to 12 bits, high bits first, the first of them 256.
            So the bit order of the very first writers of TIFFs is refused.
        out: uint8[m + WORD_BYTES], of which m are filled.
        places, lengths: int64[STRINGS], scratch.
    """
    held = np.uint64(0)
    bits = at = written = before = long = _ZERO  # before, long: the last code's place and length
    width, free = np.int64(_FEWEST_BITS), np.int64(-1)
    row, room = pointer_to(out), out.size - WORD_BYTES
    while written < room:
        if bits < width:
            while bits <= _HELD_BITS and at < data.size:
                held = held << np.uint64(8) | np.uint64(data[at])
                at += 1
                bits += 8
            if bits < width:
                return written
        bits -= width
        code = np.int64(held >> np.uint64(bits)) & ((1 << width) - 1)
        if code == _CLEAR:
            width, free, long = np.int64(_FEWEST_BITS), np.int64(_FIRST), _ZERO
            continue
        if free < 0 or code == _END:
            return written
        here = written
        if code < _CLEAR:
            out[written] = code
            written += 1
        elif code < free:
            size, place = lengths[code], places[code]
            if size > room - written:
                return written
            _copy(row, place, size, written)
            written += size
        elif code == free and 0 < long < room - written:
            _copy(row, before, long, written)
            out[written + long] = out[before]
            written += long + 1
        else:
            return written
        if long > 0 and free < STRINGS:
            places[free], lengths[free] = before, long + 1
            free += 1
            width += np.int64(free == (1 << width) - 1 and width < _MOST_BITS)
        before, long = here, written - here
    return written
