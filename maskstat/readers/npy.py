"""NPY: arrays saved by NumPy. Whole numbers of any type, (H, W), or (H, W, 3|4) uint8 colours.

Arrays of any size are counted from an open file in pieces, and so are those of an NPZ.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.base import LabelMap, read_up_to
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import ArrayPlanes
from maskstat.readers.raw_masks import (
    PIECE,
    ArrayInMemory,
    RawMask,
    check_decoded,
    check_numbers,
    plan_array,
)
from maskstat.values.tally import MaskTally


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError for objects, fractions, or a wrong number of axes."""
    return ArrayInMemory(_array(data), "npy", options).read()


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count without making pixels of another type."""
    return ArrayInMemory(_array(data), "npy", options).tally(name)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """The same from an open file, in pieces."""
    return StoredArray(file, "npy", options).tally(name)


def planes(file: BinaryIO, options: ReadOptions) -> ArrayPlanes:
    """The planes of an open file. Raises MaskError where it has not the size that it says."""
    shape, fortran, dtype = read_header(file)
    place = file.tell()
    found = ArrayPlanes(file, place, shape, fortran, dtype, "npy", options)
    _check_length(file.seek(0, io.SEEK_END) - place, found.size)
    return found


class StoredArray(RawMask):
    """An array in an open file, read forwards in pieces; the file stands at its start.

    Colours and channels whose samples do not come one after the other are held in memory.

    Args:
        stream: the file, as NumPy writes one.
        container: npy or npz.
        what: how messages call the array.
        faulty: makes the error of what reading it raises, besides OSError and MaskError.

    Raises:
        MaskError: no header of an array, or an array that is no mask.
    """

    def __init__(
        self,
        stream: BinaryIO,
        container: str,
        options: ReadOptions,
        what: str = "",
        faulty: Callable[[], MaskError] | None = None,
    ):
        shape, self._fortran, self._dtype = read_header(stream)
        plan = plan_array(shape, self._dtype, container, options)
        super().__init__(plan, shape, math.prod(shape) * self._dtype.itemsize)
        self._stream, self._options, self._what, self._faulty = stream, options, what, faulty

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """[n] or [n, channels], as the file is read; all of it at once where it must."""
        plan, dtype = self.plan, self._dtype
        if not self._is_in_order:
            check_decoded(self.size)
            self._ask_for_whole()
            yield from ArrayInMemory(self.whole(), plan.encoding.container, self._options).pieces()
            return
        unit = 1 if plan.is_plain else self.axes[-1]
        step = dtype.itemsize * unit
        skip, size = 0, self.size
        if plan.plane is not None:
            size //= self.axes[plan.leading]
            skip = plan.plane * size
        for _ in self._bytes(skip, PIECE):
            pass
        for piece in self._bytes(size, max(1, PIECE // step) * step):
            flat = np.frombuffer(piece, dtype)
            yield flat if unit == 1 else flat.reshape(-1, unit)
        for _ in self._bytes(self.size - skip - size, PIECE):
            pass
        self._check_end()

    def whole(self) -> NDArray[np.generic]:
        """In memory, which grows no faster than the file bears out."""
        data = b"".join(self._bytes(self.size, PIECE))
        self._check_end()
        flat = np.frombuffer(data, self._dtype)
        return flat.reshape(self.axes, order="F" if self._fortran else "C")

    @property
    def _is_in_order(self) -> bool:
        """Whether what belongs together comes together: planes, colours, channels of a pixel."""
        plan = self.plan
        if plan.is_plain and plan.plane is None:
            return True
        return not self._fortran and not plan.channels.endswith("-first")

    def _bytes(self, size: int, most: int) -> Iterator[bytes]:
        """The next `size` bytes, `most` at a time. Raises MaskError where there are fewer."""
        while size:
            wanted = min(size, most)
            piece = self._read(wanted)
            if len(piece) < wanted:
                raise self._wrong_length("fewer")
            size -= wanted
            yield piece

    def _check_end(self) -> None:
        """Raise MaskError where bytes are left, or where a checksum at the end is wrong."""
        if self._read(1):
            raise self._wrong_length("more")

    def _read(self, size: int) -> bytes:
        try:
            return read_up_to(self._stream, size)
        except (OSError, MaskError):
            raise
        except Exception as error:
            if self._faulty is None:
                raise
            raise self._faulty() from error

    def _wrong_length(self, amount: str) -> MaskError:
        return MaskError(
            f"{self._what}has {amount} than the {self.size} bytes that its header calls for"
        )


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
    _check_length(len(data) - offset, count * dtype.itemsize)
    flat = np.frombuffer(data, dtype, count, offset)
    return flat.reshape(shape, order="F" if fortran else "C")


def _check_length(held: int, said: int) -> None:
    if held != said:
        raise MaskError(f"holds {held} bytes of pixels where its header says {said}")
