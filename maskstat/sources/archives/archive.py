"""Masks in archives: .zip and .tar, plain or compressed, one or many (shards).

Nothing is unpacked to disk, and names in archives are only names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from maskstat.errors import MaskError
from maskstat.sources.archives.member_names import ARCHIVE_SUFFIXES, ONE_MASK_SUFFIXES
from maskstat.sources.archives.samples import patterns_of_masks
from maskstat.sources.archives.tars import tar_members
from maskstat.sources.archives.zips import zip_members
from maskstat.sources.base import Entry, SourceKind
from maskstat.sources.blobs import Shard
from maskstat.sources.locations import ends_in, is_url
from maskstat.sources.shards import ShardedSource

_THREADS = 4  # compressed archives on disk that are read at once
_REMOTE_THREADS = 8


class ArchiveSource(ShardedSource):
    """Masks in archives."""

    suffixes = ARCHIVE_SUFFIXES

    def __post_init__(self) -> None:
        super().__post_init__()
        # A zip has a directory; the members of a tar are found by reading all of it.
        self.lists_fast = self.where.lower().endswith(".zip")

    def _threads(self) -> int:
        if is_url(self.where):
            return _REMOTE_THREADS
        return 0 if self.where.lower().endswith((".zip", ".tar")) else _THREADS

    def _shards(self) -> list[Shard]:
        """All files; of a tar of samples, masks are decided by the first of them."""
        shards = super()._shards()
        chosen = self.selection.include or self.selection.exclude
        if shards and not chosen and not ends_in(shards[0].where, (".zip",)):
            every = replace(self.selection, split=None)
            with suppress(MaskError):  # listing it says so
                members = tar_members(shards[0].open(), shards[0].prefix, every)
                include, *exclude = patterns_of_masks(members, self.location) or ("",)
                if include:
                    self.only = include
                    self.selection = replace(
                        self.selection, include=(include,), exclude=tuple(exclude)
                    )
        return shards

    def _masks(self, shard: Shard) -> Iterator[Entry | None]:
        members = zip_members if ends_in(shard.where, (".zip",)) else tar_members
        return members(shard.open(), shard.prefix, self.selection)


KIND = SourceKind(
    takes=lambda given: (
        given.ends_in(ARCHIVE_SUFFIXES)
        and not given.ends_in(ONE_MASK_SUFFIXES)
        and given.is_one_or_many
    ),
    open=lambda given, selection: ArchiveSource(given.text, selection, given.timeout),
)
