"""Where files of this machine are opened: regular ones only, and without waiting for anybody.

A named pipe would be waited for without end, and a device never ends. `OSError` of what is no
regular file says so in `strerror`, as of everything else that can't be opened.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

# Without O_NONBLOCK, opening a named pipe would wait for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_OF_SOCKETS = frozenset({errno.ENXIO, errno.EOPNOTSUPP})


def open_descriptor(path: str | os.PathLike[str]) -> int:
    """A descriptor to read from, which the caller closes. Raises OSError."""
    _check_name(path)
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in _OF_SOCKETS:
            raise _not_regular() from error
        raise
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise _is_folder() if stat.S_ISDIR(kind) else _not_regular()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, to be read. Raises OSError."""
    _check_name(path)
    # By name, which tifffile asks a file for.
    return open(path, "rb", opener=lambda path, _: open_descriptor(path))


def read_file(path: str | os.PathLike[str], most: int) -> bytes | None:
    """All bytes; None where there are more than `most`. Raises OSError."""
    with open_file(path) as file:
        return None if os.fstat(file.fileno()).st_size > most else file.read()


def read_into(path: str, room: memoryview) -> int:
    """Read a file that was a regular one when it was listed; how many bytes, at most all of `room`.

    For who reads one byte more than there should be, and looks closer at a file that has another
    size. What took its place meanwhile is not waited for. Raises OSError, and ValueError where the
    name has a zero byte.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        return os.readv(descriptor, [room])
    finally:
        os.close(descriptor)


def _check_name(path: str | os.PathLike[str]) -> None:
    if "\0" in os.fspath(path):  # of which Python makes a ValueError
        raise OSError(errno.EINVAL, "a zero byte in its name")


def _is_folder() -> OSError:
    return IsADirectoryError(errno.EISDIR, "it is a folder")


def _not_regular() -> OSError:
    return OSError(errno.EINVAL, "not a regular file")
