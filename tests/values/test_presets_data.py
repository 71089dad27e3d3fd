"""The catalogues of public datasets, checked as data: no code of the package takes part.

Expected figures come from the datasets' own documents, typed here a second time, or from a rule
that the documents state (the colour map of Pascal VOC, the alphabetical order of CamVid).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.support.loops import at_least_one
from tests.support.paths import ROOT

PRESETS = ROOT / "maskstat" / "values" / "presets"
CLASS_COUNTS = {
    "ade20k": 150,
    "bdd100k": 19,
    "camvid-11": 11,
    "camvid-32": 32,
    "cityscapes": 19,
    "cityscapes-all-ids": 34,
    "cityscapes-train-ids": 19,
    "loveda": 7,
    "oxford-pet": 2,
    "potsdam": 6,
    "vaihingen": 6,
    "voc": 21,
}
NAMES = sorted(CLASS_COUNTS)
CATALOGUE_KEYS = {
    "name",
    "title",
    "source",
    "note",
    "masks",
    "classes",
    "ignore",
    "ignore_colours",
}
CLASS_KEYS = {"name", "value", "values", "colour", "colours"}
COLOUR = re.compile(r"#[0-9a-f]{6}")


class StrictLoader(yaml.SafeLoader):
    """A loader that refuses a key given twice, which YAML's own keeps silent about."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is given twice in {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def load(name: str) -> dict[str, Any]:
    text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    catalogue = yaml.load(text, Loader=StrictLoader)
    assert isinstance(catalogue, dict)
    return catalogue


def values_of(entry: dict[str, Any], position: int) -> list[int]:
    if "values" in entry:
        return list(entry["values"])
    return [entry.get("value", position)]


def matching_colours(entry: dict[str, Any]) -> list[str]:
    return list(entry["colours"]) if "colours" in entry else [entry["colour"]]


def rows(name: str) -> Iterator[tuple[str, int, str]]:
    """(name, raw value, display colour) of every class; presets have one raw value a class."""
    for position, entry in enumerate(load(name)["classes"]):
        (value,) = values_of(entry, position)
        yield entry["name"], value, entry["colour"]


def test_the_folder_holds_exactly_these_presets() -> None:
    assert sorted(path.stem for path in PRESETS.glob("*.yaml")) == NAMES
    assert not list(PRESETS.glob("*.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_schema(name: str) -> None:
    catalogue = load(name)
    assert set(catalogue) <= CATALOGUE_KEYS
    assert catalogue["name"] == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    for key in ("title", "source", "note"):
        text = catalogue[key]
        assert isinstance(text, str) and text.strip() == text and text.isprintable()
    for pattern in catalogue.get("masks", []):
        assert isinstance(pattern, str) and re.fullmatch(r"\*[\w/.]+\*?", pattern)
    assert isinstance(catalogue["classes"], list)
    for entry in at_least_one(catalogue["classes"]):
        assert set(entry) <= CLASS_KEYS and {"name", "colour"} <= set(entry)
        assert len({"value", "values"} & set(entry)) == 1
        assert isinstance(entry["name"], str) and entry["name"].strip() == entry["name"] != ""
        assert COLOUR.fullmatch(entry["colour"])
    for value in catalogue.get("ignore", []):
        assert type(value) is int
    for colour in catalogue.get("ignore_colours", []):
        assert COLOUR.fullmatch(colour)


@pytest.mark.parametrize("name", NAMES)
def test_class_count_and_unique_names(name: str) -> None:
    names = [entry["name"] for entry in load(name)["classes"]]
    assert len(names) == CLASS_COUNTS[name]
    assert len({n.casefold() for n in names}) == len(names)


@pytest.mark.parametrize("name", NAMES)
def test_no_value_and_no_matching_colour_means_two_things(name: str) -> None:
    catalogue = load(name)
    values: list[int] = list(catalogue.get("ignore", []))
    colours: list[str] = list(catalogue.get("ignore_colours", []))
    for position, entry in at_least_one(enumerate(catalogue["classes"])):
        owned = values_of(entry, position)
        assert owned and all(type(value) is int and 0 <= value <= 254 for value in owned)
        values += owned
        colours += matching_colours(entry)
    assert all(COLOUR.fullmatch(colour) for colour in colours)
    assert len(values) == len(set(values))
    assert len(colours) == len(set(colours))


@pytest.mark.parametrize("name", NAMES)
def test_a_shared_display_colour_matches_nothing(name: str) -> None:
    """A colour that two classes are shown in must not be the colour of one of them.

    The reverse holds too: a colour of one class only is that class's colour in colour-coded
    masks, except where the dataset has no colour-coded masks at all.
    """
    classes = load(name)["classes"]
    shown = [entry["colour"] for entry in classes]
    for entry in at_least_one(classes):
        if shown.count(entry["colour"]) > 1:
            assert matching_colours(entry) == []
        elif name != "oxford-pet":
            assert matching_colours(entry) == [entry["colour"]]


FACTS = [
    ("cityscapes", 0, "road", 7, "#804080"),
    ("cityscapes", 10, "sky", 23, "#4682b4"),
    ("cityscapes", 13, "car", 26, "#00008e"),
    ("cityscapes", 16, "train", 31, "#005064"),
    ("cityscapes", 18, "bicycle", 33, "#770b20"),
    ("cityscapes-train-ids", 0, "road", 0, "#804080"),
    ("cityscapes-train-ids", 11, "person", 11, "#dc143c"),
    ("cityscapes-all-ids", 0, "unlabeled", 0, "#000000"),
    ("cityscapes-all-ids", 4, "static", 4, "#000000"),
    ("cityscapes-all-ids", 7, "road", 7, "#804080"),
    ("cityscapes-all-ids", 18, "polegroup", 18, "#999999"),
    ("cityscapes-all-ids", 29, "caravan", 29, "#00005a"),
    ("voc", 0, "background", 0, "#000000"),
    ("voc", 15, "person", 15, "#c08080"),
    ("voc", 20, "tvmonitor", 20, "#004080"),
    ("ade20k", 0, "wall", 1, "#787878"),
    ("ade20k", 12, "person", 13, "#96053d"),
    ("ade20k", 6, "road", 7, "#8c8c8c"),
    ("ade20k", 48, "skyscraper", 49, "#8c8c8c"),
    ("ade20k", 89, "television", 90, "#00ffc2"),
    ("ade20k", 149, "flag", 150, "#5c00ff"),
    ("camvid-11", 0, "Sky", 0, "#808080"),
    ("camvid-11", 3, "Road", 3, "#804080"),
    ("camvid-11", 4, "Pavement", 4, "#3c28de"),
    ("camvid-11", 10, "Bicyclist", 10, "#0080c0"),
    ("camvid-32", 4, "Building", 4, "#800000"),
    ("camvid-32", 19, "Sidewalk", 19, "#0000c0"),
    ("camvid-32", 30, "Void", 30, "#000000"),
    ("camvid-32", 31, "Wall", 31, "#40c000"),
    ("loveda", 0, "Background", 1, "#ffffff"),
    ("loveda", 6, "Agricultural", 7, "#ffc380"),
    ("potsdam", 0, "Impervious surfaces", 1, "#ffffff"),
    ("potsdam", 2, "Low vegetation", 3, "#00ffff"),
    ("potsdam", 4, "Car", 5, "#ffff00"),
    ("vaihingen", 1, "Building", 2, "#0000ff"),
    ("vaihingen", 5, "Clutter/background", 6, "#ff0000"),
    ("bdd100k", 0, "road", 0, "#804080"),
    ("bdd100k", 18, "bicycle", 18, "#770b20"),
    ("oxford-pet", 0, "pet", 1, "#ffff00"),
    ("oxford-pet", 1, "background", 2, "#0000ff"),
]


@pytest.mark.parametrize(("preset", "index", "name", "value", "colour"), FACTS)
def test_facts(preset: str, index: int, name: str, value: int, colour: str) -> None:
    assert list(rows(preset))[index] == (name, value, colour)


@pytest.mark.parametrize(
    ("preset", "values", "colours"),
    [
        ("ade20k", {0}, {"#000000"}),
        ("bdd100k", {255}, {"#000000"}),
        ("camvid-11", {11}, {"#000000"}),
        ("camvid-32", set(), set()),
        ("cityscapes-all-ids", {255}, set()),
        ("loveda", {0}, set()),
        ("oxford-pet", {3}, set()),
        ("potsdam", {0}, {"#000000"}),
        ("vaihingen", {0}, {"#000000"}),
        ("voc", {255}, {"#e0e0c0"}),
    ],
)
def test_what_is_ignored(preset: str, values: set[int], colours: set[str]) -> None:
    catalogue = load(preset)
    assert set(catalogue.get("ignore", [])) == values
    assert set(catalogue.get("ignore_colours", [])) == colours


def voc_colour(index: int) -> str:
    """Colour map of the Pascal VOC development kit: bits of the index dealt out to r, g, b."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return "#{:02x}{:02x}{:02x}".format(*channels)


def test_voc_colours_follow_the_formula_of_the_development_kit() -> None:
    assert [colour for _, _, colour in rows("voc")] == [voc_colour(k) for k in range(21)]
    assert load("voc")["ignore_colours"] == [voc_colour(255)]


def test_camvid_32_is_in_alphabetical_order() -> None:
    names = [name for name, _, _ in rows("camvid-32")]
    assert names == sorted(names, key=str.casefold)
    assert [value for _, value, _ in rows("camvid-32")] == list(range(32))


def test_classes_common_to_both_camvid_forms_have_one_colour() -> None:
    """All but the pavement, which SegNet draws in a colour of its own."""
    original = {name: colour for name, _, colour in rows("camvid-32")}
    original["Pole"] = original["Column_Pole"]
    original["Pavement"] = original["Sidewalk"]
    other = [n for n, _, colour in rows("camvid-11") if original[n] != colour]
    assert other == ["Pavement"]


def test_the_three_forms_of_cityscapes_agree() -> None:
    evaluated = list(rows("cityscapes"))
    everything = list(rows("cityscapes-all-ids"))
    assert set(evaluated) < set(everything)
    assert [value for _, value, _ in everything] == list(range(34))
    assert [value for _, value, _ in evaluated] == sorted(value for _, value, _ in evaluated)
    train = list(rows("cityscapes-train-ids"))
    assert train == [(name, k, colour) for k, (name, _, colour) in enumerate(evaluated)]
    assert list(rows("bdd100k")) == train


def test_every_cityscapes_label_id_is_a_class_or_ignored() -> None:
    catalogue = load("cityscapes")
    classes = {value for _, value, _ in rows("cityscapes")}
    assert classes | set(catalogue["ignore"]) == {*range(34), 255}
    not_evaluated = {0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30}
    assert set(catalogue["ignore"]) == not_evaluated | {255}
    assert load("cityscapes-train-ids")["ignore"] == [255]


@pytest.mark.parametrize("name", ["cityscapes", "cityscapes-train-ids"])
def test_every_cityscapes_colour_is_a_class_or_ignored(name: str) -> None:
    drawn = {colour for _, _, colour in rows("cityscapes-all-ids")}
    matched = {colour for _, _, colour in rows(name)}
    assert matched | set(load(name)["ignore_colours"]) == drawn


def test_potsdam_and_vaihingen_have_the_same_classes() -> None:
    assert load("potsdam")["classes"] == load("vaihingen")["classes"]


@pytest.mark.parametrize("name", ["ade20k", "loveda", "potsdam", "vaihingen"])
def test_zero_is_void_and_the_classes_follow_without_gaps(name: str) -> None:
    assert load(name)["ignore"] == [0]
    count = CLASS_COUNTS[name]
    assert [value for _, value, _ in rows(name)] == list(range(1, count + 1))


def test_real_camvid_masks_hold_nothing_but_camvid_11(camvid: Path) -> None:
    known = {value for _, value, _ in rows("camvid-11")} | set(load("camvid-11")["ignore"])
    found: set[int] = set()
    for path in sorted(camvid.glob("*/masks/*.png")):
        with Image.open(path) as image:
            found.update(np.unique(np.asarray(image)).tolist())
    assert found == known
