"""Files that other programs read. One module a format; the suffix chooses it.

A `Document` is metadata, named columns of equal length, and which column is the value; it knows
nothing of weights. A format module has

    SUFFIXES, LAYOUTS             what it is called and which layouts it can hold
    dumps(document, layout)       -> bytes
    loads(data, values)           -> Document

Numbers are written so that they read back to the same bits, files appear whole or not at all.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Literal, NamedTuple

from maskstat.errors import FileFormatError, MaskstatError
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
            f"no layout is called {printable(layout)!r}",
            parameter="layout",
            remedy=f"known are {', '.join(LAYOUTS)}",
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
    with replacing(path) as file:
        file.write(data)


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
        if path.is_dir():
            raise FileFormatError("can't be written: it is a folder", where=where)
        if not path.parent.is_dir():
            missing = printable(str(path.parent))
            raise FileFormatError(f"can't be written: there is no folder {missing}", where=where)
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


def _module(path: Path) -> ModuleType:
    name = _MODULES.get(path.suffix.lower())
    if name is None:
        raise no_format(path, FileFormatError)
    return importlib.import_module(f"maskstat.files.documents.{name}")


def no_format(path: Path, kind: type[MaskstatError]) -> MaskstatError:
    """What to say of a file whose suffix is that of no format, as an error of this kind."""
    return kind(
        f"no format has the suffix {printable(path.suffix)!r}",
        where=printable(str(path)),
        remedy=f"known are {', '.join(SUFFIXES)}",
    )
