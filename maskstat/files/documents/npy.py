"""NPY: the numbers alone, as numpy.load reads them."""

from __future__ import annotations

import io

import numpy as np

from maskstat.files.documents.base import Document, Layout

# The format has no place for metadata, so its fullest layout is the list.
LAYOUTS: tuple[Layout, ...] = ("full", "list")


def dumps(document: Document, layout: Layout) -> bytes:
    """A float64 array."""
    stream = io.BytesIO()
    np.save(stream, np.array(document.columns[document.values], np.float64), allow_pickle=False)
    return stream.getvalue()


def loads(data: bytes, values: str) -> Document:
    """Read a 1-d array of numbers. Raises ValueError otherwise."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # the header is parsed as Python text: anything can come
        raise ValueError("not an NPY file") from error
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ValueError("not a one-dimensional array of numbers")
    return Document({}, {values: array.astype(np.float64).tolist()}, values)
