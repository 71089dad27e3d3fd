"""Where masks come from. A source lists entries; an entry has a name and can be read.

One file a kind of source. `open_source` chooses by looking at what the user gave: a folder, a
single mask, a glob pattern, a text list of paths, a manifest, an archive, a table, a file of
annotations, or a URL.
Readers know nothing of sources, and sources nothing of formats beyond the suffixes that are worth a
look.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from maskstat.errors import ParameterError, SourceError
from maskstat.naming import printable, storable
from maskstat.sources.addresses import without_secrets
from maskstat.sources.base import (
    ARCHIVE_SUFFIXES,
    MANIFEST_SUFFIXES,
    TABLE_SUFFIXES,
    Entry,
    Selection,
    Source,
)
from maskstat.sources.locations import options_of, with_options
from maskstat.sources.split_names import in_order
from maskstat.values.catalog import ClassCatalog


@dataclass
class SplitSource(Source):
    """One split of a source, which was opened with a selection of that split."""

    base: Source
    split: str

    def __post_init__(self) -> None:
        self.reads, self.distinct = self.base.reads, self.base.distinct

    @property
    def default_name(self) -> str:
        """The source's name and the split's."""
        return f"{self.base.default_name}-{storable(self.split)}"

    @property
    def location(self) -> str:
        """The source's, with the split behind it."""
        return with_options(self.base.location, split=self.split)

    def entries(self) -> Iterator[Entry]:
        """Candidates of the split."""
        return self.base.entries()

    def catalog(self) -> ClassCatalog | None:
        """The classes that the source itself names."""
        return self.base.catalog()

    def skipped(self) -> int:
        """Files passed over by suffix."""
        return self.base.skipped()


def open_source(
    where: str | Path, selection: Selection, *, column: str | None = None, split: str | None = None
) -> Source:
    """The source at `where`, or one split of it.

    Args:
        where: what the user gave, or the `location` of a source.
        column: where a table or a manifest keeps its masks.

    Raises:
        SourceError: there is nothing at `where`.
        ParameterError: the source has no columns.
        MissingExtraError: reading it needs a package that is not installed.
    """
    path = os.fspath(where)
    if not os.path.lexists(path):
        path, options = options_of(path)
        column, split = column or options.get("column"), split or options.get("split")
    if split is not None:
        selection = replace(selection, split=split)
    source = _source_at(path, selection, column)
    return source if split is None else SplitSource(source, split)


def find_splits(
    where: str | Path, selection: Selection, *, column: str | None = None
) -> dict[str | None, int]:
    """The splits of a source and how many masks each has; None are masks that are in none.

    A manifest says it in a column; elsewhere it is the first folder (or shard) of a mask's name
    that is called train, val, test or the like. Raises as `open_source` and `Source.entries`.
    """
    source = open_source(where, selection, column=column)
    found = Counter(source.split_of(entry) for entry in source.entries())
    ordered: list[str | None] = [*in_order(filter(None, found)), None]
    return {split: found[split] for split in ordered if found[split]}


def _source_at(path: str, selection: Selection, column: str | None) -> Source:
    from maskstat.sources.annotations import recognising
    from maskstat.sources.local import files, folders

    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    remote = "://" in path
    if remote and not path.partition("://")[2].strip("/"):
        raise SourceError(
            "names no bucket, server or file",
            where=printable(path),
            remedy="a URL is like s3://bucket/masks or https://server/masks.zip",
        )
    if not remote and os.path.isdir(path):
        if column is not None:
            raise _no_columns()
        if folders.is_store(path):
            return files.SingleSource(path)
        return folders.FolderSource(path, selection)
    lower = (path.partition("?")[0] if remote else path).lower()
    exists = remote or os.path.isfile(path)
    shards = exists or any(character in path for character in "*?[{")
    if lower.endswith(TABLE_SUFFIXES) and shards:
        from maskstat.sources.tables import parquet

        return parquet.TableSource(path, selection, column)
    if lower.endswith(MANIFEST_SUFFIXES) and exists:
        from maskstat.sources.tables import manifests

        return manifests.ManifestSource(path, selection, column)
    if column is not None:
        raise _no_columns()
    if lower.endswith(ARCHIVE_SUFFIXES) and not lower.endswith(".zarr.zip") and shards:
        from maskstat.sources.archives import archive

        return archive.ArchiveSource(path, selection)
    if lower.endswith(recognising.SUFFIXES):
        if remote:
            raise SourceError(
                "annotation files are read from disk",
                where=printable(without_secrets(path)),
                remedy="download it first",
            )
        if exists:
            return recognising.open_annotations(path, selection)
        if lower.endswith(".json") and any(character in path for character in "*?["):
            return recognising.open_pattern(path, selection)
    if remote:
        from maskstat.sources.remote import objects as objects

        return objects.RemoteSource(path, selection)
    if exists:
        if os.path.splitext(path)[1].lower() in files.LIST_SUFFIXES:
            return files.ListSource(path, selection)
        return files.SingleSource(path)
    if any(character in path for character in "*?["):
        return files.GlobSource(path, selection)
    raise SourceError(
        "there is no such file or folder",
        where=printable(storable(path)) or "''",
        remedy="give a folder, a glob in quotes, one mask, an archive, a list of paths, or a URL",
    )


def _no_columns() -> ParameterError:
    return ParameterError("only Parquet, Arrow, CSV and TSV files have columns", where="--column")
