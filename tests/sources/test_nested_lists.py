"""Masks as lists of numbers in Parquet files; what pages say is read before pyarrow reads them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MaskError, SourceError
from maskstat.sources.tables import parquet_pages
from tests.support.packages import needs, package
from tests.support.paths import FIXTURES
from tests.support.scan_cases import grey_png, pixels_of

pytestmark = needs("pyarrow", "needs maskstat[parquet]")
pyarrow = package("pyarrow")
pq = package("pyarrow.parquet")

MASKS = [pixels_of(n) for n in range(12)]
TOTAL = np.bincount(np.concatenate([mask.ravel() for mask in MASKS]), minlength=7).tolist()


def nested(masks: object, kind: str = "uint8", *, large: bool = False) -> Any:
    lists = pyarrow.large_list if large else pyarrow.list_
    return pyarrow.array(masks, lists(lists(pyarrow.type_for_alias(kind))))


def saved(path: Path, masks: object, **options: object) -> Path:
    table = pyarrow.table({"id": list(range(len(masks))), "mask": masks})  # type: ignore[arg-type]
    pq.write_table(table, path, **{"row_group_size": 5, **options})
    return path


WAYS: dict[str, dict[str, object]] = {
    "plain": {"use_dictionary": False, "compression": "none"},
    "dictionary": {},
    "zstd": {"compression": "zstd"},
    "pages of version 2": {"data_page_version": "2.0"},
    "small pages": {"data_page_size": 64, "write_batch_size": 16},
    "no statistics": {"write_statistics": False},
    "page index": {"write_page_index": True, "write_page_checksum": True},
    "one group": {"row_group_size": 100},
    "delta": {"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
def test_lists_count_as_numpy_counts_them(way: str, kind: str, tmp_path: Path) -> None:
    if way == "delta" and kind == "uint8":
        kind = "int16"
    column = nested([mask.tolist() for mask in MASKS], kind, large=way == "zstd")
    options = dict(WAYS[way])
    if way == "delta":
        options["column_encoding"] = {"mask.list.element.list.element": "DELTA_BINARY_PACKED"}
    with ms.scan(saved(tmp_path / "m.parquet", column, **options), classes=7) as scan:
        assert scan.histogram.pixels.tolist() == TOTAL
        assert scan.failures == ()
        entries = list(scan.entries())
    for entry, mask in zip(reversed(entries), reversed(MASKS), strict=True):
        entry.let_go()
        back = np.load(io.BytesIO(entry.load()))
        assert np.array_equal(back, mask) and back.dtype == np.dtype(kind)


def test_what_hugging_face_wrote_counts(tmp_path: Path) -> None:
    """By datasets 5.2.0: `mask` is a Sequence of Sequences, `arr` an Array2D."""
    found = [
        ms.scan(FIXTURES / "nested_lists.parquet", classes=7, column=column)
        for column in ("mask", "arr")
    ]
    rows = pq.read_table(FIXTURES / "nested_lists.parquet")["mask"].to_pylist()
    expected = np.bincount(np.array(rows).ravel(), minlength=7)
    assert [scan.histogram.pixels.tolist() for scan in found] == [expected.tolist()] * 2


def test_lists_that_are_no_masks_fail_by_their_row(tmp_path: Path) -> None:
    good = [[1, 2], [3, 4]]
    rows = [good, None, [], [[]], [[1, 2], [3]], [[1, None]], [None, [1]], good, [[5]]]
    with ms.scan(saved(tmp_path / "m.parquet", nested(rows)), classes=7) as scan:
        assert scan.histogram.pixels.tolist() == [0, 2, 2, 2, 2, 1, 0]
        ragged, nulls = "its lists are no rows of one length", "its lists hold nulls"
        assert {failure.mask: failure.reason for failure in scan.failures} == {
            "1": "the row holds no bytes",
            **dict.fromkeys("234", ragged),
            "5": nulls,
            "6": ragged,
        }


def test_other_lists_hold_no_masks(tmp_path: Path) -> None:
    boxes = pyarrow.array([[1.5, 2.5]] * 3)
    cubes = pyarrow.array([[[[1]]]] * 3)
    structs = pyarrow.array([[{"a": [1]}]] * 3)
    images = pyarrow.array([grey_png(MASKS[0])] * 3)
    table = {"boxes": boxes, "cubes": cubes, "structs": structs, "what": images}
    pq.write_table(pyarrow.table(table), tmp_path / "m.parquet")
    assert ms.scan(tmp_path / "m.parquet", classes=7).histogram.mask_count == 3
    for column in ("boxes", "cubes", "structs"):
        with pytest.raises(SourceError, match="holds no bytes"):
            ms.scan(tmp_path / "m.parquet", column=column)


def zeros(count: int) -> Any:
    values = pyarrow.array(np.zeros(count, np.uint8))
    row = pyarrow.ListArray.from_arrays(pyarrow.array([0, count], pyarrow.int32()), values)
    return pyarrow.ListArray.from_arrays(pyarrow.array([0, 1], pyarrow.int32()), row)


def test_many_equal_numbers_fill_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = saved(tmp_path / "m.parquet", zeros(1 << 22))
    assert where.stat().st_size < 4000
    assert ms.scan(where, classes=7).histogram.pixels[0] == 1 << 22
    monkeypatch.setattr(parquet_pages, "MOST_VALUES", (1 << 22) - 1)
    (failure,) = ms.scan(where, classes=7).failures
    assert "lists of more than 4,194,303 numbers in one row group" in failure.reason


def test_pages_that_say_more_than_the_footer_are_damage(tmp_path: Path) -> None:
    """A page of 64 numbers that says it has 2^27 is not given to pyarrow."""
    where = saved(tmp_path / "m.parquet", zeros(1 << 20), use_dictionary=False)
    data = bytearray(where.read_bytes())
    said = b"\x15" + varint_of(1 << 20)
    assert data.count(said) >= 1
    at = data.index(said)
    data[at : at + len(said)] = b"\x15" + varint_of((1 << 21) - 1)
    where.write_bytes(data)
    (failure,) = ms.scan(where, classes=7).failures
    assert "the headers of its pages are damaged" in failure.reason


def varint_of(value: int) -> bytes:
    """A number of Thrift's compact protocol."""
    value, out = value << 1, b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def test_footers_that_lie_are_refused(tmp_path: Path) -> None:
    for data in (
        b"",
        b"\xff" * 40,
        b"\x19" * 5000,
        b"\x1c" * 5000,
        b"\x18" + b"\xff" * 9 + b"\x01",
        b"\x49\xfc\xff\xff\xff\xff\x0f",
        b"\x49\x1c\x19\x1c\x3c\x00\x00\x00",
    ):
        file = io.BytesIO(b"PAR1" + data + struct.pack("<I", len(data)) + b"PAR1")
        with pytest.raises(MaskError, match="damaged"):
            parquet_pages.chunks_of(file, len(file.getvalue()), "mask", 1)
    with pytest.raises(MaskError, match="damaged"):
        parquet_pages.chunks_of(io.BytesIO(b"PAR1" + b"\xff" * 4 + b"PAR1"), 12, "mask", 1)
