"""A store of millions of masks: its size, how fast it grows, and what reading it takes.

    python -m benchmarks.large_store [--masks 10000000] [--classes 31] [--keep FOLDER]

The counts are made up (seeded: 3 to 15 of the classes a mask, a few of them on most pixels); rows
go through the store's own way of writing, 4,096 a transaction, as a scan does it. The masks are
directory entries, 10,000 a folder, hard links to few files: listing them and looking at size and
time is what a scan of unchanged masks does, and not one is opened. Every command then runs in a
process of its own, which also tells its peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from maskstat.readers import formats
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.store.records import StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, MaskTally

FOLDER_FILES = 10_000
LINKS = 60_000  # of a file: file systems allow 65,000
BATCH = 4096
SHAPE = (1024, 2048)
ENCODING = Encoding("png", "grey", 8)

# Prints one JSON object: what was asked for, seconds after the imports, peak megabytes (Linux).
_CHILD = """
import json, sys, time
import maskstat, maskstat.weights.compute, maskstat.render.documents.scan
action, folder, db = sys.argv[1:4]
start = time.perf_counter()
if action == "scan":
    with maskstat.scan(folder, classes=int(sys.argv[4]), db=db) as scan:
        c = scan.changes
        found = [scan.histogram.mask_count, c.new, c.changed, c.unchanged, c.gone]
else:
    with maskstat.open_scan(db) as scan:
        if action == "histogram":
            for table in scan.tables():
                pass
            found = []
        elif action == "show":
            document = maskstat.render.documents.scan.scan_document(scan)
            found = [scan.histogram.mask_count]
        elif action == "weights":
            scan.weights("median-frequency")
            found = scan.weights("equal-cost").weights.tolist()[:3]
        else:
            found = scan.weights("equal-cost", average="batch", batch_size=8).weights.tolist()[:3]
seconds = time.perf_counter() - start
status = open("/proc/self/status").read()  # getrusage would begin with what the parent has
peak = int(status.split("VmHWM:")[1].split()[0]) / 1e3
print(json.dumps({"found": found, "seconds": seconds, "peak_mb": peak}))
"""


def make_entries(folder: Path, count: int) -> None:
    """`count` directory entries of masks."""
    original = folder
    for start in range(0, count, FOLDER_FILES):
        part = folder / f"{start // FOLDER_FILES:06d}"
        part.mkdir(parents=True)
        for number in range(start, min(start + FOLDER_FILES, count)):
            path = part / f"frame_{number:09d}_labels.png"
            if number % LINKS == 0:
                original = path
                path.write_bytes(b"never opened")
            else:
                os.link(original, path)


def tallies(names: list[str], classes: int, rng: np.random.Generator) -> Iterator[MaskTally]:
    """Made-up counts of masks of `SHAPE`."""
    area = SHAPE[0] * SHAPE[1]
    for name in names:
        found = rng.integers(3, min(15, classes) + 1)
        values = np.sort(rng.permutation(classes)[:found])
        counts = rng.multinomial(area - found, rng.dirichlet(np.full(found, 0.3))) + 1
        yield MaskTally(name, SHAPE, ENCODING, values, counts)


def fill(folder: Path, db: Path, classes: int) -> tuple[int, float, list[tuple[int, float]]]:
    """Write the rows; masks, seconds spent writing, and (masks, masks a second) on the way."""
    rng = np.random.default_rng(0)
    source = open_source(str(folder), Selection(suffixes=formats.SUFFIXES))
    made = list(tallies([""] * BATCH, classes, rng))
    done, spent, rates = 0, 0.0, list[tuple[int, float]]()
    mark_done, mark_spent = 0, 0.0
    with Store.open(db, create=True) as store:
        scan = store.begin(source.default_name, source.location, ClassCatalog.numbered(classes))
        entries = source.entries()
        while batch := list(islice(entries, BATCH)):
            rows = [
                StoredMask(
                    MaskTally(entry.name, SHAPE, ENCODING, tally.values, tally.counts),
                    entry.size,
                    entry.stamp,
                )
                for entry, tally in zip(batch, made, strict=False)
            ]
            start = time.perf_counter()
            store.write(scan, rows)
            spent += time.perf_counter() - start
            done += len(rows)
            if done - mark_done >= 1 << 20:
                rates.append((done, (done - mark_done) / (spent - mark_spent)))
                mark_done, mark_spent = done, spent
        store.finish(scan)
    return done, spent, rates


def run(action: str, folder: Path, db: Path, classes: int) -> dict[str, object]:
    """One action in a process of its own."""
    command = [sys.executable, "-c", _CHILD, action, str(folder), str(db), str(classes)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(done.stdout)
    result["whole_seconds"] = time.perf_counter() - start
    return result


def walk(folder: str) -> int:
    """The least that looking for changes takes."""
    found = 0
    with os.scandir(folder) as items:
        for item in items:
            if item.is_dir():
                found += walk(item.path)
            else:
                item.stat()
                found += 1
    return found


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=int, default=10_000_000)
    parser.add_argument("--classes", type=int, default=31)
    parser.add_argument("--keep", type=Path, help="where files are made, and left")
    options = parser.parse_args()
    scratch = options.keep or Path(tempfile.mkdtemp())
    folder, db = scratch / "masks", scratch / "large.db"
    try:
        if not folder.exists():
            start = time.perf_counter()
            make_entries(folder, options.masks)
            print(f"made the entries in {time.perf_counter() - start:.0f} s", flush=True)
        if not db.exists():
            done, spent, rates = fill(folder, db, options.classes)
            print(f"{done:,} rows in {spent:.1f} s: {done / spent:,.0f} a second")
            print("   on the way: " + ", ".join(f"{n:,}: {rate:,.0f}" for n, rate in rates))
        size = db.stat().st_size
        print(f"file: {size / 1e6:,.0f} MB, {size / options.masks:.0f} bytes a mask", flush=True)
        start = time.perf_counter()
        count = walk(str(folder))
        print(f"bare walk with stat: {count:,} in {time.perf_counter() - start:.1f} s", flush=True)
        for action in ("show", "show", "weights", "scan", "histogram", "torch"):
            result = run(action, folder, db, options.classes)
            print(f"{action}: {json.dumps(result)}", flush=True)
    finally:
        if options.keep is None:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
