"""A folder of masks, walked recursively; hidden files and folders are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from maskstat.errors import SourceError
from maskstat.naming import natural_key, printable, storable
from maskstat.sources import Entry, Selection


@dataclass
class FolderSource:
    """All masks below a folder. Links to folders are followed; every folder is walked once."""

    path: str
    selection: Selection
    _skipped: int = field(default=0, init=False)

    @property
    def default_name(self) -> str:
        """The folder's own name."""
        return storable(Path(self.path).resolve().name or "masks")

    @property
    def location(self) -> str:
        """The absolute path."""
        return storable(str(Path(self.path).resolve()))

    def skipped(self) -> int:
        """Files passed over by suffix."""
        return self._skipped

    def entries(self) -> Iterator[Entry]:
        """One entry a candidate file.

        A subfolder that can't be listed is one entry too, which fails when it is read, so that
        the masks beside it count and the loss has a name.

        Raises:
            SourceError: the folder itself can't be listed.
        """
        self._skipped = 0
        root = _Folder(self.path, "", os.path.realpath(self.path))
        folders, links = [root], list[_Folder]()
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
            try:
                with os.scandir(folder.path) as listing:
                    for item in listing:
                        if item.name[0] == ".":
                            continue
                        name = prefix + item.name
                        if not _is_folder(item):
                            if takes(name):
                                yield _entry(item, name)
                            else:
                                self._skipped += 1
                        elif not self.selection.enters(name):
                            continue
                        elif not item.is_symlink():
                            real = os.path.join(folder.real, item.name)
                            folders.append(_Folder(item.path, f"{name}/", real))
                        else:
                            real = os.path.realpath(item.path)
                            # Above the source lies much that nobody asked for.
                            if not os.path.join(root.real, "").startswith(os.path.join(real, "")):
                                links.append(_Folder(item.path, f"{name}/", real))
            except OSError as error:
                if folder is root:
                    raise SourceError(
                        f"can't be listed: {error.strerror or error}",
                        where=printable(storable(self.path)),
                    ) from error
                yield Entry(storable(folder.prefix), folder.path, 0, 0)


class _Folder(NamedTuple):
    """A folder to walk: its path, what the names of its masks start with, where it really is."""

    path: str
    prefix: str
    real: str


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself, say: reading it will say what is wrong
        return False


def _entry(item: os.DirEntry[str], name: str) -> Entry:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or it just went: reading it will say so
        return Entry(storable(name), item.path, 0, 0)
    return Entry(storable(name), item.path, status.st_size, status.st_mtime_ns)
