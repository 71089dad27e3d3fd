"""Masks in archives: .zip and .tar, plain or compressed, one or many (shards).

Nothing is unpacked to disk, and names in archives are only names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskstat.errors import MaskError, SourceError
from maskstat.naming import printable, storable
from maskstat.sources.archives.member_names import ARCHIVE_SUFFIXES, ONE_MASK_SUFFIXES
from maskstat.sources.archives.tars import tar_members
from maskstat.sources.archives.zips import zip_members
from maskstat.sources.base import REMOTE_READS, BrokenEntry, Entry, Selection, Source, SourceKind
from maskstat.sources.blobs import Shard
from maskstat.sources.locations import is_url, last_part, location_of, shards_name
from maskstat.sources.reading_ahead import read_ahead
from maskstat.sources.shards import find_shards

_THREADS = 4  # compressed archives on disk that are read at once
_REMOTE_THREADS = 8


@dataclass
class ArchiveSource(Source):
    """Masks in one archive, or in all that a glob or a pattern with braces names.

    Of several archives, each one's path is part of its masks' names, and one that can't be read is
    one entry, which fails.
    """

    where: str
    selection: Selection

    def __post_init__(self) -> None:
        self.reads = REMOTE_READS if is_url(self.where) else None

    @property
    def default_name(self) -> str:
        """The archive's stem, or the name of the folder above the first wildcard."""
        return shards_name(self.where, ARCHIVE_SUFFIXES)

    @property
    def location(self) -> str:
        """The absolute path or pattern, or the URL without passwords."""
        return location_of(self.where)

    def entries(self) -> Iterator[Entry]:
        """One entry a member. Raises SourceError where there is nothing to read at all."""
        self._begin()
        shards = find_shards(self.where)
        at_once = min(len(shards), self._threads())
        tracks = (self._members(shard) for shard in shards)
        listed = (
            read_ahead(tracks, threads=at_once)
            if at_once
            else (entry for track in tracks for entry in track)
        )
        for entry in listed:
            if entry is None:
                self._skipped += 1
            else:
                self._meet(entry.name)
                yield entry

    def _threads(self) -> int:
        """How many archives are read ahead at once; none where listing them costs nothing."""
        if is_url(self.where):
            return _REMOTE_THREADS
        return 0 if self.where.lower().endswith((".zip", ".tar")) else _THREADS

    def _members(self, shard: Shard) -> Iterator[Entry | None]:
        """What one archive holds, and one entry for what can't be read of it."""
        found = False
        try:
            zipped = shard.where.partition("?")[0].lower().endswith(".zip")
            members = zip_members if zipped else tar_members
            for entry in members(shard.open(), shard.prefix, self.selection):
                found = True
                yield entry
        except MaskError as error:
            if not found and not shard.prefix:
                raise SourceError(error.problem, where=printable(self.location)) from error
            name = shard.prefix.rstrip("/") or storable(last_part(shard.where))
            yield BrokenEntry(name, location_of(shard.where), reason=error.problem)


KIND = SourceKind(
    takes=lambda given: (
        given.ends_in(ARCHIVE_SUFFIXES)
        and not given.ends_in(ONE_MASK_SUFFIXES)
        and given.is_one_or_many
    ),
    open=lambda given, selection: ArchiveSource(given.text, selection),
)
