"""COCO files as sources: masks are pycocotools' own, one over the other by one rule."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import MissingExtraError, SourceError
from maskstat.readers.formats import SUFFIXES
from maskstat.sources.annotations import recognising
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from tests.support.annotation_cases import (
    HEIGHT,
    NAMES,
    SQUARE,
    WIDTH,
    annotation,
    coco,
    documents,
    drawn,
    expected,
    filled,
    image,
    needs_pycocotools,
    painted,
    picture,
    region,
    saved,
)
from tests.support.loops import at_least_one
from tests.support.scan_cases import digests, grey_png, stored_rows, write
from tests.support.source_cases import entries_of, source_at

needs_pycocotools()

WHOLE = [0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]
OTHER_CORNER = [4, 3, 9, 3, 9, 7, 4, 7]  # 20 pixels, 4 of them in SQUARE


def rows_of(pixels: NDArray[np.integer]) -> tuple[list[int], list[int]]:
    values, counts = np.unique(pixels, return_counts=True)
    return values.tolist(), counts.tolist()


# --- the oracle ----------------------------------------------------------------------------------


@given(documents(), st.randoms(use_true_random=False))
def test_masks_are_those_of_pycocotools_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, document: Any, chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    masks = expected(document)
    where = saved(folder, document)
    found = drawn(where)
    assert found.keys() == masks.keys()
    for name, pixels in masks.items():
        assert np.array_equal(found[name], pixels), name
    with ms.scan(where) as scan:
        assert stored_rows(scan) == {name: rows_of(pixels) for name, pixels in masks.items()}
        assert scan.histogram.unlisted_pixels == 0
    marks = {name: (entry.size, entry.stamp) for name, entry in entries_of(where).items()}
    for part in ("images", "annotations", "categories"):
        chance.shuffle(document[part])
    document = dict(sorted(document.items(), key=lambda _: chance.random()))
    again = write(folder / "again.json", json.dumps(document, indent=1).encode())
    shuffled = drawn(again)
    assert all(np.array_equal(shuffled[name], pixels) for name, pixels in masks.items())
    # The text of an annotation is what its image's mark hangs on; its place is not.
    compact = saved(folder, document, "compact.json")
    assert {name: (entry.size, entry.stamp) for name, entry in entries_of(compact).items()} == marks


@given(documents())
def test_an_entry_takes_no_more_than_its_own_annotations_along(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    where = saved(tmp_path_factory.mktemp("coco"), document | {"info": "x" * 100_000})
    for entry in at_least_one(entries_of(where).values()):
        packed = pickle.dumps(entry)
        assert len(packed) < 50_000
        assert pickle.loads(packed).load() == entry.load()


def test_a_rectangle_on_whole_numbers_covers_just_its_pixels(tmp_path: Path) -> None:
    for box in ((2, 1, 6, 5), (0, 0, 1, 1), (-5, -5, 3, 2), (8, 6, 40, 40), (-9, -9, 99, 99)):
        left, top, right, bottom = box
        outline = [left, top, right, top, right, bottom, left, bottom]
        where = saved(tmp_path, coco([image(1)], [annotation(1, 1, [outline])]))
        ours = filled(HEIGHT, WIDTH, max(top, 0), max(left, 0), bottom, right)
        assert np.array_equal(drawn(where)["1.jpg"], ours), box


@pytest.mark.parametrize("box", [(20, 0, 30, 8), (0, -9, 10, -1), (0, 9, 10, 20), (3, 3, 3, 8)])
def test_a_polygon_off_the_image_or_without_area_covers_nothing(
    box: tuple[int, ...], tmp_path: Path
) -> None:
    left, top, right, bottom = box
    outline = [left, top, right, top, right, bottom, left, bottom]
    where = saved(tmp_path, coco([image(1)], [annotation(1, 1, [outline])]))
    assert not drawn(where)["1.jpg"].any()


@given(
    st.integers(3, 12), st.floats(0, 6.28), st.floats(5, 40), st.tuples(*[st.floats(20, 80)] * 2)
)
def test_a_convex_polygon_covers_what_is_inside_of_it(
    tmp_path_factory: pytest.TempPathFactory,
    corners: int,
    turned: float,
    radius: float,
    centre: tuple[float, float],
) -> None:
    """By geometry alone: pixels whose centres are a pixel inside, and none a pixel outside."""
    angles = turned + np.arange(corners) * 2 * np.pi / corners
    x, y = centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)
    outline = np.stack([x, y], axis=1).ravel().tolist()
    folder = tmp_path_factory.mktemp("coco")
    where = saved(folder, coco([image(1, 100, 100)], [annotation(1, 1, [outline])]))
    found = drawn(where)["1.jpg"] == 1
    rows, columns = np.mgrid[:100, :100] + 0.5
    middles = turned + (np.arange(corners) + 0.5) * 2 * np.pi / corners
    apothem = radius * np.cos(np.pi / corners)
    beyond = np.max(
        [
            (columns - centre[0]) * np.cos(m) + (rows - centre[1]) * np.sin(m) - apothem
            for m in middles
        ],
        axis=0,
    )
    assert found[beyond < -1].all()
    assert not found[beyond > 1].any()


# --- the rule ------------------------------------------------------------------------------------


def test_the_smaller_region_lies_on_top_and_crowds_below_all(tmp_path: Path) -> None:
    everything = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    small = {"size": [HEIGHT, WIDTH], "counts": [0, 3, HEIGHT * WIDTH - 3]}
    layers = [
        annotation(1, 1, [SQUARE]),
        annotation(1, 2, [OTHER_CORNER]),
        annotation(1, 300, everything),
        annotation(1, 2, small, iscrowd=1),  # smaller than all, and under all
    ]
    for order in (layers, layers[::-1]):
        found = drawn(saved(tmp_path, coco([image(1)], order)))["1.jpg"]
        assert rows_of(found) == ([1, 2, 300], [16, 16, 48])
        assert (found[1:5, 2:6] == 1).all()


def test_of_equal_regions_the_larger_value_lies_on_top(tmp_path: Path) -> None:
    both = [annotation(1, number, [SQUARE]) for number in (300, 2)]
    assert rows_of(drawn(saved(tmp_path, coco([image(1)], both)))["1.jpg"]) == ([0, 300], [64, 16])


def test_parts_of_one_annotation_are_one_region(tmp_path: Path) -> None:
    """Their pixels count once, and the sum of them decides what lies on top."""
    far = [7, 5, 10, 5, 10, 8, 7, 8]  # 9 pixels
    two = annotation(1, 2, [SQUARE, far, SQUARE])  # 25 pixels
    single = annotation(1, 1, [OTHER_CORNER])  # 20
    found = drawn(saved(tmp_path, coco([image(1)], [single, two])))["1.jpg"]
    layers = [
        (False, 1, region([OTHER_CORNER], (8, 10))),
        (False, 2, region([SQUARE, far], (8, 10))),
    ]
    assert np.array_equal(found, painted(layers, (HEIGHT, WIDTH)))
    assert rows_of(found) == ([0, 1, 2], [43, 20, 17])


def test_runs_can_have_holes(tmp_path: Path) -> None:
    ring = np.ones((HEIGHT, WIDTH), bool)
    ring[2:5, 3:7] = False
    flat = ring.ravel(order="F")
    counts = np.diff([0, *np.flatnonzero(np.diff(flat, prepend=False)), flat.size]).tolist()
    runs = {"size": [HEIGHT, WIDTH], "counts": counts}
    found = drawn(saved(tmp_path, coco([image(1)], [annotation(1, 1, runs)])))["1.jpg"]
    assert np.array_equal(found, ring)


# --- classes -------------------------------------------------------------------------------------


def test_the_classes_are_those_of_the_file(tmp_path: Path) -> None:
    document = coco([image(1), image(2)], [annotation(1, 300, [SQUARE])], {300: "sky", 2: "car"})
    document["categories"][0]["color"] = [70, 130, 180]
    with ms.scan(saved(tmp_path, document)) as scan:
        assert scan.catalog.names == ("background", "car", "sky")
        assert [info.values for info in scan.catalog.classes] == [(0,), (2,), (300,)]
        assert scan.catalog.classes[2].colour == 0x4682B4
        assert scan.histogram.pixels.tolist() == [2 * HEIGHT * WIDTH - 16, 0, 16]
        assert scan.info.name == "instances"


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ({0: "a", 5: "b"}, {"background": (-1,), "a": (0,), "b": (5,)}),
        ({0: "background", 5: "b"}, {"background": (0, -1), "b": (5,)}),
        ({3: "_Background_", 5: "b"}, {"_Background_": (3, 0), "b": (5,)}),
        ({4: "a", 2: "a", 9: "b"}, {"background": (0,), "a (2)": (2,), "a (4)": (4,), "b": (9,)}),
        (
            {1: "background", 2: "background"},
            {"background (0)": (0,), "background (1)": (1,), "background (2)": (2,)},
        ),
        ({2**40: "far"}, {"background": (0,), "far": (2**40,)}),
        ({255: "last"}, {"background": (0,), "last": (255,)}),
        (
            {n: str(n) for n in range(200)},
            {"background": (-1,)} | {str(n): (n,) for n in range(200)},
        ),
    ],
    ids=["zero", "named zero", "named", "twice", "two backgrounds", "wide", "255", "many"],
)
def test_background_and_names(
    names: dict[int, str], classes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    last = max(names)
    with ms.scan(saved(tmp_path, coco([image(1)], [annotation(1, last, [SQUARE])], names))) as scan:
        assert {info.name: info.values for info in scan.catalog.classes} == classes
        pixels = dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))
        assert pixels.pop(next(n for n, values in classes.items() if last in values)) == 16
        assert sum(pixels.values()) == HEIGHT * WIDTH - 16  # the background's
        assert scan.histogram.ignored_pixels == 0


def test_given_classes_are_matched_by_name(tmp_path: Path) -> None:
    where = saved(tmp_path, coco([image(1)], [annotation(1, 2, [SQUARE])]))
    with ms.scan(where, classes=["sky", "Car", "background", "road", "person"]) as scan:
        assert scan.catalog.names == ("sky", "Car", "background", "road", "person")
        assert scan.histogram.pixels.tolist() == [0, 16, HEIGHT * WIDTH - 16, 0, 0]
    with ms.scan(where, classes=4) as scan:
        assert scan.catalog.names == ("background", "road", "car", "sky")


def test_masks_are_those_of_the_same_pixels_in_files(tmp_path: Path) -> None:
    """Also their profile, which looks at pixels in another way than counts do."""
    document = coco(
        [image(1), image(2, 5, 6), image(3)],
        [annotation(1, 1, [SQUARE]), annotation(1, 2, [OTHER_CORNER]), annotation(2, 2, [WHOLE])],
    )
    where = saved(tmp_path, document)
    for name, pixels in expected(document).items():
        write(tmp_path / "masks" / name.replace("jpg", "png"), grey_png(pixels))
    with (
        ms.scan(where, profile=True) as ours,
        ms.scan(tmp_path / "masks", classes=ours.catalog, profile=True) as theirs,
    ):
        assert ours.histogram == theirs.histogram
        assert ours.profile.components.tolist() == theirs.profile.components.tolist()
        assert np.array_equal(ours.profile.heat, theirs.profile.heat)


# --- scanning again ------------------------------------------------------------------------------


def test_only_what_changed_is_drawn_again(tmp_path: Path, decoded: list[str]) -> None:
    document = coco(
        [image(n) for n in range(1, 5)],
        [annotation(n, n % 2 + 1, [SQUARE], id=n) for n in range(1, 4)],
    )
    where, db = saved(tmp_path, document), tmp_path / "scans.db"

    def again() -> list[str]:
        decoded.clear()
        saved(tmp_path, document)
        with ms.scan(where, db=db) as scan, ms.scan(where) as fresh:
            assert digests(scan) == digests(fresh)
        # The second of the two scans begins with nothing, and draws all.
        return sorted(decoded[: -len(document["images"])])

    assert again() == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    document["annotations"].reverse()
    document["info"] = {"year": 2026}
    assert again() == []
    document["annotations"][0]["segmentation"] = [OTHER_CORNER]  # of image 3
    assert again() == ["3.jpg"]
    document["annotations"].append(annotation(4, 1, [SQUARE]))
    assert again() == ["4.jpg"]
    document["images"][1]["height"] += 1
    assert again() == ["2.jpg"]
    document["images"].append(image(9))
    assert again() == ["9.jpg"]
    del document["annotations"][0]
    assert again() == ["3.jpg"]
    del document["images"][0], document["annotations"][1]
    assert again() == []
    document["categories"][0]["name"] = "street"
    assert again() == []


def test_the_location_of_a_scan_opens_it_again(tmp_path: Path) -> None:
    document = coco([image(1, file_name="val/a.jpg"), image(2, file_name="train/b.jpg")], [])
    where = saved(tmp_path, document)
    with ms.scan(where) as scan, ms.scan(scan.source) as again:
        assert digests(scan) == digests(again)
        assert [entry.name for entry in scan.entries()] == ["val/a.jpg", "train/b.jpg"]
    with ms.scan(where, split="val") as scan, ms.scan(scan.source) as again:
        assert again.ledger.names == scan.ledger.names == ("val/a.jpg",)
        assert scan.catalog.names == again.catalog.names == ("background", "road", "car", "sky")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["1.jpg", "sub/2.jpg", "sub/3.png"]),
        ({"include": ("*.jpg",)}, ["1.jpg", "sub/2.jpg"]),
        ({"exclude": ("sub/*",)}, ["1.jpg"]),
        ({"exclude": ("*",)}, []),
    ],
)
def test_images_are_chosen_by_name(
    options: dict[str, Any], names: list[str], tmp_path: Path
) -> None:
    files = ["1.jpg", "sub\\2.jpg", "sub/3.png"]
    images = [image(n, file_name=name) for n, name in enumerate(files)]
    source = open_source(saved(tmp_path, coco(images, [])), Selection(suffixes=SUFFIXES, **options))
    assert [entry.name for entry in source.entries()] == names
    assert source.skipped() == 3 - len(names)


# --- the command line, folders, and what is missing ----------------------------------------------


def test_a_scan_its_weights_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = annotation(2, 1, [[1, 2, 3]], id=41)
    saved(tmp_path, coco([image(1), image(2)], [annotation(1, 2, [SQUARE]), broken]))
    assert run(["scan", "instances.json", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["failures"] == [
        {
            "mask": "2.jpg",
            "reason": "annotation 41: a polygon of 3 numbers: the last x has no y",
        }
    ]
    write(tmp_path / "images/1.jpg", picture(HEIGHT + 1, WIDTH, "JPEG"))
    assert run(["check", "--images", "images", "--json", "--fail-on", "size-mismatch"]) == 1
    capsys.readouterr()
    for command in (
        ["weights", "-o", "w.json", "--absent", "zero"],
        ["report", "-o", "r.html"],
        ["check"],
        ["show"],
    ):
        assert run(command) == 0, capsys.readouterr()
    assert ms.load_weights("w.json").names == ("background", *NAMES.values())


@pytest.mark.parametrize("name", ["instances.json", "data.yaml", "a.json"])
def test_without_pycocotools(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    saved(tmp_path, coco([image(1)], []))
    saved(tmp_path, {"shapes": []}, "a.json")
    write(tmp_path / "data.yaml", b"train: images\nnames: [a]\n")
    with pytest.raises(MissingExtraError) as caught:
        ms.scan(tmp_path / name)
    assert 'pip install "maskstat[annotations]"' in str(caught.value)


@pytest.mark.parametrize(
    ("files", "typed"),
    [
        ({"a/1.json": '{"shapes": []}'}, "type: scan('{}/**/*.json')"),
        ({"x.json": '{"images": [], "annotations": []}'}, "type: scan('{}/x.json')"),
        ({"d.yaml": "train: images\nnames: [a]", "l/a.txt": ""}, "type: scan('{}/d.yaml')"),
        ({"l/a.txt": "0 0.1 0.1 0.5 0.1 0.5 0.5\n"}, "type: scan('data.yaml')"),
        ({"l/a.txt": "Read me\n", "b.json": "{", "c.yaml": "{", "d.json": "[]"}, "include"),
        ({".hidden/1.json": '{"shapes": []}', "a.yml": "? [1]\n: 2"}, "include"),
    ],
)
def test_a_folder_without_masks_says_what_to_type(
    files: dict[str, str], typed: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        write(tmp_path / name, text.encode())
    with pytest.raises(SourceError, match="no masks found") as caught:
        ms.scan(tmp_path)
    assert typed.format(tmp_path) in str(caught.value)


def test_a_folder_of_masks_is_not_looked_through_for_annotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.png", grey_png([[1]]))
    write(tmp_path / "a.json", b'{"shapes": []}')

    def never(*_: object) -> None:
        raise AssertionError("looked at")

    for name in ("read_text", "remedy_for", "_files_below", "_keys"):
        monkeypatch.setattr(recognising, name, never)
    with ms.scan(tmp_path) as scan:
        assert scan.ledger.names == ("a.png",)
    assert [entry.name for entry in source_at(tmp_path, include=("*.json",)).entries()] == [
        "a.json"
    ]


def test_annotation_files_are_read_from_disk_only() -> None:
    with pytest.raises(SourceError, match="download it first") as caught:
        ms.scan("https://user:secret@example.org/instances.json")
    assert "secret" not in str(caught.value)
