"""What asking for memory costs where there is enough: CPU time of scans with and without, in turns.

    python -m benchmarks.memory_budget [--masks 1000] [--rounds 9]

Small masks ask nobody: what is left is a task, begun and ended for each of them. Large ones ask
twice. "Without" has tasks that hold nothing, and asking that does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

import maskstat


def fill(folder: Path, masks: int, side: int) -> Path:
    """A folder of equal PNGs."""
    folder.mkdir(parents=True)
    pixels = (np.indices((side, side)).sum(axis=0) // 50 % 5).astype(np.uint8)
    for number in range(masks):
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=1)
    return folder


@contextlib.contextmanager
def without_budget() -> Iterator[None]:
    """Nobody asks."""
    instead = {"MemoryTask": contextlib.nullcontext, "ask_memory": lambda size: None}
    with contextlib.ExitStack() as stack:
        for module in [one for name, one in sys.modules.items() if name.startswith("maskstat.")]:
            for word, other in instead.items():
                if word in vars(module):
                    stack.enter_context(patch.object(module, word, other))
        yield


def spent(folder: Path) -> float:
    """CPU seconds of one scan."""
    start = time.process_time()
    with maskstat.scan(folder, classes=5, workers=2) as scan:
        assert scan.histogram.mask_count
    return time.process_time() - start


def ratio(folder: Path, rounds: int) -> float:
    """Median over rounds of the time with a budget over that without one."""
    found = []
    spent(folder)
    for _ in range(rounds):
        with_budget = spent(folder)
        with without_budget():
            found.append(with_budget / spent(folder))
    return statistics.median(found)


def main() -> None:
    """Measure small and large masks, and print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for side, masks in ((64, asked.masks), (1500, max(1, asked.masks // 10))):
            folder = fill(Path(scratch) / str(side), masks, side)
            print(f"{masks} PNGs of {side} x {side}: {ratio(folder, asked.rounds):.3f}")


if __name__ == "__main__":
    main()
