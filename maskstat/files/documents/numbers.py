"""A file of one number, which JSON, YAML and text write alike."""

from __future__ import annotations

from pathlib import Path

from maskstat.errors import FileFormatError
from maskstat.files.writing import write_atomically
from maskstat.naming import printable
from maskstat.regular_files import read_file

NUMBER_SUFFIXES = (".json", ".yaml", ".yml", ".txt")
LONGEST = 40
"""More bytes than any float is written in."""


def write_number(number: float, path: Path, layout: str) -> Path:
    """Write atomically; the number reads back to the same bits.

    Raises:
        FileFormatError: a suffix whose format holds no number alone, or not writable.
    """
    if path.suffix.lower() not in NUMBER_SUFFIXES:
        raise FileFormatError(
            f"a {printable(path.suffix)} file can't hold the layout {layout}",
            where=printable(str(path)),
            remedy=f"it goes into {', '.join(NUMBER_SUFFIXES)}",
        )
    text = repr(float(number))
    if "." not in text:  # to YAML 1e-05 is text
        text = text.replace("e", ".0e")
    write_atomically(path, f"{text}\n".encode())
    return path


def read_number(path: Path) -> float | None:
    """The one number that a file holds, also NaN or infinite; None where it holds anything else.

    A file that can't be read is None, too: who reads it as something else says why.
    """
    if path.suffix.lower() not in NUMBER_SUFFIXES:
        return None
    try:
        data = read_file(path, LONGEST)
        return None if data is None else float(data)
    except (OSError, ValueError):
        return None
