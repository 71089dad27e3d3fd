"""The fast engine: Numba kernels that count in event space (see `event_histogram`).

Importing this module imports Numba; `CompiledEngine.load` loads the kernels from Numba's cache or
compiles them. Filtered pixels of one byte, whole files of them, pixels of two bytes, colours,
pixels that lie plain in memory, and regions are kernels of their own and are loaded one after the
other, most when they are first asked for; until then the NumPy engine does what is missing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numba import types
from numpy.typing import NDArray

from maskstat.kernels import event_histogram, file_kernel, loading
from maskstat.kernels.compiling import are_cached, loaded
from maskstat.kernels.event_histogram import PADDING
from maskstat.kernels.filtered_rows import unknown_filter
from maskstat.kernels.image_buffers import lent_array
from maskstat.kernels.numpy_engine import NumpyBandCounter, NumpyEngine
from maskstat.kernels.packed import bytes_per_row, pixel_bins, unpack_rows
from maskstat.kernels.region_types import (
    Image,
    IndexedPixels,
    Int32Array,
    IntArray,
    RegionCounts,
    Runs,
)

if TYPE_CHECKING:
    from maskstat.kernels.compiled_colours import CompiledColourCounter
    from maskstat.kernels.compiled_plain import PlainPixels
    from maskstat.kernels.compiled_regions import Regions
    from maskstat.kernels.file_kernel import PngFiles
    from maskstat.kernels.numpy_colours import NumpyColourCounter

Bins = NDArray[np.int64]

_BYTES = types.Array(types.uint8, 1, "C")
_INTS = types.Array(types.int64, 1, "C")


def _signatures(pixel):
    """The kernels, each with its signature for pixels of one item type."""
    row, size = types.Array(pixel, 1, "C"), types.int64
    walk = (_BYTES, size, size, row)
    yield event_histogram.tally_rows, (*walk, _INTS, _INTS, _INTS)
    yield event_histogram.count_rows, (*walk, size, _INTS, _INTS, size)


def is_cached() -> bool:
    """Whether loading will find the kernels that are loaded first in the cache."""
    return file_kernel.is_cached() and are_cached(
        kernel for pixel in (types.uint8, types.uint16) for kernel in _signatures(pixel)
    )


class _Kernels:
    """The kernels for pixels of one item type, ready to run."""

    def __init__(self, pixel: types.Integer) -> None:
        self.tally_rows, self.count_rows = (loaded(*kernel) for kernel in _signatures(pixel))


class _Scratch(threading.local):
    """Buffers of one thread, for `width` pixels of one item type; `bins` is always all zeros."""

    def __init__(self, item: type[np.unsignedinteger]) -> None:
        size = np.iinfo(item).max + 1
        self.item = item
        self.row = np.empty(PADDING, item)
        self.bins = np.zeros(size, np.int64)
        self.values = np.empty(size, np.int64)
        self.counts = np.empty(size, np.int64)

    def row_for(self, pixels: int) -> NDArray[np.unsignedinteger]:
        """A row of at least `pixels` + PADDING items, contents unspecified."""
        if self.row.size < pixels + PADDING:
            self.row = np.empty(pixels + PADDING, self.item)
        return self.row


def _packed_bins(bins: Bins, last_bins: Bins, width: int, bits: int) -> tuple[Bins, Bins]:
    pixels = pixel_bins(bins, last_bins, width, bits)
    values = pixels.nonzero()[0]
    return values, pixels[values]


def _in_file_order(values: Bins, counts: Bins) -> tuple[Bins, Bins]:
    """Two-byte values as the file means them: first byte high. Ascending again."""
    values = values.astype("<u2").view(">u2").astype(np.int64)
    order = values.argsort()
    return values[order], counts[order]


class CompiledBandCounter:
    """Counts an image that arrives in bands of whole rows."""

    def __init__(self, kernels: _Kernels, width: int, bits: int) -> None:
        self._count_rows = kernels.count_rows
        self._width, self._bits = width, bits
        item, values = (np.uint16, 65536) if bits == 16 else (np.uint8, 256)
        self._pixels = width if bits == 16 else bytes_per_row(width, bits)
        self._row = np.zeros(self._pixels + PADDING, item)
        self._bins = np.zeros(values, np.int64)
        self._last_bins = np.zeros(256, np.int64)
        self._rows = 0

    def add(self, stream: bytearray | memoryview, height: int) -> None:
        """Count the next `height` rows, filter types included in `stream`.

        Raises MaskError where a filter type is unknown.
        """
        size = height * (1 + self._pixels * self._row.itemsize)
        rows = np.frombuffer(stream, np.uint8, size)
        bad = self._count_rows(
            rows,
            height,
            self._pixels,
            self._row,
            0,
            self._bins,
            self._last_bins,
            int(self._bits < 8),
        )
        if bad >= 0:
            raise unknown_filter(int(rows[bad * (size // height)]), self._rows + bad)
        self._rows += height

    def finish(self) -> tuple[Bins, Bins]:
        """Values that occur, ascending, and their counts."""
        if self._bits < 8:
            return _packed_bins(self._bins, self._last_bins, self._width, self._bits)
        values = self._bins.nonzero()[0]
        counts = self._bins[values]
        return _in_file_order(values, counts) if self._bits == 16 else (values, counts)


class CompiledEngine:
    """See `maskstat.kernels.engine.Engine`. Ready for pixels of one byte once it exists.

    With `on_demand` the kernels for whole files, colours, plain pixels and regions are loaded when
    they are first needed; without it by `load_colour_kernels` and the like alone. Those for regions
    take seconds to compile: where they are in no cache, `compile_regions` is called, if there is
    one, and has them loaded later.
    """

    name = "compiled"

    def __init__(
        self,
        *,
        on_demand: bool = True,
        compile_regions: Callable[[CompiledEngine], None] | None = None,
    ) -> None:
        self._numpy = NumpyEngine()
        self._kernels = _Kernels(types.uint8)
        self._scratch = _Scratch(np.uint8)
        self._tally_rows = self._kernels.tally_rows
        self._wide_kernels: _Kernels | None = None
        self._wide_scratch = _Scratch(np.uint16)
        self._colour_kernels = None
        self._files: PngFiles | None = None
        self._plain: PlainPixels | None = None
        self._regions: Regions | None = None
        self._on_demand = self._regions_on_demand = on_demand
        self._compile_regions = compile_regions

    def load_file_kernel(self) -> None:
        """Load the kernel for whole files; until then they are taken apart one by one."""
        self._files = file_kernel.file_kernel(compile_it=True)

    def file_counter(self) -> PngFiles | None:
        """What counts whole files."""
        if self._files is None and self._on_demand:
            self.load_file_kernel()
        return self._files

    def load_two_byte_kernels(self) -> None:
        """Load the kernels for 16-bit masks; until then the NumPy engine counts these."""
        self._wide_kernels = _Kernels(types.uint16)

    def load_colour_kernels(self) -> None:
        """Load the kernels for colours."""
        with loading.lock:
            from maskstat.kernels.compiled_colours import signatures

            if self._colour_kernels is None:
                self._colour_kernels = tuple(loaded(*kernel) for kernel in signatures())

    def load_plain_kernels(self) -> None:
        """Load the kernels for pixels that lie plain in memory."""
        with loading.lock:
            from maskstat.kernels.compiled_plain import PlainPixels

            if self._plain is None:
                self._plain = PlainPixels()

    def load_region_kernels(self) -> None:
        """Load the kernels for runs and regions."""
        with loading.lock:
            from maskstat.kernels.compiled_regions import Regions

            if self._regions is None:
                self._regions = Regions()

    def _kernels_for_regions(self) -> Regions | NumpyEngine:
        if self._regions is None and self._regions_on_demand:
            with loading.lock:
                from maskstat.kernels.compiled_regions import is_cached

                if self._compile_regions is None or is_cached():
                    self.load_region_kernels()
                elif self._regions_on_demand:
                    self._regions_on_demand = False
                    self._compile_regions(self)
        return self._regions or self._numpy

    def find_runs(self, image: Image, number_of: Int32Array, label_count: int) -> Runs:
        """The runs of an image."""
        return self._kernels_for_regions().find_runs(image, number_of, label_count)

    def measure(self, runs: Runs) -> RegionCounts:
        """What the runs show."""
        return self._kernels_for_regions().measure(runs)

    def spread(self, runs: Runs, slots: IntArray, heat: IntArray) -> None:
        """Add the runs to the differences of heat maps."""
        self._kernels_for_regions().spread(runs, slots, heat)

    def _plain_pixels(self) -> PlainPixels | NumpyEngine:
        if self._plain is None and self._on_demand:
            self.load_plain_kernels()
        return self._plain or self._numpy

    def add_bytes(self, bins: Bins, pixels: NDArray[np.uint8]) -> None:
        """Add plain pixels to the histogram of their values."""
        self._plain_pixels().add_bytes(bins, pixels)

    def value_sums(self, pixels: NDArray[np.integer]) -> tuple[Bins, Bins]:
        """Values of plain pixels and their counts."""
        return self._plain_pixels().value_sums(pixels)

    def unpack_lzw(self, data: memoryview, size: int) -> memoryview | None:
        """The first bytes that LZW data makes."""
        return self._plain_pixels().unpack_lzw(data, size)

    def _kernels_for_colours(self):
        if self._colour_kernels is None and self._on_demand:
            self.load_colour_kernels()
        return self._colour_kernels

    def tally_colours(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> tuple[Bins, Bins]:
        """Values and counts of a whole image of colours."""
        kernels = self._kernels_for_colours()
        if kernels is None:
            return self._numpy.tally_colours(stream, height, width, channels)
        from maskstat.kernels.compiled_colours import tally_colours

        return tally_colours(kernels, stream, height, width, channels)

    def tally_colours_and_pixels(
        self, stream: bytearray, height: int, width: int, channels: int
    ) -> tuple[Bins, Bins, IndexedPixels] | None:
        """Values and counts of a whole image of colours, and its pixels."""
        kernels = self._kernels_for_colours()
        if kernels is None:
            return None
        from maskstat.kernels.compiled_colours import tally_and_index

        return tally_and_index(kernels, stream, height, width, channels)

    def colours(self, width: int, channels: int) -> CompiledColourCounter | NumpyColourCounter:
        """A counter of colours."""
        kernels = self._kernels_for_colours()
        if kernels is None:
            return self._numpy.colours(width, channels)
        from maskstat.kernels.compiled_colours import CompiledColourCounter

        return CompiledColourCounter(kernels, width, channels)

    def tally(self, stream: bytearray, height: int, width: int, bits: int) -> tuple[Bins, Bins]:
        """Values and counts of a whole image."""
        if bits == 8:
            return self._tally(self._tally_rows, self._scratch, stream, height, width)
        if bits < 8:
            counter = CompiledBandCounter(self._kernels, width, bits)
            counter.add(stream, height)
            return counter.finish()
        wide = self._wide_kernels
        if wide is None:
            return self._numpy.tally(stream, height, width, bits)
        found = self._tally(wide.tally_rows, self._wide_scratch, stream, height, width)
        return _in_file_order(*found)

    @staticmethod
    def _tally(tally_rows, scratch, stream, height, width):
        """Values, as bins are numbered, and counts of an image of whole pixels."""
        values, counts = scratch.values, scratch.counts
        rows = np.frombuffer(stream, np.uint8)
        found = tally_rows(
            rows, height, width, scratch.row_for(width), scratch.bins, values, counts
        )
        if found < 0:
            bad = -1 - found
            raise unknown_filter(stream[bad * (len(stream) // height)], bad)
        return values[:found].copy(), counts[:found].copy()

    def bands(self, width: int, bits: int) -> CompiledBandCounter | NumpyBandCounter:
        """A counter for an image that arrives in bands."""
        kernels = self._wide_kernels if bits == 16 else self._kernels
        if kernels is None:
            return self._numpy.bands(width, bits)
        return CompiledBandCounter(kernels, width, bits)

    def unfilter(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Raw pixel values (H, W)."""
        return self.tally_and_pixels(stream, height, width, bits)[2]

    def tally_and_pixels(
        self, stream: bytearray, height: int, width: int, bits: int
    ) -> tuple[Bins, Bins, NDArray[np.uint8] | NDArray[np.uint16]]:
        """Values, counts and raw pixel values (H, W), from one pass over the rows."""
        kernels = self._wide_kernels if bits == 16 else self._kernels
        if kernels is None:
            return self._numpy.tally_and_pixels(stream, height, width, bits)
        pixels = width if bits == 16 else bytes_per_row(width, bits)
        item = np.uint16 if bits == 16 else np.uint8
        image = lent_array((height + 1) * pixels + PADDING, item)
        image[:pixels] = 0
        bins = np.zeros(65536 if bits == 16 else 256, np.int64)
        last_bins = np.zeros(256, np.int64)
        rows = np.frombuffer(stream, np.uint8)
        bad = kernels.count_rows(
            rows, height, pixels, image, pixels, bins, last_bins, int(bits < 8)
        )
        if bad >= 0:
            raise unknown_filter(int(rows[bad * (rows.size // height)]), bad)
        image = image[pixels : (height + 1) * pixels].reshape(height, pixels)
        if bits < 8:
            return *_packed_bins(bins, last_bins, width, bits), unpack_rows(image, width, bits)
        values = bins.nonzero()[0]
        counts = bins[values]
        if bits == 8:
            return values, counts, image
        if sys.byteorder == "little":
            image.byteswap(inplace=True)
        return *_in_file_order(values, counts), image
