"""What was found out about the masks of a scan, kept in the store for speed.

It stays as long as it is true: each has the revision of the masks that it was found in.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from maskstat.errors import StoreError
from maskstat.store import checksums
from maskstat.store.connection import translated
from maskstat.store.records import ScanInfo, Settled
from maskstat.store.sealing import Sealed
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram

# In place of a catalogue's digest, where something else than totals is kept:
MASKS = "masks"  # how many there are
_VALUES = "values and nodata"  # raw values
_SOFT = "soft masks"  # before the digest of what is ignored: what is known of these
_SETTLED = "settled"  # the values that the meaning of 255 was settled by
_KEPT_VALUES = 1 << 16


class KeptSummaries(Sealed):
    """The part of a store that keeps summaries; all methods raise StoreError."""

    def totals(self, scan: ScanInfo, catalog: ClassCatalog) -> ClassHistogram | None:
        """Totals under this catalogue, where they were kept and are still true."""
        text = self._summary(scan, catalog.digest)
        if text is None:
            return None
        with self.checked():
            return ClassHistogram.from_text(catalog, text)

    def keep_totals(self, scan: ScanInfo, histogram: ClassHistogram, revision: int) -> None:
        """Keep totals that were added up from the masks of this revision.

        A store that can't be written does without: they are only kept for speed.
        """
        with contextlib.suppress(StoreError), self._transaction():
            self._keep_totals(scan, histogram, revision)

    def _keep_totals(self, scan: ScanInfo, histogram: ClassHistogram, revision: int) -> None:
        self._keep_summary(scan, histogram.catalog.digest, revision, histogram.to_text())
        self._keep_summary(scan, MASKS, revision, str(histogram.mask_count))

    def index_values(self, scan: ScanInfo) -> tuple[set[int], set[int], set[int]] | None:
        """Raw values of index masks, where they were kept and are still true.

        Returns:
            values in masks of 8 bits a pixel, in all others, and what files call nodata.
        """
        text = self._summary(scan, _VALUES)
        if text is None:
            return None
        with self.checked():
            narrow, wide, nodata = ({int(value) for value in found} for found in json.loads(text))
        return narrow, wide, nodata

    def keep_index_values(
        self, scan: ScanInfo, values: tuple[set[int], set[int], set[int]], revision: int
    ) -> None:
        """Keep the raw values that were found in the masks of this revision, for speed only."""
        if sum(map(len, values)) > _KEPT_VALUES:
            return
        text = json.dumps([sorted(found) for found in values])
        with contextlib.suppress(StoreError), self._transaction():
            self._keep_summary(scan, _VALUES, revision, text)

    def soft_masks(self, scan: ScanInfo, digest: str) -> str | None:
        """What `keep_soft_masks` was given, where it is still true."""
        text = self._summary(scan, _SOFT + digest)
        return None if text is None else str(text)

    def keep_soft_masks(self, scan: ScanInfo, digest: str, text: str, revision: int) -> None:
        """Keep what was found out about the masks of this revision, for speed only."""
        with contextlib.suppress(StoreError), self._transaction():
            self._keep_summary(scan, _SOFT + digest, revision, text)

    def settled(self, scan: ScanInfo) -> Settled | None:
        """The values that the meaning of 255 was settled by, whatever masks came since."""
        text = self._kept(scan, _SETTLED)
        if text is None:
            return None
        with self.checked():
            return Settled(*(frozenset(map(int, values)) for values in json.loads(text)))

    def settle(self, scan: ScanInfo, values: Settled) -> None:
        """Keep them, in place of those before; a store that can't be written does without."""
        if sum(map(len, values)) > _KEPT_VALUES:
            return
        text = json.dumps([sorted(part) for part in values])
        with contextlib.suppress(StoreError), self._transaction():
            self._keep_summary(scan, _SETTLED, 0, text)

    def _kept(self, scan: ScanInfo, digest: str) -> str | None:
        """What was kept under a digest, whatever masks came since."""
        with translated(self.path):
            row = self._connection.execute(
                "SELECT totals FROM summary WHERE scan = ? AND digest = ?", (scan.id, digest)
            ).fetchone()
        if row is None:
            return None
        with self.checked():
            return checksums.opened(str(row[0]), digest, 0)

    def _summary(self, scan: ScanInfo, digest: str) -> Any:
        """What was kept under a digest, where it is still true; else None."""
        with translated(self.path):
            row = self._connection.execute(
                "SELECT totals, summary.revision FROM summary JOIN scan ON scan.id = summary.scan"
                " AND scan.revision = summary.revision WHERE scan.id = ? AND digest = ?",
                (scan.id, digest),
            ).fetchone()
        if row is None:
            return None
        with self.checked():
            return checksums.opened(str(row[0]), digest, row[1])

    def _keep_summary(self, scan: ScanInfo, digest: str, revision: int, text: str) -> None:
        """Within a transaction: keep what was found in the masks of this revision."""
        row = scan.id, digest, revision, checksums.sealed(text, digest, revision)
        self._connection.execute("REPLACE INTO summary VALUES (?, ?, ?, ?)", row)

    def _check_count(self, scan: ScanInfo, expected: str | None, found: int) -> None:
        """Raise StoreError where other masks were read than a scan has."""
        with self.checked():
            # Asked again, since another process may have changed the scan meanwhile.
            if expected not in {None, str(found)} and expected == self._summary(scan, MASKS):
                raise ValueError("rows that are gone")
