"""Memory for decoded images that is used again.

An image of some megabytes that is allocated, filled and freed for every mask goes back to the
operating system and comes again page by page, which takes several times longer than filling it. So
a buffer is kept when the last array on it is gone, and lent once more.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD_BYTES = 64  # that kernels load and store at once, also behind the end of a row
MAX_KEPT_BYTES = 1 << 24  # of one buffer; filling larger ones takes long enough anyway

_idle: deque[NDArray[np.uint8]] = deque(maxlen=16)


class _Loan:
    """What an array on a buffer, and every view of it, keeps alive; then the buffer comes back."""

    __slots__ = ("_buffer",)

    def __init__(self, buffer: NDArray[np.uint8]) -> None:
        self._buffer = buffer

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self._buffer.__array_interface__

    def __del__(self, idle: deque[NDArray[np.uint8]] = _idle) -> None:
        idle.append(self._buffer)


def lent_array(size: int, item: type[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """An array of `size` items, contents unspecified, on a buffer that may have been used before.

    Its memory is used again as soon as neither the array nor any view of it exists.
    """
    needed = size * np.dtype(item).itemsize
    if needed > MAX_KEPT_BYTES:
        return np.empty(size, item)
    buffer = None
    while _idle and buffer is None:
        try:
            buffer = _idle.pop()
        except IndexError:  # another thread was faster
            break
        if buffer.size < needed:  # there are larger images now: let it go
            buffer = None
    if buffer is None:
        buffer = np.empty(needed, np.uint8)
    return np.asarray(_Loan(buffer))[:needed].view(item)
