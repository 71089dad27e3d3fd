"""LabelMe files as sources: shapes of every kind, and the values of labels."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import SourceError
from tests.support.annotation_cases import (
    HEIGHT,
    WIDTH,
    drawn,
    filled,
    labelme,
    needs_pycocotools,
    painted,
    saved,
    shape,
)
from tests.support.scan_cases import digests, grey_png, write
from tests.support.source_cases import entries_of, source_at

needs_pycocotools()

SQUARE = [[2, 1], [6, 1], [6, 5], [2, 5]]


def only(folder: Path, *shapes: Any, **more: Any) -> Any:
    """The pixels of a file of these shapes."""
    return drawn(saved(folder, labelme([*shapes], **more), "a.json"))["a.json"]


def mask_shape(label: str, inside: Any, left: float, top: float) -> dict[str, Any]:
    encoded = base64.b64encode(grey_png(np.array(inside, np.uint8), 1)).decode()
    height, width = np.shape(inside)
    corners = [[left, top], [left + width - 1, top + height - 1]]
    return shape(label, corners, "mask", mask=encoded)


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["polygon", None, "oriented_rectangle"])
def test_outlines(kind: str | None, tmp_path: Path) -> None:
    assert np.array_equal(only(tmp_path, shape("a", SQUARE, kind)), filled(8, 10, 1, 2, 5, 6))


def test_a_shape_without_a_kind_is_a_polygon(tmp_path: Path) -> None:
    old = {"label": "a", "points": SQUARE, "line_color": None, "fill_color": None}
    assert np.array_equal(only(tmp_path, old), filled(8, 10, 1, 2, 5, 6))


@given(st.permutations([0, 1]), st.permutations([0, 1]))
def test_a_rectangle_has_any_two_opposite_corners(
    tmp_path_factory: pytest.TempPathFactory, across: list[int], down: list[int]
) -> None:
    (left, right), (top, bottom) = ([(2, 6)[n] for n in across], [(1, 5)[n] for n in down])
    found = only(
        tmp_path_factory.mktemp("labelme"), shape("a", [[left, top], [right, bottom]], "rectangle")
    )
    assert np.array_equal(found, filled(8, 10, 1, 2, 5, 6))


@given(st.floats(2, 40), st.floats(0, 6.28), st.tuples(*[st.floats(30, 70)] * 2))
def test_a_circle_is_its_centre_and_a_point_on_it(
    tmp_path_factory: pytest.TempPathFactory,
    radius: float,
    angle: float,
    centre: tuple[float, float],
) -> None:
    x, y = centre
    edge = [x + radius * np.cos(angle), y + radius * np.sin(angle)]
    found = only(
        tmp_path_factory.mktemp("labelme"),
        shape("a", [[x, y], edge], "circle"),
        height=100,
        width=100,
    )
    rows, columns = np.mgrid[:100, :100] + 0.5
    far = np.hypot(columns - x, rows - y) - radius
    assert (found[far < -1] == 1).all()
    assert not found[far > 1].any()


@pytest.mark.parametrize("kind", ["point", "points", "line", "linestrip"])
def test_what_has_no_area_has_no_pixels_but_is_a_class(kind: str, tmp_path: Path) -> None:
    shapes = [shape("wire", SQUARE[:2], kind), shape("tree", SQUARE)]
    with ms.scan(saved(tmp_path, labelme(shapes))) as scan:
        assert scan.catalog.names == ("background", "tree", "wire")
        assert scan.histogram.pixels.tolist() == [HEIGHT * WIDTH - 16, 16, 0]


@pytest.mark.parametrize(
    ("left", "top"), [(2, 1), (0, 0), (-1, -2), (8, 7), (2.4, 0.6), (50, 3), (-50, 3)]
)
def test_a_mask_lies_with_its_corner_at_its_first_point(
    left: float, top: float, tmp_path: Path
) -> None:
    inside = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0]])
    canvas = np.zeros((HEIGHT + 200, WIDTH + 200), int)
    at = 100 + round(top), 100 + round(left)
    canvas[at[0] : at[0] + 4, at[1] : at[1] + 3] = inside
    found = only(tmp_path, mask_shape("a", inside, left, top))
    assert np.array_equal(found, canvas[100:-100, 100:-100])


@given(st.permutations(range(4)))
def test_the_order_of_shapes_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    boxes = [(0, 0, 8, 10), (1, 2, 5, 6), (3, 4, 7, 9), (4, 4, 6, 6)]
    layers = [(False, n + 1, filled(8, 10, *box).astype(bool)) for n, box in enumerate(boxes)]
    shapes = [
        shape("abcd"[n], [[left, top], [right, bottom]], "rectangle")
        for n, (top, left, bottom, right) in enumerate(boxes)
    ]
    found = only(tmp_path_factory.mktemp("labelme"), *[shapes[n] for n in order])
    assert np.array_equal(found, painted(layers, (HEIGHT, WIDTH)))


# --- labels --------------------------------------------------------------------------------------


def folder_of(root: Path, *labels: str) -> Path:
    for number, label in enumerate(labels):
        saved(root, labelme([shape(label, SQUARE)]), f"sub/{number}.json")
    return root


def test_labels_of_all_files_are_the_classes_in_natural_order(tmp_path: Path) -> None:
    folder_of(tmp_path, "class 10", "class 9", "apple", "class 9")
    with ms.scan(f"{tmp_path}/**/*.json") as scan:
        assert scan.catalog.names == ("background", "apple", "class 9", "class 10")
        assert scan.histogram.pixels.tolist() == [4 * 64, 16, 32, 16]
        assert scan.ledger.names == ("sub/0.json", "sub/1.json", "sub/2.json", "sub/3.json")
    with ms.scan(f"{tmp_path}/sub/*.json", exclude=["2.json"]) as scan:
        assert scan.catalog.names == ("background", "apple", "class 9", "class 10")
        assert scan.histogram.pixels.tolist() == [3 * 64, 0, 32, 16]


def test_labels_txt_says_the_values(tmp_path: Path) -> None:
    folder_of(tmp_path, "b", "a", "__ignore__")
    write(tmp_path / "sub" / "labels.txt", b"__ignore__\n_background_\nb\nc\na\n")
    with ms.scan(f"{tmp_path}/sub/*.json") as scan:
        assert scan.catalog.names == ("_background_", "b", "c", "a")
        assert scan.histogram.pixels.tolist() == [2 * 64 + 64, 16, 0, 16]
        assert scan.histogram.ignored_pixels == 16


def test_ignored_and_background_shapes(tmp_path: Path) -> None:
    folder_of(tmp_path, "a", "__ignore__", "_background_")
    with ms.scan(f"{tmp_path}/sub/*.json") as scan:
        assert scan.catalog.names == ("background", "a")
        assert scan.histogram.pixels.tolist() == [64 + 64 + 80, 16]
        assert scan.histogram.ignored_pixels == 16


def test_a_label_that_labels_txt_does_not_have(tmp_path: Path) -> None:
    folder_of(tmp_path, "b", "a")
    write(tmp_path / "sub" / "labels.txt", b"_background_\nb\n")
    with ms.scan(f"{tmp_path}/sub/*.json") as scan:
        assert [(one.mask, one.reason) for one in scan.failures] == [
            ("1.json", "shape 1 ('a'): there is no such label in labels.txt")
        ]
        assert scan.histogram.pixels.tolist() == [64, 16]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\nb\n", "first label is not _background_"), ("", "no class names"), ("a\na", "called 'a'")],
)
def test_a_labels_txt_that_is_none(text: str, said: str, tmp_path: Path) -> None:
    folder_of(tmp_path, "a")
    write(tmp_path / "sub" / "labels.txt", text.encode())
    with pytest.raises(SourceError, match=said):
        ms.scan(f"{tmp_path}/sub/*.json")


# --- scanning again ------------------------------------------------------------------------------


def test_only_what_changed_is_drawn_again(tmp_path: Path, decoded: list[str]) -> None:
    folder_of(tmp_path, "b", "c", "c")
    db, where = tmp_path / "scans.db", f"{tmp_path}/sub/*.json"

    def again() -> list[str]:
        decoded.clear()
        with ms.scan(where, db=db) as scan:
            names = sorted(decoded)
            with ms.scan(where) as fresh:
                assert digests(scan) == digests(fresh)
        return names

    assert again() == ["0.json", "1.json", "2.json"]
    document = labelme([shape("c", SQUARE)], imageData="x" * 1000, version="5")
    write(tmp_path / "sub/1.json", json.dumps(document, indent=2).encode())
    assert again() == []  # nothing that is drawn has changed
    saved(tmp_path, labelme([shape("c", SQUARE[:3])]), "sub/1.json")
    assert again() == ["1.json"]
    saved(tmp_path, labelme([shape("z", SQUARE)]), "sub/3.json")
    assert again() == ["3.json"]  # a label behind the others changes none of their values
    saved(tmp_path, labelme([shape("a", SQUARE)]), "sub/4.json")
    assert again() == ["0.json", "1.json", "2.json", "3.json", "4.json"]


def test_one_file_alone(tmp_path: Path) -> None:
    where = saved(tmp_path, labelme([shape("a", SQUARE)]), "street_7.json")
    with ms.scan(where) as scan, ms.scan(scan.source) as again:
        assert scan.info.name == "street_7"
        assert scan.ledger.names == again.ledger.names == ("street_7.json",)
    source = source_at(where, include=("*.png",))
    assert [*source.entries()] == []
    assert source.skipped() == 1


# --- what can't be drawn -------------------------------------------------------------------------

BROKEN: list[tuple[Any, str]] = [
    ([], "no file of LabelMe"),
    ({"images": [], "annotations": []}, "no file of LabelMe"),
    ({"shapes": {}}, "no file of LabelMe"),
    (labelme([7]), "shape 1 has no label"),
    (labelme([shape(7, SQUARE)]), "shape 1 has no label"),
    (labelme([shape(" ", SQUARE)]), "shape 1 has no label"),
    (labelme([shape("a\0", SQUARE)]), "shape 1 has a label that is not text"),
    (labelme([shape("\ud800", SQUARE)]), "shape 1 has a label that is not text"),
    (labelme([shape("a", SQUARE, 5)]), "shape 1 has no label"),
    (labelme([shape("a", SQUARE), shape("a", None)]), "shape 2: its points"),
    (labelme([shape("a", [])]), "shape 1: its points"),
    (labelme([shape("a", [1, 2, 3])]), "shape 1: its points"),
    (labelme([shape("a", [[1, 2, 3]])]), "shape 1: its points"),
    (labelme([shape("a", [["1", "2"]])]), "shape 1: its points"),
    (labelme([shape("a", [[True, 2]])]), "shape 1: its points"),
    (labelme([shape("a", [[float("nan"), 2]])]), "shape 1: its points"),
    (labelme([shape("a", [[1, float("inf")]])]), "shape 1: its points"),
    (labelme([shape("a", [[1, 10**400]])]), "shape 1: its points"),
    (labelme([shape("a", SQUARE[:2])]), "shape 1 ('a'): a polygon of 2 points"),
    (labelme([shape("a\x1b", [[0, 0], [1, 2**29], [2, 3]])]), "shape 1 ('a\\\\x1b'): a polygon"),
    (labelme([shape("a", SQUARE, "rectangle")]), "a rectangle of 4 points: it takes two"),
    (labelme([shape("a", SQUARE[:1], "circle")]), "a circle of 1 points: it takes two"),
    (labelme([shape("a", [[0, 0], [0, 2**29]], "circle")]), "a circle that is too large"),
    (labelme([shape("a", SQUARE, "spline\n")]), "of the unknown kind 'spline\\\\n'"),
    (labelme([shape("a", SQUARE, "mask")]), "a mask without its PNG"),
    (labelme([shape("a", SQUARE, "mask", mask="AAAA")]), "a mask that is no PNG"),
    (labelme([shape("a", SQUARE, "mask", mask="é!")]), "a mask that is no PNG"),
    (labelme([mask_shape("a", np.ones((9, 3)), 0, 0)]), "a mask that is larger than the image"),
    (labelme([mask_shape("a", np.ones((3, 11)), 0, 0)]), "a mask that is larger than the image"),
    (labelme([], None, 5), "does not say how many pixels"),
    (labelme([], 5, "5"), "does not say how many pixels"),
    (labelme([], 0, 5), "does not say how many pixels"),
    (labelme([], True, 5), "does not say how many pixels"),
    (labelme([], 4.5, 5), "does not say how many pixels"),
    (labelme([], 2**40, 2**40), "a mask may take"),
]


@pytest.mark.parametrize(("document", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_can_not_be_drawn_fails_alone(document: Any, said: str, tmp_path: Path) -> None:
    saved(tmp_path, document, "a.json")
    saved(tmp_path, labelme([shape("b", SQUARE)]), "b.json")
    with ms.scan(f"{tmp_path}/*.json") as scan:
        assert [one.mask for one in scan.failures] == ["a.json"]
        assert said in scan.failures[0].reason
        assert scan.histogram.pixels[-1] == 16


def test_whole_floats_are_sizes_too(tmp_path: Path) -> None:
    assert only(tmp_path, height=5.0, width=3).shape == (5, 3)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"shapes": [' * 9000])
def test_a_file_that_is_no_json_fails_alone(data: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a.json", data)
    saved(tmp_path, labelme([shape("b", SQUARE)]), "b.json")
    with ms.scan(f"{tmp_path}/*.json") as scan:
        assert [one.mask for one in scan.failures] == ["a.json"]
        assert scan.histogram.mask_count == 1
    with pytest.raises(SourceError, match=r"no annotation file|not UTF-8 text"):
        ms.scan(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    saved(tmp_path, labelme([shape("b", SQUARE)]), "b.json")
    with ms.scan(f"{tmp_path}/*.json") as scan:
        assert [one.reason for one in scan.failures] == ["can't be read: not a regular file"]
    os.mkfifo(tmp_path / "c.txt")
    with pytest.raises(SourceError, match="for LabelMe's files type"):
        ms.scan(tmp_path)


def test_a_file_that_changes_while_it_is_scanned(tmp_path: Path) -> None:
    saved(tmp_path, labelme([shape("a", SQUARE)]), "a.json")
    (entry,) = entries_of(f"{tmp_path}/*.json").values()
    saved(tmp_path, labelme([shape("new", SQUARE)]), "a.json")
    with pytest.raises(Exception, match="no such label"):
        entry.load()
    (tmp_path / "a.json").unlink()
    with pytest.raises(Exception, match="can't be read"):
        entry.load()


def test_labels_are_shown_safely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = [shape("\x1b[2J<b>", SQUARE), shape("é", SQUARE)]
    saved(tmp_path, labelme(shapes), "a.json")
    assert run(["scan", str(tmp_path / "a.json"), "--db", str(tmp_path / "m.db")]) == 0
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\\x1b[2J<b>" in printed
