"""What counting a mask in memory costs, beside `np.bincount`, both in one run.

    python -m benchmarks.array_counting [--masks FOLDER_OF_REAL_MASKS] [--rounds 30]

Every mask is counted in turn by `np.bincount(mask.ravel(), minlength=256)` and by
`MaskCounter.update`, which also checks its shape and keeps its counts; medians, and their ratio.
Real masks are enlarged and tiled to 2048x1024: enlarging makes runs longer, tiling leaves them as
they are. Noise has no runs at all. Both sides are one thread, whose own time is measured, so that
other programs matter little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import maskstat
from benchmarks import mask_sets
from maskstat.kernels import engine

SHAPE = (1024, 2048)
TYPES = ("uint8", "uint16", "int32", "int64")


class Times(NamedTuple):
    """Medians of one kind of masks, in milliseconds a mask."""

    name: str
    dtype: str
    bincount: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times as fast as NumPy."""
        return self.bincount / self.ours


def kinds(
    shape: tuple[int, int], real: Sequence[Path], count: int
) -> Iterator[tuple[str, list[mask_sets.Labels]]]:
    """Names and masks to count, `count` of each kind, values below 256."""
    rng = np.random.default_rng(0)
    if real:
        chosen = [Image.open(real[k * len(real) // count]) for k in range(count)]
        size, nearest = shape[::-1], Image.Resampling.NEAREST
        yield "real, enlarged", [np.asarray(image.resize(size, nearest)) for image in chosen]
        yield "real, tiled", [tiled(np.asarray(image), shape) for image in chosen]
    yield "made", [mask_sets.labels(shape, seed) for seed in range(count)]
    yield "noise of 256 values", [rng.integers(0, 256, shape, np.uint8) for _ in range(count)]
    yield "noise of 5 values", [rng.integers(0, 5, shape, np.uint8) for _ in range(count)]
    yield "one value", [np.full(shape, 7, np.uint8) for _ in range(count)]


def tiled(mask: mask_sets.Labels, shape: tuple[int, int]) -> mask_sets.Labels:
    """The mask side by side and one below the other, as often as it takes."""
    height, width = (-(-wanted // length) for wanted, length in zip(shape, mask.shape, strict=True))
    return np.ascontiguousarray(np.tile(mask, (height, width))[: shape[0], : shape[1]])


def bincount(total: NDArray[np.int64], masks: Sequence[NDArray[Any]]) -> None:
    """What people write."""
    for mask in masks:
        total += np.bincount(mask.ravel(), minlength=256)


def update(counter: maskstat.MaskCounter, masks: Sequence[NDArray[Any]]) -> None:
    """What we offer for it."""
    for mask in masks:
        counter.update(mask)


def measure(name: str, masks: Sequence[NDArray[Any]], rounds: int) -> Times:
    """Medians over rounds. Both sides must agree."""
    total, counter = np.zeros(256, np.int64), maskstat.MaskCounter(classes=31)
    sides = (partial(bincount, total, masks), partial(update, counter, masks))
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, times in zip(sides, spent, strict=True):
            start = time.thread_time()
            side()
            times.append((time.thread_time() - start) * 1e3 / len(masks))
    counted = counter.scan().under(256)
    if not np.array_equal(counted.ledger.dense().sum(axis=0), total):
        raise AssertionError(f"counts differ: {name}")
    return Times(name, str(masks[0].dtype), *map(statistics.median, spent))


def table(results: Sequence[Times]) -> str:
    """Markdown."""
    lines = [
        "| masks | type | np.bincount, ms | MaskCounter, ms | times as fast |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.name} | {one.dtype} | {one.bincount:.2f} | {one.ours:.3f} | {one.ratio:.1f} |"
        for one in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse the options, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=Path, help="small real masks")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--count", type=int, default=8, help="masks of each kind")
    options = parser.parse_args()
    real = mask_sets.real_masks(options.masks)
    engine.prepare(10**6, 0)  # as after a third of a second of counting
    results = [
        measure(name, [mask.astype(dtype) for mask in masks], options.rounds)
        for name, masks in kinds(SHAPE, real, options.count)
        for dtype in TYPES
    ]
    print(f"engine: {engine.current_engine().name}\n\n{table(results)}")


if __name__ == "__main__":
    main()
