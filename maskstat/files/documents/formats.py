"""Documents to files and back. One module a format; the suffix chooses it.

A format module has

    LAYOUTS                       which layouts it can hold
    dumps(document, layout)       -> bytes
    loads(data, values)           -> Document

Numbers are written so that they read back to the same bits.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from maskstat.errors import FileFormatError, MaskstatError, unreadable
from maskstat.files.documents.base import LAYOUTS, Document, Layout
from maskstat.files.writing import write_atomically
from maskstat.naming import printable
from maskstat.parameters import check_word
from maskstat.regular_files import read_file

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


def write_document(document: Document, path: Path, layout: Layout = "full") -> Path:
    """Write atomically in the format of the suffix.

    Raises:
        FileFormatError: unknown suffix, a layout the format can't hold, not writable.
        ParameterError: unknown layout.
    """
    module = _module(path)
    check_word(layout, LAYOUTS, parameter="layout")
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
        data = read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise FileFormatError(unreadable(error), where=printable(str(path))) from error
    if data is None:
        raise FileFormatError(f"larger than {MAX_FILE_BYTES >> 20} MiB", where=printable(str(path)))
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


def _module(path: Path) -> ModuleType:
    name = _MODULES.get(path.suffix.lower())
    if name is None:
        raise no_format(path, FileFormatError)
    return importlib.import_module(f"maskstat.files.documents.{name}")


def no_format(
    path: Path,
    kind: type[MaskstatError],
    *,
    of: str = "format",
    known: Sequence[str] = SUFFIXES,
) -> MaskstatError:
    """What to say of a file whose suffix is that of no format, as an error of this kind."""
    return kind(
        f"no {of} has the suffix {printable(path.suffix)!r}",
        where=printable(str(path)),
        remedy=f"known are {', '.join(known)}",
    )
