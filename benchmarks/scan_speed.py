"""maskstat.scan against the loops people write, and against the floor, in one process run.

    python -m benchmarks.scan_speed [--masks FOLDER_OF_REAL_MASKS] [--rounds 5] [--workers 2]

All contenders take turns, round after round, on the same files with a warm page cache; the table
shows medians and ratios, which carry over between machines better than absolute figures. maskstat
runs through its public function into a new store on a disk every time, so that it decodes every
mask. A spin control (a fixed amount of arithmetic, once on one thread of execution, once on each
core) shows what the machine gave.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import maskstat
from benchmarks import mask_sets, user_loops

FLOOR = "floor: read + inflate"
OURS = "maskstat.scan"


class MaskSet:
    """A folder of masks and what the goals for it are."""

    def __init__(self, name: str, folder: Path, *, palette: bool = False):
        self.name, self.folder, self.palette = name, folder, palette
        self.paths = sorted(str(path) for path in folder.rglob("*.png"))
        self.pixels = 0


def make_sets(where: Path, real_folder: Path | None, scale: float) -> list[MaskSet]:
    """All sets; `scale` multiplies the number of files."""
    real = mask_sets.real_masks(real_folder)
    small, street, large = (360, 480), (720, 1280), (1024, 2048)
    grey, palette = mask_sets.save_grey, mask_sets.save_palette

    def write(
        name: str,
        files: int,
        make: Callable[[int], mask_sets.Labels],
        save: Callable[[Path, mask_sets.Labels], None],
        *,
        distinct: int = 60,
    ) -> Path:
        count = max(2, round(files * scale))
        return mask_sets.write_set(where / name, count, min(count, distinct), make, save)

    of_small, of_street, of_large = (
        mask_sets.maker(shape, real) for shape in (small, street, large)
    )
    sets = [
        MaskSet("480x360 grey", write("small", 2808, of_small, grey, distinct=468)),
        MaskSet("1280x720 palette", write("street", 1500, of_street, palette), palette=True),
        MaskSet("2048x1024 palette", write("palette", 800, of_large, palette), palette=True),
        MaskSet("2048x1024 grey, Pillow", write("grey", 800, of_large, grey)),
    ]
    if importlib.util.find_spec("cv2") is not None:
        folder = write("opencv", 800, of_large, mask_sets.save_opencv)
        sets.append(MaskSet("2048x1024 grey, OpenCV", folder))
    for name, make in (("photographs", mask_sets.photograph), ("noise", mask_sets.noise)):
        folder = write(name, 120, partial(make, street), grey, distinct=30)
        sets.append(MaskSet(f"{name} as grey, 1280x720", folder))
    return sets


def scanner(folder: Path, db: Path, workers: int) -> Callable[[Sequence[str]], np.ndarray]:
    """maskstat.scan as a contender: every file decoded, counts committed to a new store."""
    stores = (db.with_name(f"{db.stem}-{run}.db") for run in itertools.count())

    def count(paths: Sequence[str]) -> np.ndarray:
        with maskstat.scan(folder, classes=256, db=next(stores), workers=workers) as scan:
            if scan.failures:
                raise ValueError(f"{len(scan.failures)} masks failed")
            return scan.histogram.pixels

    return count


def measure(masks: MaskSet, rounds: int, workers: int, db: Path) -> dict[str, float]:
    """Median seconds of every contender for the whole set, all counts compared.

    Loops on one process count every fifth file only, and their time is scaled by pixels: they
    would take most of the run otherwise.
    """
    contenders, pools = user_loops.contenders(workers, palette=masks.palette)
    contenders[OURS] = scanner(masks.folder, db, workers)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    part = masks.paths[::5]
    expected = user_loops.pillow_histogram(masks.paths)
    expected_part = user_loops.pillow_unique(part)
    masks.pixels = int(expected.sum())
    scale = masks.pixels / int(expected_part.sum())
    try:
        for turn in range(rounds + 1):
            for name, loop in contenders.items():
                single = name != OURS and name != FLOOR and f"{workers} " not in name
                start = time.perf_counter()
                counts = loop(part if single else masks.paths)
                elapsed = (time.perf_counter() - start) * (scale if single else 1.0)
                reference = expected_part if single else expected
                if name != FLOOR and not np.array_equal(counts, reference):
                    raise AssertionError(f"{name} counts differently on {masks.name}")
                if turn:  # the first round warms caches, pools and compiled kernels
                    times[name].append(elapsed)
    finally:
        for pool in pools:
            pool.shutdown()
    return {name: statistics.median(values) for name, values in times.items()}


def spin(amount: int) -> int:
    """A fixed amount of arithmetic."""
    total = 0
    for number in range(amount):
        total += number * number % 7
    return total


def spin_control(workers: int, amount: int = 4_000_000) -> float:
    """How many times as much arithmetic all workers do as one of them, in the same time."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(spin, [20] * workers))
        start = time.perf_counter()
        list(pool.map(spin, [amount]))
        alone = time.perf_counter() - start
        start = time.perf_counter()
        list(pool.map(spin, [amount] * workers))
        together = time.perf_counter() - start
    return workers * alone / together


def table(results: dict[str, dict[str, float]], sets: Sequence[MaskSet], workers: int) -> str:
    """A Markdown table: the loops in MPix/s (files/s), maskstat, the ratios."""
    names = list(dict.fromkeys(name for result in results.values() for name in result))
    lines = [
        "| MPix/s (files/s) | " + " | ".join(masks.name for masks in sets) + " |",
        "| --- |" + " --- |" * len(sets),
    ]
    for name in [*(n for n in names if n not in (OURS, FLOOR)), FLOOR, OURS]:
        cells = []
        for masks in sets:
            seconds = results[masks.name].get(name)
            cells.append(
                "–"
                if seconds is None
                else f"{masks.pixels / seconds / 1e6:,.0f} ({len(masks.paths) / seconds:,.0f})"
            )
        bold = "**" if name == OURS else ""
        lines.append(f"| {bold}{name}{bold} | " + " | ".join(cells) + " |")
    ratios, over_floor = [], []
    for masks in sets:
        result = results[masks.name]
        best = min(
            seconds
            for name, seconds in result.items()
            if "bincount" in name and f"{workers} processes" in name
        )
        ratios.append(f"**{best / result[OURS]:.1f}×**")
        over_floor.append(f"{result[OURS] / result[FLOOR]:.2f}")
    lines.append(f"| × the best {workers}-process bincount loop | " + " | ".join(ratios) + " |")
    lines.append("| time ÷ floor | " + " | ".join(over_floor) + " |")
    return "\n".join(lines)


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = mask_sets.arguments(__doc__)
    parser.add_argument("--json", type=Path, help="write the medians here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        where = options.folder or Path(scratch) / "sets"
        sets = make_sets(where, options.masks, options.scale)
        if options.only:
            sets = [masks for masks in sets if options.only in masks.name]
        if hasattr(os, "sync"):
            os.sync()  # or the disk would still be busy with the sets when stores are committed
        results = {}
        for masks in sets:
            db = Path(scratch) / "benchmark.db"
            results[masks.name] = measure(masks, options.rounds, options.workers, db)
            print(f"measured {masks.name}", flush=True)
    print(table(results, sets, options.workers))
    print(
        f"\nspin control: {options.workers} workers do "
        f"{spin_control(options.workers):.2f} times the work of one"
    )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
