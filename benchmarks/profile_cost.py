"""What a pixel profile costs: `scan(profile=True)` against a plain scan of the same masks.

    python -m benchmarks.profile_cost [--masks FOLDER_OF_REAL_MASKS] [--rounds 5] [--workers 2]

Both run in one process, in turns, each into a fresh store in memory, so every file is decoded every
time. The totals that the profile implies are compared with the counts.

Then what nobody should wait for: whole processes, `maskstat scan --profile` of 24 masks with
kernels in Numba's cache, with none there, and by NumPy alone.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

import maskstat
from benchmarks import mask_sets

CLASSES = 31
FEW = 24  # masks that a process scans


@cache
def _classes_of(folder: Path) -> int | maskstat.ClassCatalog:
    """What the masks of a set mean: numbers, or colours."""
    if not folder.name.startswith("rgb"):
        return CLASSES
    colours = (mask_sets.colours(256).astype(int) @ (1 << 16, 1 << 8, 1)).tolist()
    return maskstat.ClassCatalog(
        tuple(
            maskstat.ClassInfo(k, f"class {k}", (), colours=(colour,))
            for k, colour in enumerate(colours[:CLASSES])
        )
    )


def seconds(folder: Path, workers: int, *, profile: bool, grid: int = 64) -> float:
    """One scan from nothing, its totals (and its profile) computed."""
    classes = _classes_of(folder)
    start = time.perf_counter()
    with maskstat.scan(
        folder, classes=classes, workers=workers, profile=profile, grid=grid if profile else None
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
        ("2048x1024 RGB", "rgb", 100, (1024, 2048), mask_sets.save_rgb),
        ("2048x1024 RGBA", "rgba", 100, (1024, 2048), mask_sets.save_rgba),
        ("480x360 RGB", "rgb-small", 600, (360, 480), mask_sets.save_rgb),
        ("480x360 RGBA", "rgba-small", 600, (360, 480), mask_sets.save_rgba),
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


def whole_processes(real: Path | None, rounds: int) -> list[tuple[str, float]]:
    """Median seconds of processes that scan a few small masks with a profile, in turns."""
    found: dict[str, list[float]] = {"a warm cache": [], "a cold cache": [], "NumPy alone": []}
    with tempfile.TemporaryDirectory() as scratch:
        make = mask_sets.maker((360, 480), mask_sets.real_masks(real))
        masks = mask_sets.write_set(Path(scratch) / "few", FEW, FEW, make, mask_sets.save_grey)
        command = [sys.executable, "-m", "maskstat", "scan", str(masks), "--profile"]
        command += ["--classes", str(CLASSES), "--db", str(Path(scratch) / "store.db"), "--rescan"]
        for _ in range(rounds):
            for name, times in found.items():
                environment = dict(os.environ)
                cold = Path(scratch) / "cache"
                if name == "a cold cache":
                    environment["NUMBA_CACHE_DIR"] = str(cold)
                elif name == "NumPy alone":
                    environment["MASKSTAT_ENGINE"] = "numpy"
                start = time.perf_counter()
                subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
                times.append(time.perf_counter() - start)
                shutil.rmtree(cold, ignore_errors=True)
    return [(name, statistics.median(times)) for name, times in found.items()]


def main() -> None:
    """Parse the options, measure, print the tables."""
    options = mask_sets.arguments(__doc__).parse_args()
    results = [
        (name, count, *measure(folder, options.rounds, options.workers))
        for count, (name, folder) in mask_sets.asked_sets(options, make_sets)
    ]
    print(table(results))
    if not options.only:
        print(f"\n| {FEW} masks of 480x360 grey, whole process | seconds |\n| --- | --- |")
        for name, taken in whole_processes(options.masks, options.rounds):
            print(f"| {name} | {taken:.2f} |")


if __name__ == "__main__":
    main()
