"""Masks named one by one: a single file, a glob pattern, a text list of paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maskstat.errors import SourceError
from maskstat.naming import printable, storable
from maskstat.sources import Entry, Selection

LIST_SUFFIXES = frozenset({".txt", ".lst"})


@dataclass
class SingleSource:
    """One mask; whatever its suffix, its first bytes decide what it is."""

    path: str

    @property
    def default_name(self) -> str:
        """The file's stem."""
        return storable(Path(self.path).stem)

    @property
    def location(self) -> str:
        """The absolute path."""
        return storable(str(Path(self.path).resolve()))

    def skipped(self) -> int:
        """Nothing is passed over."""
        return 0

    def entries(self) -> Iterator[Entry]:
        """The one entry."""
        yield _entry(self.path, os.path.basename(self.path))


@dataclass
class GlobSource:
    """All files that a pattern matches; `**` crosses folders, hidden files are skipped."""

    pattern: str
    selection: Selection
    _skipped: int = field(default=0, init=False)

    @property
    def default_name(self) -> str:
        """The name of the folder above the first wildcard."""
        return storable(Path(self._root()).resolve().name or "masks")

    @property
    def location(self) -> str:
        """The absolute pattern."""
        return storable(os.path.abspath(self.pattern))

    def _root(self) -> str:
        parts = Path(self.pattern).parts
        fixed = []
        for part in parts[:-1]:
            if glob.has_magic(part):
                break
            fixed.append(part)
        return os.path.join(*fixed) if fixed else os.curdir

    def skipped(self) -> int:
        """Files passed over by suffix or option."""
        return self._skipped

    def entries(self) -> Iterator[Entry]:
        """Matching files; a suffix in the pattern is the user's word that these are masks."""
        self._skipped = 0
        root = self._root()
        suffix = os.path.splitext(self.pattern)[1]
        takes = self.selection.takes
        if suffix and not glob.has_magic(suffix):
            takes = self.selection.takes_named
        seen: set[str] = set()
        for path in glob.iglob(self.pattern, recursive=True):
            name = os.path.relpath(path, root).replace(os.sep, "/")
            if name in seen or os.path.isdir(path):
                continue
            seen.add(name)
            if takes(name):
                yield _entry(path, name)
            else:
                self._skipped += 1


@dataclass
class ListSource:
    """A text file with one path a line, relative to the list's folder; "#" starts a comment.

    A path that is listed twice counts once.
    """

    path: str
    selection: Selection
    _skipped: int = field(default=0, init=False)

    @property
    def default_name(self) -> str:
        """The list's stem."""
        return storable(Path(self.path).stem)

    @property
    def location(self) -> str:
        """The absolute path of the list."""
        return storable(str(Path(self.path).resolve()))

    def skipped(self) -> int:
        """Lines passed over by option."""
        return self._skipped

    def entries(self) -> Iterator[Entry]:
        """One entry a line. Raises SourceError where the list is not text."""
        self._skipped = 0
        folder = os.path.dirname(self.path)
        seen: set[str] = set()
        for line in self._lines():
            name = line.replace("\\", "/") if os.sep == "\\" else line
            if name in seen:
                continue
            seen.add(name)
            if self.selection.takes_named(name):
                yield _entry(os.path.join(folder, line), name)
            else:
                self._skipped += 1

    def _lines(self) -> Iterator[str]:
        try:
            with open(self.path, encoding="utf-8-sig", errors="surrogateescape") as lines:
                for number, line in enumerate(lines, 1):
                    text = line.strip()
                    if "\0" in text:
                        raise SourceError(
                            f"line {number} is not text: this is no list of paths",
                            where=printable(storable(self.path)),
                        )
                    if text and not text.startswith("#"):
                        yield text
        except OSError as error:
            raise SourceError(
                f"can't be read: {error.strerror or error}", where=printable(storable(self.path))
            ) from error


def _entry(path: str, name: str) -> Entry:
    try:
        status = os.stat(path)
    except OSError:  # reading it will say what is wrong
        return Entry(storable(name), path, 0, 0)
    return Entry(storable(name), path, status.st_size, status.st_mtime_ns)
