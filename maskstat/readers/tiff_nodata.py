"""The value that a GeoTIFF says stands for no data (GDAL's tag 42113, a number as text).

Values are counted as stored, and the encoding says which of them is nodata. What no label can be
(NaN, -3.4e38) is counted as `NO_NUMBER`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.readers.tallying import whole_numbers
from maskstat.values.tally import NO_NUMBER, Encoding


def stored_nodata(text: str, dtype: np.dtype[Any]) -> int | float | None:
    """The sample that text stands for; None where that is none, or none that the type can hold."""
    try:
        value = int(text) if dtype.kind != "f" else float(text)
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    if not math.isfinite(value) or value != math.floor(value):
        return None
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return int(value) if low <= value <= high else None


def with_nodata(
    pixels: NDArray[np.generic], text: str, encoding: Encoding
) -> tuple[NDArray[np.integer], Encoding]:
    """Samples of labels as raw values, and their encoding with the raw value of nodata.

    Raises MaskError where what is left is no whole number.
    """
    value = stored_nodata(text, pixels.dtype) if text and not encoding.is_colour else None
    if value is None:
        return whole_numbers(pixels), encoding
    if isinstance(value, int):
        within = value < 1 << 63
        return whole_numbers(pixels), encoding._replace(nodata=value if within else None)
    if value.is_integer() and -(2.0**63) <= value < 2.0**63:
        return whole_numbers(pixels), encoding._replace(nodata=int(value))
    missing = np.isnan(pixels) if math.isnan(value) else pixels == pixels.dtype.type(value)
    raw = whole_numbers(np.where(missing, pixels.dtype.type(0), pixels)).astype(np.int64)
    raw[missing] = NO_NUMBER
    return raw, encoding._replace(nodata=NO_NUMBER)
