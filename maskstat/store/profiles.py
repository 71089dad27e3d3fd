"""Pixel profiles in the store: blocks of masks whose measurements are kept added up.

A block is the profile of about a thousand masks, as bytes that this room does not look into. What
it is a sum of is known by name, so a mask that changes or goes takes its block with it; the
block's other masks count as not measured until somebody measures them again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from maskstat.errors import StoreError
from maskstat.naming import natural_key
from maskstat.store.connection import translated
from maskstat.store.records import Failure, ScanInfo
from maskstat.store.rows import COLUMNS, opened
from maskstat.store.sealing import ROWS, Sealed


class MeasuredMask(NamedTuple):
    """A mask on its way into a profile.

    Attributes:
        name: the mask.
        size, stamp: the mark of its content, as in `StoredMask`.
        reason: why it is left out of the profile; None where it was measured.
    """

    name: str
    size: int
    stamp: int | str
    reason: str | None = None


class ProfileKey(NamedTuple):
    """Which profile: of a scan, under the catalogue of this digest, on a grid of cells."""

    scan: ScanInfo
    digest: str
    grid: int


class KeptProfiles(Sealed):
    """The part of a store that keeps profiles; all methods raise StoreError."""

    def _profile_id(self, key: ProfileKey) -> int | None:
        self._check_rows("profiles", key.scan.id)
        query = f"{ROWS['profiles']} AND digest = ? AND grid = ?"
        identity = (key.scan.id, key.digest, key.grid)
        row = self._connection.execute(query, identity).fetchone()
        return None if row is None else int(row[0])

    def profile_grids(self, scan: ScanInfo, digest: str) -> list[int]:
        """Grids that some mask was measured on under a catalogue, the finest first."""
        self._check_rows("profiles", scan.id)
        with translated(self.path):
            rows = self._connection.execute(
                "SELECT grid FROM profile NOT INDEXED WHERE scan = ? AND digest = ?"
                " ORDER BY grid DESC",
                (scan.id, digest),
            ).fetchall()
        return [grid for (grid,) in rows]

    def keep_block(self, key: ProfileKey, masks: Sequence[MeasuredMask], content: bytes) -> bool:
        """Commit the profile of those masks that have no reason to be left out.

        Returns:
            whether it was kept. It is not where one of the masks has changed, is gone or was
            measured by somebody else meanwhile.
        """
        with self._transaction():
            execute = self._connection.execute
            profile = self._profile_begun(key)
            for mask in masks:
                counted = execute(
                    "SELECT 1 FROM mask WHERE scan = ? AND name = ? AND size = ? AND stamp = ?",
                    (key.scan.id, mask.name, mask.size, mask.stamp),
                ).fetchone()
                known = execute(
                    "SELECT 1 FROM profile_mask WHERE profile = ? AND name = ?",
                    (profile, mask.name),
                ).fetchone()
                if counted is None or known is not None:
                    return False
            block = None
            if any(mask.reason is None for mask in masks):
                block = execute(
                    "INSERT INTO profile_block (profile, content) VALUES (?, ?)", (profile, content)
                ).lastrowid
            rows = [
                (mask.name, block if mask.reason is None else None, mask.reason) for mask in masks
            ]
            self._add_profile_rows(profile, rows)
            self._revise_profile(profile)
        return True

    def _profile_begun(self, key: ProfileKey) -> int:
        """Within a transaction: the profile's id, of an empty one where there was none."""
        profile = self._profile_id(key)
        if profile is None:
            profile = self._connection.execute(
                "INSERT INTO profile (scan, digest, grid, revision) VALUES (?, ?, ?, 0)",
                (key.scan.id, key.digest, key.grid),
            ).lastrowid
            assert profile is not None
            self._keep_sum("profile", profile, 0)
            self._add_to_sum("profiles", key.scan.id, new=[(profile, key.digest, key.grid)])
        return profile

    def _add_profile_rows(
        self, profile: int, rows: Sequence[tuple[str, int | None, str | None]]
    ) -> None:
        """Within a transaction: (name, block, reason) of masks that the profile knows now."""
        self._connection.executemany(
            f"INSERT INTO profile_mask (profile, name, block, reason) VALUES ({profile}, ?, ?, ?)",
            rows,
        )
        self._add_to_sum("profile", profile, new=rows)

    def _revise_profile(self, profile: int | None) -> None:
        self._connection.execute(
            "UPDATE profile SET revision = revision + 1, total = NULL WHERE id = ?", (profile,)
        )

    def measured(self, key: ProfileKey) -> set[str]:
        """Names of the masks that need no measuring: measured, or left out for good."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                return set()
            self._check_rows("profile", profile)
            query = "SELECT name FROM profile_mask WHERE profile = ?"
            return {name for (name,) in self._connection.execute(query, (profile,))}

    def unmeasured(self, key: ProfileKey) -> int:
        """How many of the counted masks still need measuring."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                query = "SELECT count(*) FROM mask WHERE scan = ?"
                return int(self._connection.execute(query, (key.scan.id,)).fetchone()[0])
            self._check_rows("profile", profile)
            rows = self._connection.execute(
                f"SELECT {COLUMNS} FROM mask WHERE scan = ? AND NOT EXISTS"
                " (SELECT 1 FROM profile_mask WHERE profile = ? AND profile_mask.name = mask.name)",
                (key.scan.id, profile),
            )
            with self.checked():  # a name that has changed is no mask without a measurement
                return sum(1 for _ in opened(rows))

    def left_out(self, key: ProfileKey) -> list[Failure]:
        """Masks that are counted but not measured, with the reason, in natural order."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                return []
            self._check_rows("profile", profile)
            rows = self._connection.execute(
                "SELECT name, reason FROM profile_mask WHERE profile = ? AND block IS NULL",
                (profile,),
            ).fetchall()
        return [Failure(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]

    def blocks(self, key: ProfileKey) -> Iterator[bytes]:
        """The blocks of a profile; their sum is the profile of all that was measured."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                return
            self._check_rows("profile", profile)
            revision, found = self.profile_revision(key), 0
            query = "SELECT count(DISTINCT block) FROM profile_mask WHERE profile = ?"
            (expected,) = self._connection.execute(query, (profile,)).fetchone()
            query = "SELECT content FROM profile_block WHERE profile = ? ORDER BY id"
            for (content,) in self._connection.execute(query, (profile,)):
                found += 1
                yield content
        with self.checked():
            if found != expected and revision == self.profile_revision(key):
                raise ValueError("blocks that are gone")

    def profile_revision(self, key: ProfileKey) -> int:
        """A number that grows with every change to a profile's blocks; -1 where there is none."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                return -1
            query = "SELECT revision FROM profile WHERE id = ?"
            return int(self._connection.execute(query, (profile,)).fetchone()[0])

    def profile_total(self, key: ProfileKey) -> bytes | None:
        """The sum of the blocks, where it was kept and is still true."""
        with translated(self.path):
            profile = self._profile_id(key)
            if profile is None:
                return None
            query = "SELECT total FROM profile WHERE id = ?"
            content: bytes | None = self._connection.execute(query, (profile,)).fetchone()[0]
            return content

    def keep_profile_total(self, key: ProfileKey, content: bytes, revision: int) -> None:
        """Keep the sum of the blocks of this revision.

        A store that can't be written does without: it is only kept for speed.
        """
        with contextlib.suppress(StoreError), self._transaction():
            self._connection.execute(
                "UPDATE profile SET total = ? WHERE id = ? AND revision = ?",
                (content, self._profile_id(key), revision),
            )

    def _unmeasure(self, scan: ScanInfo, names: Iterable[str]) -> None:
        """Within a transaction: drop what was measured of these masks, and their blocks whole."""
        execute = self._connection.execute
        for profile, *_ in execute(ROWS["profiles"], (scan.id,)).fetchall():
            query = f"{ROWS['profile']} AND name = ?"
            found = [
                row
                for name in names
                if (row := execute(query, (profile, name)).fetchone()) is not None
            ]
            if not found:
                continue
            alone = [row for row in found if row[1] is None]
            for block in {block for _, block, _ in found} - {None}:
                query = "SELECT name, block, reason FROM profile_mask WHERE block = ?"
                self._add_to_sum("profile", profile, gone=execute(query, (block,)).fetchall())
                execute("DELETE FROM profile_mask WHERE block = ?", (block,))
                execute("DELETE FROM profile_block WHERE id = ?", (block,))
            self._connection.executemany(
                "DELETE FROM profile_mask WHERE profile = ? AND name = ?",
                [(profile, name) for name, _, _ in alone],
            )
            self._add_to_sum("profile", profile, gone=alone)
            self._revise_profile(profile)

    def _forget_profiles(self, scan: ScanInfo) -> None:
        """Within a transaction: drop all profiles of a scan."""
        which = "(SELECT id FROM profile WHERE scan = ?)"
        for table in ("profile_mask", "profile_block"):
            query = f"DELETE FROM {table} WHERE profile IN {which}"
            self._connection.execute(query, (scan.id,))
        query = f"DELETE FROM checksum WHERE about = 'profile' AND id IN {which}"
        self._connection.execute(query, (scan.id,))
        self._keep_sum("profiles", scan.id, 0)
        self._connection.execute("DELETE FROM profile WHERE scan = ?", (scan.id,))
