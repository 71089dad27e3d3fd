"""YOLO's datasets as sources: labels by data.yaml, in every layout that it allows."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import MaskError, SourceError
from maskstat.memory import LARGEST_MASK
from maskstat.scanning.listing import splits_of
from maskstat.sources.base import Entry
from tests.support.annotation_cases import (
    HEIGHT,
    WIDTH,
    box_line,
    drawn,
    filled,
    needs_pycocotools,
    painted,
    picture,
    yolo,
)
from tests.support.loops import at_least_one
from tests.support.scan_cases import digests, stored_rows, write
from tests.support.source_cases import entries_of

needs_pycocotools()

CAR = box_line(1, 0.2, 0.25, 0.6, 0.75)  # rows 2 to 5, columns 2 to 5 of 8x10
ROAD = box_line(0, 0, 0.5, 1, 1)  # the lower half
WHERE = {"train/a": CAR, "train/b": None, "val/c": f"{ROAD}\n\n{CAR}\n"}
NAMES = ("background", "road", "car")


def names_of(where: Path) -> list[str]:
    return sorted(entries_of(where))


# --- masks ---------------------------------------------------------------------------------------


def test_labels_are_drawn_in_the_size_of_their_images(tmp_path: Path) -> None:
    """What no label covers is background, which is -1 since 0 is a class."""
    masks = drawn(yolo(tmp_path, WHERE))
    car, road = filled(8, 10, 2, 2, 6, 6).astype(bool), filled(8, 10, 4, 0, 8, 10).astype(bool)
    assert {name: pixels.tolist() for name, pixels in masks.items()} == {
        "images/train/a.png": painted([(False, 1, car)], (8, 10), -1).tolist(),
        "images/train/b.png": painted([], (8, 10), -1).tolist(),
        "images/val/c.png": painted([(False, 1, car), (False, 0, road)], (8, 10), -1).tolist(),
    }


def test_the_classes_are_those_of_the_file(tmp_path: Path) -> None:
    with ms.scan(yolo(tmp_path / "streets", WHERE)) as scan, ms.scan(scan.source) as again:
        assert digests(scan) == digests(again)
        assert scan.info.name == "streets"
        assert scan.catalog.names == NAMES
        assert [info.values for info in scan.catalog.classes] == [(-1,), (0,), (1,)]
        assert scan.histogram.pixels.tolist() == [64 + 80 + 32, 32, 32]


@given(
    st.lists(
        st.tuples(*[st.integers(0, 1)], *[st.integers(0, 10)] * 4).filter(
            lambda box: box[1] < box[3] and box[2] < box[4]
        ),
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_boxes_of_any_kind_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[int, ...]], chance: object
) -> None:
    """Coordinates that are whole numbers of pixels are drawn as just these pixels."""
    layers = [
        (False, number, filled(10, 10, top, left, bottom, right).astype(bool))
        for number, left, top, right, bottom in boxes
    ]
    lines = [box_line(number, *[edge / 10 for edge in box]) for number, *box in boxes]
    chance.shuffle(lines)  # type: ignore[attr-defined]
    where = yolo(tmp_path_factory.mktemp("yolo"), {"train/a": "\n".join(lines)})
    write(where.parent / "images/train/a.png", picture(10, 10))
    assert np.array_equal(drawn(where)["images/train/a.png"], painted(layers, (10, 10), -1))


@pytest.mark.parametrize(
    ("orientation", "turned"), [(1, False), (3, False), (5, True), (6, True), (8, True)]
)
def test_an_image_that_lies_on_its_side(orientation: int, turned: bool, tmp_path: Path) -> None:
    """Labels are those of the image as it is shown."""
    where = yolo(tmp_path, {"train/a": CAR})
    write(tmp_path / "images/train/a.png", picture(20, 10, "JPEG", orientation))
    assert drawn(where)["images/train/a.png"].shape == ((10, 20) if turned else (20, 10))


# --- where images and labels are -----------------------------------------------------------------

LAYOUTS: dict[str, tuple[str, list[str]]] = {
    "a folder a split": ("train: images/train\nval: images/val\n", ["a", "b", "c"]),
    "folders": ("train: [images/train, images/val]\n", ["a", "b", "c"]),
    "path": ("path: .\ntrain: images/train\n", ["a", "b"]),
    "path elsewhere": ("path: ../other/data\ntrain: images\n", ["d"]),
    "a dot before it": ("train: ./images/train/\nval: images//val\n", ["a", "b", "c"]),
    "the folder above": ("train: images\n", ["a", "b", "c"]),
    "a list": ("train: lists/train.txt\n", ["a", "c"]),
    "Roboflow's": ("train: ../images/train\n", ["a", "b"]),
    "no such path": ("path: nowhere\ntrain: images/train\n", ["a", "b"]),
    "null": ("path: null\ntrain: images/train\nval:\ntest: ''\n", ["a", "b"]),
    "twice": ("train: images/train\nval: images\n", ["a", "b", "c"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    text, expected = LAYOUTS[layout]
    where = yolo(folder, WHERE, f"{text}nc: 2\nnames: [road, car]\n")
    write(folder / "lists/train.txt", b"../images/train/a.png\n\n../images/val/c.png\n")
    write(tmp_path / "other/data/images/d.png", picture())
    write(tmp_path / "other/data/labels/d.txt", CAR.encode())
    write(folder / "labels/train/classes.txt", b"road\ncar\n")  # of a labelling tool
    write(folder / "images/train/notes.md", b"...")
    with ms.scan(where) as scan:
        assert [name.rpartition("/")[2] for name in scan.ledger.names] == [
            f"{n}.png" for n in expected
        ]
        assert scan.failures == ()
        cars = {"a.png", "c.png", "d.png"}
        for name, (values, counts) in at_least_one(stored_rows(scan).items()):
            assert dict(zip(values, counts, strict=True)).get(1, 0) == (
                16 if name.rpartition("/")[2] in cars else 0
            )


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("[road, car]", NAMES),
        ("{0: road, 1: car}", NAMES),
        ("{1: car, 0: road}", NAMES),
        ("[0, 1]", ("background", "0", "1")),
        ("[car, car]", ("background", "car (0)", "car (1)")),
        ("[background, car]", ("background", "car")),
    ],
)
def test_names(names: str, found: tuple[str, ...], tmp_path: Path) -> None:
    with ms.scan(yolo(tmp_path, WHERE, f"train: images\nnames: {names}\n")) as scan:
        assert scan.catalog.names == found
        assert scan.histogram.total_pixels == scan.histogram.pixels.sum()


def test_a_number_of_classes_without_names(tmp_path: Path) -> None:
    with ms.scan(yolo(tmp_path, WHERE, "train: images\nnc: 2\n")) as scan:
        assert scan.catalog.names == ("background", "class_0", "class_1")


def test_splits_are_those_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever folders are called."""
    text = "train: images/val\nval: images/train\nnames: [road, car]\n"
    where = yolo(tmp_path / "set", WHERE, text)
    assert splits_of(where) == {"train": 1, "val": 2}
    with ms.scan(where, split="val") as scan:
        assert scan.ledger.names == ("images/train/a.png", "images/train/b.png")
        with ms.scan(scan.source) as again:
            assert digests(again) == digests(scan)
    assert run(["scan", str(where), "--split", "--json", "--db", str(tmp_path / "m.db")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["scan"] for one in document["scans"]] == ["set-train", "set-val"]


def test_images_are_chosen_by_name(tmp_path: Path) -> None:
    where = yolo(tmp_path, WHERE)
    with ms.scan(where, include=["*/train/*"], exclude=["b.png"]) as scan:
        assert scan.ledger.names == ("images/train/a.png",)
        assert scan.changes.skipped == 2


# --- scanning again ------------------------------------------------------------------------------


def test_only_what_changed_is_drawn_again(tmp_path: Path, decoded: list[str]) -> None:
    where, db = yolo(tmp_path, WHERE), tmp_path / "scans.db"

    def again() -> list[str]:
        decoded.clear()
        with ms.scan(where, db=db) as scan:
            names = sorted(name.rpartition("/")[2] for name in decoded)
            with ms.scan(where) as fresh:
                assert digests(scan) == digests(fresh)
        return names

    assert again() == ["a.png", "b.png", "c.png"]
    assert again() == []
    write(tmp_path / "labels/train/b.txt", ROAD.encode())
    assert again() == ["b.png"]
    write(tmp_path / "images/val/c.png", picture(9, 9))
    assert again() == ["c.png"]
    (tmp_path / "labels/train/a.txt").unlink()
    assert again() == ["a.png"]
    write(where, where.read_bytes().replace(b"[road, car]", b"[street, car]"))
    assert again() == []
    write(where, where.read_bytes().replace(b"[street, car]", b"[street, car, sky]"))
    assert again() == ["a.png", "b.png", "c.png"]  # a label 2 would now be right


def test_entries_can_be_sent_elsewhere(tmp_path: Path) -> None:
    for entry in at_least_one(entries_of(yolo(tmp_path, WHERE)).values()):
        sent: Entry = pickle.loads(pickle.dumps(entry))
        assert sent.load() == entry.load()


# --- what can't be drawn -------------------------------------------------------------------------

LINES = [
    ("1 0.1 0.1 0.5 0.5", "line 1 of its labels: a box, which is no mask"),
    ("1 0.1 0.1 0.5", "line 1 of its labels: a box, which is no mask"),
    (f"{CAR}\n\n{CAR}\n1 0.5 0.5 0.2 0.2\n", "line 4 of its labels: a box"),
    ("2 0 0 1 0 1 1", "there is no class 2: 'names' has 2"),
    ("-1 0 0 1 0 1 1", "there is no class -1: 'names' has 2"),
    ("0.5 0 0 1 0 1 1", "there is no class 0.5"),
    ("nan 0 0 1 0 1 1", "there is no class nan"),
    ("1e400 0 0 1 0 1 1", "there is no class 1e400"),
    ("car 0 0 1 0 1 1", "not all of it are numbers"),
    ("1 0 0 1 0 1 1 1", "a polygon of 7 numbers: the last x has no y"),
    ("1", "a polygon of 0 points"),
    ("1 0 0", "a polygon of 1 points"),
    ("1 0 0 1 0 1 1.02", "no fractions of the image's size"),
    ("1 0 0 1 0 -0.02 1", "no fractions of the image's size"),
    ("1 10 10 200 10 200 300", "no fractions of the image's size"),
    ("1 0 0 1 0 1 nan", "no fractions of the image's size"),
    ("1 0 0 1 0 1 inf", "no fractions of the image's size"),
    ("\x1b[2J 0 0 1 0 1 1", "not all of it are numbers"),
]


@pytest.mark.parametrize(("lines", "said"), LINES)
def test_a_label_that_can_not_be_drawn_fails_its_mask(
    lines: str, said: str, tmp_path: Path
) -> None:
    with ms.scan(yolo(tmp_path, {"train/a": lines, "train/b": CAR})) as scan:
        assert [one.mask for one in scan.failures] == ["images/train/a.png"]
        assert said in scan.failures[0].reason
        assert scan.histogram.pixels.tolist() == [64, 0, 16]


def test_coordinates_may_be_a_little_off_the_image(tmp_path: Path) -> None:
    where = yolo(tmp_path, {"train/a": box_line(0, -0.01, -0.005, 1.01, 1.0001)})
    assert not drawn(where)["images/train/a.png"].any()


def test_labels_and_images_without_each_other(tmp_path: Path) -> None:
    where = yolo(tmp_path, {"train/a": CAR})
    write(tmp_path / "labels/train/gone.txt", CAR.encode())
    write(tmp_path / "labels/train/binary.txt", b"\xff\0")
    write(tmp_path / "images/train/binary.png", picture())
    write(tmp_path / "images/train/text.png", b"no image")
    write(tmp_path / "images/train/empty.jpg", b"")
    (tmp_path / "labels/train/folder.txt").mkdir()
    (tmp_path / "images/val").rmdir()
    write(tmp_path / "images/train/folder.png", picture())
    with ms.scan(where) as scan:
        assert scan.ledger.names == ("images/train/a.png",)
        found = {one.mask.rpartition("/")[2]: one.reason for one in scan.failures}
        assert found.pop("folder.png") == "its labels: can't be read: it is a folder"
        assert found == {
            "gone.txt": "labels without an image, whose size they are fractions of",
            "binary.png": "its labels: not UTF-8 text",
            "text.png": "the size of its image text.png is not to be had:"
            " of no image format that is known here",
            "empty.jpg": "the size of its image empty.jpg is not to be had:"
            " of no image format that is known here",
            "val": "the file names this, and there is no such folder or list of images",
        }


def test_labels_that_are_gone_when_they_are_read_are_no_background(tmp_path: Path) -> None:
    """As on a machine that has the images only."""
    where = yolo(tmp_path, WHERE)
    entries = entries_of(where)
    shutil.rmtree(tmp_path / "labels")
    assert entries["images/train/b.png"].load()  # it never had any
    for name in ("images/train/a.png", "images/val/c.png"):
        with pytest.raises(MaskError, match="its labels: can't be read: No such file"):
            entries[name].load()


def test_an_image_that_claims_to_be_huge(tmp_path: Path) -> None:
    where = yolo(tmp_path, {"train/a": CAR, "train/b": CAR})
    header = b"P5 1000000 1000000 255\n"
    write(tmp_path / "images/train/a.png", header)
    with ms.scan(where) as scan:
        found = {one.mask: one.reason for one in scan.failures}
        assert found["images/train/a.png"] == (
            f"1000000x1000000 pixels take more than the {LARGEST_MASK >> 20} MiB a mask may take"
        )
        assert scan.histogram.mask_count == 1


WRONG: list[tuple[str, str]] = [
    ("", "it holds no mapping"),
    ("[1]", "it holds no mapping"),
    ("train: {", "not valid YAML"),
    ("names: [a]", "names no images under 'train', 'val' or 'test'"),
    ("train: 5\nnames: [a]", "'train' is no path"),
    ("train: [a, 5]\nnames: [a]", "'train' is no path"),
    ('train: "a\\0b"\nnames: [a]', "'train' is no path"),
    ("train: images", "'names' are no list of classes"),
    ("train: images\nnames: {1: a}", "'names' are no list of classes"),
    ("train: images\nnames: []", "'names' are no list of classes"),
    ("train: images\nnames: abc", "'names' are no list of classes"),
    ("train: images\nnc: 100000000", "'names' are no list of classes"),
    ("train: images\nnames: [[a]]", "its categories are no classes"),
    ("train: images\nnames: [null]", "its categories are no classes"),
    ("train: images\nnames: [0x" + "f" * 9000 + "]", "its categories are no classes"),
    (
        "a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ntrain: images\nnames: [*d,*d,*d,*d,*d,*d,*d,*d]",
        "its categories are no classes",
    ),
    ("train: images\nnames: " + "[" * 5000, "not valid YAML"),
    ("train: images\nnames: !!python/object:os.system [a]", "not valid YAML"),
    ("train: images\nnames: [a\x1b]", "not valid YAML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[text[:40] for text, _ in WRONG])
def test_a_file_that_is_no_dataset(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        ms.scan(yolo(tmp_path, WHERE, text))
    assert said in str(caught.value)
    assert "data.yaml" in str(caught.value)
    assert str(caught.value).isprintable()


def test_names_below_and_beside_the_dataset(tmp_path: Path) -> None:
    """A name is the path from the dataset's folder, and nothing is ever written under it."""
    write(tmp_path / "images/x.png", picture())
    where = yolo(tmp_path / "set", {}, "train: ../images\nnames: [road, car]\n")
    assert names_of(where) == ["../images/x.png"]
    assert drawn(where)["../images/x.png"].shape == (HEIGHT, WIDTH)


def test_files_that_are_too_large_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = yolo(tmp_path, {"train/a": f"{CAR}\n{CAR}\n", "train/b": CAR})
    monkeypatch.setattr("maskstat.sources.annotations.yolo.MAX_LABEL_BYTES", len(CAR))
    with ms.scan(where) as scan:
        assert [one.mask for one in scan.failures] == ["images/train/a.png"]
        assert scan.failures[0].reason == "its labels: larger than 0 MiB"
    monkeypatch.setattr("maskstat.sources.annotations.yolo.MAX_YAML_BYTES", 10)
    with pytest.raises(SourceError, match=r"data\.yaml: larger than 0 MiB"):
        ms.scan(where)
    write(tmp_path / "a.json", b'{"shapes": []}')
    monkeypatch.setattr("maskstat.sources.annotations.texts.MAX_FILE_BYTES", 10)
    with pytest.raises(SourceError, match=r"a\.json: larger than 0 MiB"):
        ms.scan(tmp_path / "a.json")
