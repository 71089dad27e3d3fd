"""A read-only Zarr store over a folder or an open zip, whose chunks are checked as they are read.

Importing this module imports zarr.
"""

from __future__ import annotations

import logging
import os
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from maskstat.errors import MaskError, unreadable
from maskstat.naming import printable, storable
from maskstat.regular_files import open_file

MAX_METADATA = 16 << 20
_OF_NODES = frozenset({"zarr.json", ".zarray", ".zgroup"})
_METADATA = _OF_NODES | {".zattrs", ".zmetadata"}


class _Unfinished(logging.Filter):
    """Keeps from the terminal that Zarr was still reading when one chunk of several failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log this."""
        text = record.getMessage()
        return "Task was destroyed" not in text or "zarr" not in text


logging.getLogger("asyncio").addFilter(_Unfinished())

Check = Callable[[bytes, "ByteRequest | None"], None]


class CheckedStore(Store):
    """Values by key, from `fetch`; `check` sees every chunk before Zarr does.

    Args:
        fetch: all bytes of a key, or None where there is none; `limit` is the most it may be.
        names: lists all keys.
    """

    supports_writes = False
    supports_deletes = False
    supports_partial_writes = False
    supports_listing = True

    def __init__(
        self, fetch: Callable[[str, int], bytes | None], names: Callable[[], Iterable[str]]
    ):
        super().__init__(read_only=True)
        self._fetch, self._names = fetch, names
        self.check: Check | None = None
        self.limit = MAX_METADATA
        self._last: tuple[str, bytes | None] = ("", None)  # parts of a shard are asked for in turn

    def __eq__(self, other: object) -> bool:
        return self is other

    def holds_more_nodes(self, most: int) -> bool:
        """Whether there are more arrays and groups than this."""
        nodes = (name for name in self._names() if name.rpartition("/")[2] in _OF_NODES)
        return next(islice(nodes, most, None), None) is not None

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The value of a key. Raises MaskError where it would expand too much."""
        is_metadata = key.rpartition("/")[2] in _METADATA
        kept, data = self._last
        if byte_range is None or kept != key:
            data = self._fetch(key, MAX_METADATA if is_metadata else self.limit)
            self._last = ("", None) if byte_range is None else (key, data)
        if data is None:
            return None
        if isinstance(byte_range, RangeByteRequest):
            data = data[byte_range.start : byte_range.end]
        elif isinstance(byte_range, OffsetByteRequest):
            data = data[byte_range.offset :]
        elif isinstance(byte_range, SuffixByteRequest):
            data = data[-byte_range.suffix :] if byte_range.suffix else b""
        if self.check is not None and not is_metadata:
            self.check(data, byte_range)
        return prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Several values."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return self._fetch(key, 0) is not None

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        for name in self._names():
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Keys that begin like this."""
        for name in self._names():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names right below a node."""
        start = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        seen: set[str] = set()
        for name in self._names():
            if name.startswith(start):
                part = name[len(start) :].partition("/")[0]
                if part not in seen:
                    seen.add(part)
                    yield part

    async def set(self, key: str, value: Buffer) -> None:
        """Nothing is written."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Nothing is deleted."""
        raise NotImplementedError

    async def set_partial_values(self, key_start_values: Any) -> None:
        """Nothing is written."""
        raise NotImplementedError


def folder_store(root: str) -> CheckedStore:
    """The store in a folder."""

    def fetch(key: str, limit: int) -> bytes | None:
        path = os.path.join(root, *key.split("/"))
        try:
            with open_file(path) as file:
                size = os.fstat(file.fileno()).st_size
                if not limit:
                    return b""
                if size > limit:
                    raise _too_large(key, size)
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if os.path.isdir(path):
                return None
            raise MaskError(f"{printable(storable(key))[:80]} in it {unreadable(error)}") from error

    def names() -> Iterator[str]:
        for folder, _, files in os.walk(root):
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            yield from files if inside == "." else (f"{inside}/{name}" for name in files)

    return CheckedStore(fetch, names)


def zip_store(archive: zipfile.ZipFile, root: str) -> CheckedStore:
    """The store in a zip, below `root` ("" or a name that ends in "/")."""
    members = {
        info.filename.removeprefix(root): info
        for info in archive.infolist()
        if info.filename.startswith(root) and not info.filename.endswith("/")
    }
    lock = threading.Lock()  # Zarr reads from a thread of its own

    def fetch(key: str, limit: int) -> bytes | None:
        info = members.get(key)
        if info is None or not limit:
            return None if info is None else b""
        if info.file_size > limit:
            raise _too_large(key, info.file_size)
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise MaskError("its zip is compressed in a way that Zarr's is not")
        with lock, archive.open(info) as member:
            return member.read(limit)

    return CheckedStore(fetch, lambda: members)


def _too_large(key: str, size: int) -> MaskError:
    return MaskError(f"a file of the store has {size >> 20} MiB, more than a chunk can need")
