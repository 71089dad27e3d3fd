"""Masks in a tar archive, plain or compressed with gzip or Zstandard.

Headers are read by Python's tarfile, member for member; the bytes behind them are ours to read.
A plain tar on disk can be read anywhere, so its entries carry nothing. All others are read from
start to end, and their entries carry their bytes.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

from maskstat.errors import MaskError, MissingExtraError, unreadable
from maskstat.naming import counted, printable
from maskstat.sources.archives.member_names import member_name, refused, wanted
from maskstat.sources.base import BrokenEntry, Entry, Selection
from maskstat.sources.blobs import Blob
from maskstat.sources.reading_ahead import CARRIED_MAX, StreamedEntry
from maskstat.sources.virtual_files import Excerpt, Unrolled

_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MAX_HEADER = 1 << 20  # bytes; long names and attributes of one member
_MAX_PADDING = 1 << 20  # bytes behind the end marker that are looked at
_PIECE = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_CUT_OFF = "it may be cut off"


class Tar:
    """One tar archive. Raises MaskError from all that reads it."""

    def __init__(self, blob: Blob):
        self._cursor: _Reader | None = None
        self._lock = threading.Lock()
        self.blob = blob
        self.magic = blob.read_at(0, 4)

    def __getstate__(self) -> dict[str, object]:
        return {"blob": self.blob, "magic": self.magic}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock, self._cursor = threading.Lock(), None

    def __del__(self) -> None:
        if self._cursor is not None:
            self._cursor.close()

    @property
    def local_files(self) -> tuple[str, ...]:
        """The archive, where it is on disk."""
        return self.blob.local_files

    @property
    def is_plain(self) -> bool:
        """Whether its members can be read where they are."""
        return self.magic[:2] != _GZIP and self.magic != _ZSTANDARD

    def reader(self) -> _Reader:
        """Its unpacked bytes, from the start."""
        file = self.blob.open()
        try:
            if self.is_plain:
                return _Reader(file, file, self.blob.size)
            unpacked = _gunzip(file) if self.magic[:2] == _GZIP else _unzstandard(file)
        except BaseException:
            file.close()
            raise
        return _Reader(unpacked, file, None)

    def again(self, place: int, size: int) -> bytes:
        """The member at `place`. In a compressed tar, that is quick in the order of the archive."""
        if self.is_plain:
            data = self.blob.read_at(place, size)
        else:
            with self._lock:
                cursor, self._cursor = self._cursor, None
                if cursor is None or cursor.at > place:
                    if cursor is not None:
                        cursor.close()
                    cursor = self.reader()
                try:
                    cursor.skip_to(place)
                    data = cursor.take(size)
                except BaseException:
                    cursor.close()
                    raise
                self._cursor = cursor
        if len(data) < size:
            raise _cut_member()
        return data

    def reopen(self, place: int, size: int) -> BinaryIO:
        """The member at `place` as a seekable file."""
        if self.is_plain:
            part = Excerpt(self.blob.open(), place, min(size, max(0, self.blob.size - place)))
            return cast(BinaryIO, io.BufferedReader(part))

        def pieces() -> Iterator[bytes]:
            reader = self.reader()
            try:
                reader.skip_to(place)
                left = size
                while left:
                    piece = reader.take(min(_PIECE, left))
                    if not piece:
                        raise _cut_member()
                    left -= len(piece)
                    yield piece
            finally:
                reader.close()

        return cast(BinaryIO, io.BufferedReader(Unrolled(pieces, size)))


def _gunzip(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))


def _unzstandard(file: BinaryIO) -> BinaryIO:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError(
            "reading .tar.zst needs the package zstandard",
            remedy='pip install "maskstat[zstd]"',
        ) from error
    # A window beyond 128 MiB, which would be allocated, is refused by the library itself.
    return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))


def _cut_member() -> MaskError:
    return MaskError("the archive ends in the middle of it")


class _Reader:
    """Unpacked bytes that are only read forwards; what tarfile takes for its file object.

    tarfile believes what a header says of its own length. `allowed` is how much it may read.
    """

    def __init__(self, unpacked: BinaryIO, file: BinaryIO, size: int | None):
        self._unpacked, self._file, self._size = unpacked, file, size
        self._peeked = b""
        self.at = 0
        self.allowed = 0

    def tell(self) -> int:
        """Unpacked bytes before this place."""
        return self.at

    def seek(self, place: int) -> None:
        """As `skip_to`, for tarfile."""
        self.skip_to(place)

    def read(self, size: int) -> bytes:
        """Bytes of a header, for tarfile. Raises tarfile.ReadError where there are too many."""
        self.allowed -= size
        if size < 0 or self.allowed < 0:
            raise tarfile.ReadError("a header larger than 1 MiB")
        return self.take(size)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, which stay the next ones. Raises MaskError."""
        self._peeked = self.take(size)
        self.at -= len(self._peeked)
        return self._peeked

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end. Raises MaskError."""
        pieces: list[bytes] = []
        while size:
            piece = self._next(size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip_to(self, place: int) -> None:
        """Go on to a place further on, or to the end. Raises MaskError."""
        if place < self.at:
            raise MaskError("corrupt archive: it leads backwards")
        if self._size is None:
            while self.at < place and self._next(min(_PIECE, place - self.at)):
                pass
            return
        self.at, self._peeked = min(place, self._size), b""
        self._file.seek(self.at)

    def _next(self, size: int) -> bytes:
        try:
            piece = self._peeked[:size] or self._unpacked.read(size)
        except EOFError as error:
            raise MaskError("the compressed archive is cut off") from error
        except OSError as error:  # gzip's BadGzipFile among them
            raise MaskError(unreadable(error)) from error
        except Exception as error:
            if isinstance(error, zlib.error) or type(error).__name__ == "ZstdError":
                raise MaskError(f"corrupt archive: {error}") from error
            raise
        self._peeked = self._peeked[size:]
        self.at += len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError, EOFError, zlib.error):
            self._unpacked.close()
        self._file.close()


def tar_members(blob: Blob, prefix: str, selection: Selection) -> Iterator[Entry | None]:
    """One entry a member that `selection` takes, None for every other file.

    Raises:
        MaskError: the archive can't be read, or not to its end; what came before is good.
    """
    tar = Tar(blob)
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
                    yield BrokenEntry(name, path, reason=str(_cut_member()))
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


def _headers(reader: _Reader) -> Iterator[tarfile.TarInfo]:
    """The headers of an archive, up to its end marker. Raises MaskError where that is missing."""
    archive = tarfile.TarFile(
        fileobj=io.BytesIO(bytes(2 * _BLOCK)), encoding="utf-8", errors="surrogateescape"
    )
    archive.fileobj, archive.offset = cast(BinaryIO, reader), 0
    number = 0
    while (block := reader.peek(_BLOCK)).strip(b"\0"):
        behind = f"behind {counted(number, 'member')}"
        if len(block) < _BLOCK:
            raise MaskError(f"ends in a header {behind}: {_CUT_OFF}")
        try:
            reader.allowed = _MAX_HEADER
            info = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError, IndexError) as error:
            what = f"damaged {behind}" if number else "not a tar archive"
            raise MaskError(f"{what}: {error}") from error
        if info.size < 0:
            raise MaskError(f"damaged {behind}: a negative size")
        yield info
        number += 1
        reader.skip_to(archive.offset)
    if not block:
        raise MaskError(f"no end marker behind {counted(number, 'member')}: {_CUT_OFF}")
    if reader.take(_MAX_PADDING).strip(b"\0"):
        raise MaskError("there is more behind its end marker: were archives concatenated?")
