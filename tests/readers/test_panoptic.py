"""Instance ids and COCO panoptic PNGs: classes of ids, exactly; another reading counts again."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.cli import run
from maskstat.errors import FileFormatError, MaskError, MaskstatError, ParameterError
from maskstat.readers.formats import read_label_map, read_tally, read_tally_and_pixels
from maskstat.readers.options import ReadOptions
from maskstat.readers.panoptic import VOID, load_panoptic
from maskstat.values.tally import Encoding, MaskTally
from tests.support.loops import at_least_one
from tests.support.mask_files import npy, saved
from tests.support.scan_cases import grey_png, stored_rows, write

# --- value // N ----------------------------------------------------------------------------------

CITYSCAPES = np.array([[7, 7, 0, 26000, 26001, 26017], [24003, 24003, 33999, 999, 1000, 65535]])


def read(pixels: NDArray[Any], **reading: Any) -> MaskTally:
    data = grey_png(pixels, 16) if pixels.min() >= 0 and pixels.max() < 65536 else npy(pixels)
    options = ReadOptions.of(reading)
    tally = read_tally(data, "m", options)
    tally.check()
    again, label_map = read_tally_and_pixels(data, "m", options)
    for found in (label_map, read_label_map(data, options).pixels):
        same = MaskTally.of_pixels("m", np.asarray(found), tally.encoding)
        assert same.values.tolist() == tally.values.tolist() == again.values.tolist()
        assert same.counts.tolist() == tally.counts.tolist() == again.counts.tolist()
    return tally


def test_instance_ids_of_cityscapes() -> None:
    """Things have id * 1000 + instance, stuff (and groups) the id itself."""
    tally = read(CITYSCAPES, value_divisor=1000)
    assert dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True)) == {
        0: 1,
        1: 1,
        7: 2,
        24: 2,
        26: 3,
        33: 1,
        65: 1,
        999: 1,
    }
    assert tally.encoding == Encoding("png", "grey", 16, "ids // 1000, some as they are")
    assert str(tally.encoding) == "png grey 16-bit, ids // 1000"


def test_ids_that_are_all_multiples() -> None:
    """Elsewhere every value is class * N + instance, so that 7 is class 0."""
    tally = read(CITYSCAPES, value_divisor=1000, divide_all=True)
    assert dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True)) == {
        0: 4,
        1: 1,
        24: 2,
        26: 3,
        33: 1,
        65: 1,
    }


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20),
    st.integers(2, 2**20),
    st.booleans(),
)
def test_division_is_that_of_integers(ids: list[int], divisor: int, divide_all: bool) -> None:
    tally = read(np.array([ids]), value_divisor=divisor, divide_all=divide_all)
    divided = [v // divisor if divide_all or v >= divisor else v for v in ids]
    values, counts = np.unique(divided, return_counts=True)
    assert tally.values.tolist() == values.tolist()
    assert tally.counts.tolist() == counts.tolist()


def test_what_ids_below_the_divisor_are_taken_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, decoded: list[str]
) -> None:
    """After the scan, from its store and of scans merged; where it makes a difference only."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> str:
        assert run([*arguments, "--db", "scans.db"]) == 0
        return " ".join(capfd.readouterr().out.split())

    for name, pixels in (("a", CITYSCAPES), ("b", CITYSCAPES[:, :2]), ("c", [[0, 26001]])):
        write(tmp_path / "ids" / f"{name}.png", grey_png(pixels, 16))
    divided = ["scan", "ids", "--value-divisor", "1000"]
    note = (
        "Values below 1000 were taken for classes as they are, in 2 masks: --divide-all takes them"
        " for instances of class 0"
    )
    for command in (divided, divided, ["show"]):
        decoded.clear()
        assert note in said(*command)
    assert not decoded
    assert run(["check", "--db", "scans.db", "--json"]) in {0, 1}
    assert "mixed-encodings" not in capfd.readouterr().out
    assert "taken for classes" not in said(*divided, "--divide-all")
    assert "taken for classes" not in said("scan", "ids")
    assert "taken for classes" not in said("scan", "ids/c.png", "--value-divisor", "1000")
    assert "in 1 mask:" in said("scan", "ids/b.png", "--value-divisor", "1000")
    with ms.scan(tmp_path / "ids", value_divisor=1000) as scan:
        assert scan.kept_ids == 2


@given(
    st.lists(st.integers(-2, 2) | st.integers(-(2**40), 2**40), min_size=1, max_size=3),
    st.integers(2, 2**20),
)
def test_ids_are_kept_where_division_would_make_others(ids: list[int], divisor: int) -> None:
    tally = read(np.array([ids]), value_divisor=divisor)
    kept = any(v < divisor and v // divisor != v for v in ids)
    assert tally.encoding.reading.endswith("some as they are") == kept


def test_colours_are_no_ids() -> None:
    data = saved(Image.fromarray(np.full((2, 2, 3), 200, np.uint8)), "PNG")
    options = ReadOptions(colours=True, value_divisor=1000)
    tally = read_tally(data, "m", options)
    assert tally.values.tolist() == [0xC8C8C8]
    assert tally.encoding.reading == ""


def test_another_reading_counts_again(tmp_path: Path, decoded: list[str]) -> None:
    masks, db = tmp_path / "masks", tmp_path / "scans.db"
    write(masks / "a.png", grey_png(CITYSCAPES, 16))
    write(masks / "b.png", grey_png(CITYSCAPES[:, :2], 16))
    for reading, again in (
        ({}, True),
        ({}, False),
        ({"value_divisor": 1000}, True),
        ({"value_divisor": 1000}, False),
        ({"value_divisor": 1000, "divide_all": True}, True),
        ({"value_divisor": 10}, True),
        ({"pages": "all"}, True),
        ({}, False),
    ):
        decoded.clear()
        with ms.scan(masks, db=db, **reading) as scan:
            assert len(decoded) == (2 if again else 0), reading
            with ms.scan(masks, **reading) as fresh:
                assert stored_rows(fresh) == stored_rows(scan)
                assert scan.info.reading == fresh.info.reading
        with ms.open_scan(db) as opened:
            assert opened.info.reading == scan.info.reading
            assert opened.read_options.value_divisor == reading.get("value_divisor")


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"value_divisor": 1}, "value_divisor"),
        ({"value_divisor": 0}, "value_divisor"),
        ({"value_divisor": -5}, "value_divisor"),
        ({"value_divisor": 2.5}, "value_divisor"),
        ({"divide_all": True}, "divide_all: needs value_divisor=N"),
        ({"pages": 0}, "pages"),
        ({"pages": "second"}, "pages"),
        ({"channels": "argmax"}, "channels: 'argmax' is not one of one-hot"),
        ({"panoptic": "x.json", "value_divisor": 5}, "panoptic"),
    ],
)
def test_readings_that_mean_nothing(reading: dict[str, Any], said: str, tmp_path: Path) -> None:
    write(tmp_path / "a.png", grey_png([[1]]))
    with pytest.raises(ParameterError, match=said):
        ms.scan(tmp_path, **reading)
    with pytest.raises(TypeError, match="'page'"):
        ms.scan(tmp_path, page=1)  # type: ignore[call-arg]


# --- COCO panoptic -------------------------------------------------------------------------------

CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1, "color": [220, 20, 60]},
    {"id": 92, "name": "banner", "isthing": 0},
    {"id": 200, "name": "rug-merged", "isthing": 0, "color": [255, 255, 128]},
]


def panoptic_png(ids: NDArray[np.int64], *, alpha: int | None = None) -> bytes:
    channels = [ids % 256, ids // 256 % 256, ids // 65536]
    if alpha is not None:
        channels.append(np.full(ids.shape, alpha))
    return saved(Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)), "PNG")


def document(**segments: Mapping[int, int]) -> dict[str, Any]:
    """The JSON of PNGs whose segments are given as id -> category."""
    return {
        "info": {"year": 2017, "annotations": ["not these"]},
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [
            {
                "image_id": number,
                "file_name": f"{name}.png",
                "segments_info": [
                    {"id": key, "category_id": category, "iscrowd": key % 2, "area": 1, "bbox": []}
                    for key, category in those.items()
                ],
            }
            for number, (name, those) in enumerate(segments.items())
        ],
        "licenses": [],
        "categories": CATEGORIES,
    }


def dataset(folder: Path, count: int = 3) -> tuple[Path, Path, dict[int, int]]:
    """Masks, the JSON, and pixels by category (VOID among them)."""
    rng = np.random.default_rng(2)
    segments: dict[str, dict[int, int]] = {}
    totals: dict[int, int] = {}
    for number in range(count):
        known = rng.choice(1 << 24, 6, replace=False) + 1
        meaning = dict(zip(known.tolist(), rng.choice([1, 92, 200], 6).tolist(), strict=True))
        ids = np.repeat(rng.choice([*known, 0], (9, 5)), 3, axis=1)
        write(folder / "masks" / f"m{number}.png", panoptic_png(ids))
        segments[f"m{number}"] = meaning
        for value, pixels in zip(*np.unique(ids, return_counts=True), strict=True):
            category = meaning.get(int(value), VOID)
            totals[category] = totals.get(category, 0) + int(pixels)
    path = write(folder / "panoptic.json", json.dumps(document(**segments)).encode())
    return folder / "masks", path, totals


def test_categories_are_counted(tmp_path: Path) -> None:
    masks, path, totals = dataset(tmp_path)
    with ms.scan(masks, panoptic=path) as scan:
        assert scan.failures == ()
        assert scan.catalog.names == ("person", "banner", "rug-merged")
        assert scan.catalog.classes[0].colour == 0xDC143C
        histogram = scan.histogram
        assert histogram.pixels.tolist() == [totals[1], totals[92], totals[200]]
        assert histogram.ignored_pixels == totals[VOID]
        assert histogram.unlisted == {}
        for entry in at_least_one(scan.entries()):
            again = read_label_map(entry.load(), scan.read_options, entry.name)
            plain = MaskTally.of_pixels("m", np.asarray(again.pixels), again.encoding)
            assert [plain.values.tolist(), plain.counts.tolist()] == list(
                stored_rows(scan)[entry.name]
            )
        turned = scan.under(["rug-merged", "Banner", "person"]).histogram
        assert turned.pixels.tolist() == [totals[200], totals[92], totals[1]]
        assert turned.ignored_pixels == totals[VOID]


def test_a_changed_file_counts_again(tmp_path: Path, decoded: list[str]) -> None:
    masks, path, _ = dataset(tmp_path)
    db = tmp_path / "scans.db"
    ms.scan(masks, panoptic=path, db=db).close()
    decoded.clear()
    ms.scan(masks, panoptic=path, db=db).close()
    assert decoded == []
    swapped = json.loads(path.read_text())
    for annotation in swapped["annotations"]:
        for segment in annotation["segments_info"]:
            segment["category_id"] = 200
    path.write_text(json.dumps(swapped))
    with ms.scan(masks, panoptic=path, db=db) as scan:
        assert len(decoded) == 3
        assert scan.histogram.pixels[:2].tolist() == [0, 0]
    path.unlink()
    with ms.open_scan(db) as scan, pytest.raises(FileFormatError, match="can't be read"):
        _ = scan.read_options


@pytest.mark.parametrize("alpha", [None, 255, 7])
def test_black_is_void_and_alpha_says_nothing(alpha: int | None, tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", json.dumps(document(a={1: 1, 1 << 23: 200})).encode())
    options = ReadOptions.of({"panoptic": path})
    data = panoptic_png(np.array([[0, 1, 1, 1 << 23]]), alpha=alpha)
    tally = read_tally(data, "some/folder/a.png", options)
    assert (tally.values.tolist(), tally.counts.tolist()) == ([VOID, 1, 200], [1, 2, 1])
    _, pixels = read_tally_and_pixels(data, "a.png", options)
    assert pixels.tolist() == [[VOID, 1, 1, 200]]


def test_what_the_file_does_not_know_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", json.dumps(document(a={1: 1}, e={})).encode())
    options = ReadOptions.of({"panoptic": path})
    for data, name, said in (
        (
            panoptic_png(np.array([[1, 2, 2, 70000]])),
            "a.png",
            "3 pixels of segments that p.json does not list: 2, 70000",
        ),
        (panoptic_png(np.arange(1, 20)[None]), "e.png", "1, 2, 3, 4, 5, ..."),
        (panoptic_png(np.array([[1]])), "b.png", "p.json has no annotation of it"),
        (grey_png([[1]]), "a.png", "where panoptic expects segment ids as RGB colours"),
    ):
        with pytest.raises(MaskError) as caught:
            read_tally(data, name, options)
        assert said in str(caught.value)
    assert read_tally(panoptic_png(np.zeros((2, 2), int)), "e.png", options).values.tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not a COCO panoptic file"),
        (b"[]", "not a COCO panoptic file"),
        (b"{}", "no 'categories'"),
        (b"\xff\xfe", "not a COCO panoptic file"),
        (b"{" * 9, "not a COCO panoptic file"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "not a COCO panoptic file"),
        (b'{"annotations": [], "categories": [{"id": 1, "name": "a"}]}', "no 'annotations'"),
        (b'{"annotations": [{}], "categories": []}', "no 'file_name'"),
        (b'{"annotations": [{"file_name": "a", "segments_info": [3]}]}', "no 'id'"),
        (
            b'{"annotations": [{"file_name": "a",'
            b' "segments_info": [{"id": 0, "category_id": 1}]}]}',
            "impossible id 0",
        ),
        (
            b'{"annotations": [{"file_name": "a", "segments_info": [{"id": 99999999999,'
            b' "category_id": 1}]}]}',
            "impossible id 9999",
        ),
        (b'{"annotations": [1,]}', "not a COCO panoptic file"),
        (b'{"annotations": [1 2]}', "not a COCO panoptic file"),
        (b'{"annotations": [', "not a COCO panoptic file"),
        (b'{"annotations": {}} x', "not a COCO panoptic file"),
    ],
)
def test_files_that_are_no_panoptic_file(text: bytes, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", text)
    with pytest.raises(FileFormatError) as caught:
        load_panoptic(str(path))
    assert said in str(caught.value)
    assert "p.json" in str(caught.value)
    assert str(caught.value).isprintable()


def test_contradictions(tmp_path: Path) -> None:
    twice = document(a={1: 1})
    twice["annotations"] *= 2
    strange = document(a={1: 7})
    repeated = document(a={1: 1})
    repeated["annotations"][0]["segments_info"] *= 2
    for content, said in (
        (twice, "annotated twice"),
        (strange, "category 7 is not among"),
        (repeated, "has a segment twice"),
    ):
        path = write(tmp_path / "p.json", json.dumps(content).encode())
        with pytest.raises(FileFormatError, match=said):
            load_panoptic(str(path))
    nameless = document(a={1: 1})
    nameless["categories"] = [{"id": 1}]
    path = write(tmp_path / "p.json", json.dumps(nameless).encode())
    write(tmp_path / "a.png", panoptic_png(np.array([[1]])))
    with pytest.raises(MaskstatError, match="the name of category 0"):
        ms.scan(tmp_path, panoptic=path)
    with pytest.raises(FileFormatError, match="can't be read"):
        ms.scan(tmp_path, panoptic=tmp_path / "none.json")


@given(
    st.dictionaries(
        st.sampled_from(["annotations", "categories", "images", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["id", "file_name", "segments_info", "category_id", "name"]),
                    inner,
                )
            ),
            max_leaves=8,
        ),
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_any_json_is_read_or_refused(content: dict[str, Any], indent: Any) -> None:
    """Never another error; and whatever else a sound file holds changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.json"
        path.write_text(json.dumps(content, indent=indent))
        with contextlib.suppress(FileFormatError):
            assert load_panoptic(str(path)).categories == content["categories"]
        sound = document(a={1: 1}) | {"before": content} | {"behind": content}
        path.write_text(json.dumps(sound, indent=indent))
        found = load_panoptic(str(path))
        assert found.categories == CATEGORIES
        assert found.places == {"a.png": (0, 1)}


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    masks, path, totals = dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["scan", str(masks), "--panoptic", str(path), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert [row["pixels"] for row in said["classes"]] == [totals[1], totals[92], totals[200]]
    assert said["reading"] == {"panoptic": str(path)}
    assert run(["show"]) == 0
    assert f"Masks are read with --panoptic {path}" in capfd.readouterr().out
    write(tmp_path / "ids" / "a.png", grey_png(CITYSCAPES, 16))
    assert run(["scan", "ids", "--value-divisor", "1000", "--divide-all", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["reading"] == {"value_divisor": 1000, "divide_all": True}
    assert run(["scan", "ids", "--divide-all"]) == 2
    assert "--divide-all: needs --value-divisor N" in capfd.readouterr().err
    assert run(["scan", "ids", "--panoptic", "none.json"]) == 1
    assert "none.json: can't be read" in capfd.readouterr().err


def test_duplicates_are_looked_for_as_masks_were_read(tmp_path: Path) -> None:
    """Other ids of the same categories make the same mask."""
    from maskstat.scanning.duplicates import find_duplicates

    first = panoptic_png(np.array([[1, 1, 2]]))
    second = panoptic_png(np.array([[9, 9, 5]]))
    path = write(
        tmp_path / "p.json", json.dumps(document(a={1: 1, 2: 92}, b={9: 1, 5: 92})).encode()
    )
    write(tmp_path / "masks" / "a.png", first)
    write(tmp_path / "masks" / "b.png", second)
    with ms.scan(tmp_path / "masks", panoptic=path, db=tmp_path / "scans.db") as scan:
        found = find_duplicates([scan], lambda _: True)
    assert [[member.mask for member in group] for group in found.groups] == [["a.png", "b.png"]]
    path.unlink()
    with ms.open_scan(tmp_path / "scans.db") as scan:
        assert len(find_duplicates([scan], lambda _: True).stale) == 2
