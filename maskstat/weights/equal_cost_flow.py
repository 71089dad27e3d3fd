"""Which sets of classes are in too few rows: a transport problem, solved by maximum flow.

Every row (a mask or a batch) has a supply and may spend it on the classes it contains; every
class has a demand. By Hall's theorem all demands can be met iff no set T of classes demands more
than the rows that contain a class of T have, and the cut of a maximum flow finds the worst T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from maskstat.errors import WeightError
from maskstat.showing import one_line
from maskstat.values.tally import IntArray
from maskstat.weights.batches import FloatArray
from maskstat.weights.equal_cost_presence import BoolArray, PresenceGroups

LARGEST_CAPACITY = 2**31 - 1
"""scipy's maximum flow counts in 32 bits."""

_FINEST_UNITS = 1 << 20


def integer_targets(targets: FloatArray, total: int) -> IntArray:
    """int64[K], targets as integer units: 1 each where all are equal, else rounded down.

    Unequal targets are rounded to steps of 2^-20, or what 32 bits allow for that many rows.

    Raises:
        WeightError: too many rows times classes to count in 32 bits.
    """
    count = len(targets)
    equal = bool(np.ptp(targets) == 0.0)
    steps = count if equal else min(_FINEST_UNITS, LARGEST_CAPACITY // total)
    if steps * total > LARGEST_CAPACITY or steps < count:
        raise WeightError(f"{total:,} batches of {count:,} classes are too many to decide about")
    return np.ones(count, np.int64) if equal else np.floor(targets * steps).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Transport:
    """A maximum flow from rows to classes.

    Attributes:
        groups: the rows.
        spent: CSR int[J, K], what the rows of each group spend on each class.
        left: int64[J], what they have left.
        deficit: int64[K], what each class lacks.
    """

    groups: PresenceGroups
    spent: Any
    left: IntArray
    deficit: IntArray

    __repr__ = one_line

    @classmethod
    def solve(cls, groups: PresenceGroups, supply: int, demands: IntArray) -> Transport:
        """Every row has the same supply; rows times supply must fit 31 bits."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_flow

        rows, classes = len(groups.sizes), groups.class_count
        sink = 1 + rows + classes
        row_of_entry = np.repeat(np.arange(rows), np.diff(groups.indptr))
        has = groups.sizes * supply
        tails = np.concatenate((np.zeros(rows), 1 + row_of_entry, 1 + rows + np.arange(classes)))
        heads = np.concatenate(
            (1 + np.arange(rows), 1 + rows + groups.columns, np.full(classes, sink))
        )
        capacity = np.concatenate((has, has[row_of_entry], demands)).astype(np.int32)
        arcs = (tails.astype(np.int32), heads.astype(np.int32))
        network = csr_array((capacity, arcs), shape=(sink + 1, sink + 1))
        flow = csr_array(maximum_flow(network, 0, sink).flow)
        spent = flow[1 : 1 + rows, 1 + rows : sink]
        left = has - np.asarray(spent.sum(axis=1))
        return cls(groups, spent, left, demands - np.asarray(spent.sum(axis=0)))

    def needed_by(self, members: BoolArray) -> BoolArray:
        """The least set around these classes whose rows spend on no class outside it.

        For classes in deficit such a set takes all that its rows have, and lacks something: it
        is violated. For all classes in deficit together it is the worst set there is.
        """
        spends = (self.spent.T > 0).astype(np.int64)
        while True:
            touched = self.groups.members_per_group(members) > 0
            wider = members | (spends @ touched.astype(np.int64) > 0)
            if (wider == members).all():
                return members
            members = wider

    def closed_sets(self) -> list[BoolArray]:
        """Minimal sets whose rows spend all they have on the set; for flows without deficit."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        groups, classes = self.groups, self.groups.class_count
        contains = csr_array(
            (np.ones(len(groups.columns), np.int64), groups.columns, groups.indptr),
            shape=(len(groups.sizes), classes),
        )
        spends = (contains.T @ (self.spent > 0).astype(np.int64)).toarray() > 0
        leaks = (contains.T @ (self.left > 0).astype(np.int64)) > 0
        count, labels = connected_components(spends, directed=True, connection="strong")
        found = []
        for component in range(count):
            members = labels == component
            if not leaks[members].any() and not spends[np.ix_(members, ~members)].any():
                found.append(members)
        return sorted(found, key=lambda members: int(members.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """A stretch of the hull between two known corners, with supporting slopes at both."""

    left: BoolArray
    right: BoolArray
    left_slope: float
    right_slope: float


class CoverageHull:
    """Which sets of classes can be violated at all, whatever the batch size.

    Plot every set T as a point: across, its targets; upwards, the rows m(T) that contain a class
    of it. If the chance to meet m rows is a concave increasing function of m, then the least
    chance(T) - targets(T), where it is negative, is reached at a corner of the lower convex hull
    of these points: a tangent of the chance makes it a minimum of slope * m(T) - targets(T). The
    corners are nested sets, at most K of them, and a maximum flow finds one between two others or
    shows that there is none (Gallo, Grigoriadis and Tarjan 1989). They are looked for only where
    a violation is still possible.
    """

    def __init__(self, groups: PresenceGroups, targets: FloatArray):
        self.groups = groups
        self.targets = targets
        self._units = integer_targets(targets, groups.total)
        count = groups.class_count
        nothing, everything = np.zeros(count, np.bool_), np.ones(count, np.bool_)
        self._corners: list[BoolArray] = []
        self._edges = [_Edge(nothing, everything, 0.0, np.inf)]

    def violated(self, chances: FloatArray, resolution: float) -> BoolArray | None:
        """A corner with chances[m] - targets <= resolution, or None if no set has less than 0.

        Args:
            chances: float64[total + 1], concave and increasing.
            resolution: what counts as zero.
        """
        for known in self._corners:
            if self._slack(known, chances) <= resolution:
                return known
        waiting, self._edges = self._edges, []
        while waiting:
            edge = waiting.pop()
            if self._bound(edge, chances) > resolution:
                self._edges.append(edge)
                continue
            corner, slope = self._between(edge)
            if corner is None:
                continue
            self._corners.append(corner)
            waiting.append(_Edge(edge.left, corner, edge.left_slope, slope))
            waiting.append(_Edge(corner, edge.right, slope, edge.right_slope))
            if self._slack(corner, chances) <= resolution:
                self._edges += waiting
                return corner
        return None

    def _slack(self, members: BoolArray, chances: FloatArray) -> float:
        return float(chances[self.groups.covered(members)] - self.targets[members].sum())

    def _bound(self, edge: _Edge, chances: FloatArray) -> float:
        """Slack where the supporting lines of an edge meet.

        The points lie above these lines, and a concave function of a line minus another line is
        least at its ends, of which the outer ones are known.
        """
        low, high = (float(self.targets[side].sum()) for side in (edge.left, edge.right))
        low_rows, high_rows = (self.groups.covered(side) for side in (edge.left, edge.right))
        length = high - low
        if np.isinf(edge.right_slope):
            across = length
        else:
            gap = high_rows - low_rows - edge.right_slope * length
            across = gap / min(edge.left_slope - edge.right_slope, -1e-300)
        across = min(max(across, 0.0), length)
        rows = low_rows + edge.left_slope * across
        return float(np.interp(rows, np.arange(len(chances)), chances)) - (low + across)

    def _between(self, edge: _Edge) -> tuple[BoolArray | None, float]:
        """A corner between the two of an edge and a supporting slope there, or None."""
        inside = np.flatnonzero(edge.right & ~edge.left)
        if len(inside) < 2:
            return None, 0.0
        rows = self.groups.uncovered(edge.left).restricted(inside)
        units = self._units[inside]
        supply, price = int(units.sum()), rows.total
        transport = Transport.solve(rows, supply, units * price)
        if not (transport.deficit > 0).any():
            return None, 0.0
        worst = transport.needed_by(transport.deficit > 0)
        corner = edge.left.copy()
        corner[inside[worst]] = True
        return corner, price / float(self.targets[inside].sum())
