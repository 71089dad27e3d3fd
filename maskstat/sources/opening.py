"""Where masks come from. A source lists entries; an entry has a name and can be read.

One module a kind of source, which says by a `SourceKind` what it takes and opens that; the first
one that takes what the user gave has it. Readers know nothing of sources, and sources nothing of
formats beyond the suffixes that are worth a look. Plugins open what they are asked to by name.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from maskstat.errors import ParameterError, SourceError
from maskstat.naming import printable, storable
from maskstat.sources.base import Entry, Selection, Source, SourceKind, no_columns, no_size
from maskstat.sources.locations import TIMEOUT, Given, options_of, size_of, with_options
from maskstat.sources.split_names import in_order
from maskstat.values.catalog import ClassCatalog

Where = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass
class SplitSource(Source):
    """One split of a source, which was opened with a selection of that split."""

    base: Source
    split: str

    def __post_init__(self) -> None:
        self.reads, self.distinct = self.base.reads, self.base.distinct
        self.lists_fast = self.base.lists_fast

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
        yield from self.base.entries()
        self.only = self.base.only

    def catalog(self) -> ClassCatalog | None:
        """The classes that the source itself names."""
        return self.base.catalog()

    def column_values(self, heading: str, names: Collection[str]) -> dict[str, str]:
        """What a column of the source's table says."""
        return self.base.column_values(heading, names)

    def skipped(self) -> int:
        """Files passed over by suffix."""
        return self.base.skipped()

    def outside(self) -> int:
        """Masks outside the folder of their list."""
        return self.base.outside()


@dataclass
class PatternSource(Source):
    """Those masks of a source whose names match a pattern."""

    base: Source
    pattern: str

    def __post_init__(self) -> None:
        self.reads, self.distinct = self.base.reads, self.base.distinct
        self.only = self.pattern

    @property
    def default_name(self) -> str:
        """The source's."""
        return self.base.default_name

    @property
    def location(self) -> str:
        """The source's: masks are found by their names."""
        return self.base.location

    def entries(self) -> Iterator[Entry]:
        """Candidates that match."""
        self._begin()
        for entry in self.base.entries():
            if fnmatchcase(entry.name, self.pattern):
                self._meet(entry.name)
                yield entry
            else:
                self._skipped += 1

    def catalog(self) -> ClassCatalog | None:
        """The classes that the source itself names."""
        return self.base.catalog()

    def column_values(self, heading: str, names: Collection[str]) -> dict[str, str]:
        """What a column of the source's table says."""
        return self.base.column_values(heading, names)

    def skipped(self) -> int:
        """Files passed over: by the source, and here."""
        return self.base.skipped() + self._skipped

    def outside(self) -> int:
        """Masks outside the folder of their list."""
        return self.base.outside()


def open_source(
    where: Where,
    selection: Selection,
    *,
    column: str | None = None,
    split: str | None = None,
    timeout: float = TIMEOUT,
    size: tuple[int, int] | None = None,
    source_format: str | None = None,
) -> Source:
    """The source at `where`, or one split of it.

    Args:
        where: what the user gave, or the `location` of a source; several paths are one mask each.
        column: where a table or a manifest keeps its masks.
        timeout: seconds that a mask, or a piece of a file of many, may take over a network.
        size: height and width of all masks, of run lengths.
        source_format: which plugin opens it.

    Raises:
        SourceError: there is nothing at `where`.
        ParameterError: the source has no columns, its masks have sizes, or no plugin is called so.
        PluginError: the plugin can't be used.
        MissingExtraError: reading it needs a package that is not installed.
    """
    if not isinstance(where, (str, os.PathLike)):
        if size is not None:
            raise no_size()
        if source_format is not None:
            raise ParameterError("is of one path", parameter="source_format")
        return _listed([os.fspath(path) for path in where], selection, column, split)
    path = os.fspath(where)
    if not os.path.lexists(path):
        path, options = options_of(path)
        column = column or options.get("column") or options.get("runs")
        split = split or options.get("split")
        size = size or (size_of(options["size"]) if "size" in options else None)
        source_format = source_format or options.get("format")
    if split is not None:
        selection = replace(selection, split=split)
    given = Given.of(path, column, timeout, size)
    if source_format is None:
        source = _source_of(given, selection)
    else:
        source = _plugged(source_format, given, selection)
    return source if split is None else SplitSource(source, split)


def _plugged(source_format: str, given: Given, selection: Selection) -> Source:
    from maskstat.sources.plugin_sources import open_plugin

    if given.column is not None:
        raise no_columns()
    if given.size is not None:
        raise no_size()
    return open_plugin(source_format, given, selection)


def _listed(
    paths: list[str], selection: Selection, column: str | None, split: str | None
) -> Source:
    from maskstat.sources.local.named_files import PathsSource

    if column is not None:
        raise no_columns()
    source = PathsSource(paths, replace(selection, split=split))
    return source if split is None else SplitSource(source, split)


def find_splits(
    where: Where,
    selection: Selection,
    *,
    column: str | None = None,
    timeout: float = TIMEOUT,
    source_format: str | None = None,
) -> dict[str | None, int]:
    """The splits of a source and how many masks each has; None are masks that are in none.

    A manifest says it in a column; elsewhere it is the first folder (or shard) of a mask's name
    that is called train, val, test or the like. Raises as `open_source` and `Source.entries`.
    """
    source = open_source(
        where, selection, column=column, timeout=timeout, source_format=source_format
    )
    found = Counter(source.split_of(entry) for entry in source.entries())
    ordered: list[str | None] = [*in_order(filter(None, found)), None]
    return {split: found[split] for split in ordered if found[split]}


def kinds() -> Iterator[SourceKind]:
    """Every kind of source, in the order in which they are asked, imported when it is time."""
    from maskstat.sources.local import folders, nnunet

    yield from (folders.KIND, nnunet.KIND)
    from maskstat.sources.tables import manifests, parquet, saved_datasets, tfrecords

    yield saved_datasets.KIND
    yield tfrecords.KIND
    yield parquet.KIND
    yield manifests.KIND
    from maskstat.sources.archives import archive

    yield archive.KIND
    from maskstat.sources.annotations import recognising

    yield recognising.KIND
    from maskstat.sources.remote import objects

    yield objects.KIND
    from maskstat.sources.local import named_files

    yield from (named_files.SINGLE, named_files.PATTERN)


def names_are_paths(location: str) -> bool:
    """Whether the masks of a location are named by paths, which lead on from where it is."""
    if _is_plugins(location):
        return False
    return any(kind.names_are_paths(location) for kind in kinds())


def remedy_for(location: str) -> str | None:
    """What to do where no masks were found, in case another kind of source was meant."""
    if _is_plugins(location):
        return "it lists no images, or options leave none"
    return next(filter(None, (kind.remedy(location) for kind in kinds())), None)


def opened_by(location: str) -> tuple[str, ...]:
    """The plugin that opens a location, with its package and version; none where it needs none."""
    if not _is_plugins(location):
        return ()
    from maskstat.sources.plugin_sources import SOURCES

    name = options_of(location)[1]["format"]
    return tuple(plugin.label for plugin in SOURCES.listed() if plugin.name == name)


def _is_plugins(location: str) -> bool:
    return "format" in options_of(location)[1]


def _source_of(given: Given, selection: Selection) -> Source:
    if given.is_url and not given.text.partition("://")[2].strip("/"):
        raise SourceError(
            "names no bucket, server or file",
            where=printable(given.text),
            remedy="a URL is like s3://bucket/masks or https://server/masks.zip",
        )
    kind = next((kind for kind in kinds() if kind.takes(given)), None)
    if given.column is not None and not (kind and kind.has_columns):
        raise no_columns()
    if given.size is not None and not (kind and kind.has_sizes):
        raise no_size()
    if kind is None:
        raise SourceError(
            "there is no such file or folder",
            where=printable(storable(given.text)) or "''",
            remedy="give a folder, a glob in quotes, one mask, an archive, a list of paths, or a"
            " URL",
        )
    return kind.open(given, selection)
