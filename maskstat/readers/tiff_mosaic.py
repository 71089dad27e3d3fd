"""TIFFs of any size through tifffile and imagecodecs: a strip or tile at a time.

What is in memory is one decoded strip or tile, whatever the size of the image; uncompressed strips
are read some rows at a time, however high. Sizes are checked before anything is decoded, and every
decoder is given the size of its output.

Tiles that a file leaves out (GDAL calls such a file sparse) have its nodata value where it names
one; without one nobody can say what they are, and the file is refused.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import counted, printable
from maskstat.readers import LabelMap, ReadOptions, refuse_lossy
from maskstat.readers.arrays import check_decoded
from maskstat.readers.channels import ChannelReader
from maskstat.readers.counting import PixelCounter, whole_numbers
from maskstat.readers.raster import pack_colours
from maskstat.readers.tiff_directory import Directory, Page, colour_samples
from maskstat.readers.tiff_images import IMAGE_CODECS, check_image
from maskstat.tally import Encoding, MaskTally

MAX_SEGMENT_BYTES = 256 << 20
_BAND_BYTES = 8 << 20
_ENCODED_SLACK = 1 << 20
_UNCOMPRESSED = 1
_BYTE_CODECS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})  # lossless, of any samples
_PALETTE = 3
_NODATA = 42113
_FAULTS = (MaskError, OSError, MemoryError)

# What tifffile thinks of a file it says in a log, which would end up on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class _Window(NamedTuple):
    """Pixels of one page, [height, width, samples], and where they are in it."""

    row: int
    column: int
    pixels: NDArray[np.generic]


def tally_mosaic(
    file: BinaryIO, directory: Directory, name: str, options: ReadOptions
) -> MaskTally:
    """Count the pages of an open file that the options choose. Raises MaskError."""
    mosaic = _Mosaic(file, directory, options)
    counter = PixelCounter()
    for _, window in mosaic.windows():
        if mosaic.colours:
            counter.add_colours(_bytes(window.pixels))
        else:
            counter.add(mosaic.values(window.pixels))
    return counter.finish(name, mosaic.shape, mosaic.encoding)


def read_mosaic(file: BinaryIO, directory: Directory, options: ReadOptions) -> LabelMap:
    """The pixels of all chosen pages, one below the other. Raises MaskError."""
    mosaic = _Mosaic(file, directory, options)
    check_decoded(math.prod(mosaic.shape) * 8)
    whole: NDArray[np.integer] | None = None
    for top, window in mosaic.windows():
        if mosaic.colours:
            part: NDArray[np.integer] = pack_colours(_bytes(window.pixels), mosaic.colours)
        else:
            part = _integers(mosaic.values(window.pixels))
        if whole is None:
            whole = np.empty(mosaic.shape, part.dtype)
        row, (height, width) = top + window.row, part.shape
        whole[row : row + height, window.column : window.column + width] = part
    assert whole is not None
    return LabelMap(whole, mosaic.encoding)


def _bytes(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.asarray(pixels, np.uint8)


def _integers(pixels: NDArray[np.generic]) -> NDArray[np.integer]:
    if pixels.dtype.kind == "f":
        return whole_numbers(pixels)
    if pixels.dtype.kind == "b":
        return pixels.view(np.uint8)
    if pixels.dtype == np.uint64 and int(pixels.max()) >= 2**63:
        raise MaskError("a value does not fit a signed 64-bit integer")
    return pixels  # type: ignore[return-value]


class _Mosaic:
    """An open TIFF: which pages count, what their samples are, and their pixels by windows.

    Attributes:
        shape: (height, width) of the mask.
        colours: samples of colour pixels, as in Encoding, or "".
        encoding: how the file stores pixels.
    """

    def __init__(self, file: BinaryIO, directory: Directory, options: ReadOptions):
        self._file = file
        self._pages = _chosen(directory, options)
        first = self._pages[0]
        for page in self._pages[1:]:
            if _kind(page) != _kind(first):
                raise MaskError(f"page {page.number + 1} is of another size or kind than the first")
        lossy = _check_compression(first, options)
        try:
            file.seek(0)
            self._tiff = tifffile.TiffFile(file)
            self._opened = [self._tiff.pages[page.number] for page in self._pages]
            self._dtype: np.dtype[Any] | None = self._opened[0].dtype
        except _FAULTS:
            raise
        except Exception as error:  # tifffile raises anything on hostile bytes
            raise _unreadable(error) from error
        if self._dtype is None or self._dtype.kind not in "biuf":
            raise MaskError(f"samples of {first.bits[0]} bits that are no whole numbers")
        self._reader, self.colours = None, ""
        stacked = options.channels is not None and first.samples == 1
        if options.channels is not None:
            channels = len(self._pages) if stacked else first.samples
            if channels == 1:
                raise MaskError("one channel and one page: nothing to take for --channels")
            self._reader = ChannelReader(options.channels, channels)
            encoding = Encoding("tiff", "int", 64)
        else:
            self.colours = colour_samples(first)
            encoding = _encoding(first, self._dtype, self.colours)
        self._groups = [self._opened] if stacked else [[page] for page in self._opened]
        if len(set(first.bits)) > 1:
            raise MaskError("samples of several sizes are no class labels")
        self.shape = (first.height * len(self._groups), first.width)
        self.encoding = encoding.lossy() if lossy else encoding

    def windows(self) -> Iterator[tuple[int, _Window]]:
        """Windows that cover all that counts, with the row where their page begins."""
        height = self._pages[0].height
        for place, group in enumerate(self._groups):
            for parts in zip(*(_windows(self._file, page) for page in group), strict=True):
                window = parts[0]
                if len(parts) > 1:
                    pixels = np.concatenate([part.pixels for part in parts], axis=-1)
                    window = window._replace(pixels=pixels)
                yield place * height, window

    def values(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Raw values [height, width] of a window that holds no colours."""
        return pixels[..., 0] if self._reader is None else self._reader.values(pixels)


def _chosen(directory: Directory, options: ReadOptions) -> Sequence[Page]:
    pages = directory.masks
    if isinstance(options.pages, int):
        if options.pages > len(pages):
            raise MaskError(
                f"has {counted(len(pages), 'page')}: there is no --pages {options.pages}"
            )
        return pages[options.pages - 1 : options.pages]
    return pages


def _kind(page: Page) -> tuple[object, ...]:
    return (page.width, page.height, page.bits, page.samples, page.sample_formats,
            page.photometric, page.extra_samples)  # fmt: skip


def _check_compression(page: Page, options: ReadOptions) -> bool:
    """Whether labels may have changed. Raises MaskError where that is not allowed."""
    if page.compression in _BYTE_CODECS:
        return False
    if page.compression not in IMAGE_CODECS:
        raise MaskError(f"TIFF compression {page.compression} is not decoded here")
    name, lossless = IMAGE_CODECS[page.compression]
    if not lossless:
        refuse_lossy(f"{name}-in-TIFF", options)
    return not lossless


def _encoding(page: Page, dtype: np.dtype[Any], colours: str) -> Encoding:
    bits = page.bits[0]
    if colours:
        if bits != 8:
            raise MaskError(f"{bits}-bit {colours} samples are no class labels")
        return Encoding("tiff", colours, 8)
    if page.photometric == _PALETTE:
        return Encoding("tiff", "palette", bits)
    if dtype.kind == "f":
        return Encoding("tiff", "float", bits)
    if dtype.kind == "i":
        return Encoding("tiff", "int", bits)
    return Encoding("tiff", "uint" if bits >= 32 else "grey", bits)


def _unreadable(error: Exception) -> MaskError:
    text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
    return MaskError(f"corrupt TIFF: {text}")


def _windows(file: BinaryIO, page: Any) -> Iterator[_Window]:
    """The pixels of a page, a strip or tile at a time. Raises MaskError."""
    planes, depth, height, width, samples = page.shaped
    if depth != 1:
        raise MaskError("a TIFF of volumes within pages")
    high, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    high = min(high, height) if not page.is_tiled else high
    if high < 1 or wide < 1:
        raise MaskError("corrupt TIFF: strips or tiles without pixels")
    down, across = -(-height // high), -(-width // wide)
    offsets, sizes = page.dataoffsets, page.databytecounts
    if len(offsets) != down * across * planes or len(sizes) != len(offsets):
        raise MaskError("corrupt TIFF: strips or tiles are missing")
    segment_bytes = high * wide * samples * page.dtype.itemsize
    if segment_bytes > MAX_SEGMENT_BYTES or planes * segment_bytes > 2 * MAX_SEGMENT_BYTES:
        if page.compression != _UNCOMPRESSED or page.is_tiled or planes > 1 or page.predictor != 1:
            raise MaskError(
                f"a strip or tile of {segment_bytes >> 20} MiB, more than the"
                f" {MAX_SEGMENT_BYTES >> 20} MiB that may be decoded at once"
                " (gdal_translate -co TILED=YES makes smaller ones)"
            )
        yield from _row_bands(file, page, high)
        return
    segments = _Segments(file, page, 2 * segment_bytes + _ENCODED_SLACK)
    for index in range(down * across):
        row, column = index // across * high, index % across * wide
        shape = (min(high, height - row), min(wide, width - column))
        parts = [segments.decode(index + plane * down * across, shape) for plane in range(planes)]
        yield _Window(row, column, parts[0] if planes == 1 else np.concatenate(parts, axis=-1))


class _Segments:
    """Decodes the strips or tiles of one page."""

    def __init__(self, file: BinaryIO, page: Any, most: int):
        self._file, self._page, self._most = file, page, most
        self._tables = page.jpegtables
        self._missing = _nodata(page)

    def decode(self, index: int, shape: tuple[int, int]) -> NDArray[np.generic]:
        """The part of a strip or tile that is within the image: [*shape, samples]."""
        page = self._page
        samples = page.shaped[4]
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        if not size or not offset:
            if self._missing is None:
                raise MaskError("strips or tiles are missing, and it names no nodata value")
            return np.full((*shape, samples), self._missing, page.dtype)
        if size > self._most:
            if page.compression != _UNCOMPRESSED:
                raise MaskError("corrupt TIFF: a strip or tile larger than its pixels need")
            size = self._most
        data = _read(self._file, offset, size)
        if page.compression in IMAGE_CODECS:
            check_image(data, page.compression, (page.tilelength, page.tilewidth)
                        if page.is_tiled else shape)  # fmt: skip
        try:
            found, _, _ = page.decode(data, index, jpegtables=self._tables)
        except _FAULTS:
            raise
        except Exception as error:  # codecs raise anything on hostile bytes
            raise _unreadable(error) from error
        part = found[0, : shape[0], : shape[1]]
        if part.shape != (*shape, samples) or found.shape[0] != 1:
            raise MaskError("corrupt TIFF: a strip or tile has fewer pixels than its place")
        return part  # type: ignore[no-any-return]


def _nodata(page: Any) -> int | None:
    """The value of what a file leaves out, where it names one that its type can hold."""
    tag = page.tags.get(_NODATA)
    try:
        value = int(float(str(tag.value).strip("\0 "))) if tag is not None else None
    except (ValueError, OverflowError):
        return None
    if value is None or page.dtype.kind == "f":
        return value
    low, high = (0, 1) if page.dtype.kind == "b" else (
        np.iinfo(page.dtype).min, np.iinfo(page.dtype).max)  # fmt: skip
    return value if low <= value <= high else None


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    """Exactly `size` bytes. Raises MaskError where the file ends before."""
    file.seek(offset)
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    if len(data) < size:
        raise MaskError("corrupt TIFF: it ends within its pixels")
    return data


def _row_bands(file: BinaryIO, page: Any, high: int) -> Iterator[_Window]:
    """The rows of uncompressed strips that are too high to be held in memory, some at a time."""
    _, _, height, width, samples = page.shaped
    bits = page.bitspersample
    row_bytes = (width * samples * bits + 7) // 8
    rows = max(1, _BAND_BYTES // row_bytes)
    stored = np.dtype(page.parent.byteorder + page.dtype.char)
    for strip, (offset, size) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        top = strip * high
        here = min(high, height - top)
        if size < here * row_bytes:
            raise MaskError("corrupt TIFF: a strip has fewer bytes than its pixels need")
        for first in range(0, here, rows):
            count = min(rows, here - first)
            data: bytes | bytearray = _read(file, offset + first * row_bytes, count * row_bytes)
            if page.fillorder == 2:
                data = imagecodecs.bitorder_decode(data)
            if bits in {8, 16, 32, 64}:
                flat = np.frombuffer(data, stored).astype(page.dtype, copy=False)
            else:
                flat = imagecodecs.packints_decode(data, stored, bits, runlen=width * samples)
            yield _Window(top + first, 0, flat.reshape(count, width, samples))
