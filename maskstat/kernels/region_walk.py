"""Regions of a label image: where each label lies, and in how many pieces, from its runs.

A *run* is a longest stretch of one label in a row. One pass over the rows finds the runs (64 bytes
at a time, see `vector`), lays them over the runs of the row above, and adds up all that
`maskstat.kernels.region_counts` hands out. The cost follows the number of runs. Rows with the same
runs as the row above form a *group* with it, whose runs are added up once.

**Heat.** An axis of W pixels is divided into G cells; in units of 1/G pixel, pixel x covers
[x G, (x + 1) G) and cell g covers [g W, (g + 1) W), so that every overlap is an integer. A label
that begins at u = g W + r covers W - r units of cell g and W of all that follow: as differences
from cell to cell, W - r at g and r at g + 1; where it ends the same is taken off. So a change of
label costs four additions, however many cells a run crosses. Differences of one row of cells (a
*strip*), each weighted by the overlap of its rows, are summed up when the strip is complete.

**Outlines** are pixel edges: between two labels, where their runs meet, and along the mask's own
edge (the *frame*), which the first and the last run of a row touch, and all runs of the outer rows.

**Components** are found by the union-find of `forest`: a run takes over the node of the first run
of its label that touches it from above; what touches it besides is joined to that; a run that
touches none opens a node.

Nothing here checks bounds: `region_counts` sizes every buffer, and `walk` returns to it where one
must grow.
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

# Where `walk` stands: the next row; the first row of the group above it and how many runs it has;
# the half of the row buffers for the next row; nodes; entries of the edge log (-1: none is kept).
STATE = 6
ROW, FIRST_ROW, RUNS_ABOVE, HALF, NODES, LOGGED = range(STATE)

SPARE = 2  # items behind a row of as many runs as pixels

_ZERO = np.int64(0)
_SECOND = np.int64(1)
_NOWHERE = np.int32(-1)


@outlined
def find_runs(data, offset, width, like, label_of, starts, labels):
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


@inlined
def _same_runs(starts, labels, runs, other_starts, other_labels):
    """Whether two rows of so many runs are equal."""
    for run in range(runs):
        if starts[run] != other_starts[run] or labels[run] != other_labels[run]:
            return False
    return True


@outlined
def _spread(starts, labels, runs, width, grid, weight, strip, touched):
    """Add the runs of a row to the differences of a strip: int64[labels, grid + 2]."""
    stride = grid + 2
    cells_a_pixel = np.float64(grid) / np.float64(width)
    label = np.int64(labels[0])
    strip[label * stride] += width * weight
    touched[label] = 1
    for run in range(1, runs):
        # Rounding does not reach the next whole number (grid x width is far below 2^50), unless the
        # quotient is one; the cell before, with a rest of `width`, is the same place.
        cell = np.int64(np.float64(starts[run]) * cells_a_pixel)
        rest = starts[run] * grid - cell * width
        here, behind = (width - rest) * weight, rest * weight
        at = label * stride + cell
        strip[at] -= here
        strip[at + 1] -= behind
        label = np.int64(labels[run])
        at = label * stride + cell
        strip[at] += here
        strip[at + 1] += behind
        touched[label] = 1


@outlined
def _finish_strip(strip, touched, labels, grid, row, heat):
    """Sum up the differences of a strip into its row of every heat map, leaving zeros."""
    for label in range(labels):
        at = (label * grid + row) * grid
        if touched[label] == 0:
            for cell in range(grid):
                heat[at + cell] = 0
            continue
        touched[label] = 0
        first = label * (grid + 2)
        area = _ZERO
        for cell in range(grid):
            area += strip[first + cell]
            heat[at + cell] = area
        for cell in range(grid + 2):
            strip[first + cell] = 0


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
    heights = (2 * row + rows) * rows  # the sum of 2 y + 1
    for run in range(runs):
        label, start, end = np.int64(labels[run]), np.int64(starts[run]), np.int64(starts[run + 1])
        length = end - start
        moments[2 * label] += heights * length
        moments[2 * label + 1] += (end * end - start * start) * rows
        frame[label] += outer * length
        if run > 0:
            logged = _count_edges(edges, log, logged, label_count, labels[run - 1], label, rows)
        node = np.int64(run_nodes[run])
        sizes[node] += length * rows
        at = node * FIELDS
        nodes[at + LEFT] = min(np.int32(start), nodes[at + LEFT])
        nodes[at + RIGHT] = max(np.int32(end), nodes[at + RIGHT])
        nodes[at + BOTTOM] = row + rows
    state[LOGGED] = logged


@inlined
def _add_heat(
    starts, labels, runs, row, rows, width, height, grid, strip, touched, heat, label_count
):
    """Spread `rows` equal rows over the cells that they overlap."""
    top, bottom = row * grid, (row + rows) * grid
    cell = top // height
    while top < bottom:
        cell_end = (cell + 1) * height
        stop = bottom if bottom < cell_end else cell_end
        _spread(starts, labels, runs, width, grid, stop - top, strip, touched)
        if stop == cell_end:
            _finish_strip(strip, touched, label_count, grid, cell, heat)
            cell += 1
        top = stop


@outlined
def _close_group(
    starts,
    labels,
    run_nodes,
    runs,
    row,
    row_behind,
    width,
    height,
    grid,
    state,
    nodes,
    sizes,
    strip,
    touched,
    heat,
    moments,
    frame,
    edges,
    log,
    label_count,
):
    """Add up equal rows, from `row` on, when it is known how many they are."""
    rows = row_behind - row
    _add_runs(
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
    )
    _add_heat(
        starts, labels, runs, row, rows, width, height, grid, strip, touched, heat, label_count
    )


@compiled
def walk(
    pixels,
    height,
    width,
    label_of,
    label_count,
    grid,
    state,
    starts,
    labels,
    run_nodes,
    nodes,
    sizes,
    strip,
    touched,
    heat,
    moments,
    frame,
    edges,
    log,
):
    """Measure rows of an image from `state[ROW]` on, until all are done or a buffer must grow.

    Args:
        pixels: uint8 or uint16[height * width].
        label_of: int32[256 or 65536], the label of each value, below `label_count`.
        grid: cells of a heat map, each way.
        state: int64[STATE], zeros at first, but state[LOGGED] = -1 where edges go to the matrix.
        starts, labels, run_nodes: int32[2 * (width + SPARE)], two rows of runs.
        nodes, sizes: int32[n * FIELDS] and int64[n]; n nodes, at least `width`.
        strip, touched: int64[label_count * (grid + 2)], zeros, and uint8[label_count], zeros.
        heat: int64[label_count * grid * grid], all written.
        moments, frame: int64[label_count * 2] and int64[label_count], zeros, added to.
        edges: int64[label_count ** 2], zeros, [smaller label, larger one]; unused with a log.
        log: int64[m * 2], (pair, edges) with the pair as an index of `edges`; m at least 4 * width.

    Returns True when all rows are done; False when `nodes` or `log` have no room for the next row.
    """
    data, like = as_bytes(pointer_to(pixels)), pointer_to(pixels)
    while state[ROW] < height:
        row, half, runs_above = state[ROW], state[HALF], state[RUNS_ABOVE]
        here, there = half * (width + SPARE), (1 - half) * (width + SPARE)
        row_starts = item_pointer(pointer_to(starts), here)
        row_labels = item_pointer(pointer_to(labels), here)
        row_nodes = item_pointer(pointer_to(run_nodes), here)
        above_starts = item_pointer(pointer_to(starts), there)
        above_labels = item_pointer(pointer_to(labels), there)
        above_nodes = item_pointer(pointer_to(run_nodes), there)
        runs = find_runs(
            data,
            row * width * pixel_bytes(like),
            width,
            like,
            pointer_to(label_of),
            row_starts,
            row_labels,
        )
        if runs == runs_above and _same_runs(
            row_starts, row_labels, runs, above_starts, above_labels
        ):
            state[ROW] = row + 1
            continue
        if state[NODES] + runs > sizes.size:
            return False
        if state[LOGGED] >= 0 and state[LOGGED] + 2 * (runs + runs_above) > log.size >> 1:
            return False
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
            _close_group(
                above_starts,
                above_labels,
                above_nodes,
                runs_above,
                state[FIRST_ROW],
                row,
                width,
                height,
                grid,
                pointer_to(state),
                pointer_to(nodes),
                pointer_to(sizes),
                pointer_to(strip),
                pointer_to(touched),
                pointer_to(heat),
                pointer_to(moments),
                pointer_to(frame),
                pointer_to(edges),
                pointer_to(log),
                label_count,
            )
            _lay_over(
                above_starts,
                above_labels,
                above_nodes,
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
        state[ROW], state[FIRST_ROW], state[HALF], state[RUNS_ABOVE] = row + 1, row, 1 - half, runs
    there = (1 - state[HALF]) * (width + SPARE)
    if state[LOGGED] >= 0 and state[LOGGED] + state[RUNS_ABOVE] > log.size >> 1:
        return False
    _close_group(
        item_pointer(pointer_to(starts), there),
        item_pointer(pointer_to(labels), there),
        item_pointer(pointer_to(run_nodes), there),
        state[RUNS_ABOVE],
        state[FIRST_ROW],
        height,
        width,
        height,
        grid,
        pointer_to(state),
        pointer_to(nodes),
        pointer_to(sizes),
        pointer_to(strip),
        pointer_to(touched),
        pointer_to(heat),
        pointer_to(moments),
        pointer_to(frame),
        pointer_to(edges),
        pointer_to(log),
        label_count,
    )
    return True
