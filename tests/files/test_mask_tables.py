"""The mask x class table: every format and layout says what the scan's histogram and ledger say."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat import Scan, cli
from maskstat.errors import FileFormatError, MissingExtraError, ParameterError
from maskstat.files.mask_tables import csv as csv_module
from maskstat.files.mask_tables import parquet
from maskstat.files.mask_tables.columns import FIXED, LONG, blocks, column_names
from maskstat.files.mask_tables.mask_table import (
    LAYOUTS,
    MAX_WIDE,
    TableLayout,
    stream_table,
    write_table,
)
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable
from tests.support.loops import at_least_one
from tests.support.packages import package
from tests.support.strategies import catalogs, names, tally_lists

pq = package("pyarrow.parquet", reason="needs maskstat[parquet]")

GREY = Encoding("png", "grey", 8)


def as_csv(tables: list[TallyTable], catalog: ClassCatalog, layout: TableLayout) -> list[list[Any]]:
    """Header and rows of the CSV; numbers as numbers, names as they were."""
    file = io.BytesIO()
    stream_table(tables, catalog, file, layout=layout)
    text = io.StringIO(file.getvalue().decode(), newline="")
    header, *rows = csv.reader(text, quoting=csv.QUOTE_NONNUMERIC, strict=True)
    read = [[c.removeprefix("'") if isinstance(c, str) else int(c) for c in row] for row in rows]
    return [[str(cell).removeprefix("'") for cell in header], *read]


def as_parquet(
    path: Path, tables: list[TallyTable], catalog: ClassCatalog, layout: TableLayout
) -> list[list[Any]]:
    """The same of the Parquet file."""
    write_table(tables, catalog, path, layout=layout)
    table = pq.read_table(path)
    columns = [column.to_pylist() for column in table.columns]
    return [table.column_names, *map(list, zip(*columns, strict=True))]


def tables_of(tallies: list[MaskTally], most: int) -> list[TallyTable]:
    return [TallyTable.of(tallies[at : at + most]) for at in range(0, len(tallies), most)]


@given(catalogs(), tally_lists(), st.integers(1, 4))
def test_the_table_is_the_ledger_and_sums_to_the_histogram(
    tmp_path: Path, catalog: ClassCatalog, tallies: list[MaskTally], most: int
) -> None:
    tables, whole = tables_of(tallies, most), TallyTable.of(tallies)
    ledger, histogram = MaskLedger.of(catalog, whole), ClassHistogram.of(catalog, whole)
    header, *rows = as_csv(tables, catalog, "wide")
    assert header == [*FIXED, *column_names(catalog)]
    assert [row[0] for row in rows] == list(whole.names)
    assert [row[6:] for row in rows] == ledger.dense().tolist()
    assert [row[1:3] for row in rows] == whole.shapes.tolist()
    assert [sum(row[at] for row in rows) for at in range(3, 6 + len(catalog))] == [
        histogram.total_pixels,
        histogram.ignored_pixels,
        histogram.unlisted_pixels,
        *histogram.pixels.tolist(),
    ]
    # Nothing vanishes, in no mask.
    assert all(row[3] == sum(row[4:]) for row in rows)
    assert as_parquet(tmp_path / "t.parquet", tables, catalog, "wide") == [header, *rows]
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert set(map(str, schema.types[1:])) == {"int64"}
    long_header, *long_rows = as_csv(tables, catalog, "long")
    assert long_header == list(LONG)
    assert long_rows == [
        [row[0], k, catalog.names[k], pixels]
        for row in rows
        for k, pixels in enumerate(row[6:])
        if pixels
    ]
    again = as_parquet(tmp_path / "l.parquet", tables, catalog, "long")
    assert again == [long_header, *long_rows]


@given(catalogs(), tally_lists(), st.integers(1, 9))
def test_blocks_of_any_size_are_the_same_rows(
    catalog: ClassCatalog, tallies: list[MaskTally], most: int
) -> None:
    tables = tables_of(tallies, 5)
    cut = list(blocks(tables, catalog, most))
    assert all(len(block.names) <= most for block in cut)
    dense = [row for block in cut for row in block.dense(len(catalog)).T.tolist()]
    assert dense == MaskLedger.of(catalog, TallyTable.of(tallies)).dense().tolist()


@given(st.lists(names.filter(str.strip), min_size=1, max_size=8, unique=True))
def test_columns_are_unique_whatever_classes_are_called(labels: list[str]) -> None:
    catalog = ClassCatalog(tuple(ClassInfo(k, name, (k,)) for k, name in enumerate(labels)))
    columns = [*FIXED, *column_names(catalog)]
    assert len({column.casefold() for column in columns}) == len(columns)
    assert all(column.isprintable() for column in columns)


def test_columns_of_awkward_names() -> None:
    labels = ["road", "Road", "mask", "Pixels", "mask_2", "a\nb", "pixels_3"]
    catalog = ClassCatalog(tuple(ClassInfo(k, name, (k,)) for k, name in enumerate(labels)))
    assert column_names(catalog) == (
        "road",
        "Road_1",
        "mask_2",
        "Pixels_3",
        "mask_2_4",
        "a\\nb",
        "pixels_3_6",
    )


@pytest.fixture
def stored(tmp_path: Path, forty_masks: Path) -> Path:
    """A store with a scan of 40 masks, with unlisted and ignored values."""
    ms.scan(forty_masks, classes=5, ignore=0, db=tmp_path / "s.db").close()
    return tmp_path / "s.db"


def exported(scan: Scan, path: Path, *, layout: TableLayout = "wide") -> Path:
    scan.export(path, layout=layout)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_groups_change_nothing(
    stored: Path, tmp_path: Path, layout: TableLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ms.open_scan(stored) as scan:
        whole = pq.read_table(exported(scan, tmp_path / "one.parquet", layout=layout))
        monkeypatch.setattr(parquet, "_GROUP_ROWS", 7)
        cut = pq.ParquetFile(exported(scan, tmp_path / "many.parquet", layout=layout))
        assert cut.metadata.num_row_groups >= 6
        assert cut.read().equals(whole)
        assert max(cut.metadata.row_group(n).num_rows for n in range(6)) <= 7
        text = exported(scan, tmp_path / "one.csv", layout=layout).read_bytes()
        monkeypatch.setattr(csv_module, "_CELLS", 30)
        assert exported(scan, tmp_path / "many.csv", layout=layout).read_bytes() == text


def test_the_same_scan_gives_the_same_bytes_in_the_order_of_the_store(
    stored: Path, tmp_path: Path
) -> None:
    with ms.open_scan(stored) as scan:
        for name in ("t.csv", "t.parquet"):
            first, again = exported(scan, tmp_path / name), exported(scan, tmp_path / f"2{name}")
            assert first.read_bytes() == again.read_bytes()
        read = pq.read_table(tmp_path / "t.parquet")
        assert read["mask"].to_pylist() == sorted(read["mask"].to_pylist())
        assert read.num_rows == scan.histogram.mask_count == 40
        assert sum(read["unlisted"].to_pylist()) == scan.histogram.unlisted_pixels > 0
        assert sum(read["ignored"].to_pylist()) == scan.histogram.ignored_pixels > 0


def test_the_schema_says_which_scan_and_classes(stored: Path, tmp_path: Path) -> None:
    with ms.open_scan(stored) as scan:
        schema = pq.read_schema(exported(scan, tmp_path / "t.parquet"))
        about = json.loads(schema.metadata[parquet.KEY])
        assert catalog_from_mapping(about["catalog"], name="classes") == scan.catalog
        assert (about["scan"], about["source"], about["layout"]) == (
            scan.name,
            scan.source,
            "wide",
        )
        assert about["class_columns"] == list(column_names(scan.catalog)) == schema.names[6:]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_no_cell_is_a_formula(first: str) -> None:
    """And each name comes back."""
    name = f'{first}cmd|"/C calc"!A0\n.png'
    catalog = ClassCatalog((ClassInfo(0, f"{first}1+1", (0,)), ClassInfo(1, "plain", (1,))))
    tallies = [MaskTally.of_pixels(n, np.array([[0, 1]]), GREY) for n in (name, f"'{name}", "b")]
    for layout in at_least_one(LAYOUTS):
        file = io.BytesIO()
        stream_table([TallyTable.of(tallies)], catalog, file, layout=layout)
        text = io.StringIO(file.getvalue().decode(), newline="")
        for row in at_least_one(csv.reader(text, strict=True)):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
        rows = as_csv([TallyTable.of(tallies)], catalog, layout)
        assert list(dict.fromkeys(row[0] for row in rows[1:])) == [name, f"'{name}", "b"]


def test_a_terminal_sees_no_control_characters() -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    mask = TallyTable.of([MaskTally.of_pixels("\x1b[2J.png", np.array([[0]]), GREY)])
    plain = TallyTable.of([MaskTally.of_pixels("a.png", np.array([[0]]), GREY)])
    hostile = ClassCatalog((ClassInfo(0, "\x1b[3J", (0,)),))
    for kind, found in ((Terminal, False), (io.BytesIO, True)):
        for table, catalog in ((mask, ClassCatalog.numbered(1)), (plain, hostile)):
            for layout in at_least_one(LAYOUTS):
                file = kind()
                stream_table([table], catalog, file, layout=layout)
                heading = table is plain and layout == "wide"  # escaped everywhere
                assert (b"\x1b" in file.getvalue()) == (found and not heading)
                assert not file.closed


def test_a_table_without_masks_and_one_without_classes(tmp_path: Path) -> None:
    empty = ClassCatalog.to_infer()
    table = TallyTable.of([MaskTally.of_pixels("m", np.array([[7, 7]]), GREY)])
    assert as_csv([], ClassCatalog.numbered(2), "wide") == [[*FIXED, "class_0", "class_1"]]
    assert as_parquet(tmp_path / "a.parquet", [], ClassCatalog.numbered(1), "long") == [list(LONG)]
    for rows in (
        as_csv([table], empty, "wide"),
        as_parquet(tmp_path / "b.parquet", [table], empty, "wide"),
    ):
        assert rows == [list(FIXED), ["m", 1, 2, 2, 0, 2]]


def test_more_classes_than_a_table_has_columns(tmp_path: Path) -> None:
    many = ClassCatalog.numbered(MAX_WIDE + 1)
    wide = Encoding("png", "grey", 16)
    table = TallyTable.of([MaskTally.of_pixels("m", np.array([[0, MAX_WIDE]]), wide)])
    with pytest.raises(ParameterError, match="layout='long' has"):
        write_table([table], many, tmp_path / "t.csv")
    assert as_csv([table], many, "long")[1:] == [
        ["m", 0, "class_0", 1],
        ["m", MAX_WIDE, f"class_{MAX_WIDE}", 1],
    ]
    most = ClassCatalog.numbered(MAX_WIDE)
    assert len(as_csv([table], most, "wide")[1]) == len(FIXED) + MAX_WIDE


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, name: str) -> None:
    catalog = ClassCatalog.numbered(2)
    table = TallyTable.of([MaskTally.of_pixels("m", np.array([[0]]), GREY)])
    path = write_table([table], catalog, tmp_path / name)
    before = path.read_bytes()

    def interrupted() -> Iterator[TallyTable]:
        yield table
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(interrupted(), catalog, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]
    with pytest.raises(FileFormatError, match="can't be written"):
        write_table([table], catalog, tmp_path / "nowhere" / name)


def test_parquet_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "maskstat\[parquet\]"'):
        write_table([], ClassCatalog.numbered(1), tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
    write_table([], ClassCatalog.numbered(1), tmp_path / "t.csv")


# --- the command ------------------------------------------------------------------------------


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.run([str(argument) for argument in arguments])
    return (code, *capfd.readouterr())


def test_the_command(stored: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t.csv"
    db = ("--db", stored)
    assert run(capfd, "export", "-o", target, *db) == (
        0,
        "",
        f"wrote {target}\nScan masks\n",
    )
    text = target.read_text()
    assert (
        run(capfd, "export", *db)
        == run(capfd, "export", "-o", "-", *db)
        == (
            0,
            text,
            "Scan masks\n",
        )
    )
    code, _, err = run(capfd, "export", "-o", tmp_path / "table", "--format", "csv", *db)
    assert (code, (tmp_path / "table").read_text()) == (0, text), err
    code, out, _ = run(capfd, "export", "--layout", "long", "--classes", "7", *db)
    rows = list(csv.DictReader(io.StringIO(out)))
    with ms.open_scan(stored) as scan:
        seven = scan.under(7).histogram.pixels.tolist()
    assert [
        sum(int(row["pixels"]) for row in rows if row["class_index"] == str(k)) for k in range(7)
    ] == seven
    assert run(capfd, "export", "-o", tmp_path / "t.parquet", "--scan", "masks", *db)[0] == 0
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 40


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "t.xlsx"], 2, "name a .parquet or .csv file"),
        (["-o", "t.csv", "--format", "xlsx"], 2, "'xlsx' is not one of parquet, csv"),
        (["--format", "xlsx"], 2, "'xlsx' is not one of parquet, csv"),
        (["--format", "parquet"], 2, "Parquet needs a file; name one with -o"),
        (["--layout", "broad"], 2, "'broad' is not one of wide, long"),
        (["-o", "t.csv", "--layout", "broad"], 2, "'broad' is not one of wide, long"),
        (["-o", "nowhere/t.csv"], 1, "can't be written"),
        (["-o", "s.db", "--format", "csv"], 2, "s.db is the store itself"),
        (["--scan", "nothing"], 1, "holds no scan called 'nothing'"),
        (["--db", "none.db"], 1, "there is no scan store"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    stored: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = stored.read_bytes()
    given = [] if "--db" in arguments else ["--db", "s.db"]
    found, out, err = run(capfd, "export", *arguments, *given)
    assert (found, out) == (code, "")
    assert said in err and err.count("\n") == 1
    assert stored.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["masks", "s.db"]
