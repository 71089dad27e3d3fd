"""What engines that count colours agree on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError

MOST_COLOURS = 65536
_GREY = 0x010101


def colour_values(
    colours: NDArray[np.int64], counts: NDArray[np.int64], channels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Raw values as in `MaskTally`, ascending, from the bytes of colours, the first lowest.

    `channels` is 2 (grey, alpha), 3 (red, green, blue) or 4 (and alpha).

    Raises:
        MaskError: more colours than a label mask can have.
    """
    if colours.size > MOST_COLOURS:
        raise too_many_colours()
    values = raw_values(colours, channels)
    order = values.argsort()
    return values[order], counts[order]


def raw_values(colours: NDArray[np.int64], channels: int) -> NDArray[np.int64]:
    """Raw values as in `MaskTally` from the bytes of colours, the first lowest, in their order."""
    if channels == 2:
        values = (colours & 0xFF) * _GREY
    else:
        values = (colours & 0xFF) << 16 | colours & 0xFF00 | colours >> 16 & 0xFF
    if channels != 3:
        values = values | (255 - (colours >> 8 * (channels - 1))) << 24
    return values


def too_many_colours() -> MaskError:
    """The error for a photograph."""
    return MaskError(f"more than {MOST_COLOURS} different values: a photograph or a float map?")
