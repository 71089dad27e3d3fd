"""Kernels for crops: what windows of a label image hold. Exact integers.

Everything works on runs, the longest stretches of one label in a row, so that the cost follows
their number. Resizing with the nearest neighbour maps run ends, so no image is ever resized.
`maskstat.kernels.crops` calls these.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined
from maskstat.kernels.vector import (
    leading_zeros,
    trailing_zeros,
)


@compiled
def map_axis(crop, resized, centred, corners, edges, cover):
    """edges, cover: int64[size + 1] of an axis of so many pixels, from what `Axis.of` takes."""
    size = edges.size - 1
    edges[:] = 0
    cover[:] = 0
    place, step = 0.0, size / resized
    ratio = np.float32(size - 1) / np.float32(resized - 1)
    for at in range(resized):
        if corners and resized > 1:
            place = np.float64(np.float32(at) * ratio) + 0.5
        elif centred:
            place = place + step if at else step * 0.5
        else:
            place = at * (1.0 / (resized / size))
        x = min(np.int64(place), size - 1) + 1
        edges[x] += 1
        cover[x] += min(at, resized - crop) - max(0, at - crop + 1) + 1
    for x in range(size):
        edges[x + 1] += edges[x]
        cover[x + 1] += cover[x]


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
def _mark_runs(rows, starts, labels, words, bits, occurs):
    """Set bit x of bits[y, p words:] where pixel x of row y has label p, and occurs[y, p]."""
    every = ~np.uint64(0)
    bits[:] = 0
    occurs[:] = False
    for y in range(rows.size - 1):
        line = bits[y]
        for r in range(rows[y], rows[y + 1] - 1):
            p = labels[r]
            if p >= occurs.shape[1]:  # no class
                continue
            occurs[y, p] = True
            x, end = np.int64(starts[r]), np.int64(starts[r + 1]) - 1
            first, last = p * words + (x >> 6), p * words + (end >> 6)
            mark = every << np.uint64(x & 63)
            while first < last:
                line[first] |= mark
                mark = every
                first += 1
            line[last] |= mark & (every >> np.uint64(63 - (end & 63)))


@inlined
def _unseen(upper, lower, kept, begin, edges, w, fine):
    """Places, of one row of them, that see no column of a class: those that lie in a gap.

    upper, lower: uint64[P words], whose union from word `begin` on has a bit for each column with
    the class; kept: uint64[words], the columns that the resized image has. fine: whether a gap
    within a word may be as wide as a crop.
    """
    unseen, gap = np.int64(0), np.int64(0)
    for k in range(kept.size):
        word = (upper[begin + k] | lower[begin + k]) & kept[k]
        if not word:
            continue
        at = (k << 6) + trailing_zeros(word)
        unseen += max(0, edges[at] - edges[gap] - w + 1)
        gap = ((k + 1) << 6) - leading_zeros(word)
        if fine:
            word >>= np.uint64(at & 63)
            while at + trailing_zeros(~word) < gap:
                at += trailing_zeros(~word)
                word >>= np.uint64(trailing_zeros(~word))
                zeros = trailing_zeros(word)
                unseen += max(0, edges[at + zeros] - edges[at] - w + 1)
                at += zeros
                word >>= np.uint64(zeros)
    return unseen + max(0, edges[-1] - edges[gap] - w + 1)


@compiled
def places_with(rows, starts, labels, row_edges, column_edges, sides, bits, suffix, found):
    """found int64[V, P] += places whose crop sees each of the labels 0..P-1, at each of V sizes.

    row_edges: int64[V, H + 1], column_edges: int64[V, W + 1], as in an axis. sides: int64[V, 2],
    height and width of the crops. bits: uint64[H, P words]; suffix: uint64[h, P words]: room.

    The union of the rows that a crop sees slides down in two stacks: suffixes of the upper rows,
    and the union of the lower ones. Of its columns only gaps count that are as wide as a crop.
    """
    height, width, some = rows.size - 1, column_edges.shape[1] - 1, found.shape[1]
    words = (width + 63) >> 6
    occurs = np.empty((height, some), np.bool_)
    _mark_runs(rows, starts, labels, words, bits, occurs)
    lower, kept = np.empty(some * words, np.uint64), np.empty(words, np.uint64)
    lines, seen = np.empty(height, np.int64), np.empty(some, np.int64)
    for v in range(found.shape[0]):
        edges, h, w = column_edges[v], sides[v, 0], sides[v, 1]
        across = edges[width] - w + 1
        kept[:] = 0
        fine = False
        for x in range(width):
            kept[x >> 6] |= np.uint64(edges[x] < edges[x + 1]) << np.uint64(x & 63)
            fine |= edges[min(x + 62, width)] - edges[x] >= w
        source = np.empty(row_edges[v, height], np.int64)  # the kept row that a resized one is
        count = 0
        for y in range(height):
            if row_edges[v, y] < row_edges[v, y + 1]:
                source[row_edges[v, y] : row_edges[v, y + 1]] = count
                lines[count] = y
                count += 1
        top = bottom = middle = base = np.int64(-1)  # of the union, and of what suffixes there are
        y = 0
        while y < source.size - h + 1:
            first, last = source[y], source[y + h - 1]
            begun = top >= 0
            leaves = lines[top] if begun and top < first else np.int64(-1)
            comes = lines[last] if bottom < last else np.int64(-1)
            if first > middle:
                base, middle = first, last
                lower[:] = 0
                suffix[middle - base] = bits[lines[middle]]
                for at in range(middle - 1, base - 1, -1):
                    line, below, into = bits[lines[at]], suffix[at + 1 - base], suffix[at - base]
                    for k in range(lower.size):
                        into[k] = line[k] | below[k]
            elif bottom < last:
                line = bits[lines[last]]
                for k in range(lower.size):
                    lower[k] |= line[k]
            top, bottom = first, last
            times = 1
            while y + times + h - 1 < source.size and (
                source[y + times] == top and source[y + times + h - 1] == bottom
            ):
                times += 1
            upper = suffix[top - base]
            for p in range(some):
                if (
                    not begun
                    or (leaves >= 0 and occurs[leaves, p])
                    or (comes >= 0 and occurs[comes, p])
                ):
                    unseen = _unseen(upper, lower, kept, p * words, edges, w, fine)
                    seen[p] = across - unseen
                found[v, p] += times * seen[p]
            y += times


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
def _sources(edges, source):
    """source int64[H']: of each resized row, the row that it comes from."""
    for y in range(edges.size - 1):
        source[edges[y] : edges[y + 1]] = y


@inlined
def _add_row(rows, starts, labels, y, edges, columns, band, by):
    """Add `by` to columns[label] at every resized pixel of the mask's row y, and band[label]."""
    for r in range(rows[y], rows[y + 1] - 1):
        first, behind, line = edges[starts[r]], edges[starts[r + 1]], columns[labels[r]]
        band[labels[r]] += by * (behind - first)
        for x in range(first, behind):
            line[x] += by


@inlined
def _slide(columns, w, window):
    """window int64[places] = what each place has of columns int32[W']."""
    total = np.int64(0)
    for x in range(w):
        total += columns[x]
    window[0] = total
    for x in range(1, window.size):
        total += np.int64(columns[x + w - 1]) - columns[x - 1]
        window[x] = total


@compiled
def refused_places(
    rows, starts, labels, row_edges, column_edges, sides, ratio, presence, totals, seen
):
    """totals int64[V, L + 1] += over refused places, at each of V sizes: labels, and places;
    seen int64[V, L - 1] += those of these places that see each class, where `presence` is wanted.

    A place is taken if two classes or more are in its crop and none has `ratio` < 1 of their
    pixels; the last label is no class. Edges and sides as in `places_with`.
    """
    classes = seen.shape[1]
    for v in range(totals.shape[0]):
        edges, h, w = column_edges[v], sides[v, 0], sides[v, 1]
        width, height = edges[-1], row_edges[v, -1]
        source = np.empty(height, np.int64)
        _sources(row_edges[v], source)
        # Of the rows that a crop sees: labels in each column, and in all of them.
        columns = np.zeros((classes + 1, width), np.int32)
        band, cover = np.zeros(classes + 1, np.int64), np.empty(width, np.int32)
        window, void = np.empty(width - w + 1, np.int64), np.empty(width - w + 1, np.int64)
        largest, refused = np.empty(window.size, np.int64), np.empty(window.size, np.int32)
        for y in range(height):
            _add_row(rows, starts, labels, source[y], edges, columns, band, 1)
            if y >= h:
                _add_row(rows, starts, labels, source[y - h], edges, columns, band, -1)
            if y < h - 1:
                continue
            void[:] = 0
            if band[classes]:
                _slide(columns[classes], w, void)
            # Who has too few in all of these rows has them in no crop; quotients are rounded.
            enough = 0.999999 * ratio * (h * w - band[classes])
            largest[:] = 0
            for c in range(classes):
                if band[c] and band[c] >= enough:
                    _slide(columns[c], w, window)
                    for x in range(window.size):
                        largest[x] = max(largest[x], window[x])
            count = 0
            for x in range(window.size):
                # One class alone has all of them; of none the quotient is no number.
                refused[x] = 0 if largest[x] / (h * w - void[x]) < ratio else 1
                count += refused[x]
            if not count:
                continue
            totals[v, classes + 1] += count
            inside = np.int32(0)  # of the refused places, those that a column is in
            for x in range(width):
                inside += refused[x] if x < window.size else 0
                inside -= refused[x - w] if x >= w else 0
                cover[x] = inside
            for c in range(classes + 1):
                if band[c]:
                    line, total = columns[c], np.int64(0)
                    for x in range(width):
                        total += np.int64(line[x]) * np.int64(cover[x])
                    totals[v, c] += total
            if presence:
                for c in range(classes):
                    if band[c]:
                        _slide(columns[c], w, window)
                        for x in range(window.size):
                            seen[v, c] += refused[x] if window[x] > 0 else 0
