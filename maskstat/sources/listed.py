"""Masks that a text list names, or a table: by paths, relative to it or absolute, or by URLs."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

from maskstat.errors import MaskError, SourceError, unreadable
from maskstat.naming import printable, storable
from maskstat.sources.addresses import without_secrets
from maskstat.sources.base import (
    REMOTE_READS,
    BrokenEntry,
    Entry,
    Selection,
    Source,
)
from maskstat.sources.leads import Lead, lead_of, lead_of_stems
from maskstat.sources.local.named_files import file_entry
from maskstat.sources.locations import (
    TIMEOUT,
    is_url,
    location_of,
    shards_name,
)
from maskstat.sources.shards import open_blob
from maskstat.sources.tables.mask_columns import LOOKED_AT

LIST_SUFFIXES = (".txt", ".lst")
_LONGEST_LINE = 16 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Listed(NamedTuple):
    """A mask of a list: its name, and its path or URL, or what is wrong with its row."""

    name: str
    place: str
    wrong: str | None = None


def listed_entries(masks: Iterable[Listed], listed_in: str, timeout: float) -> Iterator[Entry]:
    """One entry a mask, in this order; of those on servers many are asked for at once."""
    for far, group in groupby(masks, key=lambda mask: is_url(mask.place)):
        if far:
            from maskstat.sources.remote.objects import remote_entries

            yield from remote_entries(((mask.name, mask.place) for mask in group), timeout)
            continue
        for mask in group:
            if mask.wrong is None:
                yield file_entry(mask.place, mask.name)
            else:
                where = f"{listed_in}::{mask.name}"
                yield BrokenEntry(storable(mask.name), where, reason=mask.wrong)


def name_of(path: str) -> str:
    """What a mask is called: its path, tidied up; of a URL, without secrets."""
    return without_secrets(path) if is_url(path) else os.path.normpath(path).replace(os.sep, "/")


@contextmanager
def lines_of(where: str, timeout: float, *, newline: str | None = None) -> Iterator[Iterator[str]]:
    """The lines of a text file at a path or URL, of which none is too long to be held.

    Raises MaskError and OSError.
    """
    with open_blob(where, timeout).open() as file:
        coding = ("utf-8-sig", "surrogateescape")
        if file.read(2) in _UTF_16:  # as PowerShell redirects what it lists
            coding = ("utf-16", "backslashreplace")
        file.seek(0)
        with io.TextIOWrapper(file, *coding, newline=newline) as text:
            yield _bounded(text)


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise MaskError(f"has a line of {_LONGEST_LINE >> 20} MiB: this is no list of paths")
        yield line


@dataclass
class ListSource(Source):
    """A text file with one mask a line: relative to the list's folder, absolute, or a URL.

    "#" starts a comment. A path that is listed twice counts once, also where it is written in two
    ways. Where lines are names without a suffix, masks are found by `lead_of_stems`.
    """

    where: str
    selection: Selection
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        far = is_url(self.where) or is_url(self._first())
        self.reads = REMOTE_READS if far else None

    def _first(self) -> str:
        try:
            return next(self._paths(), "")
        except SourceError:
            return ""  # listing it says what is wrong

    @property
    def default_name(self) -> str:
        """The list's stem."""
        return shards_name(self.where, LIST_SUFFIXES)

    @property
    def location(self) -> str:
        """The absolute path or the URL of the list."""
        return location_of(self.where)

    def entries(self) -> Iterator[Entry]:
        """One entry a line. Raises SourceError where the list is not text."""
        yield from listed_entries(self.masks(), self.where, self.timeout)

    def masks(self) -> Iterator[Listed]:
        """What its lines name, as far as the selection takes it. Raises as `entries`."""
        self._begin()
        seen: set[str] = set()
        lead = self._lead()
        for text in self._paths():
            path = lead.path(text)
            name = name_of(path)
            if name in seen:
                continue
            seen.add(name)
            if self.selection.takes_named(name):
                self._meet(name)
                self._outside += lead.is_outside(path)
                yield Listed(name, lead.place(path))
            else:
                self._skipped += 1

    def _lead(self) -> Lead:
        """Where its paths lead, by the first of them. Raises SourceError."""
        first = list(islice(self._paths(), LOOKED_AT))
        lead = lead_of(first, self.where)
        if is_url(self.where) or any(map(_has_suffix, first)) or any(map(lead.finds, first)):
            return lead
        return lead_of_stems(list(self._paths()), self.where, self.selection) or lead

    def _paths(self) -> Iterator[str]:
        where = printable(self.location)
        try:
            with lines_of(self.where, self.timeout) as lines:
                for number, line in enumerate(lines, 1):
                    text = line.strip()
                    if "\0" in text and number == 1:
                        raise SourceError(
                            f"line {number} is not text: this is no list of paths", where=where
                        )
                    if text and not text.startswith("#"):
                        yield text
        except MaskError as error:
            raise SourceError(error.problem, where=where, remedy=error.remedy) from error
        except OSError as error:
            raise SourceError(unreadable(error), where=where) from error


def _has_suffix(path: str) -> bool:
    return bool(os.path.splitext(path)[1])
