"""Short commands as whole processes: against the imports they can't do without, and a plain loop.

    python -m benchmarks.start_up [--masks FOLDER] [--few FOLDER] [--classes 31] [--rounds 7]
                                  [--rows 100000]

CPU time (user and system, children included) of `show`, `weights` and `scan` of a few masks by that
of importing NumPy, Typer and rich; and wall time of a scan of all PNG masks of a folder, by that of
a script of a single process with Pillow and np.bincount. And both of `check` and `report` of a
store of so many rows, all of them different (of masks of no folder, so no file is opened). Each
side is run once to fill caches, then all in turns, every scan into a new store; figures are
medians, and minima in brackets. Bytecode is there, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

import maskstat
from benchmarks import mask_sets
from benchmarks.large_store import BATCH, tallies
from maskstat.store.records import StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "sample_masks"
IMPORTS = "import numpy, typer, rich.console"
LOOP = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image

total = np.zeros(256, np.int64)
for path in sorted(Path(sys.argv[1]).rglob("*.png")):
    with Image.open(path) as image:
        total += np.bincount(np.asarray(image).ravel(), minlength=256)
print(total.tolist())
"""
PROGRAM = ["-c", "from maskstat.__main__ import program; program()"]  # as the installed script
STORE = "{store}"  # a new file every time


class Cost(NamedTuple):
    """Seconds of a process: CPU, with that of its children, and wall."""

    cpu: float
    wall: float


def run(command: Sequence[str]) -> tuple[Cost, str]:
    """What a command of Python costs, and what it prints. Raises where it fails."""
    import resource  # of POSIX systems

    environment = {key: value for key, value in os.environ.items() if "DONTWRITE" not in key}
    environment["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        words = [word.replace(STORE, f"{scratch}/new.db") for word in command]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(cpu, wall), done.stdout


def in_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """Costs of each command, a round after another; the first is not counted."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            cost, _ = run(command)
            if turn:
                found[name].append(cost)
    return found


def few(folder: Path, classes: int, rounds: int) -> str:
    """A look at a few masks, weights of them, a scan of them, by imports alone: CPU time."""
    with tempfile.TemporaryDirectory() as scratch:
        stored = ["--db", f"{scratch}/few.db"]
        scan = [*PROGRAM, "scan", str(folder), "--classes", str(classes)]
        run([*scan, *stored])
        commands = {
            IMPORTS: ["-c", IMPORTS],
            "show": [*PROGRAM, "show", *stored],
            "weights": [*PROGRAM, "weights", *stored],
            "scan": [*scan, "--db", STORE],
        }
        return table(in_turns(commands, rounds), "cpu")


def many(folder: Path, classes: int, rounds: int) -> str:
    """A scan of all PNG masks of a folder, by a plain loop: wall time. Both count the same."""
    scan = [*PROGRAM, "scan", str(folder), "--classes", str(classes), "--include", "*.png"]
    commands = {"Pillow + bincount": ["-c", LOOP, str(folder)], "scan": [*scan, "--db", STORE]}
    total = np.array(ast.literal_eval(run(commands["Pillow + bincount"])[1]))
    with maskstat.scan(folder, classes=classes, include="*.png") as found:
        counted = np.zeros_like(total)
        for tallies in found.tables():
            counted += np.bincount(tallies.values, tallies.counts, len(total)).astype(np.int64)
    assert np.array_equal(counted, total)
    return table(in_turns(commands, rounds), "wall")


def rows(count: int, classes: int, rounds: int) -> str:
    """What is said of a store of so many masks, by imports alone: CPU time and wall time."""
    with tempfile.TemporaryDirectory() as scratch:
        db = Path(scratch) / "rows.db"
        names = [f"{n // 1000:06d}/frame_{n:09d}_labels.png" for n in range(count)]
        made = tallies(names, classes, np.random.default_rng(0))
        with Store.open(db, create=True) as store:
            scan = store.begin("made-up", scratch, ClassCatalog.numbered(classes))
            while batch := [StoredMask(tally, 1, 1) for tally in islice(made, BATCH)]:
                store.write(scan, batch)
            store.finish(scan)
        stored = ["--db", str(db)]
        found = in_turns(
            {
                IMPORTS: ["-c", IMPORTS],
                "check": [*PROGRAM, "check", *stored],
                "report": [*PROGRAM, "report", *stored, "-o", f"{scratch}/report.html"],
            },
            rounds,
        )
    return f"{table(found, 'cpu')}\n\n{table(found, 'wall')}"


def table(found: Mapping[str, Sequence[Cost]], what: str) -> str:
    """A row a command: seconds, and how many times those of the first."""
    values = {name: [getattr(cost, what) for cost in costs] for name, costs in found.items()}
    base, *_ = values.values()
    lines = [f"| {what}, s | median | (least) | by the first |", "| --- | --- | --- | --- |"]
    for name, seconds in values.items():
        ratio = statistics.median(seconds) / statistics.median(base)
        least = min(seconds) / min(base)
        lines.append(
            f"| {name} | {statistics.median(seconds):.3f} | ({min(seconds):.3f})"
            f" | {ratio:.2f} ({least:.2f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=Path, help="grey PNG masks to scan; else some are made")
    parser.add_argument("--few", type=Path, default=SAMPLES, help="a few masks to look at")
    parser.add_argument("--classes", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=100_000, help="masks of a store; 0: none")
    given = parser.parse_args()
    print(few(given.few, given.classes, given.rounds))
    print()
    with tempfile.TemporaryDirectory() as scratch:
        masks = given.masks
        if masks is None:
            make = mask_sets.maker((360, 480), mask_sets.real_masks(None))
            masks = mask_sets.write_set(Path(scratch), 367, 60, make, mask_sets.save_grey)
        print(many(masks, given.classes, given.rounds))
    if given.rows:
        print()
        print(rows(given.rows, given.classes, given.rounds))


if __name__ == "__main__":
    main()
