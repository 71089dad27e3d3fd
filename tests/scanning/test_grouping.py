"""Groups of a scan's masks: in the order of the ledger, changeable, and nothing is decoded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat import cli
from maskstat.errors import MaskstatError, ParameterError, StoreError
from maskstat.scanning.merging import Merged
from maskstat.store.schema import EXPOSURES
from maskstat.values.groups import GroupRule
from tests.support.packages import package
from tests.support.scan_cases import grey_png, npy, write


def test_groups_are_in_the_order_of_the_ledger_and_change_without_decoding(
    forty_masks: Path, decoded: list[str]
) -> None:
    scan = ms.scan(forty_masks, classes=7)
    assert scan.group_rule == GroupRule() and scan.groups.are_masks
    assert scan.groups.names == scan.ledger.names
    decoded.clear()
    grouped = scan.grouped("folder")
    assert type(grouped) is type(scan) and grouped.ledger is scan.ledger
    expected = [name.rpartition("/")[0] for name in scan.ledger.names]
    assert [grouped.groups.names[at] for at in grouped.groups.of] == expected
    assert scan.groups.are_masks, "a view changes nothing"
    assert grouped.under(ignore=3).groups.of.tolist() == grouped.groups.of.tolist()
    assert grouped.grouped("mask").groups.are_masks
    with pytest.raises(ParameterError, match="of 40 masks"):
        _ = scan.grouped("^(a)/").groups
    assert decoded == []


def test_crops_are_in_the_groups_of_their_masks(forty_masks: Path) -> None:
    scan = ms.scan(forty_masks, classes=7).grouped("folder")
    exposure = scan.exposure(crop=2, crops=2)
    assert exposure.group_rule == scan.group_rule
    assert exposure.groups.of.tolist() == scan.groups.of.tolist()
    assert exposure.grouped("mask").groups.are_masks


# --- kept with the scan ------------------------------------------------------------------------


def labels_of(scan: ms.Scan) -> dict[str, str]:
    """Mask -> the name of its group."""
    groups = scan.groups
    return {
        name: groups.names[at]
        for name, at in zip(scan.ledger.names, groups.of.tolist(), strict=True)
    }


def test_a_rule_is_kept_with_the_scan_and_another_one_decodes_nothing(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db, group_by="folder")
    decoded.clear()
    expected = {name: name.rpartition("/")[0] for name in ms.open_scan(db).ledger.names}
    for again in (lambda: ms.open_scan(db), lambda: ms.scan(forty_masks, classes=7, db=db)):
        assert again().group_rule == GroupRule("folder")
        assert labels_of(again()) == expected
    other = ms.open_scan(db, group_by="^(.)")
    assert len(other.groups) == 2 and ms.open_scan(db).group_rule == GroupRule("folder")
    ms.scan(forty_masks, classes=7, db=db, group_by="^(.)")
    assert ms.open_scan(db).group_rule == GroupRule("^(.)")
    ms.scan(forty_masks, classes=7, db=db, group_by="mask")
    assert ms.open_scan(db).groups.are_masks
    assert decoded == []


def test_masks_that_came_later_and_that_the_rule_does_not_fit_lose_no_scan(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db, group_by="^([ab])/")
    write(forty_masks / "new.png", grey_png([[5]]))
    scan = ms.scan(forty_masks, classes=7, db=db)
    assert len(scan.ledger) == 41
    with pytest.raises(ParameterError, match=r"1 of 41 masks, new\.png for one.*'mask'"):
        _ = scan.groups
    assert len(scan.grouped("^([ab]/|new)").groups) == 3


def test_the_command_says_how_many_groups_there_are_or_why_none(
    forty_masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["scan", str(forty_masks), "--classes", "7", "--db", str(tmp_path / "s.db")]
    for rule, says in (
        (["--group-by", "^(.)/"], "2 groups of masks in masks, by ^(.)/"),
        ([], "2 groups of masks in masks, by ^(.)/"),
        (["--group-by", "^(a)/"], "masks is counted, and has no groups: --group-by: '^(a)/' says"),
        (["--group-by", "mask"], ""),
    ):
        assert cli.run([*line, *rule]) == 0
        out, err = capsys.readouterr()
        assert "40 masks" in out
        assert err.startswith(says) and err.count("\n") == bool(says)


def test_another_place_under_the_same_name_has_no_rule(forty_masks: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks / "a", classes=7, db=db, name="x", group_by="_([0-9])")
    ms.scan(forty_masks / "b", classes=7, db=db, name="x")
    assert ms.open_scan(db).group_rule == GroupRule()


def test_a_rule_that_is_none_is_said_before_anything_is_counted(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    for rule, says in (("(", "regular expression"), ("column:x", "not listed in a table")):
        with pytest.raises(ParameterError, match=says):
            ms.scan(forty_masks, classes=7, db=tmp_path / "s.db", group_by=rule)
    assert decoded == [] and not (tmp_path / "s.db").exists()


def test_stores_of_before_get_the_tables_and_sums_notice_what_changes(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db).close()
    tables = ("grouping", "grouped_mask", "folder")
    changed(db, *(f"DROP TABLE {table}" for table in tables), "PRAGMA user_version = 6")
    with ms.open_scan(db) as old:
        assert old.group_rule == GroupRule() and old._store.version == EXPOSURES
    ms.scan(forty_masks, classes=7, db=db, group_by="folder").close()
    assert ms.open_scan(db).group_rule == GroupRule("folder")
    changed(db, "UPDATE grouping SET rule = 'fold[ers]'")
    with pytest.raises(StoreError, match="no scan wrote"):
        ms.open_scan(db)


def changed(db: Path, *statements: str) -> None:
    connection = sqlite3.connect(db)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


# --- a column of the table that lists the masks ------------------------------------------------

ROWS = tuple((f"m{n}.png", f"p{n % 3}", "val" if n % 4 == 3 else "train") for n in range(12))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A .csv of twelve masks of three patients, in two splits."""
    for n, (name, _, _) in enumerate(ROWS):
        write(tmp_path / "masks" / name, grey_png([[n % 5, 1]]))
    lines = ["mask,patient,split", *(f"masks/{name},{who}, {split}" for name, who, split in ROWS)]
    return write(tmp_path / "list.csv", "\n".join(lines).encode())


@pytest.mark.parametrize("split", [None, "train", "val"])
def test_a_column_of_a_manifest(
    listed: Path, tmp_path: Path, split: str | None, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    scan = ms.scan(listed, classes=5, db=db, split=split, group_by="column:patient")
    expected = {f"masks/{name}": who for name, who, part in ROWS if split in {None, part}}
    assert labels_of(scan) == expected
    decoded.clear()
    listed.rename(tmp_path / "gone.csv")
    assert labels_of(ms.open_scan(db)) == expected, "it is kept"
    with pytest.raises(MaskstatError):
        _ = ms.open_scan(db, group_by="column:split").groups
    (tmp_path / "gone.csv").rename(listed)
    assert set(labels_of(ms.open_scan(db, group_by="column:split")).values()) <= {"train", "val"}
    with pytest.raises(ParameterError, match=r"no column 'patients'.*did you mean patient\?"):
        _ = ms.open_scan(db, group_by="column:patients").groups
    assert decoded == []


def test_scanning_again_takes_the_values_that_the_table_has_now(
    listed: Path, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    ms.scan(listed, classes=5, db=db, group_by="column:patient").close()
    decoded.clear()
    text = listed.read_text("utf-8")
    write(listed, text.replace("m3.png,p0", "m3.png,p9").encode())
    assert labels_of(ms.scan(listed, classes=5, db=db))["masks/m3.png"] == "p9"
    write(listed, text.replace("m3.png,p0", "m3.png,").encode())
    with pytest.raises(ParameterError, match=r"1 of 12 masks, masks/m3\.png.*fill it in"):
        _ = ms.scan(listed, classes=5, db=db).groups
    write(listed, text.replace("patient", "person").encode())
    assert ms.scan(listed, classes=5, db=db).group_rule == GroupRule("column:patient")
    assert decoded == []
    changed(db, "UPDATE grouped_mask SET label = 'p7' WHERE name LIKE '%m1.png'")
    with pytest.raises(StoreError, match="no scan wrote"):
        _ = ms.open_scan(db).groups


@pytest.mark.parametrize("kind", ["parquet", "parquet shards", "arrow"])
def test_a_column_of_a_table(tmp_path: Path, kind: str) -> None:
    pyarrow = package("pyarrow")
    contents = [
        {"bytes": grey_png([[n % 5, 1]]), "path": name} for n, (name, _, _) in enumerate(ROWS)
    ]
    columns = {
        "mask": contents,
        "patient": [who for _, who, _ in ROWS],
        "number": [int(who[1]) for _, who, _ in ROWS],
    }
    table = pyarrow.table(columns)
    where = tmp_path / f"t.{kind.split()[0]}"
    if kind == "arrow":
        with (
            pyarrow.OSFile(str(where), "wb") as file,
            pyarrow.ipc.new_file(file, table.schema) as to,
        ):
            to.write_table(table, max_chunksize=5)
    else:
        parquet = package("pyarrow.parquet")
        parquet.write_table(table.slice(0, 7), where, row_group_size=3)
        if "shards" in kind:
            parquet.write_table(table.slice(7), tmp_path / "u.parquet")
            where = tmp_path / "*.parquet"
        else:
            parquet.write_table(table, where, row_group_size=3)
    scan = ms.scan(where, classes=5, group_by="column:patient")
    assert {name.rpartition("/")[2]: who for name, who in labels_of(scan).items()} == {
        name: who for name, who, _ in ROWS
    }
    if kind == "arrow":
        with pytest.raises(ParameterError, match="'number' is int"):
            ms.scan(where, classes=5, group_by="column:number")
    else:
        numbers = labels_of(scan.grouped("column:number"))
        assert numbers == {name: who[1] for name, who in labels_of(scan).items()}
    with pytest.raises(ParameterError, match="no column 'x'"):
        ms.scan(where, classes=5, group_by="column:x")
    with pytest.raises(ParameterError, match="which names no groups"):
        ms.scan(where, classes=5, group_by="column:mask")


def test_planes_are_in_the_group_of_their_file(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / f"v{n}.npy", npy(np.full((2 + n, 4, 5), n, np.uint8)))
    write(tmp_path / "list.csv", b"mask,patient\nv0.npy,a\nv1.npy,b\nv2.npy,a\n")
    scan = ms.scan(tmp_path / "list.csv", classes=3, pages="each", group_by="column:patient")
    assert scan.groups.names == ("a", "b") and scan.groups.sizes.tolist() == [6, 3]
    assert scan.grouped("file").groups.sizes.tolist() == [2, 3, 4]


# --- merged ------------------------------------------------------------------------------------


def test_merged_scans_have_the_groups_that_all_parts_have(
    forty_masks: Path, tmp_path: Path
) -> None:
    def merged(*rules: str | None) -> Merged:
        stores = [tmp_path / f"{part}.db" for part in "ab"]
        for part, db, rule in zip("ab", stores, rules, strict=True):
            db.unlink(missing_ok=True)
            ms.scan(forty_masks / part, classes=7, db=db, group_by=rule).close()
        found = ms.merge(stores, tmp_path / "m.db", force=True)
        backwards = ms.merge(stores[::-1], tmp_path / "n.db")
        assert found.group_rule == backwards.group_rule
        assert found.groups_left == backwards.groups_left
        backwards.close()
        (tmp_path / "n.db").unlink()
        return found

    digit = "([0-9])[.]png$"
    found = merged(digit, digit)
    assert found.group_rule == GroupRule(digit) and not found.groups_left
    assert len(found.groups) == 10, "groups of two scans that are called alike are one"
    shifted = "^(.{6})"  # by the new names all masks of a folder were one group
    for rules in ((digit, None), (digit, "folder"), ("^(m)", "^(m)"), (shifted, shifted)):
        found = merged(*rules)
        assert found.groups_left and found.group_rule == GroupRule(), rules
    for nothing in ((None, None), ("mask", None)):
        assert not merged(*nothing).groups_left


def test_merged_scans_keep_a_column(listed: Path, tmp_path: Path) -> None:
    stores = [tmp_path / f"{part}.db" for part in ("train", "val", "all")]
    for db in stores:
        split = None if db.stem == "all" else db.stem
        ms.scan(listed, classes=5, db=db, split=split, group_by="column:patient").close()
    found = ms.merge(stores, tmp_path / "m.db")
    assert labels_of(found) == {f"masks/{name}": who for name, who, _ in ROWS}
    with pytest.raises(ParameterError, match=r"have kept 'split'.*merge them again"):
        _ = found.grouped("column:split").groups


def test_other_scans_are_grouped_as_the_view_is(forty_masks: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    for part, rule in (("a", None), ("b", "folder")):
        ms.scan(forty_masks / part, classes=7, db=db, name=part, group_by=rule).close()
    with ms.open_scan(db, "a") as scan:
        for view, expected in ((scan, "folder"), (scan.grouped("^(.)"), "^(.)")):
            with view._other("b") as other:
                assert other.group_rule.text == expected


def test_a_scan_that_is_removed_leaves_no_groups(listed: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan(listed, classes=5, db=db, group_by="column:patient").close()
    ms.remove_scan(db, "list")
    connection = sqlite3.connect(db)
    for table in ("grouping", "grouped_mask", "checksum"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()
