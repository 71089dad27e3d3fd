"""Cost matrices from files: what a pixel of class c costs the predictor of class i."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from maskstat.errors import FileFormatError, unreadable
from maskstat.files.documents.formats import no_format
from maskstat.naming import printable
from maskstat.regular_files import read_file
from maskstat.weights.schemes import FloatArray

MAX_FILE_BYTES = 64 << 20
_SUFFIXES = (".npy", ".csv", ".txt", ".json")


def read_cost_matrix(path: Path, class_count: int) -> FloatArray:
    """float64[K, K] from .npy, .csv, .txt (numbers and commas or blanks) or .json (rows).

    Raises:
        FileFormatError: unreadable, not K rows of K finite numbers, or an unknown suffix.
    """
    where = printable(str(path))
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise no_format(path, FileFormatError, of="cost matrix", known=_SUFFIXES)
    try:
        data = read_file(path, MAX_FILE_BYTES)
        if data is None:
            raise FileFormatError(f"larger than {MAX_FILE_BYTES >> 20} MiB", where=where)
        if suffix == ".npy":
            matrix = np.load(io.BytesIO(data), allow_pickle=False)
        elif suffix == ".json":
            matrix = np.array(json.loads(data))
        else:
            text = data.decode("utf-8-sig").replace(",", " ")
            if not text.strip():  # NumPy would warn
                raise ValueError("no numbers")
            matrix = np.loadtxt(io.StringIO(text), ndmin=2)
        matrix = np.asarray(matrix, np.float64)
    except OSError as error:
        raise FileFormatError(unreadable(error), where=where) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise FileFormatError("not a table of numbers", where=where) from error
    if matrix.shape != (class_count, class_count):
        shape = " x ".join(map(str, matrix.shape)) or "a single number"
        raise FileFormatError(
            f"is {shape}, but there are {class_count} classes",
            where=where,
            remedy=f"row i, column c: what a pixel of class c costs the answer i; {class_count} "
            f"rows of {class_count}",
        )
    if not np.isfinite(matrix).all():
        raise FileFormatError("holds a number that is not finite", where=where)
    return matrix
