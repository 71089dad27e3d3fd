"""PNG masks of grey levels, palette indices and 8-bit colours: the fast path.

A file is taken apart into chunks, every CRC checked; the IDAT data is inflated into the filtered
rows, exactly as many bytes as the header says; a kernel counts these without rebuilding the image
(see `maskstat.kernels.event_histogram`, and `colour_histogram` for colours). Images whose rows
would take much memory are inflated and counted band by band.

Values are what the file stores: grey levels unscaled (a 4-bit mask has 0..15), 16-bit levels as
numbers, palette *indices*, colours as `MaskTally` has them. An index beyond the palette is
counted like any other: which values mean something is for the catalogue to say.

What is checked. Critical chunks must be sound and in order, none may be unknown (it could change
the meaning of the pixels), and the file must reach its IEND: a file cut short is a failed
transfer even where the pixels happen to be complete. Ancillary chunks (gamma, transparency, text,
animation frames) cannot change stored values; of these only the CRC is checked. Bytes behind IEND
are ignored, as every common decoder does: the image is complete and verified by then, and some
tools append data of their own. The same goes for bytes between the end of the zlib stream and the
end of the IDAT data. A PLTE in a grey image, which the standard forbids, changes nothing and
is let through.

Every fault is a `MaskError` with a short fact and no file name; memory is taken only after the
sizes it depends on were checked against the data at hand.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels.engine import BandCounter, current_engine, prepare
from maskstat.kernels.packed import bytes_per_row
from maskstat.kernels.region_types import IntArray, Pixels
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.readers.base import LabelMap, read_up_to
from maskstat.readers.libdeflate import Buffer, InflateError
from maskstat.readers.libdeflate import crc32 as _crc32
from maskstat.readers.libdeflate import inflate as _libdeflate
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding, MaskTally

WHOLE_BYTES = 64 << 20  # rows that inflate to more than this are counted band by band
BAND_BYTES = 1 << 20
MAX_ROW_BYTES = 32 << 20  # two rows and a little more are held at a time

_PIECE = 1 << 16  # bytes read and inflated at a time, where that is done in pieces
_DEFLATE_RATIO = 1032  # no DEFLATE stream expands by more: 258 bytes out of two bits
_LIBDEFLATE_MAX = 1 << 31
_USUAL_COMPRESSION = 20  # of masks at least

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = Struct(">8sI4sIIBBBBBI")
_INTERLACE_AT = 28
_CHUNK = Struct(">I4s")
_CRC = Struct(">I")
_SIZE_LIMIT = 2**31 - 1  # of the standard, for width, height and chunk length

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6

# Of each pass of an interlaced image: first column and row, and the steps to the next ones.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)

_CHANNELS = {_RGB: 3, _GREY_ALPHA: 2, _RGBA: 4}

# (colour type, bit depth) as the standard allows them; None: valid, but not for this reader
_ENCODINGS: dict[tuple[int, int], Encoding | None] = {
    **{(_GREY, bits): Encoding("png", "grey", bits) for bits in (1, 2, 4, 8, 16)},
    **{(_PALETTE, bits): Encoding("png", "palette", bits) for bits in (1, 2, 4, 8)},
    (_RGB, 8): Encoding("png", "rgb", 8),
    (_GREY_ALPHA, 8): Encoding("png", "greyalpha", 8),
    (_RGBA, 8): Encoding("png", "rgba", 8),
    **{(colour, 16): None for colour in _CHANNELS},
}


class _Header(NamedTuple):
    """What IHDR says; `encoding` is None where the image is valid but not for this reader."""

    width: int
    height: int
    bits: int
    colour_type: int
    encoding: Encoding | None

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return _CHANNELS.get(self.colour_type, 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row without its filter type."""
        return bytes_per_row(self.width * self.channels, self.bits)

    @property
    def size(self) -> int:
        """Bytes of the inflated rows, each with its filter type."""
        return self.height * (1 + self.row_bytes)

    @property
    def interlaced_size(self) -> int:
        """The same of an image that comes in the seven passes of Adam7."""
        total = 0
        for left, top, across, down in _PASSES:
            columns = -(-(self.width - left) // across)
            rows = -(-(self.height - top) // down)
            if columns > 0 and rows > 0:
                total += rows * (1 + bytes_per_row(columns * self.channels, self.bits))
        return total


def _read_header(data: Buffer) -> _Header:
    """Check the signature and IHDR, the first 33 bytes of the file."""
    try:
        signature, length, kind, width, height, bits, colour_type, *rest = _HEADER.unpack_from(data)
    except struct.error:
        _not_png(data)
    if signature != _SIGNATURE:
        _not_png(data)
    if kind != b"IHDR" or length != 13:
        raise MaskError("not a valid PNG: the first chunk is not IHDR")
    compression, filtering, interlace, crc = rest
    if _crc32(data[12:29]) != crc:
        raise MaskError("wrong CRC in chunk IHDR at byte 8")
    if not (0 < width <= _SIZE_LIMIT and 0 < height <= _SIZE_LIMIT):
        raise MaskError(f"impossible size {width} x {height}")
    if (colour_type, bits) not in _ENCODINGS:
        raise MaskError(f"undefined combination of colour type {colour_type} and bit depth {bits}")
    if compression or filtering or interlace > 1:
        raise MaskError(
            "unknown compression, filter or interlace method"
            f" {compression}, {filtering}, {interlace}"
        )
    encoding = None if interlace else _ENCODINGS[colour_type, bits]
    return _Header(width, height, bits, colour_type, encoding)


def _not_png(data: Buffer) -> NoReturn:
    if len(data) < _HEADER.size and _SIGNATURE.startswith(bytes(data[:8])):
        raise MaskError("empty file" if not len(data) else "file ends in the PNG header")
    raise MaskError("not a PNG file")


class _Order:
    """The order of chunks behind IHDR: what has been seen, and what may come next."""

    __slots__ = ("_header", "_palette", "_pixels")

    def __init__(self, header: _Header) -> None:
        self._header = header
        self._palette = False
        self._pixels = 0  # 0 before IDAT, 1 within, 2 behind

    def check(self, kind: bytes, length: int, position: int) -> None:
        """Take note of a chunk; MaskError where it must not be, or not be like this."""
        if kind == b"IDAT":
            if self._pixels == 2:
                raise MaskError(f"IDAT chunks do not follow each other at byte {position}")
            if self._header.colour_type == _PALETTE and not self._palette:
                raise MaskError("palette image without PLTE chunk before its pixels")
            self._pixels = 1
            return
        if self._pixels == 1:
            self._pixels = 2
        if kind == b"IEND":
            if self._pixels == 0:
                raise MaskError("no IDAT chunk: the file holds no pixels")
            if length:
                raise MaskError(f"chunk IEND at byte {position} is not empty")
        elif kind == b"PLTE":
            if self._palette or self._pixels:
                raise MaskError(f"chunk PLTE out of place at byte {position}")
            if length % 3 or not 3 <= length <= 768:
                raise MaskError(f"chunk PLTE has an impossible length of {length} bytes")
            self._palette = True
        elif not kind.isalpha():
            raise MaskError(f"no chunk at byte {position}, where one should begin")
        elif not kind[0] & 0x20:
            raise MaskError(f"unknown critical chunk {kind.decode('ascii')} at byte {position}")


def _ends_early(position: int) -> MaskError:
    return MaskError(f"file ends early: the chunk at byte {position} is not complete")


def _wrong_crc(kind: bytes, position: int) -> MaskError:
    name = kind.decode("ascii") if kind.isalpha() else "of no name"
    return MaskError(f"wrong CRC in chunk {name} at byte {position}")


def _take_apart(data: Buffer) -> tuple[_Header, list[memoryview]]:
    """The header and the IDAT data of a whole PNG file, all chunks up to IEND checked."""
    header = _read_header(data)
    order = _Order(header)
    view = memoryview(data)
    available = len(view)
    idat: list[memoryview] = []
    position = _HEADER.size
    while True:
        try:
            length, kind = _CHUNK.unpack_from(view, position)
        except struct.error:
            raise _ends_early(position) from None
        end = position + 8 + length
        if end + 4 > available:
            raise _ends_early(position)
        if _crc32(view[position + 4 : end]) != _CRC.unpack_from(view, end)[0]:
            raise _wrong_crc(kind, position)
        order.check(kind, length, position)
        if kind == b"IDAT":
            idat.append(view[position + 8 : end])
        elif kind == b"IEND":
            return header, idat
        position = end + 4


def _inflate(idat: list[memoryview], size: int) -> bytearray:
    """The `size` bytes that the IDAT data inflates to, no more and no less."""
    data = idat[0] if len(idat) == 1 else b"".join(idat)
    if size > len(data) * _DEFLATE_RATIO:
        raise MaskError(f"{len(data)} bytes of pixel data cannot hold an image of this size")
    ask_memory(size)
    if _libdeflate is None or size >= _LIBDEFLATE_MAX:
        return _inflate_slowly(data, size)
    try:
        stream: bytearray = _libdeflate(data, size)
    except InflateError:
        return _inflate_slowly(data, size)  # it knows why
    if len(stream) != size:
        raise _too_short(len(stream), size)
    return stream


def _inflate_slowly(data: Buffer, size: int) -> bytearray:
    """`_inflate` by the standard library, with the reason where it fails."""
    inflater = _Inflater(size)
    stream = bytearray(size)
    filled = 0
    for piece in _pieces([memoryview(data)]):
        for out in inflater.feed(piece, _PIECE):
            stream[filled : filled + len(out)] = out
            filled += len(out)
    inflater.check_end()
    return stream


def _check_stream(data: Buffer) -> None:
    """Inflate all pixels of a PNG and forget them: Pillow compares neither length nor checksum.

    Raises MaskError where the file is damaged.
    """
    header, idat = _take_apart(data)
    size = header.interlaced_size if data[_INTERLACE_AT] else header.size
    if size <= WHOLE_BYTES:
        _inflate(idat, size)
        return
    inflater = _Inflater(size)
    for piece in _pieces(idat):
        for _ in inflater.feed(piece, _PIECE):
            pass
    inflater.check_end()


def _too_short(found: int, size: int) -> MaskError:
    return MaskError(f"pixel data inflates to {found} bytes, the header calls for {size}")


class _Inflater:
    """zlib in pieces, never past the size that the header calls for."""

    def __init__(self, size: int) -> None:
        self._zlib = zlib.decompressobj()
        self._size = size
        self._left = size

    def feed(self, data: Buffer, most: int) -> Iterator[bytes]:
        """Inflate `data` into pieces of at most `most` bytes."""
        while not self._zlib.eof:
            wanted = min(most, self._left) or 1  # a byte too many shows a stream too long
            try:
                out = self._zlib.decompress(data, wanted)
            except zlib.error as error:
                reason = str(error).rpartition(": ")[2]
                raise MaskError(f"damaged pixel data ({reason})") from None
            if len(out) > self._left:
                raise MaskError(
                    f"pixel data inflates to more than the {self._size} bytes the header calls for"
                )
            self._left -= len(out)
            if out:
                yield out
            data = self._zlib.unconsumed_tail
            if not data and len(out) < wanted:
                return

    def check_end(self) -> None:
        """Raise MaskError where data is missing."""
        if self._left:
            raise _too_short(self._size - self._left, self._size)
        if not self._zlib.eof:
            raise MaskError("pixel data ends before its checksum")


def _pieces(idat: Iterable[memoryview]) -> Iterator[memoryview]:
    """The IDAT data in pieces that are cheap to hand over again where part is left."""
    for data in idat:
        for first in range(0, len(data), _PIECE):
            yield data[first : first + _PIECE]


def _tally_bands(header: _Header, pieces: Iterable[Buffer], name: str) -> MaskTally:
    """Count an image from pieces of its IDAT data, holding a band of rows at a time."""
    assert header.encoding is not None
    stride = 1 + header.row_bytes
    if stride > MAX_ROW_BYTES:
        raise MaskError(f"a row of {header.width} pixels is wider than maskstat counts")
    ask_memory(4 * stride)
    prepare(1, header.size // _USUAL_COMPRESSION)  # an image of 1 GB is a workload by itself
    engine = current_engine()
    counter: BandCounter
    if header.channels > 1:
        counter = engine.colours(header.width, header.channels)
    else:
        counter = engine.bands(header.width, header.bits)
    inflater = _Inflater(header.size)
    rows_left = header.height
    rows = min(rows_left, max(1, BAND_BYTES // stride))
    band = memoryview(bytearray(rows * stride))
    filled = 0
    for piece in pieces:
        for out in inflater.feed(piece, _PIECE):
            used = 0
            while used < len(out):
                part = min(len(out) - used, rows * stride - filled)
                band[filled : filled + part] = out[used : used + part]
                used += part
                filled += part
                if filled == rows * stride:
                    counter.add(band[:filled], rows)
                    rows_left -= rows
                    rows, filled = min(rows_left, rows), 0
    inflater.check_end()
    values, counts = counter.finish()
    return MaskTally(name, (header.height, header.width), header.encoding, values, counts)


def tally_png(data: Buffer, name: str = "") -> MaskTally | None:
    """Count the raw values of a PNG mask that is in memory.

    Returns None for a PNG whose chunks are sound but whose pixels are interlaced or colours of 16
    bits a channel: another reader must take it. Raises MaskError where the file is damaged, no
    PNG, or has more colours than a mask can have.
    """
    header, idat = _take_apart(data)
    width, height, bits, colour_type, encoding = header
    if encoding is None:
        return None
    size = header.size
    if size > WHOLE_BYTES:
        return _tally_bands(header, _pieces(idat), name)
    engine, stream = current_engine(), _inflate(idat, size)
    if colour_type in _CHANNELS:
        values, counts = engine.tally_colours(stream, height, width, header.channels)
    else:
        values, counts = engine.tally(stream, height, width, bits)
    return MaskTally(name, (height, width), encoding, values, counts)


def tally_png_stream(file: BinaryIO, name: str = "") -> MaskTally | None:
    """`tally_png` for an open file of any size, read once from where it stands, in little memory.

    Slower than `tally_png` for files that fit. The file is read to its IEND also where the answer
    is None. Errors of the file itself (OSError) pass through.
    """
    header = _read_header(read_up_to(file, _HEADER.size))
    pieces = _stream_idat(file, header)
    if header.encoding is None:
        for _ in pieces:
            pass
        return None
    return _tally_bands(header, pieces, name)


def _stream_idat(file: BinaryIO, header: _Header) -> Iterator[bytes]:
    """Pieces of IDAT data from a file that stands behind IHDR; checks all chunks up to IEND.

    A chunk's CRC is known to be right only when the next piece is asked for.
    """
    order = _Order(header)
    position = _HEADER.size
    while True:
        start = read_up_to(file, _CHUNK.size)
        if len(start) < _CHUNK.size:
            raise _ends_early(position)
        length, kind = _CHUNK.unpack(start)
        if length > _SIZE_LIMIT:
            raise MaskError(f"impossible chunk length at byte {position}")
        order.check(kind, length, position)
        crc, left = _crc32(kind), length
        while left:
            piece = read_up_to(file, min(left, _PIECE))
            if not piece:
                raise _ends_early(position)
            crc = _crc32(piece, crc)
            left -= len(piece)
            if kind == b"IDAT":
                yield piece
        if read_up_to(file, 4) != _CRC.pack(crc):
            raise _wrong_crc(kind, position)
        if kind == b"IEND":
            return
        position += 12 + length


def inflate_png(data: Buffer) -> bytearray | None:
    """The filtered rows of a PNG mask, filter types included: all that precedes counting.

    None and MaskError as in `tally_png`; the rows may take any size the data can inflate to.
    """
    header, idat = _take_apart(data)
    return None if header.encoding is None else _inflate(idat, header.size)


def decode_png(
    data: Buffer, *, limit: int = LARGEST_MASK
) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """Raw values (H, W) of a PNG mask: uint16 for 16-bit grey, else uint8.

    None where `tally_png` gives None and for colours. Raises MaskError where the file is damaged,
    or where its pixels take more than `limit` bytes, before memory is taken for them.
    """
    header, idat = _take_apart(data)
    if header.encoding is None or header.encoding.is_colour:
        return None
    _make_room(header, limit)
    stream = _inflate(idat, header.size)
    return current_engine().unfilter(stream, header.height, header.width, header.bits)


def _read_wide(data: bytes, options: ReadOptions) -> LabelMap | None:
    """Indices in colours of 16 bits a channel; None for other PNGs and interlaced ones.

    Raises MaskError where the file is damaged, holds no indices, or is too large to be held in
    memory.
    """
    from maskstat.readers.index_channel import IndexChannel
    from maskstat.readers.raw_masks import check_decoded

    header, idat = _take_apart(data)
    if header.bits != 16 or header.channels == 1 or data[_INTERLACE_AT]:
        return None
    height, width = header.height, header.width
    check_decoded(header.size)
    ask_memory(header.size + 6 * height * width)  # the pixels, and those of one place
    rows = np.frombuffer(_inflate(idat, header.size), np.uint8).reshape(height, -1)
    pixel = np.empty((height, width, 2 * header.channels), np.uint8)
    for place in range(pixel.shape[2]):
        # Filters know no samples, only bytes at the same place of neighbouring pixels: those of one
        # place are an image of 8 bits by themselves.
        plane = np.concatenate([rows[:, :1], rows[:, 1 + place :: pixel.shape[2]]], axis=1)
        stream = bytearray(plane.tobytes())
        pixel[..., place] = current_engine().unfilter(stream, height, width, 8)
    narrow = _ENCODINGS[header.colour_type, 8]
    assert narrow is not None
    channel = IndexChannel(options.channel, narrow.samples, 16)
    pixels = channel.values(pixel.view(">u2"))
    channel.finish()
    return LabelMap(pixels.astype(np.uint16), Encoding("png", "grey", 16))


def _make_room(header: _Header, limit: int) -> None:
    """Ask for the memory of the pixels. Raises MaskError where they take more than `limit`."""
    width, height = header.width, header.height
    pixels = width * height * (2 if header.bits == 16 or header.channels > 1 else 1)
    if pixels > limit:
        raise MaskError(
            f"{width}x{height} pixels would take {pixels >> 20} MiB decoded, more than the"
            f" {limit >> 20} MiB a PNG may take"
        )
    ask_memory(pixels + (header.height * header.row_bytes if header.bits < 8 else 0))


def tally_and_pixels(
    data: Buffer, name: str, options: ReadOptions
) -> tuple[MaskTally, Pixels] | None:
    """What `tally_png` and `decode_png` give, decoding once; None and MaskError as the latter's."""
    header, idat = _take_apart(data)
    width, height, bits, _, encoding = header
    if encoding is None:
        return None
    _make_room(header, LARGEST_MASK)
    engine, stream = current_engine(), _inflate(idat, header.size)
    found: tuple[IntArray, IntArray, Pixels] | None
    if encoding.is_colour:
        found = engine.tally_colours_and_pixels(stream, height, width, header.channels)
    else:
        found = engine.tally_and_pixels(stream, height, width, bits)
    if found is None:
        return None
    values, counts, pixels = found
    return MaskTally(name, (height, width), encoding, values, counts), pixels


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally | None:
    """What `maskstat.readers.formats` calls first; None sends the file on to `read`."""
    return tally_png(data, name)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally | None:
    """The same for a file too large to be read whole."""
    return tally_png_stream(file, name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """The pixels of any PNG: the fast path's, or Pillow's where it has none."""
    pixels = decode_png(data)
    if pixels is None:
        if (wide := _read_wide(data, options)) is not None:  # inflated, and so checked
            return wide
        _check_stream(data)
        from maskstat.readers.png_general import read_general

        return read_general(data)
    encoding = _read_header(data).encoding
    assert encoding is not None
    return LabelMap(pixels, encoding)
