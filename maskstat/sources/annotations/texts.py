"""Annotation files as text: read whole, within limits."""

from __future__ import annotations

from maskstat.errors import MaskError, unreadable
from maskstat.regular_files import read_file

MAX_FILE_BYTES = 4 << 30


def read_text(path: str, most: int | None = None) -> str:
    """A whole annotation file, of so many bytes at most. Raises MaskError."""
    most = MAX_FILE_BYTES if most is None else most
    try:
        data = read_file(path, most)
        if data is None:
            raise MaskError(f"larger than {most >> 20} MiB")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise MaskError(unreadable(error)) from error
    except UnicodeDecodeError as error:
        raise MaskError("not UTF-8 text") from error
