"""Killed at random moments, a scan loses nothing it committed and ends where it would have."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from tests.support.paths import SUPPORT
from tests.support.png_factory import png

SCRIPT = SUPPORT / "slow_scan.py"
MASKS = 2000
KILLS = 20

Row = tuple[object, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many tiny masks; some can't be read."""
    masks = tmp_path_factory.mktemp("killed") / "masks"
    chance = np.random.default_rng(7)
    for number in range(MASKS):
        path = masks / f"{number % 7}" / f"mask_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 250 == 3:
            path.write_bytes(b"broken")
        else:
            pixels = chance.integers(0, 4, (3, 4))
            path.write_bytes(png(pixels, 8, [0, 1, 2]))
    return masks


def rows(db: Path, table: str) -> set[Row]:
    """All rows of a store that SQLite finds sound."""
    connection = sqlite3.connect(db)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return set(connection.execute(f"SELECT * FROM {table}"))
    finally:
        connection.close()


def start(folder: Path, db: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), str(folder), str(db)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    db = folder.parent / "undisturbed.db"
    ms.scan(folder, classes=4, db=db).close()
    return db


def test_twenty_kills(folder: Path, undisturbed: Path, tmp_path: Path) -> None:
    chance = random.Random(20)
    db = tmp_path / "killed.db"
    expected = rows(undisturbed, "mask")
    kept: set[Row] = set()
    at_work = 0  # the delays add up to 4.1 s; the scan takes 5 s on any machine
    for _ in range(KILLS):
        process = start(folder, db)
        time.sleep(chance.uniform(0, 0.35))
        at_work += process.poll() is None
        process.kill()
        process.communicate()
        if not db.exists():  # killed before it made one
            continue
        found = rows(db, "mask") if rows(db, "sqlite_master") else set()
        assert kept <= found, "something that was committed is gone"
        assert found <= expected, "something is in the store that no mask holds"
        kept = found
    assert at_work == KILLS, "the scan was over before the last kill"
    assert 0 < len(kept) < len(expected)

    with ms.scan(folder, classes=4, db=db) as resumed, ms.open_scan(undisturbed) as whole:
        assert resumed.changes is not None
        assert resumed.changes.unchanged == len(kept)
        assert resumed.info.complete
        assert resumed.failures == whole.failures
        assert resumed.histogram == whole.histogram
        assert resumed.histogram.counts_digest() == whole.histogram.counts_digest()
    assert rows(db, "mask") == expected
    assert rows(db, "failure") == rows(undisturbed, "failure")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_from_the_keyboard_keeps_what_is_counted(
    folder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    db = tmp_path / "interrupted.db"
    process = start(folder, db)
    end = time.monotonic() + 30
    while not (db.exists() and rows(db, "sqlite_master") and rows(db, "mask")):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode in {1, -signal.SIGINT}
    assert said.rstrip().endswith("KeyboardInterrupt")
    kept = rows(db, "mask")
    assert kept
    assert kept < rows(undisturbed, "mask")
    with ms.scan(folder, classes=4, db=db) as resumed, ms.open_scan(undisturbed) as whole:
        assert resumed.changes is not None
        assert resumed.changes.unchanged == len(kept)
        assert resumed.histogram == whole.histogram
