"""What one mask costs: processor time, wall time, bytes in the store and on the network.

    python -m benchmarks.per_mask_costs [--masks FOLDER_OF_REAL_MASKS] [--rounds 5]

Every scan decodes all masks into a new store. Masks of 16x16 pixels show what is left when there
are no pixels to speak of: listing, opening, the interpreter, the commit. That part is Python, of
which one process runs one thread at a time, so it bounds how far threads help (Amdahl's law). The
network is the loopback interface of Linux, with a real S3 server (moto's) in another process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

import maskstat
from benchmarks import mask_sets

TINY, SMALL, LARGE = (16, 16), (360, 480), (1024, 2048)
WORKERS = (1, 2, 4, 8, 16, 32, 64)

_SERVER = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Cost(NamedTuple):
    """Of one mask, in microseconds and bytes."""

    wall: float
    cpu: float
    file_bytes: float
    store_bytes: float


def cost(folder: Path, scratch: Path, workers: int, rounds: int) -> Cost:
    """Medians over scans into new stores; the first only warms up."""
    count = sum(1 for _ in folder.iterdir())
    walls, cpus = [], []
    for turn in range(rounds + 1):
        db = scratch / f"{folder.name}-{workers}-{turn}.db"
        start, spent = time.perf_counter(), time.process_time()
        with maskstat.scan(folder, classes=256, db=db, workers=workers) as scan:
            assert scan.histogram.mask_count == count
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - spent)
        kept = db.stat().st_size
        db.unlink()
    size = sum(item.stat().st_size for item in os.scandir(folder))
    micro = 1e6 / count
    return Cost(
        statistics.median(walls[1:]) * micro,
        statistics.median(cpus[1:]) * micro,
        size / count,
        kept / count,
    )


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server in a process of its own."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.terminate()


def loopback_bytes() -> int:
    """Bytes that went over the loopback interface, packet headers included (Linux)."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    raise RuntimeError("no loopback interface")


class Transfer(NamedTuple):
    """Of one mask that comes from S3: bytes on the network, microseconds of this process."""

    network_bytes: float
    cpu: float


def network(folder: Path, count: int) -> tuple[Transfer, Transfer]:
    """The first `count` masks from S3: a first scan, and another one when nothing has changed."""
    import fsspec

    with s3_server() as address, tempfile.TemporaryDirectory() as scratch:
        os.environ |= {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
        }
        store = fsspec.filesystem("s3", endpoint_url=address, key="k", secret="s")
        store.mkdir("bucket")
        for path in sorted(folder.iterdir())[:count]:
            store.pipe_file(f"bucket/masks/{path.name}", path.read_bytes())
        found = []
        # The first of all scans only warms up: imports and credentials.
        for name, changes in (("warm", (count, 0)), ("s3", (count, 0)), ("s3", (0, count))):
            before, spent = loopback_bytes(), time.process_time()
            db = Path(scratch) / f"{name}.db"
            with maskstat.scan("s3://bucket/masks", classes=256, db=db) as scan:
                assert scan.changes is not None
                assert (scan.changes.new, scan.changes.unchanged) == changes
            cpu = (time.process_time() - spent) * 1e6 / count
            found.append(Transfer((loopback_bytes() - before) / count, cpu))
    return found[1], found[2]


def amdahl(serial: float, one: float, workers: int) -> float:
    """Microseconds a mask on so many cores, where `serial` of `one` can't be shared."""
    return serial + (one - serial) / workers


def main() -> None:
    """Parse the options, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=Path, help="small real masks, enlarged for the large ones")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    real = [] if options.masks is None else mask_sets.real_masks(options.masks)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)

        def tiny(number: int) -> mask_sets.Labels:
            return np.random.default_rng(number).integers(0, 5, TINY).astype(np.uint8)

        small, large = mask_sets.maker(SMALL, real), mask_sets.maker(LARGE, real)
        grey, palette, write_set = mask_sets.save_grey, mask_sets.save_palette, mask_sets.write_set
        sets = {
            "16x16 grey": write_set(scratch / "tiny", 20_000, 50, tiny, grey),
            "480x360 grey": write_set(scratch / "small", 2808, 468, small, grey),
            "2048x1024 palette": write_set(scratch / "large", 800, 40, large, palette),
        }
        one = {name: cost(masks, scratch, 1, options.rounds) for name, masks in sets.items()}
        two = {name: cost(masks, scratch, 2, options.rounds) for name, masks in sets.items()}
        print("| masks | bytes of a file | CPU, µs | 1 worker, µs | 2 workers, µs | store, bytes |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name in sets:
            a, b = one[name], two[name]
            print(
                f"| {name} | {a.file_bytes:,.0f} | {a.cpu:.0f} | {a.wall:.0f} | {b.wall:.0f}"
                f" | {a.store_bytes:.0f} |"
            )
        serial = two["16x16 grey"].wall
        print(f"\nserial part: {serial:.1f} µs a mask\n")
        print("| masks a second on so many cores | " + " | ".join(map(str, WORKERS)) + " |")
        print("| --- |" + " --- |" * len(WORKERS))
        for name in ("480x360 grey", "2048x1024 palette"):
            rates = [1e6 / amdahl(serial, one[name].wall, workers) for workers in WORKERS]
            print(f"| {name} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |")
        try:
            first, again = network(sets["480x360 grey"], 1000)
        except ImportError:
            print("\nnetwork: not measured, it needs the test extra")
        else:
            for name, found in (("first", first), ("again", again)):
                print(
                    f"\n480x360 grey from S3, {name}: {found.network_bytes:,.0f} bytes a mask on"
                    f" the network, {found.cpu:,.0f} µs of CPU"
                )


if __name__ == "__main__":
    main()
