"""Files that other programs read. One module a format; the suffix chooses it.

A `Document` is metadata, named columns of equal length, and which column is the value; it knows
nothing of weights. A format module has

    SUFFIXES, LAYOUTS             what it is called and which layouts it can hold
    dumps(document, layout)       -> bytes
    loads(data, values)           -> Document

Numbers are written so that they read back to the same bits, files appear whole or not at all.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

from maskstat.errors import FileFormatError
from maskstat.naming import printable

Layout = Literal["full", "list", "dict"]
LAYOUTS: tuple[Layout, ...] = ("full", "list", "dict")
MAX_FILE_BYTES = 256 << 20

_MODULES = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
    ".txt": "txt",
    ".npy": "npy",
}
SUFFIXES = tuple(_MODULES)


class Document(NamedTuple):
    """What a file holds: metadata, columns of equal length, the name of the value column."""

    metadata: Mapping[str, object]
    columns: Mapping[str, Sequence[object]]
    values: str


def write_document(document: Document, path: Path, layout: Layout = "full") -> Path:
    """Write atomically in the format of the suffix.

    Raises:
        FileFormatError: unknown suffix or layout, a layout the format can't hold, not writable.
    """
    module = _module(path)
    if layout not in LAYOUTS:
        raise FileFormatError(
            f"no layout is called {printable(layout)!r}", remedy=f"known are {', '.join(LAYOUTS)}"
        )
    if layout not in module.LAYOUTS:
        raise FileFormatError(
            f"a {path.suffix} file can't hold the layout {layout}",
            where=printable(str(path)),
            remedy=f"it can hold {' or '.join(module.LAYOUTS)}; .json holds all",
        )
    write_atomically(path, module.dumps(document, layout))
    return path


def read_document(path: Path, *, values: str) -> Document:
    """Read a file of any layout. Raises FileFormatError where it is missing or malformed."""
    module = _module(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FileFormatError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"can't be read: {error.strerror or error}", where=printable(str(path))
        ) from error
    try:
        document = module.loads(data, values)
    except FileFormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            f"not a readable {path.suffix} file", where=printable(str(path))
        ) from error
    if not isinstance(document, Document):
        raise TypeError("a format module must return a Document")
    return document


def write_atomically(path: Path, data: bytes) -> None:
    """Write so that the path holds the old or the new content, never half of it.

    Raises:
        FileFormatError: the folder is missing or can't be written.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part"
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _copy_mode(path, temporary)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise FileFormatError(
            f"can't be written: {error.strerror or error}", where=printable(str(path))
        ) from error


def _copy_mode(path: Path, temporary: str) -> None:
    """Give the new file the mode of the old one, or what a plain open() would have given."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(temporary, mode)


def _module(path: Path) -> ModuleType:
    name = _MODULES.get(path.suffix.lower())
    if name is None:
        raise FileFormatError(
            f"no format has the suffix {printable(path.suffix)!r}",
            where=printable(str(path)),
            remedy=f"known are {', '.join(SUFFIXES)}",
        )
    return importlib.import_module(f"maskstat.export.{name}")
