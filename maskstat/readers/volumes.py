"""Volumes of voxels behind a header, plain or packed: every voxel counts, a volume is one mask.

Voxels are read in the order of the file, some megabytes at a time, so a volume of any size takes
little memory. Where a header scales them, scaled and float volumes are label maps where every value
is a whole number, and are refused where one is not.

A volume of shape (X, Y, Z) becomes a mask of Z slices one below the other, each Y high and X wide,
or, with `--pages each`, Z masks. Of a series (X, Y, Z, T) `--pages` says which volume counts, from
1, or that all do; with `--channels` the fourth axis, or what a voxel has side by side, is a class
each.
"""

from __future__ import annotations

import io
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.memory import ask_memory
from maskstat.naming import printable, storable
from maskstat.readers.base import LabelMap, each_or_all, no_page, read_up_to, several_now
from maskstat.readers.channels import encoding_of
from maskstat.readers.libdeflate import InflateError, gunzip, inflate
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import KEPT_BYTES, MOST_DEFLATED, Planes, check_count
from maskstat.readers.raw_masks import ArrayPlan, RawMask, check_decoded, check_numbers
from maskstat.values.tally import NO_SPACING, Encoding, MaskTally

GZIP = b"\x1f\x8b"
_PIECE = 1 << 24
_COMPRESSED_PIECE = 1 << 18
_MOST_VOXELS = 1 << 42
_HEADER_PIECE, _MOST_HEADER = 1 << 16, 1 << 20
_WHOLE, _MOST_AXES = re.compile(r"[-+]?[0-9]{1,18}"), 32
_WINDOWS = {"gzip": 31, "zlib": 15}
_MOST_BEHIND = 1 << 20


class Volume(NamedTuple):
    """What a header says of the voxels behind it.

    Attributes:
        axes: lengths of (X, Y, Z, ...), at least three, without those of length 1 at the end.
            Voxels are stored X fastest.
        dtype: of a number as stored.
        container: as in `Encoding`.
        slope, inter: values are slope * voxel + inter.
        channels: numbers that a voxel has, stored side by side.
        voxel: cubic millimetres of one, as `maskstat.readers.spacing.voxel_volume` says.
        segments: channel and value of each segment, where channels hold segments that overlap.
    """

    axes: tuple[int, ...]
    dtype: np.dtype[np.generic]
    container: str
    slope: float = 1.0
    inter: float = 0.0
    channels: int = 1
    voxel: float = NO_SPACING
    segments: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls, axes: Sequence[int], dtype: np.dtype[np.generic], container: str, **said: Any
    ) -> Volume:
        """The volume that a header claims. Raises MaskError where there can't be one."""
        check_numbers(dtype, "voxels")
        lengths = tuple(map(int, axes))
        most = math.prod(lengths) * said.get("channels", 1)
        if any(length < 0 for length in lengths) or not 0 <= most <= _MOST_VOXELS:
            raise MaskError(f"a volume of impossible shape {str(lengths)[:100]}")
        if not lengths or not most:
            raise MaskError("has no voxels")
        while len(lengths) > 3 and lengths[-1] == 1:
            lengths = lengths[:-1]
        return cls(lengths + (1,) * (3 - len(lengths)), dtype, container, **said)

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

    @property
    def voxel_bytes(self) -> int:
        """Bytes of a voxel, as stored."""
        return self.dtype.itemsize * self.channels

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self.voxels * self.volumes * self.voxel_bytes


Opener = Callable[[BinaryIO], "tuple[VoxelStream, Volume]"]
"""What a format gives: from a file at its beginning, the stream at its voxels. Raises MaskError."""


class VolumeMask(RawMask):
    """The volumes of an open file that count: slices one below the other. Raises MaskError."""

    def __init__(self, file: BinaryIO, options: ReadOptions, opened: Opener):
        self._stream, self._volume = _, volume = opened(file)
        self._first, self._last = _chosen(volume, options)
        volumes = self._last - self._first
        wide, high, slices = volume.axes[:3]
        self._at_once = _at_once(volume, options)
        rows = high * slices * (1 if options.channels is not None else volumes)
        plan = ArrayPlan((rows, wide), _encoding(volume, options), channels=options.channels or "")
        item = max(8, volume.dtype.itemsize) * volume.channels
        axes = volume.voxels, max(volume.channels, volumes)
        super().__init__(plan, axes, volume.voxels * volumes * item)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Voxels as they come; of classes, [voxels, classes]."""
        if self._at_once is None:
            if self._stream.is_packed:
                ask_memory(min(self.size, _PIECE))
            yield from _voxels(self._stream, self._volume, self._first, self._last)
            return
        found = self.whole()
        step = max(1, _PIECE // math.prod(found.shape[1:]))
        for start in range(0, len(found), step):
            yield found[start : start + step]

    def whole(self) -> NDArray[np.generic]:
        """All voxels; of classes, [voxels, classes]."""
        volume = self._volume
        if self._at_once is not None:
            check_decoded(volume.size)
            ask_memory(2 * volume.size)
        found = np.concatenate(list(_voxels(self._stream, volume, self._first, self._last)))
        return found if self._at_once is None else self._at_once(found)


class VolumeSlices(Planes):
    """The slices of an open file. A packed one is unpacked to its checksum before the first."""

    def __init__(self, file: BinaryIO, options: ReadOptions, opened: Opener):
        self._file, self._opened, self._options = file, opened, options
        self._stream, self.volume = _, volume = opened(file)
        self._pixels: NDArray[np.generic] | None = None
        self._at_once = _at_once(volume, options) is not None
        if options.channels is not None or volume.channels > 1:
            _chosen(volume, replace(options, pages=None))
        self.count = check_count(volume.axes[2] if self._at_once else volume.slices)
        self.encoding, self.channels = _encoding(volume, options), options.channels or ""
        self.shape = volume.axes[1], volume.axes[0]
        self._bytes = math.prod(self.shape) * volume.voxel_bytes
        self.in_order = self._stream.is_packed or self._at_once
        self._at = 0  # the slice that the stream stands at
        self._start = None if self.in_order else self._stream.place
        self._check_length()

    def _check_length(self) -> None:
        """Raise MaskError where the file can't hold as many voxels as its header says."""
        held = self._file.seek(0, io.SEEK_END)
        held = held - self._start if self._start is not None else held * MOST_DEFLATED
        if held < self.volume.size:
            raise MaskError("the file ends within its voxels")
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(0)
        (self._stream, _), self._at = self._opened(self._file), 0

    def prepare(self) -> None:
        """Unpack all, and keep it where it is small or has to be read at once."""
        if self._start is not None:
            return
        if self._at_once:
            self._file.seek(0)
            series = VolumeMask(self._file, replace(self._options, pages=None), self._opened)
            self._pixels = series.whole()
            self.held = self._pixels.nbytes
            return
        kept = []
        size = self.volume.size
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
            yield part if self._at_once else _scaled(part, self.volume)
            return
        if self._start is not None:
            self._file.seek(self._start + plane * self._bytes)
            read: Callable[[int], bytes] = partial(read_up_to, self._file)
        else:
            at, self._at = self._at, self.volume.slices  # until the slice was read to its end
            if plane < at:
                self._rewind()
                at, self._at = 0, self.volume.slices
            self._stream.skip((plane - at) * self._bytes)
            read = self._stream.read
        for piece in _pieces(read, self._bytes, self.volume):
            yield _scaled(piece, self.volume)
        self._at = plane + 1


class VolumeFormat(NamedTuple):
    """The functions of a format's module (`maskstat.readers.formats`), by what opens its files."""

    opened: Opener

    def tally(self, data: bytes, name: str, options: ReadOptions) -> MaskTally:
        """Count a volume piece by piece."""
        return self.tally_stream(io.BytesIO(data), name, options)

    def tally_stream(self, file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
        """The same from an open file, read once."""
        return VolumeMask(file, options, self.opened).tally(name)

    def read(self, data: bytes, options: ReadOptions) -> LabelMap:
        """The slices one below the other, int64 where values are scaled or floats."""
        return VolumeMask(io.BytesIO(data), options, self.opened).read()

    def planes(self, file: BinaryIO, options: ReadOptions) -> VolumeSlices:
        """The slices of an open, seekable file. Raises MaskError."""
        return VolumeSlices(file, options, self.opened)


class _Slice(RawMask):
    """A slice of an open file."""

    def __init__(self, slices: VolumeSlices, plane: int):
        volume, pixels = slices.volume, math.prod(slices.shape)
        plan = ArrayPlan(slices.shape, slices.encoding, channels=slices.channels)
        classes = volume.channels if volume.channels > 1 else volume.volumes
        size = pixels * max(8, volume.dtype.itemsize) * volume.channels
        super().__init__(plan, (pixels, classes), size)
        self._slices, self._plane = slices, plane

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Voxels as they come."""
        return self._slices.voxels(self._plane)

    def whole(self) -> NDArray[np.generic]:
        """All voxels."""
        return np.concatenate(list(self.pieces()))


def _encoding(volume: Volume, options: ReadOptions) -> Encoding:
    container, dtype = volume.container, volume.dtype
    kinds = {"i": "int", "u": "uint", "f": "float"}
    encoding = Encoding(container, kinds[dtype.kind], dtype.itemsize * 8)
    if options.channels is not None:
        channels = max(volume.channels, volume.volumes)
        encoding = encoding_of(container, options.channels, channels)
    elif volume.is_scaled:
        encoding = Encoding(container, "float", 64)
    return encoding._replace(voxel=volume.voxel)


def _at_once(
    volume: Volume, options: ReadOptions
) -> Callable[[NDArray[np.generic]], NDArray[np.generic]] | None:
    """What is made of all voxels at once; None where they count as they come."""
    if options.channels is None:
        return partial(_on_top, segments=volume.segments) if volume.segments else None
    if volume.channels == 1:  # a fourth axis of classes
        return lambda voxels: voxels.reshape(volume.volumes, -1).T
    return None


def _on_top(stack: NDArray[Any], segments: Sequence[tuple[int, int]]) -> NDArray[np.generic]:
    """The value of each voxel [n] of segments in channels [n, channels]: of several the smallest.

    Raises:
        MaskError: a value says no segment, or several.
    """
    most = np.iinfo(stack.dtype).max if stack.dtype.kind in "iu" else 1 << 24
    if any(not (0 <= at < stack.shape[1] and 0 < value <= most) for at, value in segments):
        raise MaskError("a segment in a layer that is not there, or of a value that voxels lack")
    if len({value for _, value in segments}) < len(segments):
        raise MaskError(
            "segments in several layers have one value: voxels don't say which of them they are"
            " (export them as a label map)"
        )
    ask_memory(2 * stack.nbytes)
    areas = {one: np.count_nonzero(stack[:, one[0]] == one[1]) for one in segments}
    if sum(areas.values()) != np.count_nonzero(stack):
        raise MaskError("voxels of a value that no segment has")
    found = np.zeros(len(stack), stack.dtype)
    for at, value in sorted(segments, key=lambda one: (-areas[one], one[1])):
        found[stack[:, at] == value] = value
    return found


def _chosen(volume: Volume, options: ReadOptions) -> tuple[int, int]:
    """First and last + 1 of the volumes that count. Raises MaskError."""
    if options.channels is not None:
        if volume.volumes == volume.channels == 1:
            raise MaskError(f"a single volume: {argument('channels')} needs a fourth axis")
        if volume.volumes > 1 and volume.channels > 1:
            raise MaskError(f"{volume.volumes} volumes of {volume.channels} channels: save each")
        if options.channels.endswith("-first"):
            raise MaskError(
                f"a volume's channels are its last axis: {argument('channels')} without -first"
            )
        return 0, volume.volumes
    if volume.channels > 1 and not (volume.segments and volume.volumes == 1):
        raise MaskError(
            f"{volume.channels} channels where one of class indices is expected"
            f" ({argument('channels', Blank('one-hot|bitmask|multilabel'))} takes them for classes)"
        )
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


def voxels_elsewhere(name: str, one: str) -> MaskError:
    """What is wrong with a header alone; `one` is the suffix of a file with its voxels."""
    return MaskError(
        f"its voxels are in another file, {printable(storable(name))[:60]!r}, which is read only"
        f" from the folder on this machine that the header is in (save both as one {one})"
    )


def whole_numbers_in(text: str) -> list[int]:
    """The numbers of a header's line; none where one of them is no whole number of 64 bits."""
    words = text.split()
    if len(words) > _MOST_AXES or not all(_WHOLE.fullmatch(word) for word in words):
        return []
    return [int(word) for word in words]


def numbers_in(text: str) -> list[float]:
    """The same of numbers like `(0.5, 1e-2, nan)`; none where one of them is no number."""
    words = text.strip("( )").replace(",", " ").split()
    try:
        return [float(word) for word in words] if len(words) <= _MOST_AXES else []
    except ValueError:
        return []


class VoxelStream:
    """A file read forwards, unzipped on the way where it is packed; never more than asked for."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._packed, self._waiting = "", b""
        self._again: bytes | memoryview = b""
        self._unzip: Any = None
        self._start = self._given = 0  # where packed data begins, and bytes unpacked of it so far

    def unpack(self, packed: str) -> None:
        """Have what follows unzipped: "gzip" or "zlib" data."""
        self._start = self.place
        self._packed, self._unzip = packed, zlib.decompressobj(wbits=_WINDOWS[packed])
        self._waiting, self._again = bytes(self._again), b""

    def hasten(self, size: int) -> None:
        """Unpack the next `size` bytes at once where they are all that is left, and not too many.

        libdeflate takes a small part of zlib's time. Whatever it makes nothing of is left to zlib.
        """
        unpack = {"gzip": gunzip, "zlib": inflate}.get(self._packed)
        if unpack is None or self._unzip is None or size > KEPT_BYTES:
            return
        read, place = self._given - len(self._again), self._file.tell()
        wanted = read + size
        self._file.seek(self._start)
        ask_memory(2 * size)
        data = self._file.read(wanted + _MOST_BEHIND)
        if wanted <= MOST_DEFLATED * len(data):
            with suppress(InflateError):
                found = unpack(data, wanted)
                if len(found) == wanted:
                    self._again = memoryview(found)[read:]
                    self._unzip = None
                    return
        self._file.seek(place)

    @property
    def is_packed(self) -> bool:
        """Whether it is unzipped."""
        return bool(self._packed)

    @property
    def place(self) -> int:
        """Where in a file that is not packed the next byte is."""
        return self._file.tell() - len(self._again)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises MaskError where they are damaged."""
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
        self._again = data + bytes(self._again)

    def header(self, end: re.Pattern[bytes]) -> str:
        """A text up to its end, which `end` matches, or to that of the file. Raises MaskError."""
        data = b""
        while piece := self.read(_HEADER_PIECE):
            data += piece
            if found := end.search(data):
                self.push_back(data[found.end() :])
                data = data[: found.end()]
                break
            if len(data) > _MOST_HEADER:
                raise MaskError(f"a header of more than {_MOST_HEADER >> 20} MiB")
        return data.decode("utf-8", "replace")

    def skip(self, size: int) -> None:
        """Go on behind `size` bytes. Raises MaskError where there are fewer."""
        while size:
            piece = self.read(min(size, _PIECE))
            if not piece:
                raise MaskError("the file ends before its voxels")
            size -= len(piece)

    def go_back_to_last(self, size: int) -> None:
        """Go to the last `size` bytes of a file that is not packed. Raises MaskError."""
        start = self.place
        at = self._file.seek(0, io.SEEK_END) - size
        if at < start:
            raise MaskError("the file ends within its voxels")
        self._file.seek(at)
        self._again = b""

    def finish(self) -> None:
        """Read on to the checksum of packed data, if it is near. Raises MaskError where it differs.

        What follows the voxels is not looked at otherwise.
        """
        left = _MOST_BEHIND
        while self._unzip is not None and left and not self._unzip.eof:
            left -= len(self._some(left))

    def _some(self, most: int) -> bytes | memoryview:
        """At least a byte and up to `most`; none at the end."""
        if len(self._again):
            piece, self._again = self._again[:most], self._again[most:]
            return piece
        if self._unzip is None:
            return b"" if self._packed else self._file.read(most)
        while True:
            if self._unzip.eof:  # gzip data may follow gzip data
                rest = self._unzip.unused_data or self._file.read(_COMPRESSED_PIECE)
                if self._packed != "gzip" or rest[:2] != GZIP:
                    return b""
                self._unzip, self._waiting = zlib.decompressobj(wbits=_WINDOWS["gzip"]), rest
            data = self._waiting or self._file.read(_COMPRESSED_PIECE)
            try:
                piece = bytes(self._unzip.decompress(data, most))
            except zlib.error as error:
                raise MaskError(f"damaged {self._packed} data") from error
            self._waiting = self._unzip.unconsumed_tail
            if piece:
                self._given += len(piece)
                return piece
            if not data and not self._unzip.eof:
                raise MaskError(f"the {self._packed} data ends early")


def _voxels(
    stream: VoxelStream, volume: Volume, first: int, last: int
) -> Iterator[NDArray[np.generic]]:
    """The values of volumes first..last - 1, some at a time; floats where they are scaled."""
    for voxels in _stored(stream, volume, first, last):
        yield _scaled(voxels, volume)


def _stored(
    stream: VoxelStream, volume: Volume, first: int, last: int
) -> Iterator[NDArray[np.generic]]:
    """The same as they are stored."""
    size = volume.voxels * volume.voxel_bytes
    stream.hasten(volume.size)
    stream.skip(first * size)
    yield from _pieces(stream.read, (last - first) * size, volume)
    if last == volume.volumes:
        stream.finish()


def _pieces(
    read: Callable[[int], bytes], left: int, volume: Volume
) -> Iterator[NDArray[np.generic]]:
    """The voxels of the next bytes. Raises MaskError where there are fewer."""
    item = volume.voxel_bytes
    items = max(1, _PIECE // (8 * item) if volume.is_scaled else _PIECE // item)
    while left:
        piece = read(min(left, items * item))
        left -= len(piece)
        if len(piece) % item or (not piece and left):
            raise MaskError("the file ends within its voxels")
        flat = np.frombuffer(piece, volume.dtype)
        yield flat if volume.channels == 1 else flat.reshape(-1, volume.channels)


def _scaled(voxels: NDArray[np.generic], volume: Volume) -> NDArray[np.generic]:
    if not volume.is_scaled:
        return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize > 4:
        raise MaskError("scaled 64-bit voxels would be rounded")
    with np.errstate(over="ignore", invalid="ignore"):
        return voxels.astype(np.float64) * volume.slope + volume.inter
