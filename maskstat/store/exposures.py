"""Exposures in the store: what a recipe makes of each mask, a row a mask.

Rows are kept under the digest of recipe and classes. Who writes counts of a mask anew drops its
rows here, so that a row is of the pixels that were counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from maskstat.naming import natural_key
from maskstat.store.connection import Connected, translated
from maskstat.store.records import Failure, ScanInfo
from maskstat.store.schema import EXPOSURES


class ExposedMask(NamedTuple):
    """A mask on its way into an exposure.

    Attributes:
        name: the mask.
        size, stamp: the mark of its content, as in `StoredMask`.
        crops: how many were drawn.
        content: what the recipe makes of it, as bytes that this room does not look into.
        reason: why there is none.
    """

    name: str
    size: int
    stamp: int | str
    crops: int
    content: bytes | None
    reason: str | None = None


class KeptExposures(Connected):
    """The part of a store that keeps exposures; all methods raise StoreError."""

    def _exposure_id(self, scan: ScanInfo, digest: str) -> int | None:
        if self.version < EXPOSURES:
            return None
        row = self._connection.execute(
            "SELECT id FROM exposure WHERE scan = ? AND digest = ?", (scan.id, digest)
        ).fetchone()
        return None if row is None else int(row[0])

    def exposures(self, scan: ScanInfo) -> list[tuple[str, str]]:
        """(digest, recipe as JSON) of all exposures of a scan that were begun, the latest first."""
        if self.version < EXPOSURES:
            return []
        with translated(self.path):
            return self._connection.execute(
                "SELECT digest, recipe FROM exposure WHERE scan = ? ORDER BY id DESC", (scan.id,)
            ).fetchall()

    def keep_exposed(
        self, scan: ScanInfo, digest: str, recipe: str, masks: Sequence[ExposedMask]
    ) -> int:
        """Commit masks, in place of what was kept of them; how many of them have changed.

        Of a mask whose counts are of another content nothing is kept.
        """
        changed = 0
        with self._transaction():
            execute = self._connection.execute
            execute(
                "INSERT OR IGNORE INTO exposure (scan, digest, recipe) VALUES (?, ?, ?)",
                (scan.id, digest, recipe),
            )
            exposure = self._exposure_id(scan, digest)
            for mask in masks:
                counted = execute(
                    "SELECT 1 FROM mask WHERE scan = ? AND name = ? AND size = ? AND stamp = ?",
                    (scan.id, mask.name, mask.size, mask.stamp),
                ).fetchone()
                if counted is None:
                    changed += 1
                    continue
                row = (exposure, mask.name, mask.crops, mask.content, mask.reason)
                execute("REPLACE INTO exposed_mask VALUES (?, ?, ?, ?, ?)", row)
        return changed

    def exposed(self, scan: ScanInfo, digest: str) -> dict[str, int]:
        """Name -> crops that were drawn, of the masks that are kept."""
        with translated(self.path):
            return dict(
                self._connection.execute(
                    "SELECT name, crops FROM exposed_mask WHERE exposure = ?",
                    (self._exposure_id(scan, digest),),
                )
                if self.version >= EXPOSURES
                else ()
            )

    def exposed_masks(self, scan: ScanInfo, digest: str) -> Iterator[tuple[str, bytes]]:
        """(name, content) of the masks that have one, in natural order."""
        exposure = self._exposure_id(scan, digest)
        with translated(self.path):
            names = [
                name
                for (name,) in self._connection.execute(
                    "SELECT name FROM exposed_mask WHERE exposure = ? AND content IS NOT NULL",
                    (exposure,),
                )
            ]
            names.sort(key=natural_key)
            for name in names:
                row = self._connection.execute(
                    "SELECT content FROM exposed_mask WHERE exposure = ? AND name = ?",
                    (exposure, name),
                ).fetchone()
                if row is not None:  # else it has changed meanwhile
                    yield name, row[0]

    def not_exposed(self, scan: ScanInfo, digest: str) -> list[Failure]:
        """Masks that count, and of which the recipe makes nothing, with the reason."""
        with translated(self.path):
            rows = self._connection.execute(
                "SELECT name, reason FROM exposed_mask WHERE exposure = ? AND content IS NULL",
                (self._exposure_id(scan, digest),),
            ).fetchall()
        return [Failure(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]

    def _unexpose(self, scan: ScanInfo, names: Iterable[str]) -> None:
        """Within a transaction: drop what is kept of these masks."""
        if self.version < EXPOSURES:
            return
        found = self._connection.execute("SELECT id FROM exposure WHERE scan = ?", (scan.id,))
        kept = [exposure for (exposure,) in found.fetchall()]
        self._connection.executemany(
            "DELETE FROM exposed_mask WHERE exposure = ? AND name = ?",
            [(exposure, name) for exposure in kept for name in names],
        )

    def _forget_exposures(self, scan: ScanInfo) -> None:
        """Within a transaction: drop all exposures of a scan."""
        if self.version < EXPOSURES:
            return
        self._connection.execute(
            "DELETE FROM exposed_mask WHERE exposure IN (SELECT id FROM exposure WHERE scan = ?)",
            (scan.id,),
        )
        self._connection.execute("DELETE FROM exposure WHERE scan = ?", (scan.id,))
