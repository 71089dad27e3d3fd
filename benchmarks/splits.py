"""How even splits are: `scan.split` against random splits and stratification by presence.

    python -m benchmarks.splits [--masks FOLDER_OF_REAL_MASKS] [--classes camvid-11] [--seeds 20]
                                [--large]

All contenders deal out the same masks to five parts of the same sizes, in one run. Errors are of
the classes' shares of a part's labelled pixels and of masks that have them, the largest over parts
and classes. The label Wasserstein distance is the mean over parts and classes of that of pixels a
mask (arXiv 2509.21056). Times are of the CPU, after compiling. `--large` adds 100,000 masks of 150
classes.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

import maskstat
from maskstat.splits.compute import split_masks
from maskstat.splits.search import targets_of
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger

FOLDS = 5
Parts = NDArray[np.int64]
RATIO = np.full(FOLDS, 1 / FOLDS)


def ours(ledger: MaskLedger, seed: int) -> Parts:
    """What the library gives."""
    return split_masks(
        ledger,
        [str(k) for k in range(ledger.class_count)],
        MaskGroups.of_labels("mask", ledger.names),
        {str(fold): 1 / FOLDS for fold in range(FOLDS)},
        seed=seed,
    ).part


def random(ledger: MaskLedger, seed: int) -> Parts:
    """Masks in random order."""
    sizes = targets_of(len(ledger), RATIO)
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(FOLDS), sizes))


def best_of_random(ledger: MaskLedger, seed: int, draws: int = 1000) -> Parts:
    """Of 1,000 random splits the one with the least share error."""
    every = (random(ledger, draws * seed + draw) for draw in range(draws))
    return min(every, key=lambda part: errors(ledger, part)[0])


def stratified(ledger: MaskLedger, seed: int) -> Parts:
    """Iterative stratification in one pass (Sechidis et al. 2011), by presence, sizes kept.

    Masks of the rarest class first; each goes to the part that still wants most of it.
    """
    order = np.random.default_rng(seed).permutation(len(ledger))
    presence = np.bincount(ledger.classes, minlength=ledger.class_count)
    rarest = np.full(len(ledger), ledger.class_count)
    place = np.argsort(np.argsort(presence, kind="stable"))
    row = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    np.minimum.at(rarest, row, place[ledger.classes])
    by_place = np.append(np.argsort(presence, kind="stable"), 0)
    want = np.outer(RATIO, presence)
    room = targets_of(len(ledger), RATIO)
    part = np.zeros(len(ledger), np.int64)
    for mask in order[np.argsort(rarest[order], kind="stable")].tolist():
        wanted = np.where(room > 0, want[:, by_place[rarest[mask]]], -np.inf)
        part[mask] = best = int(wanted.argmax())
        room[best] -= 1
        want[best, ledger.classes[ledger.indptr[mask] : ledger.indptr[mask + 1]]] -= 1
    return part


CONTENDERS: dict[str, Callable[[MaskLedger, int], Parts]] = {
    "maskstat": ours,
    "random": random,
    "best of 1,000 random": best_of_random,
    "stratified by presence": stratified,
}


def errors(ledger: MaskLedger, part: Parts) -> tuple[float, float]:
    """The largest relative error of a class's share, and of the masks that have it."""
    k = ledger.class_count
    cell = np.repeat(part, ledger.class_counts) * k + ledger.classes
    pixels = np.bincount(cell, ledger.pixels, FOLDS * k).reshape(FOLDS, k)
    masks = np.bincount(cell, minlength=FOLDS * k).reshape(FOLDS, k)
    own = masks.sum(0) > 0
    share = (pixels / pixels.sum(1, keepdims=True))[:, own]
    frequency = (pixels.sum(0) / pixels.sum())[own]
    wanted = RATIO[:, None] * masks.sum(0)[own]
    return (
        float(np.abs(share / frequency - 1).max()),
        float(np.abs(masks[:, own] / wanted - 1).max()),
    )


def wasserstein(ledger: MaskLedger, part: Parts) -> float:
    """Label Wasserstein distance, px."""
    table = ledger.dense()
    return float(
        np.mean(
            [
                wasserstein_distance(table[part == fold, k], table[:, k])
                for fold in range(FOLDS)
                for k in range(table.shape[1])
            ]
        )
    )


def long_tailed(masks: int, classes: int, seed: int = 0) -> MaskLedger:
    """Masks of twenty scenes that favour classes; presence is Zipf, pixels are log-normal."""
    draw = np.random.default_rng(seed)
    liking = (1.0 + np.arange(classes)) ** -1.2 * draw.lognormal(0, 1.5, (20, classes))
    chance = np.minimum(1.0, 16 * liking / liking.sum(1, keepdims=True))
    scene = draw.integers(0, 20, masks)
    rows, columns = [], []
    for start in range(0, masks, 10_000):
        block = scene[start : start + 10_000]
        row, column = np.nonzero(draw.random((block.size, classes)) < chance[block])
        rows.append(row + start)
        columns.append(column)
    row, column = np.concatenate(rows), np.concatenate(columns)
    size = np.exp(draw.normal(0, 1.5, row.size)) * draw.lognormal(0, 1, classes)[column]
    share = size / np.bincount(row, size, masks)[row]
    pixels = np.maximum(1, share * 512 * 512).astype(np.int64)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=masks))))
    names = tuple(f"{number:07d}" for number in range(masks))
    areas = np.full(masks, 512 * 512)
    return MaskLedger(classes, names, areas, indptr, column.astype(np.int64), pixels)


def compare(ledger: MaskLedger, seeds: int, skip: tuple[str, ...] = ()) -> list[str]:
    """A line a contender: errors, distance and seconds, the worst over the seeds."""
    lines = []
    for name, contender in CONTENDERS.items():
        if name in skip:
            continue
        worst, seconds = np.zeros(3), 0.0
        for seed in range(seeds):
            start = time.process_time()
            part = contender(ledger, seed)
            seconds = max(seconds, time.process_time() - start)
            far = wasserstein(ledger, part) if len(ledger) <= 10_000 else 0.0
            worst = np.maximum(worst, [*errors(ledger, part), far])
        lines.append(
            f"{name:24} share {100 * worst[0]:7.2f}%  presence {100 * worst[1]:6.2f}%"
            f"  Wasserstein {worst[2]:6.0f} px  {seconds:6.2f} s CPU"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--masks", default="sample_masks", help="a folder, or a pattern in quotes")
    parser.add_argument("--classes", default="sample_masks/classes.yaml")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--large", action="store_true")
    asked = parser.parse_args()
    ours(long_tailed(50, 3), 0)  # compiles
    with maskstat.scan(asked.masks, classes=asked.classes) as scan:
        print(f"{len(scan.ledger):,} masks, {FOLDS} folds; the worst of {asked.seeds} seeds")
        print("\n".join(compare(scan.ledger, asked.seeds)))
    if asked.large:
        print("100,000 masks, 150 classes; one seed")
        print("\n".join(compare(long_tailed(100_000, 150), 1, ("best of 1,000 random",))))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB at most")


if __name__ == "__main__":
    main()
