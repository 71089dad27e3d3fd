"""What a pixel profile costs: `scan(profile=True)` against a plain scan of the same masks.

    python -m benchmarks.profile_cost [--masks FOLDER_OF_REAL_MASKS] [--rounds 5] [--workers 2]

Both run in one process, in turns, each into a fresh store in memory, so every file is decoded every
time. The totals that the profile implies are compared with the counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import maskstat
from benchmarks import mask_sets

CLASSES = 31


def seconds(folder: Path, workers: int, *, profile: bool, grid: int = 64) -> float:
    """One scan from nothing, its totals (and its profile) computed."""
    start = time.perf_counter()
    with maskstat.scan(
        folder, classes=CLASSES, workers=workers, profile=profile, grid=grid if profile else None
    ) as scan:
        pixels = scan.histogram.pixels
        if scan.failures:
            raise ValueError(f"{len(scan.failures)} masks failed")
        if profile and not np.array_equal(scan.need_profile(of_all=True).class_pixels, pixels):
            raise AssertionError("the profile has other pixels than the counts")
    return time.perf_counter() - start


def measure(folder: Path, rounds: int, workers: int, grid: int = 64) -> tuple[float, float]:
    """Median seconds of a plain scan and of one with a profile; the first round warms up."""
    plain, profiled = [], []
    for turn in range(rounds + 1):
        one = seconds(folder, workers, profile=False)
        other = seconds(folder, workers, profile=True, grid=grid)
        if turn:
            plain.append(one)
            profiled.append(other)
    return statistics.median(plain), statistics.median(profiled)


def make_sets(folder: Path, real: Path | None, scale: float) -> list[tuple[str, Path]]:
    """Folders of masks by name, large ones first."""
    sources = mask_sets.real_masks(real)
    plans = (
        ("2048x1024 palette", "palette", 400, (1024, 2048), mask_sets.save_palette),
        ("2048x1024 grey", "grey", 400, (1024, 2048), mask_sets.save_grey),
        ("480x360 grey", "small", 1500, (360, 480), mask_sets.save_grey),
    )
    sets = []
    for name, place, count, shape, save in plans:
        count = max(3, round(count * scale))
        make = mask_sets.maker(shape, sources)
        where = mask_sets.write_set(folder / place, count, min(count, 40), make, save)
        sets.append((name, where))
    return sets


def table(results: Sequence[tuple[str, int, float, float]]) -> str:
    """A Markdown table: milliseconds a mask without and with a profile, and their ratio."""
    lines = ["| masks | scan, ms a mask | with --profile | ratio |", "| --- | --- | --- | --- |"]
    for name, count, plain, profiled in results:
        lines.append(
            f"| {count:,} of {name} | {1000 * plain / count:.3f} | {1000 * profiled / count:.3f} |"
            f" {profiled / plain:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the options, measure, print the table."""
    options = mask_sets.arguments(__doc__).parse_args()
    results = [
        (name, count, *measure(folder, options.rounds, options.workers))
        for count, (name, folder) in mask_sets.asked_sets(options, make_sets)
    ]
    print(table(results))


if __name__ == "__main__":
    main()
