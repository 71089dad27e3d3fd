"""NPZ: a zip of arrays saved by NumPy. The only array, or the one that `--array` names.

An array is read from its member in pieces, whatever its size; only colours and channels whose
pixels do not come one after the other are held in memory. What the zip says of sizes is believed
only as far as the bytes bear it out.

A `.zarr.zip` begins like an NPZ; it goes to the reader of Zarr stores.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import BinaryIO, cast

from maskstat.errors import MaskError
from maskstat.naming import printable, storable
from maskstat.readers.base import LabelMap
from maskstat.readers.npy import StoredArray
from maskstat.readers.options import ReadOptions
from maskstat.readers.raw_masks import RawMask, choose_array
from maskstat.values.tally import MaskTally

_MOST_MEMBERS = 100_000
_SUFFIX = ".npy"
_ZARR_MARKS = frozenset({"zarr.json", ".zarray", ".zgroup"})


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


def _open(archive: zipfile.ZipFile, options: ReadOptions) -> StoredArray:
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
        what = f"the array {printable(storable(name))!r} "
        return StoredArray(cast(BinaryIO, stream), "npz", options, what, lambda: _damaged(name))
    except MaskError as error:
        if isinstance(error.__cause__, (zipfile.BadZipFile, zlib.error)):
            raise _damaged(name) from error
        raise


def _damaged(name: str) -> MaskError:
    return MaskError(f"the array {printable(storable(name))!r} is damaged")
