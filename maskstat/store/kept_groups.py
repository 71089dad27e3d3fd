"""Groups in the store: the rule that tells them, and what a table says of each mask.

Where names say the group, the rule is all. The values of a table's column are kept with it, so that
groups stay what they were where the table is gone, or was merged with others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from maskstat.store.connection import translated
from maskstat.store.records import ScanInfo
from maskstat.store.sealing import ROWS, Sealed

_TABLES = ("grouping", "grouped_mask")


class KeptGroups(Sealed):
    """The part of a store that keeps groups; all methods raise StoreError."""

    def _rules(self) -> dict[int, str]:
        """Scan -> the text of its rule, where it has one."""
        return dict(self._connection.execute("SELECT scan, rule FROM grouping"))

    def group(self, scan: ScanInfo, rule: str, labels: Mapping[str, str] | None = None) -> ScanInfo:
        """Keep a rule, in place of the one before, and the values of its column by mask."""
        labels = labels or {}
        if rule == scan.group_by and labels == self.group_labels(scan):
            return scan
        with self._transaction():
            self._forget_groups(scan)
            query = "INSERT INTO grouping SELECT id, ? FROM scan WHERE id = ?"
            self._connection.execute(query, (rule, scan.id))
            rows = sorted(labels.items())
            self._connection.executemany(
                f"INSERT INTO grouped_mask VALUES ({scan.id:d}, ?, ?)", rows
            )
            self._seal_groups(scan)
        return replace(scan, group_by=rule)

    def group_labels(self, scan: ScanInfo) -> dict[str, str]:
        """What the column of the rule says of each mask, where the rule is one of a column."""
        self._check_rows("groups", scan.id)
        with translated(self.path):
            return dict(self._connection.execute(ROWS["groups"], (scan.id,)))

    def receive_groups(
        self, scan: ScanInfo, other: KeptGroups, others: ScanInfo, new_name: Callable[[str], str]
    ) -> None:
        """Take in another scan's values of the column, under the names that masks have here.

        Where two scans say something else of one mask, the first in order of the alphabet stays.
        """
        other._check_rows("groups", others.id)
        rows = other._connection.execute(ROWS["groups"], (others.id,))
        with self._transaction(), translated(other.path):
            self._connection.executemany(
                f"INSERT INTO grouped_mask VALUES ({scan.id:d}, ?, ?) ON CONFLICT (scan, name)"
                " DO UPDATE SET label = min(label, excluded.label)",
                ((new_name(name), label) for name, label in rows),
            )
            self._seal_groups(scan)

    def _seal_groups(self, scan: ScanInfo) -> None:
        """Within a transaction that changes them: keep their sum."""
        self._keep_sum_of_rows("groups", scan.id)
        self._seal(scan.id)

    def _forget_groups(self, scan: ScanInfo) -> None:
        """Within a transaction: no mask of a scan belongs to another."""
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table} WHERE scan = ?", (scan.id,))
        self._drop_sum("groups", scan.id)
