"""Masks as lists of rows, each a list of numbers: what they are as NPY."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from maskstat.errors import MaskError

_LEAF = r"(?:u?int\d+|bool)(?: not null)?"
_NESTED = re.compile(rf"(?:large_)?list<[^<>]+: (?:large_)?list<[^<>]+: {_LEAF}>(?: not null)?>")
_TOGETHER = 1 << 22  # numbers that are taken out of a file together


def is_nested(kind: str) -> bool:
    """Whether the type of a column, in Arrow's words, is one of such masks."""
    return _NESTED.fullmatch(kind) is not None


def rows_together(values: int, rows: int) -> int:
    """How many rows of a row group may be taken out together."""
    return max(1, _TOGETHER * rows // max(1, values))


def masks_of(column: Any) -> Iterator[bytes | MaskError | None]:
    """Each row's mask, or what is wrong with it; None where there is none."""
    inner = column.values
    starts, edges = column.offsets.to_numpy(), inner.offsets.to_numpy()
    for row, (first, last) in enumerate(pairwise(starts)):
        if not column[row].is_valid:
            yield None
            continue
        cuts = edges[first : last + 1]
        widths = np.diff(cuts)
        values = inner.values.slice(cuts[0], cuts[-1] - cuts[0])
        if not len(values) or (widths != widths[0]).any():
            yield MaskError("its lists are no rows of one length")
        elif values.null_count or inner.slice(first, last - first).null_count:
            yield MaskError("its lists hold nulls")
        else:
            pixels = values.to_numpy(zero_copy_only=False).reshape(len(widths), -1)
            stream = io.BytesIO()
            np.save(stream, pixels)
            yield stream.getvalue()
