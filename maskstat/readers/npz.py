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
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import printable, storable
from maskstat.readers.base import LabelMap
from maskstat.readers.npy import read_header
from maskstat.readers.options import ReadOptions
from maskstat.readers.raw_masks import (
    ArrayInMemory,
    RawMask,
    check_decoded,
    choose_array,
    plan_array,
)
from maskstat.values.tally import MaskTally

_PIECE = 1 << 24
_MOST_MEMBERS = 100_000
_SUFFIX = ".npy"
_ZARR_MARKS = frozenset({"zarr.json", ".zarray", ".zgroup"})


class _NpzArray(RawMask):
    """An open member, standing behind its header."""

    def __init__(self, name: str, stream: IO[bytes], options: ReadOptions):
        shape, self._fortran, self._dtype = read_header(stream)
        plan = plan_array(shape, self._dtype, "npz", options)
        super().__init__(plan, shape, math.prod(shape) * self._dtype.itemsize)
        self._name, self._stream, self._options = printable(storable(name)), stream, options

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """[n] or [n, channels], from the member as it is read; all of it at once where it must."""
        plan, dtype = self.plan, self._dtype
        if not self._is_in_order:
            check_decoded(self.size)
            yield from ArrayInMemory(self.whole(), "npz", self._options).pieces()
            return
        unit = 1 if plan.is_plain else self.axes[-1]
        step = dtype.itemsize * unit
        skip, size = 0, self.size
        if plan.plane is not None:
            size //= self.axes[plan.leading]
            skip = plan.plane * size
        for _ in self._bytes(skip, _PIECE):
            pass
        for piece in self._bytes(size, max(1, _PIECE // step) * step):
            flat = np.frombuffer(piece, dtype)
            yield flat if unit == 1 else flat.reshape(-1, unit)
        for _ in self._bytes(self.size - skip - size, _PIECE):
            pass
        self._check_end()

    def whole(self) -> NDArray[np.generic]:
        """In memory, which grows no faster than the member bears out."""
        data = b"".join(self._bytes(self.size, _PIECE))
        self._check_end()
        flat = np.frombuffer(data, self._dtype)
        return flat.reshape(self.axes, order="F" if self._fortran else "C")

    @property
    def _is_in_order(self) -> bool:
        """Whether what belongs together comes together: planes, colours, channels of a pixel."""
        plan = self.plan
        if plan.is_plain and plan.plane is None:
            return True
        return not self._fortran and not plan.channels.endswith("-first")

    def _bytes(self, size: int, most: int) -> Iterator[bytes]:
        """The next `size` bytes, `most` at a time. Raises MaskError where there are fewer."""
        while size:
            wanted = min(size, most)
            try:
                piece = self._stream.read(wanted)
            except OSError:
                raise
            except Exception as error:  # zlib's, bz2's, lzma's and zipfile's own
                raise _damaged(self._name) from error
            if len(piece) < wanted:
                raise self._wrong_length("fewer")
            size -= wanted
            yield piece

    def _check_end(self) -> None:
        """Raise MaskError where bytes are left, or where the member's checksum is wrong."""
        try:
            left = self._stream.read(1)
        except Exception as error:
            raise _damaged(self._name) from error
        if left:
            raise self._wrong_length("more")

    def _wrong_length(self, amount: str) -> MaskError:
        return MaskError(
            f"the array {self._name!r} has {amount} than the {self.size} bytes that its header"
            " calls for"
        )


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count an array piece by piece."""
    return tally_stream(io.BytesIO(data), name, options)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """The same from an open, seekable file."""
    with _archive(file) as archive:
        return _mask(archive, options).tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError as `tally` does, and where memory is not enough."""
    with _archive(io.BytesIO(data)) as archive:
        return _mask(archive, options).read()


def _mask(archive: zipfile.ZipFile, options: ReadOptions) -> RawMask:
    if is_zarr(archive):
        from maskstat.readers import zarr

        return zarr.in_zip(archive, options)
    return _open(archive, options)


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


def _open(archive: zipfile.ZipFile, options: ReadOptions) -> _NpzArray:
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
        return _NpzArray(name, stream, options)
    except MaskError as error:
        if isinstance(error.__cause__, (zipfile.BadZipFile, zlib.error)):
            raise _damaged(name) from error
        raise


def _damaged(name: str) -> MaskError:
    return MaskError(f"the array {printable(storable(name))!r} is damaged")
