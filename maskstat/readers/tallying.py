"""Counting raw values of pixels that are already in memory.

Masks are constant almost everywhere, so they are counted run by run: a run's value is looked at
once, however long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels.engine import ColourCounter, current_engine
from maskstat.kernels.runs import add_up
from maskstat.values.tally import Encoding, IntArray, MaskTally

MAX_DISTINCT_VALUES = 65536
_BAND_PIXELS = 1 << 22
_BAND_FLOATS = 1 << 18  # which take several times their own memory


def count_pixels(name: str, pixels: NDArray[np.integer], encoding: Encoding) -> MaskTally:
    """The tally of a label map (H, W) of any integer type, exact.

    Works band by band, so that its own memory stays small beside the pixels'.

    Raises:
        MaskError: more different values than a label mask can have.
    """
    height, width = pixels.shape
    counter = PixelCounter()
    counter.add(pixels)
    return counter.finish(name, (height, width), encoding)


class PixelCounter:
    """Adds up raw values of pixels that come in blocks, of whole numbers or of colours.

    Every method raises MaskError where there are more different values than a label mask can
    have, or where one is no whole number of 64 bits.
    """

    def __init__(self) -> None:
        self._bytes: dict[bool, IntArray] = {}  # histograms of bytes, signed or not
        # Values and counts of blocks, added up now and then.
        self._sums: list[tuple[IntArray, IntArray]] = [(np.empty(0, np.int64),) * 2]
        self._held = 0  # values in there
        self._colours: ColourCounter | None = None

    def add(self, pixels: NDArray[np.generic]) -> None:
        """Count a block of any shape: integers, booleans, or floats that are whole numbers."""
        for band in _bands(pixels):
            values = whole_numbers(band)
            if values.itemsize == 1:
                self._add_bytes(values)
            else:
                self._add_wide(values)

    def add_colours(self, channels: NDArray[np.uint8]) -> None:
        """Count a block of colours, uint8[..., C] with C = 2 (grey, alpha), 3 or 4."""
        if self._colours is None:
            self._colours = current_engine().colours(1, channels.shape[-1])
        self._colours.add_pixels(channels)

    def _add_bytes(self, band: NDArray[np.integer]) -> None:
        signed = band.dtype.kind == "i"
        if signed not in self._bytes:
            self._bytes[signed] = np.zeros(256, np.int64)
        current_engine().add_bytes(self._bytes[signed], band.view(np.uint8))

    def _add_wide(self, band: NDArray[np.integer]) -> None:
        kind = band.dtype
        counted = np.dtype(np.uint16 if kind.itemsize == 2 else f"i{kind.itemsize}")
        values, counts = current_engine().value_sums(band.view(counted))
        if kind != counted and kind.itemsize < 8:
            values = values.astype(counted).view(kind).astype(np.int64)
        self._take(values, counts)
        if self._held > MAX_DISTINCT_VALUES:
            self._add_up()

    def _take(self, values: IntArray, counts: IntArray) -> None:
        """Take sums of values, each once, in any order."""
        self._sums.append((values, counts))
        self._held += values.size

    def _add_up(self) -> None:
        """Make one sum of all, with values in order. Raises MaskError for too many values."""
        values, counts = (np.concatenate(column) for column in zip(*self._sums, strict=True))
        self._sums = [add_up(values, counts)]
        self._held = self._sums[0][0].size
        if self._held > MAX_DISTINCT_VALUES:
            raise too_many_values()

    def finish(self, name: str, shape: tuple[int, int], encoding: Encoding) -> MaskTally:
        """The tally of all that was added; nothing may be added afterwards."""
        if self._colours is not None:
            self._take(*self._colours.finish())
        for signed, bins in self._bytes.items():
            codes = bins.nonzero()[0]
            values = codes.astype(np.int8).astype(np.int64) if signed else codes
            self._take(values, bins[codes])
        self._add_up()
        return MaskTally(name, shape, encoding, *self._sums[0])


def too_many_values(most: int = MAX_DISTINCT_VALUES) -> MaskError:
    """The error for a photograph, or for a map of measurements."""
    return MaskError(f"more than {most} different values: a photograph or a float map?")


def _bands(pixels: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    """The pixels in memory order, as flat pieces; views where that is possible."""
    flat = pixels.ravel(order="K")  # in memory order: a view, also of Fortran arrays
    step = _BAND_FLOATS if pixels.dtype.kind == "f" else _BAND_PIXELS
    for start in range(0, flat.size, step):
        yield flat[start : start + step]


def whole_numbers(pixels: NDArray[np.generic]) -> NDArray[np.integer]:
    """Raw values as integers in this machine's byte order: the one rule for all formats.

    Booleans are 0 and 1, whatever byte a file has for True; floats become int64, integers keep
    their type. Raises MaskError where a float is no whole number, or a value does not fit a signed
    64-bit integer.
    """
    if pixels.dtype.kind == "b":
        truth: NDArray[np.bool_] = pixels.view(np.uint8) != 0
        return truth.view(np.uint8)
    if pixels.dtype.kind == "f":
        return _of_floats(pixels)
    native: NDArray[Any] = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if native.dtype == np.uint64 and native.size and int(native.max()) >= 2**63:
        raise MaskError(f"the value {int(native.max())} does not fit a signed 64-bit integer")
    return native


def _of_floats(floats: NDArray[Any]) -> NDArray[np.int64]:
    if floats.dtype.itemsize < 8:
        floats = floats.astype(np.float64)  # 2**63 is beyond float16
    with np.errstate(invalid="ignore"):
        # 2**63 itself is not an int64; NaN fails every comparison.
        fits = (floats >= -(2.0**63)) & (floats < 2.0**63) & (floats == np.floor(floats))
    if not fits.all():
        bad = floats[~fits].flat[0]
        raise MaskError(f"float mask with the value {bad}: labels must be whole numbers")
    return floats.astype(np.int64)
