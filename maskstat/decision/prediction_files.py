"""Predictions in a folder: an array of logits or probabilities a mask, named like it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.layout import by_class
from maskstat.errors import FileFormatError, MaskError, SourceError
from maskstat.memory import ask_memory
from maskstat.naming import counted, printable
from maskstat.readers.npy import read_header
from maskstat.regular_files import open_file
from maskstat.showing import cut

SUFFIXES = (".npy", ".npz")
_NOWHERE = frozenset({"/", "//", ".."})  # what would lead out of the folder
_MEMBERS = ("logits", "probabilities", "arr_0")  # where an archive has several arrays


def paired(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file of predictions of each mask that has one: a/b.png has a/b.npy, or a/b.npz.

    Raises:
        SourceError: there is no such folder, no mask has any, or one has two.
    """
    where = printable(str(folder))
    if not folder.is_dir():
        raise SourceError("is no folder of predictions", where=where)
    found = {}
    for name in names:
        stem = PurePosixPath(*(p for p in PurePosixPath(name).parts if p not in _NOWHERE))
        stem = stem.with_suffix("")
        files = [file for suffix in SUFFIXES if (file := folder / f"{stem}{suffix}").is_file()]
        if len(files) == 2:
            raise SourceError(f"has {cut(str(stem))} as .npy and as .npz", where=where)
        if files:
            found[name] = files[0]
    if not found:
        first = PurePosixPath(names[0]).with_suffix(".npy") if names else "NAME.npy"
        raise SourceError(
            f"has predictions of none of {counted(len(names), 'mask')}",
            where=where,
            remedy=f"files are called like the masks: {cut(str(first))}, or .npz",
        )
    return found


def read_scores(path: Path, shape: tuple[int, ...], class_count: int) -> NDArray[Any]:
    """float[K, H, W] of a file, for a mask of this shape; what it holds is known before it is read.

    Raises:
        FileFormatError: not readable, no array of scores, or of another size.
    """
    where = printable(str(path))
    try:
        with open_file(path) as file:
            if path.suffix.lower() == ".npy":
                return by_class(_array(file, shape, class_count), shape, class_count)
            with zipfile.ZipFile(file) as archive, archive.open(_member(archive)) as member:
                scores = _array(cast(BinaryIO, member), shape, class_count)
                return by_class(scores, shape, class_count)
    except OSError as error:
        raise FileFormatError(f"can't be read: {error.strerror or error}", where=where) from error
    except (MaskError, ValueError) as error:
        problem = getattr(error, "problem", None) or "is no array of scores"
        raise FileFormatError(
            problem, where=where, remedy=getattr(error, "remedy", None)
        ) from error
    except Exception as error:  # zipfile raises anything on hostile bytes
        raise FileFormatError("is a damaged archive", where=where) from error


def _member(archive: zipfile.ZipFile) -> str:
    arrays = [name for name in archive.namelist() if name.endswith(".npy")]
    if len(arrays) == 1:
        return arrays[0]
    for name in _MEMBERS:
        if f"{name}.npy" in arrays:
            return f"{name}.npy"
    raise MaskError(
        f"has {counted(len(arrays), 'array')}, and none is called {', '.join(_MEMBERS)}"
    )


def _array(file: BinaryIO | IO[bytes], shape: tuple[int, ...], class_count: int) -> NDArray[Any]:
    """The array, of a size that its header and the mask's agree on."""
    size, fortran, dtype = read_header(cast(BinaryIO, file))
    if dtype.kind != "f":
        raise MaskError(
            f"holds {dtype}, and logits or probabilities are floating-point numbers",
            remedy="predicted labels say nothing of other decisions",
        )
    by_class(np.broadcast_to(np.zeros((), dtype), size), shape, class_count)
    amount = int(np.prod(size, dtype=np.int64)) * dtype.itemsize
    ask_memory(3 * amount)
    data = file.read(amount)
    if len(data) != amount or file.read(1):
        raise MaskError("has not the size that its header calls for")
    return np.frombuffer(data, dtype).reshape(size, order="F" if fortran else "C")
