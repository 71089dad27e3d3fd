"""Weight files: every number comes back to the bit, and no file is ever half written."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from maskstat.errors import FileFormatError, ParameterError
from maskstat.files.count_tables import read_count_table
from maskstat.files.documents.base import LAYOUTS, Document
from maskstat.files.documents.formats import SUFFIXES, read_document, write_document
from maskstat.files.writing import write_atomically
from maskstat.weights.table import WeightTable, load_weights
from tests.support.loops import at_least_one
from tests.support.paths import FIXTURES
from tests.support.strategies import names

FULL = [suffix for suffix in SUFFIXES if suffix != ".npy"]
HOLDS = {
    ".json": {"full", "list", "dict"},
    ".yaml": {"full", "list", "dict"},
    ".yml": {"full", "list", "dict"},
    ".csv": {"full", "list", "dict"},
    ".txt": {"full", "list"},
    ".npy": {"full", "list"},
}
PAIRS = [(suffix, layout) for suffix in SUFFIXES for layout in LAYOUTS if layout in HOLDS[suffix]]

weights = st.floats(0, allow_infinity=False, allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | weights | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tables(draw: st.DrawFn) -> WeightTable:
    """Any table, with the numbers that are hardest to write."""
    hard = st.sampled_from([0.0, 5e-324, 2.2e-308, 1 / 3, 0.1, 1e16, 1e22, 1.7976931348623157e308])
    size = draw(st.integers(1, 5))
    return WeightTable(
        tuple(draw(st.lists(names, min_size=size, max_size=size, unique=True))),
        np.array(draw(st.lists(weights | hard, min_size=size, max_size=size))),
        np.array(draw(st.lists(st.integers(0, (2**63 - 1) // size), min_size=size, max_size=size))),
        draw(names),
        draw(st.dictionaries(names, json_values, max_size=3)),
        draw(names),
        draw(st.none() | st.sampled_from(["linear", "weight-normalised"])),
        draw(st.just({}) | st.just({"policy": "one", "classes": ["a"]})),
        draw(st.none() | st.just((0.1, 10.0))),
        draw(st.dictionaries(names, json_values, max_size=3)),
    )


def same(left: WeightTable, right: WeightTable) -> bool:
    """Equal in every field, arrays bit by bit."""
    return all(
        a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b
        for f in fields(left)
        for a, b in [(getattr(left, f.name), getattr(right, f.name))]
    )


def plain(size: int = 3) -> WeightTable:
    return WeightTable(
        tuple(f"c{k}" for k in range(size)),
        np.array([1 / (k + 3) for k in range(size)]),
        np.arange(size),
        "balanced",
        provenance={"source": "/data"},
    )


def named(*labels: str) -> WeightTable:
    """A table whose texts are hard to write, also its scheme and a parameter."""
    size = len(labels)
    return WeightTable(
        labels, np.arange(float(size)), np.arange(size), labels[-1], {labels[0]: 1.5}
    )


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the disk; nobody waits for it."""
    calls: list[str] = []
    real = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or real(*paths))
    return calls


# --- round trips -------------------------------------------------------------------------------


def test_every_suffix_is_known_here() -> None:
    assert set(HOLDS) == set(SUFFIXES)


@pytest.mark.parametrize("suffix", FULL)
@given(table=tables())
@example(table=named("a\r\nb", "\r", '"', "# x", "\x85\u2028", "  ", "\ufeff", "=1+1", "null"))
@example(table=named("1", "1.5", "true", "~", "0x10", "2020-01-01", "1e3", "yes", "[a]", "&b"))
def test_the_full_layout_keeps_everything(tmp_path: Path, suffix: str, table: WeightTable) -> None:
    path = table.save(tmp_path / f"w{suffix}")
    assert path == tmp_path / f"w{suffix}"
    assert same(load_weights(path), table)


@pytest.mark.parametrize(("suffix", "layout"), PAIRS)
@given(table=tables())
def test_every_layout_keeps_the_numbers_to_the_bit(
    tmp_path: Path, suffix: str, layout: str, table: WeightTable
) -> None:
    loaded = load_weights(table.save(tmp_path / f"w{suffix}", layout))
    assert loaded.weights.tobytes() == table.weights.tobytes()
    if layout != "full" or suffix == ".npy":
        assert loaded.names == tuple(f"class_{k}" for k in range(len(table)))
        assert loaded.pixels.tolist() == [0] * len(table)
        assert loaded.scheme == "unknown"


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    assert same(load_weights(plain().save(tmp_path / "W.JSON")), plain())


@pytest.mark.parametrize(
    ("suffix", "layout"),
    [(s, layout) for s in SUFFIXES for layout in LAYOUTS if layout not in HOLDS[s]],
)
def test_layouts_that_a_format_can_not_hold(tmp_path: Path, suffix: str, layout: str) -> None:
    with pytest.raises(FileFormatError, match=r"\.json holds all"):
        plain().save(tmp_path / f"w{suffix}", layout)
    assert list(tmp_path.iterdir()) == []


# --- what other programs read ------------------------------------------------------------------


def test_json_for_mmsegmentation_and_torch(tmp_path: Path) -> None:
    path = plain().save(tmp_path / "w.json", "list")
    assert json.loads(path.read_text(encoding="utf-8")) == [1 / 3, 1 / 4, 1 / 5]


def test_json_for_keras(tmp_path: Path) -> None:
    path = plain().save(tmp_path / "w.json", "dict")
    assert json.loads(path.read_text(encoding="utf-8")) == {"0": 1 / 3, "1": 1 / 4, "2": 1 / 5}


def test_yaml_for_anybody(tmp_path: Path) -> None:
    assert yaml.safe_load(plain().save(tmp_path / "w.yaml", "list").read_text()) == [
        1 / 3,
        1 / 4,
        1 / 5,
    ]
    assert yaml.safe_load(plain().save(tmp_path / "w.yml", "dict").read_text()) == {
        0: 1 / 3,
        1: 1 / 4,
        2: 1 / 5,
    }
    full = yaml.safe_load(plain().save(tmp_path / "w.yaml").read_text(encoding="utf-8"))
    assert full["weights"] == [1 / 3, 1 / 4, 1 / 5]
    assert full["classes"] == ["c0", "c1", "c2"]


def test_numpy_reads_npy_and_txt(tmp_path: Path) -> None:
    assert np.load(plain().save(tmp_path / "w.npy")).tolist() == [1 / 3, 1 / 4, 1 / 5]
    for layout in ("full", "list"):
        assert np.loadtxt(plain().save(tmp_path / "w.txt", layout)).tolist() == [
            1 / 3,
            1 / 4,
            1 / 5,
        ]


def test_csv_for_spreadsheets(tmp_path: Path) -> None:
    lines = plain().save(tmp_path / "w.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# {")
    rows = list(csv.DictReader(lines[1:]))
    assert [row["name"] for row in rows] == ["c0", "c1", "c2"]
    assert [float(row["weight"]) for row in rows] == [1 / 3, 1 / 4, 1 / 5]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_no_cell_of_a_csv_file_is_a_formula(tmp_path: Path, first: str) -> None:
    """Whatever a spreadsheet takes for the delimiter; and names and provenance come back."""
    formula = f"{first}1+1"
    table = replace(
        plain(),
        names=(formula, f"'{formula}", "plain"),
        provenance={"source": f"a,{formula},b;{formula};c", formula: [-1, formula, f",{formula}"]},
    )
    path = table.save(tmp_path / "w.csv")
    assert same(load_weights(path), table)
    assert read_count_table(path).keys == list(table.names)
    text = path.read_bytes().decode()
    for delimiter in at_least_one(",;"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_rows_that_a_spreadsheet_sorted_are_put_back(tmp_path: Path) -> None:
    path = plain().save(tmp_path / "w.csv")
    comment, header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([comment, header, *sorted(rows, key=lambda r: r.split(",")[-1])]))
    assert same(load_weights(path), plain())
    path.write_text("\n".join([comment, header, *rows[1:]]))
    with pytest.raises(FileFormatError):
        load_weights(path)


# --- old files ---------------------------------------------------------------------------------

SCHEMA_1 = WeightTable(
    ("background", "road, paved", "zürich", 'rare "one"'),
    np.array([0.1, 1 / 3, 4.9406564584124654e-300, 8.85873123456789e17]),
    np.array([10682767, 623349, 9007199254740993, 0]),
    "median-frequency",
    {"image_pixels": "labelled", "beta": 0.9999},
    "pixel",
    "linear",
    {"policy": "one", "classes": ['rare "one"']},
    (0.0, 1e18),
    {
        "source": "/data/masks",
        "masks": 367,
        "labelled_pixels": 60913605,
        "counts_digest": "ab" * 32,
        "catalog": "streets",
        "maskstat": "0.1.0",
    },
)


@pytest.mark.parametrize("suffix", FULL)
def test_files_of_schema_1_load_for_ever(suffix: str) -> None:
    """These files are never written again: whoever changes the form adds new ones."""
    name = f"weights-schema-1{'.yaml' if suffix == '.yml' else suffix}"
    assert same(load_weights(FIXTURES / name), SCHEMA_1)


def test_an_array_of_schema_1_loads_for_ever() -> None:
    loaded = load_weights(FIXTURES / "weights-schema-1.npy")
    assert loaded.weights.tobytes() == SCHEMA_1.weights.tobytes()


# --- writing -----------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain().save(tmp_path / "w.json")
    before = path.read_bytes()
    for broken in ("replace", "fsync"):

        def fail(*args: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(FileFormatError, match="No space left on device"):
                plain(5).save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain().save(tmp_path / "w.json")
    before = path.read_bytes()

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        plain(5).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_path_never_holds_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment of replacement the old content is whole, and the new is whole beside it."""
    path = plain().save(tmp_path / "w.json")
    before = path.read_bytes()
    real = os.replace
    seen = []

    def replace(source: Path, target: Path) -> None:
        seen.append((Path(target).read_bytes(), json.loads(Path(source).read_bytes())["weights"]))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    plain(5).save(path)
    assert seen == [(before, plain(5).weights.tolist())]


def test_content_is_on_the_disk_before_it_has_the_name(tmp_path: Path, disk: list[str]) -> None:
    plain().save(tmp_path / "w.json")
    assert disk == ["fsync", "replace"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are a matter of POSIX")
def test_modes_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        path = plain().save(tmp_path / "w.json")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        plain(5).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old)


def test_long_names(tmp_path: Path) -> None:
    for name in ("é" * 120, "x" * 250):
        assert same(load_weights(plain().save(tmp_path / f"{name}.json")), plain())


def test_nowhere_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        plain().save(tmp_path / "missing" / "w.json")
    assert str(caught.value).startswith(f"{tmp_path / 'missing' / 'w.json'}: can't be written")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(FileFormatError, match="can't be written"):
        plain().save(tmp_path / "folder.json")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]


@pytest.mark.parametrize("name", ["w", "w.pdf", "w.json.bak", "w.\x1b[2J"])
def test_unknown_suffixes(tmp_path: Path, name: str) -> None:
    for action in (plain().save, load_weights):
        with pytest.raises(FileFormatError, match=r"known are \.json, \.yaml") as caught:
            action(tmp_path / name)
        assert str(caught.value).isprintable()


def test_unknown_layouts(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="layout: 'table' is not one of full"):
        plain().save(tmp_path / "w.json", "table")  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".csv", ".txt"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_nan_reaches_a_file(tmp_path: Path, suffix: str, bad: float) -> None:
    """A table can't hold one; a document of somebody else might."""
    document = Document({"x": bad}, {"weights": [1.0]}, "weights")
    path = tmp_path / f"w{suffix}"
    if suffix == ".yaml":
        write_document(document, path)
        assert read_document(path, values="weights").columns["weights"] == [1.0]
    else:
        with pytest.raises(ValueError, match="JSON compliant"):
            write_document(document, path)
        assert not path.exists()


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x.bin", b"\r\n\0\xff")
    assert (tmp_path / "x.bin").read_bytes() == b"\r\n\0\xff"
