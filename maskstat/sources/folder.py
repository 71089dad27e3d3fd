"""A folder of masks, walked recursively; hidden files and folders are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maskstat.errors import SourceError
from maskstat.naming import printable, storable
from maskstat.sources import Entry, Selection


@dataclass
class FolderSource:
    """All masks below a folder. Links to folders outside of it are followed, once each."""

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
        seen = {os.path.realpath(self.path)}
        pending = [(self.path, "")]
        while pending:
            folder, prefix = pending.pop()
            try:
                listing = os.scandir(folder)
            except OSError as error:
                if not prefix:
                    raise SourceError(
                        f"can't be listed: {error.strerror or error}",
                        where=printable(storable(folder)),
                    ) from error
                yield Entry(storable(prefix), folder, 0, 0)
                continue
            with listing:
                for item in listing:
                    if item.name[0] == ".":
                        continue
                    name = prefix + item.name
                    if item.is_dir():
                        if self.selection.enters(name) and self._is_new(item, seen):
                            pending.append((item.path, f"{name}/"))
                    elif self.selection.takes(name):
                        yield _entry(item, name)
                    else:
                        self._skipped += 1

    def _is_new(self, item: os.DirEntry[str], seen: set[str]) -> bool:
        """Whether a folder was not visited yet; only links can lead back to one that was."""
        if not item.is_symlink():
            return True
        real = os.path.join(os.path.realpath(item.path), "")
        root = os.path.join(os.path.realpath(self.path), "")
        if real in seen or real.startswith(root) or root.startswith(real):
            return False
        seen.add(real)
        return True


def _entry(item: os.DirEntry[str], name: str) -> Entry:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or it just went: reading it will say so
        return Entry(storable(name), item.path, 0, 0)
    return Entry(storable(name), item.path, status.st_size, status.st_mtime_ns)
