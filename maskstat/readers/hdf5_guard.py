"""What is looked at before HDF5's library acts on it: what is read, where links lead, filters."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

from maskstat.errors import MaskError
from maskstat.readers.base import read_up_to
from maskstat.readers.libdeflate import InflateError, inflate

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
_READ_HERE = frozenset({DEFLATE, SHUFFLE, FLETCHER32, LZF})
_NAMES = {
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    307: "bzip2",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32026: "blosc2",
}
_MOST_LINKS = 16
_SUM = 1 << 16  # words that are added up together


class Watched:
    """A file as h5py reads it: whole pieces only, and no heap that its library would loop in.

    `error` is what reading the file raised: h5py does not always pass it on.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._start = file, 0
        self.error: Exception | None = None

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """As that of a file."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """As that of a file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As that of a file."""
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        """As that of a file. Raises MaskError, also where the file is shorter than it was."""
        try:
            data = read_up_to(self._file, len(buffer))
            if len(data) < len(buffer):
                raise MaskError("the file ends within what it says it holds")
            if data.startswith(SIGNATURE):  # what places are counted from
                self._start = self._file.tell() - len(data)
            if data.startswith(b"HEAP"):
                self._check_heap(data)
        except (OSError, MaskError) as error:
            self.error = error
            raise
        buffer[:] = data
        return len(data)

    def _check_heap(self, data: bytes) -> None:
        """Raise MaskError where the list of free blocks of a local heap does not end."""
        if len(data) < 32:
            return
        size, free, place = struct.unpack_from("<3Q", data, 8)
        here = self._file.tell()
        steps = 0
        while free != 1 and free + 16 <= size:
            steps += 1
            if steps > size // 16:
                raise MaskError("not a readable HDF5 file: a list in it has no end")
            self._file.seek(self._start + place + free)
            block = read_up_to(self._file, 8)
            if len(block) < 8:
                break
            (free,) = struct.unpack("<Q", block)
        self._file.seek(here)


def followed(file: Any, name: str) -> str | None:
    """The path that a name leads to, by links within the file. Raises MaskError for others.

    None where it leads nowhere.
    """
    import h5py

    todo, links = [part for part in name.split("/") if part], 0
    done: list[str] = []
    while todo:
        part = todo.pop(0)
        path = "/".join([*done, part]).encode("utf-8", "surrogateescape")
        try:
            kind = file.id.links.get_info(path).type
        except (KeyError, ValueError, RuntimeError):
            return None
        if kind == h5py.h5l.TYPE_HARD:
            done.append(part)
            continue
        links += 1
        if kind != h5py.h5l.TYPE_SOFT:
            raise MaskError(f"{part!r} in it is a link to another file, which is not read")
        if links > _MOST_LINKS:
            raise MaskError(f"{part!r} in it is a link to links without end")
        target = file.id.links.get_val(path).decode("utf-8", "surrogateescape")
        done = [] if target.startswith("/") else done
        todo = [step for step in target.split("/") if step not in ("", ".")] + todo
    return "/".join(done)


def filters_of(made: Any, item: int) -> list[int]:
    """The filters of chunks, in the order of writing. Raises MaskError for those not read here."""
    filters: list[int] = []
    for at in range(made.get_nfilters()):
        code, _, values, _ = made.get_filter(at)
        if code not in _READ_HERE:
            raise MaskError(
                f"its chunks are packed by {_NAMES.get(code, f'filter {code}')}, which is not read"
                " here: h5repack -f GZIP=6 (of HDF5, with hdf5plugin's filters) writes it anew"
            )
        if code == SHUFFLE and values[:1] != (item,):
            raise MaskError("its chunks are shuffled as items of another size")
        filters.append(code)
    if len(filters) > 3 or sum(code in (DEFLATE, LZF) for code in filters) > 1:
        raise MaskError("its chunks are packed twice")
    return filters


def unpacked(data: bytes, filters: list[int], left_out: int, size: int, item: int) -> bytes:
    """The bytes of a chunk, `size` of them. Raises MaskError.

    Args:
        left_out: a bit for each filter that this chunk went without.
        item: bytes of a number.
    """
    used = [code for at, code in enumerate(filters) if not left_out >> at & 1]
    while used:
        code = used.pop()
        if code == FLETCHER32:
            data, kept = data[:-4], data[-4:]
            if len(kept) < 4 or _fletcher32(data) != tuple(
                half % 65535 for half in struct.unpack("<2H", kept)
            ):
                raise MaskError("a chunk of it is damaged")
        elif code == DEFLATE:
            data = _inflated(data, size + 4 * used.count(FLETCHER32))
        elif code == LZF:
            data = _expanded(data, size + 4 * used.count(FLETCHER32))
        elif code == SHUFFLE and item > 1:
            whole = len(data) // item * item
            planes = np.frombuffer(data, np.uint8, whole).reshape(item, -1)
            data = planes.T.tobytes() + data[whole:]
    if len(data) != size:
        raise MaskError("a chunk of it is damaged")
    return data


def _inflated(data: bytes, size: int) -> bytes:
    try:
        if inflate is not None:
            return bytes(inflate(data, size))
        stream = zlib.decompressobj()
        found = stream.decompress(data, size + 1)
    except (InflateError, zlib.error) as error:
        raise MaskError("a chunk of it is damaged, or expands to more than its size") from error
    return found if stream.eof else b""


def _expanded(data: bytes, size: int) -> bytes:
    """LZF data unpacked, to `size` bytes: h5py's filter would read on where it gives fewer."""
    from maskstat.kernels.lzf import expand

    out = np.empty(size, np.uint8)
    if not expand(np.frombuffer(data, np.uint8), out):
        raise MaskError("a chunk of it is damaged")
    return out.tobytes()


def _fletcher32(data: bytes) -> tuple[int, int]:
    """HDF5's checksum, of the words of two bytes: their sum, and that of all sums up to each."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2")
    first = second = 0
    for at in range(0, len(words), _SUM):
        part = words[at : at + _SUM].astype(np.int64)
        second += first * part.size + int(part @ np.arange(part.size, 0, -1))
        first += int(part.sum())
    return first % 65535, second % 65535
