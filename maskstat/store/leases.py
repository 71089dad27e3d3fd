"""Which run a scan belongs to while it is under way: a lease that no kill leaves behind for ever.

A run that goes on grows its scan's `beat` every second. Whoever wants the scan for something else
looks at that for some seconds of its own: no clock is compared, so machines may disagree on the
time. A run that was taken for dead and is not (it was stopped, or its disk was away) finds its turn
gone when it wants to write, and writes nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maskstat.errors import StoreError
from maskstat.store.connection import translated
from maskstat.store.records import ScanInfo
from maskstat.store.sealing import Sealed

BEAT_SECONDS = 1.0
_LOCK_SECONDS = 2.0  # a beat that comes too late for this is left out


class Pulse(NamedTuple):
    """What changes while a run goes on: its turn, its beats, and what it has written."""

    turn: int
    beat: int
    revision: int


class KeptRuns(Sealed):
    """The part of a store that knows whose scans are; all methods raise StoreError."""

    def rival(self, name: str, asked: str) -> Pulse | None:
        """The run of this scan that goes on, or was killed, and asked for something else."""
        query = (
            "SELECT place, beat, revision FROM run JOIN scan ON scan.id = run.scan"
            " WHERE name = ? AND holders > 0 AND asked <> ?"
        )
        with translated(self.path):
            row = self._connection.execute(query, (name, asked)).fetchone()
        return None if row is None else Pulse(*row)

    def asked(self, scan: ScanInfo) -> str | None:
        """What the last run of a scan was asked for; None where nobody knows."""
        with translated(self.path):
            query = "SELECT asked FROM run WHERE scan = ?"
            row = self._connection.execute(query, (scan.id,)).fetchone()
        return None if row is None else str(row[0])

    def lease(self, scan: ScanInfo, asked: str) -> None:
        """Take a scan for a run: beside those that ask for the same, or from all others."""
        with self._transaction():
            execute = self._connection.execute
            execute(
                "INSERT INTO run (scan, place, asked, holders, beat) VALUES (?, 1, ?, 1, 0)"
                " ON CONFLICT (scan) DO UPDATE SET"
                " place = place + (asked <> excluded.asked),"
                " holders = CASE WHEN asked = excluded.asked THEN holders + 1 ELSE 1 END,"
                " asked = excluded.asked",
                (scan.id, asked),
            )
            query = "SELECT place FROM run WHERE scan = ?"
            (turn,) = execute(query, (scan.id,)).fetchone()
            self._seal(scan.id)
        self._lease = (scan.id, turn)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Within it, the lease is kept alive; after it, it is given back."""
        stop = threading.Event()
        heart = None
        if self._lease is not None and str(self.path) != ":memory:":
            target = (self.path.absolute(), self._lease, stop)
            heart = threading.Thread(target=_beat, args=target, daemon=True)
            heart.start()
        try:
            yield
        finally:
            stop.set()
            if heart is not None:
                heart.join()
            if self._lease is not None:  # the run came to no end
                with contextlib.suppress(StoreError), self._transaction():
                    self._release()
                self._lease = None

    def _release(self) -> None:
        """Within a transaction: give the lease back, once."""
        if self._lease is None:
            return
        self._connection.execute(
            "UPDATE run SET holders = holders - 1 WHERE scan = ? AND place = ?", self._lease
        )
        self._lease = None


def _beat(path: Path, lease: tuple[int, int], stop: threading.Event) -> None:
    """Say every second that the run goes on; what can't be said now may be said the next time."""
    query = "UPDATE run SET beat = beat + 1 WHERE scan = ? AND place = ?"
    while not stop.wait(BEAT_SECONDS):
        with contextlib.suppress(sqlite3.Error):
            connection = sqlite3.connect(
                f"{path.as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS, isolation_level=None
            )
            with contextlib.closing(connection):
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(query, lease)
