"""TIFFs of any size through tifffile and imagecodecs: a strip or tile at a time.

What is in memory is one decoded strip or tile, whatever the size of the image; uncompressed strips
are read some rows at a time, however high. Sizes are checked before anything is decoded, and every
decoder is given the size of its output.

Tiles that a file leaves out (GDAL calls such a file sparse) have its nodata value where it names
one; without one nobody can say what they are, and the file is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from maskstat.errors import MaskError, argument
from maskstat.memory import ask_memory
from maskstat.readers.base import LabelMap, refuse_lossy
from maskstat.readers.channels import ChannelReader, encoding_of
from maskstat.readers.choices import is_multilabel
from maskstat.readers.index_channel import IndexChannel
from maskstat.readers.options import ReadOptions
from maskstat.readers.packed_colours import pack_colours
from maskstat.readers.planes import Mask, Planes, check_count
from maskstat.readers.raw_masks import check_decoded
from maskstat.readers.tallying import PixelCounter, whole_numbers
from maskstat.readers.tiff_directory import (
    Directory,
    Page,
    check_labels,
    colour_samples,
    stored,
)
from maskstat.readers.tiff_images import IMAGE_CODECS
from maskstat.readers.tiff_nodata import with_nodata
from maskstat.readers.tiff_segments import FAULTS, Window, unreadable, windows
from maskstat.values.tally import Encoding, MaskTally

_BYTE_CODECS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})  # lossless, of any samples
_PALETTE = 3


def tally_mosaic(
    file: BinaryIO, directory: Directory, name: str, options: ReadOptions
) -> MaskTally:
    """Count the pages of an open file that the options choose. Raises MaskError."""
    return _Mosaic(file, _opened(file), _chosen(directory, options), options).tally(name)


def read_mosaic(file: BinaryIO, directory: Directory, options: ReadOptions) -> LabelMap:
    """The pixels of all chosen pages, one below the other. Raises MaskError."""
    return _Mosaic(file, _opened(file), _chosen(directory, options), options).read()


class Pages(Planes):
    """The pages of an open file, each a mask of its own, of any size and kind."""

    def __init__(self, file: BinaryIO, directory: Directory, options: ReadOptions):
        self._file, self._pages, self._options = file, directory.masks, options
        self._tiff = _opened(file)
        self.count = check_count(len(self._pages))

    def mask(self, plane: int) -> Mask:
        """A page."""
        page = self._pages[plane]
        if self._options.channels is None:
            check_labels(page)
        return _Mosaic(self._file, self._tiff, [page], self._options)


def _opened(file: BinaryIO) -> tifffile.TiffFile:
    try:
        file.seek(0)
        return tifffile.TiffFile(file)
    except FAULTS:
        raise
    except Exception as error:  # tifffile raises anything on hostile bytes
        raise unreadable(error) from error


def _bytes(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.asarray(pixels, np.uint8)


class _Mosaic:
    """An open TIFF: which pages count, what their samples are, and their pixels by windows.

    Attributes:
        shape: (height, width) of the mask.
        colours: samples of colour pixels, as in Encoding, or "".
        encoding: how the file stores pixels.
    """

    def __init__(
        self,
        file: BinaryIO,
        tiff: tifffile.TiffFile,
        pages: Sequence[Page],
        options: ReadOptions,
    ):
        self._file, self._tiff, self._pages = file, tiff, pages
        first = self._pages[0]
        for page in self._pages[1:]:
            if _kind(page) != _kind(first):
                raise MaskError(f"page {page.number + 1} is of another size or kind than the first")
        lossy = _check_compression(first, options)
        try:
            self._opened = [self._tiff.pages[page.number] for page in self._pages]
            self._dtype: np.dtype[Any] | None = self._opened[0].dtype
        except FAULTS:
            raise
        except Exception as error:  # tifffile raises anything on hostile bytes
            raise unreadable(error) from error
        if self._dtype is None or self._dtype.kind not in "biuf":
            raise MaskError(f"samples of {first.bits[0]} bits that are no whole numbers")
        self._reader: ChannelReader | IndexChannel | None = None
        self.colours = ""
        stacked = options.channels is not None and first.samples == 1
        if options.channels is not None:
            channels = len(self._pages) if stacked else first.samples
            if channels == 1:
                raise MaskError(
                    f"one channel and one page: nothing to take for {argument('channels')}"
                )
            self._reader = ChannelReader(options.channels, channels)
            encoding = encoding_of("tiff", options.channels, channels)
            if is_multilabel(options.channels) and first.nodata:
                raise MaskError(
                    "says that a value is nodata (GDAL_NODATA), which no label is: take the tag out"
                )
        else:
            self.colours = colour_samples(first)
            if self.colours and first.bits[0] == 16 and self._dtype.kind == "u":
                self._reader = IndexChannel(options.channel, self.colours, 16)
                self.colours = ""
            encoding = _encoding(first, self._dtype, self.colours)
        self._groups = [self._opened] if stacked else [[page] for page in self._opened]
        if len(set(first.bits)) > 1:
            raise MaskError("samples of several sizes are no class labels")
        self._page_height, width = first.shape
        self.shape = (self._page_height * len(self._groups), width)
        self.encoding = encoding.lossy() if lossy else encoding

    def tally(self, name: str) -> MaskTally:
        """Count all that counts. Raises MaskError."""
        counter = PixelCounter()
        for _, window in self.windows():
            if self.colours:
                counter.add_colours(_bytes(window.pixels))
            else:
                counter.add(self.values(window.pixels))
        self.finish()
        return counter.finish(name, self.shape, self.encoding)

    def read(self) -> LabelMap:
        """The pixels of all pages, one below the other. Raises MaskError."""
        whole: NDArray[np.integer] | None = None
        for top, window in self.windows():
            if self.colours:
                part: NDArray[np.integer] = pack_colours(_bytes(window.pixels), self.colours)
            else:
                part = self.values(window.pixels)
            if whole is None:
                size = math.prod(self.shape) * part.dtype.itemsize
                check_decoded(size)
                ask_memory(size)
                whole = np.empty(self.shape, part.dtype)
            row, (height, width) = window.row, part.shape
            page = self.as_stored(whole, top)
            page[row : row + height, window.column : window.column + width] = part
        assert whole is not None
        self.finish()
        return LabelMap(whole, self.encoding)

    def windows(self) -> Iterator[tuple[int, Window]]:
        """Windows that cover all that counts, with the row where their page begins in the mask."""
        nodata = self._pages[0].nodata
        for place, group in enumerate(self._groups):
            pages = (windows(self._file, page, nodata, together=len(group)) for page in group)
            for parts in zip(*pages, strict=True):
                window = parts[0]
                if len(parts) > 1:
                    pixels = np.concatenate([part.pixels for part in parts], axis=-1)
                    window = window._replace(pixels=pixels)
                yield place * self._page_height, window

    def as_stored(self, whole: NDArray[np.integer], top: int) -> NDArray[np.integer]:
        """The page of a mask that begins at a row, as a view with rows as the file has them."""
        page = whole[top : top + self._page_height]
        return stored(page, self._pages[0].orientation)

    def values(self, pixels: NDArray[np.generic]) -> NDArray[np.integer]:
        """Raw values [height, width] of a window that holds no colours."""
        if self._reader is not None:
            return whole_numbers(self._reader.values(pixels))
        values, self.encoding = with_nodata(pixels[..., 0], self._pages[0].nodata, self.encoding)
        return values

    def finish(self) -> None:
        """Raise MaskError where all was seen, and is nothing that anybody said."""
        if isinstance(self._reader, IndexChannel):
            self._reader.finish()


def _chosen(directory: Directory, options: ReadOptions) -> Sequence[Page]:
    pages = directory.masks
    if isinstance(options.pages, int):
        return pages[options.pages - 1 : options.pages]
    return pages


def _kind(page: Page) -> tuple[object, ...]:
    return (
        page.width,
        page.height,
        page.orientation,
        page.bits,
        page.samples,
        page.sample_formats,
        page.photometric,
        page.extra_samples,
        page.nodata,
    )


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
