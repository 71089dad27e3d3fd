"""Tables of classes are read as what they are, in every form, and are never lists of names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import maskstat as ms
from maskstat.errors import CatalogError
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import load_catalog
from tests.support.loops import at_least_one
from tests.support.shared_cases import shared_case

Read = list[tuple[str, tuple[int, ...], tuple[int, ...]]]


def load(folder: Path, text: str, name: str = "classes.txt") -> ClassCatalog:
    path = folder / name
    path.write_bytes(text.encode())
    return load_catalog(path)


def read(catalog: ClassCatalog) -> Read:
    return [(c.name, c.values, c.colours) for c in catalog.classes]


# --- any table of classes, in any form that can hold it -------------------------------------------


class Row(NamedTuple):
    value: int
    name: str
    colour: int

    @property
    def rgb(self) -> tuple[int, int, int]:
        return self.colour >> 16, self.colour >> 8 & 255, self.colour & 255


def _rgb(row: Row, between: str = " ") -> str:
    return between.join(map(str, row.rgb))


def _csv(*fields: object, delimiter: str = ",") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="").writerow(fields)
    return stream.getvalue()


class Form(NamedTuple):
    """How a row is written; what of it is said; a header; whether names are one column's."""

    line: Callable[[Row], str]
    values: bool
    colours: bool
    header: str = ""


FORMS = {
    "id name": Form(lambda r: f"{r.value} {r.name}", True, False),
    "id: name": Form(lambda r: f"{r.value}: {r.name}", True, False),
    "id=name": Form(lambda r: f"{r.value}={r.name}", True, False),
    "id, tab, name": Form(lambda r: f"{r.value}\t{r.name}", True, False),
    "id,name": Form(lambda r: _csv(r.value, r.name), True, False),
    "id, name": Form(lambda r: f"{r.value}, {r.name}", True, False),
    "id;name": Form(lambda r: _csv(r.value, r.name, delimiter=";"), True, False),
    "name,id": Form(lambda r: _csv(r.name, r.value), True, False),
    "name: id": Form(lambda r: f"{r.name}: {r.value}", True, False),
    "r g b, tab, name": Form(lambda r: f"{_rgb(r)}\t{r.name}", False, True),
    "r g b, tabs, name": Form(lambda r: f"{_rgb(r)}\t\t{r.name}", False, True),
    "r g b name": Form(lambda r: f"{_rgb(r)} {r.name}", False, True),
    "name r g b": Form(lambda r: f"{r.name} {_rgb(r)}", False, True),
    "r,g,b,name": Form(lambda r: _csv(*r.rgb, r.name), False, True),
    "name,r,g,b": Form(lambda r: _csv(r.name, *r.rgb), False, True),
    "#rrggbb name": Form(lambda r: f"#{r.colour:06x} {r.name}", False, True),
    "id name r g b": Form(lambda r: f"{r.value} {r.name} {_rgb(r)}", True, True),
    "id,name,#rrggbb": Form(lambda r: _csv(r.value, r.name, f"#{r.colour:06x}"), True, True),
    "id,name,r,g,b": Form(lambda r: _csv(r.value, r.name, *r.rgb), True, True),
    "id,name,r g b": Form(lambda r: _csv(r.value, r.name, _rgb(r)), True, True),
    "Roboflow": Form(lambda r: f" {_csv(r.value, r.name)}", True, False, "Pixel Value, Class"),
    "class_dict.csv": Form(lambda r: _csv(r.name, *r.rgb), False, True, "name,r,g,b"),
    "a header, all": Form(
        lambda r: _csv(r.name, *r.rgb, r.value), True, True, "Class Name,Red,Green,Blue,Label ID"
    ),
    "ScanNet": Form(
        lambda r: _csv(r.value, r.name, "thing", 12, delimiter="\t"),
        True,
        False,
        "id\traw_category\tcategory\tcount",
    ),
    "a header and blanks": Form(lambda r: f"{r.value} {r.name}", True, False, "id name"),
}
WORD = st.text("abcdefgzAZßé_-'()日", min_size=1, max_size=6).filter(lambda w: w[0] not in "-)'")
NAMES = st.lists(WORD | st.just("x1"), min_size=1, max_size=3).map(" ".join)
ROWS = st.lists(
    st.builds(Row, st.integers(-3, 70000), NAMES, st.integers(0, 0xFFFFFF)),
    min_size=1,
    max_size=6,
    unique_by=(lambda r: r.value, lambda r: r.name, lambda r: r.colour),
)


@settings(max_examples=120)
@given(ROWS, st.sampled_from(sorted(FORMS)), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example([Row(7, "class x1", 0)], "id name", "\n", True)
def test_any_table_of_classes_is_read_as_it_is(
    tmp_path: Path, rows: list[Row], form_name: str, end: str, bom: bool
) -> None:
    form = FORMS[form_name]
    assume(rows[0].name not in {"id", "name"})
    lines = [form.header, *map(form.line, rows)] if form.header else [*map(form.line, rows)]
    text = "\ufeff" * bom + "".join(line + end for line in lines)
    ordered = sorted(rows, key=lambda r: (r.value < 0, r.value)) if form.values else rows
    assert read(load(tmp_path, text)) == [
        (
            row.name,
            (row.value if form.values else place,),
            (row.colour,) if form.colours else (),
        )
        for place, row in enumerate(ordered)
    ]


@pytest.mark.parametrize("form_name", sorted(FORMS))
def test_what_a_name_holds_besides_is_read_or_refused_and_never_lost(
    tmp_path: Path, form_name: str
) -> None:
    form = FORMS[form_name]
    names = ["2-wheeler", "car, red", "3D", "class 1", "a;b", "a:b", "tab\there", "x 1 2 3", '"q"']
    for name in at_least_one(names):
        rows = [Row(0, "road", 0x010203), Row(7, name, 0x040506)]
        lines = [form.header, *map(form.line, rows)]
        try:
            catalog = load(tmp_path, "".join(line + "\n" for line in lines if line))
        except CatalogError:
            continue
        assert catalog.names in {("road", name), ("road", name.strip('"'))}


@settings(max_examples=120)
@given(st.lists(st.text("ab 01.,;:|=\t#-_\"'", max_size=12), min_size=1, max_size=4))
def test_a_name_without_a_column_of_its_own_holds_no_comma_no_tab_and_begins_with_no_digit(
    tmp_path: Path, lines: list[str]
) -> None:
    message = ""
    try:
        names = load(tmp_path, "\n".join(lines)).names
    except CatalogError as error:
        names, message = (), str(error)
    assert message.isprintable()
    whole_lines = {line.strip() for line in lines} & set(names)
    assert not [name for name in whole_lines if re.match(r"[-+]?[0-9]|.*[,\t]", name)]


# --- forms of real data sets ----------------------------------------------------------------------


def test_names_of_objectinfo150_hold_commas(tmp_path: Path) -> None:
    text = (
        "Idx\tRatio\tTrain\tVal\tName\n"
        "1\t0.15\t11664\t1172\twall\n2\t0.11\t6046\t612\tbuilding, edifice\n"
    )
    assert [(n, v) for n, v, _ in read(load(tmp_path, text))] == [
        ("wall", (1,)),
        ("building, edifice", (2,)),
    ]


def test_the_id_of_scannet_goes_with_its_raw_category(tmp_path: Path) -> None:
    """Several ids share a `category`; `nyu40id` is another numbering."""
    text = (
        "id\traw_category\tcategory\tcount\tnyu40id\tnyu40class\n"
        "2\tchair\tchair\t4646\t5\tchair\n1\twall\twall\t8277\t1\twall\n"
        "22\tbooks\tbook\t1678\t23\tbooks\n5\tbook\tbook\t318\t23\tbooks\n"
    )
    assert [(n, v) for n, v, _ in read(load(tmp_path, text))] == [
        ("wall", (1,)),
        ("chair", (2,)),
        ("book", (5,)),
        ("books", (22,)),
    ]


@pytest.mark.parametrize("header", ["class,label", "label,class", "category,name", "label,name"])
def test_a_column_is_of_values_where_it_holds_them(tmp_path: Path, header: str) -> None:
    assert read(load(tmp_path, f"{header}\n0,road\n7,sky\n")) == [
        ("road", (0,), ()),
        ("sky", (7,), ()),
    ]


def test_a_colour_that_two_values_share_matches_neither(tmp_path: Path) -> None:
    """Of an index mask the values tell them apart; a colour-coded one can't be read."""
    catalog = load(tmp_path, "4,pole,153,153,153\n5,polegroup,153,153,153\n6,sky,1,2,3\n")
    assert read(catalog) == [
        ("pole", (4,), ()),
        ("polegroup", (5,), ()),
        ("sky", (6,), (0x010203,)),
    ]
    assert catalog.classes[0].colour == catalog.classes[1].colour == 0x999999
    with pytest.raises(CatalogError, match="colour #999999 belongs"):
        load(tmp_path, "pole,153,153,153\npolegroup,153,153,153\n")


def test_comments_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    catalog = load(tmp_path, "# id name\n\n0 road\n\n# more\n7 sky\n")
    assert catalog.names == ("road", "sky")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a, b\nc\n", "line 1 holds a comma: 'a, b'"),
        ("c\na\tb\n", "line 2 holds a tab"),
        ("2-wheeler\n4x4\n", "line 1 begins with a number: '2-wheeler'"),
        ("road\n-1\n", "line 2 begins with a number"),
        ("1\n2\n", "begins with a number"),
        ("0 road, street\n1 sky\n", "begins with a number"),
        ("0 road,128,64,128\n1 sky,1,2,3\n", "begins with a number"),
        ("0 128 64 128 road\n", "begins with a number"),
        ("0,128,64,128,road\n", "holds a comma|begins with a number"),
        ("0 2 wheeler\n", "begins with a number"),
        ("0 road\nsky\n", "line 1 begins with a number"),
        ("0 road\n1: sky\n", "line 1 begins with a number"),
        ("0 - road\n1 - sky\n", "begins with a number"),
        ("0.5 road\n", "begins with a number"),
        ("road 1 2 3\nsky\n", "line 1 ends in three numbers"),
        ("road  flat\nsky   void\n", "line 1 has columns"),
        ("road: 7\nsky\n", "line 1 ends in a number"),
        ("road;7;1.5\nsky;8;2\n", "number in a column"),
        ("road #804080 x\nsky\n", "holds a colour"),
        ("file_name,mask\na.png,b.png\n", "holds a comma"),
        ("img/a.png gt/a.png\n", "names a file"),
        ("name\nroad\n", "looks like a header"),
        ("classes:\n- road\n", "looks like a header"),
        ("- road\n- sky\n", "looks like YAML"),
        ('{"classes": ["a"]}', "looks like YAML, JSON or XML"),
        ("<xml>\n", "looks like YAML, JSON or XML"),
        ("name,supercategory\nroad,flat\n", "holds a comma"),
        ("id,index,name\n7,0,road\n", "two columns of values that differ, 'id' and 'index'"),
        ("id,name\n7,car, red\n", "line 2 has 3 fields, the header has 2"),
        ("id,name\n7\n", "line 2 has 1 fields"),
        ("id,name\n", "a header and no classes"),
        ("id,name\n7,\n", "line 2 has no name"),
        ("id,name\n1.0,road\n", "line 2: '1.0' is no whole number"),
        ("id,name\n,road\n", "line 2: '' is no whole number"),
        (f"id,name\n{'9' * 5000},road\n", "not a list|no whole number"),
        (f"id,name\n{'9' * 19},road\n", "of 64 bits"),
        ("name,r,g,b\nroad,1,2,300\n", "line 2: '1,2,300' is no colour"),
        ("0,road\n0,sky\n", "value 0 belongs to class 'road' and to class 'sky'"),
        ("0,road\n1,road\n", r"two classes are called 'road'; .*values: \[1, 2\]"),
        ("_background_\n1 road\n", "line 2 begins with a number"),
        ("_background_\nroad\tx\n", "line 2 holds a tab"),
    ],
)
def test_what_looks_like_a_table_and_is_none_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(CatalogError, match=said) as caught:
        load(tmp_path, text, "classes.csv")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 400


def test_such_names_are_taken_from_a_yaml_list(tmp_path: Path) -> None:
    """It is what the message offers."""
    with pytest.raises(CatalogError, match="YAML list, in quotes"):
        load(tmp_path, "2-wheeler\ncar, red\n")
    assert load(tmp_path, '- "2-wheeler"\n- "car, red"\n', "c.yaml").names == (
        "2-wheeler",
        "car, red",
    )


def test_labels_of_labelme_may_begin_with_a_number(tmp_path: Path) -> None:
    """The first line says what the file is."""
    assert load(tmp_path, "__ignore__\n_background_\n3D\n2-wheeler\n").names == (
        "_background_",
        "3D",
        "2-wheeler",
    )


def test_a_large_hostile_file_is_refused_in_no_time(tmp_path: Path) -> None:
    for line in ["a" + " " * 3990 + "b", ":" * 3990, "1 " * 1990 + "x", ", " * 1990, '"' * 3990]:
        with pytest.raises(CatalogError):
            load(tmp_path, (line + "\n") * 500)
    with pytest.raises(CatalogError, match="65537"):
        load(tmp_path, "".join(f"{n} c{n}\n" for n in range(65537)))


# --- ../shared/cases ------------------------------------------------------------------------------


def test_the_cases_of_others() -> None:
    roboflow = load_catalog(shared_case("roboflow/train/_classes.csv"))
    assert read(roboflow) == [("background", (0,), ()), ("crack", (1,), ()), ("spall", (2,), ())]
    colours = load_catalog(shared_case("name-tables/label_colors.txt"))
    assert read(colours) == [("Animal", (0,), (0x408040,)), ("Road", (1,), (0x804080,))]


def test_ids_with_gaps_are_values(tmp_path: Path) -> None:
    """As names by place, 1 and 2 would be road and sidewalk, and 7 no class at all."""
    text = "0 background\n7 road\n8 sidewalk\n11 building\n"
    catalog = load(tmp_path, text)
    pixels = np.array([[0, 1, 2, 7, 7, 8, 11, 11]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    with ms.scan(tmp_path / "m.png", classes=catalog) as scan:
        assert scan.histogram.pixels.tolist() == [1, 2, 1, 2]
        assert set(scan.histogram.unlisted) == {1, 2}


def test_the_case_with_gaps() -> None:
    classes = shared_case("name-tables/gap.txt")
    with ms.scan(shared_case("name-tables/gap.png"), classes=classes) as scan:
        assert read(scan.catalog) == [
            ("background", (0,), ()),
            ("road", (7,), ()),
            ("sidewalk", (8,), ()),
            ("building", (11,), ()),
        ]
        assert set(scan.histogram.unlisted) == {1, 2}
