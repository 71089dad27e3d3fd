"""Sources that other packages bring (docs/plugins.md), where somebody asks for one by its name.

What a plugin raises is an error of the source, or of the one mask; what it gives is looked at
before it counts. The stamp of a mask knows the package and its version, so that another one reads
it again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy_format

from maskstat.entry_points import Plugin, PluginGroup, reason
from maskstat.errors import CatalogError, MaskError, ParameterError, SourceError
from maskstat.memory import ask_memory
from maskstat.naming import did_you_mean, printable, storable
from maskstat.sources.base import (
    MAX_IN_MEMORY,
    BrokenEntry,
    Entry,
    Selection,
    Source,
    too_large,
)
from maskstat.sources.locations import Given, last_part, location_of, with_options
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_mapping import catalog_from_mapping

_HEADER_BYTES = 128  # of an NPY file


class PluginOpener(NamedTuple):
    """A kind of source that a package opens."""

    plugin: Plugin
    open: Callable[[str], Any]


def _made(plugin: Plugin, given: Any) -> PluginOpener:
    if not callable(given):
        raise ValueError(f"it is {type(given).__name__}, and no function of a path")
    return PluginOpener(plugin, given)


SOURCES = PluginGroup("sources", _made)


def open_plugin(name: str, given: Given, selection: Selection) -> Source:
    """The source of this format at what a user gave.

    Raises:
        ParameterError: no package brings the format.
        PluginError: it can't be used.
        SourceError: there is no such source.
    """
    opener = SOURCES.find(name := str(name))
    if opener is None:
        known = ", ".join(SOURCES.names)
        near = did_you_mean(name, SOURCES.names)
        raise ParameterError(
            f"no plugin reads {printable(repr(name))[:60]}",
            parameter="source_format",
            remedy=f"{near}plugins here read {known}"
            if known
            else "none is installed; what maskstat reads itself, it knows without being told",
        )
    where = printable(storable(location_of(given.text)))
    if not (given.is_url or given.is_folder or given.is_file or given.is_pattern):
        raise SourceError("there is no such file or folder", where=where or "''")
    try:
        opened = opener.open(given.text)
        if not callable(getattr(opened, "masks", None)):
            raise ValueError("what it opens has no function 'masks'")
    except (MemoryError, SourceError):
        raise
    except Exception as error:
        raise SourceError(f"{reason(error)} (says {opener.plugin})", where=where) from error
    return PluggedSource(opener.plugin, given.text, opened, selection)


@dataclass(slots=True)
class PluginEntry(Entry):
    """A mask that a plugin gives, as bytes or as an array; `by` is whose it is."""

    mask: Any = field(repr=False)
    by: str

    def load(self) -> bytes:
        """The bytes of a file, of an NPY where it gives an array. Raises MaskError."""
        most = self.size - _HEADER_BYTES
        if most > MAX_IN_MEMORY:
            raise too_large()
        ask_memory(2 * self.size)
        try:
            given = self.mask.read()
        except (MaskError, MemoryError):
            raise
        except Exception as error:
            raise MaskError(f"{reason(error)} (says {self.by})") from error
        if type(given) not in {bytes, np.ndarray}:
            kind = type(given).__name__[:60]
            raise MaskError(f"{self.by} gives {kind} where bytes or a numpy.ndarray are expected")
        if (given.nbytes if isinstance(given, np.ndarray) else len(given)) > most:
            raise MaskError(f"{self.by} gives more than the {most:,} bytes that it said")
        return given if isinstance(given, bytes) else _npy(given)

    def open(self) -> BinaryIO:
        """The same as a file."""
        return io.BytesIO(self.load())


def _npy(array: np.ndarray[Any, np.dtype[Any]]) -> bytes:
    file = io.BytesIO()
    try:
        npy_format.write_array(file, array, allow_pickle=False)
    except ValueError as error:
        raise MaskError(f"array of type {str(array.dtype)[:60]}: whole numbers are") from error
    return file.getvalue()


@dataclass
class PluggedSource(Source):
    """What a plugin opened."""

    plugin: Plugin
    where: str
    opened: Any
    selection: Selection

    @property
    def default_name(self) -> str:
        """The last part of where it is, without a suffix."""
        name = last_part(self.where)
        return storable(name.rpartition(".")[0] or name or self.plugin.name)

    @property
    def location(self) -> str:
        """Where it is, and which plugin opens it."""
        return with_options(location_of(self.where), format=self.plugin.name)

    def catalog(self) -> ClassCatalog | None:
        """The classes that it names. Raises SourceError where these are none."""
        classes = getattr(self.opened, "classes", None)
        if classes is None:
            return None
        try:
            return catalog_from_mapping(classes, name=self.default_name)
        except CatalogError as error:
            raise self._error(f"its classes are none: {error.problem}") from error

    def entries(self) -> Iterator[Entry]:
        """One entry a mask. Raises SourceError where none can be listed.

        What goes wrong behind the first is one failure, called like the source.
        """
        self._begin()
        number = 0
        try:
            for number, mask in enumerate(self.opened.masks(), 1):
                entry = self._entry(mask, number)
                if not self.selection.takes_named(entry.name):
                    self._skipped += 1
                    continue
                self._meet(entry.name)
                yield entry
        except (MemoryError, GeneratorExit):
            raise
        except Exception as error:
            problem = f"{reason(error)} (says {self.plugin})"
            if not number:
                raise self._error(problem) from error
            yield BrokenEntry(storable(last_part(self.where)), self.where, reason=problem)

    def _entry(self, mask: Any, number: int) -> Entry:
        name: Any = getattr(mask, "name", None)
        stamp: Any = getattr(mask, "stamp", None)
        size: Any = getattr(mask, "size", None)
        wrong = None
        if not isinstance(name, str) or not name.strip("/"):
            name, wrong = f"mask {number}", "its 'name' is no text"
        elif type(stamp) not in {str, int}:
            wrong = "its 'stamp' is neither a text nor a whole number"
        elif not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            wrong = "its 'size' is no number of bytes"
        elif not callable(getattr(mask, "read", None)):
            wrong = "it has no function 'read'"
        name = storable(name.strip("/"))
        path = f"{self.where}/{name}"
        if wrong is not None:
            return BrokenEntry(name, path, reason=f"{self.plugin}: {wrong}")
        said = json.dumps([self.plugin.name, self.plugin.origin, stamp]).encode()
        digest = hashlib.blake2b(said, digest_size=16).hexdigest()
        return PluginEntry(name, path, int(size) + _HEADER_BYTES, digest, mask, str(self.plugin))

    def _error(self, problem: str) -> SourceError:
        return SourceError(problem, where=printable(self.location))
