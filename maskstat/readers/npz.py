"""NPZ: a zip of arrays saved by NumPy. The only array, or the one that `--array` names.

An array is read from its member in pieces, whatever its size; only colours and channels whose
pixels do not come one after the other are held in memory. What the zip says of sizes is believed
only as far as the bytes bear it out.

A `.zarr.zip` begins like an NPZ; it goes to the reader of Zarr stores.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import printable, storable
from maskstat.readers.arrays import (
    ArrayPlan,
    add_array,
    channel_reader,
    check_decoded,
    choose_array,
    plan_array,
    read_array,
    tally_array,
)
from maskstat.readers.base import LabelMap
from maskstat.readers.npy import read_header
from maskstat.readers.options import ReadOptions
from maskstat.readers.tallying import PixelCounter
from maskstat.values.tally import MaskTally

_PIECE = 1 << 24
_MOST_MEMBERS = 100_000
_SUFFIX = ".npy"
_ZARR_MARKS = frozenset({"zarr.json", ".zarray", ".zgroup"})


class _Array(NamedTuple):
    """An open member, standing behind its header."""

    name: str
    stream: IO[bytes]
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Bytes of its items."""
        return math.prod(self.shape) * self.dtype.itemsize


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count an array piece by piece."""
    return tally_stream(io.BytesIO(data), name, options)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """The same from an open, seekable file."""
    with _archive(file) as archive:
        if is_zarr(archive):
            from maskstat.readers import zarr

            return zarr.tally_zip(archive, name, options)
        array = _open(archive, options)
        plan = plan_array(array.shape, array.dtype, "npz", options)
        if not _in_order(array, plan):
            return tally_array(_whole(array), name, "npz", options)
        reader, counter = channel_reader(plan, array.shape), PixelCounter()
        for piece in _pieces(array, plan):
            add_array(counter, piece, plan, reader)
        return counter.finish(name, plan.shape, plan.encoding)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError as `tally` does, and where memory is not enough."""
    with _archive(io.BytesIO(data)) as archive:
        if is_zarr(archive):
            from maskstat.readers import zarr

            return zarr.read_zip(archive, options)
        return read_array(_whole(_open(archive, options)), "npz", options)


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # zipfile raises anything on hostile bytes
        raise MaskError("not a readable NPZ: it is no whole zip file") from error
    if len(archive.infolist()) > _MOST_MEMBERS:
        raise MaskError(f"more than {_MOST_MEMBERS:,} members: not an NPZ")
    return archive


def is_zarr(archive: zipfile.ZipFile) -> bool:
    """Whether a zip holds a Zarr store."""
    return any(name.rpartition("/")[2] in _ZARR_MARKS for name in archive.namelist())


def _open(archive: zipfile.ZipFile, options: ReadOptions) -> _Array:
    """The array asked for, or the only one. Raises MaskError."""
    members = {
        info.filename.removesuffix(_SUFFIX): info
        for info in archive.infolist()
        if info.filename.endswith(_SUFFIX)
    }
    if not members:
        raise MaskError("a zip file that holds no arrays, so no NPZ")
    name = choose_array(list(members), options)
    if members[name].flag_bits & 1:
        raise MaskError(f"the array {printable(storable(name))!r} is encrypted")
    if members[name].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        # zipfile would let these expand without any bound, and NumPy writes none.
        raise MaskError(f"the array {printable(storable(name))!r} is compressed as no NPZ is")
    try:
        stream = archive.open(members[name])
    except Exception as error:
        raise _damaged(name) from error
    try:
        shape, fortran, dtype = read_header(stream)
    except MaskError as error:
        if isinstance(error.__cause__, (zipfile.BadZipFile, zlib.error)):
            raise _damaged(name) from error
        raise
    return _Array(name, stream, shape, fortran, dtype)


def _damaged(name: str) -> MaskError:
    return MaskError(f"the array {printable(storable(name))!r} is damaged")


def _in_order(array: _Array, plan: ArrayPlan) -> bool:
    """Whether what belongs together comes together: planes, colours, the channels of a pixel."""
    if plan.is_plain and plan.plane is None:
        return True
    return not array.fortran and not plan.channels.endswith("-first")


def _pieces(array: _Array, plan: ArrayPlan) -> Iterator[NDArray[np.generic]]:
    """The items that count, some at a time, [n] or [n, channels]; reads the member to its end."""
    unit = 1 if plan.is_plain else array.shape[-1]
    step = array.dtype.itemsize * unit
    skip, size = 0, array.size
    if plan.plane is not None:
        size //= array.shape[plan.leading]
        skip = plan.plane * size
    for _ in _bytes(array, skip, _PIECE):
        pass
    for piece in _bytes(array, size, max(1, _PIECE // step) * step):
        flat = np.frombuffer(piece, array.dtype)
        yield flat if unit == 1 else flat.reshape(-1, unit)
    for _ in _bytes(array, array.size - skip - size, _PIECE):
        pass
    _check_end(array)


def _whole(array: _Array) -> NDArray[np.generic]:
    """The array in memory, which grows no faster than the member bears out."""
    check_decoded(array.size)
    data = b"".join(_bytes(array, array.size, _PIECE))
    _check_end(array)
    flat = np.frombuffer(data, array.dtype)
    if not flat.size:
        raise MaskError("has no pixels")
    return flat.reshape(array.shape, order="F" if array.fortran else "C")


def _bytes(array: _Array, size: int, most: int) -> Iterator[bytes]:
    """The next `size` bytes, `most` at a time. Raises MaskError where there are fewer."""
    while size:
        wanted = min(size, most)
        try:
            piece = array.stream.read(wanted)
        except OSError:
            raise
        except Exception as error:  # zlib's, bz2's, lzma's and zipfile's own
            raise _damaged(array.name) from error
        if len(piece) < wanted:
            raise MaskError(
                f"the array {printable(storable(array.name))!r} has fewer than the {array.size}"
                " bytes that its header calls for"
            )
        size -= wanted
        yield piece


def _check_end(array: _Array) -> None:
    """Raise MaskError where bytes are left, or where the member's checksum is wrong."""
    try:
        left = array.stream.read(1)
    except Exception as error:
        raise _damaged(array.name) from error
    if left:
        raise MaskError(
            f"the array {printable(storable(array.name))!r} has more than the {array.size} bytes"
            " that its header calls for"
        )
