"""Folders whose list of files is that of an earlier run: their masks are taken as they were.

A folder's mtime and ctime change when a file in it is added, removed or renamed, and not when one
is written again in its place. Both are compared, and which folder it is. A folder is remembered
only where it had been left alone for two seconds when it was listed, since a change in the same
tick of its clock would not show; where no link and no mask that is a folder is in it, whose content
lies elsewhere; and on file systems of Linux itself, which keep these times and have one clock with
the process.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from maskstat.errors import ParameterError, StoreError, argument
from maskstat.naming import printable, storable
from maskstat.regular_files import open_file
from maskstat.scanning.request import ScanRequest
from maskstat.scanning.resuming import Resumed, free_name
from maskstat.sources.base import Source
from maskstat.sources.local.folders import FolderContent, FolderSource
from maskstat.store.kept_folders import FolderRecord, folder_of
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store
from maskstat.values.catalog_files import masks_of_preset
from maskstat.version import __version__

SETTLED_NS = 2_000_000_000
FEWEST = 16  # files of a folder that is worth a row
FILE_SYSTEMS = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}
)
_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


class FolderTrust:
    """What one scan knows of its folders; a `FolderWatch`.

    Attributes:
        masks: masks of this listing in folders that are as they were.
        trusted: prefixes of these folders.
    """

    def __init__(self, listing: str, known: Sequence[FolderRecord] = (), kept: int | None = None):
        """Begin.

        Args:
            listing: what decides which files of a folder are masks, and how they are read.
            known: folders that were listed so.
            kept: `KeptFolders.folders_sum` when they were read.
        """
        self._listing, self._kept = listing, kept
        self._known = {one.prefix: one for one in known}
        self._devices: dict[int, bool] = {}
        self.begin()

    def begin(self) -> None:
        """The source is listed from its beginning."""
        self._found: list[FolderRecord] = []
        self._now = 0
        self.trusted: set[str] = set()
        self.masks = 0

    def as_before(self, path: str, prefix: str) -> FolderRecord | None:
        """What is known of a folder whose list of files is as it was."""
        known = self._known.get(prefix)
        if known is None or known.mark != _mark(path):
            return None
        self._found.append(known)
        self.trusted.add(prefix)
        self.masks += known.masks
        return known

    def settled(self, path: str) -> tuple[int, ...] | None:
        """The mark of a folder whose times will tell of any change from now on; else None."""
        self._now, mark = time.time_ns(), _mark(path)
        if (
            mark is None
            or self._now - max(mark[2:]) < SETTLED_NS
            or not self._keeps_times(mark[0], path)
        ):
            return None
        return mark

    def listed(self, path: str, mark: tuple[int, ...], seen: FolderContent) -> None:
        """A folder of this mark was listed to its end."""
        plain = seen.plain and storable(seen.prefix) == seen.prefix and "\\" not in seen.prefix
        written = self._now - seen.newest >= SETTLED_NS  # by now, and not in the future
        worth_it = seen.masks + seen.skipped >= FEWEST
        if plain and written and worth_it and _mark(path) == mark:
            found = FolderRecord(seen.prefix, mark, seen.masks, seen.skipped, tuple(seen.folders))
            self._found.append(found)

    def _keeps_times(self, device: int, path: str) -> bool:
        """Whether the file system of a folder is one that does; others may be mounted below."""
        if device not in self._devices:
            self._devices[device] = _file_system(os.path.realpath(path)) in FILE_SYSTEMS
        return self._devices[device]

    def names(self, store: Store, scan: ScanInfo) -> Iterator[str]:
        """After a listing: names of the masks that are in folders which are as they were."""
        return (name for name in store.names(scan) if folder_of(name) in self.trusted)

    def keep(self, store: Store, scan: ScanInfo, found: Sequence[FolderRecord]) -> None:
        """Within the transaction that ends a run: remember folders all of whose masks count."""
        lost = {folder_of(failure.mask) for failure in store.failures(scan)}
        store.keep_folders(scan, self._listing, (one for one in found if one.prefix not in lost))

    @property
    def found(self) -> tuple[FolderRecord, ...]:
        """Folders of this listing that are as they were, or may be remembered."""
        return tuple(self._found)

    def check(self, begun: Resumed) -> None:
        """Raise StoreError where another run has taken away what this one begins with."""
        if self._known and begun.folders != self._kept:
            raise StoreError(
                "was scanned by another run just now",
                where=printable(begun.info.name),
                remedy="scan again",
            )


def trusting(asked: ScanRequest) -> ScanRequest:
    """The same request, of a source that takes folders as they were.

    Raises:
        ParameterError: folders do not tell whether the masks that are asked for are as they were.
        StoreError: the store can't be read.
    """
    source = asked.source
    if not isinstance(source, FolderSource) or asked.options.pages == "each":
        raise _refused("is for a folder of masks on this machine, each a file of its own")
    if asked.rescan or asked.grid is not None or asked.recipes or asked.index:
        raise _refused("masks are looked at again by another option, so all are listed")
    patterns = masks_of_preset(asked.catalog)
    if patterns and not asked.chosen:
        choice = argument("include", next(iter(patterns)))
        raise _refused("the masks are found by looking at all names", f"choose them: {choice}")
    real = os.path.realpath(source.path)
    if (kind := _file_system(real)) not in FILE_SYSTEMS:
        raise _refused(
            f"{printable(storable(source.path))} is on {kind or 'an unknown file system'}, whose"
            " folders may not tell when they change"
        )
    # Whatever decides which files are masks, and which masks are read again.
    chosen = source.selection
    said = (asked.agreed, chosen.include, chosen.exclude, chosen.split, sorted(chosen.suffixes))
    text = repr((*said, asked.options.knows_zero, __version__))
    listing = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    trust = FolderTrust(listing)
    if asked.db is not None and Path(asked.db).is_file():
        with Store.open(asked.db) as store:
            name = asked.name or free_name(store, source)
            if store.sources().get(name) == source.location and (scan := store.find(name)).complete:
                trust = FolderTrust(listing, store.folders(scan, listing), store.folders_sum(scan))
    return replace(asked, source=replace(source, watch=trust))


def trust_of(source: Source, begun: Resumed) -> FolderTrust | None:
    """What a source of `trusting` knows of its folders.

    Raises StoreError where another run has taken that away before this one was `begun`.
    """
    watch = source.watch if isinstance(source, FolderSource) else None
    if not isinstance(watch, FolderTrust):
        return None
    watch.check(begun)
    return watch


def _refused(why: str, remedy: str = "leave it out") -> ParameterError:
    return ParameterError(why, parameter="trust_folders", remedy=remedy)


def _mark(path: str) -> tuple[int, ...] | None:
    """Which folder it is, and when it changed: device, inode, mtime and ctime in ns."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _file_system(real: str) -> str | None:
    """The kind of file system that a path without links is on; None where nothing tells."""
    kind, longest = None, -1
    try:
        with open_file(_MOUNTS) as file:
            lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[1])
        inside = real == place or real.startswith(os.path.join(place, ""))
        if inside and len(place) >= longest:  # of several at one place the last one counts
            kind, longest = fields[2], len(place)
    return kind
