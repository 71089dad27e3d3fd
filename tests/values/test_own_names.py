"""Classes given for a source that names its own: by name with equal counts, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import CatalogError, StoreError
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.own_names import NAMED_BY_SOURCE, by_name
from tests.support.annotation_cases import (
    SQUARE,
    annotation,
    coco,
    image,
    labelme,
    needs_pycocotools,
    saved,
    shape,
)
from tests.support.loops import at_least_one
from tests.support.paths import SHARED
from tests.support.scan_cases import grey_png, write

CASE = SHARED / "cases" / "labelme"
NAMES = ["background", "person", "bicycle", "bus", "traffic light", "Street_Lamp", "a-b", "ü"]


def catalog(names: list[str], values: list[int], origin: str = "file") -> ClassCatalog:
    rows = zip(names, values, strict=True)
    classes = tuple(ClassInfo(k, name, (value,)) for k, (name, value) in enumerate(rows))
    return ClassCatalog(classes, origin=origin)


@st.composite
def catalogs(draw: st.DrawFn) -> ClassCatalog:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    spelt = [draw(st.sampled_from([str, str.upper, str.title]))(name) for name in names]
    if len({name.casefold() for name in spelt}) < len(spelt):  # never: names differ in more
        spelt = names
    numbers = st.lists(st.integers(-1, 20), unique=True, min_size=len(names), max_size=len(names))
    return catalog(spelt, draw(numbers))


def same(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ")


@given(given_catalog=catalogs(), own=catalogs(), ignored=st.sets(st.integers(-1, 20), max_size=3))
def test_matched_by_name_or_refused_with_both_lists(
    given_catalog: ClassCatalog, own: ClassCatalog, ignored: set[int]
) -> None:
    own = own.ignoring(ignored)
    needed = {same(info.name) for info in own.classes if info.values}
    if not needed <= {same(name) for name in given_catalog.names}:
        with pytest.raises(CatalogError) as caught:
            by_name(given_catalog, own)
        for name in at_least_one([*given_catalog.names, *own.names]):
            assert name in str(caught.value)
        return
    matched = by_name(given_catalog, own)
    assert matched.names == given_catalog.names
    by_own_name = {same(info.name): info.values for info in own.classes}
    for info in matched.classes:
        assert info.values == by_own_name.get(same(info.name), ())
    assert matched.ignored_values == own.ignored_values
    assert by_name(matched, matched) == matched


@given(count=st.integers(1, 9), own=catalogs())
def test_a_number_is_that_of_the_source(count: int, own: ClassCatalog) -> None:
    if count == len(own):
        assert by_name(ClassCatalog.numbered(count), own) == own
        return
    with pytest.raises(CatalogError, match=f"of a source that has {len(own)}") as caught:
        by_name(ClassCatalog.numbered(count), own)
    assert all(name in str(caught.value) for name in own.names)


def test_names_that_are_alike_are_compared_as_they_are() -> None:
    own = catalog(["a b", "a_b"], [1, 2], NAMED_BY_SOURCE)
    assert by_name(catalog(["a_b", "a b"], [0, 1]), own).classes[0].values == (2,)
    with pytest.raises(CatalogError, match="no a_b among"):
        by_name(catalog(["A_B", "a b"], [0, 1]), own)


# --- sources ------------------------------------------------------------------------------------


def of_coco(folder: Path) -> tuple[str, dict[str, Any]]:
    document = coco([image(1)], [annotation(1, 2, [SQUARE])], {1: "bicycle", 2: "person"})
    return str(saved(folder, document)), {}


def of_labelme(folder: Path) -> tuple[str, dict[str, Any]]:
    square = [SQUARE[at : at + 2] for at in range(0, 8, 2)]
    saved(folder, labelme([shape("person", square)]), "data_annotated/a.json")
    (folder / "labels.txt").write_text("__ignore__\n_background_\nbicycle\nperson\n")
    return f"{folder}/data_annotated/*.json", {}


def of_yolo(folder: Path) -> tuple[str, dict[str, Any]]:
    write(folder / "images" / "1.png", grey_png([[0] * 10] * 8))
    square = " ".join(f"{c / (8 if at % 2 else 10)}" for at, c in enumerate(SQUARE))
    (folder / "labels").mkdir()
    (folder / "labels" / "1.txt").write_text(f"1 {square}\n")
    (folder / "data.yaml").write_text("train: images\nnames: [bicycle, person]\n")
    return str(folder / "data.yaml"), {}


@pytest.mark.parametrize("make", [of_coco, of_labelme, of_yolo])
def test_persons_stay_persons(make: Any, tmp_path: Path) -> None:
    needs_pycocotools()
    where, options = make(tmp_path)
    db = tmp_path / "scans.db"
    expected = {"person": 16, "background": 64, "bicycle": 0, "bus": 0}
    turned = tmp_path / "turned.txt"
    turned.write_text("person\nbackground\nbicycle\nbus\n")

    def pixels(scan: ms.Scan) -> dict[str, int]:
        return dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))

    with ms.scan(where, classes=turned, db=db, name="turned", **options) as scan:
        assert pixels(scan) == expected
        assert pixels(scan.under(list(expected)[::-1])) == expected
    with ms.scan(where, db=db, name="own", **options):
        pass
    with ms.open_scan(db, "own", classes=turned) as scan:
        assert pixels(scan) == expected
    for again in ("turned", "own"):
        with pytest.raises(CatalogError, match=r"no person among .*\(background, bicycle, bus\)"):
            ms.open_scan(db, again, classes=["background", "bicycle", "bus"])
    person = 2 if make is not of_yolo else 1
    with ms.scan(where, classes=["background", "bicycle"], ignore=person, **options) as scan:
        assert pixels(scan) == {"background": 64, "bicycle": 0}
        assert scan.histogram.ignored_pixels == 16


def test_merged_scans_are_read_by_name(tmp_path: Path) -> None:
    needs_pycocotools()
    for number, names in enumerate(({1: "a", 2: "b"}, {1: "a", 2: "b"}, {1: "b", 2: "a"})):
        document = coco([image(1)], [annotation(1, 2, [SQUARE])], names)
        folder = tmp_path / str(number)
        ms.scan(saved(folder, document), db=tmp_path / f"{number}.db").close()
    stores, turned = [tmp_path / f"{number}.db" for number in range(3)], ["b", "a", "background"]
    with ms.merge(stores[:2], output=tmp_path / "m.db", classes=turned) as merged:
        assert merged.histogram.pixels.tolist() == [32, 0, 128]
    with pytest.raises(StoreError, match="other values for these classes"):
        ms.merge(stores, output=tmp_path / "n.db", classes=turned)


def test_labels_txt_of_something_else_beside_the_folder_is_none(tmp_path: Path) -> None:
    needs_pycocotools()
    where, _ = of_labelme(tmp_path)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with ms.scan(where) as scan:
        assert scan.catalog.names == ("background", "person")


@pytest.mark.skipif(not CASE.is_dir(), reason="real masks are absent: ../shared/cases")
def test_the_case_of_labelme(tmp_path: Path) -> None:
    needs_pycocotools()
    right = {"_background_": 4070, "bottle": 56, "bus": 416, "person": 258}
    where = f"{CASE}/data_annotated/*.json"
    for classes in at_least_one([None, CASE / "labels.txt"]):
        with ms.scan(where, classes=classes) as scan:
            found = dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))
            assert found == {**right, "aeroplane": 0, "bicycle": 0}
    with pytest.raises(CatalogError) as caught:
        ms.scan(where, classes=["voc"])
    assert "(voc): the source has _background_, aeroplane" in str(caught.value)
