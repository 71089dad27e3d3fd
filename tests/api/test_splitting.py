"""`Scan.split` and `Scan.certify`: scans to parts, parts to files, files to scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.errors import CatalogError, ExposureError, FileFormatError, ParameterError
from tests.support.loops import at_least_one

RATIOS = "0.5,0.25,0.25"


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of eight masks each, of three classes; one name is a formula to a spreadsheet."""
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    for clip in ("a", "b", "c"):
        (folder / clip).mkdir()
        for frame in range(8):
            shape = (6, 10)
            mask = random.choice(3, shape, p=[0.7, 0.2, 0.1]).astype(np.uint8)
            Image.fromarray(mask).save(folder / clip / f"{'=' * (frame == 0)}{frame}.png")
    return folder


@pytest.fixture(scope="module")
def scan(masks: Path) -> ms.Scan:
    return ms.scan(masks, classes=3)


def test_lists_of_parts_are_all_masks_once(scan: ms.Scan, tmp_path: Path) -> None:
    plan = scan.split(ratios=RATIOS)
    written = plan.save(tmp_path / "lists")
    assert [path.name for path in written] == ["train.txt", "val.txt", "test.txt"]
    lines = {path.stem: path.read_text("utf-8").splitlines() for path in written}
    assert {part: tuple(names) for part, names in lines.items()} == {
        part: plan.names_of(part) for part in plan.parts
    }
    assert sorted(name for names in lines.values() for name in names) == sorted(scan.ledger.names)
    assert [len(lines[part]) for part in ("train", "val", "test")] == [12, 6, 6]
    assert scan.certify(written).certificate.pixels.tolist() == plan.certificate.pixels.tolist()


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("options", [{"ratios": RATIOS}, {"folds": 4}], ids=["ratios", "folds"])
def test_a_table_is_what_scan_splits_reads(
    scan: ms.Scan, tmp_path: Path, suffix: str, options: dict[str, object]
) -> None:
    """From another folder than that of the masks."""
    plan = scan.split(**options)  # type: ignore[arg-type]
    path = tmp_path / f"parts{suffix}"
    plan.save(path)
    found = ms.scan_splits(path, classes=3, db=tmp_path / f"{suffix[1:]}{len(plan.parts)}.db")
    assert found.in_no_split == 0
    assert found.keys() == set(plan.parts)
    for at, part in at_least_one(enumerate(plan.parts)):
        ledger = found[part].ledger
        assert [name.rpartition("/")[2] for name in ledger.names] == [
            name.rpartition("/")[2] for name in plan.names_of(part)
        ]
        assert ledger.dense().sum(0).tolist() == plan.certificate.pixels[at].tolist()


def test_voc_has_names_without_suffix(scan: ms.Scan, tmp_path: Path) -> None:
    plan = scan.split(folds=2)
    written = plan.save(tmp_path / "ImageSets" / "Segmentation")
    assert [path.name for path in written] == ["fold-0.txt", "fold-1.txt"]
    lines = [line for path in written for line in path.read_text("utf-8").split("\n") if line]
    assert sorted(lines) == sorted(name.removesuffix(".png") for name in scan.ledger.names)
    again = scan.certify(written)
    assert again.parts == plan.parts
    assert [test.tolist() for _, test in again.split()] == [
        test.tolist() for _, test in plan.split()
    ]
    assert again.certificate.masks.tolist() == plan.certificate.masks.tolist()


def test_json_has_the_certificate(scan: ms.Scan, tmp_path: Path) -> None:
    plan = scan.split(ratios={"fit": 0.75, "check": 0.25})
    plan.save(tmp_path / "split.json")
    document = json.loads((tmp_path / "split.json").read_text("utf-8"))
    assert document == json.loads(json.dumps(plan.to_document()))
    assert document["provenance"]["scans"] == [scan.name]
    assert [part["name"] for part in document["parts"]] == ["fit", "check"]


def test_groups_of_the_scan_stay_whole(scan: ms.Scan) -> None:
    plan = scan.grouped("folder").split(folds=3)
    assert [{name[0] for name in plan.names_of(part)} for part in plan.parts] in (
        [[{one}, {two}, {three}] for one in "abc" for two in "abc" for three in "abc"]
    )
    assert plan.group_count == 3
    assert plan.certificate.search == "enumerated"
    with pytest.raises(ParameterError, match=r"3 groups can't fill 5 parts.*folds=3"):
        scan.grouped("folder").split(folds=5)


def test_what_is_decided_may_be_written_in_several_ways(scan: ms.Scan, tmp_path: Path) -> None:
    names = scan.ledger.names
    chosen = [name for name in names if name.startswith("a/")][:3]
    lines = [chosen[0], chosen[1].removesuffix(".png"), f"images/{chosen[2][:-4]}.jpg"]
    (tmp_path / "val.txt").write_text("# decided\n" + "\n".join(lines[:2]), "utf-8")
    plan = scan.split(ratios=RATIOS, fixed=tmp_path / "val.txt")
    assert set(chosen[:2]) <= set(plan.names_of("val"))
    same = scan.split(ratios=RATIOS, fixed={"val": chosen[:2]})
    assert same.part.tolist() == plan.part.tolist()
    with pytest.raises(ParameterError, match="1 of 1 line name no mask of the scan"):
        scan.split(ratios=RATIOS, fixed={"val": [lines[2]]})  # three clips have a mask of that name


def test_several_scans_are_split_as_one(masks: Path, tmp_path: Path) -> None:
    """As is the folder that all of them are in; masks of equal names are two."""
    db = tmp_path / "m.db"
    for clip in ("b", "c"):
        ms.scan(masks / clip, classes=3, db=db, name=clip).close()
    with ms.scan(masks / "a", classes=3, db=db, name="a") as first:
        plan = first.split("b", "c", ratios=RATIOS)
        whole = ms.scan(masks, classes=3).split(ratios=RATIOS)
        assert dict(zip(plan.names, plan.part.tolist(), strict=True)) == dict(
            zip(whole.names, whole.part.tolist(), strict=True)
        )
        assert plan.save(tmp_path / "p.csv") == [tmp_path / "p.csv"]
        with pytest.raises(ParameterError, match="is in two of the scans"):
            first.split("a", ratios=RATIOS)


WRONG: dict[str, tuple[Callable[[ms.Scan, Path], object], str]] = {
    "neither": (lambda s, _: s.split(), "ratios: is it ratios or folds"),
    "both": (lambda s, _: s.split(ratios="0.5,0.5", folds=2), "ratios: is it ratios or folds"),
    "sum": (lambda s, _: s.split(ratios="0.8,0.1"), r"add up to 0.9, not to 1; 0.8889,0.1111 do"),
    "no number": (lambda s, _: s.split(ratios="0.8,x"), "'x' is no number"),
    "four": (lambda s, _: s.split(ratios=[0.25] * 4), "4 numbers without names"),
    "negative": (lambda s, _: s.split(ratios=[1.5, -0.5]), "train: 1.5 is no share between"),
    "nan": (lambda s, _: s.split(ratios=[float("nan"), 0.5]), "train: nan is no share"),
    "twice": (lambda s, _: s.split(ratios="a=0.5,a=0.5"), "two parts have one name"),
    "path": (lambda s, _: s.split(ratios={"../a": 0.5, "b": 0.5}), "'../a' is no name of a part"),
    "one fold": (lambda s, _: s.split(folds=1), "1 is no whole number from 2"),
    "tolerance": (lambda s, _: s.split(folds=2, tolerance=-0.1), "-0.1 is no share from 0 to 1"),
    "part": (lambda s, _: s.split(folds=2, fixed={"val": []}), "there is no part 'val'"),
    "no list": (lambda s, p: s.split(folds=2, fixed=p / "0.txt"), "0.txt: can't be read"),
    "empty": (lambda s, _: s.split(folds=2, fixed={"0": []}), "fixed 0: names no mask"),
    "in both": (
        lambda s, _: s.split(folds=2, fixed={"0": ["a/1.png"], "1": ["a/1.png"]}),
        "'a/1.png' is in 0 and in 1|a/1.png is in 0 and in 1",
    ),
    "one part": (lambda s, _: s.certify({"a": ["a/1.png"]}), "two parts or more"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(case: str, scan: ms.Scan, tmp_path: Path) -> None:
    act, text = WRONG[case]
    with pytest.raises(ParameterError, match=text) as error:
        act(scan, tmp_path)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_written(scan: ms.Scan, tmp_path: Path) -> None:
    plan = scan.split(folds=2)
    with pytest.raises(FileFormatError, match=r"\.xls is no format"):
        plan.save(tmp_path / "a.xls")
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(FileFormatError, match="is a file and no folder"):
        plan.save(tmp_path / "file")


def test_crops_are_not_split(scan: ms.Scan) -> None:
    crops = scan.exposure(crop=4)
    for act in at_least_one([crops.split, crops.certify]):
        with pytest.raises(ExposureError, match="use the scan itself"):
            act()


def test_scans_of_other_classes_are_not_split_together(scan: ms.Scan, masks: Path) -> None:
    with pytest.raises(CatalogError, match="different classes"):
        scan.split(ms.scan(masks / "a", classes=4), folds=2)


def test_progress_is_told(scan: ms.Scan) -> None:
    heard: list[tuple[int, int]] = []
    scan.split(folds=2, on_search=lambda done, of: heard.append((done, of)))
    assert [done for done, _ in heard] == list(range(heard[0][1]))
