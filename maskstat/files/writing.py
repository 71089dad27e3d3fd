"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from maskstat.errors import FileFormatError
from maskstat.naming import printable


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
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    where = printable(str(path))
    try:
        check_place(path)
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
