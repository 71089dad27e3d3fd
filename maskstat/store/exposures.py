"""Exposures in the store: what a recipe makes of each mask, a row a mask.

Rows are kept under the digest of recipe and classes. Who writes counts of a mask anew drops its
rows here, so that a row is of the pixels that were counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from maskstat.naming import natural_key
from maskstat.store.connection import translated
from maskstat.store.records import Failure, ScanInfo
from maskstat.store.sealing import ROWS, Sealed

_REPLACE = "REPLACE INTO exposed_mask VALUES (?, ?, ?, ?, ?, ?, ?)"
_ORDER = (
    "{0}.content IS NULL, -{0}.presence, -{0}.crops, {0}.drawn,"
    " coalesce({0}.content, ''), coalesce({0}.reason, '')"
)
_TAKE_BETTER = (
    "INSERT INTO exposed_mask SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS"
    " (SELECT 1 FROM mask WHERE scan = ? AND name = ? AND size = ? AND stamp = ?)"
    " ON CONFLICT (exposure, name) DO UPDATE SET crops = excluded.crops,"
    " presence = excluded.presence, drawn = excluded.drawn, content = excluded.content,"
    " reason = excluded.reason"
    f" WHERE ({_ORDER.format('excluded')}) < ({_ORDER.format('exposed_mask')})"
)


class ExposedMask(NamedTuple):
    """A mask on its way into an exposure.

    Attributes:
        name: the mask.
        size, stamp: the mark of its content, as in `StoredMask`.
        crops: how many were drawn; 0 where it is worth another try.
        presence: whether the exact chances of classes are among it.
        drawn: the name that decided its crops; what it was called before scans were merged.
        content: what the recipe makes of it, as bytes that this room does not look into.
        reason: why there is none.
    """

    name: str
    size: int
    stamp: int | str
    crops: int
    presence: bool
    drawn: str
    content: bytes | None
    reason: str | None = None


class KnownMask(NamedTuple):
    """What is there of a mask: `crops`, `presence` and `drawn` as in `ExposedMask`."""

    crops: int
    presence: bool
    drawn: str
    left_out: bool


class KeptExposures(Sealed):
    """The part of a store that keeps exposures; all methods raise StoreError."""

    def _exposure_id(self, scan: ScanInfo, digest: str) -> int | None:
        self._check_rows("exposures", scan.id)
        query = f"{ROWS['exposures']} AND digest = ?"
        row = self._connection.execute(query, (scan.id, digest)).fetchone()
        return None if row is None else int(row[0])

    def exposures(self, scan: ScanInfo) -> list[tuple[str, str]]:
        """(digest, recipe as JSON) of all exposures of a scan that were begun, the latest first."""
        self._check_rows("exposures", scan.id)
        with translated(self.path):
            rows = self._connection.execute(f"{ROWS['exposures']} ORDER BY id DESC", (scan.id,))
            return [(digest, recipe) for _, digest, recipe in rows]

    def keep_exposed(
        self, scan: ScanInfo, digest: str, recipe: str, masks: Sequence[ExposedMask]
    ) -> list[str]:
        """Commit masks, in place of what was kept of them; names of those that have changed.

        Of a mask whose counts are of another content nothing is kept.
        """
        if not masks:
            return []
        changed: list[str] = []
        with self._transaction():
            exposure = self._exposure_of(scan, digest, recipe)
            for mask in masks:
                counted = self._connection.execute(
                    "SELECT 1 FROM mask WHERE scan = ? AND name = ? AND size = ? AND stamp = ?",
                    (scan.id, mask.name, mask.size, mask.stamp),
                ).fetchone()
                if counted is None:
                    changed.append(mask.name)
                    continue
                self._write_row(exposure, mask.name, _REPLACE, (exposure, mask.name, *mask[3:]))
        return changed

    def _write_row(
        self, exposure: int | None, name: str, statement: str, parameters: Sequence[object]
    ) -> None:
        """Within a transaction: what changes the row of a mask."""
        query, which = f"{ROWS['exposure']} AND name = ?", (exposure, name)
        gone = self._connection.execute(query, which).fetchall()
        self._connection.execute(statement, parameters)
        new = self._connection.execute(query, which).fetchall()
        self._add_to_sum("exposure", exposure, new=new, gone=gone)

    def _exposure_of(self, scan: ScanInfo, digest: str, recipe: str) -> int | None:
        """Within a transaction: where the masks of an exposure go. Nowhere without its scan."""
        exposure = self._exposure_id(scan, digest)
        if exposure is None:
            added = self._connection.execute(
                "INSERT INTO exposure (scan, digest, recipe) SELECT id, ?, ? FROM scan"
                " WHERE id = ?",
                (digest, recipe, scan.id),
            )
            if added.rowcount == 1:
                exposure = added.lastrowid
                self._keep_sum("exposure", exposure, 0)
                self._add_to_sum("exposures", scan.id, new=[(exposure, digest, recipe)])
        return exposure

    def exposed(self, scan: ScanInfo, digest: str) -> dict[str, KnownMask]:
        """What is there of each mask, by its name."""
        query = (
            "SELECT name, crops, presence, drawn, content IS NULL FROM exposed_mask"
            " WHERE exposure = ?"
        )
        with translated(self.path):
            exposure = self._exposure_id(scan, digest)
            self._check_rows("exposure", exposure)
            rows = self._connection.execute(query, (exposure,))
            return {
                name: KnownMask(crops, bool(presence), drawn, bool(left_out))
                for name, crops, presence, drawn, left_out in rows
            }

    def exposed_masks(
        self, scan: ScanInfo, digest: str, names: Iterable[str]
    ) -> Iterator[tuple[str, str, bytes]]:
        """(name, the name that decided its crops, content) of those of these that have one."""
        exposure = self._exposure_id(scan, digest)
        self._check_rows("exposure", exposure)
        query = (
            "SELECT drawn, content FROM exposed_mask"
            " WHERE exposure = ? AND name = ? AND content IS NOT NULL"
        )
        with translated(self.path):
            for name in names:
                row = self._connection.execute(query, (exposure, name)).fetchone()
                if row is not None:  # else it has changed meanwhile
                    yield name, *row

    def not_exposed(self, scan: ScanInfo, digest: str) -> list[Failure]:
        """Masks that count, and of which the recipe makes nothing, with the reason."""
        with translated(self.path):
            exposure = self._exposure_id(scan, digest)
            self._check_rows("exposure", exposure)
            rows = self._connection.execute(
                "SELECT name, reason FROM exposed_mask WHERE exposure = ? AND content IS NULL",
                (exposure,),
            ).fetchall()
        return [Failure(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]

    def _unexpose(self, scan: ScanInfo, names: Iterable[str]) -> None:
        """Within a transaction: drop what is kept of these masks."""
        execute = self._connection.execute
        for exposure, *_ in execute(ROWS["exposures"], (scan.id,)).fetchall():
            query = f"{ROWS['exposure']} AND name = ?"
            gone = [row for name in names for row in execute(query, (exposure, name)).fetchall()]
            self._connection.executemany(
                "DELETE FROM exposed_mask WHERE exposure = ? AND name = ?",
                [(exposure, row[0]) for row in gone],
            )
            self._add_to_sum("exposure", exposure, gone=gone)

    def _forget_exposures(self, scan: ScanInfo) -> None:
        """Within a transaction: drop all exposures of a scan."""
        which = "(SELECT id FROM exposure WHERE scan = ?)"
        for query in (
            f"DELETE FROM exposed_mask WHERE exposure IN {which}",
            f"DELETE FROM checksum WHERE about = 'exposure' AND id IN {which}",
            "DELETE FROM exposure WHERE scan = ?",
        ):
            self._connection.execute(query, (scan.id,))
        self._keep_sum("exposures", scan.id, 0)

    def receive_exposures(
        self, scan: ScanInfo, other: KeptExposures, others: ScanInfo, new_name: Callable[[str], str]
    ) -> None:
        """Take in what is kept of another scan's masks, under the names that they have here.

        Of a mask that counts here with another content nothing is taken. Where two scans have the
        same mask, more stays: of exact chances, then of crops, then the first in order.
        """
        known = other._connection.execute
        with self._transaction(), other.checked():
            other._check_rows("exposures", others.id)
            for theirs, digest, recipe in known(
                f"{ROWS['exposures']} ORDER BY digest", (others.id,)
            ).fetchall():
                other._check_rows("exposure", theirs)
                exposure = self._exposure_of(scan, digest, recipe)
                query = (
                    "SELECT mask.name, size, stamp, crops, presence, drawn, content, reason"
                    " FROM exposed_mask AS one JOIN mask ON mask.scan = ? AND mask.name = one.name"
                    " WHERE exposure = ?"
                )
                for name, *mark, crops, presence, drawn, content, reason in known(
                    query, (others.id, theirs)
                ):
                    name = new_name(name)
                    kept = (exposure, name, crops, presence, drawn, content, reason)
                    self._write_row(exposure, name, _TAKE_BETTER, (*kept, scan.id, name, *mark))
