"""Zarr: an array in chunks, in a folder or in a zip (.zarr.zip), formats 2 and 3; needs zarr 3.

A store with one array is a mask; of several `--array` names one, and in OME-Zarr it is the first,
full-resolution level. The array is read some chunks at a time. Chunks that are not stored have the
array's fill value, as the format defines it.
"""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.naming import printable
from maskstat.readers.chunked import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_PIXELS,
    MOST_TOGETHER,
    ChunkedMask,
    ChunkedPlanes,
    Chunks,
    chunks_of,
    too_many,
)
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.raw_masks import RawMask, choose_array
from maskstat.readers.zarr_guard import check_chunk, codec_names, filtered_size, shard_parts
from maskstat.values.tally import MaskTally

if TYPE_CHECKING:
    from maskstat.readers.zarr_store import CheckedStore

NEEDS_ZARR = 'a Zarr store needs zarr 3: pip install "maskstat[zarr]" (Python 3.11 or later)'
_MAX_AXES = 32
_MAX_NODES = 1000  # arrays and groups that are looked through for the only array
_CHUNK_OVERHEAD = 1 << 20  # of an encoded chunk that could not be compressed
_MARKS = ("zarr.json", ".zarray", ".zgroup")


def tally_folder(path: str, name: str, options: ReadOptions) -> MaskTally:
    """Count the store in a folder. Raises MaskError."""
    return in_folder(path, options).tally(name)


def in_folder(path: str, options: ReadOptions) -> RawMask:
    """The mask that the store in a folder is. Raises MaskError."""
    return ChunkedMask(_open(_stores().folder_store(path), options), options)


def in_zip(archive: zipfile.ZipFile, options: ReadOptions) -> RawMask:
    """The mask that the store in an open zip is. Raises MaskError."""
    return ChunkedMask(_open_zip(archive, options), options)


def planes_in_folder(path: str, options: ReadOptions) -> Planes:
    """The planes of the array that the store in a folder holds. Raises MaskError."""
    return ChunkedPlanes(_open(_stores().folder_store(path), options), options)


def planes_in_zip(archive: zipfile.ZipFile, options: ReadOptions) -> Planes:
    """The same of the store in an open zip."""
    return ChunkedPlanes(_open_zip(archive, options), options)


class _ZarrArray(Chunks):
    """An open array."""

    container = "zarr"

    def __init__(self, array: Any):
        self._array = array
        self.shape, self.dtype, self.chunks = tuple(array.shape), array.dtype, array.chunks
        self.together = tuple(array.shards or array.chunks)

    def fetch(self, part: tuple[slice, ...]) -> NDArray[np.generic]:
        """Some chunks, or parts of them."""
        try:
            return np.asarray(self._array[part])
        except (MaskError, MemoryError):
            raise
        except Exception as error:  # codecs raise anything on hostile bytes, also OSError
            if isinstance(error, OSError) and error.errno is not None:
                raise
            text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
            raise MaskError(f"a chunk of the Zarr array is damaged: {text}") from error


def _open_zip(archive: zipfile.ZipFile, options: ReadOptions) -> _ZarrArray:
    return _open(_stores().zip_store(archive, _root(archive)), options)


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


def _open(store: CheckedStore, options: ReadOptions) -> _ZarrArray:
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
    return _ZarrArray(node)


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
    count = chunks_of(array.shape, array.chunks)
    if count > MAX_CHUNKS:
        raise too_many(f"an array of {count:,}", MAX_CHUNKS)
    packed = filtered_size(codecs, chunk, item)
    store.limit = max(shard, packed) * 9 // 8 + _CHUNK_OVERHEAD
    if array.shards is None:
        store.check = lambda data, part: check_chunk(data, names, packed)
        return
    sharding = codecs[-1]["configuration"]
    at_end = sharding.get("index_location", "end") == "end"
    checksum = len(sharding["index_codecs"]) > 1
    inside = shard // chunk
    if inside > MOST_TOGETHER:
        raise too_many(f"a shard of {inside:,}", MOST_TOGETHER)
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
