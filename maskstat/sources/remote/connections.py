"""Connections to object stores and servers: requests that are repeated, bounded and explained.

fsspec knows the stores; when to try again, how much to take and what to say of an error is ours.
"""

from __future__ import annotations

import base64
import errno
import inspect
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast

from maskstat.errors import MaskError, MaskstatError, MissingExtraError, SourceError
from maskstat.naming import printable, storable
from maskstat.sources.addresses import parse_address, scrubbed, without_secrets
from maskstat.sources.base import MAX_IN_MEMORY, REMOTE_READS, too_large

RETRIES = 4
FIRST_PAUSE = 0.2  # seconds; each further one is twice as long, times chance
LONGEST_PAUSE = 8.0
QUIET_SECONDS = 30.0  # without a byte, then the request is given up and tried again
PAGE_KEYS = 1000  # objects in one answer of a store
_BATCH = 256  # objects that are asked for their size and ETag together
_DEPTH = 64  # of folders on servers, which may lead round in circles
_PIECE = 256 << 10

# fsspec's wrappers around other file systems, which are none of their own.
_WRAPPERS = frozenset(
    {
        "zip",
        "tar",
        "libarchive",
        "reference",
        "dir",
        "data",
        "generic",
        "blockcache",
        "cached",
        "filecache",
        "simplecache",
        "async_wrapper",
        "asynclocal",
        "asyncwrapper",
        "file",
        "local",
    }
)
_PACKAGES = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "hf": "huggingface_hub",
}
_WEB = frozenset({"http", "https"})
_S3 = frozenset({"s3", "s3a"})
_THREAD_SAFE = frozenset({"memory", "hf"})  # besides all that are asynchronous inside

# What tells that content is the same, best first, whatever a library calls it.
_TAGS = ("etag", "blobid", "sha", "md5hash", "contentmd5", "checksum", "digest")
_TIMES = ("lastmodified", "updated", "mtime", "modified", "modify", "modificationtime", "created")

Result = TypeVar("Result")


class Facts(NamedTuple):
    """What a listing says of one object; `size` and `stamp` are None where it says nothing."""

    key: str
    is_folder: bool
    size: int | None
    stamp: str | None

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Facts:
        """From one of fsspec's dictionaries."""
        known = {re.sub("[^a-z0-9]", "", key.lower()): value for key, value in info.items()}
        marks = (known.get(key) for key in (*_TAGS, *_TIMES))
        mark = next((str(m) for m in marks if m not in {None, ""}), None)
        size = info.get("size")
        return cls(
            str(info["name"]),
            info.get("type") == "directory",
            int(size) if isinstance(size, (int, float)) else None,
            None if mark is None else storable(mark.strip('"')),
        )


class _ShortError(OSError):
    """Another number of bytes came than were listed."""


class Connection:
    """One store or server. All methods may be called by many threads at once."""

    def __init__(self, scheme: str, user: str | None, password: str | None):
        self.scheme = scheme
        self._login = (user, password)
        self.fs = _filesystem(scheme, user, password)
        safe = getattr(self.fs, "async_impl", False) or scheme in _THREAD_SAFE
        self._turn: AbstractContextManager[object] = nullcontext() if safe else threading.Lock()

    @classmethod
    def to(cls, url: str) -> Connection:
        """To the store of a URL. Raises SourceError and MissingExtraError."""
        return cls(*parse_address(url).login)

    def key(self, url: str) -> str:
        """What the store calls the object at a URL."""
        return str(self.fs._strip_protocol(parse_address(url).url))

    def __reduce__(self) -> tuple[object, ...]:
        return (_connection, (self.scheme, *self._login))

    @property
    def is_web(self) -> bool:
        """Whether it is a web server, which knows no folders."""
        return self.scheme in _WEB

    def url(self, key: str) -> str:
        """The address of an object, for people."""
        return without_secrets(key if "://" in key else f"{self.scheme}://{key.lstrip('/')}")

    def tried(self, action: Callable[[], Result]) -> Result:
        """The result of a request, which is repeated where it failed in passing.

        Pauses grow exponentially, with full jitter, so that many readers do not come back at once.
        Raises what the last attempt raised.
        """
        attempt = 0
        while True:
            try:
                with self._turn:
                    return action()
            except Exception as error:
                if attempt == RETRIES or not _passes(error):
                    raise
            time.sleep(random.random() * min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
            attempt += 1

    def read(self, key: str, size: int | None) -> bytes:
        """A whole object; `size` is what was listed. Raises MaskError."""

        def attempt() -> bytes:
            data = self._whole(key, size)
            if len(data) > MAX_IN_MEMORY:
                raise too_large()
            if size is not None and len(data) != size:
                raise _ShortError(f"{len(data):,} bytes came where {size:,} were listed")
            return data

        if (size or 0) > MAX_IN_MEMORY:
            raise too_large()
        if size == 0:
            return b""
        return self._or_mask_error(attempt)

    def read_at(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes of an object. Raises MaskError where they are not to be had."""

        def attempt() -> bytes:
            data = self._part(key, start, length)
            if len(data) != length:
                raise _ShortError(f"{len(data):,} bytes came where {length:,} were asked for")
            return data

        return self._or_mask_error(attempt) if length else b""

    def _or_mask_error(self, action: Callable[[], Result]) -> Result:
        try:
            return self.tried(action)
        except MaskError:
            raise
        except Exception as error:
            raise MaskError(f"can't be read: {reason(error)}") from error

    def _whole(self, key: str, size: int | None) -> bytes:
        if self.scheme in _WEB:
            return self._get(key, None, MAX_IN_MEMORY if size is None else size)
        if size is not None:
            return self._part(key, 0, size)
        with self.fs.open(key, "rb") as file:
            return cast(bytes, file.read(MAX_IN_MEMORY + 1))

    def _part(self, key: str, start: int, length: int) -> bytes:
        if self.scheme in _WEB:
            return self._get(key, start, length)
        # With both ends given there is one request: s3fs does not ask for the size first.
        return cast(bytes, self.fs.cat_file(key, start=start, end=start + length))

    def _get(self, url: str, start: int | None, length: int) -> bytes:
        from fsspec.asyn import sync

        return cast(bytes, sync(self.fs.loop, _bytes_of, self.fs, url, start, length))

    def facts(self, key: str) -> Facts:
        """Size and mark of one object. Raises whatever the library raises."""
        return Facts.of(self.tried(partial(self.fs.info, key)))

    def walk(self, root: str, enters: Callable[[str], bool]) -> Iterator[tuple[str, Facts]]:
        """(name below `root`, facts) of every object, as they are listed.

        Raises:
            SourceError: a listing failed for good.
        """
        try:
            if self.scheme in _S3 and hasattr(self.fs, "call_s3"):
                yield from self._s3_objects(root)
                return
            folders = [(root, "", 0)]
            seen: set[str] = set()
            while folders:
                folder, prefix, depth = folders.pop()
                if folder in seen or depth > _DEPTH:
                    continue
                seen.add(folder)
                for info in self.tried(partial(self.fs.ls, folder, detail=True)):
                    facts = Facts.of(info)
                    last = facts.key.rstrip("/").rpartition("/")[2]
                    if self.scheme in _WEB and set(last) & set("?#"):
                        continue  # how a server sorts its listing, say
                    if not facts.is_folder and facts.key != folder:
                        yield prefix + last, facts
                    elif facts.is_folder and enters(prefix + last):
                        folders.append((facts.key, f"{prefix}{last}/", depth + 1))
        except MaskstatError:
            raise
        except Exception as error:
            raise source_error(self.url(root), error) from error

    def _s3_objects(self, root: str) -> Iterator[tuple[str, Facts]]:
        """All objects below a prefix, a page at a time."""
        bucket, prefix, _ = self.fs.split_path(root)
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        more: dict[str, str] = {}
        while True:
            listing = partial(self.fs.call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix)
            page = self.tried(partial(listing, MaxKeys=PAGE_KEYS, **more))
            for found in page.get("Contents", ()):
                key = found["Key"]
                if not key.endswith("/"):  # a folder that somebody made in a console
                    tag = found.get("ETag") or found.get("LastModified")
                    stamp = None if tag is None else str(tag).strip('"')
                    facts = Facts(f"{bucket}/{key}", False, int(found["Size"]), stamp)
                    yield key[len(prefix) :], facts
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def completed(self, listed: Iterable[tuple[str, Facts]]) -> Iterator[tuple[str, Facts | str]]:
        """The same with sizes and marks where there were none; a reason where asking failed."""
        with ThreadPoolExecutor(REMOTE_READS, "maskstat-facts") as pool:
            source = iter(listed)
            while batch := list(islice(source, _BATCH)):
                names, facts = zip(*batch, strict=True)
                if any(f.size is None or f.stamp is None for f in facts):
                    facts = tuple(pool.map(self._complete, facts))
                yield from zip(names, facts, strict=True)

    def _complete(self, facts: Facts) -> Facts | str:
        if facts.size is not None and facts.stamp is not None:
            return facts
        try:
            found = self.facts(facts.key)
        except Exception as error:
            return f"can't be read: {reason(error)}"
        return found._replace(key=facts.key)


async def _bytes_of(fs: Any, url: str, start: int | None, length: int) -> bytes:
    """Part of a file on a server, or all of it where `start` is None; `length` + 1 bytes at most.

    However much a server sends, no more is taken. Of a whole file one byte more than listed is
    taken, which tells that there are too many.
    """
    headers = {"Accept-Encoding": "identity"}
    if start is not None:
        headers["Range"] = f"bytes={start}-{start + length - 1}"
    session = await fs.set_session()
    async with session.get(fs.encode_url(url), headers=headers) as response:
        if response.status == 404:
            raise FileNotFoundError(url)
        response.raise_for_status()
        if start and response.status != 206:
            raise MaskError("the server sends no parts of files: download it first")
        most = length if start is not None else length + 1
        pieces: list[bytes] = []
        while most and (piece := await response.content.read(min(most, _PIECE))):
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)


@lru_cache(maxsize=16)
def _connection(scheme: str, user: str | None, password: str | None) -> Connection:
    """The connection of entries that come from another process, one for all of them."""
    return Connection(scheme, user, password)


def _options(scheme: str, user: str | None, password: str | None) -> dict[str, Any]:
    """What fsspec is told. Its own settings (FSSPEC_S3_..., a file) come on top."""
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in _S3:
        # One place tries again, and it is not the library.
        options["config_kwargs"] = {
            "retries": {"total_max_attempts": 1},
            "max_pool_connections": REMOTE_READS,
            "connect_timeout": QUIET_SECONDS,
            "read_timeout": QUIET_SECONDS,
        }
        if user is not None:
            options |= {"key": user, "secret": password}
    elif scheme in _WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=QUIET_SECONDS, sock_read=QUIET_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}
        if user is not None:
            login = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
            options["client_kwargs"]["headers"] = {"Authorization": f"Basic {login}"}
    elif user is not None:
        options |= {"username": user, "password": password}
    return options


def _needed(system: Any) -> set[str]:
    """What a file system can't be made without."""
    given = list(inspect.signature(system.__init__).parameters.values())
    plain = (p for p in given[1:] if p.kind is p.POSITIONAL_OR_KEYWORD)  # the first is itself
    return {p.name for p in plain if p.default is p.empty}


def _filesystem(scheme: str, user: str | None, password: str | None) -> Any:
    """fsspec's file system. Raises SourceError and MissingExtraError."""
    try:
        import fsspec
        from fsspec.registry import known_implementations, registry

        if scheme in _WRAPPERS or scheme not in {*known_implementations, *registry}:
            raise SourceError(
                "unknown scheme",
                where=f"{printable(scheme)}://",
                remedy="known are s3, gs, az, https, hf and others that fsspec knows",
            )
        options = _options(scheme, user, password)
        needed = _needed(fsspec.get_filesystem_class(scheme)) - options.keys()
        if needed:
            raise SourceError(
                f"can't be read from here: a connection needs {', '.join(sorted(needed))}",
                where=f"{printable(scheme)}://",
                remedy="mount it, or download it first",
            )
        system = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        package = _PACKAGES.get(scheme, "")
        raise MissingExtraError(
            f"{scheme}:// needs a package that is not installed ({error})",
            remedy=f'pip install "maskstat[remote]" {package}'.rstrip(),
        ) from error
    if scheme in _S3:
        system.retries = 1
    return system


_FINAL = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    MaskstatError,
    NotImplementedError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    MemoryError,
    ImportError,
)
_FINAL_ERRNO = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOENT})
_PASSING_STATUS = frozenset({408, 425, 429})


def _passes(error: BaseException) -> bool:
    """Whether what failed may work when tried again."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _PASSING_STATUS
    error = _behind(error)
    if isinstance(error, _FINAL) or "Credential" in type(error).__name__:
        return False
    return not (isinstance(error, OSError) and error.errno in _FINAL_ERRNO)


def _behind(error: BaseException) -> BaseException:
    """What is behind a "not found" that a library makes of other failures, too."""
    cause = error.__cause__
    disguised = isinstance(error, FileNotFoundError) and cause is not None
    return cause if disguised and not isinstance(cause, _FINAL) and cause else error


def _status(error: BaseException | None) -> int | None:
    """The HTTP status in an error, wherever a library keeps it, or behind one of Python's own."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, Mapping):  # botocore's
            response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        for holder in (error, response):
            for name in ("status", "status_code", "code", "real"):
                value = getattr(holder, name, None)
                if isinstance(value, int) and 100 <= value < 600:
                    return value
        error = error.__cause__ if type(error).__module__ == "builtins" else None
    return None


def reason(error: BaseException) -> str:
    """What went wrong, in a line that may be shown: without secrets and control characters."""
    status, error = _status(error), _behind(error)
    if isinstance(error, MaskstatError):
        return error.problem
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return "it is not there"
    if status in {401, 403} or isinstance(error, PermissionError):
        return "no permission"
    if "Credential" in type(error).__name__:
        return "no credentials"
    if status is not None:
        return f"HTTP status {status}"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timed out"
    text = str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    text = scrubbed(text.strip().partition("\n")[0])[:200]
    return printable(text) or type(error).__name__


def source_error(where: str, error: BaseException) -> SourceError:
    """What to tell of a source that can't be listed."""
    why = reason(error)
    remedy = None
    if why in {"no permission", "no credentials"}:
        remedy = "check the credentials; for a public bucket set FSSPEC_S3_ANON=true"
    text = "there is nothing here" if why == "it is not there" else f"can't be listed: {why}"
    return SourceError(text, where=printable(storable(where)), remedy=remedy)
