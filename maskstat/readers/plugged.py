"""Files that a plugin reads: its array is a mask, or several, as if it were in an .npy file.

Whatever a plugin raises is a MaskError of this mask; what it gives is looked at before it counts.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from maskstat.entry_points import reason
from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.readers.base import LabelMap
from maskstat.readers.chunked import ChunkedPlanes, InMemory
from maskstat.readers.foreign import LOOKED_AT
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.plugin_readers import PluginReader, taking
from maskstat.readers.raw_masks import ArrayInMemory, check_decoded, check_numbers, read_whole
from maskstat.values.tally import MaskTally


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count the array. Raises MaskError."""
    array, container = _array(data)
    return ArrayInMemory(array, container, options).tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as the plugin gives them. Raises MaskError."""
    array, container = _array(data)
    return ArrayInMemory(array, container, options).read()


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The planes of the array: its last two axes. Raises MaskError."""
    array, container = _array(read_whole(file))
    check_numbers(array.dtype)
    return ChunkedPlanes(InMemory(array, container), options)


def _array(data: bytes) -> tuple[NDArray[np.generic], str]:
    """What the plugin makes of a file, and how its masks are stored. Raises MaskError."""
    reader = taking(data[:LOOKED_AT])
    if reader is None:
        raise MaskError("is of no format that a plugin knows")
    return _checked(_asked(reader, data), reader), reader.container


def _asked(reader: PluginReader, data: bytes) -> object:
    try:
        return reader.read(data, _ask)
    except (MaskError, MemoryError):
        raise
    except Exception as error:
        raise MaskError(f"{reason(error)} (says {reader.plugin})") from error


def _ask(size: int) -> None:
    """Before so many bytes of pixels are made. Raises MaskError where no mask is that large."""
    check_decoded(int(size))
    ask_memory(int(size))


def _checked(given: object, reader: PluginReader) -> NDArray[np.generic]:
    """The array, which no other kind is: a masked one has values that are none."""
    if type(given) is not np.ndarray:
        kind = type(given).__name__[:60]
        raise MaskError(f"{reader.plugin} gives {kind} where a numpy.ndarray is expected")
    if given.ndim < 2:
        raise MaskError(f"{reader.plugin} gives an array of {given.ndim} axes: a mask has two")
    check_decoded(given.nbytes)
    return given
