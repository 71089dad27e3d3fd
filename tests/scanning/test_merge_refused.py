"""What is merged, what is refused, and what is left where something goes wrong."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

import maskstat as ms
from maskstat import cli
from maskstat.errors import FileFormatError, ParameterError, StoreError
from maskstat.scanning.merging import MAX_STORES, merge
from maskstat.values.catalog import ClassCatalog, ClassInfo
from tests.support.merge_cases import (
    content,
    leftovers,
    made,
    mask,
    merged_or_error,
    one,
    shard_stores,
)
from tests.support.scan_cases import grey_png, pixels_of, stored_rows, write
from tests.support.typed import typed

# --- what does not fit together ---------------------------------------------------------------


def test_catalogues_must_be_the_same(tmp_path: Path) -> None:
    eleven = ClassCatalog.numbered(11)
    parts = [one("/d/a", mask("0", 1)), one("/d/b", mask("0", 10), catalog=eleven)]
    with pytest.raises(StoreError, match=r"1\.db \(shard\): its classes \(11 .*: 11 against 10;"):
        merged_or_error(tmp_path, parts)
    merged, _ = merged_or_error(tmp_path, parts, classes=12)
    assert merged.info.catalog == ClassCatalog.numbered(12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": (ClassInfo(0, "b", (0,)),)}, "class 0 is 'b' against 'a'"),
        ({"classes": (ClassInfo(0, "a", (1,)),)}, r"class 0 \(a\) has other values"),
        ({"ignore_255": False}, "other values are ignored"),
        ({"classes": (ClassInfo(0, "a", (0,), colour=0xFF0000),), "name": "x"}, None),
    ],
)
def test_what_differs_of_two_catalogues(
    tmp_path: Path, changed: dict[str, Any], said: str | None
) -> None:
    plain = ClassCatalog((ClassInfo(0, "a", (0,)),))
    other = ClassCatalog(**{"classes": plain.classes, **changed})
    parts = [
        one("/d/a", mask("0", 0), catalog=plain),
        one("/d/b", mask("0", 0), catalog=other),
    ]
    if said is not None:
        with pytest.raises(StoreError, match=said):
            merged_or_error(tmp_path, parts)
        return
    forth, _ = merged_or_error(tmp_path, parts)
    back, _ = merged_or_error(tmp_path, parts[::-1], force=True)
    assert forth.info.catalog == back.info.catalog


def test_inferred_classes_are_those_of_all(tmp_path: Path) -> None:
    infer = ClassCatalog.to_infer()
    parts = [one(f"/d/{n}", mask("0.png", n), catalog=infer) for n in (1, 4)]
    paths = [made(tmp_path / f"{at}.db", part) for at, part in enumerate(parts)]
    with merge(paths, tmp_path / "all.db") as merged:
        assert len(merged.catalog) == 5
        assert merged.histogram.pixels.tolist() == [0, 1, 0, 0, 1]


def test_masks_must_have_been_read_in_one_way(tmp_path: Path) -> None:
    parts = [one("/d/a", mask("0", 1)), one("/d/b", mask("0", 1), reading={"value_divisor": 1000})]
    with pytest.raises(
        StoreError, match=r"were read with value_divisor 1000, those of .* as they a"
    ):
        merged_or_error(tmp_path, parts)


def test_scans_that_were_interrupted(tmp_path: Path) -> None:
    parts = [one("/d/a", mask("0", 1)), one("/d/b", mask("0", 1), complete=False)]
    with pytest.raises(StoreError, match=r"1\.db \(shard\): .*interrupted.*allow_incomplete=True"):
        merged_or_error(tmp_path, parts)
    merged, rows = merged_or_error(tmp_path, parts, allow_incomplete=True)
    assert not merged.info.complete
    assert len(rows) == 2


def test_which_scans_of_a_store(tmp_path: Path) -> None:
    for name in ("train", "val"):
        made(tmp_path / "a.db", one(f"/d/{name}", mask("0", 1), name=name))
    made(tmp_path / "b.db", one("/d/more", mask("0", 1), name="train"))
    stores = [tmp_path / "a.db", tmp_path / "b.db"]

    def names(*scans: str) -> list[str]:
        with merge(stores, tmp_path / "all.db", scans=scans, force=True) as merged:
            return [shard.source for shard in merged.shards]

    assert names() == ["/d/train", "/d/more"]  # of splits, the one to train on
    assert names("train") == ["/d/train", "/d/more"]
    assert names("val", "train") == ["/d/val", "/d/train", "/d/more"]
    with pytest.raises(StoreError, match=r"b\.db: holds no scan called 'val'"):
        names("val")


# --- the new store ----------------------------------------------------------------------------


def test_a_file_that_is_there_is_replaced_by_force_only(tmp_path: Path) -> None:
    shard = made(tmp_path / "a.db", one("/d", mask("0", 1)))
    target = made(tmp_path / "all.db", one("/e", mask("0", 2)))
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"there is a file already; .*force=True"):
        merge([shard], target)
    assert target.read_bytes() == before
    with merge([shard, target], target, force=True) as merged:  # also one of those it reads
        assert merged.histogram.mask_count == 2
    notes = write(tmp_path / "notes.txt", b"do not lose them" * 100)
    with pytest.raises(StoreError, match="not a database"):
        merge([shard], notes, force=True)
    assert notes.read_bytes() == b"do not lose them" * 100
    with pytest.raises(StoreError, match="is a folder"):
        merge([shard], tmp_path, force=True)
    with pytest.raises(FileFormatError, match="can't be written: there is no folder"):
        merge([shard], tmp_path / "nowhere" / "all.db")
    assert leftovers(tmp_path) == []


def test_a_damaged_shard_leaves_nothing_behind(tmp_path: Path) -> None:
    good = made(tmp_path / "good.db", one("/d", *(mask(f"{n}.png", 1) for n in range(2000))))
    bad = made(tmp_path / "bad.db", one("/e", *(mask(f"{n}.png", 1) for n in range(2000))))
    data = bad.read_bytes()
    bad.write_bytes(data[:16384] + b"\xff" * (len(data) - 16384))
    with pytest.raises(StoreError, match=r"bad\.db"):
        merge([good, bad], tmp_path / "all.db")
    assert not (tmp_path / "all.db").exists()
    assert leftovers(tmp_path) == []


def test_blocks_of_a_profile_that_are_gone_are_damage(forty_masks: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    ms.scan(forty_masks, classes=7, db=store, profile=True, grid=4).close()
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM profile_block")
    connection.close()
    with pytest.raises(StoreError, match="holds something that no scan wrote"):
        merge([store], tmp_path / "all.db")


def test_no_store_and_too_many(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="name the stores"):
        merge([], tmp_path / "all.db")
    with pytest.raises(ParameterError, match="merge them in groups"):
        merge(["a.db"] * (MAX_STORES + 1), tmp_path / "all.db")
    with pytest.raises(StoreError, match="there is no scan store"):
        merge([tmp_path / "a.db"], tmp_path / "all.db")
    with pytest.raises(ParameterError, match="newest"):
        merge(["a.db"], tmp_path / "all.db", prefer="oldest")  # type: ignore[arg-type]


def test_scanning_does_not_destroy_what_was_merged(forty_masks: Path, tmp_path: Path) -> None:
    stores, target = shard_stores(forty_masks, tmp_path), tmp_path / "all.db"
    merge(stores, target).close()
    before = content(target)
    with pytest.raises(StoreError, match="masks: this scan was merged from others"):
        ms.scan(forty_masks, classes=7, db=target, name="masks")
    assert content(target) == before
    with ms.scan(forty_masks, classes=7, db=target) as scan:  # under another name
        assert scan.name != "masks"
        with ms.open_scan(target, "masks") as merged:
            assert merged.histogram == scan.histogram
            assert (
                typed(merged.profile_call) == f"maskstat scan {forty_masks} --profile --classes 7"
            )


def test_members_of_archives_are_masks_but_no_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("x/0.png", grey_png(pixels_of(3)))
        ms.scan(tmp_path / f"{name}.zip", classes=7, db=tmp_path / f"{name}.db").close()
    ms.scan(tmp_path / "*.zip", classes=7, db=tmp_path / "c.db").close()
    with merge([tmp_path / f"{n}.db" for n in "abc"], tmp_path / "all.db") as merged:
        assert list(stored_rows(merged)) == ["a.zip/x/0.png", "b.zip/x/0.png"]
        assert merged.overlapping == 2
        assert list(merged.entries()) == []


# --- the command ------------------------------------------------------------------------------


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.run([str(argument) for argument in arguments])
    return (code, *capfd.readouterr())


def test_the_command(forty_masks: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stores, target = shard_stores(forty_masks, tmp_path), tmp_path / "all.db"
    code, out, err = run(capfd, "merge", *stores, "-o", target)
    assert (code, err) == (0, f"wrote {target}\n")
    assert "Scan masks: 40 masks, 26 more were in several shards and count once, 1 could not" in out
    code, out, err = run(capfd, "merge", *stores, "-o", target)
    assert (code, out) == (1, "")
    assert "there is a file already" in err
    code, out, _ = run(capfd, "merge", *stores, "-o", target, "--force", "--name", "x", "--json")
    document = json.loads(out)
    assert (code, document["scan"], document["masks"], document["overlapping"]) == (0, "x", 40, 26)
    assert [shard["masks"] for shard in document["shards"]] == [14, 26, 13, 13]
    for command in (["show"], ["weights"], ["scans"], ["report", "-o", tmp_path / "r.html"]):
        code, out, err = run(capfd, *command, "--db", target)
        assert code == 0, err
    assert run(capfd, "merge", *stores)[0] == 2
    assert run(capfd, "merge", "-o", target)[0] == 2
    assert run(capfd, "merge", *stores, "-o", "x.db", "--prefer", "oldest")[0] == 2


def test_profiles_that_stay_behind_are_said(
    forty_masks: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "a.db"
    ms.scan(forty_masks, classes=7, db=store, profile=True, grid=4).close()
    code, _, err = run(capfd, "merge", store, store, "-o", tmp_path / "all.db")
    assert code == 0
    assert "some pixel profiles stay behind" in err
