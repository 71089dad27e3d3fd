"""A folder of masks, walked recursively; hidden files and folders are skipped.

A folder called something.zarr is no folder of masks but a store of chunks: one mask, one entry.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from maskstat.errors import MaskError, SourceError, unreadable
from maskstat.naming import natural_key, printable, storable
from maskstat.regular_files import open_file
from maskstat.sources.base import (
    MAX_IN_MEMORY,
    Entry,
    FileEntry,
    LocalSource,
    Selection,
    SourceKind,
    changed,
    mark_of,
    too_large,
)
from maskstat.sources.dataset_folders import is_one_dataset
from maskstat.sources.local.detached import DetachedEntry, header_entry

STORE_SUFFIX = ".zarr"
_FOREIGN = {
    ".hdf": "HDF5",
    ".pkl": "pickle",
}
_LOOKED_AT = 10_000  # files of a folder without masks
_LISTED = 1 << 16  # files of one folder that are held at once


class KnownFolder(Protocol):
    """A folder that need not be listed."""

    @property
    def masks(self) -> int:
        """How many masks are in it."""

    @property
    def skipped(self) -> int:
        """How many other files."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders in it that are walked as well."""


@dataclass
class FolderContent:
    """What was found in a folder so far.

    Attributes:
        newest: the last mtime of a mask in ns.
        plain: whether that is files and folders only, whose names are no escapes of others.
    """

    prefix: str
    masks: int = 0
    skipped: int = 0
    folders: list[str] = field(default_factory=list)
    newest: int = 0
    plain: bool = True


class FolderWatch(Protocol):
    """Whoever knows folders from before."""

    masks: int
    """Masks of this listing in folders that were as before."""

    def begin(self) -> None:
        """The source is listed from its beginning."""

    def as_before(self, path: str, prefix: str) -> KnownFolder | None:
        """What is in a folder of which that is known without a look."""

    def settled(self, path: str) -> tuple[int, ...] | None:
        """A mark of a folder that will tell of any change from now on, where there is one."""

    def listed(self, path: str, mark: tuple[int, ...], seen: FolderContent) -> None:
        """A folder of this mark was listed to its end."""


@dataclass
class FolderSource(LocalSource):
    """All masks below a folder. Links to folders are followed; every folder is walked once.

    Masks of folders that `watch` knows to be as before are not among the entries.
    """

    selection: Selection
    watch: FolderWatch | None = None
    distinct = True
    lists_fast = True

    @property
    def default_name(self) -> str:
        """The folder's own name."""
        return storable(Path(self.path).resolve().name or "masks")

    def entries(self) -> Iterator[Entry]:
        """One entry a candidate file.

        A subfolder that can't be listed is one entry too, which fails when it is read, so that
        the masks beside it count and the loss has a name.

        Raises:
            SourceError: the folder itself can't be listed.
        """
        return self._walked(None)

    def sketched(self, looked_at: int) -> Iterator[Entry]:
        """To ask a file for its size takes longer than listing it; folders that are watched do."""
        return self._walked(looked_at if self.watch is None else None)

    def seen(self, entry: Entry) -> Entry:
        """The same, looked at where it was not."""
        if entry.stamp or not isinstance(entry, FileEntry):
            return entry
        try:
            mark = mark_of(os.stat(entry.path))
            return header_entry(FileEntry(entry.name, entry.path, *mark))
        except OSError:  # as `entries` has it
            return entry

    def _walked(self, looked_at: int | None) -> Iterator[Entry]:
        """Entries, of which all or the first so many were looked at."""
        self._begin()
        left = -1 if looked_at is None else looked_at  # below 0 it never ends
        watch = self.watch
        if watch is not None:
            watch.begin()
        root = Folder(self.path, "", os.path.realpath(self.path))
        first = self._first(root)
        folders, links = [*first], list[Folder]()
        walked: set[str] = set()
        while folders or links:
            if not folders:
                # Links last and in order of name, so that no masks change their names by chance.
                links.sort(key=lambda link: natural_key(link.prefix), reverse=True)
                folders.append(links.pop())
            folder = folders.pop()
            if folder.real in walked:
                continue
            walked.add(folder.real)
            takes, prefix = self.selection.takes, folder.prefix
            mark = None
            if watch is not None:
                if (known := watch.as_before(folder.path, prefix)) is not None:
                    self._skipped += known.skipped
                    if known.masks:
                        self._meet(prefix)
                    folders += map(folder.inner, known.folders)
                    continue
                mark = watch.settled(folder.path)
            seen = FolderContent(prefix)
            try:
                with os.scandir(folder.path) as listing:
                    for item in _in_order(listing):
                        if item.name[0] == ".":
                            continue
                        name = prefix + item.name
                        if mark is not None and (item.is_symlink() or _is_escape(item.name)):
                            seen.plain = False
                        try:
                            is_folder = item.is_dir()
                        except OSError:  # a link to itself, say: reading it will say what is wrong
                            is_folder = False
                        if not is_folder:
                            if takes(name):
                                seen.masks += 1
                                if not left:
                                    yield FileEntry(storable(name), item.path, 0, 0)
                                    continue
                                left -= 1
                                entry = _entry(item, name)
                                if isinstance(entry, DetachedEntry):
                                    seen.plain = False
                                elif mark is not None:
                                    seen.newest = max(seen.newest, int(entry.stamp))
                                yield entry
                            else:
                                seen.skipped += 1
                        elif not self.selection.enters(name):
                            continue
                        elif is_store(item.name):
                            seen.plain = False
                            if takes(name):
                                seen.masks += 1
                                yield store_entry(item.path, name)
                            else:
                                seen.skipped += 1
                        elif not item.is_symlink():
                            seen.folders.append(item.name)
                            folders.append(folder.inner(item.name))
                        else:
                            real = os.path.realpath(item.path)
                            # Above the source lies much that nobody asked for.
                            if not os.path.join(root.real, "").startswith(os.path.join(real, "")):
                                links.append(Folder(item.path, f"{name}/", real))
                if seen.masks:
                    self._meet(prefix)
                if watch is not None and mark is not None:
                    watch.listed(folder.path, mark, seen)
            except OSError as error:
                if folder in first:
                    raise SourceError(
                        f"can't be listed: {error.strerror or error}",
                        where=printable(storable(folder.path)),
                    ) from error
                yield FileEntry(storable(folder.prefix), folder.path, 0, 0)
            finally:
                self._skipped += seen.skipped

    def _first(self, root: Folder) -> list[Folder]:
        """The folders that are walked, and all below them."""
        return [root]

    def unlisted(self) -> int:
        """Masks of the last listing that are in folders which `watch` knows."""
        return 0 if self.watch is None else self.watch.masks


@dataclass(slots=True)
class StoreEntry(Entry):
    """A mask that is a folder: `size` is that of its files, `stamp` their number and newest mtime.

    Readers that take folders are given `folder`; to others it is a zip of the folder.
    """

    def load(self) -> bytes:
        """A zip of the folder, uncompressed. Raises MaskError where it is too large or gone."""
        if self.size > MAX_IN_MEMORY:
            raise too_large()
        packed = io.BytesIO()
        try:
            import zipfile

            with zipfile.ZipFile(packed, "w") as archive:
                for path, inside in _files_below(self.path):
                    with open_file(path) as file:
                        archive.writestr(inside, file.read())
                    if packed.tell() > 2 * MAX_IN_MEMORY:
                        raise too_large()
        except OSError as error:
            raise MaskError(unreadable(error)) from error
        self.check()
        return packed.getvalue()

    def check(self) -> None:
        """Compare its files with those that were listed. Raises MaskError where they differ."""
        now = store_entry(self.path, self.name)
        if (now.size, now.stamp) != (self.size, self.stamp):
            raise changed()

    def open(self) -> BinaryIO:
        """The same as a file."""
        return io.BytesIO(self.load())

    @property
    def folder(self) -> str:
        """The folder."""
        return self.path

    @property
    def local_files(self) -> tuple[str, ...]:
        """The folder."""
        return (self.path,)


def is_store(path: str) -> bool:
    """Whether a folder of this name is one mask."""
    return path.rstrip("/" + os.sep).lower().endswith(STORE_SUFFIX)


def store_entry(path: str, name: str) -> StoreEntry:
    """The entry of a folder that is one mask."""
    size = files = newest = 0
    for file, _ in _files_below(path):
        try:
            status = os.stat(file)
        except OSError:  # it just went: reading will say so
            continue
        size, files = size + status.st_size, files + 1
        newest = max(newest, status.st_mtime_ns)
    return StoreEntry(storable(name), path, size, f"{files}-{newest}")


def _files_below(folder: str) -> Iterator[tuple[str, str]]:
    """Path of every file below a folder, and its name in it with "/"."""
    for parent, _, names in os.walk(folder):
        inside = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            yield os.path.join(parent, name), name if inside == "." else f"{inside}/{name}"


class Folder(NamedTuple):
    """A folder to walk: its path, what the names of its masks start with, where it really is."""

    path: str
    prefix: str
    real: str

    def inner(self, name: str) -> Folder:
        """A folder in it, which is no link."""
        inside = os.path.join(self.real, name)
        return Folder(os.path.join(self.path, name), f"{self.prefix}{name}/", inside)


def _is_escape(name: str) -> bool:
    """Whether a mask may have the name of another one, whose bytes are no UTF-8."""
    return "\\" in name or storable(name) != name


def _in_order(listing: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, in order of name as far as memory allows.

    File systems list in an order of their own. Masks that are neighbours by name lie side by side
    in a store, and writing them together touches few of its pages.
    """
    by_name = attrgetter("name")
    batches = iter(lambda: sorted(islice(listing, _LISTED), key=by_name), [])
    return chain.from_iterable(batches)


def _entry(item: os.DirEntry[str], name: str) -> FileEntry:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or it just went: reading it will say so
        return FileEntry(storable(name), item.path, 0, 0)
    entry = FileEntry(storable(name), item.path, status.st_size, status.st_mtime_ns)
    return header_entry(entry)


def _foreign(where: str) -> str | None:
    """What to do about a folder most of whose files are of a format that is not read here."""
    if not os.path.isdir(where):
        return None
    found: Counter[str] = Counter()
    for entry in islice(FolderSource(where, Selection(include=("*",))).entries(), _LOOKED_AT):
        found[os.path.splitext(entry.name)[1].lower()] += 1
    suffix, count = max(found.items(), key=itemgetter(1), default=("", 0))
    if suffix not in _FOREIGN or 2 * count < sum(found.values()):
        return None
    return (
        f"its files end in {suffix}, {_FOREIGN[suffix]}'s suffix, which is not read here:"
        " save the masks as NPY, NPZ, PNG or NIfTI"
    )


KIND = SourceKind(
    remedy=_foreign,
    takes=lambda given: (
        given.is_folder and not is_store(given.text) and not is_one_dataset(given.text)
    ),
    open=lambda given, selection: FolderSource(given.text, selection),
)
