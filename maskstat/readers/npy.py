"""NPY: arrays saved by NumPy. Whole numbers of any type, (H, W), or (H, W, 3|4) uint8 colours."""

from __future__ import annotations

import io

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers import LabelMap, ReadOptions
from maskstat.readers.raster import pack_colours, whole_numbers
from maskstat.tally import Encoding


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError for objects, fractions, or a wrong number of axes."""
    array = _array(data)
    bits = array.dtype.itemsize * 8
    kind = array.dtype.kind
    if array.ndim == 3 and array.shape[2] in {3, 4} and array.dtype == np.uint8:
        samples = "rgb" if array.shape[2] == 3 else "rgba"
        return LabelMap(
            pack_colours(np.asarray(array, np.uint8), samples), Encoding("npy", samples, 8)
        )
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2:
        raise MaskError(
            f"array of shape {array.shape} where (H, W) is expected"
            " (several channels? take their argmax first)"
        )
    if kind == "b":
        return LabelMap(array.view(np.uint8), Encoding("npy", "bool", 1))
    if kind == "f":
        return LabelMap(whole_numbers(array), Encoding("npy", "float", bits))
    if array.dtype == np.uint64 and int(array.max()) >= 2**63:
        raise MaskError(f"the value {int(array.max())} does not fit a signed 64-bit integer")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return LabelMap(native, Encoding("npy", "int" if kind == "i" else "uint", bits))


def _array(data: bytes) -> NDArray[np.generic]:
    """The array in the file's own memory: nothing is allocated for what a header claims."""
    stream = io.BytesIO(data)
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
    if dtype.hasobject or dtype.kind not in "biuf":
        raise MaskError(f"array of type {dtype} where whole numbers are expected")
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise MaskError("corrupt NPY header")
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
