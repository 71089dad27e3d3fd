"""Masks named one by one: a single file, a glob pattern, paths from Python."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from maskstat.errors import SourceError
from maskstat.naming import natural_key, printable, storable
from maskstat.sources.base import (
    BrokenEntry,
    Entry,
    FileEntry,
    LocalSource,
    Selection,
    Source,
    SourceKind,
)
from maskstat.sources.local.detached import header_entry
from maskstat.sources.local.folders import FolderSource, StoreEntry, is_store, store_entry
from maskstat.sources.locations import fits, is_url, listed_at


@dataclass
class SingleSource(LocalSource):
    """One mask; whatever its suffix, its first bytes decide what it is."""

    def entries(self) -> Iterator[Entry]:
        """The one entry."""
        yield file_entry(self.path, os.path.basename(self.path.rstrip("/" + os.sep)))


@dataclass
class GlobSource(Source):
    """All files that a pattern matches; `**` crosses folders, hidden files are skipped."""

    pattern: str
    selection: Selection

    @property
    def default_name(self) -> str:
        """The name of the folder above the first wildcard."""
        return storable(Path(self._root()).resolve().name or "masks")

    @property
    def location(self) -> str:
        """The absolute pattern."""
        return storable(os.path.abspath(self.pattern))

    def _fixed(self) -> tuple[str, ...]:
        """The parts of the pattern above its first wildcard."""
        parts = Path(self.pattern).parts[:-1]
        return tuple(takewhile(lambda part: not glob.has_magic(part), parts))

    def _root(self) -> str:
        return os.path.join(*self._fixed()) if self._fixed() else os.curdir

    def entries(self) -> Iterator[Entry]:
        """Matching files; a suffix in the pattern is the user's word that these are masks."""
        self._begin()
        suffix = os.path.splitext(self.pattern)[1]
        takes = self.selection.takes
        if suffix and not glob.has_magic(suffix):
            takes = self.selection.takes_named
        wildcards = Path(self.pattern).parts[len(self._fixed()) :]
        for entry in self._across(wildcards) if "**" in wildcards else self._level():
            if takes(entry.name) or entry.name.endswith("/"):
                self._meet(entry.name)
                yield entry
            else:
                self._skipped += 1

    def _across(self, wildcards: Sequence[str]) -> Iterator[Entry]:
        """Matches of a pattern with `**`; `glob` would follow links round in circles."""
        for entry in FolderSource(self._root(), Selection(include=("*",))).entries():
            # A folder that can't be listed may hold matches: it is one entry, which fails.
            if entry.name.endswith("/") or fits(entry.name.split("/"), wildcards):
                yield entry

    def _level(self) -> Iterator[Entry]:
        """Matches at a fixed depth, each file under the first of its names."""
        real = cache(os.path.realpath)
        seen: set[str] = set()
        for path in sorted(glob.glob(self.pattern), key=natural_key):
            place = os.path.join(real(os.path.dirname(path)), os.path.basename(path))
            if place not in seen and (is_store(path) or not os.path.isdir(path)):
                seen.add(place)
                yield file_entry(path, os.path.relpath(path, self._root()).replace(os.sep, "/"))


@dataclass
class PathsSource(Source):
    """Paths of masks, each of them one, whatever their suffixes; named from the deepest folder.

    A path that is given twice counts once, also where it is written in two ways.
    """

    paths: Sequence[str]
    selection: Selection

    def __post_init__(self) -> None:
        if not self.paths:
            raise SourceError("the list of paths is empty")
        for path in self.paths:
            if is_url(path):
                raise SourceError(
                    "is a URL, and a list is of paths",
                    where=printable(storable(path)),
                    remedy="write them into a .txt, one a line",
                )
        self.paths = sorted(set(map(os.path.abspath, self.paths)), key=natural_key)

    @property
    def default_name(self) -> str:
        """The name of the deepest folder that all are in."""
        return storable(os.path.basename(self._base()) or "masks")

    @property
    def location(self) -> str:
        """The deepest folder that all are in, marked: not all of it is meant."""
        return listed_at(storable(self._base()))

    def _base(self) -> str:
        try:
            return os.path.commonpath(map(os.path.dirname, self.paths))
        except ValueError:  # on several drives
            return ""

    def entries(self) -> Iterator[Entry]:
        """One entry a path."""
        self._begin()
        base = self._base()
        for path in self.paths:
            name = (os.path.relpath(path, base) if base else path).replace(os.sep, "/")
            if self.selection.takes_named(name):
                self._meet(name)
                yield file_entry(path, name)
            else:
                self._skipped += 1


def file_entry(path: str, name: str) -> FileEntry | StoreEntry | BrokenEntry:
    """The entry of a file that somebody named."""
    if "\0" in path:  # which no file system has
        name = storable(printable(name))
        return BrokenEntry(name, printable(path), reason="a zero byte in its name")
    try:
        status = os.stat(path)
        if is_store(path) and os.path.isdir(path):
            return store_entry(path, name)
    except OSError:  # reading it will say what is wrong
        return FileEntry(storable(name), path, 0, 0)
    return header_entry(FileEntry(storable(name), path, status.st_size, status.st_mtime_ns))


SINGLE = SourceKind(
    takes=lambda given: given.is_file or given.is_folder,  # one that is a store of chunks
    open=lambda given, _: SingleSource(given.text),
)
PATTERN = SourceKind(
    takes=lambda given: given.is_pattern,
    open=lambda given, selection: GlobSource(given.text, selection),
)
