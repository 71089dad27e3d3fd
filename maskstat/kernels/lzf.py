"""LZF data, as h5py packs chunks: runs of bytes, and copies of what came before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.compiling import compiled

_LITERAL = 32  # a control byte below this is one less than the bytes that follow
_LONG = 7  # of three bits of length: one more byte has the rest


@compiled
def expand(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> bool:
    """Unpack `data` into `out`; whether it is exactly as much. Nothing else is touched."""
    at = made = 0
    while at < data.size:
        control = np.int64(data[at])
        at += 1
        if control < _LITERAL:
            length = control + 1
            if at + length > data.size or made + length > out.size:
                return False
            for step in range(length):
                out[made + step] = data[at + step]
            at += length
            made += length
            continue
        length = control >> 5
        if length == _LONG:
            if at >= data.size:
                return False
            length += np.int64(data[at])
            at += 1
        if at >= data.size:
            return False
        back = ((control & 31) << 8) + np.int64(data[at]) + 1
        at += 1
        length += 2
        if back > made or made + length > out.size:
            return False
        for step in range(length):  # one by one: a copy may go on into itself
            out[made + step] = out[made + step - back]
        made += length
    return made == out.size
