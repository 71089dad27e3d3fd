"""Zarr: an array in chunks, in a folder or in a zip (.zarr.zip), formats 2 and 3; needs zarr 3.

A store with one array is a mask; of several `--array` names one, and in OME-Zarr it is the first,
full-resolution level. The array is read some chunks at a time. Chunks that are not stored have the
array's fill value, as the format defines it.
"""

from __future__ import annotations

import itertools
import math
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.naming import printable
from maskstat.readers.options import ReadOptions
from maskstat.readers.raw_masks import ArrayPlan, RawMask, choose_array, plan_array
from maskstat.readers.zarr_guard import check_chunk, codec_names, shard_parts
from maskstat.values.tally import MaskTally

if TYPE_CHECKING:
    from maskstat.readers.zarr_store import CheckedStore

NEEDS_ZARR = 'a Zarr store needs zarr 3: pip install "maskstat[zarr]" (Python 3.11 or later)'
MAX_CHUNK_BYTES = 256 << 20
MAX_PIXELS = 1 << 40
_BLOCK_BYTES = 32 << 20
_CHUNK_OVERHEAD = 1 << 20  # of an encoded chunk that could not be compressed
_MARKS = ("zarr.json", ".zarray", ".zgroup")


def tally_folder(path: str, name: str, options: ReadOptions) -> MaskTally:
    """Count the store in a folder. Raises MaskError."""
    return in_folder(path, options).tally(name)


def in_folder(path: str, options: ReadOptions) -> RawMask:
    """The mask that the store in a folder is. Raises MaskError."""
    return _ZarrArray(_stores().folder_store(path), options)


def in_zip(archive: zipfile.ZipFile, options: ReadOptions) -> RawMask:
    """The mask that the store in an open zip is. Raises MaskError."""
    return _ZarrArray(_stores().zip_store(archive, _root(archive)), options)


class _ZarrArray(RawMask):
    """The array that the user asks for, or the only one."""

    def __init__(self, store: CheckedStore, options: ReadOptions):
        self._array = _open(store, options)
        shape, dtype = tuple(self._array.shape), self._array.dtype
        plan = plan_array(shape, dtype, "zarr", options)
        super().__init__(plan, shape, math.prod(shape) * dtype.itemsize)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Parts of the array that are made of whole chunks."""
        return _blocks(self._array, self.plan)

    def whole(self) -> NDArray[np.generic]:
        """All chunks."""
        return _fetch(self._array, (slice(None),) * len(self.axes))


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
            node = _array_in(node, zarr.Array)
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


def _array_in(group: Any, kind: type) -> Any:
    """The full-resolution level of an OME-Zarr image, or the only array below a group."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome")
    levels = (ome if isinstance(ome, dict) else attributes).get("multiscales")
    if isinstance(levels, list) and levels:
        return group[str(levels[0]["datasets"][0]["path"])]
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
    store.limit = shard + shard // 8 + _CHUNK_OVERHEAD
    if array.shards is None:
        store.check = lambda data, part: check_chunk(data, names, chunk)
        return
    sharding = codecs[-1]["configuration"]
    at_end = sharding.get("index_location", "end") == "end"
    checksum = len(sharding["index_codecs"]) > 1
    count = shard // chunk

    def check(data: bytes, part: object) -> None:
        """A whole shard, or one chunk of it; its index alone is no chunk."""
        if part is None:
            for encoded in shard_parts(data, count, at_end, checksum):
                check_chunk(encoded, names, chunk)
        elif isinstance(part, RangeByteRequest) and (at_end or part.start > 0):
            check_chunk(data, names, chunk)

    store.check = check


def _blocks(array: Any, plan: ArrayPlan) -> Iterator[NDArray[np.generic]]:
    """Parts of the array that count, made of whole chunks; channels are the last axis."""
    shape = tuple(array.shape)
    chunks = tuple(array.shards or array.chunks)
    block = list(chunks)
    whole: set[int] = set()  # axes that are not cut
    if not plan.is_plain:
        whole.add(0 if plan.channels.endswith("-first") else len(shape) - 1)
    for axis in whole:
        block[axis] = shape[axis]
    if math.prod(block) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        raise MaskError("its chunks are too large to put all channels of one side by side")
    for axis in reversed(range(len(shape))):
        room = _BLOCK_BYTES // (math.prod(block) * array.dtype.itemsize)
        if room > 1:
            block[axis] = min(shape[axis], block[axis] * room)
    kept = {}
    if plan.plane is not None:
        kept[plan.leading + (1 if plan.channels.endswith("-first") else 0)] = plan.plane
    ranges = [
        [slice(kept[axis], kept[axis] + 1)]
        if axis in kept
        else [slice(at, min(at + step, length)) for at in range(0, length, step)]
        for axis, (length, step) in enumerate(zip(shape, block, strict=True))
    ]
    for part in itertools.product(*ranges):
        found = _fetch(array, part)
        yield np.moveaxis(found, 0, -1) if plan.channels.endswith("-first") else found


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
