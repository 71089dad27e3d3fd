"""The catalogues of public datasets, checked as data: no code of the package takes part.

Expected figures come from the datasets' own documents, typed here a second time, or from a rule
that the documents state (the colour map of Pascal VOC, the alphabetical order of CamVid), or are
those of another preset that states the same in another form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.loops import at_least_one
from tests.support.preset_data import PRESETS, expanded, load, matching_colours, values_of

CLASS_COUNTS = {
    "ade20k": 150,
    "bdd100k": 19,
    "camvid-11": 11,
    "camvid-32": 32,
    "cityscapes": 19,
    "cityscapes-all-ids": 34,
    "cityscapes-train-ids": 19,
    "coco-stuff-164k": 171,
    "coco-stuff-164k-train-ids": 171,
    "coco-stuff-27": 27,
    "deepglobe": 6,
    "isaid": 16,
    "kitti": 19,
    "loveda": 7,
    "mapillary-vistas-1.2": 65,
    "mapillary-vistas-2.0": 123,
    "nyu-40": 40,
    "oxford-pet": 2,
    "pascal-context-59": 59,
    "pascal-context-59-labels": 59,
    "pascal-context-60": 60,
    "potsdam": 6,
    "scannet-20": 20,
    "scannet-20-raw": 20,
    "scannet-40": 40,
    "scannet-40-raw": 40,
    "sun-rgbd-37": 37,
    "synapse": 9,
    "synapse-13": 14,
    "uavid": 8,
    "vaihingen": 6,
    "voc": 21,
}
NAMES = sorted(CLASS_COUNTS)
CATALOGUE_KEYS = {
    "name",
    "title",
    "link",
    "source",
    "note",
    "masks",
    "classes",
    "ignore",
    "ignore_colours",
    "nearest_colour",
}
CLASS_KEYS = {"name", "value", "values", "colour", "colours"}
COLOUR = re.compile(r"#[0-9a-f]{6}")


def ignored(name: str) -> set[int]:
    return set(expanded(load(name).get("ignore", [])))


def classes_by_value(name: str) -> dict[int, str]:
    return {
        value: entry["name"]
        for position, entry in enumerate(load(name)["classes"])
        for value in values_of(entry, position)
    }


def names_of(name: str) -> list[str]:
    return [entry["name"] for entry in load(name)["classes"]]


def rows(name: str) -> Iterator[tuple[str, int, str | None]]:
    """(name, raw value, display colour) of every class, where a class has one raw value."""
    for position, entry in enumerate(load(name)["classes"]):
        (value,) = values_of(entry, position)
        yield entry["name"], value, entry.get("colour")


def test_the_folder_holds_exactly_these_presets() -> None:
    assert sorted(path.stem for path in PRESETS.glob("*.yaml")) == NAMES
    assert not list(PRESETS.glob("*.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_schema(name: str) -> None:
    catalogue = load(name)
    assert set(catalogue) <= CATALOGUE_KEYS
    assert catalogue["name"] == name
    assert re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name)
    for key in ("title", "source", "note"):
        text = catalogue[key]
        assert isinstance(text, str) and text.strip() == text and text.isprintable()
    assert re.fullmatch(r"https?://[\w.-]+\.[a-z]+/[\w./~?=:-]*", catalogue["link"])
    for pattern in catalogue.get("masks", []):
        assert isinstance(pattern, str) and re.fullmatch(r"\*[\w/.*-]+(\[0-9\]\.png)?", pattern)
    assert isinstance(catalogue["classes"], list)
    shown = {"colour" in entry for entry in catalogue["classes"]}
    assert len(shown) == 1, "some classes have a colour, and some have none"
    for entry in at_least_one(catalogue["classes"]):
        assert set(entry) <= CLASS_KEYS and "name" in entry
        assert "colour" in entry or "colours" not in entry
        assert len({"value", "values"} & set(entry)) == 1
        assert isinstance(entry["name"], str) and entry["name"].strip() == entry["name"] != ""
        assert "colour" not in entry or COLOUR.fullmatch(entry["colour"])
    for value in catalogue.get("ignore", []):
        assert type(value) is int or re.fullmatch(r"\d+-\d+", value)
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
    values = expanded(catalogue.get("ignore", []))
    colours: list[str] = list(catalogue.get("ignore_colours", []))
    for position, entry in at_least_one(enumerate(catalogue["classes"])):
        owned = values_of(entry, position)
        assert owned and all(type(value) is int and 0 <= value < 2**16 for value in owned)
        assert 255 not in owned
        values += owned
        colours += matching_colours(entry) if "colour" in entry else []
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
    if "colour" not in classes[0]:
        return
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
    ("coco-stuff-164k", 0, "person", 0, None),
    ("coco-stuff-164k", 11, "stop sign", 12, None),
    ("coco-stuff-164k", 79, "toothbrush", 89, None),
    ("coco-stuff-164k", 80, "banner", 91, None),
    ("coco-stuff-164k", 170, "wood", 181, None),
    ("coco-stuff-164k-train-ids", 12, "parking meter", 12, None),
    ("deepglobe", 0, "Urban land", 0, "#00ffff"),
    ("deepglobe", 5, "Barren land", 5, "#ffffff"),
    ("isaid", 0, "background", 0, "#000000"),
    ("isaid", 8, "Large_Vehicle", 8, "#007f7f"),
    ("isaid", 15, "Harbor", 15, "#00649b"),
    ("kitti", 13, "car", 26, "#00008e"),
    ("mapillary-vistas-1.2", 13, "construction--flat--road", 13, "#804080"),
    ("mapillary-vistas-1.2", 64, "void--ego-vehicle", 64, "#780a0a"),
    ("mapillary-vistas-2.0", 21, "construction--flat--road", 21, "#804080"),
    ("mapillary-vistas-2.0", 90, "object--traffic-light--general-single", 90, "#faaa1e"),
    ("mapillary-vistas-2.0", 94, "object--traffic-light--cyclists", 94, "#faaa1e"),
    ("mapillary-vistas-2.0", 122, "void--static", 122, "#6f6f00"),
    ("nyu-40", 0, "wall", 1, None),
    ("nyu-40", 21, "ceiling", 22, None),
    ("nyu-40", 39, "otherprop", 40, None),
    ("pascal-context-59", 1, "bag", 2, None),
    ("pascal-context-60", 1, "aeroplane", 1, None),
    ("pascal-context-59-labels", 1, "bicycle", 2, None),
    ("pascal-context-59-labels", 20, "bag", 21, None),
    ("scannet-20", 12, "desk", 14, "#f7b6d2"),
    ("scannet-20", 19, "otherfurniture", 39, "#5254a3"),
    ("scannet-40", 31, "nightstand", 32, "#926fc2"),
    ("sun-rgbd-37", 36, "bag", 37, None),
    ("synapse", 8, "stomach", 8, None),
    ("synapse-13", 8, "aorta", 8, None),
    ("uavid", 0, "Clutter", 0, "#000000"),
    ("uavid", 3, "Static_Car", 3, "#c000c0"),
]


@pytest.mark.parametrize(("preset", "index", "name", "value", "colour"), FACTS)
def test_facts(preset: str, index: int, name: str, value: int, colour: str | None) -> None:
    assert list(rows(preset))[index] == (name, value, colour)


@pytest.mark.parametrize(
    ("preset", "values", "colours"),
    [
        ("ade20k", {0}, {"#000000"}),
        ("bdd100k", {255}, {"#000000"}),
        ("camvid-11", {11}, {"#000000"}),
        ("camvid-32", set(), set()),
        ("cityscapes-all-ids", {255}, set()),
        ("coco-stuff-164k", {255}, set()),
        ("coco-stuff-164k-train-ids", {255}, set()),
        ("coco-stuff-27", {255}, set()),
        ("deepglobe", {6}, {"#000000"}),
        ("isaid", set(), set()),
        ("loveda", {0}, set()),
        ("mapillary-vistas-1.2", {65}, {"#000000"}),
        ("mapillary-vistas-2.0", {123}, {"#000000"}),
        ("nyu-40", {0}, set()),
        ("oxford-pet", {3}, set()),
        ("pascal-context-59", {0}, set()),
        ("pascal-context-59-labels", {0}, set()),
        ("pascal-context-60", set(), set()),
        ("potsdam", {0}, {"#000000"}),
        ("scannet-40", {0}, set()),
        ("scannet-40-raw", {0}, set()),
        ("sun-rgbd-37", {0}, set()),
        ("synapse", set(), set()),
        ("synapse-13", set(), set()),
        ("uavid", set(), set()),
        ("vaihingen", {0}, {"#000000"}),
        ("voc", {255}, {"#e0e0c0"}),
    ],
)
def test_what_is_ignored(preset: str, values: set[int], colours: set[str]) -> None:
    catalogue = load(preset)
    assert ignored(preset) == values
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
    classes = {value for _, value, _ in rows("cityscapes")}
    assert classes | ignored("cityscapes") == {*range(34), 255}
    not_evaluated = {0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30}
    assert ignored("cityscapes") == not_evaluated | {255}
    assert load("cityscapes-train-ids")["ignore"] == [255]


@pytest.mark.parametrize("name", ["cityscapes", "cityscapes-train-ids"])
def test_every_cityscapes_colour_is_a_class_or_ignored(name: str) -> None:
    drawn = {colour for _, _, colour in rows("cityscapes-all-ids")}
    matched = {colour for _, _, colour in rows(name)}
    assert matched | set(load(name)["ignore_colours"]) == drawn


def test_potsdam_and_vaihingen_have_the_same_classes() -> None:
    assert load("potsdam")["classes"] == load("vaihingen")["classes"]


def test_kitti_is_cityscapes_in_other_files() -> None:
    for key in ("classes", "ignore_colours"):
        assert load("kitti")[key] == load("cityscapes")[key]
    assert ignored("kitti") == ignored("cityscapes")
    assert load("kitti")["masks"] != load("cityscapes")["masks"]


def test_the_three_forms_of_coco_stuff_agree() -> None:
    """Eleven of the 182 ids have no pixels in COCO; the coarse classes are made of all of them."""
    without = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}
    values = [value for _, value, _ in rows("coco-stuff-164k")]
    assert values == sorted(set(range(182)) - without)
    train = list(rows("coco-stuff-164k-train-ids"))
    assert train == [(name, k, None) for k, name in enumerate(names_of("coco-stuff-164k"))]
    coarse, fine = classes_by_value("coco-stuff-27"), classes_by_value("coco-stuff-164k")
    assert set(coarse) == set(range(182))
    for value, name in at_least_one(fine.items()):
        kind, side = coarse[value].split("-")
        assert side == ("things" if value < 91 else "stuff")
        head = name.partition("-")[0]
        assert head not in {"wall", "floor", "ceiling", "window", "sky", "water"} or kind == head


def test_the_forms_of_pascal_context_agree() -> None:
    alphabetical = list(rows("pascal-context-59"))
    names = [name for name, _, _ in alphabetical]
    assert names == sorted(names)
    assert list(rows("pascal-context-60")) == [("background", 0, None), *alphabetical]
    renamed = {"diningtable": "table", "clothes": "cloth", "bedcloth": "bedclothes"}
    others = [renamed.get(name, name) for name in names_of("pascal-context-59-labels")]
    assert others != names and sorted(others) == names
    voc = names_of("voc")[1:]
    assert others[:20] == ["table" if name == "diningtable" else name for name in voc]


def test_versions_of_mapillary_vistas_share_names_and_colours() -> None:
    old, new = (load(f"mapillary-vistas-{version}")["classes"] for version in ("1.2", "2.0"))
    colours = {entry["name"]: entry["colour"] for entry in new}
    split = {"human--person", "marking--crosswalk-zebra", "marking--general", "object--billboard"}
    split.add("object--traffic-light")
    assert {entry["name"] for entry in old} - set(colours) == split
    common = [entry for entry in old if entry["name"] not in split]
    assert all(colours[entry["name"]] == entry["colour"] for entry in at_least_one(common))
    for classes in (old, new):
        names = [e["name"] for e in classes if "traffic-light--" not in e["name"]]
        assert names == sorted(names)


def test_indoor_lists_follow_nyu_40() -> None:
    nyu = names_of("nyu-40")
    renamed = {"fridge": "refridgerator", "tv": "television", "nightstand": "night stand"}
    for other, count in (("sun-rgbd-37", 37), ("scannet-40", 40)):
        assert [renamed.get(n, n) for n in names_of(other)] == nyu[:count]
    for name, value, _ in at_least_one(rows("scannet-20")):
        assert nyu[value - 1] in {name, "refridgerator"}
    everything = {value for _, value, _ in rows("scannet-20")} | ignored("scannet-20")
    assert everything == set(range(41))
    assert {*rows("scannet-20")} - {*rows("scannet-40")} == {("refrigerator", 24, "#ff7f0e")}


def test_raw_ids_of_scannet_are_the_same_classes() -> None:
    """549 ids of 607 names (v2), in both forms."""
    raw, benchmark = classes_by_value("scannet-40-raw"), classes_by_value("scannet-20-raw")
    assert names_of("scannet-40-raw") == names_of("scannet-40")
    assert names_of("scannet-20-raw") == names_of("scannet-20")
    assert len(raw) == 549 and max(raw) == 1357 and set(range(1163, 1358)) <= set(raw)
    renamed = {"refrigerator": "refridgerator"}
    for value, name in at_least_one(benchmark.items()):
        assert raw[value] == renamed.get(name, name)
    left = set(raw) - set(benchmark)
    assert ignored("scannet-20-raw") == left | {0}
    assert not {raw[value] for value in left} & {renamed.get(n, n) for n in benchmark.values()}
    for value, name in ((1, "wall"), (2, "chair"), (3, "floor"), (22, "books"), (161, "door")):
        assert raw[value] == name
    # Ids whose names have different classes: the last row counts.
    for value, name in ((107, "otherstructure"), (188, "otherstructure"), (385, "cabinet")):
        assert raw[value] == name


def test_transunet_keeps_eight_of_the_thirteen_organs() -> None:
    original = names_of("synapse-13")
    kept = {8: 1, 4: 2, 3: 3, 2: 4, 6: 5, 11: 6, 1: 7, 7: 8, 0: 0}
    ours = dict(enumerate(names_of("synapse")))
    assert ours == {new: original[old] for old, new in kept.items()}
    organs = [name.replace("right ", "left ") for name in ours.values()]
    assert organs[1:] == sorted(organs[1:])


def test_isaid_colours_follow_the_devkit() -> None:
    """The devkit prints each colour as r + 256 g + 65536 b as well."""
    numbers = [0, 4128768, 4144896, 16128, 8339200, 12533504, 16727808, 4161280, 8355584]
    numbers += [8323072, 12517376, 16711680, 8371968, 12549888, 16744192, 10183680]
    swapped = [f"#{n & 255:02x}{n >> 8 & 255:02x}{n >> 16:02x}" for n in numbers]
    assert [colour for _, _, colour in rows("isaid")] == swapped


BEGIN_AT_ONE = ["ade20k", "loveda", "nyu-40", "pascal-context-59", "pascal-context-59-labels"]
BEGIN_AT_ONE += ["potsdam", "scannet-40", "sun-rgbd-37", "vaihingen"]


@pytest.mark.parametrize("name", BEGIN_AT_ONE)
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
