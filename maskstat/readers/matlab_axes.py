"""What MATLAB's arrays are as masks: their first axes are height and width, planes come behind.

MATLAB 7.3 files are HDF5 files, whose arrays have their axes the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.readers.chunked import Chunks
from maskstat.readers.options import ReadOptions

MATLAB_7_3 = b"MATLAB 7."  # the first ones said 7.0
_NUMBERS = frozenset({"double", "single", "logical"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def is_number(attributes: Mapping[str, Any]) -> bool:
    """Whether what MATLAB 7.3 wrote with these attributes is an array of numbers."""
    kind = attributes.get("MATLAB_class", b"double")
    text = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    odd = ("MATLAB_empty", "MATLAB_object_decode", "MATLAB_sparse")
    return text in _NUMBERS and not any(name in attributes for name in odd)


def order_of_axes(
    shape: Sequence[int], dtype: np.dtype[np.generic], options: ReadOptions
) -> tuple[int, ...]:
    """The axes of an array (H, W, ...) in the order of NumPy's files: planes, H, W, channels."""
    count = len(shape)
    if (options.channels or "").endswith("-first") or count < 3:
        return tuple(range(count))
    coloured = count == 3 and shape[2] in (3, 4)
    coloured &= dtype == np.uint8 or options.channel is not None
    last = 1 if coloured or options.channels is not None else 0
    planes = range(2, count - last)
    return (*reversed(planes), 0, 1, *range(count - last, count))


def as_planes(stored: Chunks, options: ReadOptions) -> Chunks:
    """An array of a MATLAB 7.3 file."""
    count = len(stored.shape)
    order = order_of_axes(stored.shape[::-1], stored.dtype, options)
    return _Reordered(stored, tuple(count - 1 - axis for axis in order))


class _Reordered(Chunks):
    """Chunks whose axes have another order."""

    def __init__(self, stored: Chunks, order: tuple[int, ...]):
        self._stored, self._order = stored, order
        self.dtype, self.container, self.working = stored.dtype, stored.container, stored.working
        self.shape, self.chunks, self.together = (
            tuple(lengths[axis] for axis in order)
            for lengths in (stored.shape, stored.chunks, stored.together)
        )

    def fetch(self, part: tuple[slice, ...]) -> NDArray[np.generic]:
        """The same part, in their order."""
        places = dict(zip(self._order, part, strict=True))
        found = self._stored.fetch(tuple(places[axis] for axis in range(len(part))))
        return found.transpose(self._order)
