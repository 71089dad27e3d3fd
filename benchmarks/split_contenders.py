"""What `scan.split` is measured against: published ways to deal out masks to folds.

Iterative pixel stratification (IPS) and Wasserstein-driven evolutionary stratification (WDES) are
written here from their description in "Stratify or Die: Rethinking Data Splits in Image
Segmentation" (arXiv 2509.21056), with its settings. Iterative stratification (Sechidis et al. 2011)
is that of the package iterative-stratification, where it is installed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.values.ledger import MaskLedger

FOLDS = 5
Parts = NDArray[np.int64]
Table = NDArray[np.int64]


def pixel_stratified(ledger: MaskLedger, seed: int) -> Parts:
    """IPS. The class with the fewest pixels that are left goes first, with all masks that have it.

    Each of them goes to the fold that still wants most of its pixels, of equal ones to that which
    wants most masks. Sizes follow from that: they are not held.
    """
    draw, table = np.random.default_rng(seed), ledger.dense()
    wanted = np.tile(table.sum(0) / FOLDS, (FOLDS, 1))
    room = np.full(FOLDS, len(ledger) / FOLDS)
    part = np.full(len(ledger), -1, np.int64)
    left = table.sum(0).astype(np.float64)
    while (part < 0).any():
        if not left.any():  # masks without a labelled pixel
            rest = np.flatnonzero(part < 0)
            part[rest] = draw.integers(0, FOLDS, rest.size)
            break
        rarest = int(draw.choice(np.flatnonzero(left == left[left > 0].min())))
        for mask in np.flatnonzero((table[:, rarest] > 0) & (part < 0)).tolist():
            best = np.flatnonzero(wanted[:, rarest] == wanted[:, rarest].max())
            best = best[room[best] == room[best].max()]
            part[mask] = fold = int(draw.choice(best))
            room[fold] -= 1
            wanted[fold] -= table[mask]
            left -= table[mask]
    return part


class Distances:
    """Label Wasserstein distance of splits of the same masks: the mean over folds and classes.

    That of a class is the area between two steps: the share of a fold's masks with so few pixels of
    the class or fewer, and that of all masks.
    """

    def __init__(self, table: Table):
        self.order = table.argsort(axis=0, kind="stable")
        self.gaps = np.diff(np.take_along_axis(table, self.order, 0), axis=0).astype(np.float64)
        self.all = np.arange(1, len(table))[:, None] / len(table)

    def of(self, part: Parts) -> float:
        """In pixels a mask."""
        sorted_parts = part[self.order]
        distance = 0.0
        for fold in range(FOLDS):
            held = np.cumsum(sorted_parts == fold, axis=0)
            distance += float((np.abs(held[:-1] / held[-1] - self.all) * self.gaps).sum())
        return distance / (FOLDS * self.gaps.shape[1])


def evolved(ledger: MaskLedger, seed: int, generations: int = 50, population: int = 100) -> Parts:
    """WDES, which lowers the label Wasserstein distance by a genetic algorithm.

    Splits of equal sizes are mated by exchanging each mask's fold with a chance of a half, after
    which sizes are mended, and are mutated by exchanging the folds of two masks; parents win a
    tournament of three. The best split of all generations is kept.
    """
    draw, count = np.random.default_rng(seed), len(ledger)
    distances = Distances(ledger.dense())
    sizes = np.bincount(np.arange(count) % FOLDS, minlength=FOLDS)
    people = [draw.permutation(np.arange(count) % FOLDS) for _ in range(population)]
    fitness = [distances.of(each) for each in people]
    best = people[int(np.argmin(fitness))]
    least = min(fitness)
    for _ in range(generations):
        rivals = draw.integers(0, population, (population, 3))
        parents = [min(three, key=fitness.__getitem__) for three in rivals.tolist()]
        people, fitness = [people[at].copy() for at in parents], [fitness[at] for at in parents]
        changed = np.zeros(population, bool)
        for at in range(1, population, 2):
            if draw.random() < 0.5:
                changed[at - 1] = changed[at] = True
                swap = draw.random(count) < 0.5
                one, other = people[at - 1], people[at]
                one[swap], other[swap] = other[swap], one[swap]
                for each in (one, other):
                    _mend(each, sizes)
        for at in range(population):
            if draw.random() < 0.2:
                changed[at] = True
                for mask in np.flatnonzero(draw.random(count) < 0.2).tolist():
                    other_mask = int(draw.integers(count))
                    people[at][[mask, other_mask]] = people[at][[other_mask, mask]]
        for at in np.flatnonzero(changed).tolist():
            fitness[at] = distances.of(people[at])
            if fitness[at] < least:
                best, least = people[at].copy(), fitness[at]
    return best


def _mend(part: Parts, sizes: Parts) -> None:
    """The first masks of folds that are too large go to those that are too small."""
    held = np.bincount(part, minlength=FOLDS)
    spare = [np.flatnonzero(part == f)[: max(0, held[f] - sizes[f])] for f in range(FOLDS)]
    lacking = np.repeat(np.arange(FOLDS), np.maximum(sizes - held, 0))
    part[np.concatenate(spare)] = lacking


def stratified(ledger: MaskLedger, seed: int) -> Parts:
    """Iterative stratification by presence. Raises ImportError where its package is absent."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    present = (ledger.dense() > 0).astype(np.int64)
    part = np.empty(len(ledger), np.int64)
    folds = MultilabelStratifiedKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(folds.split(present, present)):
        part[test] = fold
    return part
