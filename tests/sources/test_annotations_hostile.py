"""COCO files that are wrong, by accident or by design: what can't be drawn fails alone.

pycocotools is C code that believes what it is told; nothing comes to it that was not looked at.
"""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import MaskstatError, SourceError
from maskstat.files.long_json import members
from maskstat.sources.annotations import rasterising
from tests.support.annotation_cases import (
    HEIGHT,
    SQUARE,
    WIDTH,
    annotation,
    coco,
    documents,
    drawn,
    image,
    needs_pycocotools,
    saved,
)
from tests.support.scan_cases import write

needs_pycocotools()

NAN, INF = float("nan"), float("inf")
PIXELS = HEIGHT * WIDTH
NO_LIST = "a polygon that is no list of numbers"
NO_RUNS = "runs that are neither text nor a list of whole numbers"
NO_TEXT = "runs that are no text of pycocotools"
OTHER_RUNS = "runs that are not the 10x8 pixels of the image"
FAR = "a coordinate that is not within"


def runs(counts: Any, size: Any = (HEIGHT, WIDTH)) -> dict[str, Any]:
    return {"counts": counts, "size": list(size) if isinstance(size, tuple) else size}


SEGMENTATIONS: list[tuple[Any, str]] = [
    (None, "it has no outline"),
    ([], "it has no outline"),
    (5, "it has no outline"),
    ("", "it has no outline"),
    ([5], NO_LIST),
    (SQUARE, NO_LIST),  # the list around it is missing
    ([None], NO_LIST),
    ([{}], NO_LIST),
    ([SQUARE, "12345678"], NO_LIST),
    ([["1", "2", "3", "4", "5", "6"]], NO_LIST),
    ([[[2, 1], [6, 1], [6, 5]]], NO_LIST),
    ([[2, 1, 6, 1, 6, None]], NO_LIST),
    ([[2, 1, 6, 1, 6, True]], NO_LIST),
    ([["x" * 1000, *range(1000)]], NO_LIST),
    ([[]], "a polygon of 0 points: it takes three"),
    ([[2, 1]], "a polygon of 1 points: it takes three"),
    ([[2, 1, 4, 4]], "a polygon of 2 points: it takes three"),  # pycocotools takes it for a box
    ([SQUARE, [2, 1, 6, 5]], "a polygon of 2 points: it takes three"),
    ([[2, 1, 6, 1, 6, 5, 2]], "a polygon of 7 numbers: the last x has no y"),
    ([[2, 1, 6, 1, 6, NAN]], FAR),
    ([[2, 1, 6, 1, 6, INF]], FAR),
    ([[2, 1, 6, 1, 6, -INF]], FAR),
    ([[2, 1, 6, 1, 6, 1e300]], FAR),
    ([[2, 1, 6, 1, 6, 2**31]], FAR),
    ([[2, 1, 6, 1, 6, -(2**70)]], FAR),
    ([[2, 1, 6, 1, 6, 10**400]], FAR),
    ([[0, 0, 2**24, 2**24, 0, 2**24]], "a polygon with an outline of 50,331,648 pixels"),
    ([[0, 0, 9e6, 0] * 9000], "a polygon with an outline of"),
    ({}, "runs of size None, while the image has [8, 10]"),
    (runs([PIXELS], None), "runs of size None"),
    (runs([PIXELS], (WIDTH, HEIGHT)), "runs of size [10, 8], while the image has [8, 10]"),
    (runs([2**40], (2**20, 2**20)), "runs of size [1048576, 1048576]"),
    (runs([PIXELS], [[]] * 9000), "runs of size a list"),
    (runs([PIXELS], "8x10"), "runs of size 8x10"),
    (runs(None), NO_RUNS),
    (runs({}), NO_RUNS),
    (runs([1.5, 78.5]), NO_RUNS),
    (runs(["80"]), NO_RUNS),
    (runs([[PIXELS]]), NO_RUNS),
    (runs([True, 79]), NO_RUNS),
    (runs([]), OTHER_RUNS),
    (runs([PIXELS - 1]), OTHER_RUNS),
    (runs([PIXELS + 1]), OTHER_RUNS),
    (runs([-1, PIXELS + 1]), OTHER_RUNS),
    (runs([2**62, 2**62, 2**62, 2**62, PIXELS]), OTHER_RUNS),
    (runs([2**63, PIXELS]), OTHER_RUNS),
    (runs([10**400]), OTHER_RUNS),
    (runs(""), NO_TEXT),
    (runs("é"), NO_TEXT),
    (runs("\0\0"), NO_TEXT),
    (runs("~~~"), NO_TEXT),
    (runs("oo"), NO_TEXT),  # ends within a run
    (runs("ooooooooooooooo0"), NO_TEXT),
    (runs("0"), OTHER_RUNS),
    (runs("ooooooO"), OTHER_RUNS),
    (runs("P2N" * 2000), OTHER_RUNS),
]


def failures(where: Path) -> dict[str, str]:
    with ms.scan(where) as scan:
        assert all(one.mask.isprintable() and one.reason.isprintable() for one in scan.failures)
        assert scan.histogram.total_pixels == scan.ledger.pixels.sum()
        return {one.mask: one.reason for one in scan.failures}


@pytest.mark.parametrize(
    ("segmentation", "said"), SEGMENTATIONS, ids=[str(one)[:40] for one, _ in SEGMENTATIONS]
)
def test_an_outline_that_can_not_be_drawn_fails_its_mask(
    segmentation: Any, said: str, tmp_path: Path
) -> None:
    annotations = [annotation(1, 1, [SQUARE]), annotation(1, 2, segmentation, id="n\n7")]
    where = saved(tmp_path, coco([image(1), image(2)], annotations))
    (reason,) = (found := failures(where)).values()
    assert [*found] == ["1.jpg"]
    assert reason.startswith("annotation n\\n7: ")
    assert said in reason


def test_outlines_at_the_limits_are_drawn(tmp_path: Path) -> None:
    """The largest coordinates that are taken cover the image; there is no overflow before them."""
    far = rasterising.MAX_COORDINATE
    for outline in (
        [-4e5, -4e5, 4e5, -4e5, 4e5, 4e5, -4e5, 4e5],
        [0, -10, far / 12, 0, 0, 2000],
        [-far, 0, -far + 100, 0, -far + 100, 99],
        [far, 0, far - 100, 0, far - 100, 99],
        [3.3, 3.3] * 5000,
    ):
        where = saved(tmp_path, coco([image(1)], [annotation(1, 1, [outline])]))
        found = drawn(where)["1.jpg"]
        assert found.any() == (abs(outline[0]) < far and outline[0] != 3.3), outline


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category_id": 9}, "its category 9 is not among 'categories'"),
        ({"category_id": None}, "its category None is not"),
        ({"category_id": True}, "its category True is not"),
        ({"category_id": "1"}, "its category 1 is not"),
        ({"category_id": {}}, "its category a dict is not"),
        ({"category_id": 10**300}, "its category 1000"),
        ({"category_id": 0}, "its category 0 is not"),
        ({"iscrowd": 2}, "its 'iscrowd' is 2 and not 0 or 1"),
        ({"iscrowd": None}, "its 'iscrowd' is None"),
        ({"iscrowd": "\x1b"}, "its 'iscrowd' is \\x1b"),
        ({"id": "\x1b[2J" * 100, "iscrowd": 3}, "annotation \\x1b[2J\\x1b[2J"),
    ],
)
def test_other_things_of_an_annotation(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    wrong = annotation(1, 1, [SQUARE]) | change
    found = failures(saved(tmp_path, coco([image(1), image(2)], [wrong])))
    assert [*found] == ["1.jpg"]
    assert said in found["1.jpg"]
    assert len(found["1.jpg"]) < 200


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ([image(1, 0)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, -5)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, None)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, "8")], {"1.jpg": "does not say how many pixels"}),
        ([image(1, 8.5)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, INF)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, True)], {"1.jpg": "does not say how many pixels"}),
        ([image(1, 2**20, 2**20)], {"1.jpg": "1048576x1048576 pixels take more than the 1024 MiB"}),
        ([image(1, 10**400, 10**400)], {"1.jpg": "far too many pixels take more than"}),
        ([{"id": 1}], {"image 1": "does not say how many pixels"}),
        (
            [image(1), image(1, file_name="b.jpg")],
            {
                "1.jpg (image 1)": "2 images have this id",
                "b.jpg (image 1)": "2 images have this id",
            },
        ),
        ([image(1), image(1)], {"1.jpg (image 1)": "2 images have this id"}),
        ([{"file_name": "a.jpg"}], {"images[0]": "an image without an 'id'"}),
        (
            [image(2), 7, None, image([])],
            {f"images[{n}]": "an image without an 'id'" for n in (1, 2, 3)},
        ),
    ],
)
def test_images_that_can_not_be_drawn(
    images: list[Any], found: dict[str, str], tmp_path: Path
) -> None:
    answer = failures(saved(tmp_path, coco([*images, image("fine")], [])))
    assert answer.keys() == found.keys()
    assert all(said in answer[name] for name, said in found.items()), answer


def test_names_that_occur_twice_have_the_id_behind_them(tmp_path: Path) -> None:
    twice = [image(n, file_name="a.jpg") for n in (1, 2)]
    where = saved(tmp_path, coco([*twice, image(3, file_name="b.jpg")], []))
    with ms.scan(where) as scan:
        assert scan.ledger.names == ("a.jpg (image 1)", "a.jpg (image 2)", "b.jpg")
        assert scan.failures == ()


def test_annotations_without_an_image(tmp_path: Path) -> None:
    strays = [annotation(9, 1, [SQUARE]), annotation("9", 1, [SQUARE]), annotation(9, 1, [SQUARE])]
    nowhere = [{"category_id": 1}, 5, annotation(None, 1, [SQUARE]), annotation(True, 1, [])]
    where = saved(tmp_path, coco([image(1)], [*strays, annotation(1, 1, [SQUARE]), *nowhere]))
    with ms.scan(where) as scan:
        # One is called like the other, as ids of two types are: the second has a number.
        assert sorted(one.mask for one in scan.failures) == [
            *(f"annotations[{number}]" for number in (4, 5, 6, 7)),
            "image 9",
            "image 9 (2)",
        ]
        assert scan.failures[-2].reason == "2 annotations of an image that 'images' does not list"
        assert scan.histogram.pixels[1] == 16


def test_hostile_names_are_only_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [
        "../../etc/passwd",
        "/etc/passwd",
        "a\x1b[2Jb.jpg",
        "c\nd.jpg",
        "\ud800.jpg",
        "x" * 5000,
    ]
    images = [image(number, file_name=name) for number, name in enumerate(names)]
    broken = [annotation(number, 5, [SQUARE]) for number in range(len(names))]
    saved(tmp_path, coco(images, broken, {1: "\x1b[2J<script>"}))
    db = str(tmp_path / "m.db")
    assert run(["scan", str(tmp_path / "instances.json"), "--db", db]) == 3
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "a\\x1b[2Jb.jpg" in printed
    page = tmp_path / "report.html"
    assert run(["report", "--db", db, "-o", str(page)]) == 0
    assert "<script>\\" not in page.read_text() and "\x1b" not in page.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"instances.json", "m.db", "report.html"}


GOOD = coco([image(1)], [annotation(1, 1, [SQUARE])])
FILES: list[tuple[bytes | dict[str, Any], str]] = [
    (b"", "no annotation file"),
    (b"\xff\xfe", "not UTF-8 text"),
    (b"\x89PNG\r\n\x1a\n", "not UTF-8 text"),
    (b"{", "no annotation file"),
    (b"[]", "neither COCO's nor LabelMe's"),
    (b"{}", "neither COCO's nor LabelMe's"),
    (b'{"a": 1}', "neither COCO's nor LabelMe's"),
    (b'{"images": [1,]}', "a list ends in a comma"),
    (b'{"images": [1 2]}', "no comma at character 14"),
    (b'{"images": [', "no annotation file"),
    (b'{"images": 5}', "its 'images' are no list"),
    (b'{"images": [], "images": []}', "'images' is there twice"),
    (b'{"images": []}', "without 'annotations' and 'categories'"),
    (b'{"images": [], "annotations": []} x', "there is something behind its end"),
    (b'{"images": ' + b"[" * 100_000, "no annotation file"),
    (b'{"images": [' + b'{"a":' * 100_000, "no annotation file"),
    (b'{"images": [' + b"9" * 5000 + b"]}", "no annotation file"),
    (json.dumps(GOOD).encode("utf-16"), "not UTF-8 text"),
    (GOOD | {"categories": [5]}, "category 0 has no 'id'"),
    (GOOD | {"categories": [{"id": -1, "name": "a"}]}, "category 0 has no 'id'"),
    (GOOD | {"categories": [{"id": 1.0, "name": "a"}]}, "category 0 has no 'id'"),
    (GOOD | {"categories": [{"id": 2**62, "name": "a"}]}, "category 0 has no 'id'"),
    (GOOD | {"categories": [{"id": True, "name": "a"}]}, "category 0 has no 'id'"),
    (GOOD | {"categories": [{"id": 1, "name": "a"}] * 2}, "two categories have the id 1"),
    (GOOD | {"categories": [{"id": 1}]}, "no classes: the name of category 1 must be text"),
    (GOOD | {"categories": [{"id": 1, "name": []}]}, "no classes: the name of category 1"),
    (GOOD | {"categories": [{"id": 1, "name": "a\0"}]}, "the name of class 1 is not text"),
    (
        GOOD | {"categories": [{"id": n, "name": str(n)} for n in range(1, 65538)]},
        "classes: more than 65536",
    ),
    (GOOD | {"images": [], "annotations": []}, "no masks found; the file lists no images"),
    ({"images": [], "annotations": [{"segments_info": []}], "categories": []}, "panoptic"),
]


@pytest.mark.parametrize(("content", "said"), FILES, ids=[said[:40] for _, said in FILES])
def test_a_file_that_is_wrong_as_a_whole(content: Any, said: str, tmp_path: Path) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    where = write(tmp_path / "instances.json", data)
    with pytest.raises(SourceError) as caught:
        ms.scan(where)
    assert said in str(caught.value)
    assert "instances.json" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_without_categories_has_a_background(tmp_path: Path) -> None:
    document = coco([image(1), image(2)], [annotation(1, 1, [SQUARE])], {})
    with ms.scan(saved(tmp_path, document)) as scan:
        assert [one.mask for one in scan.failures] == ["1.jpg"]
        assert scan.catalog.names == ("background",)
        assert scan.histogram.pixels.tolist() == [PIXELS]


def test_what_a_file_claims_takes_no_memory(tmp_path: Path) -> None:
    huge = [image(n, 2**20 + n, 2**20) for n in range(20)]
    outlines = [
        annotation(30, 1, [[0, 0, 2**24, 2**24, 0, 2**24]]),
        annotation(30, 1, runs([2**39, 2**39])),
        annotation(31, 1, [["x" * 100_000, *range(10_000)]]),  # 4 GB as an array of text
    ]
    where = saved(tmp_path, coco([*huge, image(30), image(31)], outlines))
    ms.scan(where)  # what is imported and compiled is no matter
    tracemalloc.start()
    try:
        assert len(failures(where)) == 22
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# --- fuzz ----------------------------------------------------------------------------------------

HOSTILE = st.sampled_from(
    [
        None,
        True,
        "",
        "x",
        "\0",
        "\ud800",
        -1,
        0,
        1,
        3,
        2**31,
        2**62,
        2**64,
        10**400,
        0.5,
        -0.0,
        1e308,
        NAN,
        INF,
        -INF,
        [],
        [[]],
        [0],
        [0] * 4,
        [1] * 7,
        {},
        {"counts": "", "size": []},
        [[0.5] * 9],
    ]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in [*items]:
        yield value, key
        if isinstance(part, (dict, list)):
            yield from places(part)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A COCO file of which a few parts were replaced, left out or repeated, or a few bytes."""
    document = copy.deepcopy(draw(documents()))
    for _ in range(draw(st.integers(0, 4))):
        spots = [*places(document)]
        container, key = draw(st.sampled_from(spots)) if spots else (document, "images")
        match draw(st.sampled_from(["replace", "drop", "repeat"])):
            case "replace":
                container[key] = copy.deepcopy(draw(HOSTILE))
            case "drop":
                del container[key]
            case "repeat" if isinstance(container, list):
                container.append(container[key])
    data = bytearray(json.dumps(document).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


def answer_to(where: Path) -> str | dict[str, str]:
    try:
        return failures(where)
    except MaskstatError as error:
        return str(error)


@settings(max_examples=250)
@given(mutated())
def test_whatever_is_in_a_file_is_drawn_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    where = write(tmp_path_factory.mktemp("fuzz") / "instances.json", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rasterising, "LARGEST_MASK", 1 << 20)  # that a large image takes no time here
        answers = [answer_to(where) for _ in range(2)]
    assert answers[0] == answers[1]
    assert str(answers[0]).isprintable()


@given(documents(), st.integers(0, 3))
def test_long_json_is_what_json_says(document: Any, indent: int) -> None:
    """Members and elements, and where in the text they stand."""
    text = json.dumps(document, indent=indent or None)
    lists: dict[str, list[Any]] = {}
    for member in members(text, {"images", "annotations"}):
        if member.is_element:
            lists[member.key].append(member.value)
        else:
            lists[member.key] = member.value  # type: ignore[assignment]
        if member.stop > member.start:
            assert json.loads(text[member.start : member.stop]) == member.value
    assert lists == json.loads(text)


@given(st.text('{}[]",:1 ae\\', max_size=30) | st.binary(max_size=20).map(str))
def test_text_is_json_for_one_where_it_is_for_the_other(text: str) -> None:
    def ours() -> Any:
        return {m.key: m.value for m in members(text, set())}

    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        with pytest.raises((ValueError, IndexError)):
            ours()
    else:
        assert ours() == expected
