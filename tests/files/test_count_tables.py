"""Tables of counts that people already have, in the forms in which they have them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from maskstat.errors import FileFormatError, ParameterError
from maskstat.files.count_tables import SUFFIXES, numbers_of, read_count_table, table_of

ROAD = [("road", 5587), ("car", 802), ("sign", 11)]
NAMES, NUMBERS = ["road", "car", "sign"], [5587, 802, 11]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.csv", "road,5587\ncar,802\nsign,11\n"),
        ("a.csv", "name,count\nroad,5587\ncar,802\nsign,11\n"),
        ("a.csv", "\ufeffClass;Pixels\r\nroad;5587\r\ncar;802\r\n\r\nsign;11\r\n"),
        ("a.tsv", "road\t5587\ncar\t802\nsign\t11"),
        ("a.txt", "road, 5587\ncar, 802\nsign, 11"),
        ("a.csv", ",0\nroad,5587\ncar,802\nsign,11\n"),
        ("a.csv", 'index,name,pixels,weight\n2,sign,11,9\n0,"road",5587,1\n1,car,802,2\n'),
        ("a.csv", "name,whatever\nroad,5587\ncar,802\nsign,11\n"),
        ("a.json", json.dumps(dict(ROAD))),
        ("a.json", json.dumps([{"name": name, "pixels": count} for name, count in ROAD])),
        ("a.json", json.dumps({"class": NAMES, "count": NUMBERS})),
        ("a.json", json.dumps(ROAD)),
        ("a.yaml", yaml.safe_dump(dict(ROAD), sort_keys=False)),
        ("a.yml", "- {label: road, n: 5587}\n- {label: car, n: 802}\n- {label: sign, n: 11}\n"),
    ],
)
def test_files_of_names_and_numbers(tmp_path: Path, file: str, text: str) -> None:
    table = read_count_table(written(tmp_path / file, text))
    assert list(table.keys or ()) == NAMES
    assert [int(str(number)) for number in table.numbers] == NUMBERS


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.csv", "5587,802,11"),
        ("a.csv", "5587\n802\n11\n"),
        ("a.csv", "pixels\n5587\n802\n11\n"),
        ("a.txt", "5587\n802\n11\n"),
        ("a.json", "[5587, 802, 11]"),
        ("a.yaml", "- 5587\n- 802\n- 11\n"),
    ],
)
def test_files_of_numbers_alone(tmp_path: Path, file: str, text: str) -> None:
    table = read_count_table(written(tmp_path / file, text))
    assert table.keys is None
    assert [int(str(number)) for number in table.numbers] == NUMBERS


@pytest.mark.parametrize(
    ("file", "text"),
    [("a.csv", "0,5587\n7,802\n"), ("a.json", '{"0": 5587, "7": 802}'), ("a.yaml", "0: 1\n7: 2")],
)
def test_keys_that_are_numbers_are_raw_values(tmp_path: Path, file: str, text: str) -> None:
    assert read_count_table(written(tmp_path / file, text)).keys == [0, 7]


def test_headings_say_the_unit_and_what_else_there_is(tmp_path: Path) -> None:
    matlab = "Name,PixelCount,ImagePixelCount\nroad,5587,9000\ncar,802,\n"
    table = read_count_table(written(tmp_path / "matlab.csv", matlab))
    assert (table.unit, table.columns["image_pixels"]) == ("counts", ["9000", ""])
    units = {"pixels": "counts", "share": "shares", "Frequency": "shares", "percent": "percent"}
    for heading, unit in units.items():
        table = table_of({"name": ["a", "b"], heading: [1, 2], "masks": [3, 4]})
        assert (table.unit, table.columns["masks"]) == (unit, [3, 4])
    both = table_of([{"name": "a", "pixels": None, "frequency": 1.0}])
    assert (both.unit, both.numbers) == ("shares", [1.0])


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("a.xlsx", "", "no table of counts has the suffix '.xlsx'"),
        ("a.csv", "", "is empty"),
        ("a.csv", "\n \n", "is empty"),
        ("a.csv", "name,count\n", "holds no numbers"),
        ("a.csv", "road,5\ncar\n", "row 2 has 1 cells where the first has 2"),
        ("a.csv", "road,5,6\ncar,1,2\n", "has 3 columns and no header"),
        ("a.csv", "road,5\nroad,6\n", "class 'road' is in it 2 times"),
        ("a.csv", "name,name,count\na,b,5\n", "two columns of one heading"),
        ("a.csv", "name,label,count\na,b,5\n", "two columns of name: 'name', 'label'"),
        ("a.csv", "name,red,green\na,1,5\n", "has no column of counts among"),
        ("a.csv", "weight\n0.5\n1.5\n", "has no column of counts among 'weight'"),
        ("a.csv", 'a,"5\n', "not a readable .csv file"),
        ("a.json", '{"a": 5, "a": 6}', "class 'a' is in it 2 times"),
        ("a.json", '{"a": {"b": 5}}', "a has a dict for a number"),
        ("a.json", "{", "not a readable .json file"),
        ("a.json", "7", "a int is no table of counts"),
        ("a.json", '"abc"', "a str is no table of counts"),
        ("a.yaml", "a: 5\na: 6\n", "class 'a' is in it 2 times"),
        ("a.yaml", "a: &x 5\nb: *x\n", "not a readable .yaml file"),
        ("a.yaml", "yes: 5\n", "True is neither a name nor a value of masks"),
        ("a.yaml", "a: [\n", "not a readable .yaml file"),
        ("a.json", json.dumps({"name": ["a"], "pixels": [1, 2]}), "columns are not equally long"),
    ],
)
def test_what_is_no_table_says_so_in_one_line_with_its_file(
    tmp_path: Path, file: str, text: str, why: str
) -> None:
    path = written(tmp_path / file, text)
    with pytest.raises(FileFormatError) as raised:
        read_count_table(path)
    assert why in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="can't be read: No such file"):
        read_count_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"stra\xdfe,5\n")
    with pytest.raises(FileFormatError, match="not UTF-8 text"):
        read_count_table(tmp_path / "latin.csv")
    assert set(SUFFIXES) == {".csv", ".tsv", ".txt", ".json", ".yaml", ".yml"}


@pytest.mark.parametrize(
    "content",
    [
        dict(ROAD),
        ROAD,
        {"name": NAMES, "pixels": NUMBERS},
        {"name": np.array(NAMES), "pixels": np.array(NUMBERS)},
    ],
)
def test_values_in_memory(content: object) -> None:
    table = table_of(content)
    assert list(table.keys or ()) == NAMES
    assert list(table.numbers) == NUMBERS


@pytest.mark.parametrize(
    "content", [NUMBERS, tuple(NUMBERS), np.array(NUMBERS), dict(ROAD).values(), iter(NUMBERS)]
)
def test_numbers_in_memory(content: object) -> None:
    assert list(table_of(content).numbers) == NUMBERS


@pytest.mark.parametrize(
    "content", [5, None, b"5", {5, 6}, np.zeros((2, 2)), np.array(5), "abc", {1.5: 3}, {True: 3}]
)
def test_what_is_no_table_in_memory(content: object) -> None:
    with pytest.raises(ParameterError, match="counts:") as raised:
        table_of(content)
    assert "\n" not in str(raised.value)


def test_pandas_tables_are_read_where_somebody_has_imported_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    for content in (
        pandas.Series(dict(ROAD)),
        pandas.DataFrame({"Name": NAMES, "PixelCount": NUMBERS}),
        pandas.DataFrame({"pixels": NUMBERS}, index=NAMES),
    ):
        table = table_of(content)
        assert list(table.keys or ()) == NAMES
        assert [int(number) for number in table.numbers] == NUMBERS  # type: ignore[call-overload]
    assert table_of(pandas.Series(NUMBERS)).keys is None
    counted = table_of(pandas.Series([7, 0, 7]).value_counts())
    assert dict(zip(counted.keys or (), counted.numbers, strict=True)) == {7: 2, 0: 1}


def test_pandas_is_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    table_of(dict(ROAD))
    assert "pandas" not in sys.modules


def test_a_text_of_numbers() -> None:
    assert numbers_of("5587,802, 11") == ["5587", "802", "11"]
    assert numbers_of("0.5,0.5") == ["0.5", "0.5"]
    for text in ("counts.csv", "5", "", "a,b", "5,,6", "1,2.csv"):
        assert numbers_of(text) is None
