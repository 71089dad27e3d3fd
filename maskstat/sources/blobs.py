"""Files that hold many masks, or a table of them: on disk here, in a store in `remote/objects`."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol, cast

from maskstat.errors import MaskError, unreadable
from maskstat.regular_files import open_descriptor
from maskstat.sources.base import WatchedFile, changed, mark_of


class Blob(Protocol):
    """One file that can be read anywhere, by any number of threads at once."""

    @property
    def path(self) -> str:
        """Where it is; no two share it, and it holds no secret."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def stamp(self) -> str:
        """A mark that its content is unchanged."""

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file, where it is one of this machine."""

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at its end. Raises MaskError."""

    def open(self) -> BinaryIO:
        """Itself as a seekable file. Raises MaskError; reading it raises MaskError or OSError."""


@dataclass(frozen=True, slots=True)
class LocalBlob:
    """A file on disk. No handle is kept: thousands of shards must not run out of them."""

    path: str
    size: int
    mtime: int

    @classmethod
    def at(cls, path: str) -> LocalBlob:
        """The file at `path`. Raises MaskError where there is none."""
        try:
            return cls(path, *mark_of(os.stat(path)))
        except OSError as error:
            raise _unreadable(error) from error

    @property
    def stamp(self) -> str:
        """Its size, and its mtime in ns."""
        return f"{self.size}.{self.mtime}"

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at the end of the file. Raises MaskError."""
        try:
            descriptor = open_descriptor(self.path)
            try:
                os.lseek(descriptor, start, os.SEEK_SET)
                data = os.read(descriptor, length)
                while len(data) < length and (more := os.read(descriptor, length - len(data))):
                    data += more
                if mark_of(os.fstat(descriptor)) != (self.size, self.mtime):
                    raise changed()
                return data
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(error) from error

    def open(self) -> BinaryIO:
        """The file. Raises MaskError where it can't be opened."""
        try:
            file = WatchedFile(self.path, (self.size, self.mtime))
            return cast(BinaryIO, io.BufferedReader(file))
        except OSError as error:
            raise _unreadable(error) from error


def _unreadable(error: OSError) -> MaskError:
    return MaskError(unreadable(error))


class Shard(NamedTuple):
    """One of the files that a source consists of.

    `prefix` is what the names of its masks start with: nothing where the user named one file.
    `open` gives the file, or raises MaskError where it is not to be had.
    """

    prefix: str
    where: str
    open: Callable[[], Blob]
