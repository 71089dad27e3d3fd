"""Files that hold many masks, on disk or behind a URL, and patterns that name several of them."""

from __future__ import annotations

import glob
import io
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from maskstat.errors import MaskError, ParameterError, SourceError
from maskstat.naming import natural_key, printable, storable
from maskstat.sources.addresses import parse_address, without_secrets
from maskstat.sources.base import OPEN_FLAGS

if TYPE_CHECKING:
    from maskstat.sources.remote.connections import Connection

REMOTE_READS = 32  # requests to a store or a server that are in flight at once
MAX_SHARDS = 1_000_000  # that braces may stand for
_MAGIC = (re.compile(r"[*?\[{]"), re.compile(r"[*\[{]"))  # "?" in a URL begins its query
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


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
    stamp: str

    @classmethod
    def at(cls, path: str) -> LocalBlob:
        """The file at `path`. Raises MaskError where there is none."""
        try:
            status = os.stat(path)
        except OSError as error:
            raise _unreadable(error) from error
        return cls(path, status.st_size, f"{status.st_size}.{status.st_mtime_ns}")

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at the end of the file. Raises MaskError."""
        try:
            descriptor = os.open(self.path, OPEN_FLAGS)
            try:
                os.lseek(descriptor, start, os.SEEK_SET)
                data = os.read(descriptor, length)
                while len(data) < length and (more := os.read(descriptor, length - len(data))):
                    data += more
                return data
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(error) from error

    def open(self) -> BinaryIO:
        """The file. Raises MaskError where it can't be opened."""
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise _unreadable(error) from error


def _unreadable(error: OSError) -> MaskError:
    return MaskError(f"can't be read: {error.strerror or error}")


class Part(io.RawIOBase):
    """Some bytes in the middle of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, length: int):
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Bytes from the part's start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the part."""
        self._at = max(0, offset + (0, self._at, self._length)[whence])
        return self._at

    def readinto(self, buffer: object) -> int:
        """Read up to the part's end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(len(view), self._length - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


class Shard(NamedTuple):
    """One of the files that a source consists of.

    `prefix` is what the names of its masks start with: nothing where the user named one file.
    """

    prefix: str
    where: str
    connection: Connection | None = None

    def open(self) -> Blob:
        """The file. Raises MaskError where it is not to be had."""
        if self.connection is None:
            return LocalBlob.at(self.where)
        from maskstat.sources.remote import objects

        return objects.blob_at(self.connection, self.where)


def is_url(where: str) -> bool:
    """Whether this is a URL and no path."""
    return "://" in where


def open_blob(where: str) -> Blob:
    """The one file at a path or URL. Raises MaskError where there is none."""
    if is_url(where):
        from maskstat.sources.remote import objects

        return objects.open_blob(where)
    return LocalBlob.at(where)


def find_shards(where: str) -> list[Shard]:
    """The files that a path, a glob or a pattern with braces stands for, in natural order.

    A file that braces name and that is not there is among them, and fails when it is opened.

    Raises:
        SourceError: there is none at all.
    """
    if is_url(where):
        from maskstat.sources.remote import objects

        return objects.find_shards(where)
    if os.path.isfile(where):
        return [Shard("", where)]
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
        Shard(f"{storable(os.path.relpath(path, root or os.curdir).replace(os.sep, '/'))}/", path)
        for path in sorted(found, key=natural_key)
    ]


def from_anywhere(where: str | Path) -> str:
    """What a user gave as a source, so that it does not depend on the working directory.

    Raises:
        SourceError: no other process can read it.
    """
    path = os.fspath(where)
    if path.startswith("memory://"):
        raise SourceError(
            "is in the memory of this process alone",
            where=printable(storable(path)),
            remedy="scan it with threads",
        )
    return path if is_url(path) else os.path.join(os.getcwd(), path)


def location_of(where: str) -> str:
    """Where a file or pattern is, absolute; of a URL, without passwords."""
    if is_url(where):
        return storable(without_secrets(where))
    if os.path.exists(where):
        return storable(os.path.realpath(where))
    return storable(os.path.abspath(where))


def last_part(where: str) -> str:
    """The name of a file at a path or URL."""
    if is_url(where):
        where = parse_address(where).url.partition("?")[0]
    return where.replace(os.sep, "/").rstrip("/").rpartition("/")[2]


def shards_name(where: str, suffixes: tuple[str, ...]) -> str:
    """What a scan of a file is called: its stem; of a pattern: the folder above its wildcards."""
    name = last_part(where)
    if _MAGIC[is_url(where)].search(where) and not os.path.exists(where):
        folder = fixed_folder(where)
        return storable(last_part(folder if is_url(where) else os.path.abspath(folder)) or "masks")
    endings = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    return storable(name[: len(name) - max(map(len, endings), default=0)] or "masks")


def no_shards(where: str) -> SourceError:
    """What to say where a pattern matches nothing."""
    return SourceError(
        "no file matches",
        where=printable(storable(where)),
        remedy="give a path, a glob in quotes, or braces: 'shard-{000..099}.tar'",
    )


def fixed_folder(pattern: str) -> str:
    """The folder above the first wildcard or brace of a pattern, or above a plain path."""
    magic = _MAGIC[is_url(pattern)].search(pattern)
    return os.path.dirname(pattern[: magic.start()] if magic else pattern)


def expand_braces(text: str) -> list[str]:
    """What braces stand for, as a shell has it: "{08..11}" is a range, "{a,b}" a choice.

    Numbers of a range have as many digits as the one of its ends that starts with a zero. Braces
    with neither ".." nor "," are what they are.

    Raises:
        ParameterError: more than a million.
    """
    opening = text.find("{")
    while opening >= 0:
        closing, commas = _matching(text, opening)
        if closing < 0:
            break
        inside = text[opening + 1 : closing]
        choices: list[str] = []
        if ends := _RANGE.fullmatch(inside):
            choices = _range(*ends.groups())
        elif commas:
            edges = [opening, *commas, closing]
            choices = [text[a + 1 : b] for a, b in pairwise(edges)]
            choices = [expanded for choice in choices for expanded in expand_braces(choice)]
        if choices:
            tails = expand_braces(text[closing + 1 :])
            if len(choices) * len(tails) > MAX_SHARDS:
                raise _too_many()
            return [text[:opening] + choice + tail for choice in choices for tail in tails]
        opening = text.find("{", opening + 1)
    return [text]


def _matching(text: str, opening: int) -> tuple[int, list[int]]:
    """Where the brace at `opening` ends (-1: nowhere), and the commas between that are its own."""
    depth = 0
    commas: list[int] = []
    for at in range(opening, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at, commas
        if depth == 1 and text[at] == ",":
            commas.append(at)
    return -1, commas


def _range(first: str, last: str) -> list[str]:
    low, high = int(first), int(last)
    if abs(high - low) >= MAX_SHARDS:
        raise _too_many()
    zeros = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if zeros else 0
    step = 1 if high >= low else -1
    return [f"{number:0{width}d}" for number in range(low, high + step, step)]


def _too_many() -> ParameterError:
    return ParameterError(f"braces that stand for more than {MAX_SHARDS:,} files", where="SOURCE")
