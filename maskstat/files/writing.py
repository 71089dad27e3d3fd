"""Files appear whole or not at all, and what a killed writer left is swept by the next one.

A file that is being written is hidden beside its place, and its name says which process writes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from maskstat.errors import FileFormatError
from maskstat.naming import printable

_OLD = 24 * 3600.0  # seconds; no writer leaves its file alone for so long


def write_atomically(path: Path, data: bytes) -> None:
    """Write so that the path holds the old or the new content, never half of it.

    Raises:
        FileFormatError: the folder is missing or can't be written.
    """
    with replacing(path) as file:
        file.write(data)


def check_place(path: Path) -> None:
    """Raise FileFormatError where no file can be: before the work that one is to hold."""
    where = printable(str(path))
    if path.is_dir():
        raise FileFormatError("can't be written: it is a folder", where=where)
    if not path.parent.is_dir():
        missing = printable(str(path.parent))
        raise FileFormatError(f"can't be written: there is no folder {missing}", where=where)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and is gone otherwise.

    Its `name` is where it is meanwhile, in the same folder.

    Raises:
        FileFormatError: the folder is missing or can't be written.
    """
    writer = f"{_here()}-{os.getpid():x}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name[:40]}.{writer}.part")
    where = printable(str(path))
    try:
        check_place(path)
        _sweep(path)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if path.exists():  # a new file has the mode that the user's umask says
                os.chmod(temporary, path.stat().st_mode & 0o777)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise FileFormatError(
            f"can't be written: {error.strerror or error}", where=where
        ) from error


def _sweep(path: Path) -> None:
    """Remove what writers of this name left that were killed; what can't be removed stays."""
    of_this_name = re.compile(
        re.escape(f".{path.name[:40]}.")
        + r"(?:([0-9a-f]{8})-([0-9a-f]+)-)?[0-9a-f]{8}\.part(?:-journal)?"
    )
    with contextlib.suppress(OSError), os.scandir(path.parent) as files:
        for file in files:
            found = of_this_name.fullmatch(file.name)
            if found is None or not file.is_file(follow_symlinks=False):
                continue
            here, process = found.groups()
            with contextlib.suppress(OSError):
                if here == _here() and sys.platform != "win32":
                    dead = not _lives(int(process, 16))
                else:  # of another machine, container or time: nobody here can ask
                    dead = time.time() - file.stat(follow_symlinks=False).st_mtime > _OLD
                if dead:
                    os.unlink(file.path)


@cache
def _here() -> str:
    """Where numbers of processes mean the same: this machine since it started, this container."""
    marks = [platform.node()]
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
        marks.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\0".join(marks).encode("utf-8", "replace")).hexdigest()[:8]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True
