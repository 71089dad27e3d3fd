"""The files that a path, a URL or a pattern stands for, wherever they are, and sources of them."""

from __future__ import annotations

import glob
import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import ClassVar

from maskstat.errors import MaskError, SourceError
from maskstat.naming import natural_key, printable, storable
from maskstat.sources.base import REMOTE_READS, BrokenEntry, Entry, Selection, Source
from maskstat.sources.blobs import Blob, LocalBlob, Shard
from maskstat.sources.locations import (
    TIMEOUT,
    expand_braces,
    fixed_folder,
    is_url,
    last_part,
    location_of,
    no_shards,
    shards_name,
)
from maskstat.sources.reading_ahead import read_ahead


def open_blob(where: str, timeout: float = TIMEOUT) -> Blob:
    """The one file at a path or URL. Raises MaskError where there is none."""
    if is_url(where):
        from maskstat.sources.remote import objects

        return objects.open_blob(where, timeout)
    return LocalBlob.at(where)


def find_shards(where: str, timeout: float = TIMEOUT) -> list[Shard]:
    """The files that a path, a glob or a pattern with braces stands for, in natural order.

    A file that braces name and that is not there is among them, and fails when it is opened.

    Raises:
        SourceError: there is none at all.
    """
    if is_url(where):
        from maskstat.sources.remote import objects

        return objects.find_shards(where, timeout)
    if os.path.isfile(where):
        return [Shard("", where, partial(LocalBlob.at, where))]
    found: set[str] = set()
    for pattern in expand_braces(where):
        if glob.has_magic(pattern):
            found.update(p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p))
        else:
            found.add(pattern)
    if not any(map(os.path.exists, found)):
        raise no_shards(where)
    root = fixed_folder(where)
    return [
        Shard(
            f"{storable(os.path.relpath(path, root or os.curdir).replace(os.sep, '/'))}/",
            path,
            partial(LocalBlob.at, path),
        )
        for path in sorted(found, key=natural_key)
    ]


@dataclass
class ShardedSource(Source):
    """Masks in one file that holds many, or in all that a glob or a pattern with braces names.

    Of several files, each one's path is part of its masks' names, and one that can't be read is one
    entry, which fails.
    """

    where: str
    selection: Selection
    timeout: float = TIMEOUT
    _refused: list[tuple[Shard, SourceError]] = field(default_factory=list, init=False, repr=False)

    suffixes: ClassVar[tuple[str, ...]]
    """Of such files."""

    def __post_init__(self) -> None:
        self.reads = REMOTE_READS if is_url(self.where) else None

    @property
    def default_name(self) -> str:
        """The file's stem, or the name of the folder above the first wildcard."""
        return shards_name(self.where, self.suffixes)

    @property
    def location(self) -> str:
        """The absolute path or pattern, or the URL without passwords."""
        return location_of(self.where)

    def entries(self) -> Iterator[Entry]:
        """One entry a mask. Raises SourceError where there is nothing to read at all."""
        self._begin()
        self._refused = []
        shards = self._shards()
        threads = min(len(shards), self._threads())
        tracks = map(self._read, shards)
        for entry in (
            read_ahead(tracks, threads=threads) if threads else chain.from_iterable(tracks)
        ):
            if entry is None:
                self._skipped += 1
            else:
                self._meet(entry.name)
                yield entry
        # Last, and none where it is the options that are wrong: then no scan should begin.
        if shards and len(self._refused) == len(shards):
            errors = [error for _, error in self._refused]
            raise min(errors, key=lambda error: natural_key(error.where or ""))
        for shard, error in self._refused:
            reason = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
            yield BrokenEntry(shard_name(shard), location_of(shard.where), reason=reason)

    def _shards(self) -> list[Shard]:
        """The files. Raises SourceError where there is none at all."""
        return find_shards(self.where, self.timeout)

    def _read(self, shard: Shard) -> Iterator[Entry | None]:
        """What one file holds, and one entry for what can't be read of it."""
        found = False
        try:
            for entry in self._masks(shard):
                found = True
                yield entry
        except MaskError as error:
            if not found and not shard.prefix:
                where = printable(self.location)
                raise SourceError(error.problem, where=where, remedy=error.remedy) from error
            name = shard_name(shard)
            yield BrokenEntry(name, location_of(shard.where), reason=error.text)
        except SourceError as error:
            if not shard.prefix:
                raise
            self._refused.append((shard, error))

    @abstractmethod
    def _threads(self) -> int:
        """How many files are read ahead at once; none where listing them costs nothing."""

    @abstractmethod
    def _masks(self, shard: Shard) -> Iterator[Entry | None]:
        """One entry a mask, None for what is none. Raises MaskError where it can't be read on."""


def shard_name(shard: Shard) -> str:
    """What a file among others is called, or the only one."""
    return shard.prefix.rstrip("/") or storable(last_part(shard.where))
