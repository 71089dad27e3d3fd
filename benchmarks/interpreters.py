"""One scan on several Pythons, free-threaded ones among them, in turns.

    python -m benchmarks.interpreters ORDINARY OTHER ... [--masks FOLDER_OF_REAL_MASKS] [--rounds 7]

Each argument is the `python` of an environment with maskstat and what it needs. Every interpreter
runs in a process of its own that waits for its turn, so that imports and compiling are not in the
figures; each turn scans all masks into a fresh store in memory, on one worker and on several. The
table shows medians, and the median ratio to the first interpreter in the same round. All counts are
compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import mask_sets

CLASSES = 256


class Interpreter:
    """A Python that scans when it is told to."""

    def __init__(self, python: str, folder: Path):
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.interpreters", "--answer", str(folder)],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.name = self._answer()["name"]

    def scan(self, workers: int) -> tuple[float, list[int]]:
        """Seconds of a scan, and pixels by class."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{workers}\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], answer["pixels"]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))


def answer(folder: Path) -> None:
    """The process of an interpreter: a number of workers comes in, a scan's time goes out."""
    import maskstat

    maskstat.scan(folder, classes=CLASSES).close()
    held = getattr(sys, "_is_gil_enabled", lambda: True)
    version = ".".join(map(str, sys.version_info[:3]))
    # Its extensions are imported by now: one that needs the lock would have brought it back.
    _say(name=version if held() else f"{version}, free-threaded")
    for line in sys.stdin:
        start = time.perf_counter()
        with maskstat.scan(folder, classes=CLASSES, workers=int(line)) as scan:
            pixels = scan.histogram.pixels.tolist()
            if scan.failures:
                raise ValueError(f"{len(scan.failures)} masks failed")
        _say(seconds=time.perf_counter() - start, pixels=pixels)


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def measure(pythons: Sequence[str], folder: Path, rounds: int, workers: Sequence[int]) -> str:
    """Rows of a table: interpreter, then seconds and ratio for each number of workers."""
    runs = [Interpreter(python, folder) for python in pythons]
    times: dict[tuple[int, int], list[float]] = {}
    expected = None
    for turn in range(rounds + 1):
        for count in workers:
            for index, run in enumerate(runs):
                seconds, pixels = run.scan(count)
                expected = expected or pixels
                if pixels != expected:
                    raise AssertionError(f"{run.name} counts differently")
                if turn:  # the first round compiles
                    times.setdefault((index, count), []).append(seconds)
    for run in runs:
        run.close()
    rows = []
    for index, run in enumerate(runs):
        cells = [run.name]
        for count in workers:
            own, first = times[index, count], times[0, count]
            ratio = statistics.median(a / b for a, b in zip(own, first, strict=True))
            cells += [f"{statistics.median(own):.3f}", f"{ratio:.2f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Parse the options, measure, print a table for each set."""
    parser = mask_sets.arguments(__doc__)
    parser.add_argument("pythons", nargs="*", help="interpreters; ratios are to the first")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.answer)
        return
    workers = sorted({1, options.workers})
    heads = "".join(f" {count} workers, s | × |" for count in workers)
    for masks, (name, folder) in mask_sets.asked_sets(options, make_sets):
        print(
            f"\n{masks} masks of {name}\n\n| Python |{heads}\n| --- |{' --- |' * 2 * len(workers)}"
        )
        print(measure(options.pythons, folder, options.rounds, workers))


def make_sets(where: Path, real: Path | None, scale: float) -> list[tuple[str, Path]]:
    """A set in which Python's own work shows, and one in which it does not."""
    plans = (
        ("480x360 grey", "small", 2808, (360, 480), mask_sets.save_grey),
        ("2048x1024 palette", "palette", 400, (1024, 2048), mask_sets.save_palette),
    )
    sets = []
    for name, place, count, shape, save in plans:
        count = max(3, round(count * scale))
        make = mask_sets.maker(shape, mask_sets.real_masks(real))
        sets.append((name, mask_sets.write_set(where / place, count, min(count, 60), make, save)))
    return sets


if __name__ == "__main__":
    main()
