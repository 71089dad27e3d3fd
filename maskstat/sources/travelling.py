"""Entries that are read by other processes than the one that lists them, perhaps elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from maskstat.errors import SourceError
from maskstat.naming import printable, storable
from maskstat.sources.base import Entry, FileEntry
from maskstat.sources.blobs import LocalBlob, is_url


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


def local_file(entry: Entry) -> str | None:
    """The file or folder that reading an entry takes; None where it takes none, or one of a store.

    An entry that carries its bytes takes none.
    """
    from maskstat.sources.annotations.rasterising import RasterEntry
    from maskstat.sources.archives.zips import ZipEntry
    from maskstat.sources.local.folders import StoreEntry
    from maskstat.sources.sequential import StreamedEntry

    if isinstance(entry, (FileEntry, StoreEntry)):
        return entry.path
    if isinstance(entry, RasterEntry):
        return entry.drawing.file
    blob: object = None
    if isinstance(entry, ZipEntry):
        blob = entry.archive
    elif isinstance(entry, StreamedEntry) and entry.data is None:
        blob = getattr(entry.track, "blob", None)
    return blob.path if isinstance(blob, LocalBlob) else None
