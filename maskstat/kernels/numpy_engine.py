"""The engine that is ready at once: NumPy, and Pillow's decoder for rows that need the row above.

Rows with filter None are counted as they are stored, and Sub rows from their non-zero residuals:
both cost a few passes over the bytes. Up, Average and Paeth rows cannot be rebuilt by whole-array
operations; the inflated rows are wrapped into a stored (uncompressed) zlib stream for Pillow's zip
decoder, which undoes PNG filters on any bytes: as "L" pixels for one-byte pixels and packed rows,
as "LA" for two-byte pixels, "RGB" and "RGBA" for colours. No image file is involved, so nothing is
rescaled or converted.

Work goes on in blocks of rows, which keeps memory small and the bytes in the processor's cache.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from maskstat.kernels.filtered_rows import Bytes, check_filters, rebuild, row_blocks
from maskstat.kernels.numpy_colours import NumpyColourCounter
from maskstat.kernels.numpy_regions import find_runs, measure, spread
from maskstat.kernels.packed import bytes_per_row, pixel_bins, unpack_rows
from maskstat.kernels.region_types import Image, Int32Array, IntArray, RegionCounts, Runs
from maskstat.kernels.runs import Bins, run_bins, value_sums, weighted_bins

_SUB = 1


def _none_bins(rows: Bytes) -> tuple[Bins, Bytes]:
    """Byte histogram and last bytes of None rows, filter types (zeros) included in `rows`."""
    bins = run_bins(rows.reshape(-1), 256)
    bins[0] -= len(rows)
    return bins, rows[:, -1]


def _sub_bins(rows: Bytes) -> tuple[Bins, Bytes]:
    """Byte histogram and last bytes of Sub rows, filter types (ones) included in `rows`.

    Values are running sums of residuals. The filter type, never zero, marks each row's start: the
    run that it opens has the value 0, and one byte of it is no pixel.
    """
    flat = rows.reshape(-1)
    starts = (flat != 0).nonzero()[0]  # of booleans: NumPy skips through their zeros
    values = np.cumsum(flat[starts], dtype=np.uint8)
    row_starts = np.searchsorted(starts, np.arange(len(rows)) * rows.shape[1])
    runs_in_row = np.diff(row_starts, append=starts.size)
    values -= np.repeat(values[row_starts], runs_in_row)
    bins = weighted_bins(values, np.diff(starts, append=flat.size), 256)
    bins[0] -= len(rows)
    return bins, values[row_starts + runs_in_row - 1]


class NumpyBandCounter:
    """Counts an image that arrives in bands of whole rows."""

    def __init__(self, width: int, bits: int) -> None:
        self._width, self._bits = width, bits
        self._pixel_bytes = 2 if bits == 16 else 1
        self._above = np.zeros(bytes_per_row(width, bits), np.uint8)
        self._bins = np.zeros(65536 if bits == 16 else 256, np.int64)
        self._last_bins = np.zeros(256, np.int64)
        self._rows = 0

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count the next `height` rows, filter types included in `stream`.

        Raises MaskError where a filter type is unknown.
        """
        stride = self._above.size + 1
        rows = np.frombuffer(stream, np.uint8, height * stride).reshape(height, stride)
        check_filters(rows, self._rows)
        for block in row_blocks(rows):
            self._add_block(block)
        self._rows += height

    def _add_block(self, rows: Bytes) -> None:
        filters = rows[:, 0]
        lowest, highest = filters.min(), filters.max()
        if highest <= _SUB and lowest == highest and self._pixel_bytes == 1:
            bins, last = (_sub_bins if highest == _SUB else _none_bins)(rows)
            self._above[:] = rows[-1, 1:]
            if highest == _SUB:
                np.cumsum(self._above, dtype=np.uint8, out=self._above)
        else:
            pixels = rebuild(rows, self._above, self._pixel_bytes)
            self._above[:] = pixels[-1]
            last = pixels[:, -1]
            flat = pixels.reshape(-1)
            bins = run_bins(flat.view(">u2") if self._pixel_bytes == 2 else flat, self._bins.size)
        self._bins += bins
        if self._bits < 8:
            self._last_bins += np.bincount(last, minlength=256)

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts."""
        bins = self._bins
        if self._bits < 8:
            bins = pixel_bins(bins, self._last_bins, self._width, self._bits)
        values = bins.nonzero()[0]
        return values, bins[values]


class NumpyEngine:
    """See `maskstat.kernels.engine.Engine`."""

    name = "numpy"

    def tally(self, stream: bytearray, height: int, width: int, bits: int) -> tuple[Bins, Bins]:
        """Values and counts of a whole image."""
        counter = NumpyBandCounter(width, bits)
        counter.add(stream, height)
        return counter.finish()

    def file_counter(self) -> None:
        """Files are read one by one."""

    def bands(self, width: int, bits: int) -> NumpyBandCounter:
        """A counter for an image that arrives in bands."""
        return NumpyBandCounter(width, bits)

    def tally_colours(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> tuple[Bins, Bins]:
        """Values and counts of a whole image of colours."""
        counter = self.colours(width, channels)
        counter.add(stream, height)
        return counter.finish()

    def tally_colours_and_pixels(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> None:
        """Nothing: Pillow reads pixels of colours as fast."""

    def colours(self, width: int, channels: int) -> NumpyColourCounter:
        """A counter of colours."""
        return NumpyColourCounter(width, channels)

    def add_bytes(self, bins: Bins, pixels: NDArray[np.uint8]) -> None:
        """Add plain pixels to the histogram of their values."""
        bins += run_bins(pixels, 256)

    def value_sums(self, pixels: NDArray[np.integer]) -> tuple[Bins, Bins]:
        """Values of plain pixels and their counts."""
        return value_sums(pixels)

    def unpack_lzw(self, data: memoryview, size: int) -> memoryview | None:
        """None: it has no decoder."""

    def unfilter(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Raw pixel values (H, W)."""
        row_bytes = bytes_per_row(width, bits)
        rows = np.frombuffer(stream, np.uint8).reshape(height, row_bytes + 1)
        check_filters(rows, 0)
        pixels = np.empty((height, row_bytes), np.uint8)
        above, done = np.zeros(row_bytes, np.uint8), 0
        for block in row_blocks(rows):
            part = pixels[done : done + len(block)]
            part[:] = rebuild(block, above, 2 if bits == 16 else 1)
            above, done = part[-1], done + len(block)
        if bits == 16:
            wide = pixels.view(np.uint16)
            return wide.byteswap(inplace=True) if sys.byteorder == "little" else wide
        return pixels if bits == 8 else unpack_rows(pixels, width, bits)

    def tally_and_pixels(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> tuple[Bins, Bins, NDArray[np.uint8] | NDArray[np.uint16]]:
        """Values, counts and raw pixel values (H, W)."""
        pixels = self.unfilter(stream, height, width, bits)
        bins = np.zeros(65536 if bits == 16 else 256, np.int64)
        for block in row_blocks(pixels):
            bins += run_bins(block.reshape(-1), bins.size)
        values = bins.nonzero()[0]
        return values, bins[values], pixels

    def find_runs(self, image: Image, number_of: Int32Array, label_count: int) -> Runs:
        """The runs of an image."""
        return find_runs(image, number_of, label_count)

    def measure(self, runs: Runs) -> RegionCounts:
        """What the runs show."""
        return measure(runs)

    def spread(self, runs: Runs, slots: IntArray, heat: IntArray) -> None:
        """Add the runs to the differences of heat maps."""
        spread(runs, slots, heat)
