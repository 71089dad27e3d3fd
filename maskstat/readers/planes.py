"""Files of several planes, each of them a mask of its own: opened once, read a plane at a time.

What a header says of their number is believed only as far as the file bears it out, before anybody
makes anything of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.readers.base import LabelMap, read_up_to
from maskstat.readers.options import ReadOptions
from maskstat.readers.raw_masks import (
    PIECE,
    ArrayInMemory,
    RawMask,
    check_decoded,
    leading_axes,
    plan_array,
)
from maskstat.values.tally import MaskTally

MAX_PLANES = 1 << 20  # of one file
KEPT_BYTES = 64 << 20  # of a file that is unpacked once for all of its planes
MOST_DEFLATED = 1032  # bytes that a byte of deflate data can become


class Mask(Protocol):
    """A plane of an open file."""

    def tally(self, name: str, /) -> MaskTally:
        """Its raw value counts. Raises MaskError."""

    def read(self) -> LabelMap:
        """Its pixels. Raises MaskError."""


class Planes(ABC):
    """The planes of an open file, which are read as long as it is open.

    Attributes:
        count: how many there are.
        in_order: whether they are quick to read only one after another.
        held: bytes of memory that are kept for all of them.
    """

    count: int
    in_order: bool = False
    held: int = 0

    def prepare(self) -> None:  # noqa: B027 (most need nothing)
        """Before the first is read: look at what speaks for all of them, as a checksum does.

        Raises MaskError, and OSError where reading fails.
        """

    @abstractmethod
    def mask(self, plane: int) -> Mask:
        """One of them, from 0. Raises MaskError."""


def check_count(count: int) -> int:
    """The number of planes. Raises MaskError where nobody means so many masks."""
    if count > MAX_PLANES:
        raise MaskError(f"has {count:,} planes, more than the {MAX_PLANES:,} that are masks each")
    return count


class ArrayPlanes(Planes):
    """The planes of an array whose items are in a file, one after another.

    Args:
        file: seekable; going back may cost.
        place: where in it the items begin.
        shape, fortran, dtype: of the array.
        container: as in `Encoding`.

    Raises:
        MaskError: it is no array of masks.
    """

    def __init__(
        self,
        file: BinaryIO,
        place: int,
        shape: tuple[int, ...],
        fortran: bool,
        dtype: np.dtype[np.generic],
        container: str,
        options: ReadOptions,
    ):
        leading = leading_axes(shape, dtype, options)
        self._file, self._place, self._dtype = file, place, dtype
        self._shape, self._axes = shape, shape[leading:]
        self.plan = plan_array(self._axes, dtype, container, options)
        self._leading, self.size = shape[:leading], math.prod(shape) * dtype.itemsize
        self.count = check_count(math.prod(self._leading))
        self._container, self._options = container, options
        self._whole: NDArray[np.generic] | None = None
        self._fortran = fortran
        self.in_order = fortran  # the items of a plane are all over the file

    def mask(self, plane: int) -> Mask:
        """One of them, from 0."""
        if not self._fortran:
            return _PlaneOfArray(self, plane)
        if self._whole is None:
            check_decoded(self.size)
            ask_memory(2 * self.size)
            self.held = self.size
            data = b"".join(self.bytes_of(self._place, self.size, PIECE))
            self._whole = np.frombuffer(data, self._dtype).reshape(self._shape, order="F")
        one = self._whole[np.unravel_index(plane, self._leading)]
        return ArrayInMemory(one, self._container, self._options)

    def pieces_of(self, plane: int) -> Iterator[NDArray[np.generic]]:
        """The items of a plane, [n] or [n, channels]."""
        size = self.plane_size
        unit = 1 if self.plan.is_plain else self._axes[-1]
        step = self._dtype.itemsize * unit
        most = max(1, PIECE // step) * step
        for piece in self.bytes_of(self._place + plane * size, size, most):
            flat = np.frombuffer(piece, self._dtype)
            yield flat if unit == 1 else flat.reshape(-1, unit)

    @property
    def axes(self) -> tuple[int, ...]:
        """The shape of a plane, its channels or colours included."""
        return self._axes

    @property
    def plane_size(self) -> int:
        """Bytes of a plane."""
        return self.size // self.count

    def bytes_of(self, place: int, size: int, most: int) -> Iterator[bytes]:
        """`size` bytes from a place on, `most` at a time. Raises MaskError where there are fewer.

        Whatever a container's own file raises beside OSError says that it is damaged.
        """
        try:
            self._file.seek(place)
            while size:
                piece = read_up_to(self._file, min(size, most))
                if len(piece) < min(size, most):
                    raise MaskError("the file ends within its pixels")
                size -= len(piece)
                yield piece
        except (MaskError, OSError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged() from error

    def _damaged(self) -> MaskError:
        """What to say where the file of a container raises something of its own."""
        return MaskError("its array is damaged")


class _PlaneOfArray(RawMask):
    """A plane that is in one piece of the file."""

    def __init__(self, planes: ArrayPlanes, plane: int):
        super().__init__(planes.plan, planes.axes, planes.plane_size)
        self._planes, self._plane = planes, plane

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """As they come."""
        return self._planes.pieces_of(self._plane)

    def whole(self) -> NDArray[np.generic]:
        """In memory."""
        return np.concatenate(list(self.pieces())).reshape(self.axes)
