"""How even splits are: `scan.split` against random splits and published ways.

    python -m benchmarks.splits [--masks FOLDER_OF_REAL_MASKS] [--classes camvid-11] [--seeds 20]
                                [--generations 50] [--large]

All contenders deal out the same masks to five parts, in one run; those of
`benchmarks/split_contenders.py` that don't hold sizes have them printed. Errors are of the classes'
shares of a part's labelled pixels and of masks that have them, the largest over parts and classes.
The label Wasserstein distance is the mean over parts and classes of that of pixels a mask (arXiv
2509.21056). Times are of the CPU, after compiling. `--large` adds 100,000 masks of 150 classes.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

import maskstat
from benchmarks.split_contenders import (
    FOLDS,
    Distances,
    Parts,
    evolved,
    pixel_stratified,
    stratified,
)
from maskstat.splits.compute import split_masks
from maskstat.splits.search import targets_of
from maskstat.values.groups import MaskGroups
from maskstat.values.ledger import MaskLedger

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


CONTENDERS: dict[str, Callable[[MaskLedger, int], Parts]] = {
    "maskstat": ours,
    "random": random,
    "best of 1,000 random": best_of_random,
    "iterative stratification": stratified,
    "IPS": pixel_stratified,
    "WDES": evolved,
}
LARGE = ("maskstat", "random", "IPS")  # the others take hours, or gigabytes
EQUAL_SIZES = ("maskstat", "random", "best of 1,000 random", "WDES")


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


class Measured(NamedTuple):
    """The worst over the seeds: errors, label Wasserstein distance (px), sizes, seconds of CPU."""

    share: float
    presence: float
    distance: float
    smallest: int
    largest: int
    seconds: float


def measure(
    ledger: MaskLedger, contender: Callable[[MaskLedger, int], Parts], seeds: int
) -> Measured:
    """One contender. The distance is that of a table of all masks, so 0 where there are many."""
    distances = Distances(ledger.dense()) if len(ledger) <= 10_000 else None
    rows = []
    for seed in range(seeds):
        start = time.process_time()
        part = contender(ledger, seed)
        seconds = time.process_time() - start
        sizes = np.bincount(part, minlength=FOLDS)
        far = 0.0 if distances is None else distances.of(part)
        rows.append((*errors(ledger, part), far, -sizes.min(), sizes.max(), seconds))
    share, presence, far, smallest, largest, seconds = np.max(rows, axis=0).tolist()
    return Measured(share, presence, far, -int(smallest), int(largest), seconds)


def compare(ledger: MaskLedger, seeds: int, names: Iterable[str] = CONTENDERS) -> list[str]:
    """A line a contender; behind each error how many times ours it is."""
    lines, reference = [], None
    for name in names:
        try:
            found = measure(ledger, CONTENDERS[name], seeds)
        except ImportError as error:
            lines.append(f"{name:24} left out: {error}")
            continue
        reference = reference or found  # ours comes first
        cells = [
            f"share {100 * found.share:6.2f}% ({found.share / reference.share:5.1f}x)",
            f"presence {100 * found.presence:6.2f}% ({found.presence / reference.presence:4.1f}x)",
            f"masks {found.smallest:,} to {found.largest:,}",
            f"{found.seconds:.2f} s CPU",
        ]
        if reference.distance:
            times = found.distance / reference.distance
            cells.insert(2, f"Wasserstein {found.distance:5.0f} px ({times:.1f}x)")
        lines.append(f"{name:24} {'  '.join(cells)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--masks", default="sample_masks", help="a folder, or a pattern in quotes")
    parser.add_argument("--classes", default="sample_masks/classes.yaml")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--generations", type=int, default=50, help="of WDES; its paper's are 50")
    parser.add_argument("--large", action="store_true")
    asked = parser.parse_args()
    CONTENDERS["WDES"] = partial(evolved, generations=asked.generations)
    ours(long_tailed(50, 3), 0)  # compiles
    with maskstat.scan(asked.masks, classes=asked.classes) as scan:
        print(f"{len(scan.ledger):,} masks, {FOLDS} folds; the worst of {asked.seeds} seeds")
        print(f"WDES of {asked.generations} generations of 100")
        print("\n".join(compare(scan.ledger, asked.seeds)))
    if asked.large:
        print("100,000 masks, 150 classes; one seed")
        print("\n".join(compare(long_tailed(100_000, 150), 1, LARGE)))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB at most")


if __name__ == "__main__":
    main()
