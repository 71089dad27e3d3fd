"""What libtiff, which comes with Pillow, says of a file goes to us rather than to the terminal.

It writes to the process's standard error what is wrong with a file, without saying with which. It
takes a function that is called instead, one for the whole process; ours keeps what is said on a
thread that listens, and hands on all else. Where Pillow's libtiff can't be reached (it is part of
Pillow's own library on Windows), everything is as before.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import _imaging

from maskstat.naming import printable

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_MOST_BYTES = 100
_MOST_KEPT = 8
_listening = threading.local()
_lock = threading.Lock()
_kept: list[Any] = []  # what libtiff calls, and what it called before: alive with the process


@contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """The errors that libtiff reports on this thread meanwhile, each in a few words."""
    _install()
    outer = getattr(_listening, "errors", None)
    errors: list[str] = []
    _listening.errors = errors
    try:
        yield errors
    finally:
        _listening.errors = outer


def _install() -> None:
    """Make libtiff call us, once."""
    with _lock:
        if _kept:
            return
        _kept.append(None)
        try:
            replace = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        except (AttributeError, OSError):
            return
        replace.restype, replace.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        handler = _Handler(_noted)
        previous = replace(ctypes.cast(handler, ctypes.c_void_p))
        _kept[:] = [handler, _Handler(previous) if previous else None]


def _noted(module: int | None, text: int | None, arguments: int | None) -> None:
    errors = getattr(_listening, "errors", None)
    if errors is None:
        if len(_kept) == 2 and _kept[1] is not None:
            _kept[1](module, text, arguments)
    elif len(errors) < _MOST_KEPT:
        errors.append(f"{_text(module)}: {_text(text)}")


def _text(place: int | None) -> str:
    """A C string, up to where numbers are to be filled in."""
    data = ctypes.string_at(place)[:_MOST_BYTES] if place else b""
    return printable(data.decode("utf-8", "replace").split("%")[0].strip())
