"""One search for a split: units of masks, dealt to parts so that all features are even.

Importing this module imports Numba; there is no other way to search here. The first use on a
machine compiles for seconds: `is_compiled` says beforehand whether it will.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numpy.typing import NDArray

from maskstat.kernels import loading, split_walk
from maskstat.kernels.compiling import loaded

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]

_ALL_PAIRS = 4_000  # free units, up to which every move and exchange is tried at the end
_VISITS = 3_000_000  # of units, in the sweeps of one search; of many there are 50
_ROUNDS = 200  # of all moves and exchanges at the end, at most
_MENDINGS = 6  # rounds at the end of a search that can't try every exchange
_PRESENCE_ERROR = 0.2  # what one counts there beside an error of pixels

_NUMBER, _RATIO = types.int64, types.float64
_INT32, _INT64 = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_REAL, _REALS = types.Array(types.float64, 1, "C"), types.Array(types.float64, 2, "C")
_COUNTS, _STATE = types.Array(types.int64, 2, "C"), types.Array(types.uint64, 1, "C")
_UNITS = (_INT64, _INT32, _REAL, _INT64, _INT64)
_HELD = (_REALS, _COUNTS, _INT64)
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "sums": (*_UNITS, _INT64, _REAL, _REAL, *_HELD),
    "fill": (_INT64, _INT64, _INT64, _INT64, _INT64),
    "sweep": (
        *(*_UNITS, _REAL, _INT64, _REAL, _INT64, _INT64, *_HELD),
        *(_INT64, _COUNTS, _INT64, _INT64, _INT64, _INT64, _NUMBER, _RATIO, _STATE, _REAL),
    ),
    "all_assignments": (
        *(*_UNITS, _INT64, _REAL, _REAL, _INT64, _INT64, *_HELD),
        *(_INT64, _INT64, _INT64),
    ),
    "least_error": (_REAL, _REAL),
}


@cache
def _kernel(name: str) -> Any:
    return loaded(getattr(split_walk, name), _SIGNATURES[name])


def is_compiled() -> bool:
    """Whether the kernels are in Numba's cache; False where that can't be told."""
    try:
        with loading.lock, global_compiler_lock:
            return all(
                kernel._cache.load_overload(signature, kernel.targetctx) is not None
                for name, signature in _SIGNATURES.items()
                for kernel in [getattr(split_walk, name)]
            )
    except Exception:  # Numba's internals: whatever they do, it only means "not known"
        return False


class Units(NamedTuple):
    """U units in compressed sparse rows of D features.

    The first K features are pixels of the K classes, the next K masks that have them.

    Attributes:
        indptr: int64[U + 1].
        index: int32[nnz], features, ascending within a unit.
        value: float64[nnz], > 0; a feature's sum over all units is its root.
        shares: int64[U], how many entries of each unit are of classes (they come first).
        size: int64[U], masks of each.
        root: float64[D], square root of each feature's weight; 0 where no unit has it.
        class_count: K.
    """

    indptr: IntArray
    index: Int32Array
    value: FloatArray
    shares: IntArray
    size: IntArray
    root: FloatArray
    class_count: int


class Task(NamedTuple):
    """What a search is to do.

    Attributes:
        ratio: float64[F], > 0, sum 1.
        target: int64[F], masks of each part.
        slack: int64[F], masks by which a part may miss that.
        fixed: int64[U], the part of each unit that must stay where it is, -1: free.
    """

    ratio: FloatArray
    target: IntArray
    slack: IntArray
    fixed: IntArray


class Found(NamedTuple):
    """A split of units, and what is compared of it, in this order.

    Attributes:
        part: int64[U].
        over: masks beyond the slack, over all parts.
        gap: pairs of a class and a part without it.
        cost: sum of weighted squared relative errors.
        exhausted: whether no move and no exchange of two units is better (all were tried).
    """

    part: IntArray
    over: int
    gap: int
    cost: float
    exhausted: bool = False


def dealt(size: IntArray, task: Task, order: IntArray) -> IntArray:
    """int64[U]: the fixed units where they are; each of `order` where most masks are lacking."""
    part = task.fixed.copy()
    fixed = part >= 0
    held = np.zeros(len(task.ratio), np.int64)
    np.add.at(held, part[fixed], size[fixed])
    _kernel("fill")(np.ascontiguousarray(order), size, part, held, task.target)
    return part


class _Sums:
    """What the parts of an assignment hold."""

    def __init__(self, units: Units, task: Task, part: IntArray):
        parts = len(task.ratio)
        self.units, self.task, self.part = units, task, part
        self.pull = np.empty((len(units.root), parts))
        self.seen = np.empty((units.class_count, parts), np.int64)
        self.held = np.empty(parts, np.int64)
        self.present = np.flatnonzero(units.root[: units.class_count] > 0)
        self.renew()

    @property
    def arrays(self) -> tuple[FloatArray, IntArray, IntArray]:
        return self.pull, self.seen, self.held

    def renew(self) -> None:
        """From the start, so that rounding never adds up."""
        units, ratio = self.units, self.task.ratio
        self.cost = float(_kernel("sums")(*units[:5], self.part, units.root, ratio, *self.arrays))

    def worst_classes(self, common: IntArray) -> tuple[IntArray, float]:
        """Of some classes the eighth with the largest errors, and the mean of these errors."""
        k = self.units.class_count
        error = np.abs(self.pull * self.task.ratio).max(1)
        relative = [error[of] / self.units.root[of] for of in (common, k + common)]
        missed = np.maximum(relative[0], _PRESENCE_ERROR * relative[1])
        worst = np.argsort(-missed, kind="stable")[: max(1, common.size // 8)]
        return common[worst], float(missed[worst].mean())

    def found(self, *, exhausted: bool = False) -> Found:
        beyond = np.abs(self.held - self.task.target) - self.task.slack
        gap = int((self.seen[self.present] == 0).sum())
        over = int(np.maximum(beyond, 0).sum())
        return Found(self.part.copy(), over, gap, self.cost, exhausted)


def measured(units: Units, task: Task, part: IntArray) -> Found:
    """What an assignment int64[U] is worth."""
    return _Sums(units, task, np.ascontiguousarray(part, np.int64)).found()


def enumerated(units: Units, task: Task) -> Found | None:
    """The best of all assignments; None where every one leaves a part empty."""
    part = np.where(task.fixed < 0, 0, task.fixed)
    free = np.flatnonzero(task.fixed < 0)
    sums = _Sums(units, task, part)
    best = part.copy()
    cost = _kernel("all_assignments")(
        *(*units[:5], part, units.root, task.ratio, task.target, task.slack),
        *(*sums.arrays, free, sums.present, best),
    )
    if not np.isfinite(cost):
        return None
    return measured(units, task, best)._replace(exhausted=True)


def descended(units: Units, task: Task, part: IntArray, seed: int, *, hot: bool = True) -> Found:
    """One search, from an assignment int64[U]; the same for the same arguments.

    Args:
        hot: whether rises are accepted for a while; without, the cost only falls.
    """
    free = np.flatnonzero(task.fixed < 0)
    parts = len(task.ratio)
    sums = _Sums(units, task, np.array(part, np.int64))
    if not free.size or parts == 1:
        return sums.found(exhausted=True)
    state = np.random.default_rng(seed).integers(0, 1 << 63, 1).astype(np.uint64)
    member = np.zeros((parts, free.size), np.int64)
    place, count = np.zeros(len(units.size), np.int64), np.zeros(parts, np.int64)
    for f in range(parts):
        mine = free[sums.part[free] == f]
        member[f, : mine.size], place[mine] = mine, np.arange(mine.size)
        count[f] = mine.size
    row = np.repeat(np.arange(len(units.size)), np.diff(units.indptr))
    square = np.bincount(row, units.value**2, len(units.size))
    alike = free[_likeness(units)[free].argsort(kind="stable")]
    rank = np.zeros(len(units.size), np.int64)
    rank[alike] = np.arange(alike.size)
    scratch = np.zeros(len(units.root))

    def sweep(tries: int, temperature: float = 0.0, visited: IntArray = free) -> int:
        steps = _kernel("sweep")(
            *(*sums.units[:5], square, sums.part, task.ratio, task.target, task.slack),
            *(*sums.arrays, visited, member, place, count, alike, rank, tries, temperature),
            *(state, scratch),
        )
        sums.renew()
        return int(steps)

    few = free.size <= _ALL_PAIRS
    often = np.bincount(units.index, minlength=len(units.root)) >= 4 * parts
    sweeps = int(np.clip(_VISITS // free.size, 50, 400))
    for _ in range(8):
        sweep(8)
    if hot:
        errors = (sums.pull * task.ratio)[often]
        # heat that all units, or where they are many all features, share
        start = 2.0 * float((errors * errors).sum()) / (free.size if few else len(units.root))
        for at in range(sweeps):
            sweep(2, start * 1e-4 ** (at / (sweeps - 1)))
    else:
        for _ in range(sweeps):
            if sweep(8) == 0 and few:
                break
    if few:
        return sums.found(exhausted=any(sweep(-1) == 0 for _ in range(_ROUNDS)))
    common = np.flatnonzero(often[: units.class_count])
    least, best = np.inf, sums.part.copy()
    for _ in range(_MENDINGS if common.size else 0):
        worst, missed = sums.worst_classes(common)
        if missed < least:
            least, best = missed, sums.part.copy()
        grown = np.zeros(len(units.root), bool)
        grown[worst] = grown[units.class_count + worst] = True
        sums.units = _grown(sums.units, grown)
        square = np.bincount(row, sums.units.value**2, len(units.size))
        own = np.zeros(len(units.size), bool)
        own[row[grown[units.index]]] = True
        sums.renew()
        for _ in range(3):
            sweep(32, visited=free[own[free]])
    if common.size and sums.worst_classes(common)[1] < least:
        best = sums.part
    return measured(units, task, best)


def _grown(units: Units, grown: NDArray[np.bool_]) -> Units:
    """With twice the weight of some features, so that what holds them back gives way."""
    scale = np.where(grown, np.sqrt(2.0), 1.0)
    return units._replace(value=units.value * scale[units.index], root=units.root * scale)


def _likeness(units: Units) -> IntArray:
    """int64[U], a place for each unit so that like ones are near: by their two largest classes."""
    row = np.repeat(np.arange(len(units.size)), np.diff(units.indptr))
    own = units.index < units.class_count
    row, index, value = row[own], units.index[own], units.value[own]
    order = np.lexsort((index, -value, row))
    starts = np.searchsorted(row[order], np.arange(len(units.size) + 1))
    first, second = (np.full(len(units.size), -1, np.int64) for _ in range(2))
    largest = np.zeros(len(units.size))
    has = starts[1:] > starts[:-1]
    first[has] = index[order[starts[:-1][has]]]
    largest[has] = value[order[starts[:-1][has]]]
    more = starts[1:] > starts[:-1] + 1
    second[more] = index[order[starts[:-1][more] + 1]]
    places = np.empty(len(units.size), np.int64)
    places[np.lexsort((largest, second, first))] = np.arange(len(units.size))
    return places


def least_error(amounts: FloatArray, ratio: FloatArray) -> float:
    """The least largest |S / r - 1| of a part, over all ways to deal out these amounts."""
    shares = np.ascontiguousarray(amounts, np.float64) / np.sum(amounts)
    return float(_kernel("least_error")(shares, np.ascontiguousarray(ratio, np.float64)))
