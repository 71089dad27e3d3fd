"""Regions of a label image: where each label lies, and in how many pieces, from its runs.

A *run* is a longest stretch of one label in a row. They are found 64 bytes at a time (`vector`);
all else follows the number of runs: one pass lays the runs of each row over those of the row above,
and adds up what `maskstat.kernels.region_types.RegionCounts` says; another adds to heat maps.
Rows with the same runs as the row above form a *group* with it, whose runs are added up once.

**Heat.** An axis of W pixels is divided into G cells; in units of 1/G pixel, pixel x covers
[x G, (x + 1) G) and cell g covers [g W, (g + 1) W), so that every overlap is an integer. A label
that begins at u = g W + r covers W - r units of cell g and W of all that follow: as differences
from cell to cell, W - r at g and r at g + 1; where it ends the same is taken off. So a change of
label costs four additions, each weighted by the overlap of its rows, however many cells a run
crosses. Differences of masks add up as areas do, so no mask has heat maps of its own.

**Outlines** are pixel edges: between two labels, where their runs meet, and along the mask's own
edge (the *frame*), which the first and the last run of a row touch, and all runs of the outer rows.

**Components** are found by the union-find of `forest`: a run takes over the node of the first run
of its label that touches it from above; what touches it besides is joined to that; a run that
touches none opens a node.

Nothing here checks bounds: `compiled_regions` sizes every buffer, and the kernels return to it
where one must grow.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined, outlined
from maskstat.kernels.event_histogram import change_events
from maskstat.kernels.forest import BOTTOM, EIGHT, FIELDS, FOUR, LEFT, RIGHT, join, open_node
from maskstat.kernels.vector import (
    ONE,
    as_bytes,
    item_pointer,
    pixel_at,
    pixel_bytes,
    pointer_to,
    trailing_zeros,
    word_pixels,
)

# Where `walk` stands: the next row; one with the runs above it; the half of `run_nodes` for the
# next row; nodes; entries of the edge log (-1: none is kept).
STATE = 5
ROW, ROW_ABOVE, HALF, NODES, LOGGED = range(STATE)

_ZERO = np.int64(0)
_SECOND = np.int64(1)
_NOWHERE = np.int32(-1)


@outlined
def _runs_of_row(data, offset, width, like, label_of, starts, labels):
    """Write where the runs of a row start, and their labels; returns how many there are.

    `starts` gets the width behind them, and `labels` what no label equals.
    """
    label = label_of[pixel_at(data, offset, _ZERO, like)]
    starts[0] = 0
    labels[0] = label
    runs = 1
    x = _SECOND
    while x < width:
        word = change_events(data, offset, x, width, like)
        while word != 0:
            event = x + trailing_zeros(word)
            word &= word - ONE
            found = label_of[pixel_at(data, offset, event, like)]
            if found != label:
                label = found
                starts[runs] = event
                labels[runs] = label
                runs += 1
        x += word_pixels(like)
    starts[runs] = width
    labels[runs] = _NOWHERE
    return runs


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
        n += _runs_of_row(data, offset, width, like, numbers, row_starts, row_labels) + 1
    rows[height] = n
    return n


@inlined
def _same_runs(starts, labels, runs, here, there):
    """Whether two rows of so many runs, from `here` on and from `there` on, are equal."""
    for run in range(runs):
        if starts[here + run] != starts[there + run] or labels[here + run] != labels[there + run]:
            return False
    return True


@outlined
def _equal_rows(rows, starts, labels, row, height):
    """The first row behind `row` that has other runs."""
    runs = rows[row + 1] - rows[row]
    behind = row + 1
    while (
        behind < height
        and rows[behind + 1] - rows[behind] == runs
        and _same_runs(starts, labels, runs, rows[row], rows[behind])
    ):
        behind += 1
    return behind


@outlined
def _spread(starts, labels, runs, width, grid, weight, slots, heat):
    """Add the runs of a row to the differences of one row of cells, which begins at heat[0]."""
    stride = grid * (grid + 2)
    cells_a_pixel = np.float64(grid) / np.float64(width)
    first = slots[labels[0]] * stride
    whole = width * weight
    heat[first] += whole
    for run in range(1, runs):
        # Rounding does not reach the next whole number (grid x width is far below 2^50), unless the
        # quotient is one; the cell before, with a rest of `width`, is the same place.
        cell = np.int64(np.float64(starts[run]) * cells_a_pixel)
        rest = starts[run] * grid - cell * width
        behind = rest * weight
        here = whole - behind
        heat[first + cell] -= here
        heat[first + cell + 1] -= behind
        first = slots[labels[run]] * stride
        heat[first + cell] += here
        heat[first + cell + 1] += behind


@compiled
def spread(rows, starts, labels, width, grid, slots, heat):
    """Add the runs of a mask to the differences of heat maps.

    Args:
        rows, starts, labels: as in `maskstat.kernels.label_runs.Runs`.
        grid: cells of a heat map, each way.
        slots: int64[labels], which heat map is each label's.
        heat: int64[maps * grid * (grid + 2)], added to.
    """
    height = rows.size - 1
    y = _ZERO
    while y < height:
        runs = rows[y + 1] - rows[y] - 1
        row_starts = item_pointer(pointer_to(starts), rows[y])
        row_labels = item_pointer(pointer_to(labels), rows[y])
        behind = _equal_rows(pointer_to(rows), pointer_to(starts), pointer_to(labels), y, height)
        top, bottom = y * grid, behind * grid
        while top < bottom:
            cell = top // height
            stop = min(bottom, (cell + 1) * height)
            cells = item_pointer(pointer_to(heat), cell * (grid + 2))
            numbers = pointer_to(slots)
            _spread(row_starts, row_labels, runs, width, grid, stop - top, numbers, cells)
            top = stop
        y = behind


@inlined
def _count_edges(edges, log, logged, labels, left, right, count):
    """Count pixel edges between two labels: in the matrix, or by an entry of the log."""
    left, right = np.int64(left), np.int64(right)
    pair = min(left, right) * labels + max(left, right)
    if logged < 0:
        edges[pair] += count
        return logged
    log[2 * logged] = pair
    log[2 * logged + 1] = count
    return logged + 1


@outlined
def _lay_over(
    above_starts,
    above_labels,
    above_nodes,
    starts,
    labels,
    run_nodes,
    runs,
    width,
    row,
    state,
    nodes,
    sizes,
    edges,
    log,
    label_count,
):
    """Lay the runs of a row over those above it: components and edges."""
    count, logged = state[NODES], state[LOGGED]
    run = over = x = _ZERO  # the run at hand, the one above it, and from where on
    node = waiting = _NOWHERE  # of this run; of one above that the next run touches with a corner
    while run < runs:
        label, label_above = labels[run], above_labels[over]
        if label_above == label:
            if node < 0:
                node = above_nodes[over]
            elif node != above_nodes[over]:
                join(nodes, FOUR, node, above_nodes[over])
            # As a rule the same labels follow in both rows, and their border has moved a little.
            # That it goes left, right or straight down is not predictable: so without branches.
            while labels[run + 1] == above_labels[over + 1] and labels[run + 1] >= 0:
                end, end_above = np.int64(starts[run + 1]), np.int64(above_starts[over + 1])
                high = max(end, end_above)
                if high >= starts[run + 2] or high >= above_starts[over + 2]:
                    break
                run_nodes[run] = node
                if waiting >= 0:
                    join(nodes, EIGHT, waiting, node)
                    waiting = _NOWHERE
                left, right = np.int64(labels[run]), np.int64(labels[run + 1])
                length = high - min(end, end_above)
                logged = _count_edges(edges, log, logged, label_count, left, right, length)
                run += 1
                over += 1
                node = above_nodes[over]
                x = high
            label, label_above = labels[run], above_labels[over]
        end, end_above = np.int64(starts[run + 1]), np.int64(above_starts[over + 1])
        stop = min(end, end_above)
        if label_above != label:
            logged = _count_edges(edges, log, logged, label_count, label_above, label, stop - x)
        x = stop
        if end_above < end:
            over += 1
            continue
        if node < 0:
            node = np.int32(count)
            open_node(nodes, sizes, count, label, row, starts[run], width)
            count += 1
        run_nodes[run] = node
        if waiting >= 0:
            join(nodes, EIGHT, waiting, node)
            waiting = _NOWHERE
        run += 1
        if end_above == end:  # four runs meet in a point (or the row ends)
            if above_labels[over + 1] == label:
                join(nodes, EIGHT, above_nodes[over + 1], node)
            if label_above == labels[run]:
                waiting = above_nodes[over]
            over += 1
        node = _NOWHERE
    state[NODES], state[LOGGED] = count, logged


@outlined
def _open_row(starts, labels, run_nodes, runs, width, state, nodes, sizes):
    """Open a node for every run of the top row."""
    for run in range(runs):
        open_node(nodes, sizes, run, labels[run], _ZERO, starts[run], width)
        run_nodes[run] = run
    state[NODES] = runs


@outlined
def _add_runs(
    starts,
    labels,
    run_nodes,
    runs,
    row,
    rows,
    height,
    state,
    nodes,
    sizes,
    moments,
    frame,
    edges,
    log,
    label_count,
):
    """What `rows` equal rows add by themselves: moments, edges, sizes and boxes."""
    logged = state[LOGGED]
    frame[labels[0]] += rows
    frame[labels[runs - 1]] += rows
    outer = np.int64(row == 0) + np.int64(row + rows == height)
    if outer > 0:
        for run in range(runs):
            frame[labels[run]] += outer * (starts[run + 1] - starts[run])
    heights = (2 * row + rows) * rows  # the sum of 2 y + 1
    for run in range(runs):
        label, start, end = np.int64(labels[run]), np.int64(starts[run]), np.int64(starts[run + 1])
        length = end - start
        moments[2 * label] += heights * length
        moments[2 * label + 1] += (end * end - start * start) * rows
        if run > 0:
            logged = _count_edges(edges, log, logged, label_count, labels[run - 1], label, rows)
        node = np.int64(run_nodes[run])
        sizes[node] += length * rows
        at = node * FIELDS
        nodes[at + LEFT] = min(np.int32(start), nodes[at + LEFT])
        nodes[at + RIGHT] = max(np.int32(end), nodes[at + RIGHT])
        nodes[at + BOTTOM] = row + rows
    state[LOGGED] = logged


@compiled
def walk(
    rows,
    starts,
    labels,
    width,
    label_count,
    state,
    run_nodes,
    nodes,
    sizes,
    moments,
    frame,
    edges,
    log,
):
    """Measure rows from `state[ROW]` on, until all are done or a buffer must grow.

    Args:
        rows, starts, labels: as in `maskstat.kernels.label_runs.Runs`.
        state: int64[STATE], zeros at first, but state[LOGGED] = -1 where edges go to the matrix.
        run_nodes: int32[2 * width], two rows of them.
        nodes, sizes: int32[n * FIELDS] and int64[n]; n nodes, at least `width`.
        moments, frame: int64[label_count * 2] and int64[label_count], zeros, added to.
        edges: int64[label_count ** 2], zeros, [smaller label, larger one]; unused with a log.
        log: int64[m * 2], (pair, edges) with the pair as an index of `edges`; m at least 4 * width.

    Returns True when all rows are done; False when `nodes` or `log` have no room for the next row.
    """
    height = rows.size - 1
    while state[ROW] < height:
        row, above, half = state[ROW], state[ROW_ABOVE], state[HALF]
        runs, runs_above = rows[row + 1] - rows[row] - 1, rows[above + 1] - rows[above] - 1
        if state[NODES] + runs > sizes.size:
            return False
        if state[LOGGED] >= 0 and state[LOGGED] + 2 * runs + runs_above > log.size >> 1:
            return False
        row_starts = item_pointer(pointer_to(starts), rows[row])
        row_labels = item_pointer(pointer_to(labels), rows[row])
        row_nodes = item_pointer(pointer_to(run_nodes), half * width)
        if row == 0:
            _open_row(
                row_starts,
                row_labels,
                row_nodes,
                runs,
                width,
                pointer_to(state),
                pointer_to(nodes),
                pointer_to(sizes),
            )
        else:
            _lay_over(
                item_pointer(pointer_to(starts), rows[above]),
                item_pointer(pointer_to(labels), rows[above]),
                item_pointer(pointer_to(run_nodes), (1 - half) * width),
                row_starts,
                row_labels,
                row_nodes,
                runs,
                width,
                row,
                pointer_to(state),
                pointer_to(nodes),
                pointer_to(sizes),
                pointer_to(edges),
                pointer_to(log),
                label_count,
            )
        behind = _equal_rows(pointer_to(rows), pointer_to(starts), pointer_to(labels), row, height)
        _add_runs(
            row_starts,
            row_labels,
            row_nodes,
            runs,
            row,
            behind - row,
            height,
            pointer_to(state),
            pointer_to(nodes),
            pointer_to(sizes),
            pointer_to(moments),
            pointer_to(frame),
            pointer_to(edges),
            pointer_to(log),
            label_count,
        )
        state[ROW], state[ROW_ABOVE], state[HALF] = behind, row, 1 - half
    return True
