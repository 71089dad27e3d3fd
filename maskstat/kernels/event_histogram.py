"""The event-space histogram: count the pixels of a filtered PNG without rebuilding the image.

**Event space.** A label map is constant almost everywhere, and a PNG filter stores each pixel as
its difference from a prediction out of its neighbours; so the filtered rows are almost all
zeros. An *event* is a place where something happens: a non-zero residual, or a change of label in
the row above. Between two events the outcome is known without looking at the pixels. The kernel
finds events 64 bytes at a time (see `vector`), so that its cost follows the number of label
changes rather than the number of pixels.

**Inherited rows.** Rows with filter None or Sub do not depend on the row above: they open a
*group*. Up, Average and Paeth rows continue the group: they start as a copy of the row above, and
events change that copy. So an opening row is counted once, with the weight 1 + the number of rows
that follow in its group; and where a later row changes a pixel from `old` to `new`, that holds
for itself and for the rows left in the group:

    bins[new] += rows left,   bins[old] -= rows left        (this row included)

Rows at the top of the image (or of a band) with no opening row inherit the row that the caller
hands over: all zeros at the top, as PNG defines it.

**Invariants**, at the start of every row:

- `previous` holds the row above, whenever the row at hand continues a group;
- `bins` is the exact histogram of all rows before, plus that of `previous` times the rows left;
- nothing is read outside `stream`, and nothing is written behind the row but PADDING pixels.

The rules, one a filter (residual r, `left`, `above`, `upper_left` as in the PNG standard):

- None: pixels are stored as they are: events are changes from pixel to pixel; count runs.
- Sub: r = 0 repeats the pixel on the left: count runs.
- Up: r = 0 repeats the pixel above: only r != 0 changes anything.
- Paeth: as long as left = upper_left ("in step with the row above"), r = 0 means the pixel
  above, as in Up. An event puts the row out of step; then pixels are predicted one by one until
  it is in step again, most often after one or two. In long stretches out of step r = 0 under an
  unchanging row above repeats the pixel on the left, up to the next event.
- Average: pixels are predicted one by one from an event until they settle (the mean of left and
  above is left again); a settled pixel repeats up to the next event.

Pixels of one byte (8-bit, and packed 1, 2 and 4-bit rows, whose *bytes* are counted) and of two
bytes (16-bit grey) share this code; the item type of the row buffer tells them apart. Two-byte
pixels are counted in the byte order the machine loads them in; the caller puts that right.

Callers guarantee the sizes given in `count_rows`. The filter types are checked here.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined, outlined
from maskstat.kernels.png_filters import AVERAGE, PAETH, SUB, UP, add_bytes, average, paeth
from maskstat.kernels.vector import (
    ALL,
    ONE,
    WORD_BYTES,
    as_bytes,
    changed_pixels,
    fill_word,
    item_pointer,
    nonzero_pixels,
    pixel_at,
    pixel_bytes,
    pointer_to,
    set_bits,
    trailing_zeros,
    word_pixels,
    zero_pixel,
)

PADDING = WORD_BYTES  # spare pixels behind `previous`: words are loaded and stored whole

# Typed, since a variable that begins with a literal has its callees compiled for the literal, too.
_ZERO = np.int64(0)
_FIRST = np.int64(0)
_SECOND = np.int64(1)


# When to look for the next event instead of predicting pixels one by one; any values are correct.
_PATIENCE = 8  # Paeth: after so many pixels out of step
_CALM = 1  # Average: after more than so many pixels that repeat the one on their left, and not
_BUSY = 4  # in a word of which one pixel in so many has a residual


@outlined
def _narrow_residuals(stream, offset, x, pixels, like):
    """`_residual_events` of a row narrower than a word."""
    word = np.uint64(0)
    for k in range(pixels - x):
        if pixel_at(stream, offset, x + k, like) != 0:
            word |= ONE << np.uint64(k)
    return word


@outlined
def _narrow_changes(row, offset, x, pixels, like):
    """`change_events` of a row narrower than a word."""
    word = np.uint64(0)
    for k in range(pixels - x):
        here = pixel_at(row, offset, x + k, like)
        if here != pixel_at(row, offset, x + k - 1, like):
            word |= ONE << np.uint64(k)
    return word


@inlined
def _residual_events(stream, offset, x, pixels, like):
    """Word of the non-zero residuals from pixel x of the row at `offset`; never reads past it."""
    if x + word_pixels(like) <= pixels:
        return nonzero_pixels(stream, offset, x, like)
    last = pixels - word_pixels(like)
    if last >= 0:
        return nonzero_pixels(stream, offset, last, like) >> np.uint64(x - last)
    return _narrow_residuals(stream, offset, x, pixels, like)


@inlined
def change_events(row, offset, x, pixels, like):
    """Word of the pixels from x >= 1 that differ from the one before them; never reads past it."""
    if x + word_pixels(like) <= pixels:
        return changed_pixels(row, offset, x, like)
    last = pixels - word_pixels(like)
    if last >= 1:
        return changed_pixels(row, offset, last, like) >> np.uint64(x - last)
    return _narrow_changes(row, offset, x, pixels, like)


@outlined
def _next_event(stream, offset, x, pixels, previous):
    """The first pixel from x >= 1 with a residual or a change in the row above, or `pixels`."""
    while x < pixels:
        word = _residual_events(stream, offset, x, pixels, previous)
        word |= change_events(as_bytes(previous), _ZERO, x, pixels, previous)
        if word != 0:
            return x + trailing_zeros(word)
        x += word_pixels(previous)
    return x if x < pixels else pixels


@outlined
def _count_runs(row_data, offset, pixels, weight, like, bins):
    """Count a row of plain pixels by its runs; returns its last pixel."""
    value = pixel_at(row_data, offset, 0, like)
    run_start = 0
    x = _SECOND
    while x < pixels:
        word = change_events(row_data, offset, x, pixels, like)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            bins[value] += (event - run_start) * weight
            run_start = event
            value = pixel_at(row_data, offset, event, like)
        x += word_pixels(like)
    bins[value] += (pixels - run_start) * weight
    return value


@outlined
def _sub_row(stream, offset, pixels, previous, weight, bins):
    """Count a Sub row by its runs, and write it to `previous`."""
    value = zero_pixel(previous)
    run_start = 0
    x = _FIRST
    while x < pixels:
        word = _residual_events(stream, offset, x, pixels, previous)
        fill_word(previous, x, value)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            bins[value] += (event - run_start) * weight
            run_start = event
            value = add_bytes(value, pixel_at(stream, offset, event, previous))
            fill_word(previous, event, value)  # the next event overwrites what is too much
        x += word_pixels(previous)
    bins[value] += (pixels - run_start) * weight


@outlined
def _up_row(stream, offset, pixels, previous, weight, bins):
    """Apply the events of an Up row to `previous` and to the bins."""
    x = _FIRST
    while x < pixels:
        word = _residual_events(stream, offset, x, pixels, previous)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            above = previous[event]
            value = add_bytes(above, pixel_at(stream, offset, event, previous))
            previous[event] = value
            bins[above] -= weight
            bins[value] += weight
        x += word_pixels(previous)


@outlined
def _repeat_value(stream, offset, x, pixels, previous, value, weight, bins):
    """Give `value` to pixel x and all up to the next event; returns the pixel behind them."""
    above = previous[x]
    end = _next_event(stream, offset, x + 1, pixels, previous)
    bins[above] -= weight * (end - x)
    bins[value] += weight * (end - x)
    for k in range(x, end):
        previous[k] = value
    return end


@inlined
def _paeth_out_of_step(stream, offset, x, pixels, previous, weight, bins):
    """From a residual at x, met in step, predict until in step again; returns the pixel behind."""
    upper_left = previous[x]
    left = add_bytes(upper_left, pixel_at(stream, offset, x, previous))
    previous[x] = left
    bins[upper_left] -= weight
    bins[left] += weight
    x += 1
    patience = _PATIENCE
    while x < pixels:
        above = previous[x]
        residual = pixel_at(stream, offset, x, previous)
        value = add_bytes(paeth(left, above, upper_left), residual)
        if value == above:
            return x + 1
        patience -= 1
        if patience < 0:
            patience = _PATIENCE
            if above == upper_left:
                x = _repeat_value(stream, offset, x, pixels, previous, value, weight, bins)
                left = value
                continue
        previous[x] = value
        bins[above] -= weight
        bins[value] += weight
        left = value
        upper_left = above
        x += 1
    return x


@outlined
def _paeth_row(stream, offset, pixels, previous, weight, bins):
    """Apply the events of a Paeth row to `previous` and to the bins."""
    x = _FIRST
    while x < pixels:
        word = _residual_events(stream, offset, x, pixels, previous)
        word_end = x + word_pixels(previous)
        while word != 0:
            event = x + trailing_zeros(word)
            behind = _paeth_out_of_step(stream, offset, event, pixels, previous, weight, bins)
            if behind >= word_end:
                word_end = behind
                break
            word &= ALL << np.uint64(behind - x)
        x = word_end


@outlined
def _average_row(stream, offset, pixels, previous, weight, bins):
    """Apply an Average row to `previous` and to the bins."""
    left = zero_pixel(previous)
    x = _FIRST
    while x < pixels:
        events = set_bits(_residual_events(stream, offset, x, pixels, previous))
        word_end = x + word_pixels(previous)
        if word_end > pixels:
            word_end = pixels
        busy = events > word_pixels(previous) // _BUSY
        calm = 0  # pixels in a row that repeated the one on their left
        while x < word_end:
            above = previous[x]
            value = add_bytes(average(left, above), pixel_at(stream, offset, x, previous))
            if not busy:
                calm = (calm + 1) * np.int64(value == left)
                if calm > _CALM and average(value, above) == value:
                    calm = 0
                    left = value
                    if value == above:
                        x = _next_event(stream, offset, x + 1, pixels, previous)
                    else:
                        x = _repeat_value(stream, offset, x, pixels, previous, value, weight, bins)
                    continue
            previous[x] = value
            bins[above] -= weight
            bins[value] += weight
            left = value
            x += 1


@inlined
def _rows_inheriting(stream, stride, row, rows):
    """How many rows from `row` on continue the group before them."""
    first = row
    while row < rows and stream[row * stride] >= UP:
        row += 1
    return row - first


@outlined
def _copy_pixels(source, offset, pixels, target):
    """Copy the row of plain pixels at `offset` to `target`."""
    for x in range(pixels):
        target[x] = pixel_at(source, offset, x, target)


@inlined
def walk_rows(stream, rows, pixels, image, step, bins, last_bins, packed):
    """Count all rows; row y goes to `image` at (y + 1) * step, the row above it is at y * step.

    With step 0 the rows replace each other in one buffer; then a None row that nobody inherits
    from is not copied there.
    """
    stride = 1 + pixels * pixel_bytes(image)
    left = _rows_inheriting(stream, stride, _FIRST, rows)
    if left > 0:
        _count_runs(as_bytes(image), _ZERO, pixels, left, image, bins)
    for row in range(rows):
        offset = row * stride + 1
        filter_type = stream[offset - 1]
        if filter_type > PAETH:
            return row
        target = item_pointer(image, (row + 1) * step)
        if filter_type >= UP and step > 0:
            _copy_pixels(as_bytes(image), row * step * pixel_bytes(image), pixels, target)
        if filter_type == UP:
            _up_row(stream, offset, pixels, target, left, bins)
        elif filter_type == PAETH:
            _paeth_row(stream, offset, pixels, target, left, bins)
        elif filter_type == AVERAGE:
            _average_row(stream, offset, pixels, target, left, bins)
        else:
            left = 1 + _rows_inheriting(stream, stride, row + 1, rows)
            if filter_type == SUB:
                _sub_row(stream, offset, pixels, target, left, bins)
            else:
                last = _count_runs(stream, offset, pixels, left, target, bins)
                if left > 1 or step > 0 or row == rows - 1:
                    _copy_pixels(stream, offset, pixels, target)
                target[pixels - 1] = last
        left -= 1
        if packed != 0:
            last_bins[target[pixels - 1]] += 1
    return -1


@outlined
def drain(bins, size, values, counts):
    """Move the non-zero bins to (values, counts), leaving zeros; returns how many there were."""
    found = 0
    for first in range(0, size, word_pixels(bins)):
        word = nonzero_pixels(bins, 0, first, bins)
        while word != 0:
            value = first + trailing_zeros(word)
            word &= word - ONE
            values[found] = value
            counts[found] = bins[value]
            bins[value] = 0
            found += 1
    return found


@compiled
def count_rows(stream, rows, pixels, image, step, bins, last_bins, packed):
    """Add the histogram of filtered rows to `bins`, and rebuild rows in `image`.

    Args:
        stream: uint8[rows * (1 + pixels * itemsize)], the inflated rows, filter types included.
        rows, pixels: rows here, and pixels of one row (bytes, where pixels are packed).
        image: uint8 or uint16; `step` items a row. Row 0 is the row above the first one, row
            y + 1 receives row y. step = 0: one buffer of pixels + PADDING items that holds the
            row above first, and the last row in the end. step = pixels: the whole image,
            (rows + 1) * pixels + PADDING items.
        bins: int64[256 or 65536], added to.
        last_bins: int64[256], the same for the last byte of each row alone, where `packed`: it may
            hold padding.

    Returns the index of the first row with an unknown filter type, or -1. In the former case what
    was counted is worthless.
    """
    return walk_rows(
        pointer_to(stream),
        rows,
        pixels,
        pointer_to(image),
        step,
        pointer_to(bins),
        pointer_to(last_bins),
        packed,
    )


@compiled
def tally_rows(stream, rows, pixels, previous, bins, values, counts):
    """Histogram of a whole image of unpacked pixels in one call.

    Args:
        stream, rows, pixels: as in `count_rows`.
        previous: uint8 or uint16[pixels + PADDING], scratch.
        bins: int64[256 or 65536], scratch: all zeros before and after.
        values, counts: int64[256 or 65536], receive the values that occur and their counts.

    Returns how many values occur, or -1 - y where row y has an unknown filter type.
    """
    row, all_bins = pointer_to(previous), pointer_to(bins)
    for x in range(pixels):
        row[x] = 0
    bad = walk_rows(pointer_to(stream), rows, pixels, row, _ZERO, all_bins, all_bins, _ZERO)
    found = drain(all_bins, bins.size, pointer_to(values), pointer_to(counts))
    return found if bad < 0 else -1 - bad
