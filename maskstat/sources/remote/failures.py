"""What goes wrong on the way to a store or a server: whether it may pass, and how to say it."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from maskstat.errors import Blank, MaskError, MaskstatError, SourceError, argument
from maskstat.naming import counted, printable, storable
from maskstat.sources.addresses import scrubbed

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
    ssl.SSLCertVerificationError,
)
_FINAL_ERRNO = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOENT})
_PASSING_STATUS = frozenset({408, 425, 429})
_UNKNOWN_NAME = "the server's name is not known"
_LIMITS = argument("timeout", Blank("SECONDS"))


class GaveUpError(OSError):
    """What failed in passing was tried again, and failed again; the cause says of what."""

    def __init__(self, tries: int, seconds: float, wait: float):
        super().__init__()
        self.tries, self.seconds, self.wait = tries, seconds, wait


class TooLateError(OSError):
    """A request was not done when its time was up; `received` bytes had come by then."""

    def __init__(self, received: int, seconds: float):
        super().__init__()
        self.received, self.seconds = received, seconds


def passes(error: BaseException) -> bool:
    """Whether what failed may work when tried again."""
    status = status_of(error)
    if status is not None:
        return status >= 500 or status in _PASSING_STATUS
    error = _behind(error)
    if isinstance(error, _FINAL) or _is_redirected(error) or "Credential" in type(error).__name__:
        return False
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return False
    return not (isinstance(error, OSError) and error.errno in _FINAL_ERRNO)


def _is_redirected(error: BaseException) -> bool:
    return type(error).__name__ == "TooManyRedirects"


def _behind(error: BaseException) -> BaseException:
    """What is behind a "not found" that a library makes of other failures, too."""
    cause = error.__cause__
    disguised = isinstance(error, FileNotFoundError) and cause is not None
    return cause if disguised and not isinstance(cause, _FINAL) and cause else error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it comes from, as far as libraries say."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = (
            getattr(error, "certificate_error", None)  # aiohttp's
            or getattr(error, "os_error", None)
            or getattr(error, "kwargs", {}).get("error")  # botocore's
        )
        known = isinstance(inner, BaseException)
        error = inner if known else error.__cause__ or error.__context__


def _answers(error: BaseException | None) -> Iterator[Any]:
    """Where a library may keep what a server answered: the error, or one behind Python's own."""
    while error is not None:
        yield error
        yield getattr(error, "response", None)
        error = error.__cause__ if type(error).__module__ == "builtins" else None


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status in an error, wherever a library keeps it."""
    for holder in _answers(error):
        if isinstance(holder, Mapping):  # botocore's
            holder = holder.get("ResponseMetadata", {}).get("HTTPStatusCode")
        for name in ("status", "status_code", "code", "real"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                if 100 <= value < 600:
                    return value
                break
    return None


def asked_to_wait(error: BaseException | None) -> float:
    """Seconds after which a server wants to be asked again; 0 where it does not say."""
    for holder in _answers(error):
        headers = getattr(holder, "headers", None)
        if isinstance(holder, Mapping):  # botocore's, in lower case
            headers = holder.get("ResponseMetadata", {}).get("HTTPHeaders")
        if not isinstance(headers, Mapping):
            continue
        text = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        if text:
            try:
                return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
            except (TypeError, ValueError, OverflowError):
                pass
    return 0.0


def reason(error: BaseException) -> str:
    """What went wrong, in a line that may be shown: without secrets and control characters."""
    return _explained(error)[0]


def _explained(error: BaseException) -> tuple[str, str | None]:
    """What went wrong, and what to do where that is known."""
    if isinstance(error, GaveUpError) and error.__cause__ is not None:
        why, remedy = _explained(error.__cause__)
        times = f"tried {counted(error.tries, 'time')} in {error.seconds:.0f} s"
        wants = f", and it asks to wait {error.wait:,.0f} s" if error.wait else ""
        return f"{why} ({times}{wants})", remedy
    if isinstance(error, TooLateError):
        return _late(error)
    status, error = status_of(error), _behind(error)
    if isinstance(error, MaskstatError):
        return error.problem, error.remedy
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return "it is not there", None
    if status in {401, 403} or isinstance(error, PermissionError):
        return "no permission", None
    if "Credential" in type(error).__name__:
        return "no credentials", None
    if status is not None:
        return f"HTTP status {status}", None
    if _is_redirected(error):
        seen = [str(answer.url) for answer in getattr(error, "history", ())]
        circle = len(set(seen)) < len(seen)
        how = "in a circle" if circle else f"more than {len(seen)} times"
        return f"the server redirects {how}", "give the address at which a browser ends"
    return _unreached(error) or _in_its_own_words(error)


def _late(error: TooLateError) -> tuple[str, str]:
    came = f"only {counted(error.received, 'byte')} came" if error.received else "no answer"
    return f"{came} in {error.seconds:g} s", f"{_LIMITS} allows more"


def _unreached(error: BaseException) -> tuple[str, str] | None:
    """What to say of a connection that could not be made."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror) or "DNS" in type(cause).__name__:
            return _UNKNOWN_NAME, "check the address, and that this machine is online"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused", "check the host and port, and that the server runs"
        # What a library makes of these has the class, and not the words.
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = str(getattr(cause, "verify_message", ""))
            if why:
                remedy = "name the certificates to trust in SSL_CERT_FILE (for S3: AWS_CA_BUNDLE)"
                return f"its TLS certificate is not accepted: {printable(why)[:100]}", remedy
        elif isinstance(cause, ssl.SSLError):
            why = str(getattr(cause, "reason", None) or "").replace("_", " ").lower()
            if why:
                remedy = "does the server speak https:// at this port?"
                return f"TLS fails: {printable(why)[:100]}", remedy
    return None


def _in_its_own_words(error: BaseException) -> tuple[str, None]:
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timed out", None
    text = str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    text = scrubbed(text.strip().partition("\n")[0])[:200]
    return printable(text) or type(error).__name__, None


def mask_error(error: BaseException) -> MaskError:
    """What to tell of a mask or a file that can't be read."""
    if isinstance(error, MaskError):
        return error
    why, remedy = _explained(error)
    return MaskError(f"can't be read: {why}", remedy=remedy)


def source_error(where: str, error: BaseException) -> SourceError:
    """What to tell of a source that can't be listed."""
    why, remedy = _explained(error)
    if why in {"no permission", "no credentials"}:
        remedy = "check the credentials; for a public bucket set FSSPEC_S3_ANON=true"
    text = "there is nothing here" if why == "it is not there" else f"can't be listed: {why}"
    return SourceError(text, where=printable(storable(where)), remedy=remedy)
