"""The same masks in every kind of source."""

from __future__ import annotations

import functools
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from maskstat.sources.base import Entry, Selection, Source
from maskstat.sources.opening import open_source
from tests.support.scan_cases import write

Files = Mapping[str, bytes]
STAMP = 1_700_000_000_000_000_000  # ns; all sources are as old, so that only content can differ


def zip_of(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def tar_of(files: Files | Iterable[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> bytes:
    """A tar of files by name, or of members made by hand."""
    stream = io.BytesIO()
    members = (
        [(tar_info(name, len(data)), data) for name, data in files.items()]
        if isinstance(files, Mapping)
        else files
    )
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def tar_info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def zstandard_of(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard", reason="needs maskstat[zstd]")
    compressed: bytes = zstandard.compress(data)
    return compressed


def parquet_of(files: Files, rows: int = 7, **options: object) -> bytes:
    """Hugging Face's layout: a struct of bytes and path."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs maskstat[parquet]")
    import pyarrow.parquet as pq

    cells = [{"bytes": data, "path": name} for name, data in files.items()]
    stream = io.BytesIO()
    table = pyarrow.table({"id": list(range(len(cells))), "mask": cells})
    pq.write_table(table, stream, row_group_size=rows, **options)
    return stream.getvalue()


def arrow_of(files: Files, rows: int = 7, *, structs: bool = False) -> bytes:
    """A plain column of bytes, in the format without a footer that caches of datasets have.

    With `structs` of bytes and path, as an image of theirs.
    """
    pyarrow = pytest.importorskip("pyarrow", reason="needs maskstat[parquet]")
    stream = io.BytesIO()
    cells = [{"bytes": data, "path": name} for name, data in files.items()]
    table = pyarrow.table(
        {"id": list(range(len(files))), "mask": cells if structs else list(files.values())}
    )
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return stream.getvalue()


_CRC_TABLE = [
    functools.reduce(lambda crc, _: crc >> 1 ^ 0x82F63B78 * (crc & 1), range(8), byte)
    for byte in range(256)
]


def masked_crc(data: bytes) -> bytes:
    """The checksum of TFRecords, byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record_of(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head, value = head + bytes([value & 127 | 128]), value >> 7
    return head + bytes([value])


def message(number: int, content: bytes) -> bytes:
    """A field of protobuf's: bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example_of(features: Mapping[str, bytes | list[bytes] | int]) -> bytes:
    """A tf.train.Example."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, int):
            feature = message(3, message(1, varint(value)))
        else:
            values = value if isinstance(value, list) else [value]
            feature = message(1, b"".join(message(1, one) for one in values))
        entries += message(1, message(1, name.encode()) + message(2, feature))
    return message(1, entries)


def tfrecord_of(files: Files) -> bytes:
    """DeepLab's layout."""
    return b"".join(
        record_of(
            example_of(
                {
                    "image/encoded": b"\xff\xd8\xff photo",
                    "image/filename": name.encode(),
                    "image/height": 1,
                    "image/segmentation/class/encoded": data,
                    "image/segmentation/class/format": b"png",
                }
            )
        )
        for name, data in files.items()
    )


def _records(root: Path, files: Files) -> str:
    pytest.importorskip("google_crc32c", reason="needs maskstat[tfrecord]")
    names = list(files)
    for number in range(3):
        part = {name: files[name] for name in names[number::3]}
        name = f"masks.tfrecord-{number:05}-of-00003"
        write(root / "records" / name, tfrecord_of(part), stamp=STAMP)
    write(root / "records" / "dataset_info.json", b"{}")
    return str(root / "records")


def _packed_records(pack: Callable[[bytes], bytes]) -> Callable[[Files], bytes]:
    def packed(files: Files) -> bytes:
        pytest.importorskip("google_crc32c", reason="needs maskstat[tfrecord]")
        return pack(tfrecord_of(files))

    return packed


def _saved(root: Path, files: Files) -> str:
    """As Hugging Face's `DatasetDict.save_to_disk` writes it, with a result of `map` beside."""
    names = list(files)
    for at, split in enumerate(("seen", "novel")):
        for number in range(2):
            part = {name: files[name] for name in names[2 * at + number :: 4]}
            name = f"data-{number:05}-of-00002.arrow"
            write(root / "saved" / split / name, arrow_of(part, structs=True), stamp=STAMP)
        state = {"_data_files": [{"filename": f"data-{n:05}-of-00002.arrow"} for n in range(2)]}
        state |= {"_fingerprint": "a", "_format_type": None, "_split": split}
        write(root / "saved" / split / "state.json", json.dumps(state).encode())
        write(root / "saved" / split / "dataset_info.json", b"{}")
        write(root / "saved" / split / "cache-1.arrow", b"no part of it")
    write(root / "saved" / "dataset_dict.json", b'{"splits": ["seen", "novel"]}')
    return str(root / "saved")


def _folder(root: Path, files: Files) -> str:
    for name, data in files.items():
        write(root / "masks" / name, data, stamp=STAMP)
    return str(root / "masks")


def _one_file(name: str, pack: Callable[[Files], bytes]) -> Callable[[Path, Files], str]:
    return lambda root, files: str(write(root / name, pack(files), stamp=STAMP))


def _shards(suffix: str, pattern: str, pack: Callable[[Files], bytes]) -> Callable[..., str]:
    def build(root: Path, files: Files) -> str:
        names = list(files)
        for number in range(3):
            part = {name: files[name] for name in names[number::3]}
            write(root / f"shard-{number:03}{suffix}", pack(part), stamp=STAMP)
        return f"{root}/{pattern}"

    return build


def _manifest(root: Path, files: Files) -> str:
    _folder(root, files)
    rows = [f"image_{n}.jpg\tmasks/{name}" for n, name in enumerate(files)]
    write(root / "list.tsv", "\n".join(["image\tmask", *rows]).encode())
    return str(root / "list.tsv")


# How to put files into a source below a folder, and what to scan then.
SOURCES: dict[str, Callable[[Path, Files], str]] = {
    "folder": _folder,
    "manifest": _manifest,
    "zip": _one_file("masks.zip", zip_of),
    "zip stored": _one_file("masks.zip", lambda files: zip_of(files, zipfile.ZIP_STORED)),
    "zip bzip2": _one_file("masks.zip", lambda files: zip_of(files, zipfile.ZIP_BZIP2)),
    "zip shards": _shards(".zip", "shard-{000..002}.zip", zip_of),
    "tar": _one_file("masks.tar", tar_of),
    "tar.gz": _one_file("masks.tar.gz", lambda files: tar_of(files, "w:gz")),
    "tgz": _one_file("masks.tgz", lambda files: tar_of(files, "w:gz")),
    "tar.zst": _one_file("masks.tar.zst", lambda files: zstandard_of(tar_of(files))),
    "tar shards": _shards(".tar", "shard-*.tar", tar_of),
    "tar.gz shards": _shards(
        ".tar.gz", "shard-00{0..2}.tar.gz", lambda files: tar_of(files, "w:gz")
    ),
    "parquet": _one_file("masks.parquet", parquet_of),
    "arrow": _one_file("masks.arrow", arrow_of),
    "tfrecord": _one_file("masks.tfrecord", _packed_records(bytes)),
    "tfrecord gzip": _one_file("masks.tfrecord", _packed_records(gzip.compress)),
    "tfrecord zlib": _one_file("masks.tfrecord", _packed_records(zlib.compress)),
    "tfrecord shards": _records,
    "arrow saved": _saved,
    "parquet shards": _shards(".parquet", "shard-*.parquet", parquet_of),
}


def entries_of(where: str | Path, **options: object) -> dict[str, Entry]:
    """name -> entry, everything taken; each name must be there once."""
    listed = list(source_at(where, **options).entries())
    found = {entry.name: entry for entry in listed}
    assert len(found) == len(listed)
    return found


def source_at(
    where: str | Path,
    include: tuple[str, ...] = ("*",),
    exclude: tuple[str, ...] = (),
    **options: object,
) -> Source:
    return open_source(where, Selection(include, exclude), **options)  # type: ignore[arg-type]
