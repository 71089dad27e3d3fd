"""Which column holds masks: by name, by what its first rows show, or an error that lists them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import maskstat as ms
from maskstat.errors import SourceError
from maskstat.files.photographs import is_photograph
from maskstat.sources.tables.mask_columns import Look, choose, is_called_masks
from tests.support.packages import package
from tests.support.paths import CAMVID, SHARED
from tests.support.scan_cases import grey_png, pixels_of, write
from tests.support.source_cases import entries_of

MASKS = [grey_png(pixels_of(n)) for n in range(4)]


def photo(seed: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Something like a photograph: slopes with noise."""
    rng = np.random.default_rng(seed)
    slopes = np.add.outer(np.arange(40), np.arange(60))[..., None]
    pixels = (slopes + rng.integers(0, 60, (40, 60, 3))).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def table(folder: Path, text: str, name: str = "list.csv") -> Path:
    for n, mask in enumerate(MASKS):
        write(folder / f"m/{n}.png", mask)
        write(folder / f"i/{n}.png", photo(n))
    return write(folder / name, text.encode())


# --- what is a photograph ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WebP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_photographs_of_any_kind(kind: str, mode: str) -> None:
    assert is_photograph(photo(1, kind, mode)) is True


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 256),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_patches_of_any_number_of_values_are_no_photograph(
    height: int, width: int, values: int, seed: int, colour: bool
) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if colour else (height, width)
    patches = rng.integers(0, values, shape).astype(np.uint8)
    pixels = patches.repeat(8, axis=0).repeat(8, axis=1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert is_photograph(stream.getvalue()) is False


@given(st.binary(max_size=60), st.sampled_from([b"", *MASKS[:1], photo(0), photo(0, "JPEG")]))
def test_whatever_the_bytes_are_there_is_an_answer(noise: bytes, image: bytes) -> None:
    half = len(image) // 2
    assert is_photograph(image[:half] + noise + image[half:]) in {True, False, None}


def test_camvid_has_photographs_and_masks() -> None:
    if not CAMVID.exists():
        pytest.skip("real masks are absent: ../shared")
    images = sorted((CAMVID / "val" / "images").glob("*"))[:20]
    masks = sorted((CAMVID / "val" / "masks").glob("*"))[:20]
    assert {is_photograph(path.read_bytes()) for path in images} == {True}
    assert {is_photograph(path.read_bytes()) for path in masks} == {False}


# --- by name, by a look ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["mask", "mask_file_name", "maskFileName", "seg", "GT", "annotation_path", "Label Map", "anno"],
)
def test_names_of_masks(name: str) -> None:
    assert is_called_masks(name)


@pytest.mark.parametrize(
    "name", ["file_name", "image", "mask_id", "num_labels", "segment", "masked", "label_count", ""]
)
def test_names_of_others(name: str) -> None:
    assert not is_called_masks(name)


LOOKS: tuple[Look, ...] = ("masks", "photographs", "no files", "unknown")


@given(st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(LOOKS)), st.randoms())
def test_a_choice_depends_on_no_order_and_is_of_masks(looks: dict[str, Look], random: Any) -> None:
    names = list(looks)
    found = choose(names, looks.__getitem__).column
    random.shuffle(names)
    assert choose(names, looks.__getitem__).column == found
    if found is not None and len(looks) > 1:
        assert looks[found] == "masks"
        assert list(looks.values()).count("masks") == 1
    assert choose([*names, "mask"], looks.__getitem__).column == "mask"


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("file_name,mask_file_name", ["i/0.png,m/0.png", "i/1.png,m/1.png"]),
        ("path,seg", ["i/0.png,m/0.png", "i/1.png,m/1.png"]),
        ("path,label", ["m/0.png,cat", "m/1.png,dog"]),
        ("path,filename", ["m/0.png,0.png", "m/1.png,1.png"]),
        ("file,path", ["i/0.png,m/0.png", "i/1.png,m/1.png"]),
        ("file,path", [",m/0.png", "i/1.png,m/1.png"]),
        ("target,label", ["i/0.png,m/0.png", "i/1.png,m/1.png"]),
        ("path,mask_rle", ["m/0.png,1 5 9 2", "m/1.png,"]),
    ],
)
@pytest.mark.parametrize("name", ["list.csv", "list.tsv"])
def test_the_masks_of_a_list(header: str, rows: list[str], name: str, tmp_path: Path) -> None:
    text = "\n".join([header, *rows])
    where = table(tmp_path, text.replace(",", "\t") if name.endswith("tsv") else text, name)
    assert {key: entry.load() for key, entry in entries_of(where).items()} == {
        "m/0.png": MASKS[0],
        "m/1.png": MASKS[1],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mask,label\nm/0.png,m/1.png\n", ["mask: masks, label: masks"]),
        ("path,label\ni/0.png,cat\n", ["label: text", "path: photographs"]),
        ("path,file\nhttps://a/b.png,https://a/c.png\n", ["path: unknown, file: unknown"]),
    ],
)
def test_what_can_not_be_decided_is_an_error_that_lists_the_columns(
    text: str, said: Sequence[str], tmp_path: Path
) -> None:
    where = table(tmp_path, text)
    header = text.partition("\n")[0].replace(",", ", ")
    with pytest.raises(SourceError) as caught:
        ms.scan(where, classes=7, db=tmp_path / "kept.db")
    assert all(part in str(caught.value) for part in [*said, header, "column=NAME"])
    assert not (tmp_path / "kept.db").exists()


@pytest.mark.parametrize("header", ["image,box", "image,annotation"])
def test_numbers_that_may_be_boxes_are_no_paths(header: str, tmp_path: Path) -> None:
    where = table(tmp_path, f"{header}\ni/0,1 5 9 2\ni/1,7 2 3 4\n")
    with pytest.raises(SourceError) as caught:
        ms.scan(where, db=tmp_path / "kept.db")
    assert "run lengths" in str(caught.value)
    assert not (tmp_path / "kept.db").exists()


def test_the_line_of_a_bad_row_is_right_behind_those_looked_at(tmp_path: Path) -> None:
    rows = ["m/0.png"] * 20
    rows[12] = "m/\0.png"
    with ms.scan(table(tmp_path, "\n".join(["mask", *rows])), classes=7) as scan:
        assert [failure.mask for failure in scan.failures] == ["line 14"]


def test_the_case_of_a_photographs_column() -> None:
    where = SHARED / "cases" / "photo-column" / "metadata.csv"
    if not where.exists():
        pytest.skip("real masks are absent: ../shared")
    scan = ms.scan(where)
    assert scan.ledger.names == ("m/0.png", "m/1.png")
    assert {value for t in scan.tables() for value in t.values.tolist()} == {0, 1, 2}
    assert scan.failures == ()


# --- Parquet and Arrow -------------------------------------------------------------------------


def saved(where: Path, columns: dict[str, list[Any]]) -> Path:
    pyarrow = package("pyarrow", reason="needs maskstat[parquet]")
    pq = package("pyarrow.parquet", reason="needs maskstat[parquet]")
    found = pyarrow.table(columns)
    stream = io.BytesIO()
    if where.suffix == ".parquet":
        pq.write_table(found, stream, row_group_size=3)
    else:
        with pyarrow.ipc.new_stream(stream, found.schema) as writer:
            writer.write_table(found, max_chunksize=3)
    return write(where, stream.getvalue())


PHOTOS = [photo(n, "JPEG") for n in range(4)]
NESTED = [{"bbox": [[1, 2, 3, 4]], "segmentation": [[[1.0, 2.0]]]}] * 4


@pytest.mark.parametrize("kind", ["m.parquet", "m.arrow"])
@pytest.mark.parametrize(
    "columns",
    [
        {"image": PHOTOS, "pixel_labels": MASKS},
        {"image": PHOTOS, "other": MASKS},
        {"a": MASKS, "b": PHOTOS, "c": [photo(n) for n in range(4)]},
        {"label": PHOTOS, "annotation": MASKS},
        {"image": MASKS},
    ],
)
def test_the_masks_of_a_table(kind: str, columns: dict[str, list[Any]], tmp_path: Path) -> None:
    where = saved(tmp_path / kind, columns)
    assert [entry.load() for entry in entries_of(where).values()] == MASKS


@pytest.mark.parametrize("kind", ["m.parquet", "m.arrow"])
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"image": PHOTOS, "objects": NESTED}, ["image: photographs", "objects (struct<"]),
        ({"a": MASKS, "b": MASKS}, ["a: masks, b: masks"]),
        ({"a": PHOTOS, "b": PHOTOS}, ["a: photographs, b: photographs"]),
        ({"a": [b"?"] * 4, "b": MASKS}, ["a: unknown, b: masks"]),
    ],
)
def test_a_table_of_photographs_is_an_error_that_lists_the_columns(
    kind: str, columns: dict[str, list[Any]], said: Sequence[str], tmp_path: Path
) -> None:
    where = saved(tmp_path / kind, columns)
    with pytest.raises(SourceError) as caught:
        ms.scan(where, classes=7, db=tmp_path / "kept.db")
    assert all(part in str(caught.value) for part in [*said, "column=NAME"])
    assert not (tmp_path / "kept.db").exists()
