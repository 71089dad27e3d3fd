"""What notices that a row has changed on the disk, or is gone.

A row of `mask` has a CRC-32 of its own (`rows`). Of the other tables the sum of the CRC-32 of all
rows that belong together is kept, so that a row can be added or taken away without a look at the
rest. Rows of stores from before schema 5 have no sum until their scan begins anew.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

from maskstat.store.checksums import of_texts
from maskstat.store.connection import Connected, translated
from maskstat.store.schema import GROUPS, READINGS, RUNS

About = Literal[
    "scan", "failure", "profiles", "profile", "exposures", "exposure", "groups", "folders"
]

# The rows of a scan, profile or exposure. No index is asked: it may be damaged as well.
ROWS: dict[About, str] = {
    "failure": "SELECT name, reason FROM failure WHERE scan = ?",
    "profiles": "SELECT id, digest, grid FROM profile NOT INDEXED WHERE scan = ?",
    "profile": "SELECT name, block, reason FROM profile_mask WHERE profile = ?",
    "exposures": "SELECT id, digest, recipe FROM exposure NOT INDEXED WHERE scan = ?",
    "exposure": "SELECT name, crops, presence, drawn, content IS NULL, reason FROM exposed_mask"
    " WHERE exposure = ?",
    "groups": "SELECT name, label FROM grouped_mask WHERE scan = ?",
    "folders": "SELECT prefix, listing, mark, masks, skipped, folders FROM folder WHERE scan = ?",
}
# What a scan is, by the version that first had it.
_OF_SCANS = {
    1: "SELECT id, name, source, catalog, created, updated, turn, complete, revision FROM scan",
    READINGS: "SELECT scan, options FROM reading",
    RUNS: "SELECT scan, place, asked FROM run",
    GROUPS: "SELECT scan, rule FROM grouping",
}


class Sealed(Connected):
    """The part of a store that keeps sums of checksums; all methods raise StoreError."""

    def _seal(self, scan: int) -> None:
        """Within a transaction that changes what a scan is: keep its sum."""
        self._keep_sum("scan", scan, self._sums_of_scans(scan)[scan])

    def _keep_sum_of_rows(self, about: About, key: int) -> None:
        """Within a transaction: keep the sum of these rows, now that they are all there."""
        self._keep_sum(about, key, _sum(self._connection.execute(ROWS[about], (key,))))

    def _keep_sum(self, about: About, key: int | None, crc: int) -> None:
        """Within a transaction: the sum is this."""
        self._connection.execute("REPLACE INTO checksum VALUES (?, ?, ?)", (about, key, crc))

    def _drop_sum(self, about: About, key: int) -> None:
        """Within a transaction: nothing is known of these rows."""
        query = "DELETE FROM checksum WHERE about = ? AND id = ?"
        self._connection.execute(query, (about, key))

    def _add_to_sum(
        self,
        about: About,
        key: int | None,
        *,
        new: Iterable[tuple[object, ...]] = (),
        gone: Iterable[tuple[object, ...]] = (),
    ) -> None:
        """Within a transaction: rows as `ROWS` has them come or go; a sum there is not stays so."""
        self._connection.execute(
            "UPDATE checksum SET crc = crc + ? WHERE about = ? AND id = ?",
            (_sum(new) - _sum(gone), about, key),
        )

    def _check_scans(self) -> None:
        """Raise StoreError where what a scan is has changed, or one is gone."""
        with self._at_once(), self.checked():
            query = "SELECT id, crc FROM checksum WHERE about = 'scan'"
            kept = dict(self._connection.execute(query))
            found = self._sums_of_scans()
            if any(found.get(scan) != crc for scan, crc in kept.items()):
                raise ValueError("a scan that has changed")

    def _check_rows(self, about: About, key: int | None) -> None:
        """Raise StoreError where one of these rows has changed or is gone."""
        with self._at_once(), self.checked():
            query = "SELECT crc FROM checksum WHERE about = ? AND id = ?"
            kept = self._connection.execute(query, (about, key)).fetchone()
            if kept is None or self._seen.get((about, key)) == kept:
                return
            if _sum(self._connection.execute(ROWS[about], (key,))) != kept[0]:
                raise ValueError("rows that have changed")
            self._seen[about, key] = kept

    def _sums_of_scans(self, scan: int | None = None) -> dict[int, int]:
        """Scan -> the sum of the rows that say what it is; of one scan or of all."""
        sums: dict[int, int] = defaultdict(int)
        for version, query in _OF_SCANS.items():
            key = "id" if version == 1 else "scan"
            rows = self._connection.execute(
                query if scan is None else f"{query} WHERE {key} = {scan:d}"
            )
            for row in rows:
                sums[row[0]] += of_texts(version, *row)
        return sums

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        """What is read within is of one moment, whatever other processes write."""
        with translated(self.path):
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")


def _sum(rows: Iterable[tuple[object, ...]]) -> int:
    return sum(of_texts(*row) for row in rows)
