"""Catalogue files: every form that people have, and one clear line for every malformed one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maskstat.errors import CatalogError
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.catalog_fields import RawValues, parse_colour, written_values
from maskstat.values.catalog_files import load_catalog, load_preset
from maskstat.values.catalog_mapping import catalog_from_mapping
from maskstat.values.presets import preset_names
from tests.support.loops import at_least_one

STREETS = ClassCatalog(
    (
        ClassInfo(0, "road", (7,), (0x804080,), 0x804080),
        ClassInfo(1, "sky", (23, 24), (0x4682B4, 0x0000FF), 0x4682B4),
        ClassInfo(2, "pole", (2,)),
    ),
    ignored_values=frozenset({0, 255}),
    ignored_colours=frozenset({0x000000}),
    name="streets",
)
STREETS_YAML = """\
name: streets
classes:
  - {name: road, value: 7, colour: "#804080"}
  - {name: sky, values: [23, 24], colours: ["#4682b4", [0, 0, 255]]}
  - pole
ignore: [0, 255]
ignore_colours: ["#000000"]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_documented_form_in_yaml_and_json(tmp_path: Path) -> None:
    as_yaml = load_catalog(write(tmp_path, "classes.yaml", STREETS_YAML))
    as_json = write(tmp_path, "classes.JSON", json.dumps(yaml.safe_load(STREETS_YAML)))
    assert as_yaml == load_catalog(str(as_json)) == STREETS
    assert as_yaml.origin == "file"
    assert as_yaml.classes[1].colour == 0x4682B4


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffroad\r\nsky\r\n".encode())
    assert load_catalog(path).names == ("road", "sky")


@pytest.mark.parametrize("given", [31, "31", " 31 ", "+31", np.int64(31)])
def test_a_number_is_a_number_of_classes(given: int | np.generic | str) -> None:
    catalog = load_catalog(given)
    assert [info.values for info in catalog.classes] == [(k,) for k in range(31)]
    assert catalog.names[30] == "class_30"
    assert catalog.origin == "number"


def test_a_catalogue_is_itself() -> None:
    assert load_catalog(STREETS) is STREETS


def test_presets_load_by_name_and_a_file_of_that_name_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cityscapes" in preset_names()
    for name in at_least_one(preset_names()):
        catalog = load_catalog(name)
        assert catalog.name == name
        assert catalog.origin == "preset"
        assert catalog == load_preset(name)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "voc", "cat\ndog\n")
    assert load_catalog("voc").names == ("cat", "dog")


@pytest.mark.parametrize(
    "document",
    [
        {"0": "road", "1": "sky", "2": "pole"},
        {2: "pole", 0: "road", 1: "sky"},
        {"id2label": {"0": "road", "1": "sky", "2": "pole"}, "architectures": ["x"]},
        {"names": {0: "road", 1: "sky", 2: "pole"}, "path": "../data", "nc": 3},
        {"names": ["road", "sky", "pole"]},
        ["road", "sky", "pole"],
        {"classes": {"0": "road", "1": "sky", "2": "pole"}},
    ],
)
def test_the_forms_of_other_tools(document: Any) -> None:
    catalog = catalog_from_mapping(document, name="x")
    assert [(c.name, c.values) for c in catalog.classes] == [
        ("road", (0,)),
        ("sky", (1,)),
        ("pole", (2,)),
    ]


def test_an_index_mapping_with_gaps_keeps_the_values() -> None:
    catalog = catalog_from_mapping({"10": "b", "2": "a"}, name="x")
    assert [(c.name, c.values) for c in catalog.classes] == [("a", (2,)), ("b", (10,))]


@pytest.mark.parametrize("ignore", [0, [0], [0, 0]])
def test_a_single_ignored_value_needs_no_list_and_may_be_0(ignore: int | list[int]) -> None:
    catalog = catalog_from_mapping(
        {"classes": [{"name": "a", "value": 1}], "ignore": ignore}, name="x"
    )
    assert catalog.ignored_values == {0}


@pytest.mark.parametrize("colours", ["#000000", [0, 0, 0], ["#000000"], [[0, 0, 0]], "0,0,0"])
def test_a_single_ignored_colour_needs_no_list_and_may_be_black(colours: Any) -> None:
    catalog = catalog_from_mapping({"classes": ["a"], "ignore_colours": colours}, name="x")
    assert catalog.ignored_colours == {0}


@pytest.mark.parametrize("nothing", [{}, {"ignore": None}, {"ignore": [], "ignore_colors": None}])
def test_nothing_ignored(nothing: dict[str, None]) -> None:
    catalog = catalog_from_mapping({"classes": ["a"], **nothing}, name="x")
    assert not catalog.ignored_values
    assert not catalog.ignored_colours


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("values: [0-127]", range(128)),
        ("values: 0-127", range(128)),
        ('values: "128 - 130"', (128, 129, 130)),
        ("values: [7-7]", (7,)),
        ("values: [-3--1, 5, 8-9]", (-3, -2, -1, 5, 8, 9)),
    ],
)
def test_ranges_of_values(tmp_path: Path, values: str, said: Sequence[int]) -> None:
    """Soft masks: everything below the middle is background."""
    text = f"classes: [{{name: a, {values}}}]\nignore: [200-202, 255]"
    catalog = load_catalog(write(tmp_path, "c.yaml", text))
    assert catalog.classes[0].values == tuple(said)
    assert catalog.ignored_values == {200, 201, 202, 255}
    assert catalog_from_mapping(catalog.to_dict(), name="x") == catalog


@given(st.sets(st.integers(-40, 40) | st.integers(), max_size=30))
def test_values_are_written_as_they_are_read(values: set[int]) -> None:
    in_range = {v for v in values if -(2**63) <= v < 2**63}
    written = written_values(in_range)
    assert sorted(RawValues().of(_parts(written), "x")) == (sorted(in_range))


def _parts(written: str) -> list[object]:
    parts = written.split(", ") if written else []
    return [int(part) if re.fullmatch(r"-?\d+", part) else part for part in parts]


def test_colour_shows_and_matches_unless_colours_say_what_matches() -> None:
    classes = [
        {"name": "a", "color": "#010203"},
        {"name": "b", "colour": "#040506", "colours": ["#070809"]},
        {"name": "c", "colors": ["#0a0b0c", "13,14,15"]},
        {"name": "d", "colour": "#10111280"},
        {"name": "e", "colour": "#ffffff", "colours": []},
    ]
    catalog = catalog_from_mapping({"classes": classes}, name="x")
    assert [(info.colour, info.colours) for info in catalog.classes] == [
        (0x010203, (0x010203,)),
        (0x040506, (0x070809,)),
        (0x0A0B0C, (0x0A0B0C, 0x0D0E0F)),
        (0x101112, (0x7F101112,)),
        (0xFFFFFF, ()),
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("#804080", 0x804080),
        ("#80408080", 0x7F804080),
        ("#804080FF", 0x804080),
        ("128,64,128", 0x804080),
        (" 128 , 64 , 128 ", 0x804080),
        ([128, 64, 128], 0x804080),
        ((0, 0, 0), 0),
    ],
)
def test_colours(written: list[int] | str | tuple[int, ...], value: int) -> None:
    assert parse_colour(written) == value


# --- lists of names and label maps ------------------------------------------------------------


def test_labelme_conventions(tmp_path: Path) -> None:
    """LabelMe numbers `__ignore__` -1 (255 in 8-bit files) and `_background_` 0."""
    path = write(tmp_path, "labels.txt", "__ignore__\n_background_\naeroplane\nbicycle\n")
    catalog = load_catalog(path)
    assert [(c.name, c.values) for c in catalog.classes] == [
        ("_background_", (0,)),
        ("aeroplane", (1,)),
        ("bicycle", (2,)),
    ]
    assert catalog.ignored_values == {-1, 255}


def test_a_plain_list_of_names(tmp_path: Path) -> None:
    path = write(tmp_path, "names.txt", "# comment\n\n  road \nsky: blue\nz\u00fcrich\n")
    catalog = load_catalog(path)
    assert catalog.names == ("road", "sky: blue", "zürich")
    assert [info.values for info in catalog.classes] == [(0,), (1,), (2,)]


LABELMAP = """\
# label:color_rgb:parts:actions
road:128,64,128::
background:0,0,0::
sky:70,130,180:left,right:
unpainted:::
"""


def test_a_labelmap_keeps_its_order_although_black_is_not_first(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path, "labelmap.txt", LABELMAP))
    assert [(c.name, c.values, c.colours) for c in catalog.classes] == [
        ("road", (0,), (0x804080,)),
        ("background", (1,), (0x000000,)),
        ("sky", (2,), (0x4682B4,)),
        ("unpainted", (3,), ()),
    ]


def test_a_labelmap_in_which_one_line_is_none_is_no_list_of_names(tmp_path: Path) -> None:
    path = write(tmp_path, "names.txt", "road:1,2,3::\nsky\n")
    with pytest.raises(CatalogError, match="line 1 holds a comma"):
        load_catalog(path)


# --- what is wrong is said --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.yaml", "classes: [a, a]", "two classes are called 'a'"),
        ("c.yaml", "classes: []", "1 to 65536"),
        ("c.yaml", "classes: 31", "'classes' must be a list"),
        ("c.yaml", "31", "neither a list nor a mapping"),
        ("c.yaml", "", "neither a list nor a mapping"),
        ("c.yaml", "{}", "no 'classes'"),
        ("c.yaml", "a: b: c", "not valid YAML"),
        ("c.yaml", "classes: [yes, no]", "name of class 0"),
        ("c.yaml", "classes: [{value: 3}]", "name of class 0"),
        ("c.yaml", "classes: [{name: a, valeu: 3}]", "'valeu'"),
        ("c.yaml", "classes: [a]\nignroe: 3", "'ignroe'"),
        ("c.yaml", "classes: [{name: a, value: 1, values: [1]}]", "both 'value' and 'values'"),
        ("c.yaml", "classes: [{name: a, value: 1.5}]", "1.5"),
        ("c.yaml", "classes: [{name: a, value: true}]", "True"),
        ("c.yaml", "classes: [{name: a, value: null}]", "None"),
        ("c.yaml", "classes: [{name: a, values: [1, x]}]", "'x'"),
        ("c.yaml", "classes: [{name: a, values: [1]}, {name: b, values: [1]}]", "value 1 belongs"),
        ("c.yaml", "classes: [{name: a, colour: red}]", "'red'"),
        ("c.yaml", "classes: [{name: a, colour: [1, 2]}]", "colour"),
        ("c.yaml", "classes: [{name: a, colours: [[1, 2, 256]]}]", "colour"),
        ("c.yaml", "classes: [a]\nignore: x", "'x'"),
        ("c.yaml", "classes: [a]\nignore: 0", "value 0 belongs to class 'a' and to the ignored"),
        ("c.yaml", "classes: [a]\nignore_255: 1", "ignore_255"),
        ("c.yaml", "classes: [{name: a, value: 0-3}]", "'0-3'"),
        ("c.yaml", "classes: [{name: a, values: [9-3]}]", "range '9-3' ends before it begins"),
        ("c.yaml", "classes: [{name: a, values: [0-999999999999]}]", "more than 131,072 values"),
        ("c.yaml", "classes: [{name: a, values: [0-99999999999999999999]}]", "whole number"),
        ("c.yaml", "classes: [{name: a, values: [0-9999999999999999999]}]", "whole number"),
        (
            "c.yaml",
            "classes: [{name: a, values: [0-3]}, {name: b, values: [3]}]",
            "value 3 belongs",
        ),
        ("c.yaml", "classes: [{name: a, values: [0-3]}]\nignore: [2-9]", "value 2 belongs"),
        ("c.yaml", "{0: a, 0: b}", "the key 0 comes twice"),
        ("c.yaml", "classes: [a]\nclasses: [b]", "the key 'classes' comes twice"),
        ("c.yaml", "{0: a, 0x0: b}", "the key 0 comes twice"),
        ("c.json", '{"0": "a", "0": "b"}', "the key '0' comes twice"),
        ("c.json", '[{"name": "a", "value": NaN}]', "NaN is no number"),
        ("c.json", '[{"name": "a", "value": -Infinity}]', "-Infinity is no number"),
        ("c.json", '[{"name": "a", "value": 1e999}]', "inf"),
        ("c.json", '[{"name": "a", "value": 1%s}]' % ("0" * 5000), "not valid JSON"),
        ("c.yaml", "classes: [{name: a, value: 0x" + "f" * 5000 + "}]", "whole number"),
        ("c.yaml", "classes: [0x" + "f" * 5000 + "]", "name of class 0"),
        ("c.yaml", "? 0x" + "f" * 5000 + "\n: a\nclasses: [b]", "unknown key"),
        ("c.json", "[1, 2", "not valid JSON"),
        ("c.json", "[" * 100_000, "not valid JSON"),
        ("c.json", '[{"name": "a\\u0000"}]', "name of class 0"),
        ("c.json", '["\\ud800"]', "name of class 0"),
        ("c.json", '{"1": "a", "01": {"b": 1}}', "name of class 1"),
        ("c.json", '{"1": "a", "01": "b"}', "value 1 belongs"),
        ("c.json", json.dumps(["x"] * 65537), "65537"),
        ("c.txt", "", "no class names"),
        ("c.txt", "# nothing\n\n", "no class names"),
        ("c.txt", "a\n__ignore__\n", "'__ignore__' must be the first line"),
        ("c.txt", "a\n\0\n", "not a list of class names"),
        ("c.txt", "x" * 2000, "not a list of class names"),
        ("c.txt", "a:256,0,0::\n", "colour"),
        ("c.txt", "a:1,2,3::\nb:1,2,3::\n", "colour #010203 belongs"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    message = str(caught.value)
    assert said in message
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 400
    assert "\n" not in message


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))
    text = f"a0: &a0 [x]\n{levels}\nclasses: [*a39]\n"
    with pytest.raises(CatalogError, match="unknown key"):
        load_catalog(write(tmp_path, "bomb.yaml", text))
    with pytest.raises(CatalogError, match="name of class 0"):
        load_catalog(write(tmp_path, "bomb.yaml", text.replace("classes:", "names:")))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"ro\xe9d\n", b"\x89PNG\r\n\x1a\n\0"])
def test_files_that_are_not_text(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="not UTF-8"):
        load_catalog(path)


def test_a_file_too_large_to_be_a_catalogue_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(CatalogError, match="not a catalogue"):
        load_catalog(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, "c.yaml", "classes: [a]")
    path.chmod(0)
    with pytest.raises(CatalogError, match="can't be read"):
        load_catalog(path)


@pytest.mark.parametrize(
    "given", ["cityscape", "nothing", "no/such.yaml", "", "a\0b", "a\nb", True]
)
def test_neither_number_nor_file_nor_preset(given: bool | str) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(given)
    message = str(caught.value)
    assert "'presets()' lists the presets" in message
    assert message.isprintable()
    assert ("did you mean cityscapes?" in message) == (given == "cityscape")


def test_an_unknown_preset() -> None:
    with pytest.raises(CatalogError, match="no preset is called 'nope'"):
        load_preset("nope")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["#804080", "1,2,3", "road", 255, 0])
)
KNOWN_KEYS = (
    "name title classes names id2label ignore ignore_colours ignore_colors ignore_255 origin value"
    " values colour color colours colors"
)
KEYS = st.sampled_from(KNOWN_KEYS.split(" ")) | st.text(max_size=3)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=5)
        | st.dictionaries(st.integers(0, 3) | st.sampled_from(["0", "00", "1"]), inner, max_size=3)
        | st.fixed_dictionaries({"classes": st.lists(inner, max_size=4), "ignore": inner})
        | st.fixed_dictionaries({"name": SCALARS}, optional={"value": inner, "colours": inner})
    ),
    max_leaves=15,
)


@settings(max_examples=600)
@given(DOCUMENTS)
@example({"classes": ["a"], "ignore": False})
@example({"classes": ["a"], "ignore_colours": ""})
def test_any_document_is_a_catalogue_or_a_catalogue_error(document: Any) -> None:
    message = ""
    try:
        catalog = catalog_from_mapping(document, name="x")
    except CatalogError as error:
        message = str(error)
    else:
        assert catalog_from_mapping(catalog.to_dict(), name="y") == catalog
        assert len(catalog) >= (0 if catalog.origin == "inferred" else 1)
    assert message.isprintable()


@settings(max_examples=200)
@given(st.text(st.characters(), max_size=60) | st.text("#:,[]{}-& *!|>'\"\n ab0", max_size=60))
def test_any_text_is_a_catalogue_or_a_catalogue_error(tmp_path: Path, text: str) -> None:
    for name in ("c.yaml", "c.json", "c.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        message = f"{path}: "
        try:
            catalog = load_catalog(path)
        except CatalogError as error:
            message = str(error)
        else:
            assert all(catalog.names)
        assert message.startswith(f"{path}: ")
