"""Zarr stores that lie: metadata, bombs, shards, damage; and life without zarr."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskstat.errors import MaskError
from maskstat.readers.formats import read_tally_folder
from maskstat.sources.local.folders import store_entry
from tests.support.mask_files import STRICT
from tests.support.tracing import stop_tracing
from tests.support.zarr_cases import CODECS, numcodecs, store, store_refusal, zarr


def change(path: Path, **metadata: Any) -> None:
    file = path / ("zarr.json" if (path / "zarr.json").exists() else ".zarray")
    document = json.loads(file.read_text())
    document.update(metadata)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("options", "metadata", "said"),
    [
        ({"zarr_format": 2}, {"filters": [{"id": "pickle"}]}, ""),
        ({"zarr_format": 2}, {"filters": [{"id": "pickle"}], "dtype": "|O"}, ""),
        ({"zarr_format": 2}, {"compressor": {"id": "bz2", "level": 1}}, "'bz2'"),
        ({"zarr_format": 2}, {"filters": [{"id": "zlib", "level": 1}]}, "compressed twice"),
        (
            {"zarr_format": 2},
            {"compressor": None, "filters": [{"id": "zlib"}, {"id": "shuffle", "elementsize": 1}]},
            "filtered after they were compressed",
        ),
        ({"zarr_format": 2}, {"filters": [{"id": "delta", "dtype": "<i8"}]}, "of another type"),
        ({"zarr_format": 2}, {"dtype": "|O"}, ""),
        ({"zarr_format": 2}, {"dtype": "<U4"}, ""),
        ({"zarr_format": 2}, {"shape": [1 << 15] * 2, "chunks": [1, 1]}, "1,073,741,824 chunks"),
        ({"zarr_format": 2}, {"shape": [1] * 40, "chunks": [1] * 40}, "40 axes"),
        ({"zarr_format": 2}, {"dtype": "<M8[s]"}, ""),
        ({"zarr_format": 2}, {"chunks": [1 << 20, 1 << 20]}, "a chunk takes"),
        ({"zarr_format": 2}, {"shape": [1 << 30, 1 << 30]}, "more pixels than are counted"),
        ({"zarr_format": 2}, {"shape": [0, 4]}, "no pixels"),
        ({"zarr_format": 2}, {"chunks": [0, 4]}, ""),
        ({"zarr_format": 2}, {"shape": "many"}, ""),
        ({}, {"shape": [1 << 30, 1 << 30]}, "more pixels than are counted"),
        ({}, {"codecs": [{"name": "bytes"}, {"name": "numcodecs.bz2"}]}, ""),
        ({}, {"node_type": "nothing"}, ""),
        ({}, {"zarr_format": 9}, ""),
    ],
)
def test_metadata_that_lies(
    options: dict[str, Any], metadata: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = store(tmp_path, **options)
    change(path, **metadata)
    tracemalloc.start()
    try:
        assert said in store_refusal(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        stop_tracing()


def test_a_shard_of_too_many_chunks(tmp_path: Path) -> None:
    path = store(tmp_path, shards=(8, 8))
    document = json.loads((path / "zarr.json").read_text())
    document["codecs"][0]["configuration"]["chunk_shape"] = [1, 1]
    grid = {"name": "regular", "configuration": {"chunk_shape": [1024, 512]}}
    change(path, shape=[1024, 512], chunk_grid=grid, codecs=document["codecs"])
    assert "a shard of 524,288 chunks" in store_refusal(tmp_path)


def test_a_group_of_too_many_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskstat.readers.zarr._MAX_NODES", 3)
    zarr.create_group(tmp_path / "s.zarr")
    for name in "abc":
        zarr.create_array(tmp_path / "s.zarr" / name, shape=(4, 4), dtype="u1")
    assert "more than 3 arrays and groups: array=NAME" in store_refusal(tmp_path)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # paths of sockets are short


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("make", [_pipe, _device, _socket])
@pytest.mark.parametrize("name", ["0.0", ".zarray"])
def test_what_is_no_file_is_not_waited_for(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = store(tmp_path, zarr_format=2)
    (path / name).unlink()
    make(path / name)
    with pytest.raises(MaskError, match="not a regular file"):
        read_tally_folder(str(path), "m", STRICT)
    with pytest.raises(MaskError, match="not a regular file"):
        store_entry(str(path), "m").load()


def first_chunk(path: Path) -> Path:
    return path / ("c/0/0" if (path / "c").exists() else "0.0")


BOMBS = {
    "gzip": "v3 gzip",
    "zlib": "v2 zlib",
    "zstd": "v3 zstd",
    "blosc": "v3 blosc",
    "lz4": "v2 lz4",
}


@functools.cache
def bomb_of(codec: str) -> bytes:
    """64 MB of zeros, compressed."""
    zeros = bytes(64_000_000)
    if codec in ("gzip", "zlib"):
        stream = zlib.compressobj(9, wbits=31 if codec == "gzip" else 15)
        return stream.compress(zeros) + stream.flush()
    packer = {"zstd": numcodecs.Zstd, "blosc": numcodecs.Blosc, "lz4": numcodecs.LZ4}[codec]
    return bytes(packer().encode(zeros))


@pytest.mark.parametrize("codec", BOMBS)
def test_chunks_expand_no_further_than_a_chunk(codec: str, tmp_path: Path) -> None:
    path = store(tmp_path, **CODECS[BOMBS[codec]]())
    first_chunk(path).write_bytes(bomb_of(codec))
    tracemalloc.start()
    try:
        said = store_refusal(tmp_path)
        assert "a chunk expands to more than" in said
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        stop_tracing()


def test_shards_are_looked_into(tmp_path: Path) -> None:
    """A shard is chunks and an index of them: a bomb in it, and an index that points outside."""
    gzip = zarr.codecs.GzipCodec()
    for chunk, shard in (((4, 4), (8, 8)), ((4, 4), (4, 4))):
        path = store(tmp_path, chunks=chunk, shards=shard, compressors=gzip)
        count = (shard[0] // chunk[0]) * (shard[1] // chunk[1])
        bomb = bomb_of("gzip")
        pairs = [0, len(bomb)] * count
        index = struct.pack(f"<{2 * count}Q", *pairs)
        checksum = struct.pack("<I", _crc32c(index))
        (path / "c/0/0").write_bytes(bomb + index + checksum)
        assert "a chunk expands to more than" in store_refusal(tmp_path)
        index = struct.pack(f"<{2 * count}Q", *([0, 1 << 40] * count))
        (path / "c/0/0").write_bytes(bytes(100) + index + struct.pack("<I", _crc32c(index)))
        assert "Zarr" in store_refusal(tmp_path) or "shard" in store_refusal(tmp_path)
        (path / "c/0/0").write_bytes(b"short")
        store_refusal(tmp_path)


def _crc32c(data: bytes) -> int:
    return int(numcodecs.checksum32.CRC32C().encode(data)[-4:].view("<u4")[0])


@pytest.mark.parametrize("codecs", ["v3 zstd", "v3 gzip", "v3 blosc", "v2 lz4", "v3 shards"])
def test_damaged_chunks(codecs: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    path = store(tmp_path, **CODECS[codecs]())
    chunk = first_chunk(path)
    good = chunk.read_bytes()
    for _ in range(40):
        bad = bytearray(good)
        for at in chance.integers(0, len(bad), 3):
            bad[at] = int(chance.integers(256))
        chunk.write_bytes(bytes(bad[: int(chance.integers(1, len(bad) + 1))]))
        with contextlib.suppress(MaskError):
            read_tally_folder(str(path), "m", STRICT).check()


def test_a_file_larger_than_a_chunk_can_be(tmp_path: Path) -> None:
    path = store(tmp_path)
    first_chunk(path).write_bytes(bytes(3 << 20))
    assert "more than a chunk can need" in store_refusal(tmp_path)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path)
    monkeypatch.setitem(sys.modules, "zarr", None)
    monkeypatch.setitem(sys.modules, "zarr.abc.store", None)
    monkeypatch.delitem(sys.modules, "maskstat.readers.zarr_store", raising=False)
    monkeypatch.delattr("maskstat.readers.zarr_store", raising=False)
    assert 'needs zarr 3: pip install "maskstat[zarr]"' in store_refusal(tmp_path)
