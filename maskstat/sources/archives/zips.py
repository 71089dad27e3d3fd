"""Masks in a zip archive: any member can be read by itself, by any thread."""

from __future__ import annotations

import bz2
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from maskstat.errors import MaskError, unreadable
from maskstat.memory import MemoryTask, ask_memory
from maskstat.sources.archives.member_names import member_name, refused, wanted
from maskstat.sources.base import MAX_IN_MEMORY, BrokenEntry, Entry, Selection, too_large
from maskstat.sources.blobs import Blob
from maskstat.sources.virtual_files import Unrolled

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of name, length of extra field
_SIGNATURE = b"PK\x03\x04"
_EXTRA = 64  # bytes; the extra field in front of a member is seldom longer
_ENCRYPTED = 0x1
_PIECE = 1 << 20
_AT_ONCE = 64 << 20  # bytes; larger members are inflated piece by piece


def _zlib_inflate(packed: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)


# libdeflate is some times faster than zlib and takes no more memory than it is told, either.
_inflate: Callable[[bytes, int], bytes | bytearray] = _zlib_inflate
_InflateError: type[Exception] = zlib.error
try:
    import deflate
except ImportError:
    pass
else:
    _inflate = deflate.deflate_decompress
    _InflateError = deflate.DeflateError


@dataclass(slots=True)
class ZipEntry(Entry):
    """A member of a zip archive.

    `stamp` is the CRC-32 of its content in hexadecimal digits: packing the same masks once more
    changes nothing. `packed` is its length in the archive, `offset` where the header in front of it
    is, which has its name once more.
    """

    archive: Blob
    method: int
    packed: int
    offset: int

    @property
    def local_files(self) -> tuple[str, ...]:
        """The archive, where it is on disk."""
        return self.archive.local_files

    def load(self) -> bytes:
        """All bytes, as many as declared and with the CRC declared. Raises MaskError."""
        if self.size > MAX_IN_MEMORY:
            raise too_large()
        if self.method != zipfile.ZIP_DEFLATED or max(self.size, self.packed) > _AT_ONCE:
            with MemoryTask():  # for the pieces, beside what they become
                ask_memory(self.size)
                return b"".join(self._pieces())
        # One read, as a rule, for the header in front of the member and the member.
        slack = _LOCAL_HEADER.size + len(self.path.encode("utf-8", "replace")) + _EXTRA
        data = self.archive.read_at(self.offset, slack + self.packed)
        start = _length_of_header(data)
        if len(data) < start + self.packed:
            data, start = self.archive.read_at(self.offset + start, self.packed), 0
        try:
            content = bytes(_inflate(data[start : start + self.packed], self.size))
        except (_InflateError, zlib.error) as error:
            raise MaskError("corrupt archive: it can't be inflated to its declared size") from error
        if len(content) != self.size or f"{zlib.crc32(content):08x}" != self.stamp:
            raise _wrong()
        return content

    def open(self) -> BinaryIO:
        """The member as a seekable file; its length and CRC are checked as it is read."""
        return cast(BinaryIO, io.BufferedReader(Unrolled(self._pieces, self.size)))

    def _pieces(self) -> Iterator[bytes]:
        """The content piece by piece, never more than declared. Raises MaskError and OSError."""
        head = self.archive.read_at(self.offset, _LOCAL_HEADER.size)
        unpack = _UNPACKERS[self.method]()
        left, total, crc = self.packed, 0, 0
        with self.archive.open() as file:
            file.seek(self.offset + _length_of_header(head))
            while not unpack.eof:
                data = file.read(min(_PIECE, left)) if unpack.needs_input else b""
                left -= len(data)
                try:
                    # One byte more than declared is enough to know that there are too many.
                    piece = unpack.decompress(data, min(_PIECE, self.size - total + 1))
                except (zlib.error, OSError, ValueError) as error:
                    raise MaskError(f"corrupt archive: {error}") from error
                total, crc = total + len(piece), zlib.crc32(piece, crc)
                if total > self.size or not (piece or data):
                    break
                yield piece
        if total != self.size or f"{crc:08x}" != self.stamp:
            raise _wrong()


class _Unpacker(Protocol):
    """What bz2's decompressor is like, and here those of other methods too."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Copier:
    """Of members that are stored as they are. Pieces are as long as what is put in."""

    eof, needs_input = False, True

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return data


class _MemberInflater:
    """Of deflated members."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


# No more of them: zipfile's own reader lets bzip2 and LZMA expand beyond what was declared.
_UNPACKERS: dict[int, Callable[[], _Unpacker]] = {
    zipfile.ZIP_STORED: _Copier,
    zipfile.ZIP_DEFLATED: _MemberInflater,
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
}


def _wrong() -> MaskError:
    return MaskError("corrupt archive: wrong length or CRC")


def _length_of_header(data: bytes) -> int:
    """How far behind its header a member begins. Raises MaskError."""
    if len(data) < _LOCAL_HEADER.size:
        raise MaskError("the archive ends in the middle of it")
    signature, name, extra = _LOCAL_HEADER.unpack_from(data)
    if signature != _SIGNATURE:
        raise MaskError("corrupt archive: it is not where the archive's directory says")
    return int(_LOCAL_HEADER.size + name + extra)


def zip_members(blob: Blob, prefix: str, selection: Selection) -> Iterator[Entry | None]:
    """One entry a member that `selection` takes, None for every other file.

    Raises:
        MaskError: the archive's directory can't be read, or its members overlap.
    """
    for info in _directory(blob):
        if not info.filename or info.is_dir():  # zipfile stumbles over a file without a name
            continue
        name = member_name(prefix, info.filename)
        if not selection.reaches(name):
            continue
        if not wanted(name, selection):
            yield None
            continue
        path = f"{blob.path}::{info.filename}"
        mode = info.external_attr >> 16
        if reason := refused(name):
            yield BrokenEntry(name, path, reason=reason)
        elif stat.S_ISLNK(mode):
            yield BrokenEntry(name, path, reason="a link: links in archives are not followed")
        elif info.flag_bits & _ENCRYPTED:
            yield BrokenEntry(name, path, reason="encrypted: unpack the archive with its password")
        elif info.compress_type not in _UNPACKERS:
            yield BrokenEntry(
                name, path, reason=f"{_method_name(info)}: pack the archive with deflate"
            )
        else:
            yield ZipEntry(
                name,
                path,
                info.file_size,
                f"{info.CRC:08x}",
                blob,
                info.compress_type,
                info.compress_size,
                info.header_offset,
            )


def _method_name(info: zipfile.ZipInfo) -> str:
    """How a member is packed, in words."""
    known = {9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES"}
    return f"packed with {known.get(info.compress_type, f'method {info.compress_type}')}"


def _directory(blob: Blob) -> list[zipfile.ZipInfo]:
    """The archive's directory. Raises MaskError."""
    try:
        with blob.open() as file, zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except MaskError:
        raise
    except Exception as error:  # zipfile raises anything on hostile bytes
        if isinstance(error, OSError):
            raise MaskError(unreadable(error)) from error
        raise MaskError(f"not a zip archive, or a damaged one: {error}") from error
    if sum(info.compress_size for info in infos) > blob.size:
        raise MaskError("its members overlap, as a zip bomb's do")
    return infos
