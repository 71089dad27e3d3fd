"""Masks from stores into another one, as they are stored: nothing is decoded."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from maskstat.store.connection import translated
from maskstat.store.profiles import KeptProfiles, ProfileKey
from maskstat.store.records import Failure, ScanInfo
from maskstat.store.rows import COLUMNS, MaskRow, opened, sealed
from maskstat.store.sealing import ROWS

_PROFILE_ROWS = 8192  # that are copied at once
_CACHE_KIB = 512  # of each store that is read: rows come in order, and there may be many stores


class Naming(NamedTuple):
    """What masks are called in the store that they go into.

    Attributes:
        prefix: what their names get in front.
        rename: what makes new names of others; None where the prefix does.
    """

    prefix: str
    rename: Callable[[str], str] | None = None

    def __call__(self, name: str) -> str:
        """The new name."""
        return self.prefix + name if self.rename is None else self.rename(name)


class Copied(KeptProfiles):
    """The part of a store that hands out and takes in stored rows; raises StoreError."""

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all that is read was true at one moment."""
        with translated(self.path):
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def sample(self, scan: ScanInfo) -> tuple[str | None, bool]:
        """Some name of a scan's masks, counted or failed, and whether it is the only one."""
        with translated(self.path):
            rows = [
                self._connection.execute(
                    f"SELECT name FROM {table} WHERE scan = ? LIMIT 2", (scan.id,)
                ).fetchall()
                for table in ("mask", "failure")
            ]
        names = {str(name) for (name,) in chain(*rows)}
        return min(names, default=None), len(names) == 1

    def has_paths(self, scan: ScanInfo, *, also_urls: bool) -> bool:
        """Whether a mask's name begins like an absolute path or with ".", or is perhaps a URL."""
        with translated(self.path):
            begins = "(name >= '.' AND name < '0')"
            if also_urls:
                begins += " OR name GLOB '*[:\\]*'"
            query = f"SELECT EXISTS (SELECT 1 FROM mask WHERE scan = ? AND ({begins}))"
            return bool(self._connection.execute(query, (scan.id,)).fetchone()[0])

    def rows(self, scan: ScanInfo, naming: Naming) -> Iterator[MaskRow]:
        """The masks of a scan under their new names, in the order of these."""
        with translated(self.path):
            order = "name"
            if naming.rename is not None:
                order = f"renamed_{scan.id}(name)"
                function = order.removesuffix("(name)")
                self._connection.create_function(function, 1, naming.rename, deterministic=True)
            query = f"SELECT {COLUMNS} FROM mask WHERE scan = ? ORDER BY {order}"
            with self.checked():
                for row in opened(self._connection.execute(query, (scan.id,))):
                    yield (naming(row[0]), *row[1:])

    def failed(self, scan: ScanInfo, naming: Naming) -> Iterator[Failure]:
        """The failures of a scan, under the names that their masks get."""
        with translated(self.path):
            self._check_rows("failure", scan.id)
            for name, reason in self._connection.execute(ROWS["failure"], (scan.id,)):
                yield Failure(naming(name), reason)

    def unguarded(self) -> None:
        """Write without waiting for the disk: for a file that nobody uses before it is whole."""
        with translated(self.path):
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute("PRAGMA journal_mode = MEMORY")

    def receive(self, scan: ScanInfo, rows: Iterable[MaskRow], failures: Iterable[Failure]) -> None:
        """Take masks and failures into a scan that is empty; a mask that counts is no failure.

        Of several reasons why a mask failed, the first in order of the alphabet is kept.
        """
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO mask (scan, name, size, stamp, height, width, encoding, form, tally)"
                f" VALUES ({scan.id}, ?, ?, ?, ?, ?, ?, ?, ?)",
                sealed(rows),
            )
            self._connection.executemany(
                f"INSERT INTO failure (scan, name, reason) VALUES ({scan.id}, ?, ?)"
                " ON CONFLICT (scan, name) DO UPDATE SET reason = min(reason, excluded.reason)",
                ((failure.mask, failure.text) for failure in failures),
            )
            self._connection.execute(
                "DELETE FROM failure WHERE scan = :scan AND EXISTS"
                " (SELECT 1 FROM mask WHERE mask.scan = :scan AND mask.name = failure.name)",
                {"scan": scan.id},
            )

    def profile_digests(self, scan: ScanInfo) -> set[str]:
        """Digests of the catalogues under which pixels of a scan were measured."""
        self._check_rows("profiles", scan.id)
        with translated(self.path):
            query = "SELECT DISTINCT digest FROM profile NOT INDEXED WHERE scan = ?"
            return {str(digest) for (digest,) in self._connection.execute(query, (scan.id,))}

    def receive_profiles(
        self,
        scan: ScanInfo,
        other: Copied,
        others: ScanInfo,
        digest: str,
        prefix: str,
        renamed: Callable[[bytes], bytes],
    ) -> None:
        """Take in what was measured of another scan, whose masks this one has with a prefix.

        No mask may have been measured in two of the scans that are taken in: sums can't be taken
        apart. `renamed` puts the prefix before the names in a block.
        """
        known = other._connection.execute
        with self._transaction(), other.checked():
            for theirs, grid in known(
                "SELECT id, grid FROM profile NOT INDEXED WHERE scan = ? AND digest = ?",
                (others.id, digest),
            ).fetchall():
                other._check_rows("profile", theirs)
                own = self._profile_begun(ProfileKey(scan, digest, grid))
                blocks: dict[int | None, int | None] = {None: None}
                query = "SELECT id, content FROM profile_block WHERE profile = ? ORDER BY id"
                for block, content in known(query, (theirs,)):
                    blocks[block] = self._connection.execute(
                        "INSERT INTO profile_block (profile, content) VALUES (?, ?)",
                        (own, renamed(content)),
                    ).lastrowid
                rows = known(ROWS["profile"], (theirs,))
                while part := rows.fetchmany(_PROFILE_ROWS):
                    renamed_rows = [(prefix + name, blocks[of], why) for name, of, why in part]
                    self._add_profile_rows(own, renamed_rows)
