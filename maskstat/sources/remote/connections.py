"""Connections to object stores and servers: requests that are repeated, bounded and explained.

fsspec knows the stores; when to try again, how much to take and what to say of an error is ours.
"""

from __future__ import annotations

import base64
import inspect
import random
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from itertools import islice
from time import monotonic, sleep
from typing import Any, TypeVar, cast

from maskstat.errors import MaskError, MaskstatError, MissingExtraError, SourceError
from maskstat.naming import printable
from maskstat.sources.addresses import parse_address, without_secrets
from maskstat.sources.base import MAX_IN_MEMORY, REMOTE_READS, changed, too_large
from maskstat.sources.locations import TIMEOUT
from maskstat.sources.remote.facts import Facts
from maskstat.sources.remote.failures import (
    GaveUpError,
    TooLateError,
    asked_to_wait,
    mask_error,
    passes,
    source_error,
    status_of,
)

PATIENCE = 60.0  # seconds for which a store that has no time (503, say) is asked again
RETRIES = 4  # of what fails otherwise
FIRST_PAUSE = 0.2  # seconds; each further one is twice as long, times chance
LONGEST_PAUSE = 8.0
QUIET_SECONDS = 30.0  # without a byte, then the request is given up and tried again
PAGE_KEYS = 1000  # objects in one answer of a store
_BATCH = 256  # objects that are asked for their size and ETag together
_DEPTH = 64  # of folders on servers, which may lead round in circles
_PIECE = 256 << 10
_BEHIND_THE_END = 416  # the status of a part that is there no longer
_INSTANT = 0.01  # seconds; clocks differ by less

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

Result = TypeVar("Result")


class _ShortError(OSError):
    """Another number of bytes came than were listed."""


class _Watch:
    """One request, its tries and pauses: how long it may take, and what came of the last try."""

    def __init__(self, seconds: float):
        self.seconds, self.received = seconds, 0
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until its time is up."""
        return self._end - monotonic()


class Connection:
    """One store or server. All methods may be called by many threads at once."""

    def __init__(self, scheme: str, user: str | None, password: str | None, timeout: float):
        self.scheme, self.timeout = scheme, timeout
        self._login = (user, password)
        self.fs = _filesystem(scheme, user, password)
        self._is_async = bool(getattr(self.fs, "async_impl", False))
        safe = self._is_async or scheme in _THREAD_SAFE
        self._turn: AbstractContextManager[object] = nullcontext() if safe else threading.Lock()

    @classmethod
    def to(cls, url: str, timeout: float = TIMEOUT) -> Connection:
        """To the store of a URL. Raises SourceError and MissingExtraError.

        A request, with the tries and pauses that it takes, is given up after `timeout` seconds.
        """
        return cls(*parse_address(url).login, timeout)

    def key(self, url: str) -> str:
        """What the store calls the object at a URL."""
        return str(self.fs._strip_protocol(parse_address(url).url))

    def __reduce__(self) -> tuple[object, ...]:
        return (_connection, (self.scheme, *self._login, self.timeout))

    @property
    def is_web(self) -> bool:
        """Whether it is a web server, which knows no folders."""
        return self.scheme in _WEB

    def url(self, key: str) -> str:
        """The address of an object, for people."""
        return without_secrets(key if "://" in key else f"{self.scheme}://{key.lstrip('/')}")

    def tried(self, action: Callable[[_Watch], Result]) -> Result:
        """The result of a request, which is repeated where it failed in passing.

        Pauses grow exponentially, with full jitter, so that many readers do not come back at once.
        A store that answers "not now" is asked for PATIENCE seconds, after pauses as long as it
        wants; what else fails is tried RETRIES times more. Raises what will not pass as it is,
        GaveUpError from what did not, and TooLateError where the time of the connection is up.
        """
        watch, tries = _Watch(self.timeout), 0
        began: float | None = None
        while True:
            try:
                with self._turn:
                    return action(watch)
            except Exception as error:
                now = monotonic()
                began, tries = began or now, tries + 1
                if not passes(error):
                    raise
                if watch.left < _INSTANT:
                    raise TooLateError(watch.received, watch.seconds) from error
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 60))
                wait = asked_to_wait(error)
                pause = wait + random.random() * longest
                answered = status_of(error) is not None
                again = now + pause - began < PATIENCE if answered else tries <= RETRIES
                if not again or pause > watch.left:
                    raise GaveUpError(tries, now - began, wait) from error
            sleep(pause)

    def _waited(self, watch: _Watch, name: str, *positional: object, **named: object) -> Any:
        """What a method of the file system gives; given up in time where it can be interrupted."""
        if not self._is_async:
            return getattr(self.fs, name)(*positional, **named)
        from fsspec.asyn import sync

        method = getattr(self.fs, f"_{name}")
        return sync(self.fs.loop, method, *positional, timeout=max(_INSTANT, watch.left), **named)

    def read(self, facts: Facts) -> bytes:
        """A whole object, as it was listed. Raises MaskError."""

        def attempt(watch: _Watch) -> bytes:
            data = self._whole(facts, watch)
            if len(data) > MAX_IN_MEMORY:
                raise too_large()
            if size is not None and len(data) != size:
                raise _ShortError(f"{len(data):,} bytes came where {size:,} were listed")
            return data

        size = facts.size
        if (size or 0) > MAX_IN_MEMORY:
            raise too_large()
        if size == 0:
            return b""
        return self._or_mask_error(attempt)

    def read_at(self, facts: Facts, start: int, length: int) -> bytes:
        """`length` bytes of an object as it was listed. Raises MaskError."""

        def attempt(watch: _Watch) -> bytes:
            data = self._part(facts, start, length, watch)
            if len(data) != length:
                raise _ShortError(f"{len(data):,} bytes came where {length:,} were asked for")
            return data

        if not length:
            return b""
        data = self._or_mask_error(attempt)
        if self.scheme not in _WEB | _S3:
            # Their libraries do not say of which content it is a part.
            facts.check_again(self._or_mask_error(lambda watch: self._facts(facts.key, watch)))
        return data

    def _or_mask_error(self, action: Callable[[_Watch], Result]) -> Result:
        try:
            return self.tried(action)
        except Exception as error:
            if status_of(error) == _BEHIND_THE_END:
                raise changed() from error
            raise mask_error(error) from error

    def _whole(self, facts: Facts, watch: _Watch) -> bytes:
        if self.scheme in _WEB:
            return self._get(_bytes_of, facts, None, facts.size or MAX_IN_MEMORY, watch)
        if facts.size is not None:
            return self._part(facts, 0, facts.size, watch)
        with self.fs.open(facts.key, "rb") as file:
            return cast(bytes, file.read(MAX_IN_MEMORY + 1))

    def _part(self, facts: Facts, start: int, length: int, watch: _Watch) -> bytes:
        if self.scheme in _WEB:
            return self._get(_bytes_of, facts, start, length, watch)
        if self.scheme in _S3:
            return self._get(_s3_bytes_of, facts, start, length, watch)
        named = {"start": start, "end": start + length}
        return cast(bytes, self._waited(watch, "cat_file", facts.key, **named))

    def _get(self, how: Any, facts: Facts, start: int | None, length: int, watch: _Watch) -> bytes:
        from fsspec.asyn import sync

        limit = max(_INSTANT, watch.left)
        return cast(
            bytes,
            sync(self.fs.loop, how, self.fs, facts, start, length, watch, timeout=limit),
        )

    def facts(self, key: str) -> Facts:
        """Size and mark of one object. Raises whatever the library raises."""
        return self.tried(lambda watch: self._facts(key, watch))

    def _facts(self, key: str, watch: _Watch) -> Facts:
        return Facts.of(self._waited(watch, "info", key))

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
                for info in self.tried(partial(self._listed, folder)):
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
            asked = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE_KEYS, **more}
            page = self.tried(partial(self._page, asked))
            for found in page.get("Contents", ()):
                key = found["Key"]
                if not key.endswith("/"):  # a folder that somebody made in a console
                    yield (
                        key[len(prefix) :],
                        Facts.of({**found, "name": f"{bucket}/{key}", "size": found["Size"]}),
                    )
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _listed(self, folder: str, watch: _Watch) -> Any:
        return self._waited(watch, "ls", folder, detail=True)

    def _page(self, asked: Mapping[str, Any], watch: _Watch) -> Any:
        return self._waited(watch, "call_s3", "list_objects_v2", **asked)

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
            return mask_error(error).text
        return found._replace(key=facts.key)


async def _bytes_of(fs: Any, facts: Facts, start: int | None, length: int, watch: _Watch) -> bytes:
    """Part of a file on a server, or all of it where `start` is None; `length` + 1 bytes at most.

    However much a server sends, no more is taken. Of a whole file one byte more than listed is
    taken, which tells that there are too many.
    """
    headers = {"Accept-Encoding": "identity"}
    if start is not None:
        headers["Range"] = f"bytes={start}-{start + length - 1}"
    session = await fs.set_session()
    async with session.get(fs.encode_url(facts.key), headers=headers) as response:
        if response.status == 404:
            raise FileNotFoundError(facts.key)
        response.raise_for_status()
        facts.check(response.headers, whole=start is None)
        if start and response.status != 206:
            raise MaskError("the server sends no parts of files: download it first")
        most = length if start is not None else length + 1
        return await _taken(response.content.read, most, watch)


async def _s3_bytes_of(fs: Any, facts: Facts, start: int, length: int, watch: _Watch) -> bytes:
    """The same of an object on S3."""
    bucket, key, version = fs.split_path(facts.key)
    asked = {"VersionId": version} if version else {}
    part = f"bytes={start}-{start + length - 1}"
    answer = await fs._call_s3("get_object", asked, Bucket=bucket, Key=key, Range=part)
    body = answer["Body"]
    try:
        facts.check(answer)
        return await _taken(body.read, length, watch)
    finally:
        body.close()


async def _taken(read: Callable[[int], Awaitable[bytes]], most: int, watch: _Watch) -> bytes:
    """What comes of an answer, `most` bytes at most."""
    pieces: list[bytes] = []
    watch.received = 0
    while most and (piece := await read(min(most, _PIECE))):
        pieces.append(piece)
        most -= len(piece)
        watch.received += len(piece)
    return b"".join(pieces)


@lru_cache(maxsize=16)
def _connection(scheme: str, user: str | None, password: str | None, timeout: float) -> Connection:
    """The connection of entries that come from another process, one for all of them."""
    return Connection(scheme, user, password, timeout)


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
