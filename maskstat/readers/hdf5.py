"""HDF5, by h5py: the only array of a file, or the one that `--array` names; MATLAB 7.3 is HDF5.

Of a group, or of names with a `*`, `--pages each` counts every array. Nothing outside of the file
is read: neither links nor virtual arrays lead to other files. Chunks are unpacked here, in threads
side by side and to no more than their size, where h5py would take a lock and have no bound.
"""

from __future__ import annotations

import io
import itertools
import math
import weakref
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, argument
from maskstat.naming import natural_key, printable, storable
from maskstat.readers.base import LabelMap
from maskstat.readers.chunked import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_PIXELS,
    ChunkedMask,
    ChunkedPlanes,
    Chunks,
    chunks_of,
    too_many,
)
from maskstat.readers.hdf5_guard import Watched, filters_of, followed, unpacked
from maskstat.readers.matlab_axes import MATLAB_7_3, as_planes, is_number
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Mask, Planes, check_count
from maskstat.readers.raw_masks import PIECE, check_numbers, choose_array
from maskstat.values.tally import MaskTally

NEEDS_H5PY = 'an HDF5 file needs h5py: pip install "maskstat[hdf5]"'
_MOST_NODES = 1 << 16  # arrays and groups of a file
_SLACK = 1 << 20  # bytes by which a chunk may have grown when it was packed


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count an array some chunks at a time."""
    return tally_stream(io.BytesIO(data), name, options)


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """The same from an open file."""
    return _File(file, options).mask().tally(name)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored. Raises MaskError as `tally` does, and where memory is not enough."""
    return _File(io.BytesIO(data), options).mask().read()


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The planes of the array, or of all arrays that are asked for. Raises MaskError."""
    found = _File(file, options)
    return _Samples(found) if len(found.names) > 1 else found.planes(found.names[0])


class _File:
    """An open file, and the names of the arrays in it that are asked for."""

    def __init__(self, file: BinaryIO, options: ReadOptions):
        try:
            import h5py
        except ImportError as error:
            raise MaskError(NEEDS_H5PY) from error
        file.seek(0)
        self.is_matlab = file.read(len(MATLAB_7_3)) == MATLAB_7_3
        self._watched, self._options = Watched(file), options
        self.alone = h5py._objects.phil  # h5py's own lock, which a thread may take again
        with self.reading():
            self._file = h5py.File(self._watched, "r")
            # HDF5 closes what is open when Python has ended, which our file does not outlive.
            weakref.finalize(self, self._file.close)
            self._names = self._arrays(h5py)
            self.names = self._asked()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What h5py raises within is about what the file says, or what reading it raised.

        Its library is one thread's at a time, and not all of h5py's functions see to that.
        """
        try:
            with self.alone:
                yield
        except (MaskError, MemoryError):
            raise
        except Exception as error:  # h5py raises anything on hostile bytes
            raise self._reason(error) from error

    def _reason(self, error: Exception) -> Exception:
        """What is wrong, kept by nobody: files are closed as soon as nothing refers to them."""
        found, self._watched.error = self._watched.error, None
        text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
        return found or MaskError(f"not a readable HDF5 file: {text}")

    def _arrays(self, h5py: Any) -> list[str]:
        """The names of all arrays, by links within groups: those to other places are left out."""
        names: list[str] = []
        nodes = 0

        def look(name: str, node: Any) -> None:
            nonlocal nodes
            nodes += 1
            if nodes > _MOST_NODES:
                raise MaskError(f"holds more than {_MOST_NODES:,} arrays and groups")
            if isinstance(node, h5py.Dataset) and not (self.is_matlab and name.startswith("#")):
                names.append(name)

        self._file.visititems(look)
        if not names:
            raise MaskError("an HDF5 file that holds no arrays")
        return sorted(names, key=natural_key)

    def _asked(self) -> list[str]:
        names, asked = self._names, self._options.array
        if asked is None:
            if len(names) > 1:
                names = [name for name in names if self._may_be_mask(name)] or names
            return [choose_array(names, self._options)]
        if self.is_matlab:
            asked = asked.replace(".", "/")
        path = followed(self._file, asked)
        if path in names:
            return [path]
        found = [name for name in names if name.startswith(f"{path}/")] if path else []
        found = found or [name for name in names if fnmatchcase(name, asked)]
        if len(found) > 1 and self._options.pages != "each":
            each = argument("pages", "each")
            raise MaskError(
                f"{printable(storable(asked))!r} names {len(found):,} arrays of it:"
                f" {each} counts the planes of all of them"
            )
        return found or [choose_array(names, self._options)]

    def _may_be_mask(self, name: str) -> bool:
        """Whether an array is one of numbers with a height and a width."""
        try:
            array = _Array(self, self._file[name])
            check_numbers(array.dtype)
        except Exception:  # what is wrong with it is said where it is asked for
            return False
        return sum(length > 1 for length in array.shape) > 1

    def array(self, name: str) -> Chunks:
        """An array of the file, as somebody's planes of height and width."""
        with self.reading():
            array = _Array(self, self._file[name])
            return as_planes(array, self._options) if self.is_matlab else array

    def mask(self) -> ChunkedMask:
        """The array that is asked for."""
        return ChunkedMask(self.array(self.names[0]), self._options)

    def planes(self, name: str) -> ChunkedPlanes:
        """The planes of an array."""
        return ChunkedPlanes(self.array(name), self._options)

    def one(self, name: str) -> Mask:
        """An array that is one plane."""
        return ChunkedMask(self.array(name), self._options)


class _Array(Chunks):
    """An array of an open file. Raises MaskError where other files would be read."""

    def __init__(self, file: _File, dataset: Any):
        import h5py

        made = dataset.id.get_create_plist()
        if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
            raise MaskError("its array is in other files, which are not read")
        self._file, self._dataset, self.dtype = file, dataset, dataset.dtype
        self.container = "matlab" if file.is_matlab else "hdf5"
        check_numbers(self.dtype)
        if h5py.h5t.py_create(self.dtype, logical=True) != dataset.id.get_type():
            raise MaskError("its numbers are stored in a way that NumPy does not know")
        if file.is_matlab and not is_number(dataset.attrs):
            raise MaskError("a MATLAB text, object or empty array where numbers are expected")
        self.shape = tuple(dataset.shape or ())
        item = self.dtype.itemsize
        if len(self.shape) > 1 and math.prod(self.shape) > MAX_PIXELS:
            raise MaskError(f"an array of shape {self.shape} has more pixels than are counted")
        self._filters, self._by_h5py = filters_of(made, item), dataset.chunks is None
        if dataset.chunks is None:  # stored in one piece, and read a megabyte at a time
            row = max(1, self.shape[-1] * item) if self.shape else 1
            lines = min(max(1, (PIECE >> 4) // row), self.shape[-2]) if self.shape[1:] else 1
            self.chunks = ((1,) * len(self.shape) + (lines, *self.shape[-1:]))[-len(self.shape) :]
        else:
            self.chunks = tuple(dataset.chunks)
            self._size = math.prod(self.chunks) * item
            self.working = 4 * self._size + _SLACK
            if self._size > MAX_CHUNK_BYTES:
                raise MaskError(
                    f"a chunk takes {self._size >> 20} MiB, more than the"
                    f" {MAX_CHUNK_BYTES >> 20} MiB that may be held at once"
                )
            if (count := chunks_of(self.shape, self.chunks)) > MAX_CHUNKS:
                raise too_many(f"an array of {count:,}", MAX_CHUNKS)
        self.together = self.chunks

    def fetch(self, part: tuple[slice, ...]) -> NDArray[np.generic]:
        """Some chunks, or parts of them; where there are none, the fill value."""
        with self._file.reading():
            if self._by_h5py:
                return np.asarray(self._dataset[part])
            filling = self._dataset.fillvalue
        found = np.full([at.stop - at.start for at in part], filling, self.dtype)
        starts = [
            range(at.start - at.start % step, at.stop, step)
            for at, step in zip(part, self.chunks, strict=True)
        ]
        for start in itertools.product(*starts):
            chunk = self._chunk(start)
            if chunk is None:
                continue
            into, out = [], []
            for at, first, step in zip(part, start, self.chunks, strict=True):
                low, high = max(at.start, first), min(at.stop, first + step)
                into.append(slice(low - at.start, high - at.start))
                out.append(slice(low - first, high - first))
            found[tuple(into)] = chunk[tuple(out)]
        return found

    def _chunk(self, start: tuple[int, ...]) -> NDArray[np.generic] | None:
        """The chunk that begins there, if it was ever written."""
        with self._file.reading():
            where = self._dataset.id.get_chunk_info_by_coord(start)
            if where.byte_offset is None:
                return None
            if where.size > self._size * 9 // 8 + _SLACK:
                raise MaskError("a chunk of it is larger than it can be")
            left_out, data = self._dataset.id.read_direct_chunk(start)
        data = unpacked(data, self._filters, left_out, self._size, self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).reshape(self.chunks)


class _Samples(Planes):
    """The planes of many arrays, one array after the other."""

    in_order = True  # one array is open at a time

    def __init__(self, file: _File):
        self._file = file
        counts = [file.planes(name).count for name in file.names]
        self._ends = list(itertools.accumulate(counts))
        self.count = check_count(self._ends[-1])
        self._open: tuple[int, ChunkedPlanes] | None = None

    def mask(self, plane: int) -> Mask:
        """One of them, from 0."""
        at = bisect_right(self._ends, plane)
        first = self._ends[at - 1] if at else 0
        name = self._file.names[at]
        if self._ends[at] - first == 1:
            return self._file.one(name)
        if self._open is None or self._open[0] != at:
            self._open = at, self._file.planes(name)
        return self._open[1].mask(plane - first)
