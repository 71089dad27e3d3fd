"""The forests of connected components: two union-finds over the same nodes.

A *node* stands for pixels of one label that hang together. Nodes are opened in raster order, and a
root is the smallest node of its tree, so the first pixel of a root is the first pixel of its
component. 8-connected components are unions of 4-connected ones: the second forest learns only of
pixels that meet at a corner, until `settle` tells it of the first.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined, outlined

# What a node is made of, all int32. The number of its pixels is int64, in an array of its own.
FIELDS = 8
FOUR, EIGHT, LABEL, TOP, FIRST_X, LEFT, RIGHT, BOTTOM = (np.int64(k) for k in range(FIELDS))


@inlined
def _root(nodes, field, node):
    """The root of a node, in one of the two forests; paths are halved on the way."""
    while True:
        parent = np.int64(nodes[node * FIELDS + field])
        if parent == node:
            return node
        grandparent = nodes[parent * FIELDS + field]
        nodes[node * FIELDS + field] = grandparent
        node = np.int64(grandparent)


@outlined
def join(nodes, field, left, right):
    """Join the trees of two nodes under the smaller root."""
    left, right = _root(nodes, field, np.int64(left)), _root(nodes, field, np.int64(right))
    if left < right:
        nodes[right * FIELDS + field] = left
    elif right < left:
        nodes[left * FIELDS + field] = right


@inlined
def open_node(nodes, sizes, node, label, row, start, width):
    """Make a run that begins at `start` a tree of its own; its pixels are still to be added."""
    at = node * FIELDS
    nodes[at + FOUR] = node
    nodes[at + EIGHT] = node
    nodes[at + LABEL] = label
    nodes[at + TOP] = row
    nodes[at + FIRST_X] = start
    nodes[at + LEFT] = width
    nodes[at + RIGHT] = 0
    nodes[at + BOTTOM] = row
    sizes[node] = 0


@compiled
def settle(nodes, sizes, count, outside):
    """Find the root of every node, and fold sizes and boxes into the 4-connected components.

    Returns how many components there are, 4-connected and 8-connected, but of label `outside`.
    """
    fours = eights = np.int64(0)
    for node in range(count):  # a parent comes before its children, so one step finds the root
        at = node * FIELDS
        root = np.int64(nodes[np.int64(nodes[at + FOUR]) * FIELDS + FOUR])
        nodes[at + FOUR] = root
        if root != node:
            join(nodes, EIGHT, root, node)
            _fold(nodes, sizes, node, root)
        elif nodes[at + LABEL] != outside:
            fours += 1
    for node in range(count):
        at = node * FIELDS
        root = np.int64(nodes[np.int64(nodes[at + EIGHT]) * FIELDS + EIGHT])
        nodes[at + EIGHT] = root
        if root == node and nodes[at + LABEL] != outside:
            eights += 1
    return fours, eights


@inlined
def _fold(nodes, sizes, node, root):
    """Add what a node holds to its root."""
    sizes[root] += sizes[node]
    at, to = node * FIELDS, root * FIELDS
    nodes[to + LEFT] = min(nodes[to + LEFT], nodes[at + LEFT])
    nodes[to + RIGHT] = max(nodes[to + RIGHT], nodes[at + RIGHT])
    nodes[to + BOTTOM] = max(nodes[to + BOTTOM], nodes[at + BOTTOM])


@compiled
def collect(nodes, sizes, count, outside, four_labels, four_sizes, eights, eight_sizes):
    """Write the components that `settle` counted, in raster order of their first pixels.

    Args:
        four_labels, four_sizes: int32[C4] and int64[C4].
        eights: int32[6, C8]: label, top, left, bottom, right, and the first pixel's column; its
            row is the top.
        eight_sizes: int64[C8].
    """
    found = np.int64(0)
    for node in range(count):
        at = node * FIELDS
        if nodes[at + FOUR] != node:
            continue
        if nodes[at + LABEL] != outside:
            four_labels[found] = nodes[at + LABEL]
            four_sizes[found] = sizes[node]
            found += 1
        if nodes[at + EIGHT] != node:  # behind its root, whose own size is written by now
            _fold(nodes, sizes, node, np.int64(nodes[at + EIGHT]))
    found = np.int64(0)
    for node in range(count):
        at = node * FIELDS
        if nodes[at + EIGHT] != node or nodes[at + LABEL] == outside:
            continue
        eights[0, found] = nodes[at + LABEL]
        eights[1, found] = nodes[at + TOP]
        eights[2, found] = nodes[at + LEFT]
        eights[3, found] = nodes[at + BOTTOM]
        eights[4, found] = nodes[at + RIGHT]
        eights[5, found] = nodes[at + FIRST_X]
        eight_sizes[found] = sizes[node]
        found += 1
