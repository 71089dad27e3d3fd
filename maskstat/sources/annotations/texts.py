"""Annotation files as text: read whole, within limits."""

from __future__ import annotations

import os
import stat

from maskstat.errors import MaskError

MAX_FILE_BYTES = 4 << 30


def read_text(path: str, most: int | None = None) -> str:
    """A whole annotation file, of so many bytes at most. Raises MaskError."""
    most = MAX_FILE_BYTES if most is None else most
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
            raise MaskError("not a regular file")
        if status.st_size > most:
            raise MaskError(f"larger than {most >> 20} MiB")
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except OSError as error:
        raise MaskError(f"can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MaskError("not UTF-8 text") from error
