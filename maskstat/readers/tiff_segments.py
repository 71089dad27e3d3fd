"""The strips and tiles of a TIFF page, decoded one at a time by tifffile and imagecodecs.

What a page says of itself is checked first: tifffile takes over whatever a file holds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, BinaryIO, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import ask_memory_in_all
from maskstat.naming import printable
from maskstat.readers.base import read_at
from maskstat.readers.tiff_images import IMAGE_CODECS, check_image
from maskstat.readers.tiff_lzw import decode_lzw
from maskstat.readers.tiff_nodata import stored_nodata

MAX_SEGMENT_BYTES = 256 << 20
_BAND_BYTES = 8 << 20
_ENCODED_SLACK = 1 << 20
_UNCOMPRESSED, _LZW = 1, 5
_PREDICTED = frozenset({_LZW, 8, 32946, 34925, 50000})  # compressions that a predictor comes before
FAULTS = (MaskError, OSError, MemoryError)  # what is no sign of a corrupt file

# What tifffile thinks of a file it says in a log, which would end up on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Window(NamedTuple):
    """Pixels of one page, [height, width, samples], and where they are in it."""

    row: int
    column: int
    pixels: NDArray[np.generic]


class _Layout(NamedTuple):
    """How a page is cut: sizes in pixels, `high` and `wide` those of a strip or tile.

    Samples that follow each other are `samples`, those stored one after the other `planes`.
    """

    height: int
    width: int
    planes: int
    samples: int
    high: int
    wide: int
    is_tiled: bool
    bits: int
    dtype: np.dtype[Any]
    compression: int
    is_reversed: bool
    offsets: Sequence[int]
    sizes: Sequence[int]

    @property
    def down(self) -> int:
        """Strips or tiles from top to bottom."""
        return -(-self.height // self.high)

    @property
    def across(self) -> int:
        """Tiles from left to right."""
        return -(-self.width // self.wide)

    @property
    def segment_bytes(self) -> int:
        """Bytes of a decoded strip or tile."""
        return self.high * self.wide * self.samples * self.dtype.itemsize

    @property
    def needed(self) -> int:
        """Bytes that decoding the strips or tiles of one place takes at most."""
        encoded = min(max(self.sizes), 2 * self.segment_bytes + _ENCODED_SLACK)
        decoded = self.planes * self.segment_bytes
        floats = decoded // self.dtype.itemsize if self.dtype.kind == "f" else 0
        return encoded + 3 * decoded + 20 * floats


def unreadable(error: Exception) -> MaskError:
    """What tifffile or a codec raised, in a few words."""
    text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
    return MaskError(f"corrupt TIFF: {text}")


def _layout(page: Any) -> _Layout:
    """How a page of tifffile's is cut. Raises MaskError where it can't be."""
    try:
        planes, depth, height, width, samples = map(index, page.shaped)
        is_tiled = bool(page.is_tiled)
        high, wide = (page.tilelength, page.tilewidth) if is_tiled else (page.rowsperstrip, width)
        layout = _Layout(
            height,
            width,
            planes,
            samples,
            index(high) if is_tiled else min(index(high), height),
            index(wide),
            is_tiled,
            index(page.bitspersample),
            np.dtype(page.dtype),
            index(page.compression),
            index(page.fillorder) == 2,
            tuple(map(index, page.dataoffsets)),
            tuple(map(index, page.databytecounts)),
        )
    except FAULTS:
        raise
    except Exception as error:  # tags may hold anything
        raise unreadable(error) from error
    if depth != 1:
        raise MaskError("a TIFF of volumes within pages")
    if min(layout.high, layout.wide, layout.bits) < 1:
        raise MaskError("corrupt TIFF: strips or tiles without pixels")
    expected = layout.down * layout.across * layout.planes
    if not len(layout.offsets) == len(layout.sizes) == expected:
        raise MaskError("corrupt TIFF: strips or tiles are missing")
    return layout


def windows(file: BinaryIO, page: Any, nodata: str, *, together: int = 1) -> Iterator[Window]:
    """The pixels of a page of tifffile's, a strip or tile at a time. Raises MaskError.

    `nodata` is the text of GDAL's tag: the value of what the file leaves out. `together` is how
    many pages are read side by side.
    """
    layout = _layout(page)
    size = layout.segment_bytes
    if max(size, layout.planes * size // 2) > MAX_SEGMENT_BYTES:
        if layout.compression != _UNCOMPRESSED or layout.is_tiled or layout.planes > 1:
            raise MaskError(
                f"a strip or tile of {size >> 20} MiB, more than the {MAX_SEGMENT_BYTES >> 20} MiB"
                " that may be decoded at once (gdal_translate -co TILED=YES makes smaller ones)"
            )
        ask_memory_in_all(together * 4 * _BAND_BYTES)
        yield from _row_bands(file, page, layout)
        return
    segments = _Segments(file, page, layout, stored_nodata(nodata, layout.dtype))
    ask_memory_in_all(together * layout.needed)
    planes, count = layout.planes, layout.down * layout.across
    for number in range(count):
        row, column = number // layout.across * layout.high, number % layout.across * layout.wide
        shape = (min(layout.high, layout.height - row), min(layout.wide, layout.width - column))
        parts = [segments.decode(number + plane * count, shape) for plane in range(planes)]
        yield Window(row, column, parts[0] if planes == 1 else np.concatenate(parts, axis=-1))


class _Segments:
    """Decodes the strips or tiles of one page."""

    def __init__(self, file: BinaryIO, page: Any, layout: _Layout, missing: int | float | None):
        self._file, self._page, self._layout = file, page, layout
        self._most = 2 * layout.segment_bytes + _ENCODED_SLACK
        self._missing = missing
        if layout.compression not in _PREDICTED:  # as libtiff and GDAL have it, at all depths
            page.predictor = 1
        if layout.compression == _LZW:  # tifffile is given what is left to do
            page.compression = tifffile.COMPRESSION.NONE
            page.fillorder = tifffile.FILLORDER.MSB2LSB

    def decode(self, number: int, shape: tuple[int, int]) -> NDArray[np.generic]:
        """The part of a strip or tile that is within the image: [*shape, samples]."""
        layout = self._layout
        offset, size = layout.offsets[number], layout.sizes[number]
        if not size or not offset:
            if self._missing is None:
                raise MaskError("strips or tiles are missing, and it names no nodata value")
            return np.full((*shape, layout.samples), self._missing, layout.dtype)
        if size > self._most:
            if layout.compression != _UNCOMPRESSED:
                raise MaskError("corrupt TIFF: a strip or tile larger than its pixels need")
            size = self._most
        data = _read(self._file, offset, size)
        if layout.compression in IMAGE_CODECS:
            place = (layout.high, layout.wide) if layout.is_tiled else shape
            check_image(data, layout.compression, place)
        if layout.compression == _LZW:
            data = self._without_lzw(data, shape[0])
        try:
            page = self._page
            found, _, _ = page.decode(data, number, jpegtables=page.jpegtables)
            part = found[0, : shape[0], : shape[1]]
        except FAULTS:
            raise
        except Exception as error:  # codecs raise anything on hostile bytes
            raise unreadable(error) from error
        if part.shape != (*shape, layout.samples) or len(found) != 1:
            raise MaskError("corrupt TIFF: a strip or tile has fewer pixels than its place")
        return part  # type: ignore[no-any-return]

    def _without_lzw(self, data: bytes, rows: int) -> bytes:
        layout = self._layout
        if layout.is_reversed:
            data = bytes(imagecodecs.bitorder_decode(data))
        row_bytes = (layout.wide * layout.samples * layout.bits + 7) // 8
        return decode_lzw(data, layout.high if layout.is_tiled else rows, row_bytes)


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    """Exactly `size` bytes. Raises MaskError where the file ends before."""
    data = read_at(file, offset, size)
    if len(data) < size:
        raise MaskError("corrupt TIFF: it ends within its pixels")
    return data


def _row_bands(file: BinaryIO, page: Any, layout: _Layout) -> Iterator[Window]:
    """The rows of uncompressed strips that are too high to be held in memory, some at a time."""
    width, samples, bits = layout.width, layout.samples, layout.bits
    row_bytes = (width * samples * bits + 7) // 8
    rows = max(1, _BAND_BYTES // row_bytes)
    stored = np.dtype(page.parent.byteorder + layout.dtype.char)
    for strip, (offset, size) in enumerate(zip(layout.offsets, layout.sizes, strict=True)):
        top = strip * layout.high
        here = min(layout.high, layout.height - top)
        if size < here * row_bytes:
            raise MaskError("corrupt TIFF: a strip has fewer bytes than its pixels need")
        for first in range(0, here, rows):
            count = min(rows, here - first)
            data: bytes | bytearray = _read(file, offset + first * row_bytes, count * row_bytes)
            if layout.is_reversed:
                data = imagecodecs.bitorder_decode(data)
            if bits in {8, 16, 32, 64}:
                flat = np.frombuffer(data, stored).astype(layout.dtype, copy=False)
            else:
                flat = imagecodecs.packints_decode(data, stored, bits, runlen=width * samples)
            yield Window(top + first, 0, flat.reshape(count, width, samples))
