"""What a compressed Zarr chunk may expand to, found out before it is handed to its codec.

Codecs take the memory that a chunk's bytes ask for. So a chunk is looked at first: the sizes that
its container declares are compared with the size of a chunk of the array; formats that declare none
(gzip, zlib) are inflated piece by piece, which counts and keeps nothing. Codecs that are not listed
here are refused by name, among them those that run code.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskstat.errors import MaskError
from maskstat.naming import printable

_PLAIN = {"bytes", "transpose", "crc32c", "crc32", "adler32", "fletcher32", "shuffle", "delta"}
_COMPRESSORS = {"blosc", "zstd", "gzip", "zlib", "lz4"}
_CHECKSUMS = {"crc32c", "crc32", "adler32", "fletcher32"}
_SLACK = 1 << 16
_PIECE = 1 << 16
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 1 << 17
_ZSTD_SLACK = 8 << 20  # streams may end their blocks early, so that they only seem to hold more


def codec_names(codecs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of codecs in the order of encoding, "sharding_indexed" replaced by what is in it.

    Checksums at the end are left out.

    Raises:
        MaskError: one is not known here, there are several compressors, or one is not the last.
    """
    names: list[str] = []
    for place, codec in enumerate(codecs):
        name = str(codec.get("name", codec.get("id")))
        if name == "sharding_indexed":
            inner = codec.get("configuration", {})
            if place != len(codecs) - 1 or any(
                other.get("name") == name for other in inner.get("codecs", ())
            ):
                raise MaskError("its shards are encoded once more")
            if codec_names(inner.get("index_codecs", ())) != ["bytes"]:
                raise MaskError("the index of its shards is compressed")
            names += codec_names(inner.get("codecs", ()))
        elif name in _PLAIN or name in _COMPRESSORS:
            names.append(name)
        else:
            known = ", ".join(sorted(_COMPRESSORS))
            raise MaskError(
                f"its chunks are encoded by {printable(name)[:40]!r}, which is not decoded here"
                f" (known are {known})"
            )
    if sum(name in _COMPRESSORS for name in names) > 1:
        raise MaskError("its chunks are compressed twice")
    while len(names) > 1 and names[-1] in _CHECKSUMS:
        names.pop()
    if any(name in _COMPRESSORS for name in names[:-1]):
        # What a chunk expands to could only be seen by undoing the filter.
        raise MaskError("its chunks are filtered after they were compressed, as no array needs")
    return names


def filtered_size(codecs: Sequence[Mapping[str, Any]], size: int, item: int) -> int:
    """Bytes of a chunk of `size` bytes when its filters are done: what its compressor is given.

    Raises:
        MaskError: a filter is not made for the array's items, of `item` bytes.
    """
    for codec in codecs:
        if codec.get("id") == "delta":
            before = np.dtype(codec["dtype"])
            after = np.dtype(codec.get("astype") or before)
            if before.itemsize != item or {before.kind, after.kind} - set("iuf"):
                raise MaskError("its filter 'delta' is made for items of another type")
            size, item = size // item * after.itemsize, after.itemsize
    return size


def check_chunk(data: bytes | memoryview, names: Sequence[str], size: int) -> None:
    """Raise MaskError where an encoded chunk would expand to much more than `size` bytes.

    Args:
        data: the chunk as stored.
        names: its codecs, as `codec_names` gives them.
        size: of a decoded chunk, as `filtered_size` gives it.
    """
    name = names[-1] if names else ""
    found = _EXPANDED[name](memoryview(data), size) if name in _EXPANDED else len(data)
    if found > size + (_ZSTD_SLACK if name == "zstd" else _SLACK):
        raise MaskError(f"a chunk expands to more than the {size} bytes that one has")


def _blosc(data: memoryview, size: int) -> int:
    return int(struct.unpack_from("<I", data, 4)[0]) if len(data) >= 16 else 0


def _lz4(data: memoryview, size: int) -> int:
    return int(struct.unpack_from("<I", data)[0]) if len(data) >= 4 else 0


def _inflated(data: memoryview, size: int) -> int:
    """Bytes that a gzip or zlib stream inflates to, counted up to a little more than `size`."""
    total = 0
    rest = bytes(data)
    while rest:
        inflater = zlib.decompressobj(wbits=47)  # either header
        while not inflater.eof:
            try:
                out = inflater.decompress(rest, _PIECE)
            except zlib.error:
                return total  # the codec will say so
            total += len(out)
            if total > size + _SLACK:
                return total
            rest = inflater.unconsumed_tail
            if not rest and not out:
                return total
        rest = inflater.unused_data
    return total


def _zstd(data: memoryview, size: int) -> int:
    """An upper bound for what Zstandard frames hold, from their block headers (RFC 8878)."""
    total = at = 0
    while at + 8 <= len(data):
        if data[at : at + 4] != _ZSTD_MAGIC:
            length = struct.unpack_from("<I", data, at + 4)[0]
            at += 8 + length  # a skippable frame
            continue
        flags = data[at + 4]
        single = flags >> 5 & 1
        at += 5 + (not single) + (0, 1, 2, 4)[flags & 3]
        at += (single, 2, 4, 8)[flags >> 6]
        last = 0
        while not last and at + 3 <= len(data):
            header = int.from_bytes(data[at : at + 3], "little")
            last, kind, length = header & 1, header >> 1 & 3, header >> 3
            total += _ZSTD_BLOCK if kind == 2 else length
            at += 3 + (1 if kind == 1 else length)
        at += 4 if flags & 4 else 0
    return total


_EXPANDED = {"blosc": _blosc, "lz4": _lz4, "gzip": _inflated, "zlib": _inflated, "zstd": _zstd}


def shard_parts(
    data: bytes, count: int, at_end: bool, checksum: bool, *, whole: bool
) -> list[bytes]:
    """The encoded chunks of a shard, from its index of `count` (offset, length) pairs.

    Args:
        whole: whether `data` is all of the shard, or an index at its start alone.

    Raises:
        MaskError: the index points outside the shard, or into itself.
    """
    size = 16 * count + (4 if checksum else 0)
    if len(data) < size:
        raise MaskError("a shard is shorter than its index")
    start = len(data) - size if at_end else 0
    pairs = struct.unpack_from(f"<{2 * count}Q", data, start)
    parts: list[bytes] = []
    for offset, length in zip(pairs[::2], pairs[1::2], strict=True):
        if offset == length == 0xFFFF_FFFF_FFFF_FFFF:  # an empty chunk
            continue
        if not at_end and offset < size:
            raise MaskError("the index of a shard points into itself")
        if whole and offset + length > len(data):
            raise MaskError("the index of a shard points outside it")
        if whole:
            parts.append(data[offset : offset + length])
    return parts
