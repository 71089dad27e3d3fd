"""Masks in object stores and on servers: s3://, gs://, az://, https://, hf://, and more.

Listing is streamed, many reads are in flight at once but no more than a fixed number, what fails in
passing is tried again, and an object is unchanged when its size and its ETag (else its time) are.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import BinaryIO, cast

from maskstat.errors import MaskError, MaskstatError
from maskstat.naming import natural_key, storable
from maskstat.sources.addresses import parse_address, without_secrets
from maskstat.sources.base import REMOTE_READS, BrokenEntry, Entry, Selection, Source, SourceKind
from maskstat.sources.blobs import Shard
from maskstat.sources.locations import (
    TIMEOUT,
    expand_braces,
    fits,
    fixed_folder,
    last_part,
    location_of,
    no_shards,
    shards_name,
)
from maskstat.sources.remote.connections import Connection
from maskstat.sources.remote.facts import Facts
from maskstat.sources.remote.failures import mask_error, reason, source_error
from maskstat.sources.virtual_files import VirtualFile

_FIRST_READ, _LARGEST_READ = 64 << 10, 8 << 20  # bytes of a file that is read in pieces


@dataclass(slots=True)
class RemoteEntry(Entry):
    """An object in a store or on a server.

    `path` is its URL, without secrets, and `stamp` its ETag, else the time of its last change.
    """

    connection: Connection
    facts: Facts

    def load(self) -> bytes:
        """All bytes. Raises MaskError where they can't be had."""
        return self.connection.read(self.facts)

    def open(self) -> BinaryIO:
        """A file that fetches what is read of it."""
        return RemoteBlob(self.connection, self.facts, self.size, str(self.stamp)).open()


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """One object that can be read anywhere, by any number of threads at once."""

    connection: Connection
    facts: Facts
    size: int
    stamp: str

    @property
    def path(self) -> str:
        """Its URL, without secrets."""
        return self.connection.url(self.facts.key)

    @property
    def local_files(self) -> tuple[str, ...]:
        """None."""
        return ()

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at its end. Raises MaskError."""
        return self.connection.read_at(self.facts, start, max(0, min(length, self.size - start)))

    def open(self) -> BinaryIO:
        """A file that fetches what is read of it."""
        return cast(BinaryIO, io.BufferedReader(_Fetched(self), _FIRST_READ))


class _Fetched(VirtualFile):
    """An object as a file. Who reads on gets larger and larger pieces, up to 8 MiB a request."""

    def __init__(self, blob: RemoteBlob):
        super().__init__(blob.size)
        self._blob = blob
        self._piece, self._start = b"", 0
        self._step = _FIRST_READ

    def _next(self, length: int) -> bytes:
        end = self._start + len(self._piece)
        if not self._start <= self._at < end:
            reads_on = self._at == end and end > 0
            self._step = min(self._step * 4, _LARGEST_READ) if reads_on else _FIRST_READ
            most = max(self._step, length)
            self._piece, self._start = self._blob.read_at(self._at, most), self._at
        return self._piece[self._at - self._start :][:length]


def open_blob(where: str, timeout: float) -> RemoteBlob:
    """The object at a URL. Raises MaskError where there is none."""
    return blob_at(Connection.to(where, timeout), where)


def blob_at(connection: Connection, where: str) -> RemoteBlob:
    """The same by a connection that there is already."""
    key = connection.key(where)
    try:
        facts = connection.facts(key)
    except MaskstatError:
        raise
    except Exception as error:
        raise mask_error(error) from error
    if facts.size is None or facts.is_folder:
        raise MaskError("can't be read in parts: the server does not say how long it is")
    return RemoteBlob(connection, facts._replace(key=key), facts.size, facts.stamp or never_twice())


def never_twice() -> str:
    """The mark of something whose content nothing marks: it is read again every time."""
    return f"unmarked-{time.time_ns()}"


def find_shards(where: str, timeout: float) -> list[Shard]:
    """The objects that a URL, a glob or braces stand for, in natural order.

    Raises:
        SourceError: there is none, or they can't be listed.
    """
    urls = expand_braces(where)
    connection = Connection.to(where, timeout)
    if urls == [where] and not _is_glob(where):
        return [Shard("", where, partial(blob_at, connection, where))]
    root = fixed_folder(where)
    found: set[str] = set()
    for url in urls:
        if not _is_glob(url):
            found.add(url[len(root) :].lstrip("/"))
            continue
        inside = fixed_folder(url)[len(root) :].strip("/")
        names = (name for name, _ in _matches(connection, url, _all))
        found.update(f"{inside}/{name}" if inside else name for name in names)
    if not found:
        raise no_shards(location_of(where))
    return [
        Shard(
            f"{storable(name)}/", f"{root}/{name}", partial(blob_at, connection, f"{root}/{name}")
        )
        for name in sorted(found, key=natural_key)
    ]


def _all(_: str) -> bool:
    return True


def _is_glob(url: str) -> bool:
    return any(character in url for character in "*[")


def _matches(
    connection: Connection, pattern: str, enters: Callable[[str], bool]
) -> Iterator[tuple[str, Facts]]:
    """(name below the folder above the first wildcard, facts) of what a glob matches."""
    folder = fixed_folder(pattern)
    wildcards = pattern[len(folder) :].lstrip("/").split("/")
    for name, facts in connection.walk(connection.key(folder), enters):
        if fits(name.split("/"), wildcards):
            yield name, facts


@dataclass
class RemoteSource(Source):
    """Masks below a URL, those that a glob behind it matches, or the one that it is.

    As in folders, hidden names are skipped and suffixes decide.
    """

    where: str
    selection: Selection
    timeout: float = TIMEOUT
    _connection: Connection = field(init=False, repr=False)
    _key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        folder = fixed_folder(self.where) if _is_glob(self.where) else self.where
        self._connection = Connection.to(folder, self.timeout)
        self._key = self._connection.key(folder)
        self.reads = REMOTE_READS
        self.lists_fast = not _is_glob(self.where)

    @property
    def default_name(self) -> str:
        """The last part of the URL, or of the folder above the first wildcard."""
        return shards_name(self.where.rstrip("/"), tuple(self.selection.suffixes))

    @property
    def location(self) -> str:
        """The URL, without passwords."""
        return location_of(self.where)

    def entries(self) -> Iterator[Entry]:
        """One entry an object. Raises SourceError where they can't be listed."""
        self._begin()
        listed: Iterable[tuple[str, Facts]]
        takes: Callable[[str], bool] = self.selection.takes_below
        if _is_glob(self.where):
            listed = _matches(self._connection, self.where, self.selection.enters)
        elif single := self._single():
            listed, takes = [(last_part(self.where), single)], _all
        else:
            listed = self._connection.walk(self._key, self.selection.enters)
        for entry in _entries(self._connection, self._taken(listed, takes)):
            self._meet(entry.name)
            yield entry

    def _taken(
        self, listed: Iterable[tuple[str, Facts]], takes: Callable[[str], bool]
    ) -> Iterator[tuple[str, Facts]]:
        for name, facts in listed:
            if not self.selection.reaches(name):
                continue
            if takes(storable(name)):
                yield name, facts
            else:
                self._skipped += 1

    def _single(self) -> Facts | None:
        """The object that the URL is; None where it is a folder. Raises SourceError."""
        looks_like_file = Selection(suffixes=self.selection.suffixes).takes(last_part(self.where))
        if self._connection.is_web and (self.where.endswith("/") or not looks_like_file):
            return None  # a server does not say what is a folder
        try:
            facts = self._connection.facts(self._key)
        except Exception as error:
            raise source_error(self.location, error) from error
        return None if facts.is_folder else facts


def remote_entries(named: Iterable[tuple[str, str]], timeout: float) -> Iterator[Entry]:
    """One entry a (name, URL), in this order; sizes and marks are asked for, many at once."""
    connections: dict[object, Connection] = {}
    refused: dict[object, str] = {}
    for login, group in groupby(named, key=lambda item: parse_address(item[1]).login):
        rows = iter(group)
        first = next(rows)
        if login not in connections and login not in refused:
            try:
                connections[login] = Connection.to(first[1], timeout)
            except MaskstatError as error:  # of these rows; others may be had
                refused[login] = error.text
        rows = chain([first], rows)
        if login in refused:
            for name, url in rows:
                place = storable(without_secrets(url))
                yield BrokenEntry(storable(name), place, reason=refused[login])
            continue
        wrong: list[Entry] = []
        yield from _entries(connections[login], _unknown(connections[login], rows, wrong))
        yield from wrong


def _unknown(
    connection: Connection, named: Iterable[tuple[str, str]], wrong: list[Entry]
) -> Iterator[tuple[str, Facts]]:
    """Objects of which nothing is known yet; URLs that are none go to `wrong`."""
    for name, url in named:
        try:
            key = connection.key(url)
        except Exception as error:  # fsspec's, of somebody's text
            why = f"no URL that can be read: {reason(error)}"
            wrong.append(BrokenEntry(storable(name), storable(without_secrets(url)), reason=why))
        else:
            yield name, Facts(key, False, None, None)


def _entries(connection: Connection, listed: Iterable[tuple[str, Facts]]) -> Iterator[Entry]:
    for name, facts in connection.completed(listed):
        name = storable(name)
        if isinstance(facts, str):
            yield BrokenEntry(name, f"{connection.scheme}::{name}", reason=facts)
            continue
        yield RemoteEntry(
            name,
            connection.url(facts.key),
            facts.size or 0,
            facts.stamp or never_twice(),
            connection,
            facts,
        )


KIND = SourceKind(
    takes=lambda given: given.is_url,
    open=lambda given, selection: RemoteSource(given.text, selection, given.timeout),
)
