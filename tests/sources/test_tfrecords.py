"""TFRecords: what TensorFlow writes counts, damage is named, and nothing beside it is lost."""

from __future__ import annotations

import gzip
import json
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import MaskError, ParameterError, SourceError
from maskstat.sources.tables import tfrecords
from maskstat.sources.tables.tf_examples import features_of
from tests.support.loops import at_least_one
from tests.support.packages import needs
from tests.support.scan_cases import grey_png, npy, pixels_of, write
from tests.support.source_cases import (
    entries_of,
    example_of,
    masked_crc,
    message,
    record_of,
    source_at,
    tfrecord_of,
    varint,
)

pytestmark = needs("google_crc32c", "needs maskstat[tfrecord]")

MASKS = {f"m_{n}": grey_png(pixels_of(n)) for n in range(6)}
NAMES = [f"{n}/{name}" for n, name in enumerate(MASKS)]
DEEPLAB = "image/segmentation/class/encoded"
PHOTO = b"\xff\xd8\xff photo"


def failures(where: Path | str) -> dict[str, str]:
    return {f.mask: f.reason for f in ms.scan(where, classes=7).failures}


def loaded(where: Path | str, **options: str) -> list[bytes]:
    return [entry.load() for entry in entries_of(where, **options).values()]


def saved(path: Path, *records: dict[str, bytes | list[bytes] | int]) -> Path:
    return write(path, b"".join(record_of(example_of(record)) for record in records))


# --- beside TensorFlow -------------------------------------------------------------------------

TENSORFLOW = """
import json, sys
import tensorflow as tf

folder, masks, mutated = sys.argv[1], *map(json.loads, sys.stdin.read().splitlines())
def feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
for kind in ("", "GZIP", "ZLIB"):
    with tf.io.TFRecordWriter(f"{folder}/{kind or 'plain'}.tfrecord", kind) as writer:
        for name, mask in masks.items():
            height = tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2, 3]))
            weight = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
            features = {
                "image/encoded": feature(b"\\xff\\xd8\\xff photo"),
                "image/filename": feature(name.encode()),
                "image/height": height, "weight": weight,
                "image/segmentation/class/encoded": feature(bytes.fromhex(mask)),
                "image/segmentation/class/format": feature(b"png"),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
read = []
for raw in tf.data.TFRecordDataset(f"{folder}/mine.tfrecord"):
    example = tf.train.Example.FromString(raw.numpy())
    value = example.features.feature["image/segmentation/class/encoded"].bytes_list.value
    read.append(value[0].hex())
parsed = []
for text in mutated:
    try:
        found = tf.train.Example.FromString(bytes.fromhex(text)).features.feature["m"]
        parsed.append([value.hex() for value in found.bytes_list.value])
    except Exception:
        parsed.append(None)
print(json.dumps([read, parsed]))
"""


@needs("tensorflow", "TensorFlow is the oracle of this test")
def test_tensorflow_and_maskstat_read_what_the_other_writes(tmp_path: Path) -> None:
    write(tmp_path / "mine.tfrecord", tfrecord_of(MASKS))
    chance = random.Random(0)
    example = bytearray(example_of({"i": 1, "m": b"\x89content", "name": b"n"}))
    mutated = []
    for _ in range(1500):
        other = bytearray(example)
        for _ in range(chance.randint(1, 3)):
            other[chance.randrange(len(other))] = chance.choice((chance.randrange(256), 10, 18, 0))
        mutated.append(bytes(other[: chance.choice((None, chance.randrange(len(other))))]))
    lines = [{name: mask.hex() for name, mask in MASKS.items()}, [m.hex() for m in mutated]]
    done = subprocess.run(
        [sys.executable, "-c", TENSORFLOW, str(tmp_path)],
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        check=True,
    )
    read, parsed = json.loads(done.stdout.splitlines()[-1])
    assert read == [mask.hex() for mask in MASKS.values()]
    (tmp_path / "mine.tfrecord").unlink()
    plain = np.bincount(np.concatenate([pixels_of(n).ravel() for n in range(6)]), minlength=7)
    for kind in ("plain", "GZIP", "ZLIB"):
        with ms.scan(tmp_path / f"{kind}.tfrecord", classes=7) as scan:
            assert scan.ledger.names == tuple(NAMES)
            assert scan.histogram.pixels.tolist() == plain.tolist()
    # Where an example is damaged: what is read here is what protobuf reads.
    equal = 0
    for data, theirs in zip(mutated, parsed, strict=True):
        try:
            features = features_of(data)
            start, end = features["m"].only()
        except (MaskError, KeyError):
            continue
        if theirs is not None:  # None where a name is no UTF-8, which is no matter here
            assert theirs == [data[start:end].hex()]
            equal += 1
    assert equal > 100


# --- which feature -----------------------------------------------------------------------------


def test_the_feature_of_masks_is_found_or_given(tmp_path: Path) -> None:
    mask, other = MASKS["m_0"], MASKS["m_1"]
    photo = {"image": PHOTO, "file_name": b"a.jpg", "label": 3}
    for features, column in (
        ({"image/segmentation/class/format": b"png", DEEPLAB: mask, "mask": other}, None),
        ({**photo, "segmentation_mask": mask}, None),
        ({**photo, "annotation": mask, "annotation/text": b"a street"}, None),
        ({**photo, "anything": mask, "mask": other}, "anything"),
        ({"a b=&#": mask, "mask": other}, "a b=&#"),
    ):
        where = saved(tmp_path / "a.tfrecord", features, features)
        assert loaded(where, **({"column": column} if column else {})) == [mask, mask]
        again = source_at(source_at(where, column=column).location)
        assert [entry.load() for entry in again.entries()] == [mask, mask]


WRONG = {
    "ambiguous": ({"mask": b"\x89a", "label": b"\x89b"}, None, ["not clear which", "mask (bytes)"]),
    "none": ({"id": 3, "t": b"text"}, None, ["not clear which feature", "id (integers)"]),
    "several": ({"image/object/mask": [b"\x89", b"\x89"]}, None, ["mask (several bytes)"]),
    "unknown": ({"mask": b"\x89"}, "maks", ["no feature 'maks'", "did you mean mask?"]),
    "integers": ({"mask": b"\x89", "id": 3}, "id", ["'id' holds integers"]),
    "hostile": ({"a\x1b[2J\0": b"\x89", "b": b"\x89"}, None, ["a\\x1b[2J\\x00 (bytes)"]),
}


@pytest.mark.parametrize(("features", "column", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_feature_is_an_error_that_lists_them(
    features: dict[str, bytes], column: str | None, said: list[str], tmp_path: Path
) -> None:
    saved(tmp_path / "a.tfrecord", features)
    for where in (tmp_path / "a.tfrecord", tmp_path / "*.tfrecord", tmp_path):
        with pytest.raises(SourceError) as caught:
            ms.scan(where, classes=7, column=column)
        assert all(text in str(caught.value) for text in [*said, "column=NAME"])
        assert str(caught.value).isprintable()


def test_a_record_without_its_mask_fails_by_its_number(tmp_path: Path) -> None:
    good = {DEEPLAB: MASKS["m_0"]}
    where = saved(
        tmp_path / "a.tfrecord",
        good,
        {"image/filename": b"lost.png"},
        {DEEPLAB: 3},
        {DEEPLAB: [b"a", b"b"]},
        {DEEPLAB: []},
        {DEEPLAB: b"", "image/filename": b"a\0\x1b\xff/../b"},
        {DEEPLAB: b"no image"},
        good,
    )
    found = failures(where)
    assert found.pop("6").startswith("not an image")
    assert found == {
        "1/lost.png": f"the record has no feature '{DEEPLAB}'",
        "2": "holds integers",
        "3": "holds several masks",
        "4": "holds no bytes",
        "5/a\0\x1b\\xff/../b": "empty file",
    }


# --- shards and splits -------------------------------------------------------------------------


def test_shards_of_a_folder_and_splits(tmp_path: Path) -> None:
    first, second = dict(list(MASKS.items())[:4]), dict(list(MASKS.items())[4:])
    for names in (
        ("train-00000-of-00001.tfrecord", "val-00000-of-00001.tfrecord"),
        ("pet-train.tfrecord-00000-of-00001", "pet-val.tfrecord-00000-of-00001"),
        ("train.record", "val.record"),
        ("train_0.tfrec", "val_0.tfrec"),
        ("train.tfrecords.gz", "val.tfrecords.gz"),
    ):
        folder = tmp_path / names[0]
        write(folder / names[0], tfrecord_of(first))
        write(folder / names[1], gzip.compress(tfrecord_of(second)))
        write(folder / "dataset_info.json", b"{}")
        write(folder / ".hidden.png", b"")
        whole = ms.scan(folder, classes=7, name=names[0])
        assert [m.rpartition("/")[0] for m in whole.ledger.names] == [
            *(f"{names[0]}/{n}" for n in range(4)),
            *(f"{names[1]}/{n}" for n in range(2)),
        ]
        pattern = ms.scan(f"{folder}/*.{names[0].split('.')[1].partition('-')[0]}*", classes=7)
        assert pattern.ledger.names == whole.ledger.names
        assert ms.scan(folder, classes=7, split="val").histogram.mask_count == 2
        assert set(ms.scan_splits(folder, classes=7)) == {"train", "val"}


def test_a_folder_of_masks_with_a_record_beside_them_is_one_of_masks(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", tfrecord_of(MASKS))
    write(tmp_path / "a.png", MASKS["m_0"])
    assert ms.scan(tmp_path, classes=7).ledger.names == ("a.png",)
    with pytest.raises(ParameterError, match="have columns"):
        ms.scan(tmp_path, classes=7, column="mask")


def test_a_length_that_begins_like_gzip_is_a_length(tmp_path: Path) -> None:
    for wanted in (0x8B1F, 0x0178):
        size = wanted - len(example_of({DEEPLAB: bytes(wanted)})) + wanted
        example = example_of({DEEPLAB: npy(np.zeros(1, np.uint8)).ljust(size, b"\0")})
        assert len(example) == wanted
        (content,) = loaded(write(tmp_path / "a.tfrecord", record_of(example)))
        assert len(content) == size


# --- damage ------------------------------------------------------------------------------------


def test_each_damaged_byte_costs_a_record_or_what_is_behind_a_length(tmp_path: Path) -> None:
    whole = tfrecord_of(MASKS)
    ends = [0]
    while ends[-1] < len(whole):
        ends.append(ends[-1] + 16 + struct.unpack_from("<Q", whole, ends[-1])[0])
    for at in range(0, len(whole), 11):
        record = max(n for n in range(6) if ends[n] <= at)
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        where = write(tmp_path / "a.tfrecord", bytes(data))
        if at - ends[record] >= 12:
            found = failures(where)
            assert found == {str(record): "damaged: the checksum of the record is wrong"}
            assert len(loaded_well(where)) == 5
        elif record == 0:
            with pytest.raises(SourceError, match=r"no TFRecord"):
                ms.scan(where, classes=7)
        else:
            assert failures(where).keys() == {"a.tfrecord"}
            assert f"the length of record {record} is wrong" in failures(where)["a.tfrecord"]
            assert len(loaded_well(where)) == record


def loaded_well(where: Path) -> list[bytes]:
    found = []
    for entry in entries_of(where).values():
        try:
            found.append(entry.load())
        except MaskError:
            continue
    return found


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_a_file_cut_off_anywhere_counts_what_is_whole_and_says_so(
    pack: type[bytes], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 7, (6, 30, 30), np.uint8)
    masks = {f"{n}": npy(noise[n]) for n in range(6)}
    whole = pack(tfrecord_of(masks))
    ends = {n * len(whole) // 6 for n in range(6)} if pack is bytes else set[int]()
    for cut in (*range(1, len(whole) - 1, 1 + len(whole) // 40), len(whole) - 1):
        where = write(tmp_path / "a.tfrecord", whole[:cut])
        if cut in ends:
            continue  # nothing in the file says how many records it has
        try:
            found = failures(where)
        except SourceError:
            assert cut < len(whole) / 2
            continue
        assert found.keys() == {"a.tfrecord"}
        assert "cut off" in found["a.tfrecord"]
        good = loaded_well(where)
        assert good == list(masks.values())[: len(good)]
    packed = write(tmp_path / "a.tfrecord", whole + b"more")
    assert failures(packed).keys() == {"a.tfrecord"}
    assert len(loaded_well(packed)) == 6


def test_lengths_that_lie_fill_no_memory(tmp_path: Path) -> None:
    start = tfrecord_of(MASKS)
    for length in (2**63, 2**64 - 1, 2**40, tfrecords._LARGEST + 1, 5000):
        head = struct.pack("<Q", length)
        data = start + head + masked_crc(head) + bytes(1000)
        for packed in (data, gzip.compress(data), zlib.compress(data)):
            where = write(tmp_path / "a.tfrecord", packed)
            tracemalloc.start()
            found = failures(where)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 20 << 20
            assert found == {"a.tfrecord": "ends in the middle of record 6: it may be cut off"}


def test_a_record_that_is_too_large_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecords, "_LARGEST", 4 << 20)
    data = tfrecord_of(MASKS)
    for packed in (bytes, gzip.compress, zlib.compress):
        large = struct.pack("<Q", 64 << 20)
        bomb = data + large + masked_crc(large) + bytes((64 << 20) + 4) + data
        where = write(tmp_path / "a.tfrecord", packed(bomb))
        del bomb
        tracemalloc.start()
        found = failures(where)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20 << 20
        assert found == {"6": "a record of more than 4 MiB"}


def test_examples_that_lie_are_failures(tmp_path: Path) -> None:
    mask = MASKS["m_0"]

    def value(content: bytes) -> bytes:
        return message(2, message(1, message(1, content)))

    def example(*entries: bytes) -> bytes:
        return message(1, b"".join(message(1, entry) for entry in entries))

    key = message(1, DEEPLAB.encode())
    damaged = {
        "twice": example(key + value(mask), key + value(b"other")),
        "two keys": example(key + message(1, b"other") + value(mask)),
        "two values": example(key + value(mask) + value(mask)),
        "bytes and integers": example(key + message(2, message(1, b"") + message(3, b""))),
        "past its end": example(key + value(mask))[:-1],
        "length of 2^63": message(1, b"\x0a" + varint(2**63)),
        "length of 2^70": message(1, b"\x0a" + b"\xff" * 10 + b"\x01"),
        "a group": b"\x0b" + example(key + value(mask)),
        "number 0": b"\x02\x00" + example(key + value(mask)),
        "no message": b"\x08\x01",
        "text": b"no example at all",
    }
    good = record_of(example_of({DEEPLAB: mask}))
    where = write(tmp_path / "a.tfrecord", good + b"".join(map(record_of, damaged.values())))
    found = failures(where)
    assert set(found) == {str(n + 1) for n in range(len(damaged))}
    assert set(found.values()) == {"holds no tf.train.Example, or a damaged one"}
    many = example(*(message(1, str(n).encode()) for n in range(10_001)))
    assert "more than 10,000" in failures(write(where, good + record_of(many)))["1"]
    assert loaded(write(where, good + record_of(b"\x12\x01x" + example(key + value(mask))))) == [
        mask,
        mask,
    ]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_a_failure(data: bytes) -> None:
    for text in at_least_one((data, example_of({"m": b"x"}) + data, message(1, message(1, data)))):
        try:
            found = features_of(text)
        except MaskError:
            continue
        assert all(0 <= a <= b <= len(text) for f in found.values() for a, b in f.spans)


def test_what_is_no_record_is_an_error_and_an_empty_one_has_no_masks(tmp_path: Path) -> None:
    for content in (b"\x89PNG" * 9, b"x", gzip.compress(b"nothing at all"), b"\x78\x9c" * 20):
        where = write(tmp_path / "a.tfrecord", content)
        with pytest.raises(SourceError) as caught:
            ms.scan(where, classes=7)
        assert "no masks found" not in str(caught.value)
    for content in (b"", gzip.compress(b"")):
        with pytest.raises(SourceError, match="no masks found"):
            ms.scan(write(tmp_path / "a.tfrecord", content), classes=7)


def test_the_checksum_is_one_that_others_know() -> None:
    assert find_spec("google_crc32c")
    assert tfrecords._crc32c()(b"123456789") == 0xE3069283  # the check value of RFC 3720's CRC-32C
