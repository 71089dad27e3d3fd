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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.naming import printable, storable
from maskstat.readers.base import LabelMap
from maskstat.readers.npy import StoredArray, read_header
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import KEPT_BYTES, MOST_DEFLATED, ArrayPlanes, Planes
from maskstat.readers.raw_masks import PIECE, RawMask, choose_array
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


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The planes of the array, or of the Zarr store. Raises MaskError as `tally` does."""
    archive = _archive(file)
    if is_zarr(archive):
        from maskstat.readers import zarr

        return zarr.planes_in_zip(archive, options)
    return _NpzPlanes(archive, *_chosen(archive, options), options)


class _NpzPlanes(ArrayPlanes):
    """The planes of an open member. Its checksum, which is at its end, is looked at first."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        name: str,
        info: zipfile.ZipInfo,
        stream: IO[bytes],
        options: ReadOptions,
    ):
        with _of_member(name):
            shape, fortran, dtype = read_header(stream)
        file, place = cast(BinaryIO, stream), stream.tell()
        super().__init__(file, place, shape, fortran, dtype, "npz", options)
        self._archive, self._info, self._name = archive, info, name
        self.in_order = True
        held = min(info.file_size, MOST_DEFLATED * (info.compress_size + 64)) - place
        if held != self.size:
            amount = "fewer" if held < self.size else "more"
            raise MaskError(
                f"{_called(name)}has {amount} than the {self.size} bytes that its header calls for"
            )

    def prepare(self) -> None:
        """Read the member to its end, and keep it where it is small."""
        pieces: list[bytes] = []
        small = self.size <= KEPT_BYTES
        ask_memory(2 * self.size if small else PIECE)
        for piece in self.bytes_of(self._place, self.size, PIECE):
            if small:
                pieces.append(piece)
        try:
            behind = self._file.read(1)  # nothing: at the end the checksum is compared
        except (MaskError, OSError):
            raise
        except Exception as error:
            raise _damaged(self._name) from error
        if behind:
            raise _damaged(self._name)
        if small:
            self._file, self._place = io.BytesIO(b"".join(pieces)), 0
            self.held = self.size
        else:
            self._file = cast(BinaryIO, self._archive.open(self._info))

    def _damaged(self) -> MaskError:
        return _damaged(self._name)


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
    name, _, stream = _chosen(archive, options)
    file, what = cast(BinaryIO, stream), _called(name)
    with _of_member(name):
        return StoredArray(file, "npz", options, what, lambda: _damaged(name))


def _called(name: str) -> str:
    return f"the array {printable(storable(name))!r} "


@contextmanager
def _of_member(name: str) -> Iterator[None]:
    """Where its header can't be read because the member is damaged, an error says that."""
    try:
        yield
    except MaskError as error:
        if isinstance(error.__cause__, (zipfile.BadZipFile, zlib.error)):
            raise _damaged(name) from error
        raise


def _chosen(
    archive: zipfile.ZipFile, options: ReadOptions
) -> tuple[str, zipfile.ZipInfo, IO[bytes]]:
    """Name and member of the array asked for, or of the only one, and the member open."""
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
        return name, members[name], archive.open(members[name])
    except Exception as error:
        raise _damaged(name) from error


def _damaged(name: str) -> MaskError:
    return MaskError(f"the array {printable(storable(name))!r} is damaged")
