"""Headers whose voxels are in a file beside them: `a.mhd` and `a.raw`, `a.nhdr` and `a.raw.gz`.

Both are one mask, called like the header, and read as one file: the header says that voxels follow,
and they do. It may name a file of its own folder only; what another name leads to is not opened,
and the reader says so.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from typing import BinaryIO, cast

from maskstat.errors import MaskError, unreadable
from maskstat.memory import ask_memory
from maskstat.sources.base import (
    MAX_IN_MEMORY,
    FileEntry,
    WatchedFile,
    changed,
    mark_of,
    too_large,
)
from maskstat.sources.virtual_files import VirtualFile

_SUFFIXES = (".mhd", ".nhdr")
_MOST_HEADER = 1 << 20
# What names the other file, and what ends a header whose voxels follow it.
_META = (
    re.compile(rb"(?m)^[ \t]*ElementDataFile[ \t]*=([^\r\n]*)\r?\n?(?s:.*)"),
    b"\nElementDataFile = LOCAL\n",
)
_NRRD = re.compile(rb"(?mi)^data ?file:([^\r\n]*)\r?\n?"), b"\n\n"
_NO_NAMES = frozenset({"", ".", "..", "LOCAL", "Local", "local", "LIST"})


@dataclass(slots=True)
class DetachedEntry(FileEntry):
    """A mask of a header and a file; `size` is that of both, `stamp` has the mtimes in ns.

    Attributes:
        header: as if the voxels followed it.
        marks: of both files, as they were listed.
        voxels: the path of the other file.
    """

    header: bytes
    marks: tuple[tuple[int, int], tuple[int, int]]
    voxels: str

    @property
    def local_files(self) -> tuple[str, ...]:
        """Both files."""
        return self.path, self.voxels

    def load(self) -> bytes:
        """The header, and the voxels behind it. Raises MaskError."""
        if self.size > MAX_IN_MEMORY:
            raise too_large()
        ask_memory(2 * self.size)
        with self.open() as file:
            return file.read()

    def open(self) -> BinaryIO:
        """The same as a file. Raises MaskError where one of the two changed, or is gone."""
        try:
            if mark_of(os.stat(self.path)) != self.marks[0]:
                raise changed()
            voxels = cast(BinaryIO, io.BufferedReader(WatchedFile(self.voxels, self.marks[1])))
        except OSError as error:
            raise MaskError(unreadable(error)) from error
        return cast(BinaryIO, io.BufferedReader(_Joined(self.header, voxels, self.marks[1][0])))


class _Joined(VirtualFile):
    """A header, and a file behind it."""

    def __init__(self, header: bytes, file: BinaryIO, size: int):
        super().__init__(len(header) + size)
        self._header, self._file = header, file

    def _next(self, length: int) -> bytes:
        if self._at < len(self._header):
            return self._header[self._at : self._at + length]
        self._file.seek(self._at - len(self._header))
        return self._file.read(length)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


def header_entry(entry: FileEntry) -> FileEntry:
    """The same entry with its voxels, where it is a header whose voxels are in a file beside it."""
    if not entry.path.lower().endswith(_SUFFIXES):
        return entry
    try:
        with WatchedFile(entry.path) as file:
            own, header = mark_of(os.fstat(file.fileno())), file.read(_MOST_HEADER)
        form, here = _NRRD if header.startswith(b"NRRD") else _META
        found = form.search(header)
        name = "" if found is None else os.fsdecode(found[1].strip()).removeprefix("./")
        if found is None or name in _NO_NAMES or os.path.basename(name) != name or "\0" in name:
            return entry
        voxels = os.path.join(os.path.dirname(entry.path), name)
        other = mark_of(os.stat(voxels))
        if not os.path.isfile(voxels) or os.path.samefile(voxels, entry.path):
            return entry
    except (OSError, MaskError):  # reading it will say what is wrong
        return entry
    joined = (header[: found.start()] + header[found.end() :]).rstrip() + here
    size, stamp = len(joined) + other[0], f"{own[1]}-{other[1]}"
    return DetachedEntry(entry.name, entry.path, size, stamp, joined, (own, other), voxels)
