"""NIfTI volumes, plain (.nii) or gzipped (.nii.gz): every voxel counts, a volume is one mask.

Voxels are read in the order of the file, some megabytes at a time, so a volume of any size takes
little memory. nibabel reads the header. Its scaling (scl_slope, scl_inter) is applied: scaled and
float volumes are label maps where every value is a whole number, and are refused where one is not.

A volume of shape (X, Y, Z) becomes a mask of Z slices one below the other, each Y high and X wide,
or, with `--pages each`, Z masks. Of a series (X, Y, Z, T) `--pages` says which volume counts, from
1, or that all do; with `--channels` the fourth axis is a class each.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, argument
from maskstat.memory import ask_memory
from maskstat.naming import printable
from maskstat.readers.base import LabelMap, each_or_all, no_page, read_up_to, several_now
from maskstat.readers.channels import encoding_of
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import KEPT_BYTES, MOST_DEFLATED, Planes, check_count
from maskstat.readers.raw_masks import ArrayPlan, RawMask, check_decoded, check_numbers
from maskstat.values.tally import Encoding, MaskTally

NEEDS_NIBABEL = 'a NIfTI volume needs nibabel: pip install "maskstat[medical]"'
_GZIP = b"\x1f\x8b"
_PIECE = 1 << 24
_COMPRESSED_PIECE = 1 << 18
_HEADER_BYTES = 540  # of the longer of the two
_MOST_VOXELS = 1 << 42
_MOST_BEHIND = 1 << 20


class _Volume(NamedTuple):
    """What a header says.

    `axes` are the lengths of (X, Y, Z, ...), at least three; axes of length 1 at the end are
    dropped. Voxels are stored X fastest. Values are slope * voxel + inter.
    """

    axes: tuple[int, ...]
    dtype: np.dtype[np.generic]
    slope: float
    inter: float

    @property
    def is_scaled(self) -> bool:
        """Whether values are not the voxels as stored."""
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def voxels(self) -> int:
        """Voxels of one volume."""
        return math.prod(self.axes[:3])

    @property
    def volumes(self) -> int:
        """How many volumes there are."""
        return math.prod(self.axes[3:])

    @property
    def slices(self) -> int:
        """How many slices all volumes have."""
        return self.axes[2] * self.volumes


class _Series(RawMask):
    """The volumes of an open file that count: slices one below the other."""

    def __init__(self, file: BinaryIO, options: ReadOptions):
        self._stream = _Stream(file)
        self._volume = volume = _header(self._stream)
        self._first, self._last = _chosen(volume, options)
        volumes = self._last - self._first
        wide, high, slices = volume.axes[:3]
        rows = high * slices * (1 if options.channels is not None else volumes)
        plan = ArrayPlan((rows, wide), _encoding(volume, options), channels=options.channels or "")
        size = volume.voxels * volumes * max(8, volume.dtype.itemsize)
        super().__init__(plan, (volume.voxels, volumes), size)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Voxels as they come; a stack of classes is held in memory, and comes by voxels."""
        if not self.plan.channels:
            yield from _voxels(self._stream, self._volume, self._first, self._last)
            return
        stack = self.whole()
        step = max(1, _PIECE // stack.shape[-1])
        for start in range(0, len(stack), step):
            yield stack[start : start + step]

    def whole(self) -> NDArray[np.generic]:
        """All voxels; in a stack of classes, [voxels, classes]."""
        volume = self._volume
        if self.plan.channels:
            size = volume.voxels * volume.volumes * volume.dtype.itemsize
            check_decoded(size)
            ask_memory(2 * size)
        flat = np.concatenate(list(_voxels(self._stream, volume, self._first, self._last)))
        return flat.reshape(volume.volumes, -1).T if self.plan.channels else flat


class _Slices(Planes):
    """The slices of an open file. A gzipped one is unpacked to its checksum before the first."""

    def __init__(self, file: BinaryIO, options: ReadOptions):
        self._file, self._options = file, options
        self._stream = _Stream(file)
        self.volume = volume = _header(self._stream)
        self._pixels: NDArray[np.generic] | None = None
        slices = volume.slices
        if options.channels is not None:
            _chosen(volume, replace(options, pages=None))
            slices = volume.axes[2]
        self.count = check_count(slices)
        self.encoding, self.channels = _encoding(volume, options), options.channels or ""
        self.shape = volume.axes[1], volume.axes[0]
        self._bytes = math.prod(self.shape) * volume.dtype.itemsize
        self.in_order = self._stream.is_gzip or options.channels is not None
        self._at = 0  # the slice that the stream stands at
        self._start = None if self.in_order else self._stream.place
        self._check_length()

    def _check_length(self) -> None:
        """Raise MaskError where the file can't hold as many voxels as its header says."""
        said = self.volume.slices * self._bytes
        held = self._file.seek(0, io.SEEK_END)
        held = held - self._start if self._start is not None else held * MOST_DEFLATED
        if held < said:
            raise MaskError("the file ends within its voxels")
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(0)
        self._stream, self._at = _Stream(self._file), 0
        _header(self._stream)

    def prepare(self) -> None:
        """Unpack all, and keep it where it is small or has to be read at once."""
        if self._start is not None:
            return
        if self._options.channels is not None:
            self._file.seek(0)
            series = _Series(self._file, replace(self._options, pages=None))
            self._pixels = series.whole()
            self.held = self._pixels.nbytes
            return
        kept = []
        size = self.volume.slices * self._bytes
        small = size <= KEPT_BYTES
        ask_memory(2 * size if small else _PIECE)
        for voxels in _stored(self._stream, self.volume, 0, self.volume.volumes):
            if small:
                kept.append(voxels)
        if small:
            self._pixels, self.held = np.concatenate(kept), size
        else:
            self._rewind()

    def mask(self, plane: int) -> RawMask:
        """A slice."""
        return _Slice(self, plane)

    def voxels(self, plane: int) -> Iterator[NDArray[np.generic]]:
        """The values of a slice; of classes, [voxels, classes]."""
        size = math.prod(self.shape)
        if self._pixels is not None:
            part = self._pixels[plane * size : (plane + 1) * size]
            yield part if self._options.channels is not None else _scaled(part, self.volume)
            return
        if self._start is not None:
            self._file.seek(self._start + plane * self._bytes)
            read: Callable[[int], bytes] = partial(read_up_to, self._file)
        else:
            at, self._at = self._at, self.volume.slices  # until the slice was read to its end
            if plane < at:
                self._rewind()
                at, self._at = 0, self.volume.slices
            _skip(self._stream, (plane - at) * self._bytes)
            read = self._stream.read
        for piece in _pieces(read, self._bytes, self.volume):
            yield _scaled(piece, self.volume)
        self._at = plane + 1


class _Slice(RawMask):
    """A slice of an open file."""

    def __init__(self, slices: _Slices, plane: int):
        plan = ArrayPlan(slices.shape, slices.encoding, channels=slices.channels)
        size = math.prod(slices.shape) * max(8, slices.volume.dtype.itemsize)
        axes = math.prod(slices.shape), slices.volume.volumes
        super().__init__(plan, axes, size)
        self._slices, self._plane = slices, plane

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Voxels as they come."""
        return self._slices.voxels(self._plane)

    def whole(self) -> NDArray[np.generic]:
        """All voxels."""
        return np.concatenate(list(self.pieces()))


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The slices of an open, seekable file. Raises MaskError."""
    return _Slices(file, options)


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count a volume piece by piece."""
    return tally_stream(io.BytesIO(data), name, options)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """The same from an open file, read once."""
    return _Series(file, options).tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """The slices one below the other, int64 where values are scaled or floats."""
    return _Series(io.BytesIO(data), options).read()


def _encoding(volume: _Volume, options: ReadOptions) -> Encoding:
    if options.channels is not None:
        return encoding_of("nifti", options.channels, volume.volumes)
    if volume.is_scaled:
        return Encoding("nifti", "float", 64)
    kinds = {"i": "int", "u": "uint", "f": "float"}
    return Encoding("nifti", kinds[volume.dtype.kind], volume.dtype.itemsize * 8)


def _chosen(volume: _Volume, options: ReadOptions) -> tuple[int, int]:
    """First and last + 1 of the volumes that count. Raises MaskError."""
    if options.channels is not None:
        if volume.volumes == 1:
            raise MaskError(f"a single volume: {argument('channels')} needs a fourth axis")
        if options.channels.endswith("-first"):
            raise MaskError(
                f"a volume's channels are its last axis: {argument('channels')} without -first"
            )
        return 0, volume.volumes
    if options.pages == "each" and volume.slices > 1:
        raise several_now()
    if options.pages == "all" or volume.volumes == 1:
        if isinstance(options.pages, int) and options.pages > 1:
            raise no_page("1 volume", options.pages)
        return 0, volume.volumes
    if options.pages is None or options.pages == "each":
        said = each_or_all("slice", "volumes")
        raise MaskError(f"has {volume.volumes} volumes where one mask is expected ({said})")
    if options.pages > volume.volumes:
        raise no_page(f"{volume.volumes} volumes", options.pages)
    return options.pages - 1, options.pages


class _Stream:
    """A file read forwards, unzipped on the way where it is gzipped; never more than asked for."""

    def __init__(self, file: BinaryIO):
        self._file = file
        start = file.read(2)
        self.is_gzip = is_gzip = start == _GZIP
        self._unzip: Any = zlib.decompressobj(wbits=31) if is_gzip else None
        self._waiting, self._again = (start, b"") if is_gzip else (b"", start)

    @property
    def place(self) -> int:
        """Where in a file that is not gzipped the next byte is."""
        return self._file.tell() - len(self._again)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises MaskError where gzip is damaged."""
        pieces, left = [], size
        while left:
            piece = self._some(left)
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def push_back(self, data: bytes) -> None:
        """Have `data` read once more."""
        self._again = data + self._again

    def finish(self) -> None:
        """Read on to the checksum of gzip data, if it is near. Raises MaskError where it differs.

        What follows the voxels is not looked at otherwise.
        """
        left = _MOST_BEHIND
        while self._unzip is not None and left and not self._unzip.eof:
            left -= len(self._some(left))

    def _some(self, most: int) -> bytes:
        """At least a byte and up to `most`; none at the end."""
        if self._again:
            piece, self._again = self._again[:most], self._again[most:]
            return piece
        if self._unzip is None:
            return self._file.read(most)
        while True:
            if self._unzip.eof:  # gzip data may follow gzip data
                rest = self._unzip.unused_data or self._file.read(_COMPRESSED_PIECE)
                if rest[:2] != _GZIP:
                    return b""
                self._unzip, self._waiting = zlib.decompressobj(wbits=31), rest
            data = self._waiting or self._file.read(_COMPRESSED_PIECE)
            try:
                piece = bytes(self._unzip.decompress(data, most))
            except zlib.error as error:
                raise MaskError("damaged gzip data") from error
            self._waiting = self._unzip.unconsumed_tail
            if piece:
                return piece
            if not data and not self._unzip.eof:
                raise MaskError("the gzip data ends early")


def _header(stream: _Stream) -> _Volume:
    """Read the header; the stream then stands at the voxels. Raises MaskError."""
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
    except ImportError as error:
        raise MaskError(NEEDS_NIBABEL) from error
    start = stream.read(_HEADER_BYTES)
    kind: type[Any] = Nifti2Header if start[4:8] in {b"n+2\0", b"ni2\0"} else Nifti1Header
    size = kind.sizeof_hdr
    magic = start[4:8] if size == _HEADER_BYTES else start[344:348]
    if len(start) < size or int.from_bytes(start[:4], "little") not in {size, _swapped(size)}:
        raise MaskError("not a NIfTI volume: its header is another one")
    if magic in {b"ni1\0", b"ni2\0"}:
        raise MaskError("a NIfTI header whose voxels are in another file (.img): save it as .nii")
    if magic not in {b"n+1\0", b"n+2\0"}:
        raise MaskError("an Analyze header, or none: not a NIfTI volume")
    try:
        header = kind(start[:size], check=False)
        dtype = header.get_data_dtype()
        axes = tuple(int(length) for length in header.get_data_shape())
        offset = float(header["vox_offset"])
        slope, inter = header.get_slope_inter()
    except Exception as error:  # nibabel raises anything on hostile bytes
        text = printable(" ".join(str(error).split()))[:120]
        raise MaskError(f"not a readable NIfTI volume: {text}") from error
    check_numbers(dtype, "voxels")
    if any(length < 0 for length in axes) or math.prod(axes) > _MOST_VOXELS:
        raise MaskError(f"a NIfTI volume of impossible shape {axes}")
    if not axes or not math.prod(axes):
        raise MaskError("has no voxels")
    if not size <= offset < 1 << 40 or offset != int(offset):
        raise MaskError(f"a NIfTI volume whose voxels begin at byte {offset:g}")
    while len(axes) > 3 and axes[-1] == 1:
        axes = axes[:-1]
    stream.push_back(start[size:])
    _skip(stream, int(offset) - size)
    scale = (1.0, 0.0) if slope is None else (float(slope), float(inter))
    return _Volume(axes + (1,) * (3 - len(axes)), dtype, *scale)


def _swapped(size: int) -> int:
    return int.from_bytes(size.to_bytes(4, "little"), "big")


def _skip(stream: _Stream, size: int) -> None:
    while size:
        piece = stream.read(min(size, _PIECE))
        if not piece:
            raise MaskError("the file ends before its voxels")
        size -= len(piece)


def _voxels(
    stream: _Stream, volume: _Volume, first: int, last: int
) -> Iterator[NDArray[np.generic]]:
    """The values of volumes first..last - 1, some at a time; floats where they are scaled."""
    for voxels in _stored(stream, volume, first, last):
        yield _scaled(voxels, volume)


def _stored(
    stream: _Stream, volume: _Volume, first: int, last: int
) -> Iterator[NDArray[np.generic]]:
    """The same as they are stored."""
    size = volume.voxels * volume.dtype.itemsize
    _skip(stream, first * size)
    yield from _pieces(stream.read, (last - first) * size, volume)
    if last == volume.volumes:
        stream.finish()


def _pieces(
    read: Callable[[int], bytes], left: int, volume: _Volume
) -> Iterator[NDArray[np.generic]]:
    """The voxels of the next bytes. Raises MaskError where there are fewer."""
    item = volume.dtype.itemsize
    items = _PIECE // (8 * item) if volume.is_scaled else _PIECE // item
    while left:
        piece = read(min(left, items * item))
        left -= len(piece)
        if len(piece) % item or (not piece and left):
            raise MaskError("the file ends within its voxels")
        yield np.frombuffer(piece, volume.dtype)


def _scaled(voxels: NDArray[np.generic], volume: _Volume) -> NDArray[np.generic]:
    if not volume.is_scaled:
        return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize > 4:
        raise MaskError("scaled 64-bit voxels would be rounded")
    with np.errstate(over="ignore", invalid="ignore"):
        return voxels.astype(np.float64) * volume.slope + volume.inter
