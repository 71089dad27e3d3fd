"""Class files of other tools: nnU-Net, MSD, Mapillary, Datumaro, Supervisely, COCO, labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import CatalogError
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog
from maskstat.values.catalog_mapping import catalog_from_mapping
from tests.support.shared_cases import shared_case

MAPILLARY = {
    "labels": [
        {"color": [165, 42, 42], "readable": "Bird", "name": "animal--bird", "evaluate": True},
        {"color": [1, 2, 3], "readable": "Ego", "name": "void--ego", "evaluate": False},
        {"color": [196, 196, 196], "readable": "Curb", "name": "barrier--curb", "evaluate": True},
        {"color": [0, 0, 0], "readable": "Unlabeled", "name": "void--unlabeled", "evaluate": False},
    ],
    "version": "1.2",
    "mapping": "public",
    "folder_structure": "{split}/{content}/{image:s}.{extension:s}",
}


def read(catalog: ClassCatalog) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return [(c.name, c.values, c.colours) for c in catalog.classes]


def named(document: object) -> list[tuple[str, int]]:
    return [(c.name, c.values[0]) for c in catalog_from_mapping(document, name="x").classes]


# --- nnU-Net and MSD ------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=6).filter(
    lambda n: n.strip() and "\0" not in n and n.isprintable() and n != "ignore"
)
PAIRS = st.dictionaries(NAMES, st.integers(0, 300), min_size=1, max_size=6).filter(
    lambda pairs: len(set(pairs.values())) == len(pairs)
)


@given(PAIRS, st.integers(301, 400) | st.none())
def test_names_and_values_either_way_round(pairs: dict[str, int], ignored: int | None) -> None:
    """Only numbers as names can be taken for values: then they are equal, or it is refused."""
    everything = pairs | ({} if ignored is None else {"ignore": ignored})
    by_name: dict[str, Any] = {"labels": everything, "numTraining": 2, "file_ending": ".nii.gz"}
    by_value: dict[str, Any] = {"labels": {str(v): k for k, v in everything.items()}, "name": "MSD"}
    only_digits = all(name.isascii() and name.isdigit() for name in everything)
    ordered = sorted(pairs.items(), key=lambda pair: pair[1])
    for document in (by_name, by_value):
        names, said = [], ""
        try:
            catalog = catalog_from_mapping(document, name="x")
            names = [(c.name, c.values[0]) for c in catalog.classes]
            assert catalog.ignored_values == (set() if ignored is None else {ignored})
        except CatalogError as error:
            said = str(error)
        assert names == ordered or (only_digits and "maps numbers to numbers" in said)


def test_regions_are_refused_with_the_reason() -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    with pytest.raises(CatalogError, match=r"'whole' is a region .*of several classes; write"):
        catalog_from_mapping({"labels": labels, "regions_class_order": [1, 2, 3]}, name="x")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"a": 1, "b": 1}, "value 1 belongs"),
        ({"0": "a", "1": "a"}, "two classes are called 'a'"),
        ({"0": 1, "1": 0}, "maps numbers to numbers"),
        ({"a": "b"}, "maps 'a' to 'b': neither is a value"),
        ({"a": 1.0}, "maps 'a' to 1.0"),
        ({"a": None}, "maps 'a' to None"),
        ({"a": True}, "maps 'a' to True"),
        ({"a": float("nan")}, "maps 'a' to nan"),
        ({"a": 10**40}, "neither is a value"),
        ({"a": {}}, "maps 'a' to a dict"),
        ({"": 1}, "a name in 'labels'"),
        ({"ignore": 4}, "1 to 65536"),
        ({}, "1 to 65536"),
        (31, "must be a list"),
        ([{"name": "a", "id": 1}, {"name": "b", "id": 1}], "value 1 belongs"),
        ([{"name": "a", "evaluate": 1}], "'evaluate' must be true or false"),
        ([{"name": "a", "color": [1, 2]}], "a colour is written"),
        ([{"name": None}], "name of label 0"),
        ([{"name": "a", "id": 1.5}], "label 0: a value"),
    ],
)
def test_labels_that_are_none(labels: object, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        catalog_from_mapping({"labels": labels}, name="x")


def test_the_case_of_nnunet() -> None:
    with ms.scan(
        shared_case("nnunet/labelsTr"), classes=shared_case("nnunet/dataset.json")
    ) as scan:
        assert [(c.name, c.values) for c in scan.catalog.classes] == [
            ("background", (0,)),
            ("steel", (1,)),
            ("titanium", (2,)),
            ("aluminium", (3,)),
        ]
        assert scan.catalog.ignored_values == {4}
        assert set(scan.histogram.ignored) <= {4}
        assert not scan.histogram.unlisted


# --- the others -----------------------------------------------------------------------------------


def test_the_index_of_mapillary_is_the_place_and_void_is_not_evaluated() -> None:
    catalog = catalog_from_mapping(MAPILLARY, name="x")
    assert read(catalog) == [
        ("animal--bird", (0,), (0xA52A2A,)),
        ("barrier--curb", (2,), (0xC4C4C4,)),
    ]
    assert catalog.ignored_values == {1, 3}
    assert catalog.ignored_colours == {0x010203, 0}


def test_the_case_of_mapillary() -> None:
    catalog = load_catalog(shared_case("name-tables/mapillary_config.json"))
    assert read(catalog) == [
        ("animal--bird", (0,), (0xA52A2A,)),
        ("animal--ground-animal", (1,), (0x00C000,)),
        ("construction--barrier--curb", (2,), (0xC4C4C4,)),
    ]
    assert catalog.ignored_values == {3}
    assert catalog.ignored_colours == {0}


def test_colours_that_are_shared_show_and_match_nothing() -> None:
    labels = [
        {"name": "a", "color": [9, 9, 9]},
        {"name": "b", "color": [9, 9, 9], "evaluate": False},
        {"name": "c", "color": [1, 1, 1]},
    ]
    catalog = catalog_from_mapping({"labels": labels}, name="x")
    assert read(catalog) == [("a", (0,), ()), ("c", (2,), (0x010101,))]
    assert catalog.classes[0].colour == 0x090909
    assert not catalog.ignored_colours


def test_datumaro() -> None:
    document = {
        "label_map": {"0": "background", "1": "car", "5": "person"},
        "segmentation_colors": [[0, 0, 0], [255, 0, 0], [0, 0, 255]],
        "background_label": "0",
        "labels": ["background", "car", "person"],
    }
    assert read(catalog_from_mapping(document, name="x")) == [
        ("background", (0,), (0,)),
        ("car", (1,), (0xFF0000,)),
        ("person", (5,), (0x0000FF,)),
    ]
    without = {"label_map": {"1": "b", "0": "a"}}
    assert named(without) == [("a", 0), ("b", 1)]
    with pytest.raises(CatalogError, match="1 colours for 2 classes"):
        catalog_from_mapping({**without, "segmentation_colors": [[0, 0, 0]]}, name="x")


def test_supervisely_numbers_its_classes_from_1() -> None:
    document = {
        "classes": [
            {
                "title": "road",
                "shape": "bitmap",
                "color": "#804080",
                "geometry_config": {},
                "id": 9,
            },
            {"title": "sky", "shape": "polygon", "color": "#4682B4", "hotkey": ""},
        ],
        "tags": [],
        "projectType": "images",
    }
    assert read(catalog_from_mapping(document, name="x")) == [
        ("road", (1,), (0x804080,)),
        ("sky", (2,), (0x4682B4,)),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"categories": [{"id": 7, "name": "sky"}, {"id": 3, "name": "road"}], "images": []},
        [
            {"id": 7, "name": "sky", "isthing": 0, "supercategory": "x", "color": [1, 2, 3]},
            {"id": 3, "name": "road", "isthing": 0, "supercategory": "x", "color": [1, 2, 3]},
        ],
    ],
)
def test_categories_of_coco(document: object) -> None:
    assert named(document) == [("sky", 7), ("road", 3)]


@pytest.mark.parametrize(
    "document",
    [
        {"labels": ["road", "sky"]},
        {"labels": {"0": "road", "1": "sky"}, "color_map": {"0": [0, 0, 0]}},
        {"label2id": {"sky": 1, "road": 0}},
        {"id2label": {"0": "road", "1": "sky"}, "label2id": {"sky": 0, "road": 1}},
        {"labels": [{"name": "road", "id": 0}, {"name": "sky", "id": 1}]},
    ],
)
def test_plain_labels(document: object) -> None:
    assert named(document) == [("road", 0), ("sky", 1)]


def test_a_repeated_name_in_a_file_is_not_lost(tmp_path: Path) -> None:
    """JSON's own reader would keep the last."""
    path = tmp_path / "dataset.json"
    path.write_text('{"labels": {"a": 0, "b": 1, "a": 2}}')
    with pytest.raises(CatalogError, match="the key 'a' comes twice"):
        load_catalog(path)
    path.write_text("\ufeff" + json.dumps({"labels": {"a": 0, "b": 1}}))
    assert load_catalog(path).names == ("a", "b")
