"""Tables: the right column, a few rows at a time, and damage that stays where it is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import maskstat as ms
from maskstat.errors import MaskError, MissingExtraError, ParameterError, SourceError
from maskstat.sources import reading_ahead
from maskstat.sources.tables import parquet
from tests.support.loops import at_least_one
from tests.support.packages import package
from tests.support.scan_cases import grey_png, pixels_of, stored_rows, write
from tests.support.source_cases import arrow_of, entries_of, parquet_of, source_at
from tests.support.tracing import stop_tracing

pyarrow = package("pyarrow", reason="needs maskstat[parquet]")
pq = package("pyarrow.parquet", reason="needs maskstat[parquet]")

MASKS = {f"m/{n}.png": grey_png(pixels_of(n)) for n in range(6)}
CELLS = [{"bytes": data, "path": name} for name, data in MASKS.items()]
CONTENTS = list(MASKS.values())
PHOTOS = [b"\xff\xd8\xff photo"] * 6


def saved(where: Path, columns: dict[str, Any], **options: Any) -> Path:
    if not isinstance(columns, pyarrow.Table):
        columns = {name: cells() if callable(cells) else cells for name, cells in columns.items()}
        columns = pyarrow.table(columns)
    stream = io.BytesIO()
    if where.suffix == ".parquet":
        pq.write_table(columns, stream, **options)
    elif options.get("footer"):
        with pyarrow.ipc.new_file(stream, columns.schema) as writer:
            writer.write_table(columns, max_chunksize=4)
    else:
        with pyarrow.ipc.new_stream(stream, columns.schema) as writer:
            writer.write_table(columns, max_chunksize=4)
    return write(where, stream.getvalue())


def loaded(where: Path, **options: Any) -> list[bytes]:
    return [entry.load() for entry in entries_of(where, **options).values()]


# --- which column ------------------------------------------------------------------------------

COLUMNS: dict[str, tuple[dict[str, Any], str | None]] = {
    "struct": ({"id": [*range(6)], "anything": CELLS}, None),
    "binary": ({"id": [*range(6)], "anything": CONTENTS}, None),
    "large binary": ({"anything": lambda: pyarrow.array(CONTENTS, pyarrow.large_binary())}, None),
    "struct of bytes alone": ({"anything": [{"bytes": data} for data in CONTENTS]}, None),
    "struct with more": (
        {"x": [{"height": 1, "path": str(n), "bytes": d} for n, d in enumerate(CONTENTS)]},
        None,
    ),
    "named label": ({"image": PHOTOS, "Label": CONTENTS}, None),
    "named annotation": ({"image": PHOTOS, "depth": PHOTOS, "annotation": CELLS}, None),
    "chosen": ({"image": PHOTOS, "mask": PHOTOS, "fine": CELLS}, "fine"),
    "chosen with a dot": ({"image": PHOTOS, "mask.fine": CONTENTS}, "mask.fine"),
    "chosen with a blank": ({"image": PHOTOS, "the mask": CELLS}, "the mask"),
}


@pytest.mark.parametrize("kind", ["m.parquet", "m.arrow"])
@pytest.mark.parametrize(("columns", "column"), COLUMNS.values(), ids=COLUMNS.keys())
def test_the_column_of_masks_is_found_or_given(
    kind: str, columns: dict[str, Any], column: str | None, tmp_path: Path
) -> None:
    where = saved(tmp_path / kind, columns)
    assert loaded(where, column=column) == CONTENTS
    source = source_at(where, column=column)
    again = source_at(source.location)
    assert [entry.load() for entry in again.entries()] == CONTENTS


WRONG: dict[str, tuple[dict[str, Any], str | None, list[str]]] = {
    "ambiguous": ({"image": PHOTOS, "other": CELLS}, None, ["which column", "image", "other"]),
    "two masks": ({"mask": CELLS, "label": CELLS}, None, ["which column", "mask", "label"]),
    "none": ({"id": [1], "text": ["x"]}, None, ["which column", "id (int64)", "text (string)"]),
    "no columns": ({}, None, ["the columns are none"]),
    "unknown": ({"mask": CELLS}, "masc", ["no column 'masc'", "did you mean mask?", "mask"]),
    "not bytes": ({"mask": CELLS, "id": [*range(6)]}, "id", ["'id' holds no bytes", "mask"]),
    "hostile": ({"a\x1b[2J": PHOTOS, "b": PHOTOS}, None, ["a\\x1b[2J (binary)"]),
}


@pytest.mark.parametrize("kind", ["m.parquet", "m.arrow"])
@pytest.mark.parametrize(("columns", "column", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_column_is_an_error_that_lists_them(
    kind: str, columns: dict[str, Any], column: str | None, said: list[str], tmp_path: Path
) -> None:
    saved(tmp_path / kind, columns)
    for where in (tmp_path / kind, tmp_path / f"*{Path(kind).suffix}"):
        with pytest.raises(SourceError) as caught:
            ms.scan(where, classes=7, column=column)
        assert all(text in str(caught.value) for text in [*said, "column=NAME"])
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("where", ["masks", "masks/a.png", "masks/*.png", "masks.zip"])
def test_other_sources_have_no_columns(where: str, tmp_path: Path) -> None:
    write(tmp_path / "masks" / "a.png", b"x")
    write(tmp_path / "masks.zip", b"x")
    with pytest.raises(ParameterError, match="have columns"):
        ms.scan(tmp_path / where, classes=7, column="mask")


# --- rows --------------------------------------------------------------------------------------


def test_options_that_are_wrong_for_every_file_begin_no_scan(tmp_path: Path) -> None:
    for name in "ab":
        saved(tmp_path / f"{name}.parquet", {"mask": CELLS, "label": CELLS})
    with pytest.raises(SourceError, match="which column"):
        ms.scan(tmp_path / "*.parquet", classes=7, db=tmp_path / "s.db")
    assert not (tmp_path / "s.db").exists()


def test_masks_are_called_by_row_and_path(tmp_path: Path) -> None:
    where = write(tmp_path / "m.parquet", parquet_of(MASKS, rows=2))
    assert [*entries_of(where)] == [f"{row}/{name}" for row, name in enumerate(MASKS)]
    where = write(tmp_path / "m.arrow", arrow_of(MASKS))
    assert [*entries_of(where)] == [str(row) for row in range(6)]
    odd = saved(
        tmp_path / "odd.parquet",
        {
            "mask": [
                {"bytes": b"1", "path": "../../x.png"},
                {"bytes": b"2", "path": ""},
                {"bytes": b"3", "path": "a\x1b[2J.png"},
                {"bytes": b"4", "path": "a"},
            ]
        },
    )
    assert [*entries_of(odd)] == ["0/../../x.png", "1", "2/a\x1b[2J.png", "3/a"]
    assert [*entries_of(odd, include=("*.png",), exclude=("2/*",))] == ["0/../../x.png"]


def test_rows_without_bytes_fail_by_name_and_the_rest_counts(tmp_path: Path) -> None:
    cells = [CELLS[0], {"bytes": None, "path": "far/away.png"}, None, CELLS[1]]
    where = saved(tmp_path / "m.parquet", {"mask": cells})
    scan = ms.scan(where, classes=7)
    assert scan.histogram.mask_count == 2
    assert {f.mask: f.reason for f in scan.failures} == {
        "1/far/away.png": "the row holds no bytes: only the path far/away.png",
        "2": "the row holds no bytes",
    }
    plain = saved(tmp_path / "n.arrow", {"mask": [CONTENTS[0], None, b""]})
    assert [f.reason for f in ms.scan(plain, classes=7).failures] == [
        "the row holds no bytes",
        "empty file",
    ]


def test_paths_that_are_no_utf_8(tmp_path: Path) -> None:
    raw = pyarrow.array([b"caf\xe9.png"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 1, raw.buffers())
    cells = pyarrow.StructArray.from_arrays([pyarrow.array([b"1"]), text], ["bytes", "path"])
    where = saved(tmp_path / "m.parquet", {"mask": cells})
    assert [*entries_of(where)] == ["0/caf\\xe9.png"]


def test_a_column_whose_statistics_contradict_its_kind_is_no_crash(tmp_path: Path) -> None:
    """pyarrow's look at such a column ends the process."""
    where = saved(tmp_path / "m.parquet", {"id": [1, 2], "mask": [b"1", b"2"]})
    optional, unheard_of = b"\x25\x02\x18\x02id", b"\x25\x03\x18\x02id"
    data = where.read_bytes()
    assert optional in data
    where.write_bytes(data.replace(optional, unheard_of))
    script = "import sys, maskstat as ms; ms.scan(sys.argv[1], classes=2, db=None)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(where)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in {0, 1}, done.stderr


def test_column_names_that_are_no_utf_8(tmp_path: Path) -> None:
    where = saved(tmp_path / "m.parquet", {"mask": [b"1"], "other": [2]})
    where.write_bytes(where.read_bytes().replace(b"other", b"oth\xe9r"))
    with pytest.raises(SourceError, match="damaged"):
        entries_of(where)


def test_a_table_without_rows_has_no_masks(tmp_path: Path) -> None:
    empty = pyarrow.table({"mask": pyarrow.array([], pyarrow.binary())})
    for kind in ("m.parquet", "m.arrow"):
        with pytest.raises(SourceError, match="no masks found"):
            ms.scan(saved(tmp_path / kind, empty), classes=7)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_packing_changes_nothing(compression: str, dictionary: bool, tmp_path: Path) -> None:
    where = write(
        tmp_path / "m.parquet",
        parquet_of(MASKS, rows=4, compression=compression, use_dictionary=dictionary),
    )
    assert loaded(where) == CONTENTS


def test_row_groups_of_any_size_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1, 2, 5, 100):
        where = write(tmp_path / "m.parquet", parquet_of(MASKS, rows=rows))
        for most in (1, 2, 1024):
            monkeypatch.setattr(parquet, "_BATCH_ROWS", most)
            assert loaded(where) == CONTENTS
            entries = list(source_at(where).entries())
            for entry in at_least_one(entries):
                assert isinstance(entry, reading_ahead.StreamedEntry)
                entry.let_go()
            order = [3, 1, 5, 0, 4, 2]
            assert [entries[at].load() for at in order] == [CONTENTS[at] for at in order]


def test_only_the_column_of_masks_is_read_and_only_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos of 16 MiB in one row group, and masks of 8 MiB, of which few are in memory."""
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 1 << 19)
    monkeypatch.setattr(reading_ahead.read_ahead, "__kwdefaults__", {"room": 1 << 19})
    where = saved(
        tmp_path / "m.parquet",
        {"image": [bytes(1 << 18)] * 64, "mask": [bytes([n]) * (1 << 17) for n in range(64)]},
        compression="none",
        use_dictionary=False,
        write_batch_size=2,
        data_page_size=1 << 18,
    )
    pool = pyarrow.default_memory_pool()
    before, most, looked = pool.bytes_allocated(), 0, 0
    tracemalloc.start()
    try:
        for entry in source_at(where).entries():
            looked += 1
            most = max(most, pool.bytes_allocated() - before)
            assert entry.size == 1 << 17
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        stop_tracing()
    assert looked == 64
    assert most < 5 << 20


def test_one_stored_value_in_every_row_is_no_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 MiB stored once, in 500 rows: of 500 MiB few are ever unrolled."""
    monkeypatch.setattr(parquet, "_REPEATED_BYTES", 4 << 20)
    monkeypatch.setattr(reading_ahead.read_ahead, "__kwdefaults__", {"room": 1 << 20})
    one = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 500, pyarrow.int32()), pyarrow.array([bytes(1 << 20)])
    )
    where = saved(
        tmp_path / "m.parquet",
        {"mask": one},
        dictionary_pagesize_limit=1 << 30,
        compression="none",
        store_schema=False,
    )
    assert where.stat().st_size < 2 << 20
    pool = pyarrow.default_memory_pool()
    before = pool.bytes_allocated()
    entries = source_at(where).entries()
    for _ in range(40):
        assert next(entries).size == 1 << 20
        assert pool.bytes_allocated() - before < 24 << 20
    entries.close()  # type: ignore[attr-defined]


# --- damage ------------------------------------------------------------------------------------


def test_a_damaged_row_group_fails_by_name_and_the_others_count(tmp_path: Path) -> None:
    data = bytearray(parquet_of(MASKS, rows=2, compression="none", use_dictionary=False))
    at = data.index(CONTENTS[2]) - 30  # the header of its page
    data[at : at + 30] = b"\xff" * 30
    scan = ms.scan(write(tmp_path / "m.parquet", bytes(data)), classes=7)
    assert sorted(stored_rows(scan)) == ["0/m/0.png", "1/m/1.png", "4/m/4.png", "5/m/5.png"]
    (failure,) = scan.failures
    assert failure.mask == "m.parquet (1)"
    assert failure.reason.startswith("row group 1 from row 2 on: ")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_table_cut_off_anywhere_is_an_error_or_counts_what_is_whole(
    kind: str, tmp_path: Path
) -> None:
    whole = parquet_of(MASKS, rows=2) if kind == "parquet" else arrow_of(MASKS, rows=2)
    where = write(tmp_path / f"m.{kind}", whole)
    expected = stored_rows(ms.scan(where, classes=7))
    for cut in range(0, len(whole) - 9, 97):  # without its end marker of 8 bytes a stream is whole
        write(where, whole[:cut])
        try:
            scan = ms.scan(where, classes=7)
        except SourceError:
            continue
        rows = stored_rows(scan)
        assert rows.items() <= expected.items()
        assert scan.failures or rows == expected or kind == "arrow"


def test_a_damaged_table_among_others_has_a_name(tmp_path: Path) -> None:
    write(tmp_path / "t-0.parquet", parquet_of(MASKS))
    write(tmp_path / "t-1.parquet", b"PAR1 nothing PAR1")
    write(tmp_path / "t-2.parquet", b"")
    scan = ms.scan(f"{tmp_path}/t-{{0..3}}.parquet", classes=7)
    assert scan.histogram.mask_count == len(MASKS)
    assert [f.mask for f in scan.failures] == ["t-1.parquet", "t-2.parquet", "t-3.parquet"]
    assert all(f.reason.isprintable() for f in scan.failures)
    with pytest.raises(SourceError, match="damaged, or neither Parquet nor Arrow"):
        ms.scan(tmp_path / "t-1.parquet", classes=7)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_table_without_the_column_fails_by_name_and_the_others_count(
    kind: str, tmp_path: Path
) -> None:
    saved(tmp_path / f"a.{kind}", {"id": [*range(6)]})
    saved(tmp_path / f"b.{kind}", {"mask": CONTENTS})
    saved(tmp_path / f"c.{kind}", {"fine": CONTENTS, "coarse": CONTENTS})
    for column, counted in ((None, 6), ("mask", 6), ("fine", 6)):
        scan = ms.scan(f"{tmp_path}/*.{kind}", classes=7, column=column)
        assert scan.histogram.mask_count == counted
        assert len(scan.failures) == 2
        assert all("column" in failure.reason for failure in scan.failures)
    with pytest.raises(SourceError, match="no column 'none'"):
        ms.scan(f"{tmp_path}/*.{kind}", classes=7, column="none")


def test_a_table_that_changed_since_it_was_listed(tmp_path: Path) -> None:
    where = write(tmp_path / "m.parquet", parquet_of(MASKS))
    entries = list(ms.scan(where, classes=7).entries())
    write(where, parquet_of({"m/0.png": CONTENTS[0]}))
    with pytest.raises(MaskError, match="changed while it was being read"):
        entries[-1].load()
    where.unlink()
    with pytest.raises(MaskError, match="can't be read"):
        entries[0].load()


def test_pyarrow_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = write(tmp_path / "m.parquet", parquet_of(MASKS))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        ms.scan(where, classes=7)
    assert caught.value.remedy == 'pip install "maskstat[parquet]"'


# --- splits and the command line -----------------------------------------------------------------


def test_hugging_face_layout_with_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskstat.cli import run

    names = list(MASKS)
    for part, chosen in {
        "train-00000-of-00002": names[:2],
        "train-00001-of-00002": names[2:4],
        "validation-00000-of-00001": names[4:],
    }.items():
        cells = [{"bytes": MASKS[name], "path": name} for name in chosen]
        images = [{"bytes": b"photo", "path": "x.jpg"}] * len(chosen)
        saved(tmp_path / "data" / f"{part}.parquet", {"image": images, "label": cells})
    monkeypatch.chdir(tmp_path)
    assert run(["scan", "data/*.parquet", "--classes", "7", "--split", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(scan["scan"], scan["masks"]) for scan in document["scans"]] == [
        ("data-train", 4),
        ("data-validation", 2),
    ]
    assert run(["scan", "data/*.parquet", "--classes", "7", "--column", "nothing"]) == 1
    assert "has no column 'nothing'" in capsys.readouterr().err
