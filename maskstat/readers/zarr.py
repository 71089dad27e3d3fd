"""Zarr: an array in chunks, in a folder or in a zip (.zarr.zip), formats 2 and 3; needs zarr 3.

A store with one array is a mask; of several `--array` names one, and in OME-Zarr it is the first,
full-resolution level. The array is read some chunks at a time. Chunks that are not stored have the
array's fill value, as the format defines it.
"""

from __future__ import annotations

import itertools
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.memory import ask_memory
from maskstat.naming import printable
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes, check_count
from maskstat.readers.raw_masks import (
    ArrayPlan,
    RawMask,
    choose_array,
    leading_axes,
    plan_array,
)
from maskstat.readers.tallying import PixelCounter
from maskstat.readers.zarr_guard import check_chunk, codec_names, filtered_size, shard_parts
from maskstat.values.tally import MaskTally

if TYPE_CHECKING:
    from maskstat.readers.zarr_store import CheckedStore

NEEDS_ZARR = 'a Zarr store needs zarr 3: pip install "maskstat[zarr]" (Python 3.11 or later)'
MAX_CHUNK_BYTES = 256 << 20
MAX_PIXELS = 1 << 40
MAX_CHUNKS = 1 << 20
_MAX_AXES = 32
_MAX_NODES = 1000  # arrays and groups that are looked through for the only array
_BLOCK_CHUNKS = 1024  # that Zarr is asked for at once: it keeps some objects for each
_MOST_TOGETHER = 1 << 16  # the same where they can't be parted: in a shard, of all channels
_COUNTED_TOGETHER = 4096  # planes
_BLOCK_BYTES = 32 << 20
_CHUNK_OVERHEAD = 1 << 20  # of an encoded chunk that could not be compressed
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_Kept = Mapping[int, slice]


def tally_folder(path: str, name: str, options: ReadOptions) -> MaskTally:
    """Count the store in a folder. Raises MaskError."""
    return in_folder(path, options).tally(name)


def in_folder(path: str, options: ReadOptions) -> RawMask:
    """The mask that the store in a folder is. Raises MaskError."""
    return _ZarrArray(_stores().folder_store(path), options)


def in_zip(archive: zipfile.ZipFile, options: ReadOptions) -> RawMask:
    """The mask that the store in an open zip is. Raises MaskError."""
    return _ZarrArray(_stores().zip_store(archive, _root(archive)), options)


def planes_in_folder(path: str, options: ReadOptions) -> Planes:
    """The planes of the array that the store in a folder holds. Raises MaskError."""
    return _ZarrPlanes(_stores().folder_store(path), options)


def planes_in_zip(archive: zipfile.ZipFile, options: ReadOptions) -> Planes:
    """The same of the store in an open zip."""
    return _ZarrPlanes(_stores().zip_store(archive, _root(archive)), options)


class _ZarrPlanes(Planes):
    """The planes of an array. Those that chunks hold together are decoded, or counted, together."""

    def __init__(self, store: CheckedStore, options: ReadOptions):
        self.array = array = _open(store, options)
        dtype: np.dtype[np.generic] = array.dtype
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.leading = leading_axes(self.shape, dtype, options)
        self.axes = self.shape[self.leading :]
        self.plan = plan_array(self.axes, dtype, "zarr", options)
        self.count = check_count(math.prod(self.shape[: self.leading]))
        self.size = math.prod(self.axes) * dtype.itemsize
        deep = tuple(array.shards or array.chunks)[: self.leading]
        self._deep = min(deep[-1], self.shape[self.leading - 1]) if deep else 1
        self.in_order = self._deep > 1
        self._slab: tuple[range, NDArray[np.generic]] | None = None
        self._counted: tuple[range, list[MaskError | MaskTally]] | None = None

    def mask(self, plane: int) -> RawMask:
        """One of them."""
        return _ZarrPlane(self, plane)

    def _beside(self, plane: int, most: int) -> range:
        """The planes in the same chunks along the last axis of planes, or `most` of them."""
        length = self.shape[self.leading - 1]
        row = plane - plane % length
        start = plane - (plane - row) % self._deep
        first = plane - (plane - start) % most
        return range(first, min(first + most, start + self._deep, row + length))

    def _part(self, planes: range) -> dict[int, slice]:
        """The indices of planes that are beside each other, by their axes."""
        at = np.unravel_index(planes.start, self.shape[: self.leading])
        part = {axis: slice(int(index), int(index) + 1) for axis, index in enumerate(at)}
        last = self.leading - 1
        part[last] = slice(part[last].start, part[last].start + len(planes))
        return part

    @property
    def is_small(self) -> bool:
        """Whether the planes that chunks hold together can be held in memory."""
        return self._deep * self.size <= MAX_CHUNK_BYTES

    def items(self, plane: int) -> NDArray[np.generic]:
        """The items of a plane; those beside it are kept where they are few."""
        beside = self._beside(plane, self._deep if self.is_small else 1)
        if self._slab is None or self._slab[0] != beside:
            self._slab = None  # before another one takes memory
            self.held = len(beside) * self.size
            ask_memory(self.held)
            items = np.empty((len(beside), *self.axes), self.array.dtype)
            for part in _parts(self.array, self._part(beside)):
                inner = part[self.leading :]
                lengths = [at.stop - at.start for at in inner]
                items[(slice(None), *inner)] = _fetch(self.array, part).reshape(
                    len(beside), *lengths
                )
            self._slab = beside, items
        found: NDArray[np.generic] = self._slab[1][plane - beside.start]
        return found

    def counted(self, plane: int) -> MaskTally:
        """The counts of a plane, added up a block at a time with those of the planes beside it."""
        beside = self._beside(plane, _COUNTED_TOGETHER)
        if self._counted is None or self._counted[0] != beside:
            masks = [self.mask(other) for other in beside]
            counters = [PixelCounter() for _ in beside]
            wrong: dict[int, MaskError] = {}
            for piece in _blocks(self.array, self.plan, self._part(beside)):
                for at, part in enumerate(piece.reshape(piece.shape[self.leading - 1 :])):
                    try:
                        if at not in wrong:
                            masks[at].add_to(counters[at], part)
                    except MaskError as error:  # of this plane, and none of the others
                        wrong[at] = error
            shape, encoding = self.plan.shape, self.plan.encoding
            self._counted = (
                beside,
                [
                    wrong.get(at) or counter.finish("", shape, encoding)
                    for at, counter in enumerate(counters)
                ],
            )
        found = self._counted[1][plane - beside.start]
        if isinstance(found, MaskError):
            raise found
        return found


class _ZarrPlane(RawMask):
    """A plane of an open array."""

    def __init__(self, planes: _ZarrPlanes, plane: int):
        super().__init__(planes.plan, planes.axes, planes.size)
        self._planes, self._plane = planes, plane

    def tally(self, name: str) -> MaskTally:
        """Its counts."""
        if self._planes.is_small:
            return super().tally(name)
        return replace(self._planes.counted(self._plane), name=name)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """All at once."""
        yield self.whole()

    def whole(self) -> NDArray[np.generic]:
        """In memory."""
        return self._planes.items(self._plane)


class _ZarrArray(RawMask):
    """The array that the user asks for, or the only one."""

    def __init__(self, store: CheckedStore, options: ReadOptions):
        self._array = _open(store, options)
        shape, dtype = tuple(self._array.shape), self._array.dtype
        plan = plan_array(shape, dtype, "zarr", options)
        super().__init__(plan, shape, math.prod(shape) * dtype.itemsize)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Parts of the array that are made of whole chunks."""
        plan, kept = self.plan, {}
        if plan.plane is not None:
            axis = plan.leading + (1 if plan.channels.endswith("-first") else 0)
            kept[axis] = slice(plan.plane, plan.plane + 1)
        return _blocks(self._array, plan, kept)

    def whole(self) -> NDArray[np.generic]:
        """All chunks."""
        found = np.empty(self.axes, self._array.dtype)
        for part in _parts(self._array, {}):
            found[part] = _fetch(self._array, part)
        return found


def _stores() -> Any:
    """The module that knows zarr. Raises MaskError where it is not installed."""
    try:
        from maskstat.readers import zarr_store
    except ImportError as error:
        raise MaskError(NEEDS_ZARR) from error
    return zarr_store


def _root(archive: zipfile.ZipFile) -> str:
    """Where the store is in its zip: at the top, or in the folder nearest to it."""
    marks = [name for name in archive.namelist() if name.rpartition("/")[2] in _MARKS]
    folder = min(marks, key=lambda name: (name.count("/"), name)).rpartition("/")[0]
    return f"{folder}/" if folder else ""


def _open(store: CheckedStore, options: ReadOptions) -> Any:
    """The array asked for; from then on the store checks its chunks. Raises MaskError."""
    import zarr

    path = options.array or ""
    try:
        node = zarr.open(store, mode="r", path=path)
        if isinstance(node, zarr.Group):
            node = _array_in(node, zarr.Array, store)
        document = node.metadata.to_dict()
        _guard(store, node, document)
    except MaskError:
        raise
    except FileNotFoundError as error:
        what = f"array {printable(path)!r}" if path else "Zarr array or group"
        raise MaskError(f"holds no {what}") from error
    except Exception as error:  # metadata is somebody's JSON: anything can come
        raise _unreadable(error) from error
    return node


def _array_in(group: Any, kind: type, store: CheckedStore) -> Any:
    """The full-resolution level of an OME-Zarr image, or the only array below a group."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome")
    levels = (ome if isinstance(ome, dict) else attributes).get("multiscales")
    if isinstance(levels, list) and levels:
        return group[str(levels[0]["datasets"][0]["path"])]
    if store.holds_more_nodes(_MAX_NODES):
        raise MaskError(
            f"holds more than {_MAX_NODES:,} arrays and groups:"
            f" {argument('array', Blank('NAME'))} names the one"
        )
    arrays = {key: node for key, node in group.members(max_depth=None) if isinstance(node, kind)}
    if not arrays:
        raise MaskError("a Zarr group that holds no array")
    return arrays[choose_array(sorted(arrays), ReadOptions())]


def _unreadable(error: Exception) -> MaskError:
    text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
    return MaskError(f"not a readable Zarr store: {text}")


def _guard(store: CheckedStore, array: Any, document: dict[str, Any]) -> None:
    """Check what the metadata says, and have the store check every chunk. Raises MaskError."""
    from zarr.abc.store import RangeByteRequest

    if document["zarr_format"] == 2:
        codecs = [*(document.get("filters") or ()), document.get("compressor")]
        codecs = [codec for codec in codecs if codec is not None]
    else:
        codecs = list(document["codecs"])
    if len(array.shape) > _MAX_AXES:
        raise MaskError(f"an array of {len(array.shape)} axes")
    names = codec_names(codecs)
    item = array.dtype.itemsize
    chunk = math.prod(array.chunks) * item
    shard = chunk if array.shards is None else math.prod(array.shards) * item
    if chunk < 1:
        raise MaskError("not a readable Zarr store: chunks without pixels")
    if shard > MAX_CHUNK_BYTES:
        raise MaskError(
            f"a chunk takes {shard >> 20} MiB, more than the {MAX_CHUNK_BYTES >> 20} MiB that may"
            " be held at once"
        )
    if math.prod(array.shape) > MAX_PIXELS:
        raise MaskError(f"an array of shape {array.shape} has more pixels than are counted")
    count = _chunks_of(array.shape, array.chunks)
    if count > MAX_CHUNKS:
        raise _too_many(f"an array of {count:,}", MAX_CHUNKS)
    packed = filtered_size(codecs, chunk, item)
    store.limit = max(shard, packed) * 9 // 8 + _CHUNK_OVERHEAD
    if array.shards is None:
        store.check = lambda data, part: check_chunk(data, names, packed)
        return
    sharding = codecs[-1]["configuration"]
    at_end = sharding.get("index_location", "end") == "end"
    checksum = len(sharding["index_codecs"]) > 1
    inside = shard // chunk
    if inside > _MOST_TOGETHER:
        raise _too_many(f"a shard of {inside:,}", _MOST_TOGETHER)
    index_size = 16 * inside + (4 if checksum else 0)
    index = RangeByteRequest(0, index_size)

    def check(data: bytes, part: object) -> None:
        """A whole shard, its index, or one chunk of it."""
        if part is None or (part == index and not at_end):
            parts = shard_parts(data, inside, at_end, checksum, whole=part is None)
            for encoded in parts:
                check_chunk(encoded, names, chunk)
        elif isinstance(part, RangeByteRequest):
            check_chunk(data, names, chunk)

    store.check = check


def _chunks_of(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """How many chunks a part of an array is made of."""
    return math.prod(-(-length // step) for length, step in zip(shape, chunks, strict=True))


def _too_many(what: str, most: int) -> MaskError:
    return MaskError(
        f"{what} chunks, more than the {most:,} that are read: rewrite it with larger chunks"
    )


def _blocks(array: Any, plan: ArrayPlan, kept: _Kept) -> Iterator[NDArray[np.generic]]:
    """Parts of the array that count, made of whole chunks; channels are the last axis."""
    first = plan.channels.endswith("-first")
    whole = None if plan.is_plain else 0 if first else len(array.shape) - 1
    for part in _parts(array, kept, whole):
        found = _fetch(array, part)
        yield np.moveaxis(found, 0, -1) if first else found


def _parts(array: Any, kept: _Kept, whole: int | None = None) -> Iterator[tuple[slice, ...]]:
    """The array cut along its chunks, a few at a time.

    Args:
        kept: axes of which only some indices are wanted, in one piece, and these.
        whole: the axis that is not cut.
    """
    shape = tuple(array.shape)
    block = list(array.shards or array.chunks)
    if whole is not None:
        block[whole] = shape[whole]
    if math.prod(block) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        raise MaskError("its chunks are too large to put all channels of one side by side")
    together = _chunks_of(block, array.chunks)
    if together > _MOST_TOGETHER:
        raise _too_many(f"{together:,}", _MOST_TOGETHER)
    for axis in reversed(range(len(shape))):
        room = min(
            _BLOCK_BYTES // (math.prod(block) * array.dtype.itemsize),
            _BLOCK_CHUNKS // _chunks_of(block, array.chunks),
        )
        if room > 1:
            block[axis] = min(shape[axis], block[axis] * room)
    chunk = math.prod(array.shards or array.chunks)
    ask_memory((2 * math.prod(block) + chunk) * array.dtype.itemsize)
    ranges = [
        [kept[axis]]
        if axis in kept
        else [slice(at, min(at + step, length)) for at in range(0, length, step)]
        for axis, (length, step) in enumerate(zip(shape, block, strict=True))
    ]
    return itertools.product(*ranges)


def _fetch(array: Any, part: tuple[slice, ...]) -> NDArray[np.generic]:
    """A part of the array in memory. Raises MaskError."""
    try:
        return np.asarray(array[part])
    except (MaskError, MemoryError):
        raise
    except Exception as error:  # codecs raise anything on hostile bytes, also OSError
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
        raise MaskError(f"a chunk of the Zarr array is damaged: {text}") from error
