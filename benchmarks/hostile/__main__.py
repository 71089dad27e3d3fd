"""Prints what became of hostile files and killed runs; exit code 1 where anything went wrong."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.hostile import files, runs
from benchmarks.hostile.files import Tally
from benchmarks.hostile.subjects import SUBJECTS

VERDICTS = ("equal", "ours alone", "refused", "crash", "hang", "bug", "wrong")
_MEMORY_DISK = Path("/dev/shm")


def row(name: str, tally: Tally) -> str:
    """A row of the table."""
    numbers = [tally.outcomes.total(), *(tally.outcomes[verdict] for verdict in VERDICTS)]
    return f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


HEAD = (
    "| what | tried | " + " | ".join(VERDICTS) + " |",
    "| --- |" + " --: |" * (1 + len(VERDICTS)),
)


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--mutations", type=int, default=10_000, help="files of each format, flips of the store"
    )
    parser.add_argument("--kills", type=int, default=100, help="runs of each other kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", nargs="+", choices=[*SUBJECTS, *runs.KINDS], metavar="NAME", default=()
    )
    options = parser.parse_args()
    if "TMPDIR" not in os.environ and _MEMORY_DISK.is_dir():
        tempfile.tempdir = str(_MEMORY_DISK)  # thousands of commits would wait for the disk
    chosen = options.only or [*SUBJECTS, *runs.KINDS]
    print("\n".join(HEAD), flush=True)
    told: list[str] = []
    bad = 0
    for name in chosen:
        if name in SUBJECTS:
            tally = files.hunt(name, options.mutations, options.seed)
        else:
            count = options.mutations if name == runs.FLIPS else options.kills
            tally = runs.at_work(name, count, options.seed)
        print(row(name, tally), flush=True)
        told += tally.told
        bad += tally.bad
    print("\n".join(told), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
