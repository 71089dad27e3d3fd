"""What scanning again costs, and how much memory a scan takes.

    python -m benchmarks.rescan_and_memory [--small 100000] [--large 10000] [--rounds 5]

Scanning what has not changed is compared with a bare walk of `os.scandir` + `stat`, in turns in one
process. Peak memory is that of a child process that scans the folder from nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import maskstat
from benchmarks import mask_sets
from maskstat.values.histogram import ClassHistogram


def fill(folder: Path, count: int, shape: tuple[int, int], distinct: int = 50) -> Path:
    """`count` masks of a size in subfolders of 1,000 files; hard links to `distinct` ones."""
    originals = [folder / "0000" / f"mask_{number}.png" for number in range(distinct)]
    for number in range(count):
        path = folder / f"{number // 1000:04d}" / f"mask_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < distinct:
            Image.fromarray(mask_sets.labels(shape, number)).save(path)
        else:
            os.link(originals[number % distinct], path)
    return folder


def walk(folder: str) -> int:
    """The least that looking for changes takes."""
    total = 0
    with os.scandir(folder) as items:
        for item in items:
            total += walk(item.path) if item.is_dir() else item.stat().st_size
    return total


def rescan_ratio(folder: Path, db: Path, rounds: int) -> tuple[float, float, float]:
    """Median seconds of a bare walk and of maskstat.scan where nothing changed.

    And of the latter where it trusts folders, which a store of its own knows from before.
    """
    trusting = db.with_suffix(".trust.db")
    expected = again(folder, db, trust_folders=False)
    time.sleep(2)  # folders that have just been made are not trusted
    assert again(folder, trusting, trust_folders=True) == expected
    spent: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for times, act in zip(
            spent,
            (
                lambda: walk(str(folder)),
                lambda: again(folder, db, trust_folders=False) == expected,
                lambda: again(folder, trusting, trust_folders=True) == expected,
            ),
            strict=True,
        ):
            start = time.perf_counter()
            assert act()
            times.append(time.perf_counter() - start)
    walking, looking, believing = map(statistics.median, spent)
    return walking, looking, believing


def again(folder: Path, db: Path, *, trust_folders: bool) -> ClassHistogram:
    """What a scan finds."""
    with maskstat.scan(folder, classes=31, db=db, trust_folders=trust_folders) as scan:
        assert scan.changes is not None and not scan.changes.gone
        return scan.histogram


def peak_memory(folder: Path, db: Path) -> float:
    """MB at the most of a process that scans the folder and computes its histogram (POSIX)."""
    import resource

    script = (
        "import sys, maskstat\n"
        "with maskstat.scan(sys.argv[1], classes=31, db=sys.argv[2]) as scan:\n"
        "    assert scan.histogram.mask_count\n"
        "    assert not scan.failures\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run([sys.executable, "-c", script, str(folder), str(db)], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak == before:
        raise RuntimeError("an earlier child took more: measure in a fresh process")
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def huge_mask(path: Path, side: int) -> Path:
    """One side x side grey PNG of blocks, written row by row."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    row = np.repeat(np.arange(side // 100 + 1, dtype=np.uint8) % 31, 100)[:side]
    inflater = zlib.compressobj(1)
    pieces = [inflater.compress(b"\0" + np.roll(row, y // 50).tobytes()) for y in range(side)]
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = b"".join([*pieces, inflater.flush()])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
    return path.parent


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    try:
        # Smallest first: the peak of all children so far is what the system tells.
        one = huge_mask(scratch / "huge" / "mask.png", options.side)
        print(
            f"peak memory, one {options.side}x{options.side} mask: "
            f"{peak_memory(one, scratch / 'huge.db'):.0f} MB",
            flush=True,
        )
        small = fill(scratch / "small", options.small, (120, 160))
        large = fill(scratch / "large", options.large, (1024, 2048))
        for name, folder in (("small", small), ("2048x1024", large)):
            try:
                memory = f"{peak_memory(folder, scratch / (name + '.db')):.0f} MB"
            except RuntimeError:
                memory = "less than the line before"
            count = sum(1 for _ in folder.rglob("*.png"))
            print(f"peak memory, {count:,} {name} masks: {memory}", flush=True)
        walking, scanning, trusting = rescan_ratio(small, scratch / "rescan.db", options.rounds)
        print(
            f"{options.small:,} unchanged masks: bare walk {walking:.3f} s, "
            f"scan {scanning:.3f} s, ratio {scanning / walking:.2f}; "
            f"with trust_folders {trusting:.3f} s, ratio {trusting / walking:.2f}"
        )
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
