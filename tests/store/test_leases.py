"""Two runs at once under one name: never each other's masks in a scan that says it is whole."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import StoreError
from maskstat.scanning import resuming
from maskstat.scanning.request import ScanRequest
from maskstat.store import leases
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from tests.support.paths import SUPPORT

MASKS = 1200  # of which one slow run counts some 400 a second
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders: one of masks of class 1, and one of masks of the same names of class 2."""
    base = tmp_path_factory.mktemp("two")
    for folder, value in (("one", 1), ("two", 2)):
        (base / folder).mkdir()
        for number in range(MASKS):
            np.save(base / folder / f"{number}.npy", np.full((2, 2), value, np.uint8))
    return base / "one", base / "two"


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a slow scan into s.db, and wait until it has counted something."""
    running = []

    def start(folder: Path, *more: str) -> subprocess.Popen[str]:
        db = tmp_path / "s.db"
        command = [sys.executable, "-W", "error", str(SUPPORT / "slow_scan.py"), str(folder)]
        process = subprocess.Popen(
            [*command, str(db), *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        end = time.monotonic() + 60
        while not counted(db, folder):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.01)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def counted(db: Path, folder: Path) -> int:
    query = "SELECT count(*) FROM mask JOIN scan ON scan.id = mask.scan WHERE source = ?"
    if not db.exists():
        return 0
    with closing(sqlite3.connect(db, timeout=10)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "run" not in tables:
            return 0
        (number,) = connection.execute(query, (str(folder.resolve()),)).fetchone()
    return int(number)


def whole(db: Path, name: str, value: int) -> None:
    """The scan is complete, and all of its masks are of one class."""
    with ms.open_scan(db, name) as scan:
        assert scan.info.complete
        assert np.flatnonzero(scan.histogram.pixels).tolist() == [value]
        assert scan.histogram.mask_count == MASKS


def test_the_second_is_refused_while_the_first_runs(
    folders: tuple[Path, Path], start: Start, tmp_path: Path
) -> None:
    one, two = folders
    db = tmp_path / "s.db"
    first = start(one, "both")
    with pytest.raises(StoreError, match=r"both: is being scanned right now, from .*one; wait"):
        ms.scan(two, classes=4, db=db, name="both")
    with pytest.raises(StoreError, match="right now, with other options; wait"):
        ms.scan(one, classes=4, db=db, name="both", include="1*")
    assert first.wait(60) == 0, first.communicate()[1]
    whole(db, "both", 1)
    began = time.monotonic()
    ms.scan(two, classes=4, db=db, name="both").close()  # the first is over: that is no wait
    assert time.monotonic() - began < 2
    whole(db, "both", 2)


@posix
def test_a_killed_run_is_in_the_way_for_seconds(
    folders: tuple[Path, Path], start: Start, tmp_path: Path
) -> None:
    one, two = folders
    db = tmp_path / "s.db"
    first = start(one, "both")
    first.send_signal(signal.SIGKILL)
    first.wait()
    began = time.monotonic()
    ms.scan(one, classes=4, db=db, name="both", rescan=True).close()  # its own goes on at once
    assert time.monotonic() - began < 4
    whole(db, "both", 1)

    start(two, "other").send_signal(signal.SIGKILL)
    began = time.monotonic()
    ms.scan(one, classes=4, db=db, name="other").close()
    assert 4 < time.monotonic() - began < 20
    whole(db, "other", 1)


def stop(process: int, db: Path) -> None:
    """Stop a process where it holds no lock on the store."""
    while True:
        os.kill(process, signal.SIGSTOP)
        with closing(sqlite3.connect(db, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                return
            except sqlite3.OperationalError:
                os.kill(process, signal.SIGCONT)
        time.sleep(0.01)


@posix
def test_a_run_that_was_taken_for_dead_writes_nothing_more(
    folders: tuple[Path, Path], start: Start, tmp_path: Path
) -> None:
    """A laptop that slept, a container that was paused."""
    one, two = folders
    db = tmp_path / "s.db"
    first = start(one, "both")
    stop(first.pid, db)
    try:
        ms.scan(two, classes=4, db=db, name="both").close()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 1
    assert "taken by another run, while this one stood still; scan again" in said
    whole(db, "both", 2)


def test_a_scan_that_is_removed_meanwhile_ends(
    folders: tuple[Path, Path], start: Start, tmp_path: Path
) -> None:
    first = start(folders[0], "gone")
    ms.remove_scan(tmp_path / "s.db", "gone")
    assert "the scan was removed" in first.communicate(timeout=60)[1]
    assert ms.scans(tmp_path / "s.db") == ()


def test_runs_that_ask_for_the_same_go_on_side_by_side(
    folders: tuple[Path, Path], start: Start, tmp_path: Path
) -> None:
    one, two = folders
    db = tmp_path / "s.db"
    first = start(one, "both")
    ms.scan(one, classes=4, db=db, name="both").close()
    # The second is done, and the first still has it.
    assert first.poll() is None
    with pytest.raises(StoreError, match="is being scanned right now"):
        ms.scan(two, classes=4, db=db, name="both")
    assert first.wait(60) == 0, first.communicate()[1]
    whole(db, "both", 1)


def test_without_a_name_each_gets_its_own(tmp_path: Path) -> None:
    """Both would be called "masks"; the second sees what the first took, whenever it begins."""
    for parent in ("a", "b"):
        (tmp_path / parent / "masks").mkdir(parents=True)
        np.save(tmp_path / parent / "masks" / "m.npy", np.zeros((2, 2), np.uint8))
    a, b = (ScanRequest.of(tmp_path / parent / "masks", classes=2) for parent in "ab")
    with Store.open(tmp_path / "s.db", create=True) as x, Store.open(tmp_path / "s.db") as y:
        names = [
            resuming.resumed(
                store, asked.source, None, asked.catalog, asked.options.recorded, asked.agreed
            ).info.name
            for store, asked in ((x, a), (y, b), (y, a))
        ]
    assert names == ["masks", "b-masks", "masks"]


def test_beats_are_all_that_shows_a_run_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    db = tmp_path / "s.db"
    with Store.open(db, create=True) as store:
        info = store.begin("s", "/a", ClassCatalog.numbered(2))
        store.lease(info, "a")
        with store.beating():
            assert store.rival("s", "a") is None
            seen = store.rival("s", "b")
            assert seen is not None
            end = time.monotonic() + 30
            while store.rival("s", "b") == seen:
                assert time.monotonic() < end
                time.sleep(0.01)
        assert store.rival("s", "b") is None, "what came to no end is given back too"
        assert store.asked(info) == "a"
