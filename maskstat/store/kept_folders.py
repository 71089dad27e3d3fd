"""Folders as a scan listed them, so that a later run may tell which lists of files are the same.

Only runs that trust folders write them, with the last of their commits, and every run that begins
takes them away: they never tell of masks that another run has counted, dropped or failed since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from maskstat.store.connection import translated
from maskstat.store.records import ScanInfo
from maskstat.store.sealing import ROWS, Sealed


class FolderRecord(NamedTuple):
    """A folder and what was found in it.

    Attributes:
        prefix: what the names of its masks begin with: "", or its own name and "/".
        mark: which folder it is, and its times: device, inode, mtime and ctime in ns.
        masks: how many masks are in it, all of them counted.
        skipped: how many of its files are no masks.
        folders: names of the folders in it that are walked as well.
    """

    prefix: str
    mark: tuple[int, ...]
    masks: int
    skipped: int
    folders: tuple[str, ...]


class KeptFolders(Sealed):
    """The part of a store that keeps folders; all methods raise StoreError."""

    def folders(self, scan: ScanInfo, listing: str) -> list[FolderRecord]:
        """The folders of a scan that were listed so, and all of whose masks it has.

        Args:
            listing: what decides which files of a folder are masks, and how they are read.
        """
        self._check_rows("folders", scan.id)
        with self._at_once():
            rows = self._connection.execute(ROWS["folders"], (scan.id,)).fetchall()
            query = "SELECT name FROM mask WHERE scan = ?"
            names = self._connection.execute(query, (scan.id,)) if rows else ()
            there = Counter(folder_of(name) for (name,) in names)
        with self.checked():
            return [
                FolderRecord(
                    prefix, tuple(json.loads(mark)), masks, skipped, tuple(json.loads(inner))
                )
                for prefix, listed, mark, masks, skipped, inner in rows
                if listed == listing and masks == there[prefix]
            ]

    def folders_sum(self, scan: ScanInfo) -> int | None:
        """What changes where other folders are kept; None where none are."""
        with translated(self.path):
            query = "SELECT crc FROM checksum WHERE about = 'folders' AND id = ?"
            row = self._connection.execute(query, (scan.id,)).fetchone()
        return None if row is None else int(row[0])

    def keep_folders(self, scan: ScanInfo, listing: str, folders: Iterable[FolderRecord]) -> None:
        """Within a transaction: keep these, where none are."""
        self._connection.executemany(
            f"INSERT INTO folder VALUES ({scan.id:d}, ?, ?, ?, ?, ?, ?)",
            (
                (prefix, listing, json.dumps(mark), masks, skipped, json.dumps(inner))
                for prefix, mark, masks, skipped, inner in folders
            ),
        )
        self._keep_sum_of_rows("folders", scan.id)

    def _forget_folders(self, scan: int) -> None:
        """Within a transaction: nothing is known of how its folders were listed."""
        self._connection.execute("DELETE FROM folder WHERE scan = ?", (scan,))
        self._drop_sum("folders", scan)


def folder_of(name: str) -> str:
    """What the name of a mask has in common with those of its folder: "", or "a/b/"."""
    return name[: name.rfind("/") + 1]
