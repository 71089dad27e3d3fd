"""Kernels for crops: the runs of a label image, and what windows of it hold. Exact integers.

Everything works on runs, the longest stretches of one label in a row, so that the cost follows
their number. Resizing with the nearest neighbour maps run ends, so no image is ever resized.
`maskstat.kernels.crops` calls these.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels import region_walk
from maskstat.kernels.compiling import compiled, inlined
from maskstat.kernels.vector import as_bytes, item_pointer, pixel_bytes, pointer_to, set_bits


@compiled
def find_runs(pixels, number_of, height, width, rows, starts, labels):
    """Runs of labels, row by row; entries written, or -1 where the buffers are too small.

    pixels: flat uint8 or uint16. number_of: int32, the label of each value. rows: int64[H + 1];
    entries of row y are rows[y]..rows[y + 1] - 1, the last of them a sentinel that starts at W.
    """
    data, like = as_bytes(pointer_to(pixels)), pointer_to(pixels)
    n = 0
    for y in range(height):
        rows[y] = n
        if n + width + 1 > starts.size:
            return -1
        row_starts = item_pointer(pointer_to(starts), n)
        row_labels = item_pointer(pointer_to(labels), n)
        offset = y * width * pixel_bytes(like)
        numbers = pointer_to(number_of)
        n += region_walk.find_runs(data, offset, width, like, numbers, row_starts, row_labels) + 1
    rows[height] = n
    return n


@compiled
def expected(rows, starts, labels, seen_rows, covers, sums):
    """sums int64[S, L] += pixels of each label over all places; seen_rows int64[S, H], covers
    int64[S, W + 1]: how many places see a row, and all columns before x."""
    for y in range(rows.size - 1):
        first, last = rows[y], rows[y + 1] - 1
        for s in range(sums.shape[0]):
            weight = seen_rows[s, y]
            if weight == 0:  # a row that a smaller scale drops
                continue
            before = np.int64(0)
            for r in range(first, last):
                behind = covers[s, starts[r + 1]]
                sums[s, labels[r]] += weight * (behind - before)
                before = behind


@inlined
def _mark_row(rows, starts, labels, y, edges, places, w, words, reach, line):
    """Mark, for each label of row y, the columns of places whose crop meets a run of it."""
    every = ~np.uint64(0)
    reach[:] = 0
    line[:] = 0
    for r in range(rows[y], rows[y + 1] - 1):
        p = labels[r]
        if p >= reach.size:  # no class
            continue
        # Places that see this run, those already marked by earlier runs of the row left out.
        first_pixel, behind_last = edges[starts[r]], edges[starts[r + 1]]
        low = max(first_pixel - w + 1, reach[p])
        high = min(behind_last, places)  # half-open
        if low >= high or first_pixel == behind_last:
            continue
        reach[p] = high
        first, last = p * words + (low >> 6), p * words + ((high - 1) >> 6)
        mark = every << np.uint64(low & 63)
        while first < last:
            line[first] |= mark
            mark = every
            first += 1
        line[last] |= mark & (every >> np.uint64(63 - ((high - 1) & 63)))


@compiled
def places_with(rows, starts, labels, edges, source, places, h, w, words, bits, suffix, found):
    """found int64[P] += places whose crop sees each of the labels 0..P-1.

    edges: int64[W + 1] as in an axis; source: int64[H'], the mask's row of each resized row;
    places: of the columns. bits: uint64[H, P words]; suffix: uint64[h, P words]: room to work in.
    """
    height, some, size = source.size, found.size, bits.shape[1]
    reach, prefix = np.empty(some, np.int64), np.empty(size, np.uint64)
    for y in range(rows.size - 1):
        _mark_row(rows, starts, labels, y, edges, places, w, words, reach, bits[y])
    # OR of h rows from every row on (van Herk): blocks of h rows, suffixes and prefixes of each.
    block = 0
    while block <= height - h:
        end = min(block + h, height)
        for y in range(end - 1, block - 1, -1):
            line, into = bits[source[y]], suffix[y - block]
            if y == end - 1:
                into[:] = line
            else:
                above = suffix[y + 1 - block]
                for k in range(size):
                    into[k] = line[k] | above[k]
        prefix[:] = 0
        for y in range(block, min(end, height - h + 1)):
            behind = y + h - 1  # the crop's last row, in the next block unless y == block
            if behind >= end:
                line = bits[source[behind]]
                for k in range(size):
                    prefix[k] |= line[k]
            seen = suffix[y - block]
            for p in range(some):
                count = np.int64(0)
                for k in range(p * words, (p + 1) * words):
                    count += set_bits(seen[k] | prefix[k])
                found[p] += count
        block = end


@inlined
def _first_row(edges, view, first, last, at):
    """The first y of first..last that ends beyond `at`, edges[view, y + 1] > at, or `last`."""
    while first < last:
        middle = (first + last) >> 1
        if edges[view, middle + 1] > at:
            last = middle
        else:
            first = middle + 1
    return first


@compiled
def crop_counts(rows, starts, labels, row_edges, column_edges, crops, counts):
    """counts int64[n, L] += pixels of each label in n crops of the image at V sizes.

    row_edges: int64[V, H + 1], column_edges: int64[V, W + 1], as in an axis. crops: int64[n, 5]:
    view, top, left, height and width.
    """
    for crop in range(crops.shape[0]):
        view, top, left = crops[crop, 0], crops[crop, 1], crops[crop, 2]
        bottom, right = top + crops[crop, 3], left + crops[crop, 4]
        for y in range(_first_row(row_edges, view, 0, rows.size - 2, top), rows.size - 1):
            times = min(row_edges[view, y + 1], bottom) - max(row_edges[view, y], top)
            if times <= 0:
                if row_edges[view, y] >= bottom:
                    break
                continue
            last = rows[y + 1] - 1
            low, high = rows[y], last - 1  # the first run that ends behind `left`
            while low < high:
                middle = (low + high) >> 1
                if column_edges[view, starts[middle + 1]] > left:
                    high = middle
                else:
                    low = middle + 1
            before = left
            for r in range(low, last):
                behind = min(column_edges[view, starts[r + 1]], right)
                if behind > before:
                    counts[crop, labels[r]] += times * (behind - before)
                    before = behind
                if behind == right:
                    break


@inlined
def _add_row(rows, starts, labels, y, edges, columns, by):
    """Add `by` to columns[x, label] for every resized pixel x of the mask's row y."""
    for r in range(rows[y], rows[y + 1] - 1):
        for x in range(edges[starts[r]], edges[starts[r + 1]]):
            columns[x, labels[r]] += by


@compiled
def every_place(rows, starts, labels, column_edges, source, h, w, ratio, totals, seen):
    """totals int64[2, L + 1] += over refused [0] and taken [1] places: labels, and places;
    seen int64[2, L - 1] += those of these places that see each class.

    A place is taken if two classes or more are in its crop and none has `ratio` < 1 of their
    pixels; the last label is no class. source: int64[H'], the mask's row of each resized row.
    """
    height, width, count = source.size, column_edges[-1], totals.shape[1] - 1
    classes = count - 1
    columns, window = np.zeros((width, count), np.int64), np.zeros(count, np.int64)
    for y in range(height):
        _add_row(rows, starts, labels, source[y], column_edges, columns, 1)
        if y >= h:
            _add_row(rows, starts, labels, source[y - h], column_edges, columns, -1)
        if y < h - 1:
            continue
        window[:] = 0
        for x in range(w - 1):
            for c in range(count):
                window[c] += columns[x, c]
        # Loops that do one thing each are those that become vectors.
        for x in range(w - 1, width):
            for c in range(count):
                window[c] += columns[x, c]
            largest = np.int64(0)
            for c in range(classes):
                largest = max(largest, window[c])
            # One class alone has all of them; of none the quotient is no number.
            taken = 1 if largest / (h * w - window[classes]) < ratio else 0
            for c in range(count):
                totals[taken, c] += window[c]
            for c in range(classes):
                seen[taken, c] += window[c] > 0
            totals[taken, count] += 1
            first = x - w + 1
            for c in range(count):
                window[c] -= columns[first, c]
