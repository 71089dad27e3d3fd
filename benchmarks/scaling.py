"""How the cost of a scan grows with masks, pixels, label changes and workers; measured and drawn.

    python -m benchmarks.scaling [--output docs/images/scaling.png] [--rounds 5]

Each panel varies one thing. Times are medians of whole `maskstat.scan` runs with a store, less the
fixed cost of a run (opening and syncing the store), which is measured on a folder of one mask.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import maskstat
from benchmarks import mask_sets

SMALL, LARGE = (360, 480), (1024, 2048)


def seconds(folder: Path, db: Path, rounds: int, workers: int = 2) -> float:
    """Median of whole scans; the first warms the page cache and the kernels."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with maskstat.scan(folder, classes=256, db=db, workers=workers, rescan=True) as scan:
            assert scan.histogram.total_pixels
            assert not scan.failures
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def striped(shape: tuple[int, int], changes: int, seed: int) -> mask_sets.Labels:
    """A mask with `changes` label changes at random places of every row, alike in no two rows."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    for row in mask:
        if changes:
            row[rng.choice(np.arange(1, shape[1]), changes, replace=False)] = 1
        np.bitwise_xor.accumulate(row, out=row)
    return mask


class Study:
    """Runs the panels in one scratch folder."""

    def __init__(self, scratch: Path, rounds: int):
        self.scratch, self.rounds = scratch, rounds
        self.db = scratch / "scaling.db"
        one = self.fill("one", 1, lambda n: mask_sets.labels((8, 8), n))
        self.seconds(one, 2)  # loads the kernels
        self.fixed = self.seconds(one, 2)

    def fill(self, name: str, count: int, make: Callable[[int], mask_sets.Labels]) -> Path:
        folder = self.scratch / name
        return mask_sets.write_set(folder, count, min(count, 20), make, mask_sets.save_palette)

    def seconds(self, folder: Path, workers: int) -> float:
        return seconds(folder, self.db, self.rounds, workers)

    def net(self, folder: Path, workers: int = 2) -> float:
        """Seconds beyond the fixed cost of a run."""
        return max(self.seconds(folder, workers) - self.fixed, 1e-6)

    def masks(self) -> tuple[list[float], list[float]]:
        counts = [100, 300, 1000, 3000, 10000]
        make = mask_sets.maker(SMALL, [])
        return list(map(float, counts)), [
            self.net(self.fill(f"masks-{count}", count, make)) for count in counts
        ]

    def pixels(self) -> tuple[list[float], list[float]]:
        sides = [128, 256, 512, 1024, 2048, 4096]
        folders = [
            self.fill(f"side-{s}", 200, lambda n, s=s: mask_sets.labels((s, s), n)) for s in sides
        ]
        return [float(s * s) for s in sides], [self.net(folder) / 200 for folder in folders]

    def label_changes(self) -> tuple[list[float], list[float]]:
        changes = [0, 1, 4, 16, 64, 256, 1024]
        folders = [
            self.fill(f"changes-{c}", 100, lambda n, c=c: striped(LARGE, c, n)) for c in changes
        ]
        return [float(c) for c in changes], [self.net(folder) / 100 for folder in folders]

    def workers(self) -> tuple[list[float], list[float]]:
        folder = self.fill("workers", 600, mask_sets.maker(LARGE, []))
        counts = [1, 2, 4]
        alone = self.net(folder, 1)
        return list(map(float, counts)), [alone / self.net(folder, count) for count in counts]


def draw(panels: Sequence[tuple[str, str, bool, list[float], list[float]]], path: Path) -> None:
    """Four panels: (x label, y label, logarithmic, x, y)."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (across, up, logarithmic, x, y) in zip(
        figure.subplots(2, 2).flat, panels, strict=True
    ):
        axes.plot(x, y, "o-", color="#0072b2")
        if logarithmic:
            axes.set_xscale("symlog" if 0 in x else "log")
            axes.set_yscale("log")
        else:
            axes.set_xticks(x)
            axes.set_ylim(bottom=0)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/scaling.png"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    # Small folders are counted by the NumPy engine; here one engine should explain every point.
    os.environ.setdefault("MASKSTAT_ENGINE", "compiled")
    with tempfile.TemporaryDirectory() as scratch:
        study = Study(Path(scratch), options.rounds)
        print(f"fixed cost of a run: {study.fixed * 1e3:.1f} ms")
        panels = [
            ("masks of 480x360", "seconds", True, *study.masks()),
            ("pixels of a mask", "seconds a mask", True, *study.pixels()),
            ("label changes a row, 2048x1024", "seconds a mask", True, *study.label_changes()),
            ("workers, 2048x1024", "speed-up over one worker", False, *study.workers()),
        ]
    for across, up, _, x, y in panels:
        print(f"{across}: " + ", ".join(f"{a:g}: {b:.4g}" for a, b in zip(x, y, strict=True)), up)
    draw(panels, options.output)


if __name__ == "__main__":
    main()
