"""Runs of one class in one mask as bits, and back: kernels, and the code that they share.

Most runs of a label image lie below one of the same class that begins and ends within a few
pixels. So a run is told by how far its ends are from those of the run above it (as in the
two-dimensional codes of fax, ITU-T T.6), by a prefix code whose lengths are below. Runs come in
*blocks* of `BLOCK`, each of which is read by itself, from its first byte on.

A row is told from the left, beside the runs of the row above in the same block:

    MATCH   a run whose ends are `start` and `end` pixels right of those of the next run above
    ESCAPE  the same, where these are more than `NEAR`: both follow, zigzag
    NEW     a run before the next one above: pixels between it and the run before, and its length
    SKIP    the next run above has none below it

Where only one run above is left, each of these but NEW says as well whether the row ends behind it;
where none is left, one bit after NEW does. A row without runs is as many SKIPs. Where nothing is
above, the number of empty rows comes before the row. Numbers are exponential Golomb codes.

Bits fill bytes from the lowest on. Nothing is read outside the block, whatever its bytes are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.compiling import compiled, inlined, outlined

BLOCK = 256  # runs
NEAR = 3  # pixels
LONGEST = 11  # bits of a code word
_SIDE = 2 * NEAR + 1
_PAIRS = _SIDE * _SIDE

# Events where several runs above are left, and where one is.
ESCAPE, NEW, SKIP = _PAIRS, _PAIRS + 1, _PAIRS + 2
LAST_MORE = _PAIRS  # added to a pair: the row goes on
LAST_ESCAPE, LAST_NEW, LAST_SKIP = 2 * _PAIRS, 2 * _PAIRS + 2, 2 * _PAIRS + 3  # + 1: goes on
EVENTS, LAST_EVENTS = _PAIRS + 3, 2 * _PAIRS + 5

# Orders of the exponential Golomb codes: empty rows, pixels before a new run, its length, what is
# far off.
ROWS, BEFORE, LENGTH, FAR = 0, 4, 1, 2
_MOST_BITS = 31  # of a number, its order not counted

# Bits of the code words, one hexadecimal digit an event. Made once, of street scenes (CamVid), the
# sample masks and generated ones, by package-merge (Larmore & Hirschberg 1990); to change them is
# to change the format.
_LENGTHS = "ba98aaba88789a98546898742478a864689a98789abaa8aab343"
_LAST_LENGTHS = (
    "bba8abbba979aba96469a9751589b97469bba979bbbba8abb"
    "bbbbbbbbbbbbbbbbbabbbbba8abbbbbbbbbbbbbbbbbbbbbbb"
    "55549"
)


def _canonical(lengths: list[int]) -> NDArray[np.uint16]:
    """uint16[n]: the code word of each event, its first bit lowest."""
    words = np.zeros(len(lengths), np.uint16)
    word = 0
    for length in range(1, LONGEST + 1):
        for event, own in enumerate(lengths):
            if own == length:
                words[event] = int(f"{word:0{length}b}"[::-1], 2)
                word += 1
        word <<= 1
    return words


def _reading(lengths: list[int], words: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """uint16[2^LONGEST]: by the next bits, 16 times the event plus the length of its word."""
    table = np.zeros(1 << LONGEST, np.uint16)
    for event, length in enumerate(lengths):
        table[words[event] :: 1 << length] = event * 16 + length
    return table


_BITS = [[int(digit, 16) for digit in text] for text in (_LENGTHS, _LAST_LENGTHS)]
_WORDS = [_canonical(bits) for bits in _BITS]
LENGTHS = np.array([*_BITS[0], *_BITS[1]], np.int64)
WORDS = np.concatenate(_WORDS).astype(np.int64)
READING = np.stack([_reading(*pair) for pair in zip(_BITS, _WORDS, strict=True)])


@inlined
def _put(out, state, value, bits):
    """Append up to 32 bits. state: int64[3]: bytes written, bits that wait, how many."""
    state[1] |= value << state[2]
    state[2] += bits
    while state[2] >= 8:
        out[state[0]] = state[1] & 255
        state[0] += 1
        state[1] >>= 8
        state[2] -= 8


@inlined
def _put_number(out, state, number, order):
    """Append a number from 0 on: exponential Golomb of this order."""
    value = (number >> order) + 1
    extra = np.int64(0)
    while (value >> (extra + 1)) != 0:
        extra += 1
    _put(out, state, np.int64(0), extra)
    _put(out, state, np.int64(1), np.int64(1))
    _put(out, state, value & ((np.int64(1) << extra) - 1), extra)
    if order:
        _put(out, state, number & ((np.int64(1) << order) - 1), np.int64(order))


@inlined
def _zigzag(number):
    return 2 * number if number >= 0 else -2 * number - 1


@inlined
def _put_skips(out, state, count, words, lengths):
    """SKIP `count` runs above, behind which the row ends."""
    for k in range(count):
        event = EVENTS + LAST_SKIP if k == count - 1 else SKIP
        _put(out, state, words[event], lengths[event])


@compiled
def by_label(rows, starts, labels, behind, ys, firsts, ends):
    """Runs int64[n] of all labels 0..L - 1, label by label; behind int64[L]: where each ends.

    rows, starts, labels: as in `maskstat.kernels.crops.Runs`; runs of label L are left out.
    """
    behind[:] = 0
    for y in range(rows.size - 1):
        for r in range(rows[y], rows[y + 1] - 1):
            if labels[r] < behind.size:
                behind[labels[r]] += 1
    place = np.cumsum(behind) - behind
    for y in range(rows.size - 1):
        for r in range(rows[y], rows[y + 1] - 1):
            if labels[r] < behind.size:
                k = place[labels[r]]
                ys[k], firsts[k], ends[k] = y, starts[r], starts[r + 1]
                place[labels[r]] = k + 1
    behind[:] = place


@compiled
def encode(rows, starts, ends, words, lengths, out, block_pixels, block_bytes):
    """Bytes of the runs int64[n] of one class, in raster order; how many were written.

    words, lengths: of all events, those of the last run above behind the others. block_pixels,
    block_bytes: int64[ceil(n / BLOCK)], what is before each block. out: uint8, large enough.
    """
    state = np.zeros(3, np.int64)
    pixels = np.int64(0)
    for block in range(block_bytes.size):
        if state[2]:
            _put(out, state, np.int64(0), 8 - state[2])
        block_pixels[block], block_bytes[block] = pixels, state[0]
        first, stop = block * BLOCK, min(rows.size, (block + 1) * BLOCK)
        row, above, behind = np.int64(0), first, first
        while first < stop:
            y, end = rows[first], first + 1
            while end < stop and rows[end] == y:
                end += 1
            if above < behind and y > row:
                _put_skips(out, state, behind - above, words, lengths)
                row, above = row + 1, behind
            if above == behind:
                _put_number(out, state, y - row, ROWS)
            last = np.int64(-1)
            for r in range(first, end):
                pixels += ends[r] - starts[r]
                while above < behind and ends[above] + 1 < starts[r]:
                    event = EVENTS + LAST_SKIP + 1 if above == behind - 1 else SKIP
                    _put(out, state, words[event], lengths[event])
                    above += 1
                more = r < end - 1
                if above < behind and starts[above] <= ends[r] + 1:
                    off, over = starts[r] - starts[above], ends[r] - ends[above]
                    near = abs(off) <= NEAR and abs(over) <= NEAR
                    event = (off + NEAR) * _SIDE + over + NEAR if near else np.int64(ESCAPE)
                    if above == behind - 1:
                        if near:
                            event += EVENTS + (LAST_MORE if more else 0)
                        else:
                            event = EVENTS + LAST_ESCAPE + more
                    _put(out, state, words[event], lengths[event])
                    if not near:
                        _put_number(out, state, _zigzag(off), FAR)
                        _put_number(out, state, _zigzag(over), FAR)
                    above += 1
                else:
                    if above < behind:
                        event = EVENTS + LAST_NEW if above == behind - 1 else NEW
                        _put(out, state, words[event], lengths[event])
                    else:
                        _put(out, state, np.int64(more), np.int64(1))
                    _put_number(out, state, starts[r] - last - 1, BEFORE)
                    _put_number(out, state, ends[r] - starts[r] - 1, LENGTH)
                last = ends[r]
            if above < behind:
                _put_skips(out, state, behind - above, words, lengths)
            row, above, behind, first = y + 1, first, end, end
    if state[2]:
        _put(out, state, np.int64(0), 8 - state[2])
    return state[0]


@inlined
def _fill(data, state):
    """Have at least 32 bits ahead. state: int64[3]: the next byte, the bits ahead, how many."""
    while state[2] < 32:
        if state[0] < data.size:
            state[1] |= np.int64(data[state[0]]) << state[2]
        state[0] += 1
        state[2] += 8


@inlined
def _take(data, state, bits):
    """The next bits, up to 32, as a number."""
    _fill(data, state)
    value = state[1] & ((np.int64(1) << bits) - 1)
    state[1] >>= bits
    state[2] -= bits
    return value


@inlined
def _take_number(data, state, order):
    """What `_put_number` has put; a number too large for any mask where it is none."""
    extra = np.int64(0)
    while not _take(data, state, np.int64(1)):
        extra += 1
        if extra > _MOST_BITS:
            return np.int64(1) << 40
    value = ((np.int64(1) << extra) | _take(data, state, extra)) - 1
    if order:
        value = (value << order) | _take(data, state, np.int64(order))
    return value


@inlined
def _unzigzag(number):
    return -((number + 1) >> 1) if number & 1 else number >> 1


@outlined
def _walk(data, place, height, width, rank, reading, starts, ends, found):
    """Read the block at byte `place` up to its pixel of this rank; whether there is one.

    starts, ends: int64[BLOCK], room. found: int64[3]: the pixel's place in raster order; pixels of
    the block up to the end of its run; the place of the block's first pixel.
    """
    state = np.empty(3, np.int64)
    state[0], state[1], state[2] = place, 0, 0
    row, pixels = np.int64(0), np.int64(0)
    n = above = behind = np.int64(0)
    while n < BLOCK:
        if above == behind:
            row += _take_number(data, state, ROWS)
        if row >= height:
            return False
        first, last, more = n, np.int64(-1), True
        while more:
            start = end = np.int64(0)
            event = np.int64(NEW)
            if above == behind:
                more = _take(data, state, np.int64(1)) == 1
            else:
                _fill(data, state)
                alone = above == behind - 1
                entry = reading[np.int64(alone), state[1] & ((1 << LONGEST) - 1)]
                event = np.int64(entry >> 4)
                state[1] >>= entry & 15
                state[2] -= entry & 15
                if alone:
                    if event < _PAIRS:
                        more = False
                    elif event < 2 * _PAIRS:
                        event -= LAST_MORE
                    elif event < LAST_NEW:
                        more, event = event > LAST_ESCAPE, np.int64(ESCAPE)
                    elif event == LAST_NEW:
                        event = np.int64(NEW)
                    else:
                        more, event = event > LAST_SKIP, np.int64(SKIP)
            if event == SKIP:
                above += 1
                continue
            if event == NEW:
                start = last + 1 + _take_number(data, state, BEFORE)
                end = start + 1 + _take_number(data, state, LENGTH)
            else:
                off, over = event // _SIDE - NEAR, event % _SIDE - NEAR
                if event == ESCAPE:
                    off = _unzigzag(_take_number(data, state, FAR))
                    over = _unzigzag(_take_number(data, state, FAR))
                start, end = starts[above] + off, ends[above] + over
                above += 1
            if n == BLOCK or start <= last or end <= start or end > width:
                return False
            starts[n], ends[n], last = start, end, end
            if n == 0:
                found[2] = row * width + start
            n += 1
            pixels += end - start
            if pixels > rank:
                found[0], found[1] = row * width + end - (pixels - rank), pixels
                return True
        row, above, behind = row + 1, first, n
    return False


@compiled
def find(entries, ranks, masks, sizes, blocks, block_pixels, block_bytes, data, reading, at):
    """at int64[n]: the pixels of these ranks in these entries, -1 where the bytes are damaged.

    masks: int64[E], the mask of each entry. sizes: int64[B, 2], height and width of each mask.
    Entry e has the blocks blocks[e] to blocks[e + 1] - 1; block_pixels: uint32, pixels of the entry
    before each; block_bytes: int64, where each begins.
    """
    starts, ends = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    found = np.empty(3, np.int64)
    for k in range(entries.size):
        entry, rank = entries[k], ranks[k]
        low, high = blocks[entry], blocks[entry + 1]
        while high - low > 1:
            middle = (low + high) >> 1
            if block_pixels[middle] <= rank:
                low = middle
            else:
                high = middle
        rank -= np.int64(block_pixels[low])
        height, width = sizes[masks[entry], 0], sizes[masks[entry], 1]
        there = _walk(data, block_bytes[low], height, width, rank, reading, starts, ends, found)
        at[k] = found[0] if there else -1


@compiled
def check(pixels, masks, sizes, blocks, block_pixels, block_bytes, data, reading):
    """The first entry whose bytes are not runs of so many pixels, in raster order; -1: none.

    pixels: int64[E], of each entry. Others as of `find`.
    """
    starts, ends = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    found = np.empty(3, np.int64)
    for entry in range(pixels.size):
        last = np.int64(-1)
        height, width = sizes[masks[entry], 0], sizes[masks[entry], 1]
        for block in range(blocks[entry], blocks[entry + 1]):
            behind = pixels[entry]
            if block + 1 < blocks[entry + 1]:
                behind = np.int64(block_pixels[block + 1])
            some, place = behind - np.int64(block_pixels[block]), block_bytes[block]
            there = some > 0 and _walk(
                data, place, height, width, some - 1, reading, starts, ends, found
            )
            if not there or found[1] != some or found[2] <= last:
                return entry
            last = found[0]
    return -1
