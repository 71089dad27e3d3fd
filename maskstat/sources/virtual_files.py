"""Seekable files of what is none: a part of a file, pieces that come forwards only."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import BinaryIO

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.sources.base import MAX_IN_MEMORY

_REWINDS = 4


class VirtualFile(io.RawIOBase):
    """A seekable file of known size; whoever is one gives the bytes at `_at`."""

    def __init__(self, size: int):
        self._size, self._at = size, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True, though going back may cost."""
        return True

    def tell(self) -> int:
        """Bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is read before the next read."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: object) -> int:
        """Read what comes next. Raises MaskError, and what is below raises."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._next(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    @abstractmethod
    def _next(self, length: int) -> bytes:
        """Up to `length` bytes at `_at`, none at the end."""


class Excerpt(VirtualFile):
    """Some bytes in the middle of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, length: int):
        super().__init__(length)
        self._file, self._start = file, start

    def _next(self, length: int) -> bytes:
        self._file.seek(self._start + self._at)
        return self._file.read(max(0, min(length, self._size - self._at)))

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


class Unrolled(VirtualFile):
    """What gives its bytes in pieces and only forwards.

    Going back starts from the beginning. Who goes back often reads in no order: then the whole is
    read into memory, where that is not too much.
    """

    def __init__(self, pieces: Callable[[], Iterator[bytes]], size: int):
        super().__init__(size)
        self._pieces, self._source = pieces, pieces()
        self._piece, self._start = b"", 0  # the piece at hand, and where it starts
        self._rewinds = 0
        self._whole: io.BytesIO | None = None

    def _next(self, length: int) -> bytes:
        if self._at < self._start:
            self._rewind()
        if self._whole is not None:
            self._whole.seek(self._at)
            return self._whole.read(length)
        while self._at >= self._start + len(self._piece):
            self._start += len(self._piece)
            self._piece = next(self._source, b"")
            if not self._piece:
                return b""
        return self._piece[self._at - self._start :][:length]

    def _rewind(self) -> None:
        self._rewinds += 1
        self._source, self._piece, self._start = self._pieces(), b"", 0
        if self._rewinds > _REWINDS:
            if self._size > MAX_IN_MEMORY:
                raise MaskError("too large to be read out of order inside an archive: unpack it")
            ask_memory(2 * self._size)
            self._whole = io.BytesIO(b"".join(self._source))


def comes_forwards(file: BinaryIO) -> bool:
    """Whether going back in a file starts from its beginning, and its end says if it is whole."""
    return isinstance(getattr(file, "raw", file), Unrolled)
