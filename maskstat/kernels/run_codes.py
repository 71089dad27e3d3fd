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
from maskstat.kernels.vector import trailing_zeros

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
def _filled(data, place, bits, count):
    """The bits ahead, at least 32 of them: where the next byte is, the bits, how many."""
    while count < 32:
        if place < data.size:
            bits |= np.int64(data[place]) << count
        place += 1
        count += 8
    return place, bits, count


@inlined
def _number(data, place, bits, count, order):
    """What `_put_number` has put, and the bits behind it; too large for a mask where it is none."""
    extra = np.int64(0)
    while True:
        place, bits, count = _filled(data, place, bits, count)
        if bits & ((np.int64(1) << 32) - 1):
            zeros = trailing_zeros(np.uint64(bits))
            extra += zeros
            bits >>= zeros + 1
            count -= zeros + 1
            break
        extra += 32
        bits >>= 32
        count -= 32
        if extra > _MOST_BITS:
            break
    if extra > _MOST_BITS:
        return np.int64(1) << 40, place, bits, count
    place, bits, count = _filled(data, place, bits, count)
    value = ((np.int64(1) << extra) | (bits & ((np.int64(1) << extra) - 1))) - 1
    bits >>= extra
    count -= extra
    if order:
        place, bits, count = _filled(data, place, bits, count)
        value = (value << order) | (bits & ((np.int64(1) << order) - 1))
        bits >>= order
        count -= order
    return value, place, bits, count


@inlined
def _unzigzag(number):
    return -((number + 1) >> 1) if number & 1 else number >> 1


@outlined
def _walk(data, place, height, width, rank, reading, starts, ends, found):
    """Read the block at byte `place` up to its pixel of this rank; whether there is one.

    starts, ends: int64[BLOCK], room. found: int64[3]: the pixel's place in raster order; pixels of
    the block up to the end of its run; the place of the block's first pixel.
    """
    bits = count = np.int64(0)
    row, pixels = np.int64(0), np.int64(0)
    n = above = behind = np.int64(0)
    while n < BLOCK:
        if above == behind:
            empty, place, bits, count = _number(data, place, bits, count, ROWS)
            row += empty
        if row >= height:
            return False
        first, last, more = n, np.int64(-1), True
        while more:
            start = end = np.int64(0)
            event = np.int64(NEW)
            if count < LONGEST:
                place, bits, count = _filled(data, place, bits, count)
            if above == behind:
                more = (bits & 1) == 1
                bits >>= 1
                count -= 1
            else:
                alone = above == behind - 1
                entry = np.int64(reading[np.int64(alone), bits & ((1 << LONGEST) - 1)])
                event = entry >> 4
                bits >>= entry & 15
                count -= entry & 15
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
                start, place, bits, count = _number(data, place, bits, count, BEFORE)
                end, place, bits, count = _number(data, place, bits, count, LENGTH)
                start += last + 1
                end += start + 1
            else:
                off, over = event // _SIDE - NEAR, event % _SIDE - NEAR
                if event == ESCAPE:
                    off, place, bits, count = _number(data, place, bits, count, FAR)
                    over, place, bits, count = _number(data, place, bits, count, FAR)
                    off, over = _unzigzag(off), _unzigzag(over)
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


@inlined
def _last_up_to(sorted_numbers, low, high, number):
    """The last of items low to high - 1 that is not above a number, which the first is not."""
    while high - low > 1:
        middle = (low + high) >> 1
        if sorted_numbers[middle] <= number:
            low = middle
        else:
            high = middle
    return low


@inlined
def _find(before, masks, sizes, blocks, block_pixels, block_bytes, data, reading, place, room):
    """The mask and the pixel at a place; -1 for the pixel where the bytes are damaged."""
    starts, ends, found = room
    entry = _last_up_to(before, np.int64(0), before.size - 1, place)
    rank = place - before[entry]
    block = _last_up_to(block_pixels, blocks[entry], blocks[entry + 1], rank)
    rank -= np.int64(block_pixels[block])
    mask, byte = masks[entry], block_bytes[block]
    height, width = sizes[mask, 0], sizes[mask, 1]
    there = _walk(data, byte, height, width, rank, reading, starts, ends, found)
    return mask, (found[0] if there else np.int64(-1))


@inlined
def _room():
    return np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(3, np.int64)


@compiled
def find_one(before, masks, sizes, blocks, block_pixels, block_bytes, data, reading, place):
    """What `find` finds at one place."""
    tables = before, masks, sizes, blocks, block_pixels, block_bytes, data, reading
    return _find(*tables, place, _room())


@compiled
def find(before, masks, sizes, blocks, block_pixels, block_bytes, data, reading, places, of, at):
    """of, at int64[n]: masks and pixels that have so many pixels before them (`places` int64[n]).

    An entry is a class in a mask. before: int64[E + 1], pixels of all entries before each. masks:
    int64[E], their masks. sizes: int64[B, 2], height and width of each mask. Entry e has the blocks
    blocks[e] to blocks[e + 1] - 1; block_pixels: uint32, pixels of the entry before each;
    block_bytes: int64, where each begins. Pixels are counted in raster order; they are -1 where the
    bytes are damaged.
    """
    tables = before, masks, sizes, blocks, block_pixels, block_bytes, data, reading
    room = _room()
    for k in range(places.size):
        of[k], at[k] = _find(*tables, places[k], room)


@compiled
def check(before, masks, sizes, blocks, block_pixels, block_bytes, data, reading):
    """The first entry whose bytes are not runs of its pixels, in raster order; -1: there is none.

    All as of `find`.
    """
    starts, ends, found = _room()
    for entry in range(masks.size):
        last = np.int64(-1)
        height, width = sizes[masks[entry], 0], sizes[masks[entry], 1]
        for block in range(blocks[entry], blocks[entry + 1]):
            behind = before[entry + 1] - before[entry]
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
