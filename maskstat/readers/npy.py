"""NPY: arrays saved by NumPy. Whole numbers of any type, (H, W), or (H, W, 3|4) uint8 colours."""

from __future__ import annotations

import io
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap
from maskstat.readers.options import ReadOptions
from maskstat.readers.raw_masks import ArrayInMemory, check_numbers
from maskstat.values.tally import MaskTally


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError for objects, fractions, or a wrong number of axes."""
    return ArrayInMemory(_array(data), "npy", options).read()


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count without making pixels of another type."""
    return ArrayInMemory(_array(data), "npy", options).tally(name)


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, whether in Fortran order, and type; leaves the stream where the items begin.

    Raises MaskError where the header is corrupt or its type can't be a mask's.
    """
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = npy_format.read_array_header_2_0(stream)
        else:
            raise MaskError(f"NPY version {version[0]}.{version[1]} is not for plain arrays")
    except MaskError:
        raise
    except Exception as error:  # the header is parsed as Python text: anything can come
        raise MaskError("corrupt NPY header") from error
    check_numbers(dtype)
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise MaskError("corrupt NPY header")
    return shape, fortran, dtype


def _array(data: bytes) -> NDArray[np.generic]:
    """The array in the file's own memory: nothing is allocated for what a header claims."""
    stream = io.BytesIO(data)
    shape, fortran, dtype = read_header(stream)
    count = 1
    for length in shape:
        count *= length
    offset = stream.tell()
    if count == 0:
        raise MaskError("has no pixels")
    if len(data) - offset != count * dtype.itemsize:
        raise MaskError(
            f"holds {len(data) - offset} bytes of pixels where its header says "
            f"{count * dtype.itemsize}"
        )
    flat = np.frombuffer(data, dtype, count, offset)
    return flat.reshape(shape, order="F" if fortran else "C")
