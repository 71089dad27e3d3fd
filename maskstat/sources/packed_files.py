"""Files of many masks that may be compressed: tars, TFRecords.

A plain file on disk can be read anywhere. All others are read from start to end.
"""

from __future__ import annotations

import gzip
import io
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Literal, cast

from maskstat.errors import MaskError, MissingExtraError, unreadable
from maskstat.sources.blobs import Blob
from maskstat.sources.virtual_files import Excerpt, Unrolled

Packing = Literal["gzip", "zlib", "zstandard"] | None

_PIECE = 1 << 20


def packing_of(start: bytes) -> Packing:
    """How a file is compressed, by its first bytes."""
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstandard" if start[:4] == b"\x28\xb5\x2f\xfd" else None


class PackedFile:
    """One file, whose masks are where their `place` in the unpacked bytes is.

    Raises MaskError from all that reads it.
    """

    def __init__(self, blob: Blob, packing: Packing):
        self._cursor: Unpacked | None = None
        self._lock = threading.Lock()
        self.blob, self.packing = blob, packing

    def __getstate__(self) -> dict[str, object]:
        return {"blob": self.blob, "packing": self.packing}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock, self._cursor = threading.Lock(), None

    def __del__(self) -> None:
        if self._cursor is not None:
            self._cursor.close()

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file, where it is on disk."""
        return self.blob.local_files

    @property
    def is_plain(self) -> bool:
        """Whether masks can be read where they are."""
        return self.packing is None

    def reader(self) -> Unpacked:
        """Its unpacked bytes, from the start."""
        file = self.blob.open()
        try:
            if self.packing is None:
                return Unpacked(file, file, self.blob.size)
            unpacked = _UNPACKING[self.packing](file)
        except BaseException:
            file.close()
            raise
        return Unpacked(unpacked, file, None)

    def again(self, place: int, size: int) -> bytes:
        """The mask at `place`. In a compressed file, that is quick in its order."""
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
            raise cut_off()
        return data

    def reopen(self, place: int, size: int) -> BinaryIO:
        """The mask at `place` as a seekable file."""
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
                        raise cut_off()
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


class _Inflated(io.RawIOBase):
    """What a file of zlib data unpacks to. Raises zlib.error and EOFError."""

    def __init__(self, file: BinaryIO):
        self._file, self._stream = file, zlib.decompressobj()

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Read what comes next, and at the end look at the checksum."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = b""
        while not data and not self._stream.eof:
            packed = self._stream.unconsumed_tail or self._file.read(_PIECE)
            data = self._stream.decompress(packed, len(view))
            if not data and not packed:
                raise EOFError
        if not data and (self._stream.unused_data or self._file.read(1)):
            raise zlib.error("there is more behind its end")
        view[: len(data)] = data
        return len(data)


def _inflate(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Inflated(file), _PIECE))


_UNPACKING = {"gzip": _gunzip, "zlib": _inflate, "zstandard": _unzstandard}


def cut_off() -> MaskError:
    """What is wrong with a mask that is longer than its file."""
    return MaskError("the archive ends in the middle of it")


class Unpacked:
    """The bytes of a file that are only read forwards; `at` is how many lie behind."""

    def __init__(self, unpacked: BinaryIO, file: BinaryIO, size: int | None):
        self._unpacked, self._file, self._size = unpacked, file, size
        self._peeked = b""
        self.at = 0

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
