"""Kernels that cut units into parts: sums, moves and exchanges, and all assignments of a few units.

A unit is what moves as one, a sparse row of features (`maskstat.splits.units`). With y the unit's
entries, S what part f holds of a feature and r its ratio, the cost is the sum of (S / r - root)^2,
and `pull` is (S / r - root) / r. Taking u from part f and v from g changes it by

    2 (y_u - y_v) . (pull_g - pull_f) + |y_u - y_v|^2 (1 / r_f^2 + 1 / r_g^2)

so that a try costs one look at the entries of u and v. Three things are compared, in this order:
masks by which parts miss their size (`over`), pairs of a class and a part without it (`gap`), cost.
`maskstat.kernels.split_search` calls these.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import compiled, inlined

_NEAR = 64  # how far off, in the order of likeness, a like may be
_LEAST = -1e-12  # a change of cost above this is rounding


@inlined
def _random(state):
    """splitmix64 (Steele, Lea and Flood 2014): the same numbers on every machine."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def _below(state, n):
    """A whole number of 0..n - 1."""
    return np.int64(((_random(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@inlined
def _over(held, target, slack):
    """Masks by which a part of so many misses its target by more than it may."""
    return max(np.int64(0), abs(held - target) - slack)


@inlined
def _put(u, f, g, indptr, index, value, shares, size, ratio, pull, seen, held):
    """Take unit u from the sums of part f to those of part g."""
    of_f, of_g = 1.0 / (ratio[f] * ratio[f]), 1.0 / (ratio[g] * ratio[g])
    for e in range(indptr[u], indptr[u + 1]):
        pull[index[e], f] -= value[e] * of_f
        pull[index[e], g] += value[e] * of_g
    for e in range(indptr[u], indptr[u] + shares[u]):
        seen[index[e], f] -= 1
        seen[index[e], g] += 1
    held[f] -= size[u]
    held[g] += size[u]


@compiled
def sums(indptr, index, value, shares, size, part, root, ratio, pull, seen, held):
    """Fill pull [D, F], seen int64[K, F] (units that have it), held int64[F] (masks); the cost."""
    pull[:] = 0.0
    seen[:] = 0
    held[:] = 0
    for u in range(part.size):
        f = part[u]
        held[f] += size[u]
        for e in range(indptr[u], indptr[u + 1]):
            pull[index[e], f] += value[e]
        for e in range(indptr[u], indptr[u] + shares[u]):
            seen[index[e], f] += 1
    cost = 0.0
    for j in range(pull.shape[0]):
        for f in range(pull.shape[1]):
            error = pull[j, f] / ratio[f] - root[j]
            cost += error * error
            pull[j, f] = error / ratio[f]
    return cost


@compiled
def fill(order, size, part, held, target):
    """Give each unit of `order` to the part that lacks the largest share of its target."""
    for u in order:
        best = 0
        for f in range(1, target.size):
            lacks, most = target[f] - held[f], target[best] - held[best]
            if lacks * target[best] > most * target[f]:
                best = f
        part[u] = best
        held[best] += size[u]


@compiled
def sweep(
    indptr,
    index,
    value,
    shares,
    size,
    square,
    part,
    ratio,
    target,
    slack,
    pull,
    seen,
    held,
    free,
    member,
    place,
    count,
    alike,
    rank,
    tries,
    temperature,
    state,
    scratch,
):
    """Visit the free units once, in random order; how many moves and exchanges were made.

    Args:
        square: float64[U], |y|^2 of each unit.
        free: int64, units that may move. member int64[F, U], place int64[U], count int64[F]: those
            of each part, and where each is among them.
        alike: the free ones, like beside like; rank: where each is in it.
        tries: partners that are drawn for a unit, three of four among its likes; below 0 all are
            looked at.
        temperature: a rise of the cost is accepted with the probability exp(-rise / temperature).
        scratch: float64[D], zeros.
    """
    parts = ratio.size
    score = np.empty(parts)
    steps = 0
    reach = min(_NEAR, free.size // 4)
    for i in range(free.size - 1, 0, -1):
        j = _below(state, i + 1)
        free[i], free[j] = free[j], free[i]
    for u in free:
        f = part[u]
        begin, end, middle = indptr[u], indptr[u + 1], indptr[u] + shares[u]
        score[:] = 0.0
        for e in range(begin, end):
            j = index[e]
            scratch[j] = value[e]
            for g in range(parts):
                score[g] += value[e] * pull[j, g]
        best_over, best_gap, best = np.int64(0), np.int64(0), np.inf
        best_v, best_g = np.int64(-1), np.int64(-1)
        for r in range(parts - 1 if tries < 0 else tries):
            near = np.int64(-1)
            g = np.int64(r)
            if tries >= 0 and _random(state) & np.uint64(3) != np.uint64(0):
                at = rank[u] + _below(state, 2 * reach + 1) - reach
                if at < 0 or at >= alike.size or part[alike[at]] == f:
                    continue
                near = alike[at]
                g = part[near]
            else:
                if tries >= 0:
                    g = _below(state, parts - 1)
                if g >= f:
                    g += 1
            scale = 1.0 / (ratio[f] * ratio[f]) + 1.0 / (ratio[g] * ratio[g])
            lost = np.int64(0)  # pairs that u alone leaves, less those that it fills
            for e in range(begin, middle):
                lost += seen[index[e], f] == 1
                lost -= seen[index[e], g] == 0
            now = _over(held[f], target[f], slack[f]) + _over(held[g], target[g], slack[g])
            alone = 2.0 * (score[g] - score[f])
            over = _over(held[f] - size[u], target[f], slack[f]) - now
            over += _over(held[g] + size[u], target[g], slack[g])
            change = alone + square[u] * scale
            if held[f] > size[u] and (
                over < best_over
                or (over == best_over and (lost < best_gap or (lost == best_gap and change < best)))
            ):
                best_over, best_gap, best = over, lost, change
                best_v, best_g = np.int64(-1), g
            if count[g] == 0:
                continue
            first = np.int64(0) if tries < 0 else _below(state, count[g])
            for p in range(first, count[g] if tries < 0 else first + 1):
                v = member[g, p] if near < 0 else near
                shift = size[v] - size[u]
                over = np.int64(0)
                if shift != 0:
                    over = _over(held[f] + shift, target[f], slack[f]) - now
                    over += _over(held[g] - shift, target[g], slack[g])
                    if over > best_over:
                        continue
                swing, shared, gap = 0.0, 0.0, lost
                split = indptr[v] + shares[v]
                for e in range(indptr[v], indptr[v + 1]):
                    j = index[e]
                    swing += value[e] * (pull[j, f] - pull[j, g])
                    shared += value[e] * scratch[j]
                    if e < split and (seen[j, g] == 1 or seen[j, f] <= 1):
                        if scratch[j] > 0.0:  # both have the class: what u did not count
                            gap -= seen[j, f] == 1
                        else:
                            gap += seen[j, g] == 1
                            gap -= seen[j, f] == 0
                change = alone + 2.0 * swing + (square[u] + square[v] - 2.0 * shared) * scale
                if over < best_over or (
                    over == best_over and (gap < best_gap or (gap == best_gap and change < best))
                ):
                    best_over, best_gap, best, best_v, best_g = over, gap, change, v, g
        for e in range(begin, end):
            scratch[index[e]] = 0.0
        if best_g < 0:
            continue
        if best_over == 0 and best_gap == 0:
            limit = _LEAST
            if temperature > 0.0:
                uniform = (np.float64(_random(state) >> np.uint64(11)) + 0.5) / 9007199254740992.0
                limit = -temperature * np.log(uniform)
            if best >= limit:
                continue
        steps += 1
        g, v = best_g, best_v
        _put(u, f, g, indptr, index, value, shares, size, ratio, pull, seen, held)
        a = place[u]
        if v >= 0:
            _put(v, g, f, indptr, index, value, shares, size, ratio, pull, seen, held)
            b = place[v]
            member[f, a], member[g, b] = v, u
            place[u], place[v] = b, a
            part[v] = f
        else:
            count[f] -= 1
            last = member[f, count[f]]
            member[f, a] = last
            place[last] = a
            member[g, count[g]] = u
            place[u] = count[g]
            count[g] += 1
        part[u] = g
    return steps


@compiled
def all_assignments(
    indptr,
    index,
    value,
    shares,
    size,
    part,
    root,
    ratio,
    target,
    slack,
    pull,
    seen,
    held,
    free,
    present,
    best_part,
):
    """Look at every way to give the free units to the parts: what the best one is, and its cost.

    Args:
        part: int64[U], the fixed units where they are and the free ones in part 0.
        present: int64, classes that any unit has.
        best_part: int64[U], the answer. No part of it is empty.

    Returns:
        Its cost; infinite where every assignment leaves a part empty.
    """
    parts = ratio.size
    sums(indptr, index, value, shares, size, part, root, ratio, pull, seen, held)
    best_over, best_gap, best = np.int64(1 << 62), np.int64(0), np.inf
    steps = 0
    while True:
        over, empty = np.int64(0), False
        for f in range(parts):
            over += _over(held[f], target[f], slack[f])
            empty |= held[f] == 0
        if not empty and over <= best_over:
            gap = np.int64(0)
            for c in present:
                for f in range(parts):
                    gap += seen[c, f] == 0
            if over < best_over or gap <= best_gap:
                cost = 0.0
                for j in range(pull.shape[0]):
                    for f in range(parts):
                        error = pull[j, f] * ratio[f]
                        cost += error * error
                if over < best_over or gap < best_gap or cost < best + _LEAST:
                    best_over, best_gap, best = over, gap, cost
                    best_part[:] = part
        i = 0
        while i < free.size:
            u = free[i]
            f = part[u]
            g = f + 1 if f + 1 < parts else 0
            _put(u, f, g, indptr, index, value, shares, size, ratio, pull, seen, held)
            part[u] = g
            if g > 0:
                break
            i += 1
        if i == free.size:
            return best
        steps += 1
        if steps % 4096 == 0:  # afresh: rounding never adds up
            sums(indptr, index, value, shares, size, part, root, ratio, pull, seen, held)


@compiled
def least_error(amount, ratio):
    """The least largest |S / r - 1| of a part, over all ways to deal out amounts that sum to 1."""
    parts = ratio.size
    place = np.zeros(amount.size, np.int64)
    best = np.inf
    held = np.empty(parts)
    while True:
        held[:] = 0.0
        for u in range(amount.size):
            held[place[u]] += amount[u]
        worst = 0.0
        for f in range(parts):
            worst = max(worst, abs(held[f] / ratio[f] - 1.0))
        best = min(best, worst)
        u = 0
        while u < amount.size and place[u] == parts - 1:
            place[u] = 0
            u += 1
        if u == amount.size:
            return best
        place[u] += 1
