"""The histogram of colour pixels in event space: 2, 3 or 4 bytes each, straight from PNG rows.

The method is that of `event_histogram`: find the places where something changes, count runs,
let rows inherit the histogram of the row above. Two things differ.

**Pixels are bytes.** A pixel of 3 bytes is no item of a vector, so rows stay bytes and positions
are positions of bytes, always at the start of a pixel. A word of 64 bytes covers 32, 21 or 16 whole
pixels; its bits are folded so that one bit a pixel is left, at the pixel's first byte.

**Bins are a table.** There are 2**32 colours, of which a mask has a few dozen. A hash table with
open addressing keeps them, in one array of int64 so that a kernel needs one pointer:

    [0] entries, [1] 1 where there was no room for a colour, then
    SLOTS of them: the entry that is kept there, 0 for none
    ENTRIES each: colours, sums, and the slots they are kept in (entry 0 is no entry)

A colour is its bytes as they come, the first one lowest. Sums count bytes, not pixels: lengths of
runs come in bytes, and dividing once in the end is exact. An entry may sum to zero: a colour
that a row inherited and did not keep.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined, outlined
from maskstat.kernels.png_filters import AVERAGE, PAETH, SUB, UP, paeth_of_bytes
from maskstat.kernels.vector import (
    ALL,
    ONE,
    WORD_BYTES,
    fill_pairs,
    fill_quads,
    fill_triples,
    item_pointer,
    nonzero_pixels,
    pointer_to,
    set_bits,
    trailing_zeros,
    unlike_bytes,
)

PADDING = WORD_BYTES  # spare bytes behind a row: words are stored whole
MOST_COLOURS = 65536
OVERFLOW = -2

_SLOT_BITS = 17
_SLOTS = 1 << _SLOT_BITS
ENTRIES = MOST_COLOURS + 3  # entry 0, black at the top of the image, and the one too many
COLOURS_AT = 2 + _SLOTS
SUMS_AT = COLOURS_AT + ENTRIES
_KEPT_AT = SUMS_AT + ENTRIES
TABLE_SIZE = _KEPT_AT + ENTRIES

_ZERO = np.int64(0)
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 / golden ratio: neighbouring colours spread
_SHIFT = np.uint64(64 - _SLOT_BITS)
_MASK = np.int64(_SLOTS - 1)

_PATIENCE = 8  # Paeth: after so many pixels out of step look for the next event
_CALM = 1  # Average: the same after more than so many pixels that repeat the one on their left
_BUSY = 4  # in a word of which not one pixel in so many has a residual


def clear(table: np.ndarray) -> None:
    """Make a table empty again, whatever was counted into it."""
    entries = int(table[0])
    table[2 + table[_KEPT_AT + 1 : _KEPT_AT + 1 + entries]] = 0
    table[:2] = 0


@outlined
def _enter(table, slot, colour, weight):
    """A new entry; where there is no room its sum goes nowhere and table[1] says so."""
    entry = table[0] + 1
    if entry >= ENTRIES:
        table[1] = 1
        return
    table[0] = entry
    table[2 + slot] = entry
    table[COLOURS_AT + entry] = np.int64(colour)
    table[SUMS_AT + entry] = weight
    table[_KEPT_AT + entry] = slot


@inlined
def _bump(table, colour, weight):
    """Add to the sum of a colour."""
    slot = np.int64((np.uint64(colour) * _SPREAD) >> _SHIFT)
    entry = table[2 + slot]
    while entry != 0 and table[COLOURS_AT + entry] != np.int64(colour):
        slot = (slot + 1) & _MASK
        entry = table[2 + slot]
    if entry != 0:
        table[SUMS_AT + entry] += weight
    else:
        _enter(table, slot, colour, weight)


@inlined
def _pixel(data, at, size):
    """The pixel of `size` bytes at a position, its first byte lowest."""
    pixel = np.uint32(data[at]) | np.uint32(data[at + 1]) << 8
    if size > 2:
        pixel |= np.uint32(data[at + 2]) << 16
    if size > 3:
        pixel |= np.uint32(data[at + 3]) << 24
    return np.uint32(pixel)


@inlined
def _put(row, at, size, pixel):
    """Store a pixel."""
    row[at] = np.uint8(pixel)
    row[at + 1] = np.uint8(pixel >> 8)
    if size > 2:
        row[at + 2] = np.uint8(pixel >> 16)
    if size > 3:
        row[at + 3] = np.uint8(pixel >> 24)


@inlined
def _fill_word(row, at, size, pixel):
    """Store a pixel over and over into 64 bytes."""
    if size == 3:
        fill_triples(row, at, pixel)
    elif size == 4:
        fill_quads(row, at, pixel)
    else:
        fill_pairs(row, at, pixel)


@outlined
def _fill(row, first, end, size, pixel):
    """Store a pixel over and over into the bytes from `first` up to `end`, and no further."""
    step = WORD_BYTES // size * size
    at = first
    while at + WORD_BYTES <= end:
        _fill_word(row, at, size, pixel)
        at += step
    while at < end:
        _put(row, at, size, pixel)
        at += size


@inlined
def _add(pixel, residual):
    """The sum of two pixels, modulo 256 in each byte."""
    low = (pixel & np.uint32(0x7F7F7F7F)) + (residual & np.uint32(0x7F7F7F7F))
    return np.uint32(low ^ ((pixel ^ residual) & np.uint32(0x80808080)))


@inlined
def _average(left, above):
    """PNG's Average predictor: the floor of the mean, in each byte."""
    return np.uint32((left & above) + (((left ^ above) & np.uint32(0xFEFEFEFE)) >> 1))


@inlined
def _one_bit_a_pixel(word, size):
    """Fold the bits of bytes: one is left for each whole pixel, at its first byte."""
    if size == 3:
        return (word | word >> np.uint64(1) | word >> np.uint64(2)) & np.uint64(
            0x1249_2492_4924_9249
        )
    pairs = word | word >> np.uint64(1)
    if size == 4:
        return (pairs | pairs >> np.uint64(2)) & np.uint64(0x1111_1111_1111_1111)
    return pairs & np.uint64(0x5555_5555_5555_5555)


@outlined
def _narrow_residuals(data, at, end):
    """The bytes that are not zero, where fewer than 64 may be read."""
    word = np.uint64(0)
    for k in range(min(end - at, WORD_BYTES)):
        if data[at + k] != 0:
            word |= ONE << np.uint64(k)
    return word


@outlined
def _narrow_changes(data, at, size, end):
    """The bytes that differ from those a pixel before, where fewer than 64 may be read."""
    word = np.uint64(0)
    for k in range(min(end - at, WORD_BYTES)):
        if data[at + k] != data[at + k - size]:
            word |= ONE << np.uint64(k)
    return word


@inlined
def _residual_events(data, at, left, size, end):
    """Word of pixels with a residual among the `left` bytes of a row; reads nothing from `end`."""
    if at + WORD_BYTES <= end:
        word = nonzero_pixels(data, _ZERO, at, data)
    else:
        word = _narrow_residuals(data, at, end)
    if left < WORD_BYTES:
        word &= (ONE << np.uint64(left)) - ONE
    return _one_bit_a_pixel(word, size)


@inlined
def _change_events(data, at, left, size, end):
    """Word of pixels that differ from the one before them; as `_residual_events`."""
    if at + WORD_BYTES <= end:
        word = unlike_bytes(data, at, size)
    else:
        word = _narrow_changes(data, at, size, end)
    if left < WORD_BYTES:
        word &= (ONE << np.uint64(left)) - ONE
    return _one_bit_a_pixel(word, size)


@outlined
def _next_event(stream, offset, x, length, row, size, end):
    """The first pixel from x with a residual or a change in the row above, or `length`."""
    while x < length:
        word = _residual_events(stream, offset + x, length - x, size, end)
        word |= _change_events(row, x, length - x, size, length + PADDING)
        if word != 0:
            return x + trailing_zeros(word)
        x += WORD_BYTES // size * size
    return length


@outlined
def _count_runs(data, offset, length, weight, size, end, table):
    """Count a row of plain pixels by its runs."""
    value = _pixel(data, offset, size)
    start = _ZERO
    x = _ZERO + size
    step = WORD_BYTES // size * size
    while x < length:
        word = _change_events(data, offset + x, length - x, size, end)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            _bump(table, value, (event - start) * weight)
            start = event
            value = _pixel(data, offset + event, size)
        x += step
    _bump(table, value, (length - start) * weight)


@outlined
def _sub_row(stream, offset, length, row, weight, size, end, table):
    """Count a Sub row by its runs, and write it to `row`."""
    value = np.uint32(0)
    start = _ZERO
    x = _ZERO
    step = WORD_BYTES // size * size
    while x < length:
        word = _residual_events(stream, offset + x, length - x, size, end)
        _fill_word(row, x, size, value)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            if event > start:
                _bump(table, value, (event - start) * weight)
            start = event
            value = _add(value, _pixel(stream, offset + event, size))
            _fill_word(row, event, size, value)  # the next event overwrites what is too much
        x += step
    _bump(table, value, (length - start) * weight)


@outlined
def _up_row(stream, offset, length, row, weight, size, end, table):
    """Apply the events of an Up row to `row` and to the table."""
    x = _ZERO
    step = WORD_BYTES // size * size
    while x < length:
        word = _residual_events(stream, offset + x, length - x, size, end)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            above = _pixel(row, event, size)
            value = _add(above, _pixel(stream, offset + event, size))
            _put(row, event, size, value)
            _bump(table, above, -weight * size)
            _bump(table, value, weight * size)
        x += step


@outlined
def _repeat_value(stream, offset, x, length, row, value, weight, size, end, table):
    """Give `value` to pixel x and all up to the next event; returns the pixel behind them."""
    above = _pixel(row, x, size)
    behind = _next_event(stream, offset, x + size, length, row, size, end)
    _bump(table, above, -weight * (behind - x))
    _bump(table, value, weight * (behind - x))
    _fill(row, x, behind, size, value)
    return behind


@inlined
def _paeth_out_of_step(stream, offset, x, length, row, weight, size, end, table):
    """From a residual at x, met in step, predict until in step again; returns the pixel behind."""
    upper_left = _pixel(row, x, size)
    left = _add(upper_left, _pixel(stream, offset + x, size))
    _put(row, x, size, left)
    _bump(table, upper_left, -weight * size)
    _bump(table, left, weight * size)
    x += size
    patience = _PATIENCE
    while x < length:
        above = _pixel(row, x, size)
        value = _add(paeth_of_bytes(left, above, upper_left), _pixel(stream, offset + x, size))
        if value == above:
            return x + size
        patience -= 1
        if patience < 0:
            patience = _PATIENCE
            # A prediction from one pixel above and left of it alone repeats the one on the left.
            if above == upper_left:
                x = _repeat_value(stream, offset, x, length, row, value, weight, size, end, table)
                left = value
                continue
        _put(row, x, size, value)
        _bump(table, above, -weight * size)
        _bump(table, value, weight * size)
        left = value
        upper_left = above
        x += size
    return x


@outlined
def _paeth_row(stream, offset, length, row, weight, size, end, table):
    """Apply the events of a Paeth row to `row` and to the table."""
    x = _ZERO
    step = WORD_BYTES // size * size
    while x < length:
        word = _residual_events(stream, offset + x, length - x, size, end)
        word_end = x + step
        while word != 0:
            event = x + trailing_zeros(word)
            behind = _paeth_out_of_step(
                stream, offset, event, length, row, weight, size, end, table
            )
            if behind >= word_end:
                word_end = behind
                break
            word &= ALL << np.uint64(behind - x)
        x = word_end


@outlined
def _average_row(stream, offset, length, row, weight, size, end, table):
    """Apply an Average row to `row` and to the table."""
    left = np.uint32(0)
    x = _ZERO
    step = WORD_BYTES // size * size
    while x < length:
        events = set_bits(_residual_events(stream, offset + x, length - x, size, end))
        word_end = min(x + step, length)
        busy = events > step // size // _BUSY
        calm = 0  # pixels in a row that repeated the one on their left
        while x < word_end:
            above = _pixel(row, x, size)
            value = _add(_average(left, above), _pixel(stream, offset + x, size))
            if not busy:
                calm = (calm + 1) * np.int64(value == left)
                if calm > _CALM and _average(value, above) == value:
                    calm = 0
                    left = value
                    if value == above:
                        x = _next_event(stream, offset, x + size, length, row, size, end)
                    else:
                        x = _repeat_value(
                            stream, offset, x, length, row, value, weight, size, end, table
                        )
                    continue
            _put(row, x, size, value)
            _bump(table, above, -weight * size)
            _bump(table, value, weight * size)
            left = value
            x += size


@inlined
def _entry_of(table, colour):
    """The entry of a colour, or 0 where there is none."""
    slot = np.int64((np.uint64(colour) * _SPREAD) >> _SHIFT)
    entry = table[2 + slot]
    while entry != 0 and table[COLOURS_AT + entry] != np.int64(colour):
        slot = (slot + 1) & _MASK
        entry = table[2 + slot]
    return entry


@outlined
def _write_entries(data, offset, length, size, end, table, image):
    """Write the entries of a row of plain pixels, run by run."""
    entry = np.uint16(_entry_of(table, _pixel(data, offset, size)))
    done = _ZERO
    x = _ZERO + size
    step = WORD_BYTES // size * size
    while x < length:
        word = _change_events(data, offset + x, length - x, size, end)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            behind = event // size
            for k in range(done, behind):
                image[k] = entry
            done = behind
            entry = np.uint16(_entry_of(table, _pixel(data, offset + event, size)))
        x += step
    for k in range(done, length // size):
        image[k] = entry


@inlined
def _rows_inheriting(stream, stride, row, rows):
    """How many rows from `row` on continue the group before them."""
    first = row
    while row < rows and stream[row * stride] >= UP:
        row += 1
    return row - first


@compiled
def count_colour_rows(stream, rows, length, size, row, table, image, step):
    """Add the colours of filtered PNG rows to a table, and rebuild rows in `image` by its entries.

    Args:
        stream: uint8[rows * (1 + length)], the inflated rows, filter types included.
        rows, length: rows here, and bytes of one row without its filter type.
        size: bytes of a pixel: 2, 3 or 4; `length` is a multiple of it.
        row: uint8[length + PADDING], the row above the first one; in the end the last one.
        table: int64[TABLE_SIZE].
        image: uint16; row y is written at y * step, the entry of each pixel modulo 65536. With
            step 0 nothing is.

    Returns the index of the first row with an unknown filter type, OVERFLOW where there are more
    than MOST_COLOURS colours, or -1. Except for -1 what was counted is worthless.
    """
    data, image_row, colours = pointer_to(stream), pointer_to(row), pointer_to(table)
    end, stride = stream.size, 1 + length
    left = _rows_inheriting(data, stride, _ZERO, rows)
    if left > 0:
        _count_runs(image_row, _ZERO, length, left, size, length + PADDING, colours)
    for y in range(rows):
        offset = y * stride + 1
        kind = data[offset - 1]
        if kind > PAETH:
            return y
        if kind == UP:
            _up_row(data, offset, length, image_row, left, size, end, colours)
        elif kind == PAETH:
            _paeth_row(data, offset, length, image_row, left, size, end, colours)
        elif kind == AVERAGE:
            _average_row(data, offset, length, image_row, left, size, end, colours)
        else:
            left = 1 + _rows_inheriting(data, stride, y + 1, rows)
            if kind == SUB:
                _sub_row(data, offset, length, image_row, left, size, end, colours)
            else:
                _count_runs(data, offset, length, left, size, end, colours)
                if left > 1 or step > 0 or y == rows - 1:
                    for x in range(length):
                        image_row[x] = data[offset + x]
        left -= 1
        if step > 0:
            target = item_pointer(pointer_to(image), y * step)
            _write_entries(image_row, _ZERO, length, size, length + PADDING, colours, target)
        if colours[1] != 0:
            return OVERFLOW
    return -1


@compiled
def count_colours(pixels, size, table):
    """Add the colours of plain pixels, uint8[n * size], to a table; OVERFLOW or -1."""
    colours = pointer_to(table)
    _count_runs(pointer_to(pixels), _ZERO, np.int64(pixels.size), 1, size, pixels.size, colours)
    return OVERFLOW if colours[1] != 0 else -1
