"""The scan store: one SQLite file, any number of named scans, one row a mask.

A row holds raw value counts, never classes, so a stored scan can be read under any catalogue. Rows
are committed as a scan goes; what a commit holds survives Ctrl-C, SIGKILL and power loss
(rollback journal, synchronous=FULL), and SQLite undoes a half-written one by itself.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskstat.catalog import ClassCatalog
from maskstat.catalog_files import catalog_from_mapping
from maskstat.errors import CatalogError, StoreError
from maskstat.histogram import ClassHistogram
from maskstat.naming import natural_key, printable
from maskstat.tally import Encoding, MaskTally, TallyTable

APPLICATION_ID = 0x6D73746B  # "mstk"
SCHEMA_VERSION = 1
BLOCK_ROWS = 8192
LOCK_SECONDS = 10.0  # how long to wait for another process that is writing
_DAMAGED = "it is damaged: restore or delete it, then scan again"

_SCHEMA = """
CREATE TABLE scan (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: summaries refer to it
    name TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    catalog TEXT NOT NULL,        -- JSON; no classes in it where they are inferred
    created TEXT NOT NULL,        -- UTC, ISO 8601
    updated TEXT NOT NULL,
    turn INTEGER NOT NULL,        -- grows with every run; the largest is the latest scan
    complete INTEGER NOT NULL,    -- 0 while a run is under way or was interrupted
    revision INTEGER NOT NULL     -- grows with every change to the masks
);
CREATE TABLE mask (
    scan INTEGER NOT NULL REFERENCES scan(id),
    name TEXT NOT NULL,
    size INTEGER NOT NULL,        -- bytes of the file
    stamp NOT NULL,               -- mtime in ns, or another mark that changes with the content
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    form INTEGER NOT NULL,        -- layout of `tally`, see _FORMS
    tally BLOB NOT NULL,          -- (value, count) pairs, ascending by value
    PRIMARY KEY (scan, name)
) WITHOUT ROWID;
CREATE TABLE failure (
    scan INTEGER NOT NULL REFERENCES scan(id),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (scan, name)
) WITHOUT ROWID;
CREATE TABLE summary (            -- totals that were computed before; always safe to delete
    scan INTEGER NOT NULL REFERENCES scan(id),
    digest TEXT NOT NULL,         -- of the catalogue they were read under
    revision INTEGER NOT NULL,    -- of the masks; they are out of date where it is not the scan's
    totals TEXT NOT NULL,         -- JSON
    PRIMARY KEY (scan, digest)
) WITHOUT ROWID;
"""

_FORMS = {
    1: np.dtype([("value", "<u1"), ("count", "<u4")]),
    2: np.dtype([("value", "<u2"), ("count", "<u4")]),
    4: np.dtype([("value", "<u4"), ("count", "<u4")]),
    8: np.dtype([("value", "<i8"), ("count", "<i8")]),
}


@dataclass(frozen=True, slots=True)
class ScanInfo:
    """What the store knows about one scan besides its masks.

    `catalog` has no classes where they are inferred; `complete` is False while a run is under way
    or after one that was interrupted; `created` and `updated` are UTC in ISO 8601.
    """

    id: int
    name: str
    source: str
    catalog: ClassCatalog
    created: str
    updated: str
    complete: bool


class StoredMask(NamedTuple):
    """A counted mask on its way into the store: its tally and the mark of its content."""

    tally: MaskTally
    size: int
    stamp: int | str


@dataclass(frozen=True, slots=True)
class Failure:
    """A mask that could not be counted, and why."""

    mask: str
    reason: str


class Store:
    """An open store. Use it as a context manager; all methods raise StoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path):
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False) -> Store:
        """Open a store, making an empty one where `create` and there is none yet."""
        path = Path(path)
        if not create and not path.is_file():
            raise StoreError(
                "there is no scan store",
                where=printable(str(path)),
                remedy="scan first: 'maskstat scan FOLDER --classes K', or name one with --db",
            )
        with _translated(path):
            connection = _connect(path)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                cls._prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    @classmethod
    def in_memory(cls) -> Store:
        """An empty store that no file holds."""
        connection = _connect(":memory:")
        cls._prepare(connection, Path(":memory:"))
        return cls(connection, Path(":memory:"))

    @staticmethod
    def _prepare(connection: sqlite3.Connection, path: Path) -> None:
        def pragma(name: str) -> int:
            return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

        if pragma("application_id") == 0 and pragma("schema_version") == 0:
            connection.execute("BEGIN IMMEDIATE")
            if pragma("schema_version") == 0:  # else another process was faster
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        where = printable(str(path))
        if pragma("application_id") != APPLICATION_ID:
            raise StoreError(
                "is an SQLite file, but not a scan store", where=where, remedy="choose another --db"
            )
        if pragma("user_version") > SCHEMA_VERSION:
            raise StoreError(
                "was written by a newer maskstat", where=where, remedy="pip install -U maskstat"
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def scans(self) -> list[ScanInfo]:
        """All scans, the latest last."""
        return self._select("ORDER BY turn")

    def sources(self) -> dict[str, str]:
        """Scan name -> where its masks are; cheaper than `scans`."""
        with _translated(self.path):
            return dict(self._connection.execute("SELECT name, source FROM scan ORDER BY turn"))

    def find(self, name: str | None = None) -> ScanInfo:
        """The scan of this name, or the latest."""
        if name is None:
            found = self._select("ORDER BY turn DESC LIMIT 1")
        else:
            found = self._select("WHERE name = ?", name)
        if found:
            return found[0]
        where = printable(str(self.path))
        known = list(self.sources())
        if name is None or not known:
            raise StoreError(
                "holds no scan yet", where=where, remedy="maskstat scan FOLDER --classes K"
            )
        raise StoreError(
            f"holds no scan called {printable(name)!r}",
            where=where,
            remedy=f"it has: {', '.join(map(printable, known[-8:]))}",
        )

    def _select(self, which: str, *parameters: str) -> list[ScanInfo]:
        query = f"SELECT id, name, source, catalog, created, updated, complete FROM scan {which}"
        with _translated(self.path):
            rows = self._connection.execute(query, parameters).fetchall()
        with self._checked():
            return [
                ScanInfo(key, name, source, _catalog(text), created, updated, bool(complete))
                for key, name, source, text, created, updated, complete in rows
            ]

    def begin(self, name: str, source: str, catalog: ClassCatalog) -> ScanInfo:
        """Start or go on with a scan under this name; it becomes the latest one.

        Its failures are dropped: a run tries every one of them again.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        text = json.dumps(catalog.to_dict(), ensure_ascii=False)
        with self._transaction():
            self._connection.execute(
                "INSERT INTO scan (name, source, catalog, created, updated, turn, complete,"
                " revision) VALUES"
                " (?1, ?2, ?3, ?4, ?4, (SELECT coalesce(max(turn), 0) + 1 FROM scan), 0, 0)"
                " ON CONFLICT (name) DO UPDATE SET source = excluded.source,"
                " catalog = excluded.catalog, updated = excluded.updated,"
                " turn = excluded.turn, complete = 0",
                (name, source, text, now),
            )
            key, created, updated = self._connection.execute(
                "SELECT id, created, updated FROM scan WHERE name = ?", (name,)
            ).fetchone()
            self._connection.execute("DELETE FROM failure WHERE scan = ?", (key,))
        return ScanInfo(key, name, source, catalog, created, updated, complete=False)

    def finish(self, scan: ScanInfo) -> ScanInfo:
        """Mark a scan as complete: every mask of its source is counted or listed as failed."""
        with self._transaction():
            self._connection.execute("UPDATE scan SET complete = 1 WHERE id = ?", (scan.id,))
        return replace(scan, complete=True)

    def remove(self, scan: ScanInfo) -> None:
        """Forget a scan and all of its masks."""
        with self._transaction():
            for table in ("mask", "failure", "summary"):
                self._connection.execute(f"DELETE FROM {table} WHERE scan = ?", (scan.id,))
            self._connection.execute("DELETE FROM scan WHERE id = ?", (scan.id,))
        with contextlib.suppress(sqlite3.Error):  # giving space back can wait
            self._connection.execute("VACUUM")

    def fingerprints(self, scan: ScanInfo) -> dict[str, str]:
        """Name -> "size/stamp" of every counted mask, as `Entry.mark` writes it."""
        with _translated(self.path):
            return dict(
                self._connection.execute(
                    "SELECT name, size || '/' || stamp FROM mask WHERE scan = ?", (scan.id,)
                )
            )

    def encoded(self, scan: ScanInfo, wanted: Callable[[Encoding], bool]) -> set[str]:
        """Names of the counted masks whose encoding is `wanted`."""
        with _translated(self.path):
            texts = self._connection.execute(
                "SELECT DISTINCT encoding FROM mask WHERE scan = ?", (scan.id,)
            ).fetchall()
            with self._checked():
                chosen = [text for (text,) in texts if wanted(Encoding.from_text(text))]
            names: set[str] = set()
            for text in chosen:
                names.update(
                    name
                    for (name,) in self._connection.execute(
                        "SELECT name FROM mask WHERE scan = ? AND encoding = ?", (scan.id, text)
                    )
                )
        return names

    def write(
        self, scan: ScanInfo, counted: Iterable[StoredMask], failed: Iterable[Failure] = ()
    ) -> None:
        """Commit counted masks and failures in one transaction; later results replace earlier."""
        masks = [_row(scan.id, mask) for mask in counted]
        failures = [(scan.id, failure.mask, failure.reason) for failure in failed]
        if not masks and not failures:
            return
        with self._transaction():
            execute = self._connection.executemany
            execute("REPLACE INTO mask VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", masks)
            if failures:
                execute("DELETE FROM mask WHERE scan = ? AND name = ?", [f[:2] for f in failures])
                execute("REPLACE INTO failure VALUES (?, ?, ?)", failures)
            self._revise(scan)

    def forget(self, scan: ScanInfo, names: Collection[str]) -> None:
        """Drop masks that are gone."""
        if not names:
            return
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM mask WHERE scan = ? AND name = ?", [(scan.id, n) for n in names]
            )
            self._revise(scan)

    def _revise(self, scan: ScanInfo) -> None:
        self._connection.execute("UPDATE scan SET revision = revision + 1 WHERE id = ?", (scan.id,))

    def revision(self, scan: ScanInfo) -> int:
        """A number that grows with every change to the masks of a scan."""
        with _translated(self.path):
            query = "SELECT revision FROM scan WHERE id = ?"
            row = self._connection.execute(query, (scan.id,)).fetchone()
        return -1 if row is None else int(row[0])

    def totals(self, scan: ScanInfo, catalog: ClassCatalog) -> ClassHistogram | None:
        """Totals under this catalogue, where they were kept and are still true."""
        with _translated(self.path):
            row = self._connection.execute(
                "SELECT totals FROM summary JOIN scan ON scan.id = summary.scan"
                " AND scan.revision = summary.revision WHERE scan.id = ? AND digest = ?",
                (scan.id, catalog.digest),
            ).fetchone()
        if row is None:
            return None
        with self._checked():
            return ClassHistogram.from_text(catalog, row[0])

    def keep_totals(self, scan: ScanInfo, histogram: ClassHistogram, revision: int) -> None:
        """Keep totals that were added up from the masks of this revision.

        A store that can't be written does without: they are only kept for speed.
        """
        with contextlib.suppress(StoreError), self._transaction():
            self._connection.execute(
                "REPLACE INTO summary VALUES (?, ?, ?, ?)",
                (scan.id, histogram.catalog.digest, revision, histogram.to_text()),
            )

    def mask_count(self, scan: ScanInfo) -> int:
        """Masks counted so far."""
        with _translated(self.path):
            query = "SELECT count(*) FROM mask WHERE scan = ?"
            return int(self._connection.execute(query, (scan.id,)).fetchone()[0])

    def failures(self, scan: ScanInfo) -> list[Failure]:
        """Masks that could not be counted, in natural order."""
        with _translated(self.path):
            rows = self._connection.execute(
                "SELECT name, reason FROM failure WHERE scan = ?", (scan.id,)
            ).fetchall()
        return [Failure(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]

    def tables(self, scan: ScanInfo, *, rows: int = BLOCK_ROWS) -> Iterator[TallyTable]:
        """The tallies of a scan, a block of masks at a time, so that memory stays flat."""
        with _translated(self.path):
            cursor = self._connection.execute(
                "SELECT name, height, width, encoding, form, tally FROM mask WHERE scan = ?"
                " ORDER BY name",
                (scan.id,),
            )
            while block := cursor.fetchmany(rows):
                with self._checked():
                    table = _table(block)
                yield table

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        """Turn what damaged content raises into a StoreError."""
        try:
            yield
        except (CatalogError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise StoreError(
                "holds something that no scan wrote",
                where=printable(str(self.path)),
                remedy=_DAMAGED,
            ) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _connect(path: str | Path) -> sqlite3.Connection:
    # Python would refuse other threads, also the one that happens to drop the last reference;
    # SQLite itself takes calls from any.
    return sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )


def _row(scan: int, mask: StoredMask) -> tuple[object, ...]:
    tally = mask.tally
    values, height, width = tally.values, *tally.shape
    low, high = int(values[0]), int(values[-1])
    form = 8 if low < 0 or high >= 1 << 32 or height * width >= 1 << 32 else 4
    if form == 4:
        form = 1 if high < 1 << 8 else 2 if high < 1 << 16 else 4
    pairs = np.empty(values.size, _FORMS[form])
    pairs["value"] = values
    pairs["count"] = tally.counts
    encoding = tally.encoding.to_text()
    return (
        scan, tally.name, mask.size, mask.stamp, height, width, encoding, form, pairs.tobytes()
    )  # fmt: skip


def _table(block: Sequence[tuple[str, int, int, str, int, bytes]]) -> TallyTable:
    names, heights, widths, encodings, form_column, blobs = zip(*block, strict=True)
    forms = np.array(form_column)
    sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
    itemsizes = np.array([_FORMS[form].itemsize for form in form_column], np.int64)
    lengths = sizes // itemsizes
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    values = np.empty(indptr[-1], np.int64)
    counts = np.empty(indptr[-1], np.int64)
    for form in np.unique(forms).tolist():
        rows = forms == form
        data = b"".join(blob for blob, chosen in zip(blobs, rows.tolist(), strict=True) if chosen)
        pairs = np.frombuffer(data, _FORMS[form])
        entries = np.repeat(rows, lengths)
        values[entries] = pairs["value"]
        counts[entries] = pairs["count"]
    shapes = np.stack([np.array(heights, np.int64), np.array(widths, np.int64)], axis=1)
    if not (lengths > 0).all() or not np.array_equal(
        np.add.reduceat(counts, indptr[:-1]), shapes[:, 0] * shapes[:, 1]
    ):
        raise ValueError("counts that do not sum to their mask's area")
    return TallyTable(
        names, shapes, tuple(map(Encoding.from_text, encodings)), indptr, values, counts
    )


def _catalog(text: str) -> ClassCatalog:
    return catalog_from_mapping(json.loads(text), name="classes")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with the file's name and a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        remedies = {
            "locked": "another maskstat is writing to it: wait, or use another --db",
            "not a database": "choose another --db",
            "unable to open": "check that its folder exists and can be written, or use --db",
            "readonly": "it can't be written: check its permissions, or use another --db",
            "full": "free some disk space and run the same command again",
            "malformed": _DAMAGED,
        }
        remedy = next((r for mark, r in remedies.items() if mark in text), None)
        raise StoreError(printable(text), where=printable(str(path)), remedy=remedy) from error
    except OSError as error:
        raise StoreError(error.strerror or str(error), where=printable(str(path))) from error
