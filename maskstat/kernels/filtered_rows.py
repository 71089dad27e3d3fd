"""Rows of a PNG with their filter types, without a compiler: checked, and rebuilt by Pillow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError

try:
    from deflate import zlib_compress
except ImportError:
    from zlib import compress as zlib_compress

Bytes = NDArray[np.uint8]

_PAETH = 4
_BLOCK_BYTES = 1 << 20


def rebuild(rows: Bytes, above: Bytes, pixel_bytes: int) -> Bytes:
    """Undo the filters: uint8[H, row bytes] from rows with filter types and the row above them."""
    from PIL import Image

    height, row_bytes = len(rows) + 1, rows.shape[1] - 1
    stream = zlib_compress(b"\0" + above.tobytes() + rows.tobytes(), 0)  # 0: stored
    mode = ("L", "LA", "RGB", "RGBA")[pixel_bytes - 1]
    size = (row_bytes // pixel_bytes, height)
    image = Image.frombytes(mode, size, stream, "zip", mode, 0)
    return np.asarray(image).reshape(height, row_bytes)[1:]


def row_blocks(rows: Bytes) -> Iterator[Bytes]:
    """Rows with their filter types, some at a time."""
    step = max(1, _BLOCK_BYTES // rows.shape[1])
    for first in range(0, len(rows), step):
        yield rows[first : first + step]


def check_filters(rows: Bytes, first_row: int) -> None:
    """Raise MaskError where a row begins with an unknown filter type."""
    unknown = rows[:, 0] > _PAETH
    if unknown.any():
        row = int(unknown.argmax())
        raise unknown_filter(int(rows[row, 0]), first_row + row)


def unknown_filter(filter_type: int, row: int) -> MaskError:
    """The error for a filter type that PNG does not define."""
    return MaskError(f"unknown PNG filter type {filter_type} in row {row}")
