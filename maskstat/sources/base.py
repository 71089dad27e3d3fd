"""What all sources are made of: entries, selections, and the source itself."""

from __future__ import annotations

import io
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from maskstat.errors import MaskError, ParameterError, unreadable
from maskstat.memory import LARGEST_MASK
from maskstat.naming import storable
from maskstat.parameters import several
from maskstat.regular_files import open_descriptor
from maskstat.sources.locations import Given
from maskstat.sources.split_names import in_order, split_of
from maskstat.values.catalog import ClassCatalog
from maskstat.values.groups import no_table

MAX_IN_MEMORY = LARGEST_MASK  # bytes of one encoded mask
REMOTE_READS = 32  # requests to a store or a server that are in flight at once
_OUTER_SUFFIXES = frozenset({".gz", ".zip"})
_SLASH = re.compile("/")


@dataclass(slots=True)
class Entry(ABC):
    """One candidate mask: where it is, and everything that its kind can do.

    Attributes:
        name: unique within its source, "/"-separated.
        path: where its bytes are: what no two files share, and no secret.
        size: bytes, as encoded.
        stamp: of its content, or of the file that it is in.
    """

    name: str
    path: str
    size: int
    stamp: int | str

    @abstractmethod
    def load(self) -> bytes:
        """All bytes. Raises MaskError where they can't be had."""

    @abstractmethod
    def open(self) -> BinaryIO:
        """A seekable file, to be read in pieces.

        Raises MaskError where it can't be opened; reading it raises MaskError or OSError.
        """

    @property
    def mark(self) -> tuple[int, int | str]:
        """What is the same as long as its content is: the file's size and `stamp`."""
        return self.size, self.stamp

    @property
    def group(self) -> str | None:
        """What it is quickly read together with: entries that follow each other and say the same.

        None where it can be read by itself.
        """
        return None

    @property
    def held(self) -> int:
        """Bytes of memory that it carries."""
        return 0

    def let_go(self) -> None:  # noqa: B027 (most carry nothing)
        """Carry nothing any longer; it can still be read."""

    @property
    def local_files(self) -> tuple[str, ...]:
        """Files and folders of this machine that reading it takes now; none of a store's."""
        return ()

    def check(self) -> None:  # noqa: B027 (most are checked as they are read)
        """Look at it once more where it is read behind its back. Raises MaskError if it changed."""

    @property
    def folder(self) -> str | None:
        """The folder that the mask is, for readers that take folders; None where it is a file."""
        return None


class WatchedFile(io.FileIO):
    """A regular file of this machine; reading it raises MaskError once somebody has written to it.

    Who opened a file that is replaced goes on with the one it was. `mark`, of `mark_of`, is that of
    the file to be read, where it was looked at before.
    """

    def __init__(self, path: str, mark: tuple[int, int] | None = None):
        super().__init__(path, opener=lambda path, _: open_descriptor(path))
        self._mark = mark or mark_of(os.fstat(self.fileno()))

    def readinto(self, buffer: Any) -> int | None:
        """As any file's."""
        count = super().readinto(buffer)
        self._check()
        return count

    def readall(self) -> bytes:
        """As any file's."""
        data = super().readall()
        self._check()
        return data or b""

    def _check(self) -> None:
        if mark_of(os.fstat(self.fileno())) != self._mark:
            raise changed()


def mark_of(status: os.stat_result) -> tuple[int, int]:
    """What tells that a file is unchanged: its size, and its mtime in ns."""
    return status.st_size, status.st_mtime_ns


@dataclass(slots=True)
class FileEntry(Entry):
    """A mask that is a file of its own; `stamp` is its mtime in ns."""

    def load(self) -> bytes:
        """All bytes of the file. Raises MaskError where they can't be had."""
        if self.size > MAX_IN_MEMORY:
            raise too_large()
        try:
            # A descriptor: a third of the cost of open() for the small files masks are.
            descriptor = open_descriptor(self.path)
            try:
                data = os.read(descriptor, self.size + 1)
                return data if len(data) == self.size else _rest(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MaskError(unreadable(error)) from error

    def open(self) -> BinaryIO:
        """The file, to be read in pieces. Raises MaskError where it can't be opened."""
        try:
            return cast(BinaryIO, io.BufferedReader(WatchedFile(self.path)))
        except OSError as error:
            raise MaskError(unreadable(error)) from error

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)


@dataclass(slots=True)
class BrokenEntry(Entry):
    """What is known not to be readable: it has a name, and reading it says what is wrong."""

    size: int = 0
    stamp: int | str = 0
    reason: str = ""

    def load(self) -> bytes:
        """Raises MaskError."""
        raise MaskError(self.reason)

    def open(self) -> BinaryIO:
        """Raises MaskError."""
        raise MaskError(self.reason)


def lightly(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries; each carries its bytes only until the next one is asked for."""
    for entry in entries:
        yield entry
        entry.let_go()


def too_large() -> MaskError:
    """What is wrong with an encoded mask that memory should not hold."""
    return MaskError(f"larger than {MAX_IN_MEMORY >> 20} MiB")


def no_columns() -> ParameterError:
    """What is wrong where a column is chosen, and there are none."""
    return ParameterError(
        "only Parquet, Arrow and TFRecord files, and lists of several columns (CSV, TSV, JSON,"
        " text) have columns",
        parameter="column",
    )


def no_size() -> ParameterError:
    """What is wrong where a size is given, and masks have sizes."""
    return ParameterError("is for run lengths in a CSV: masks have sizes", parameter="size")


def changed() -> MaskError:
    """What is wrong with a mask whose bytes are not those that were listed."""
    return MaskError(
        "changed while it was being read", remedy="scan again once nothing writes it any longer"
    )


def _rest(descriptor: int, data: bytes) -> bytes:
    """What is left of a file whose size is not what its listing said."""
    pieces, total = [data], len(data)
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
        total += len(piece)
        if total > MAX_IN_MEMORY:
            raise too_large()
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a source are masks.

    `include` and `exclude` are shell patterns, matched against the whole name and, where they hold
    no "/", against its last part. Without `include`, suffixes decide. `split` takes masks of one
    split only.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suffixes: frozenset[str] = field(default_factory=frozenset)
    split: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "include", several(self.include))
        object.__setattr__(self, "exclude", several(self.exclude))

    def takes(self, name: str) -> bool:
        """Whether a file of this name is a candidate."""
        if self.exclude and _matches(name, self.exclude):
            return False
        if self.split is not None and split_of(name) != self.split:
            return False
        if self.include:
            return _matches(name, self.include)
        suffix = name[name.rfind(".") :].lower()
        if suffix in _OUTER_SUFFIXES:  # ".nii.gz" is one suffix, and ".gz" none
            suffix = name[name.rfind(".", 0, -len(suffix)) :].lower()
        return suffix in self.suffixes

    def enters(self, name: str) -> bool:
        """Whether a folder of this name is walked."""
        if self.exclude and _matches(name, self.exclude):
            return False
        return self.split is None or split_of(f"{name}/") in {self.split, None}

    def takes_below(self, name: str) -> bool:
        """Whether a walk through folders would come to a file of this name and take it.

        For names that no file system holds (in an archive, in a bucket): a part that starts with
        "." is hidden, except "." and ".." themselves, which are as good a name as any here.
        """
        return self.reaches(name) and self.takes(name)

    def reaches(self, name: str) -> bool:
        """Whether a walk through folders would come to a file of this name."""
        if any(part.startswith(".") and part.strip(".") for part in name.split("/")):
            return False
        if not self.exclude and self.split is None:
            return True
        return all(self.enters(name[: at.start()]) for at in _SLASH.finditer(name) if at.start())

    def takes_named(self, name: str) -> bool:
        """Whether a file that the user named one by one is a candidate: suffixes don't matter."""
        if self.exclude and _matches(name, self.exclude):
            return False
        if self.split is not None and split_of(name) != self.split:
            return False
        return not self.include or _matches(name, self.include)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    last = name.rpartition("/")[2]
    return any(
        fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(last, pattern))
        for pattern in patterns
    )


class Source(ABC):
    """Anything that lists masks."""

    reads: int | None = None
    """How many masks are worth reading at once; None where that is a matter of CPUs alone."""

    distinct: bool = False
    """Whether no two entries have one name, unless there is a backslash in it.

    (Bytes of a name that are no UTF-8 are escaped with one.)
    """

    lists_fast: bool = False
    """Whether its names can be listed once more for next to nothing, and nobody chose them."""

    only: str | None = None
    """The pattern of the names of its masks, where files of other names are beside them."""

    _skipped: int = 0
    _outside: int = 0
    _splits: frozenset[str] = frozenset()

    @property
    @abstractmethod
    def default_name(self) -> str:
        """What a scan of it is called when the user names none."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Where it is, for people and for `open_source`; passwords are left out."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """All candidates, in any order; names are unique.

        Raises SourceError where the source itself can't be read.
        """

    def sketched(self, looked_at: int) -> Iterator[Entry]:
        """The same for who needs names: of those behind the first so many nothing else is known.

        `seen` gives an entry that is whole. Raises as `entries`.
        """
        return self.entries()

    def seen(self, entry: Entry) -> Entry:
        """An entry of `sketched` with its size and stamp."""
        return entry

    def _begin(self) -> None:
        """Forget what the last listing came across."""
        self._skipped, self._outside, self._splits = 0, 0, frozenset()

    def _meet(self, name: str) -> None:
        """Remember the split that a candidate of this name is in."""
        if (split := split_of(name)) is not None:
            self._splits |= {split}

    def catalog(self) -> ClassCatalog | None:
        """The classes that the source itself names, if it does. Raises SourceError."""
        return None

    def column_values(self, heading: str, names: Collection[str]) -> dict[str, str]:
        """What a column of the table that lists the masks says of these, where it says something.

        Without names, only whether there is such a column. Raises ParameterError where there is
        none, and SourceError where the table can't be read.
        """
        raise no_table(heading)

    def skipped(self) -> int:
        """Files that the last listing passed over: no masks by their suffix or by option."""
        return self._skipped

    def unlisted(self) -> int:
        """Masks of the last listing that are as they were, and no entries of it."""
        return 0

    def outside(self) -> int:
        """Masks of the last listing that lie outside the folder of the list which names them."""
        return self._outside

    def split_of(self, entry: Entry) -> str | None:
        """The split that an entry of the last listing is in."""
        return split_of(entry.name)

    def splits(self) -> tuple[str, ...]:
        """Splits that the last listing came across: train, val, test, then others."""
        return in_order(self._splits)


@dataclass
class LocalSource(Source):
    """A file or folder of this machine."""

    path: str

    @property
    def default_name(self) -> str:
        """The file's stem."""
        return storable(Path(self.path).stem)

    @property
    def location(self) -> str:
        """The absolute path."""
        return storable(str(Path(self.path).resolve()))


def _no(where: str) -> bool:
    return False


def _nothing(where: str) -> None:
    return None


class SourceKind(NamedTuple):
    """What a module says of its kind of source; `opening.kinds` has all of them.

    Attributes:
        takes: whether what a user gave is of this kind, where no kind before it takes it.
        open: the source. Raises SourceError where it is none after all, and MissingExtraError.
        has_columns: whether a column can be chosen.
        has_sizes: whether masks may be of a size that the user has to say.
        names_are_paths: whether masks of a location of this kind are named by paths, which lead on
            from where it is, or are absolute; otherwise names are just names, below it.
        remedy: what to do where no masks were found at a location, and this kind may be meant.
    """

    takes: Callable[[Given], bool]
    open: Callable[[Given, Selection], Source]
    has_columns: bool = False
    has_sizes: bool = False
    names_are_paths: Callable[[str], bool] = _no
    remedy: Callable[[str], str | None] = _nothing
