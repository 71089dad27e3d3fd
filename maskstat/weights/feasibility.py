"""Does a scaling exist? A condition on which classes meet in a batch, decided before iterating.

A class, or set of classes T, can hold at most the batches it occurs in. So shares y = targets
are possible only if, for every T,

    chance(T) = share of the batches that contain a class of T  >=  targets(T),

strictly, unless the batches that contain a class of T contain no other class. This is also
sufficient (Menon 1968; Rothblum and Schneider 1989). Two ways to decide it, neither of which
tries all 2^K sets:

- for a given list of batches, in integers: a flow from batches to classes that meets every target
  exists iff the condition holds; the residual graph tells equality from strict inequality;
- for random batches of S masks, with the exact (hypergeometric) probability of every T and no
  batch drawn: only few nested sets can be violated first, see `CoverageHull`. A slack of less
  than 1e-12 counts as none.

An epoch with a smaller last batch is a mixture of two sizes. Its chance is still a concave function
of the rows that T covers, but no longer grows with S: 10 masks are two batches of 5, and a batch of
6 with one of 4. Crops count as rows that batches are drawn from, although no two of a mask meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from maskstat.showing import one_line
from maskstat.values.tally import IntArray
from maskstat.weights.batches import Batching, Cut, FloatArray, LedgerLike, MaskRows
from maskstat.weights.equal_cost_flow import CoverageHull, Transport, integer_targets
from maskstat.weights.equal_cost_presence import BoolArray, PresenceGroups

SLACK_RESOLUTION = 1e-12
"""Differences of probabilities below this are taken for equality."""

ENUMERATED_CLASSES = 16
"""Up to so many classes the tightest set is looked up among all sets."""

_SEEDS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """chance(T) >= targets(T) for all T, with chance(T) a function of the rows T covers.

    Attributes:
        groups: the masks (or batches) by presence.
        chances: float64[total + 1], probability that a batch meets one of m given rows,
            given that it meets any.
        targets: float64[K], positive, sum 1.
    """

    groups: PresenceGroups
    chances: FloatArray
    targets: FloatArray

    __repr__ = one_line

    @classmethod
    def random_batches(cls, rows: MaskRows, batch_size: int, targets: FloatArray) -> Condition:
        """Batches of so many masks, as the rows' batching makes them, drawn without replacement."""
        row_count = _drawn_rows(rows)
        return cls.of_groups(rows.groups, row_count, rows.cut(batch_size), targets)

    @classmethod
    def of_groups(
        cls, groups: PresenceGroups, row_count: int, cut: Cut, targets: FloatArray
    ) -> Condition:
        """As `random_batches`, for rows that are grouped already (empty ones only counted)."""
        return cls(groups, chances_of_cut(row_count, groups.total, cut), targets)

    def slack(self, members: BoolArray) -> float:
        """chance(T) - targets(T)."""
        chance = self.chances[self.groups.covered(members)]
        return float(chance - self.targets[members].sum())

    def critical_classes(self) -> IntArray:
        """Classes a violated or tight set can consist of, rarest first; often none.

        Let T be violated or tight and k the rank (by presence) of its most present class. Then
        chance(that class) <= chance(T) <= targets(T) <= targets(first k classes), and T is not
        the set of all classes.

        Classes outside T have targets of 1 - targets(T) at most, so a row whose classes add up to
        more than 1 - chance(that class) holds one of T. If these rows alone have a larger chance
        than T has targets, there is no such T: so it is where most rows have many classes.
        """
        groups = self.groups
        presence = groups.presence
        order = np.argsort(presence, kind="stable")
        most = np.minimum(np.cumsum(self.targets[order]), 1.0 - self.targets.min())
        least = self.chances[presence[order]]
        lacking = least <= most + SLACK_RESOLUTION
        if lacking.any():
            held = np.add.reduceat(self.targets[groups.columns], groups.indptr[:-1])
            ranked = np.argsort(held)
            covered = np.append(np.cumsum(groups.sizes[ranked][::-1])[::-1], 0)
            outside = 1.0 - least + 8 * SLACK_RESOLUTION
            full = self.chances[covered[np.searchsorted(held[ranked], outside, "right")]]
            lacking &= full <= most + SLACK_RESOLUTION
        at = np.flatnonzero(lacking)
        return order[: int(at[-1]) + 1 if at.size else 0].astype(np.int64)


def chances_of_cut(row_count: int, labelled: int, cut: Cut) -> FloatArray:
    """float64[labelled + 1]: chance that a batch holds at least one of m given labelled rows.

    1 - C(B - m, S) / C(B, S), divided by the same for all labelled rows, because batches without
    any label are in no average; the last batch of an epoch is among them.
    """
    met_some = cut.whole * _met_some(row_count, labelled, cut.size)
    if cut.last:
        met_some = met_some + _met_some(row_count, labelled, cut.last)
    return np.asarray(met_some / met_some[-1])


def _met_some(row_count: int, labelled: int, batch_size: int) -> FloatArray:
    if batch_size >= row_count:
        return np.asarray(np.minimum(np.arange(labelled + 1.0), 1.0))
    # In one array, since there may be as many as millions of masks.
    steps = np.zeros(labelled + 1)
    met = steps[1:]
    met[:] = np.arange(labelled)
    np.divide(batch_size, np.subtract(row_count, met, out=met), out=met)
    np.negative(np.minimum(met, 1.0, out=met), out=met)
    with np.errstate(divide="ignore"):
        # (B - S - k) / (B - k), which reaches 0 once too few rows are left to avoid the m.
        np.log1p(met, out=met)
    np.cumsum(met, out=met)
    return np.negative(np.expm1(steps, out=steps), out=steps)


def _chances_by_size(rows: MaskRows, labelled: int, covered: int) -> FloatArray:
    """float64[epoch + 1]: the chance to meet one of the covered rows, at every batch size."""
    row_count, epoch = _drawn_rows(rows), rows.epoch
    sizes = np.arange(1, epoch + 1)
    left = np.zeros(epoch, np.int64) if rows.batching.drop_last else epoch % sizes

    def met(these: int) -> FloatArray:
        drawn = np.arange(min(epoch, row_count), dtype=np.float64)
        with np.errstate(divide="ignore"):
            steps = np.log1p(-np.minimum(these / (row_count - drawn), 1.0))
        some = np.concatenate(([0.0], -np.expm1(np.cumsum(steps))))
        return np.asarray((epoch // sizes) * some[sizes] + some[left])

    return np.concatenate(([0.0], met(covered) / met(labelled)))


def violated_by_flow(groups: PresenceGroups, targets: FloatArray) -> tuple[IntArray, bool] | None:
    """A violated set for these very rows, and whether it is only the border; None if feasible.

    Exact for equal targets; others are rounded down, see `integer_targets`.
    """
    condition = Condition(groups, np.arange(groups.total + 1) / groups.total, targets)
    critical = condition.critical_classes()
    if not critical.size:
        return None
    units = integer_targets(targets, groups.total)
    inner = groups.restricted(critical)
    transport = Transport.solve(inner, int(units.sum()), units[critical] * groups.total)
    members = np.zeros(len(targets), np.bool_)
    deficient = np.flatnonzero(transport.deficit > 0)
    if deficient.size:
        # Any single class in deficit shows a violated set; the smallest is the easiest to read.
        seeds = np.eye(len(critical), dtype=np.bool_)[deficient[:_SEEDS]]
        least = min(map(transport.needed_by, seeds), key=lambda found: int(found.sum()))
        members[critical[least]] = True
        return np.flatnonzero(smaller_violation(condition, members)), False
    # A set that takes all its rows have is the border, unless these rows hold nothing else.
    for closed in transport.closed_sets():
        members[:] = False
        members[critical[closed]] = True
        inside = groups.members_per_group(members)
        if ((inside > 0) & (inside < np.diff(groups.indptr))).any():
            return np.flatnonzero(members), True
    return None


def smaller_violation(condition: Condition, members: BoolArray) -> BoolArray:
    """A violated set that is easy to read: one class where one suffices, none too many else."""
    presence = condition.groups.presence
    alone = condition.chances[presence] - condition.targets
    if alone.min() < -SLACK_RESOLUTION:
        single = np.zeros_like(members)
        single[int(alone.argmin())] = True
        return single
    members = members.copy()
    while members.sum() > 1:
        after = condition.chances[condition.groups.covered_after_moves(members)]
        slack = after - (condition.targets[members].sum() - condition.targets)
        slack[~members] = np.inf
        if slack.min() >= -SLACK_RESOLUTION:
            break
        members[int(slack.argmin())] = False
    return members


def violated_by_chance(condition: Condition, hull: CoverageHull) -> IntArray | None:
    """A set with chance(T) <= targets(T) in random batches of two or more masks, or None."""
    if not condition.critical_classes().size:
        return None
    members = hull.violated(condition.chances, SLACK_RESOLUTION)
    if members is None:
        # What is left is a set exactly on the border, which no corner has to show.
        tight = tightest_set(condition, ())
        if tight is None or tight.slack > SLACK_RESOLUTION:
            return None
        members = np.isin(np.arange(len(condition.targets)), tight.classes)
    return np.flatnonzero(smaller_violation(condition, members))


@dataclass(frozen=True, slots=True, eq=False)
class TightSet:
    """The set of classes nearest to the border.

    Attributes:
        classes: int64, positions among the present classes, ascending.
        masks: masks that contain one of them.
        chance: probability that a batch contains one of them.
        needed: what their targets add up to (|T|/K for equal cost).
        exhaustive: True if all sets were compared; otherwise the best of a search.
    """

    classes: IntArray
    masks: int
    chance: float
    needed: float
    exhaustive: bool

    __repr__ = one_line

    @property
    def slack(self) -> float:
        """chance - needed; 0 is the border."""
        return self.chance - self.needed


def tightest_set(condition: Condition, orders: Iterable[IntArray]) -> TightSet | None:
    """The proper set T with the least chance(T) - targets(T), or None where nothing is tight.

    Leaving out one class always gives a set of slack at most targets(that class); only sets
    with less slack than the least target say something.

    All sets are compared for up to 16 classes. For more, the prefixes of the given orders (by
    weight is a good one: near the border the tight set's weights tower over the rest) and of the
    order by presence, improved by single classes joining or leaving.
    """
    groups, count = condition.groups, len(condition.targets)
    if count == 1:
        return None
    if count <= ENUMERATED_CLASSES:
        needed = np.zeros(1)
        for target in condition.targets:
            needed = np.concatenate((needed, needed + target))
        covered = groups.covered_sets()
        slack = (condition.chances[covered] - needed)[1:-1]
        least = 1 + np.flatnonzero(slack <= slack.min() + SLACK_RESOLUTION)
        index = min((int(i) for i in least), key=int.bit_count)
        members = (index >> np.arange(count) & 1).astype(np.bool_)
        return _tight(condition, members, exhaustive=True)
    alone = condition.chances[groups.presence] - condition.targets
    best, members = float(alone.min()), np.arange(count) == alone.argmin()
    for order in (*orders, np.argsort(groups.presence, kind="stable")):
        slack = condition.chances[groups.covered_prefixes(order)] - np.cumsum(
            condition.targets[order]
        )
        at = int(slack[:-1].argmin())
        if slack[at] < best - SLACK_RESOLUTION:
            best, members = float(slack[at]), np.isin(np.arange(count), order[: at + 1])
    for _ in range(2 * count):
        after = condition.chances[groups.covered_after_moves(members)]
        signs = np.where(members, -1.0, 1.0)
        slack = after - (condition.targets[members].sum() + signs * condition.targets)
        size = members.sum() + signs
        slack[(size < 1) | (size > count - 1)] = np.inf
        if slack.min() >= best - SLACK_RESOLUTION:
            break
        best = float(slack.min())
        members[int(slack.argmin())] ^= True
    return _tight(condition, members, exhaustive=False)


def _tight(condition: Condition, members: BoolArray, *, exhaustive: bool) -> TightSet | None:
    if condition.slack(members) >= condition.targets.min() - SLACK_RESOLUTION:
        return None
    covered = condition.groups.covered(members)
    return TightSet(
        np.flatnonzero(members),
        covered,
        float(condition.chances[covered]),
        float(condition.targets[members].sum()),
        exhaustive,
    )


def violated_set(rows: MaskRows, batch_size: int, targets: FloatArray) -> IntArray | None:
    """Classes that no weights can give their targets in batches of this size, or None."""
    return _violated(CoverageHull(rows.groups, targets), rows, batch_size)


def _drawn_rows(rows: MaskRows) -> int:
    """Rows, each as often as it is drawn."""
    repeats = rows.repeats
    return rows.row_count if repeats is None else int(repeats.sum())


def _violated(hull: CoverageHull, rows: MaskRows, batch_size: int) -> IntArray | None:
    cut, row_count = rows.cut(batch_size), _drawn_rows(rows)
    if len(hull.targets) == 1 or cut.size >= row_count:
        return None
    if cut.size == 1:
        found = violated_by_flow(hull.groups, hull.targets)
        return None if found is None else found[0]
    condition = Condition.of_groups(hull.groups, row_count, cut, hull.targets)
    return violated_by_chance(condition, hull)


def smallest_batch_size(rows: MaskRows, targets: FloatArray, start: int = 1) -> int | None:
    """The least batch size >= start at which the condition holds for random batches.

    A violated set says at which sizes it is content. The first at which all known ones are is
    tried, until no set is violated. None where no size will do, which can be of crops only: one
    batch of all masks holds every class.
    """
    groups = rows.groups
    hull = CoverageHull(groups, targets)
    may = np.arange(rows.epoch + 1) >= min(start, rows.epoch)
    while may.any():
        size = int(may.argmax())
        violated = _violated(hull, rows, size)
        if violated is None:
            return size
        members = np.isin(np.arange(len(targets)), violated)
        covered, needed = groups.covered(members), float(targets[members].sum())
        may &= _chances_by_size(rows, groups.total, covered) > needed + SLACK_RESOLUTION
        may[size] = False
        if rows.epoch >= _drawn_rows(rows):
            may[-1] = True
    return None


def lacking(
    ledger: LedgerLike, batch_size: int, batching: Batching | None = None
) -> tuple[IntArray, int | None] | None:
    """Classes that no weights make equally costly in batches of this size, or None.

    Returns:
        Their indices, and the first larger batch size at which some weights do, or None.

    Raises:
        WeightError: no mask has a labelled pixel.
    """
    rows = MaskRows.of(ledger, batching)
    targets = np.full(len(rows.present), 1.0 / len(rows.present))
    violated = violated_set(rows, batch_size, targets)
    if violated is None:
        return None
    return rows.present[violated], smallest_batch_size(rows, targets, batch_size)
