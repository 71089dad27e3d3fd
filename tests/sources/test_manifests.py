"""Manifests and splits: the right column, one scan a split, no mask in two or in none unsaid."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat import cli
from maskstat.api.making import scan as scan_function
from maskstat.errors import MaskError, SourceError
from maskstat.readers.formats import SUFFIXES
from maskstat.scanning.listing import splits_of
from maskstat.sources.base import Selection
from maskstat.sources.opening import find_splits, open_source
from maskstat.sources.split_names import SPLITS, in_order, split_of
from maskstat.sources.tables.manifests import is_path
from tests.support.packages import package
from tests.support.scan_cases import digests, grey_png, pixels_of, stored_rows, write
from tests.support.source_cases import SOURCES, entries_of, source_at

MASKS = {f"m/{n}.png": grey_png(pixels_of(n)) for n in range(6)}


def manifest(folder: Path, text: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    for mask, data in MASKS.items():
        write(folder / mask, data)
    return write(folder / name, text.encode(encoding))


# --- manifests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("mask", 0),
        ("image,mask", 1),
        ("Mask Path,x", 0),
        ("path,label", 0),
        ("image,label", 1),
        ("path,mask,label", 1),
        ("id,file", 1),
        ("file_name,annotation", 1),
        (" image , mask ", 1),
        ("split,filename", 1),
        ("gt_path,image_path,path", 0),
    ],
)
@pytest.mark.parametrize(("name", "sign"), [("l.csv", ","), ("l.csv", ";"), ("l.tsv", "\t")])
def test_the_column_of_paths_is_found(
    header: str, column: int, name: str, sign: str, tmp_path: Path
) -> None:
    width = header.count(",") + 1
    rows = [sign.join(mask if at == column else "a" for at in range(width)) for mask in MASKS]
    where = manifest(tmp_path, "\n".join([header.replace(",", sign), *rows]), name)
    assert {name: entry.load() for name, entry in entries_of(where).items()} == MASKS


NAMES = (
    "mask",
    "mask_path",
    "maskFile",
    "Mask Name",
    "annotation",
    "seg",
    "seg_path",
    "segmentation-file",
    "gt",
    "ground_truth",
    "label",
    "labelPath",
    "target_path",
    "path",
    "file_path",
    "filepath",
    "file",
    "filename",
    "file_name",
)


@pytest.mark.parametrize("column", NAMES)
def test_every_known_name_of_the_column_works_alone(column: str, tmp_path: Path) -> None:
    where = manifest(tmp_path, f"{column}\nm/0.png\n")
    assert [*entries_of(where)] == ["m/0.png"]


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("image,depth\na,b\n", None, ["which column", "image, depth"]),
        ("image,mask\na,b\n", "masc", ["no column 'masc'", "did you mean mask?", "image, mask"]),
        ("", None, ["none: column=NAME"]),
        ("\n\n", None, ["none: column=NAME"]),
        ("a\x1b[2J,b\n", None, ["a\\x1b[2J, b"]),
        ("x" * 200_000 + "\nm/0.png\n", None, ["line 1", "no row of a table"]),
        ("mask\n" + "x" * (17 << 20), None, ["a line of 16 MiB"]),
    ],
)
def test_a_manifest_that_is_none_is_an_error_that_says_why(
    text: str, column: str | None, said: list[str], tmp_path: Path
) -> None:
    where = manifest(tmp_path, text)
    with pytest.raises(SourceError) as caught:
        ms.scan(where, classes=7, column=column)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert str(where) in str(caught.value)
    assert str(caught.value).isprintable()


def test_rows(tmp_path: Path) -> None:
    text = (
        "\ufeffimage,mask,note\r\n"
        'a.jpg,m/0.png,"two\nlines, and a comma"\r\n'
        f"b.jpg,{tmp_path}/m/1.png,absolute\r\n"
        "\r\n"
        "c.jpg,,nobody has labelled it\r\n"
        "d.jpg,./m//0.png,again\r\n"
        "e.jpg,  m/2.png  ,blanks\r\n"
        "f.jpg\r\n"
        "g.jpg,m/missing.png,gone\r\n"
    )
    source = source_at(manifest(tmp_path, text))
    entries = {entry.name: entry for entry in source.entries()}
    assert [*entries] == ["m/0.png", f"{tmp_path}/m/1.png", "m/2.png", "line 9", "m/missing.png"]
    assert source.skipped() == 1
    with pytest.raises(MaskError, match="too short"):
        entries["line 9"].load()
    with pytest.raises(MaskError, match="No such file"):
        entries["m/missing.png"].load()
    scan = ms.scan(tmp_path / "list.csv", classes=7)
    assert scan.histogram.mask_count == 3
    assert [f.mask for f in scan.failures] == ["line 9", "m/missing.png"]


def test_a_bad_row_fails_and_ends_nothing(tmp_path: Path) -> None:
    package("fsspec", reason="needs maskstat[remote]")
    (tmp_path / "folder").mkdir()
    rows = {
        "m/\0.png": ("line 3", "a zero byte"),
        "x" * 200_000: ("line 4", "no row of a table"),
        "folder": ("folder", "it is a folder"),
        "ftp://host/a.png": ("ftp://host/a.png", "ftp://: "),
        "nothing://user:secret@host/a.png": ("nothing://host/a.png", "unknown scheme"),
        "zip://m.zip": ("zip://m.zip", "unknown scheme"),
        f"{tmp_path}/../gone.png": (f"{tmp_path.parent}/gone.png", "No such file"),
        "": None,
    }
    text = "\n".join(["mask,x", "m/0.png,1", *(f"{path},1" for path in rows), "m/1.png,1", ""])
    scan = ms.scan(manifest(tmp_path, text), classes=7)
    assert sorted(scan.ledger.names) == ["m/0.png", "m/1.png"]
    failures = {failure.mask: failure.reason for failure in scan.failures}
    assert all("secret" not in name + reason for name, reason in failures.items())
    expected = dict(filter(None, rows.values()))
    assert all(expected[name] in reason for name, reason in failures.items()), failures
    assert len(failures) == len(expected)
    assert all(reason.isprintable() for reason in failures.values())


def test_selection_and_reopening(tmp_path: Path) -> None:
    where = manifest(tmp_path, "depth,other\nx,m/0.png\nx,m/1.png\nx,m/2.png\n")
    scan = ms.scan(where, classes=7, column="other", exclude=["1.png"])
    assert scan.ledger.names == ("m/0.png", "m/2.png")
    assert scan.source == f"{where}#column=other"
    assert [entry.load() for entry in scan.entries()] == [MASKS["m/0.png"], MASKS["m/2.png"]]
    assert scan.changes is not None
    assert scan.changes.skipped == 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1))
def test_any_column_can_be_named_and_found_again(
    tmp_path_factory: pytest.TempPathFactory, column: str
) -> None:
    name = column.strip()
    folder = tmp_path_factory.getbasetemp() / "columns"
    # Where it is a path, the first row is a mask's, and no header.
    if not name or is_path(name, str(folder / "list.csv"), Selection((), (), SUFFIXES)):
        return
    quoted = '"' + name.replace('"', '""') + '"'
    where = manifest(folder, f"image,{quoted}\nx,m/0.png\n")
    source = source_at(where, column=name)
    assert [entry.name for entry in source.entries()] == ["m/0.png"]
    assert [entry.name for entry in source_at(source.location).entries()] == ["m/0.png"]


def test_a_file_may_be_called_like_a_location(tmp_path: Path) -> None:
    text = "other,mask\nm/0.png,m/1.png\n"
    where = manifest(tmp_path, text, "list.csv#column=other")
    manifest(tmp_path, text)
    assert [*entries_of(where)] == ["list.csv#column=other"]
    where.unlink()
    assert [*entries_of(where)] == ["m/0.png"]


def test_urls_in_manifests(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs maskstat[remote]")
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name, data in MASKS.items():
        store.pipe(f"/bucket/{name}", data)
    rows = [
        "m/0.png",
        "memory://bucket/m/1.png",
        "memory://bucket/m/2.png",
        "m/3.png",
        "memory://bucket/gone.png",
    ]
    where = manifest(tmp_path, "\n".join(["mask", *rows]))
    assert source_at(where).reads is None
    scan = ms.scan(where, classes=7)
    assert sorted(scan.ledger.names) == sorted(rows[:4])
    assert [(f.mask, f.reason) for f in scan.failures] == [
        ("memory://bucket/gone.png", "can't be read: it is not there")
    ]
    far = manifest(tmp_path, "\n".join(["mask", *rows[1:3]]), "far.csv")
    assert source_at(far).reads == 32
    store.pipe("/bucket/list.csv", b"mask,split\nm/0.png,train\n/m/1.png,val\n")
    with ms.scan("memory://bucket/list.csv", classes=7) as scan:
        assert sorted(scan.ledger.names) == ["/m/1.png", "m/0.png"]
    store.store.clear()


# --- splits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train/a.png", "train"),
        ("Train/a.png", "Train"),
        ("x/val/y/a.png", "val"),
        ("gt/validation/a.png", "validation"),
        ("test/train/a.png", "test"),
        ("train.png", None),
        ("a.png", None),
        ("train_masks/a.png", None),
        ("trainannot/a.png", None),
        ("", None),
        ("train-0001.tar/a.png", "train"),
        ("val_3.tar.gz/a.png", "val"),
        ("x/dev/a.png", "dev"),
        ("train-00000-of-00002.parquet/3/a.png", "train"),
        ("test.zip/a.png", "test"),
        ("testing-1.arrow/1", "testing"),
        ("/train/a.png", "train"),
        ("train/", "train"),
    ],
)
def test_the_split_of_a_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


@given(st.permutations([*SPLITS, "fold 2", "fold 10"]))
def test_splits_have_an_order(splits: list[str]) -> None:
    assert in_order(splits) == (*SPLITS, "fold 2", "fold 10")


IN_SPLITS = {
    f"{folder}/{n}.png": grey_png(pixels_of(n + 10 * at))
    for at, folder in enumerate(["train/x", "train/y", "val", "extra", "deep/test"])
    for n in range(3)
}


@pytest.mark.parametrize(
    "kind", ["folder", "zip", "tar", "tar.gz", "zip shards", "tar shards", "manifest"]
)
def test_scans_of_the_splits_add_up_to_the_scan_of_the_whole(kind: str, tmp_path: Path) -> None:
    where = SOURCES[kind](tmp_path, IN_SPLITS)
    whole = ms.scan(where, classes=7)
    assert whole.changes is not None
    assert whole.changes.splits == ("train", "val", "test")
    found = splits_of(where)
    assert found == {"train": 6, "val": 3, "test": 3, None: 3}
    parts = [ms.scan(where, classes=7, split=split) for split in ("train", "val", "test")]
    names = [name for part in parts for name in part.ledger.names]
    rest = {name for name in whole.ledger.names if "extra/" in name}
    assert sorted([*names, *rest]) == sorted(whole.ledger.names)
    assert len(set(names)) == len(names)
    rows = stored_rows(whole)
    for part, split in zip(parts, ("train", "val", "test"), strict=True):
        assert stored_rows(part) == {n: rows[n] for n in rows if split_of(n) == split}
        assert part.source == f"{whole.source}#split={split}"
        assert part.name == f"{whole.name}-{split}"
        assert len(list(part.entries())) == len(part.ledger.names)
        assert part.changes is not None
        assert part.changes.splits == ()


def test_a_split_of_a_folder_walks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = SOURCES["folder"](tmp_path, IN_SPLITS)
    walked: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(str(path)) or real(path))
    ms.scan(where, classes=7, split="val")
    assert not any("train" in path or "deep/test" in path for path in walked)


def test_a_column_of_splits(tmp_path: Path) -> None:
    """The column decides, whatever folders are called."""
    text = (
        "mask,split\nm/0.png,fit\nm/1.png,fit\nm/2.png,hold out\nm/3.png,\nm/4.png\nm/5.png, fit\n"
    )
    where = manifest(tmp_path / "val", text)
    assert splits_of(where) == {"fit": 3, "hold out": 1, None: 2}
    assert ms.scan(where, classes=7, split="fit").ledger.names == ("m/0.png", "m/1.png", "m/5.png")
    part = ms.scan(where, classes=7, split="hold out")
    assert part.ledger.names == ("m/2.png",)
    assert part.source == f"{where}#split=hold%20out"
    assert [entry.name for entry in part.entries()] == ["m/2.png"]
    assert part.name == "list-hold out"
    selection = Selection(suffixes=SUFFIXES, split="fit")
    assert len(list(open_source(where, selection).entries())) == 3


def test_no_splits_and_nothing_at_all(tmp_path: Path) -> None:
    write(tmp_path / "masks" / "a.png", grey_png([[1]]))
    with pytest.raises(SourceError, match="has no splits"):
        splits_of(tmp_path / "masks")
    with pytest.raises(SourceError, match="no such file"):
        splits_of(tmp_path / "missing")
    with pytest.raises(SourceError, match="no masks found"):
        ms.scan(tmp_path / "masks", classes=7, split="train")
    assert find_splits(tmp_path / "masks", Selection(suffixes=SUFFIXES)) == {None: 1}


# --- the command line --------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def maskstat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        return (code, *capsys.readouterr())

    return run


def test_splits_are_offered_and_made(maskstat: Run, tmp_path: Path) -> None:
    SOURCES["folder"](tmp_path, IN_SPLITS)
    code, out, _ = maskstat("scan", "masks", "--classes", "7")
    assert code == 0
    assert "There are splits (train, val, test): --split makes one scan of each" in out
    code, out, _ = maskstat("scan", "masks", "--classes", "7", "--split")
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("Scan ")] == [
        "Scan masks-train",
        "Scan masks-val",
        "Scan masks-test",
    ]
    assert out.splitlines()[-1] == "3 masks in no split and in none of these scans"
    assert "There are splits" not in out
    document: dict[str, Any] = json.loads(
        maskstat("scan", "masks", "--classes", "7", "--split", "--json", "--name", "x")[1]
    )
    assert [scan["scan"] for scan in document["scans"]] == ["x-train", "x-val", "x-test"]
    assert [scan["masks"] for scan in document["scans"]] == [6, 3, 3]
    assert document["in_no_split"] == 3
    code, out, _ = maskstat("compare", "masks-train", "masks-val")
    assert code == 0


def test_failures_in_any_split_are_the_exit_code(maskstat: Run, tmp_path: Path) -> None:
    SOURCES["folder"](tmp_path, {**IN_SPLITS, "train/bad.png": b"broken"})
    assert maskstat("scan", "masks", "--classes", "7", "--split")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan", "m", "--split"], "has no splits"),
        (["scan", "m", "--column", "mask"], "have columns"),
        (["scan", "list.csv", "--column", "x"], "its first line has the columns"),
        (["scan", "missing-{0..3}.tar"], "no file matches"),
        (["scan", "nosuch://x/y"], "unknown scheme"),
    ],
)
def test_errors_of_options(maskstat: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    pytest.importorskip("fsspec", reason="needs maskstat[remote]")
    manifest(tmp_path, "mask\nm/0.png\n")
    code, out, err = maskstat(*arguments)
    assert code in {1, 2}
    assert said in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_scan_of_a_split_is_the_scan_of_its_folder(tmp_path: Path) -> None:
    where = SOURCES["folder"](tmp_path, IN_SPLITS)
    split = ms.scan(where, classes=7, split="val")
    folder = ms.scan(f"{where}/val", classes=7)
    assert split.histogram == folder.histogram
    assert digests(split)[0] == digests(folder)[0]
    assert ms.scan is scan_function


def test_cells_of_several_lines_are_cells_in_the_header_too(tmp_path: Path) -> None:
    text = 'mask,"a\nnote"\na.png,"two\nlines, and a comma"\nb.png,one\n'
    where = write(tmp_path / "m.csv", text.encode())
    for name in ("a.png", "b.png"):
        write(tmp_path / name, b"1")
    assert sorted(entries_of(where)) == ["a.png", "b.png"]
