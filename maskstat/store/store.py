"""The scan store: one SQLite file, any number of named scans, one row a mask.

A row holds raw value counts, never classes, so a stored scan can be read under any catalogue. Rows
are committed as a scan goes; what a commit holds survives Ctrl-C, SIGKILL and power loss
(rollback journal, synchronous=FULL), and SQLite undoes a half-written one by itself.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from itertools import chain, islice
from pathlib import Path

from maskstat.errors import Blank, StoreError, argument, call
from maskstat.naming import did_you_mean, natural_key, printable, storable
from maskstat.store.connection import IN_MEMORY, check_names_a_file, translated
from maskstat.store.copying import Copied, Naming
from maskstat.store.exposures import KeptExposures
from maskstat.store.kept_folders import KeptFolders
from maskstat.store.kept_groups import KeptGroups
from maskstat.store.leases import KeptRuns
from maskstat.store.profiles import MeasuredMask, ProfileKey
from maskstat.store.records import Failure, KeptMark, ScanInfo, StoredMask
from maskstat.store.rows import COLUMNS, MaskRow, opened, rows_of, table_of
from maskstat.store.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    prepare,
)
from maskstat.store.sealing import ROWS, About
from maskstat.store.summaries import MASKS, KeptSummaries
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import Encoding, TallyTable

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "Failure",
    "MaskRow",
    "MeasuredMask",
    "Naming",
    "ProfileKey",
    "ScanInfo",
    "Store",
    "StoredMask",
]

BLOCK_ROWS = 8192
_KEPT_BYTES = 1 << 26  # of tallies that are read once and kept: some 200,000 masks
LOCK_SECONDS = 10.0  # how long to wait for another process that is writing
# SQLite lets go of the interpreter lock once a statement: with many rows in each, the threads
# that decode go on meanwhile. 9 parameters a row; some builds of SQLite allow 999.
_ROWS = 100
_FIRST = call("scan", Blank("FOLDER"), classes=Blank("K"))
_SUMS: tuple[About, ...] = ("scan", "failure", "profiles", "exposures")  # that a scan has
_ASKED = 512  # masks that one statement looks up
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ONE_ROW = f"REPLACE INTO mask VALUES {_ROW}"
_MANY_ROWS = f"REPLACE INTO mask VALUES {', '.join([_ROW] * _ROWS)}"


class Store(KeptSummaries, KeptExposures, KeptGroups, KeptFolders, KeptRuns, Copied):
    """An open store. Use it as a context manager; all methods raise StoreError."""

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False) -> Store:
        """Open a store.

        With `create` there is an empty one where there was none, and one of an earlier version gets
        the tables that it lacks; without, reading leaves a file as it is.
        """
        path = Path(path)
        check_names_a_file(path)
        with translated(path):
            folder, file = path.is_dir(), path.is_file()
        if folder:
            raise StoreError(
                "is a folder, and a scan store is a file",
                where=printable(str(path)),
                remedy=f"name a file in it: {argument('db', path / 'maskstat.db')}",
            )
        if not create and not file:
            raise StoreError(
                "there is no scan store",
                where=printable(str(path)),
                remedy=f"scan first: '{_FIRST}', or name one with {argument('db')}",
            )
        with translated(path):
            connection = _connect(path)
            try:
                # Tables of a new file need not be on the disk yet: the first scan's commit puts
                # them there with itself, and an empty store is no loss.
                connection.execute(f"PRAGMA synchronous = {'FULL' if file else 'OFF'}")
                version = prepare(connection, path, create=create)
                connection.execute("PRAGMA synchronous = FULL")
            except BaseException:
                connection.close()
                raise
        return cls(connection, path, version)

    @classmethod
    def in_memory(cls) -> Store:
        """An empty store that no file holds."""
        connection, path = _connect(IN_MEMORY), Path(IN_MEMORY)
        return cls(connection, path, prepare(connection, path, create=True))

    def upgrade(self) -> None:
        """Give a file of an earlier version the tables that it lacks: it is going to be written."""
        if self.version < SCHEMA_VERSION:
            with translated(self.path):
                self.version = prepare(self._connection, self.path, create=True)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def scans(self) -> list[ScanInfo]:
        """All scans, the latest last."""
        return self._select("ORDER BY turn")

    def sources(self) -> dict[str, str]:
        """Scan name -> where its masks are; cheaper than `scans`."""
        self._check_scans()
        with translated(self.path):
            return dict(self._connection.execute("SELECT name, source FROM scan ORDER BY turn"))

    def find(self, name: str | None = None) -> ScanInfo:
        """The scan of this name, or the latest."""
        name = name and storable(name)
        if name is None:
            found = self._select("ORDER BY turn DESC LIMIT 1")
        else:
            found = self._select("NOT INDEXED WHERE name = ?", name)
        if found:
            return found[0]
        where = printable(str(self.path))
        known = list(self.sources())
        if name is None or not known:
            raise StoreError("holds no scan yet", where=where, remedy=_FIRST)
        raise StoreError(
            f"holds no scan called {printable(name)!r}",
            where=where,
            remedy=f"{did_you_mean(name, known)}it has: {', '.join(map(printable, known[-8:]))}",
        )

    def _select(self, which: str, *parameters: str) -> list[ScanInfo]:
        query = f"SELECT id, name, source, catalog, created, updated, complete FROM scan {which}"
        self._check_scans()
        with translated(self.path):
            rows = self._connection.execute(query, parameters).fetchall()
            readings = dict(self._connection.execute("SELECT scan, options FROM reading"))
            rules = self._rules()
        with self.checked():
            return [
                ScanInfo(
                    key,
                    name,
                    source,
                    _catalog(text),
                    created,
                    updated,
                    bool(complete),
                    dict(json.loads(readings.get(key, "{}"))),
                    rules.get(key),
                )
                for key, name, source, text, created, updated, complete in rows
            ]

    def begin(
        self,
        name: str,
        source: str,
        catalog: ClassCatalog,
        reading: Mapping[str, object] | None = None,
    ) -> ScanInfo:
        """Start or go on with a scan under this name; it becomes the latest one.

        Its failures are dropped: a run tries every one of them again. So are its folders.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        text = json.dumps(catalog.to_dict(), ensure_ascii=False)
        with self._transaction():
            # No index is asked for the name: a damaged one would give it two scans.
            known = self._connection.execute(
                "SELECT id, created FROM scan NOT INDEXED WHERE name = ?", (name,)
            ).fetchone()
            turn = "(SELECT coalesce(max(turn), 0) + 1 FROM scan)"
            if known is None:
                added = self._connection.execute(
                    "INSERT INTO scan (name, source, catalog, created, updated, turn, complete,"
                    f" revision) VALUES (?, ?, ?, ?, ?, {turn}, 0, 0)",
                    (name, source, text, now, now),
                )
                known = (added.lastrowid, now)
                self._keep_sum("profiles", added.lastrowid, 0)
                self._keep_sum("exposures", added.lastrowid, 0)
            else:
                self._connection.execute(
                    f"UPDATE scan SET source = ?, catalog = ?, updated = ?, turn = {turn},"
                    " complete = 0 WHERE id = ?",
                    (source, text, now, known[0]),
                )
            key, created = known
            rule = self._rules().get(key)
            self._connection.execute("DELETE FROM failure WHERE scan = ?", (key,))
            self._drop_sum("failure", key)
            self._forget_folders(key)
            options = json.dumps(dict(reading or {}))
            self._connection.execute("REPLACE INTO reading VALUES (?, ?)", (key, options))
            self._seal(key)
        return ScanInfo(key, name, source, catalog, created, now, False, reading or {}, rule)

    def finish(
        self, scan: ScanInfo, totals: ClassHistogram | None = None, revision: int = -1
    ) -> ScanInfo:
        """Mark a scan as complete: every mask of its source is counted or listed as failed.

        `totals` are those of the masks of this revision, where they are known.
        """
        with self._transaction():
            if totals is not None:
                self._keep_totals(scan, totals, revision)
            self._connection.execute("UPDATE scan SET complete = 1 WHERE id = ?", (scan.id,))
            self._keep_sum_of_rows("failure", scan.id)
            self._seal(scan.id)
            self._release()  # here, since a disk takes its time for every transaction
        return replace(scan, complete=True)

    def remove(self, scan: ScanInfo) -> None:
        """Forget a scan and all of its masks."""
        self.upgrade()
        with self._transaction():
            self._forget_profiles(scan)
            self._forget_exposures(scan)
            self._forget_groups(scan)
            self._forget_folders(scan.id)
            for table in ("mask", "failure", "summary", "reading", "run"):
                self._connection.execute(f"DELETE FROM {table} WHERE scan = ?", (scan.id,))
            self._connection.execute("DELETE FROM scan WHERE id = ?", (scan.id,))
            for about in _SUMS:
                self._drop_sum(about, scan.id)
        with contextlib.suppress(sqlite3.Error):  # giving space back can wait
            self._connection.execute("VACUUM")

    def marks(self, scan: ScanInfo, names: Sequence[str]) -> dict[str, KeptMark]:
        """The marks of those of these masks that are counted."""
        found: dict[str, KeptMark] = {}
        with translated(self.path):
            for start in range(0, len(names), _ASKED):
                part = names[start : start + _ASKED]
                # Few different statements, which SQLite then has ready: the last name fills up.
                places = 1 << (len(part) - 1).bit_length()
                asked = [*part, *[part[-1]] * (places - len(part))]
                rows = self._connection.execute(
                    f"SELECT {COLUMNS} FROM mask WHERE scan = ? AND name IN"
                    f" ({', '.join('?' * places)})",
                    (scan.id, *asked),
                )
                with self.checked():
                    found.update((row[0], (row[1], row[2], row[5])) for row in opened(rows))
        with self.checked():
            for text in {text for _, _, text in found.values()}:
                Encoding.from_text(text)
        if len(found) < len(names):
            self._check_masks(scan)
        return found

    def _check_masks(self, scan: ScanInfo) -> None:
        """Raise StoreError where a mask that seems to be new or gone has another name now."""
        if scan.id not in self._sound:
            self._check_count(scan, self._summary(scan, MASKS), sum(1 for _ in self.names(scan)))
            self.mask_count(scan)
            self._sound.add(scan.id)

    def names(self, scan: ScanInfo) -> Iterator[str]:
        """Names of all counted masks. The scan may change meanwhile: it is read in blocks."""
        for block in self._blocks(f"SELECT {COLUMNS} FROM mask WHERE scan = ?", scan):
            yield from block

    def _blocks(self, query: str, scan: ScanInfo) -> Iterator[list[str]]:
        """Names of rows that a query on a scan finds, in order; nothing is locked between."""
        parameters: tuple[object, ...] = (scan.id,)
        while True:
            with translated(self.path):
                rows = self._connection.execute(
                    f"{query} ORDER BY name LIMIT {BLOCK_ROWS}", parameters
                ).fetchall()
            if not rows:
                return
            with self.checked():
                names = [row[0] for row in opened(rows)]
            yield names
            if len(parameters) == 1:
                query += " AND name > ?"
            parameters = (scan.id, rows[-1][0])

    def write(
        self, scan: ScanInfo, counted: Iterable[StoredMask], failed: Iterable[Failure] = ()
    ) -> TallyTable:
        """Commit counted masks and failures in one transaction; later results replace earlier.

        Returns:
            the tallies of the counted masks.
        """
        # In the order of the table, which spares SQLite looking for the place of each.
        counted = sorted(counted, key=lambda mask: mask.tally.name)
        table = TallyTable.of(mask.tally for mask in counted)
        masks = rows_of(scan.id, counted, table)
        failures = [(scan.id, failure.mask, failure.text) for failure in failed]
        if not masks and not failures:
            return table
        with self._transaction():
            execute = self._connection.executemany
            written = [str(row[1]) for row in (*masks, *failures)]
            self._unmeasure(scan, written)
            self._unexpose(scan, written)
            whole = len(masks) - len(masks) % _ROWS
            for start in range(0, whole, _ROWS):
                rows = masks[start : start + _ROWS]
                self._connection.execute(_MANY_ROWS, list(chain.from_iterable(rows)))
            execute(_ONE_ROW, masks[whole:])
            if failures:
                execute("DELETE FROM mask WHERE scan = ? AND name = ?", [f[:2] for f in failures])
                execute("REPLACE INTO failure VALUES (?, ?, ?)", failures)
            self._revise(scan)
        return table

    def forget(self, scan: ScanInfo, names: Collection[str]) -> None:
        """Drop masks that are gone."""
        if not names:
            return
        with self._transaction():
            self._unmeasure(scan, names)
            self._unexpose(scan, names)
            self._connection.executemany(
                "DELETE FROM mask WHERE scan = ? AND name = ?", [(scan.id, n) for n in names]
            )
            self._revise(scan)

    def forget_all(self, scan: ScanInfo) -> int:
        """Drop all masks, and what was said of them; how many there were."""
        with self._transaction():
            self._forget_profiles(scan)
            self._forget_exposures(scan)
            self._forget_groups(scan)
            query = "DELETE FROM summary WHERE scan = ?"
            self._connection.execute(query, (scan.id,))
            query = "DELETE FROM mask WHERE scan = ?"
            count = self._connection.execute(query, (scan.id,)).rowcount
            self._revise(scan)
        return count

    def forget_others(self, scan: ScanInfo, names: Iterable[str]) -> int:
        """Drop every mask but these; how many there were. Memory does not grow with `names`."""
        self._check_masks(scan)
        execute = self._connection.execute
        names, gone = iter(names), 0
        with translated(self.path):
            execute("CREATE TEMP TABLE kept (name TEXT PRIMARY KEY) WITHOUT ROWID")
        try:
            while block := [(name,) for name in islice(names, BLOCK_ROWS)]:
                with self._transaction("DEFERRED"):  # other processes may go on writing
                    insert = "INSERT OR IGNORE INTO temp.kept VALUES (?)"
                    self._connection.executemany(insert, block)
            query = (
                f"SELECT {COLUMNS} FROM mask WHERE scan = ? AND NOT EXISTS"
                " (SELECT 1 FROM temp.kept WHERE kept.name = mask.name)"
            )
            for others in self._blocks(query, scan):
                self.forget(scan, others)
                gone += len(others)
        finally:
            with contextlib.suppress(sqlite3.Error):
                execute("DROP TABLE temp.kept")
        return gone

    def _revise(self, scan: ScanInfo) -> None:
        self.revisions += 1
        self._connection.execute("UPDATE scan SET revision = revision + 1 WHERE id = ?", (scan.id,))
        self._seal(scan.id)

    def revision(self, scan: ScanInfo) -> int:
        """A number that grows with every change to the masks of a scan."""
        with translated(self.path):
            query = "SELECT revision FROM scan WHERE id = ?"
            row = self._connection.execute(query, (scan.id,)).fetchone()
        return -1 if row is None else int(row[0])

    def mask_count(self, scan: ScanInfo) -> int:
        """Masks counted so far."""
        expected = self._summary(scan, MASKS)
        with translated(self.path):
            # A row that says to be of another scan is found in this one's place all the same.
            query = "SELECT count(scan = :scan OR NULL) FROM mask WHERE scan = :scan"
            count = int(self._connection.execute(query, {"scan": scan.id}).fetchone()[0])
        self._check_count(scan, expected, count)
        return count

    def masks_read(self, scan: ScanInfo, ending: str) -> int:
        """Masks whose encoding has a reading that ends so; looks at all rows."""
        with translated(self.path), self.checked():
            query = f"SELECT {COLUMNS} FROM mask WHERE scan = ?"
            rows = opened(self._connection.execute(query, (scan.id,)))
            return sum(row[5].endswith(ending) for row in rows)

    def failures(self, scan: ScanInfo) -> list[Failure]:
        """Masks that could not be counted, in natural order."""
        self._check_rows("failure", scan.id)
        with translated(self.path):
            rows = self._connection.execute(ROWS["failure"], (scan.id,)).fetchall()
        with self.checked():
            return [Failure(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]

    def tables(self, scan: ScanInfo, *, rows: int = BLOCK_ROWS) -> Iterator[TallyTable]:
        """The tallies of a scan, a block of masks at a time, so that memory stays flat.

        As long as the scan does not change, those of not too many masks are read once.
        """
        # Asked first: whatever another process changes meanwhile makes these tallies out of date.
        revision = self.revision(scan)
        if (kept := self._tables.get((scan.id, rows))) is not None and kept[0] == revision:
            yield from kept[1]
            return
        read: list[TallyTable] = []
        expected, found, size = self._summary(scan, MASKS), 0, 0
        with translated(self.path):
            cursor = self._connection.execute(
                f"SELECT {COLUMNS} FROM mask WHERE scan = ? ORDER BY name", (scan.id,)
            )
            while block := cursor.fetchmany(rows):
                with self.checked():
                    table = table_of(block)
                found += len(block)
                size += table.nbytes
                if size <= _KEPT_BYTES:
                    read.append(table)
                else:
                    read.clear()
                yield table
        self._check_count(scan, expected, found)
        if size <= _KEPT_BYTES:
            self._tables[scan.id, rows] = revision, read

    def rows(self, scan: ScanInfo, naming: Naming) -> Iterator[MaskRow]:
        """The masks of a scan under their new names, in the order of these."""
        expected, found = self._summary(scan, MASKS), 0
        for row in super().rows(scan, naming):
            found += 1
            yield row
        self._check_count(scan, expected, found)


class _Connection(sqlite3.Connection):
    """Closed with its last reference: Python 3.13 warns where one just goes."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # where there is no such file
            self.close()


def _connect(path: str | Path) -> sqlite3.Connection:
    # Python would refuse other threads, also the one that happens to drop the last reference;
    # SQLite itself takes calls from any.
    return sqlite3.connect(
        path,
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )


def _catalog(text: str) -> ClassCatalog:
    return catalog_from_mapping(json.loads(text), name="classes")
