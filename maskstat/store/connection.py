"""What all parts of a store share: its connection, transactions, and errors with a remedy."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from maskstat.errors import CatalogError, StoreError, argument
from maskstat.naming import printable
from maskstat.store.schema import DAMAGED
from maskstat.values.tally import TallyTable

IN_MEMORY = ":memory:"
_NO_TEXT = "holds text that is not UTF-8"


class Connected:
    """An open store file.

    Attributes:
        path: the file.
        version: its schema version; a file that is only read may be of an earlier one.
        revisions: how often this object has changed the masks of a scan.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, version: int):
        self._connection = connection
        self.path = path
        self.version = version
        self.revisions = 0
        self._lease: tuple[int, int] | None = None  # scan and place of the run that this one is
        # Sums that were found to be true, and scans whose masks were all found as they were.
        self._seen: dict[tuple[str, int | None], tuple[int]] = {}
        self._sound: set[int] = set()
        # Scan and rows of a block -> the revision that its tallies were read at, and these.
        self._tables: dict[tuple[int, int], tuple[int, list[TallyTable]]] = {}

    @contextlib.contextmanager
    def checked(self) -> Iterator[None]:
        """Turn what damaged content raises into a StoreError."""
        try:
            yield
        except (CatalogError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise StoreError(
                "holds something that no scan wrote",
                where=printable(str(self.path)),
                remedy=DAMAGED,
            ) from error

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written within is in the store as a whole or not at all."""
        with self._transaction():
            yield

    @contextlib.contextmanager
    def _transaction(self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
        if self._connection.in_transaction:  # a part of `together`, which undoes all or nothing
            yield
            return
        with translated(self.path):
            self._connection.execute(f"BEGIN {kind}")
            try:
                self._heed_lease()
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _heed_lease(self) -> None:
        """Within a transaction: raise StoreError where the scan is no longer this run's."""
        if self._lease is None:
            return
        query = "SELECT 1 FROM run WHERE scan = ? AND place = ?"
        if self._connection.execute(query, self._lease).fetchone() is None:
            raise StoreError(
                "the scan was removed, or taken by another run, while this one stood still",
                where=printable(str(self.path)),
                remedy="scan again",
            )


def check_names_a_file(path: Path) -> None:
    """Raise StoreError for SQLite's name of a store that is gone when the command ends."""
    if str(path) == IN_MEMORY:
        raise StoreError(
            "is no file, and a scan store is one", where=IN_MEMORY, remedy="name a file"
        )


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with the file's name and a remedy."""
    try:
        yield
    except UnicodeError as error:  # in what SQLite says of a damaged schema
        raise StoreError(_NO_TEXT, where=printable(str(path)), remedy=DAMAGED) from error
    except sqlite3.Error as error:
        text = _in_short(str(error))
        remedies = {
            "locked": f"another maskstat is writing to it: wait, or use another {argument('db')}",
            "not a database": f"choose another {argument('db')}",
            "unable to open": "check that its folder exists and can be written, or use"
            f" {argument('db')}",
            "readonly": "it can't be written: check its permissions, or use another"
            f" {argument('db')}",
            "full": "free some disk space and run the same command again",
            "malformed": DAMAGED,
            "no such": DAMAGED,
            "ON CONFLICT": DAMAGED,
            _NO_TEXT: DAMAGED,
        }
        remedy = next((r for mark, r in remedies.items() if mark in text), None)
        raise StoreError(printable(text), where=printable(str(path)), remedy=remedy) from error
    except OSError as error:
        raise StoreError(error.strerror or str(error), where=printable(str(path))) from error


def _in_short(text: str) -> str:
    """What SQLite says, without the stored bytes that it quotes."""
    if text.startswith("Could not decode to UTF-8"):
        return _NO_TEXT
    if text.startswith("malformed database schema"):
        return "malformed database schema"
    return text
