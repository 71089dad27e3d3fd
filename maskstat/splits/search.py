"""The best of several searches for a split, which random splits compete with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.split_search import (
    FloatArray,
    Found,
    IntArray,
    Task,
    Units,
    dealt,
    descended,
    enumerated,
)
from maskstat.splits.certificate import (
    RANDOM_SPLITS,
    Search,
    common_classes,
    js_between,
    largest,
    share_errors,
)
from maskstat.splits.features import UnitCounts

MOST_ENUMERATED = 1_000_000  # assignments
_NEARLY = 1.3  # of two costs that are nearly the same: errors differ by a seventh


class RandomDraws(NamedTuple):
    """R random splits of the same units and targets.

    Attributes:
        parts: of each, small integers [U].
        over: int64[R], masks by which sizes miss their targets beyond the slack.
        gap: int64[R], pairs of a class and a part without it.
        js, share: float64[R], largest JS distance of two parts, and largest share error.
    """

    parts: list[NDArray[Any]]
    over: IntArray
    gap: IntArray
    js: FloatArray
    share: FloatArray

    def key(self, at: int) -> tuple[int, int, float]:
        """What one is compared by: the least is the most even."""
        return int(self.over[at]), int(self.gap[at]), float(self.share[at])

    def alike(self, over: int) -> tuple[FloatArray, FloatArray]:
        """JS and share errors of those whose sizes miss their targets by no more than so much."""
        kept = self.over <= over
        return self.js[kept], self.share[kept]


def targets_of(masks: int, ratio: FloatArray) -> IntArray:
    """int64[F]: ratio times masks, rounded by largest remainder."""
    exact = ratio * masks
    target = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - target), kind="stable")
    target[order[: masks - int(target.sum())]] += 1
    return target


def worst_share(counts: UnitCounts, part: IntArray, parts: int) -> float:
    """The largest share error of a common class of an assignment int64[U]."""
    errors = share_errors(counts.pixel_table(part, parts))
    return largest(errors, common_classes(counts.groups_with, parts))


def random_draws(counts: UnitCounts, task: Task, seed: int) -> RandomDraws:
    """200 random splits: free units in random order go where most masks are lacking."""
    random = np.random.default_rng([seed, 1])
    free = np.flatnonzero(task.fixed < 0)
    count, small = len(task.ratio), np.int8 if len(task.ratio) < 128 else np.int16
    present = counts.groups_with > 0
    common = common_classes(counts.groups_with, count)
    parts: list[NDArray[Any]] = []
    over, gap = np.empty(RANDOM_SPLITS, np.int64), np.empty(RANDOM_SPLITS, np.int64)
    js, share = np.empty(RANDOM_SPLITS), np.empty(RANDOM_SPLITS)
    for at in range(RANDOM_SPLITS):
        part = dealt(counts.size, task, random.permutation(free))
        pixels = counts.pixel_table(part, count)
        over[at] = beyond(counts, task, part)
        gap[at] = (pixels[:, present] == 0).sum()
        js[at], share[at] = js_between(pixels), largest(share_errors(pixels), common)
        parts.append(part.astype(small))
    return RandomDraws(parts, over, gap, js, share)


def beyond(counts: UnitCounts, task: Task, part: IntArray) -> int:
    """Masks by which the sizes of an assignment int64[U] miss their targets beyond the slack."""
    held = np.zeros(len(task.ratio), np.int64)
    np.add.at(held, part, counts.size)
    return int(np.maximum(np.abs(held - task.target) - task.slack, 0).sum())


def best_split(
    units: Units, counts: UnitCounts, task: Task, seed: int, on_search: Callable[[int, int], None]
) -> tuple[IntArray, Search, RandomDraws]:
    """Parts of the units, how they were found, and the random splits they compete with.

    Of searches with the fewest masks out of place and the fewest missing pairs whose cost is within
    30% of the least, the one with the least share error. The same for the same arguments.

    Args:
        on_search: hears how many searches are done, and of how many.
    """
    draws = random_draws(counts, task, seed)
    parts, free = len(task.ratio), np.flatnonzero(task.fixed < 0)
    if parts ** min(free.size, 64) <= MOST_ENUMERATED:
        every = enumerated(units, task)
        if every is not None:
            return every.part, "enumerated", draws
    restarts = 60 if len(units.size) <= 200 else 10 if len(units.size) <= 4_000 else 1
    order = sorted(range(len(draws.parts)), key=draws.key)
    starts = [draws.parts[at] for at in order[: restarts // 8]]  # none where one search is long
    searches = []
    for at in range(restarts + len(starts)):
        on_search(at, restarts + len(starts))
        own = [seed, 2, at]
        if at < restarts:
            shuffled = np.random.default_rng(own).permutation(free)
            by_size = shuffled[np.argsort(-units.size[shuffled], kind="stable")]
            start = dealt(units.size, task, by_size)
        else:
            start = starts[at - restarts]
        own_seed = int(np.random.default_rng(own).integers(1 << 62))
        searches.append(descended(units, task, start, own_seed, hot=at < restarts))
    least = min(map(_key, searches))
    rivals = [
        found
        for found in searches
        if _key(found)[:2] == least[:2] and found.cost <= _NEARLY * least[2]
    ]
    best = min(rivals, key=lambda found: (worst_share(counts, found.part, parts), found.cost))
    if draws.key(order[0]) < (best.over, best.gap, worst_share(counts, best.part, parts)):
        return draws.parts[order[0]].astype(np.int64), "random", draws
    return best.part, "exhausted" if best.exhausted else "stopped", draws


def _key(found: Found) -> tuple[int, int, float]:
    return found.over, found.gap, found.cost
