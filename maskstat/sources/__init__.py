"""Where masks come from. A source lists entries; an entry has a name and can be read.

One file a kind of source. `open_source` chooses by looking at what the user gave: a folder, a
single mask, a glob pattern, or a text list of paths. Readers know nothing of sources, and sources
nothing of formats beyond the suffixes that are worth a look.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from maskstat.errors import MaskError, SourceError
from maskstat.naming import printable, storable

MAX_IN_MEMORY = 1 << 30  # bytes of one encoded mask
# Without O_NONBLOCK, opening a named pipe would wait for ever.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class Entry(NamedTuple):
    """One candidate mask.

    Attributes:
        name: unique within its source, "/"-separated.
        path: where its bytes are.
        size: bytes.
        stamp: mtime in ns: together with `size` the mark that its content is unchanged.
    """

    name: str
    path: str
    size: int
    stamp: int | str

    @property
    def mark(self) -> str:
        """What changes with the content: "size/stamp"."""
        return f"{self.size}/{self.stamp}"

    def load(self) -> bytes:
        """All bytes of the file. Raises MaskError where they can't be had."""
        if self.size > MAX_IN_MEMORY:
            raise MaskError(f"larger than {MAX_IN_MEMORY >> 20} MiB")
        try:
            # os.open/os.read: a third of the cost of open() for the small files masks are.
            descriptor = os.open(self.path, _OPEN_FLAGS)
            try:
                data = os.read(descriptor, self.size + 1)
                return data if len(data) == self.size else _rest(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MaskError(f"can't be read: {error.strerror or error}") from error

    def open(self) -> BinaryIO:
        """The file, to be read in pieces. Raises MaskError where it can't be opened."""
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise MaskError(f"can't be read: {error.strerror or error}") from error


def _rest(descriptor: int, data: bytes) -> bytes:
    """What is left of a file whose size is not what its listing said."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise MaskError("not a regular file")
    pieces, total = [data], len(data)
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
        total += len(piece)
        if total > MAX_IN_MEMORY:
            raise MaskError(f"larger than {MAX_IN_MEMORY >> 20} MiB")
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a source are masks.

    `include` and `exclude` are shell patterns, matched against the whole name and, where they hold
    no "/", against its last part. Without `include`, suffixes decide.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suffixes: frozenset[str] = field(default_factory=frozenset)

    def takes(self, name: str) -> bool:
        """Whether a file of this name is a candidate."""
        if self.exclude and _matches(name, self.exclude):
            return False
        if self.include:
            return _matches(name, self.include)
        return name[name.rfind(".") :].lower() in self.suffixes

    def enters(self, name: str) -> bool:
        """Whether a folder of this name is walked."""
        return not (self.exclude and _matches(name, self.exclude))

    def takes_named(self, name: str) -> bool:
        """Whether a file that the user named one by one is a candidate: suffixes don't matter."""
        if self.exclude and _matches(name, self.exclude):
            return False
        return not self.include or _matches(name, self.include)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    last = name.rpartition("/")[2]
    return any(
        fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(last, pattern))
        for pattern in patterns
    )


class Source(Protocol):
    """Anything that lists masks."""

    @property
    def default_name(self) -> str:
        """What a scan of it is called when the user names none."""

    @property
    def location(self) -> str:
        """Where it is, for people."""

    def entries(self) -> Iterator[Entry]:
        """All candidates, in any order; names are unique.

        Raises SourceError where the source itself can't be read.
        """

    def skipped(self) -> int:
        """Files that `entries` passed over because they are no masks by their suffix."""


def open_source(where: str | Path, selection: Selection) -> Source:
    """The source at `where`. Raises SourceError where there is nothing."""
    from maskstat.sources import files, folder

    path = os.fspath(where)
    if os.path.isdir(path):
        return folder.FolderSource(path, selection)
    if os.path.isfile(path):
        if os.path.splitext(path)[1].lower() in files.LIST_SUFFIXES:
            return files.ListSource(path, selection)
        return files.SingleSource(path)
    if any(character in path for character in "*?["):
        return files.GlobSource(path, selection)
    raise SourceError(
        "there is no such file or folder",
        where=printable(storable(path)),
        remedy="give a folder, a glob in quotes, one mask, or a text list of paths",
    )
