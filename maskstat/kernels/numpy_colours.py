"""Colours counted by NumPy; rows are rebuilt by Pillow's decoder as in `numpy_engine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.colours import MOST_COLOURS, colour_values, too_many_colours
from maskstat.kernels.filtered_rows import check_filters, rebuild, row_blocks
from maskstat.kernels.runs import Bins, add_up, colour_sums

_BLOCK_PIXELS = 1 << 20


class NumpyColourCounter:
    """See `maskstat.kernels.engine.ColourCounter`."""

    def __init__(self, width: int, channels: int) -> None:
        self._channels = channels
        self._above = np.zeros(width * channels, np.uint8)
        self._rows = 0
        self._values = self._counts = np.empty(0, np.int64)

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count the next `height` rows, filter types included in `stream`."""
        stride = self._above.size + 1
        rows = np.frombuffer(stream, np.uint8, height * stride).reshape(height, stride)
        check_filters(rows, self._rows)
        for block in row_blocks(rows):
            pixels = rebuild(block, self._above, self._channels)
            self._above[:] = pixels[-1]
            self.add_pixels(pixels)
        self._rows += height

    def add_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Count plain pixels."""
        flat = pixels.reshape(-1, self._channels)
        for first in range(0, len(flat), _BLOCK_PIXELS):
            values, counts = colour_sums(flat[first : first + _BLOCK_PIXELS])
            self._values, self._counts = add_up(
                np.concatenate([self._values, values]), np.concatenate([self._counts, counts])
            )
            if self._values.size > MOST_COLOURS:
                raise too_many_colours()

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts."""
        return colour_values(self._values, self._counts, self._channels)
