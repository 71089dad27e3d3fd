"""Masks in a tar archive, plain or compressed with gzip or Zstandard.

Headers are read by Python's tarfile, member for member; the bytes behind them are ours to read.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from maskstat.errors import MaskError
from maskstat.naming import counted, printable
from maskstat.sources.archives.member_names import member_name, refused, wanted
from maskstat.sources.base import BrokenEntry, Entry, Selection
from maskstat.sources.blobs import Blob
from maskstat.sources.packed_files import PackedFile, Unpacked, cut_off, packing_of
from maskstat.sources.reading_ahead import CARRIED_MAX, StreamedEntry

_MAX_HEADER = 1 << 20  # bytes; long names and attributes of one member
_MAX_PADDING = 1 << 20  # bytes behind the end marker that are looked at
_BLOCK = tarfile.BLOCKSIZE
_CUT_OFF = "it may be cut off"


class _Headers:
    """What tarfile takes for its file object.

    tarfile believes what a header says of its own length. `allowed` is how much it may read.
    """

    def __init__(self, unpacked: Unpacked):
        self._unpacked, self.allowed = unpacked, 0

    def tell(self) -> int:
        """Unpacked bytes before this place."""
        return self._unpacked.at

    def seek(self, place: int) -> None:
        """Go on to a place. Raises MaskError where it lies behind."""
        if place < self._unpacked.at:
            raise MaskError("corrupt archive: it leads backwards")
        self._unpacked.skip_to(place)

    def read(self, size: int) -> bytes:
        """Bytes of a header. Raises tarfile.ReadError where there are too many."""
        self.allowed -= size
        if size < 0 or self.allowed < 0:
            raise tarfile.ReadError("a header larger than 1 MiB")
        return self._unpacked.take(size)


def tar_members(blob: Blob, prefix: str, selection: Selection) -> Iterator[Entry | None]:
    """One entry a member that `selection` takes, None for every other file.

    Raises:
        MaskError: the archive can't be read, or not to its end; what came before is good.
    """
    tar = PackedFile(blob, packing_of(blob.read_at(0, 4)))
    carried = 0 if tar.is_plain and blob.local_files else CARRIED_MAX
    reader = tar.reader()
    try:
        for info in _headers(reader):
            if info.isdir():
                continue
            name = member_name(prefix, info.name)
            if not selection.reaches(name):
                continue
            if not wanted(name, selection):
                yield None
                continue
            path = f"{blob.path}::{info.name}"
            if reason := refused(name) or _not_a_file(info):
                yield BrokenEntry(name, path, reason=reason)
                continue
            place, size = info.offset_data, info.size
            entry = StreamedEntry(name, path, size, f"{blob.stamp}@{place}", place, tar)
            if 0 < size <= carried:
                entry.data = reader.take(size)
                if len(entry.data) < size:
                    yield BrokenEntry(name, path, reason=str(cut_off()))
                    continue
            yield entry
    finally:
        reader.close()


def _not_a_file(info: tarfile.TarInfo) -> str | None:
    """Why a member is no file that can be read as it is; None where it is one."""
    if info.issym() or info.islnk():
        return f"a link to {printable(info.linkname)}: links in archives are not followed"
    if info.sparse is not None or info.type == tarfile.GNUTYPE_SPARSE:
        return "stored as a sparse file: pack the archive without tar's option for these"
    if not info.isreg():
        return "not a regular file"
    return None


def _headers(reader: Unpacked) -> Iterator[tarfile.TarInfo]:
    """The headers of an archive, up to its end marker. Raises MaskError where that is missing."""
    archive = tarfile.TarFile(
        fileobj=io.BytesIO(bytes(2 * _BLOCK)), encoding="utf-8", errors="surrogateescape"
    )
    headers = _Headers(reader)
    archive.fileobj, archive.offset = cast(BinaryIO, headers), 0
    number = 0
    while (block := reader.peek(_BLOCK)).strip(b"\0"):
        behind = f"behind {counted(number, 'member')}"
        if len(block) < _BLOCK:
            raise MaskError(f"ends in a header {behind}: {_CUT_OFF}")
        try:
            headers.allowed = _MAX_HEADER
            info = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError, IndexError) as error:
            what = f"damaged {behind}" if number else "not a tar archive"
            raise MaskError(f"{what}: {error}") from error
        if info.size < 0:
            raise MaskError(f"damaged {behind}: a negative size")
        yield info
        number += 1
        headers.seek(archive.offset)
    if not block:
        raise MaskError(f"no end marker behind {counted(number, 'member')}: {_CUT_OFF}")
    if reader.take(_MAX_PADDING).strip(b"\0"):
        raise MaskError("there is more behind its end marker: were archives concatenated?")
