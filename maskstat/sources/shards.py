"""The files that a path, a URL or a pattern stands for, wherever they are."""

from __future__ import annotations

import glob
import os
from functools import partial

from maskstat.naming import natural_key, storable
from maskstat.sources.blobs import Blob, LocalBlob, Shard
from maskstat.sources.locations import expand_braces, fixed_folder, is_url, no_shards


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
        return [Shard("", where, partial(LocalBlob.at, where))]
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
        Shard(
            f"{storable(os.path.relpath(path, root or os.curdir).replace(os.sep, '/'))}/",
            path,
            partial(LocalBlob.at, path),
        )
        for path in sorted(found, key=natural_key)
    ]
