"""Plugins: the example is installed and used; broken ones are in nobody's way; nothing is silent.

Each test runs in processes of its own, with the packages of its folders and no others.
"""

from __future__ import annotations

import json
import pickle
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.entry_points import PluginGroup
from maskstat.errors import MaskError
from maskstat.readers import formats
from tests.support.loops import at_least_one
from tests.support.paths import ROOT
from tests.support.plugin_packages import counts, install, maskstat, package, python, run

EXAMPLE = ROOT / "examples" / "maskstat-example"
SIZES = [(4, 6), (1, 1), (7, 3), (20, 31)]


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the example package."""
    return install(EXAMPLE, tmp_path_factory.mktemp("site"))


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """The same masks as PNG, as PGM and in a SQLite file."""
    rng = np.random.default_rng(3)
    for form in ("png", "pgm"):
        (tmp_path / form).mkdir()
    database = sqlite3.connect(tmp_path / "masks.sqlite")
    database.execute("CREATE TABLE masks (name TEXT, mask BLOB)")
    for number, size in enumerate(SIZES):
        pixels = rng.integers(0, 3, size).astype(np.uint8)
        pixels[pixels == 2] = 2 if number % 2 else 1
        write_pgm(tmp_path / "pgm" / f"{number}_labels.pgm", pixels)
        png = tmp_path / "png" / f"{number}.png"
        Image.fromarray(pixels).save(png)
        database.execute("INSERT INTO masks VALUES (?, ?)", (png.name, png.read_bytes()))
    database.commit()
    database.close()
    return tmp_path


def write_pgm(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    most = 255 if pixels.itemsize == 1 else 65535
    header = f"P5\n# a comment\n{pixels.shape[1]} {pixels.shape[0]}\n{most}\n"
    path.write_bytes(header.encode() + pixels.astype(f">u{pixels.itemsize}").tobytes())


# --- the example ----------------------------------------------------------------------------


def test_what_is_installed_is_listed(tmp_path: Path, example: Path) -> None:
    code, printed, _ = maskstat("plugins --json", tmp_path, example)
    assert code == 0
    rows = json.loads(printed)
    assert {row["group"]: row["name"] for row in rows} == {
        "readers": "pgm",
        "sources": "sqlite",
        "schemes": "image-frequency",
        "presets": "our-roads",
        "recipes": "our-crops",
    }
    for row in at_least_one(rows):
        assert (row["package"], row["version"]) == ("maskstat-example", "1.0")
        assert row["problem"] is None
    _, table, _ = maskstat("plugins", tmp_path, example)
    assert len(table.strip().splitlines()) == 2 + 5
    code, printed, said = maskstat("plugins", tmp_path)
    assert (code, printed) == (0, "") and "docs/plugins.md" in said


@pytest.mark.parametrize(
    "line", ["pgm --include *.pgm", "masks.sqlite --source-format sqlite", "png"]
)
def test_masks_that_a_plugin_reads_count_like_others(masks: Path, example: Path, line: str) -> None:
    code, printed, _ = maskstat(f"scan {line} --classes our-roads --json", masks, example)
    expected = ms.scan(masks / "png", classes=3).histogram
    assert code == 0
    assert counts(printed) == expected.pixels.tolist()
    code, printed, _ = maskstat(f"scan {line} --classes our-roads", masks, example)
    assert f"{len(SIZES)} unchanged" in printed


def test_values_of_sixteen_bits_are_as_stored(tmp_path: Path, example: Path) -> None:
    (tmp_path / "m").mkdir()
    write_pgm(tmp_path / "m" / "a.pgm", np.array([[1, 256, 65535]], np.uint16))
    printed = python(
        "import maskstat as ms; s = ms.scan('m', include='*.pgm'); print(s.ledger.names,"
        " [i.values for i in s.catalog.classes], s.histogram.pixels.tolist())",
        tmp_path,
        example,
    )
    assert printed.strip() == "('a.pgm',) [(1,), (256,), (65535,)] [1, 1, 1]"


def test_profiles_planes_and_pixels_come_from_it_too(masks: Path, example: Path) -> None:
    """Whatever looks at pixels has those that are counted."""
    code = """
import maskstat as ms
for pages in (None, "each"):
    one, other = (
        ms.scan(where, classes=3, include=include, profile=True, crop=2, pages=pages)
        for where, include in (("png", "*"), ("pgm", "*.pgm"))
    )
    a, b = one.need_profile(), other.need_profile()
    assert a.components.tolist() == b.components.tolist()
    assert (a.heat == b.heat).all()
    seen, same = one.exposure(crop=2), other.exposure(crop=2)
    assert (seen.histogram.pixels == same.histogram.pixels).all()
"""
    python(code, masks, example)


def test_a_scheme_weighs_and_says_whose_it_is(masks: Path, example: Path) -> None:
    maskstat("scan png --classes 3 --db s.db", masks, example)
    line = "weights --db s.db --scheme image-frequency --param power=2 -o w.json"
    code, printed, _ = maskstat(line, masks, example)
    assert code == 0 and "image-frequency" in printed
    table = ms.load_weights(masks / "w.json")
    in_masks = ms.open_scan(masks / "s.db").histogram.masks
    np.testing.assert_allclose(table.weights, (in_masks.max() / in_masks) ** 2)
    assert table.provenance["plugin"] == "maskstat-example 1.0"
    code, _, said = maskstat("weights --db s.db --scheme image-frequenzy", masks, example)
    assert code == 2 and "did you mean image-frequency?" in said
    assert "image-frequency" in maskstat("schemes", masks, example)[1]


def test_names_are_completed_and_nothing_is_imported_for_it(tmp_path: Path, example: Path) -> None:
    code = """
import sys
from maskstat.cli.options import preset_names, scheme_names
from maskstat.cli.recipes import _named
from maskstat.cli.scan import source_formats
print(*(list(names())[-1] for names in (scheme_names, preset_names, _named, source_formats)))
assert not [name for name in sys.modules if "example" in name]
"""
    expected = "image-frequency our-roads our-crops sqlite"
    assert python(code, tmp_path, example).strip() == expected


def test_a_preset_and_a_recipe_are_like_those_built_in(masks: Path, example: Path) -> None:
    assert maskstat("presets our-roads", masks, example)[1].startswith("title: The roads")
    assert "our-roads" in maskstat("presets", masks, example)[1]
    line = "scan png --classes our-roads --db s.db --recipe our-crops"
    code, printed, _ = maskstat(line, masks, example)
    assert code == 0 and "maskstat exposure --recipe our-crops" in " ".join(printed.split())
    named = json.loads(maskstat("exposure --db s.db --recipe our-crops --json", masks, example)[1])
    same = "exposure --db s.db --crop 256 --batch-size 16 --drop-last --json"
    assert named["classes"] == json.loads(maskstat(same, masks, example)[1])["classes"]
    # The package goes, and what is stored is still read.
    assert maskstat("show --db s.db", masks)[0] == 0
    code, _, said = maskstat("scan png --classes our-roads", masks)
    assert code == 1 and "neither a number, a file nor a preset" in said


def test_bad_files_are_failures_that_name_the_plugin(masks: Path, example: Path) -> None:
    for name, data in {
        "cut.pgm": b"P5\n20 30\n255\n" + bytes(599),
        "huge.pgm": b"P5\n99999 99999\n255\n",
        "odd.pgm": b"P5 nothing",
        "other.pgm": b"P7 nothing",
        "empty.pgm": b"",
    }.items():
        (masks / "pgm" / name).write_bytes(data)
    code, printed, _ = maskstat("scan pgm --include *.pgm --classes 3 --json", masks, example)
    assert code == 3
    why = {one["mask"]: one["reason"] for one in json.loads(printed)["failures"]}
    assert why["cut.pgm"] == (
        "not the 20x30 pixels that its header says (says the reader pgm of maskstat-example 1.0)"
    )
    assert why["huge.pgm"].startswith("would take 9536 MiB decoded")
    assert why["odd.pgm"].startswith("a PGM without a header (says the reader pgm")
    assert "known are PNG" in why["other.pgm"] and why["empty.pgm"] == "empty file"
    assert counts(printed) == ms.scan(masks / "png", classes=3).histogram.pixels.tolist()


@pytest.mark.dask
@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.parametrize("line", ["pgm --include *.pgm", "masks.sqlite --source-format sqlite"])
def test_workers_of_a_cluster_load_plugins(masks: Path, example: Path, line: str) -> None:
    pytest.importorskip("distributed")
    program = (
        "import sys, maskstat.cli\n"
        "if __name__ == '__main__': sys.exit(maskstat.cli.run(sys.argv[1:]))"
    )
    (masks / "program.py").write_text(program)
    words = f"scan {line} --classes 3 --executor dask --workers 1 --json".split()
    done = run([str(masks / "program.py"), *words], masks, example)
    assert done.returncode == 0, done.stderr
    assert counts(done.stdout) == ms.scan(masks / "png", classes=3).histogram.pixels.tolist()


# --- nothing is silent ----------------------------------------------------------------------

READER = """
import numpy
suffixes = (".raw",)
def recognises(head): return head[:3] == b"RAW"
def read(data, ask):
    ask(1)
    return numpy.full((2, 3), {value}, numpy.uint8)
"""
SOURCE = """
import numpy
class Mask:
    name, stamp, size = "train/a", 1, 6
    def read(self): return numpy.full((2, 3), {value}, numpy.uint8)
class Opened:
    classes = ["void", "one", "two"]
    def masks(self): return iter([Mask()])
def opened(path): return Opened()
"""


def test_another_version_reads_again_and_an_absent_one_keeps_the_counts(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.raw").write_bytes(b"RAW")
    line = "scan m --include *.raw --classes 3 --json"

    def scanned(version: str, value: int) -> dict[str, Any]:
        code = READER.format(value=value)
        site = package(tmp_path / "site", "of-raw", {"readers/raw": "of_raw"}, code, version)
        document: dict[str, Any] = json.loads(maskstat(line, tmp_path, site)[1])
        return document

    first, again, other = scanned("1.0", 1), scanned("1.0", 2), scanned("2.0", 2)
    assert [one["pixels"] for one in first["classes"]] == [0, 6, 0]
    assert [one["pixels"] for one in again["classes"]] == [0, 6, 0]  # the version vouches for it
    assert [one["pixels"] for one in other["classes"]] == [0, 0, 6]
    assert [d["changes"]["changed"] for d in (first, again, other)] == [0, 0, 1]
    code, printed, _ = maskstat(line, tmp_path)
    assert code == 0 and counts(printed) == [0, 0, 6]
    assert [d["changes"]["plugins"] for d in (first, again, other)] == [
        ["raw (of-raw 1.0)"],
        [],
        ["raw (of-raw 2.0)"],
    ]
    np.save(tmp_path / "m" / "b.npy", np.zeros((2, 2), np.uint16))
    assert maskstat("scan m --include * --classes 3", tmp_path)[0] == 0
    code, printed, _ = maskstat("check --json", tmp_path)
    assert "raw (of-raw 2.0) uint 8-bit" in printed  # beside another encoding


def test_another_version_of_a_source_draws_again(tmp_path: Path) -> None:
    (tmp_path / "a.set").touch()
    line = "scan a.set --source-format made --json"

    def scanned(version: str, value: int) -> dict[str, Any]:
        code = SOURCE.format(value=value)
        site = package(
            tmp_path / "site", "of-set", {"sources/made": "of_set:opened"}, code, version
        )
        document: dict[str, Any] = json.loads(maskstat(line, tmp_path, site)[1])
        return document

    first, again, other = scanned("1.0", 1), scanned("1.0", 2), scanned("2.0", 2)
    assert [one["name"] for one in first["classes"]] == ["void", "one", "two"]
    assert [one["pixels"] for one in first["classes"]] == [0, 6, 0]
    assert [one["pixels"] for one in again["classes"]] == [0, 6, 0]
    assert [one["pixels"] for one in other["classes"]] == [0, 0, 6]
    assert [d["changes"]["plugins"] for d in (first, again, other)] == [
        ["made (of-set 1.0)"],
        [],
        ["made (of-set 2.0)"],
    ]
    code, _, said = maskstat(line, tmp_path)
    assert code == 2 and "no plugin reads 'made'; none is installed" in said
    code, printed, _ = maskstat("show --json", tmp_path)  # counts need no plugin
    assert code == 0 and counts(printed) == [0, 0, 6]


def test_what_is_built_in_stays(tmp_path: Path) -> None:
    """Names of maskstat's own are its own, and magic bytes of its formats, too."""
    code = READER.format(value=1).replace('b"RAW"', 'b"\\x89PN"') + (
        "import maskstat\n"
        "SCHEME = maskstat.Scheme('sqrt', 'x', 'y', lambda c: c.pixels, True, True)\n"
        "FILE = __import__('pathlib').Path(__file__)\n"
    )
    entries = {
        "readers/png": "greedy",
        "readers/takes-png": "greedy",
        "schemes/sqrt": "greedy:SCHEME",
        "presets/voc": "greedy:FILE",
        "recipes/deeplab": "greedy:FILE",
    }
    site = package(tmp_path / "site", "greedy", entries, code)
    (tmp_path / "m").mkdir()
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "m" / "a.png")
    assert counts(maskstat("scan m --classes voc --json", tmp_path, site)[1])[:2] == [1, 1]
    assert maskstat("weights --scheme sqrt --absent one", tmp_path, site)[0] == 0
    rows = json.loads(maskstat("plugins --json", tmp_path, site)[1])
    problems = {row["name"]: row["problem"] for row in rows}
    assert problems.pop("takes-png") is None
    assert len(problems) == 4
    for problem in at_least_one(problems.values()):
        assert "of its own, and one is called so" in problem


def test_names_of_two_packages_are_nobodys(tmp_path: Path) -> None:
    scheme = (
        "import maskstat, numpy\n"
        "S = maskstat.Scheme('ours', '1', 'us', lambda c: numpy.ones(len(c.pixels)), True, True)\n"
    )
    sites = [
        package(tmp_path / name, name, {"schemes/ours": f"{name}:S", "readers/raw": name}, code)
        for name, code in (
            ("first", scheme + READER.format(value=0)),
            ("second", scheme + READER.format(value=1)),
        )
    ]
    (tmp_path / "m").mkdir()
    np.save(tmp_path / "m" / "a.npy", np.array([[0, 1]], np.uint8))
    (tmp_path / "m" / "b.raw").write_bytes(b"RAW")
    assert maskstat("scan m --classes 2", tmp_path, *sites)[0] == 0
    code, _, said = maskstat("weights --scheme ours", tmp_path, *sites)
    assert code == 1
    assert "the scheme ours: first and second both bring it; uninstall one of them" in said
    assert maskstat("weights --scheme ours", tmp_path, sites[0])[0] == 0
    assert maskstat("weights --scheme sqrt", tmp_path, *sites)[0] == 0
    code, printed, _ = maskstat("scan m --include * --classes 2 --json", tmp_path, *sites)
    assert code == 3
    (failure,) = json.loads(printed)["failures"]
    assert "first and second both bring it" in failure["reason"]


def test_two_readers_of_one_file_are_told(tmp_path: Path) -> None:
    sites = [
        package(tmp_path / name, name, {f"readers/{name}": name}, READER.format(value=0))
        for name in ("first", "second")
    ]
    (tmp_path / "b.raw").write_bytes(b"RAW")
    code, printed, _ = maskstat("scan b.raw --json", tmp_path, *sites)
    assert code == 3
    reason = json.loads(printed)["failures"][0]["reason"]
    assert "the reader first of first 1.0 and the reader second of second 1.0 both take" in reason


# --- broken ones are in nobody's way ----------------------------------------------------------

BROKEN = {
    "absent-module": ("readers/x", "nothing_here", "ModuleNotFoundError: No module named"),
    "absent-name": ("schemes/x", "absent_name:nothing", "AttributeError"),
    "raises": ("sources/x", "raises:f", "RuntimeError: two lines"),
    "leaves": ("recipes/x", "leaves:f", "SystemExit: 7"),
    "no-reader": ("readers/y", "no_reader", "its 'suffixes' are no tuple of texts"),
    "half-reader": ("readers/z", "half_reader", "it has no function 'recognises'"),
    "no-scheme": ("schemes/y", "no_scheme:f", "it is function, and no maskstat.Scheme"),
    "no-source": ("sources/y", "no_source:f", "it is int, and no function of a path"),
    "no-preset": ("presets/y", "no_preset:f", "it is str, and no file"),
    "bad-preset": ("presets/z", "bad_preset:f", "holds neither a list nor a mapping"),
    "bad-recipe": ("recipes/z", "bad_recipe:f", "holds no recipe"),
    "other-name": ("schemes/z", "other_name:f", "its scheme is called 'another'"),
    "bad-name": ("schemes/two words \x1b[2J", "bad_name:f", "its name is not of letters"),
}
CODE = {
    "raises": "raise RuntimeError('two\\n lines \\x1b[2J')",
    "leaves": "import sys; sys.exit(7)",
    "half-reader": "suffixes = ('.x',)",
    "no-scheme": "def f(counts): return counts.pixels",
    "no-source": "f = 7",
    "no-preset": "f = 'classes: [a]'",
    "bad-preset": "from pathlib import Path; f = Path(__file__)",
    "bad-recipe": "from pathlib import Path; f = Path(__file__)",
    "other-name": "import maskstat as m; f = m.Scheme('another', 'x', 'y', print, True, True)",
}


def test_what_is_broken_says_why_and_all_else_works(masks: Path, example: Path) -> None:
    sites = [
        package(masks / "sites" / name, name, {entry: target}, CODE.get(name, "f = 1"))
        for name, (entry, target, _) in BROKEN.items()
    ]
    code, printed, said = maskstat("plugins --json", masks, example, *sites)
    assert code == 0 and said == ""
    problems = {row["package"]: row["problem"] for row in json.loads(printed)}
    for name, (_, _, expected) in at_least_one(BROKEN.items()):
        assert expected in problems[name], name
        assert problems[name].isprintable()
    assert problems["maskstat-example"] is None
    code, printed, said = maskstat("plugins", masks, example, *sites)
    assert code == 0 and len(said.splitlines()) == len(BROKEN)
    assert "\x1b" not in printed + said
    # Who needs one is told; who needs none does not meet it.
    lines = {
        "weights --scheme x": (1, "the scheme x of absent-name 1.0: it can't be imported"),
        "scan png --source-format x": (1, "the source x of raises 1.0: it can't be imported"),
        "scan png --classes z": (1, "the preset z of bad-preset 1.0: "),
        "scan png --crop 2 --recipe z": (1, "the recipe z of bad-recipe 1.0: "),
        "scan png --classes our-roads": (0, ""),
        "scan pgm --include *.pgm": (0, ""),
        "weights --scheme image-frequency": (0, ""),
        "presets": (0, ""),
        "schemes": (0, ""),
        "scan png --classes nope": (1, "neither a number, a file nor a preset"),
    }
    maskstat("scan png --classes 3", masks, example, *sites)
    for line, (code, words) in at_least_one(lines.items()):
        found, _, said = maskstat(line, masks, example, *sites)
        assert found == code and words in said, (line, said)
    (masks / "what").write_bytes(b"nothing known")
    code, printed, _ = maskstat("scan what --json", masks, example, *sites)
    reason = json.loads(printed)["failures"][0]["reason"]
    assert code == 3 and "the reader x of absent-module 1.0 can't be used: it can't be" in reason


GIVEN = {
    "[[1]]": "gives list where a numpy.ndarray is expected",
    "numpy.ma.ones((2, 2), int)": "gives MaskedArray",
    "numpy.ones(3, int)": "an array of 1 axes",
    "numpy.ones((2, 3, 4, 5), int)": "(H, W) is expected",
    "numpy.array([[0.5]])": "labels must be whole numbers",
    "numpy.array([[numpy.nan]])": "labels must be whole numbers",
    "numpy.array([[None]])": "of type object",
    "numpy.array([['a']])": "where whole numbers are expected",
    "numpy.array([[1j]])": "where whole numbers are expected",
    "numpy.ones((0, 3), int)": "has no pixels",
    "numpy.array([[1 << 63]], numpy.uint64)": "does not fit",
    "ask(1 << 40)": "more than the 1024 MiB",
    "1 / 0": "ZeroDivisionError: division by zero (says the reader raw of of-raw 1.0)",
    "numpy.arange(1 << 17).reshape(1, -1)": "different values",
    "numpy.zeros((4, 4, 3), numpy.uint8)": "RGB image where class indices are expected",
}


def test_what_a_reader_gives_is_looked_at(tmp_path: Path) -> None:
    """A failure each, with its reason; what is good beside it counts."""
    (tmp_path / "m").mkdir()
    for number, _ in enumerate(GIVEN):
        (tmp_path / "m" / f"{number}.raw").write_bytes(b"RAW" + bytes([number]))
    (tmp_path / "m" / "good.raw").write_bytes(b"RAW\xff")
    cases = "".join(
        f"    if data[3] == {number}: return {text}\n" for number, text in enumerate(GIVEN)
    )
    code = READER.format(value=-0).replace("    ask(1)\n", cases)
    site = package(tmp_path / "site", "of-raw", {"readers/raw": "of_raw"}, code)
    exit_code, printed, _ = maskstat("scan m --include * --classes 1 --json", tmp_path, site)
    document = json.loads(printed)
    assert exit_code == 3
    why = {one["mask"]: one["reason"] for one in document["failures"]}
    assert len(why) == len(GIVEN)
    for number, (text, expected) in enumerate(at_least_one(GIVEN.items())):
        assert expected in why[f"{number}.raw"], text
    assert counts(printed) == [6]


def test_arrays_of_more_axes_count_as_in_npy_files(tmp_path: Path) -> None:
    """Planes, stacks of classes and colours, under every option that says what they are."""
    rng = np.random.default_rng(5)
    arrays = {
        "planes": rng.integers(0, 3, (4, 5, 6)).astype(np.uint8),
        "classes": np.eye(3, dtype=np.uint8)[rng.integers(0, 3, (5, 6))],
        "colours": rng.integers(0, 2, (5, 6, 3)).astype(np.uint8) * 255,
        "floats": rng.integers(-2, 3, (5, 6)).astype(np.float32),
        "wide": rng.integers(0, 1 << 20, (5, 6)).T,
    }
    for form in ("npy", "raw"):
        (tmp_path / form).mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "npy" / f"{name}.npy", array)
        data = b"RAW" + (tmp_path / "npy" / f"{name}.npy").read_bytes()
        (tmp_path / "raw" / f"{name}.npy").write_bytes(data)
    code = READER.format(value=0) + (
        "import io\n"
        "def read(data, ask):\n"
        "    array = numpy.load(io.BytesIO(data[3:]))\n"
        "    ask(array.nbytes)\n"
        "    return array\n"
    )
    site = package(tmp_path / "site", "of-raw", {"readers/raw": "of_raw"}, code)
    program = """
import maskstat as ms
for said in (
    {"pages": "each"}, {"pages": "all"}, {"pages": 2}, {"channels": "one-hot"},
    {"channels": "bitmask"}, {"channels": "multilabel"}, {"channel": "r"}, {"value_divisor": 2}, {},
):
    for profile in (False, "channels" not in said):
        found = []
        for form in ("npy", "raw"):
            scan = ms.scan(form, profile=profile, **said)
            counts = {}
            for table in scan.tables():
                for at, name in enumerate(table.names):
                    mine = slice(table.indptr[at], table.indptr[at + 1])
                    encoding = table.encodings[at]
                    assert (encoding.container == "raw (of-raw 1.0)") == (form == "raw")
                    counts[name] = (
                        table.shapes[at].tolist(), encoding[1:], table.values[mine].tolist(),
                        table.counts[mine].tolist(),
                    )
            found.append((counts, sorted((one.mask, one.reason) for one in scan.failures)))
        assert found[0] == found[1], said
        assert len(found[0][0]) > 0
    ms.scan("raw", db="s.db", **said).close()  # what was said is told from what is stored
    with ms.scan("raw", db="s.db", **said) as again:
        assert (again.changes.changed, again.changes.unchanged) == (0, len(found[0][0])), said
print("same")
"""
    assert python(program, tmp_path, site).strip() == "same"


BAD_MASKS = {
    "name = 7": "its 'name' is no text",
    "stamp = None": "its 'stamp' is neither",
    "size = -1": "its 'size' is no number of bytes",
    "size = 5": "gives more than the 5 bytes that it said",
    "size = 1 << 40": "larger than 1024 MiB",
    "read = 7": "it has no function 'read'",
    "def read(self): return 'text'": "gives str where bytes or a numpy.ndarray are expected",
    "def read(self): return b'text'": "not an image",
    "def read(self): raise KeyError('a')": "KeyError: 'a' (says the source made of of-set 1.0)",
    "def read(self): raise ValueError('no label')": "no label (says the source made",
    "def read(self): return numpy.array([[None]])[:, :0]": "of type object",
}


def test_what_a_source_gives_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.set").touch()
    made = "".join(
        f"class M{number}(Mask):\n    name = 'bad-{number}'\n    {text}\n"
        for number, text in enumerate(BAD_MASKS)
    )
    many = ", ".join(f"M{number}()" for number in range(len(BAD_MASKS)))
    code = SOURCE.format(value=1).replace("class Opened", f"{made}class Opened")
    code = code.replace("iter([Mask()])", f"iter([{many}, Mask()])")
    site = package(tmp_path / "site", "of-set", {"sources/made": "of_set:opened"}, code)
    exit_code, printed, _ = maskstat("scan a.set --source-format made --json", tmp_path, site)
    why = [one["reason"] for one in json.loads(printed)["failures"]]
    assert exit_code == 3 and len(why) == len(BAD_MASKS)
    for text, expected in at_least_one(BAD_MASKS.items()):
        assert any(expected in reason for reason in why), (text, why)
    assert counts(printed) == [0, 6, 0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("def opened(path): raise ValueError('no such set')", "no such set (says the source made"),
        ("def opened(path): return 7", "what it opens has no function 'masks'"),
        ("Opened.classes = 7", "its classes are none: holds neither a list nor a mapping"),
        ("Opened.masks = lambda self: 1 / 0", "ZeroDivisionError: division by zero"),
        ("Opened.masks = lambda self: iter(())", "no masks found"),
    ],
)
def test_a_source_that_fails_is_one_line(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "a.set").touch()
    code = SOURCE.format(value=1) + line
    site = package(tmp_path / "site", "of-set", {"sources/made": "of_set:opened"}, code)
    exit_code, _, said = maskstat("scan a.set --source-format made", tmp_path, site)
    assert exit_code == 1 and len(said.splitlines()) == 1
    assert expected in said and "a.set" in said


def test_a_source_that_ends_early_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "a.set").touch()
    code = SOURCE.format(value=1).replace("return iter([Mask()])", "yield Mask(); 1 / 0")
    site = package(tmp_path / "site", "of-set", {"sources/made": "of_set:opened"}, code)
    exit_code, printed, _ = maskstat("scan a.set --source-format made --json", tmp_path, site)
    (failure,) = json.loads(printed)["failures"]
    assert exit_code == 3 and failure["mask"] == "a.set" and counts(printed) == [0, 6, 0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("scan a.set --source-format made --column x", "--column"),
        ("scan a.set#format=made --column x", "--column"),
        ("scan a.set --source-format made --size 3x3", "--size"),
        ("scan nowhere --source-format made", "there is no such file or folder"),
    ],
)
def test_options_that_mean_nothing_there(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "a.set").touch()
    site = package(
        tmp_path / "site", "of-set", {"sources/made": "of_set:opened"}, SOURCE.format(value=1)
    )
    code, _, said = maskstat(line, tmp_path, site)
    assert code in {1, 2} and expected in said


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("counts.pixels[:1]", "gives 1 weights for 2 classes"),
        ("-1.0 * counts.pixels", "gives negative weights"),
        ("counts.pixels / 0", "no usable weights"),
        ("'text'", "could not convert string to float"),
        ("counts.nothing", "AttributeError"),
        ("counts.components", "there is no pixel profile"),
    ],
)
def test_what_a_scheme_gives_is_looked_at(tmp_path: Path, formula: str, expected: str) -> None:
    code = (
        "import maskstat\n"
        f"def f(counts, *, power: float = 1.0): return {formula}\n"
        "S = maskstat.Scheme('ours', 'x', 'y', f, True, True)\n"
    )
    site = package(tmp_path / "site", "ours", {"schemes/ours": "ours:S"}, code)
    np.save(tmp_path / "a.npy", np.array([[0, 1, 1]], np.uint8))
    maskstat("scan a.npy --classes 2", tmp_path, site)
    exit_code, _, said = maskstat("weights --scheme ours", tmp_path, site)
    assert exit_code == 1 and expected in said
    code, _, said = maskstat("weights --scheme ours --param weight=2", tmp_path, site)
    assert "has no parameter 'weight'; it has: power" in said


# --- the page -----------------------------------------------------------------------------------


def test_the_page_shows_the_example() -> None:
    """Its code is what is installed here; another block says what regions are."""
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    blocks = re.findall(r"^```(?:python|toml|yaml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = [
        p.read_text("utf-8") for p in EXAMPLE.rglob("*") if p.suffix in {".py", ".toml", ".yaml"}
    ]
    shown = [block for block in blocks if any(block in text for text in files)]
    assert len(shown) == len(blocks) - 1 == 5


# --- start-up -----------------------------------------------------------------------------------


def test_nobody_looks_for_plugins_who_needs_none(tmp_path: Path) -> None:
    """The look costs a hundredth of a second, and imports more."""
    code = "import pathlib; pathlib.Path('imported').touch()"
    entries = {f"{group}/ours": "ours" for group in ("readers", "sources", "schemes", "presets")}
    site = package(tmp_path / "site", "ours", entries, code)
    np.save(tmp_path / "a.npy", np.array([[0, 1, 1]], np.uint8))
    looks = (
        "import sys, contextlib, io\n"
        "from maskstat.cli import run\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    assert run(sys.argv[1:]) == 0\n"
        "print('importlib.metadata' in sys.modules)"
    )
    for line in ("--help", "scan a.npy --classes 2", "scan a.npy", "show", "weights --scheme sqrt"):
        done = run(["-c", looks, *line.split()], tmp_path, site)
        assert done.stdout.splitlines()[-1:] == ["False"], (line, done.stderr)
    assert not (tmp_path / "imported").exists()
    assert maskstat("plugins", tmp_path, site)[0] == 0
    assert (tmp_path / "imported").exists()


def test_formats_that_are_built_in_keep_their_names() -> None:
    assert {form.module for form in formats.FORMATS} | {"zarr"} == formats.READERS.built_in()


def test_a_group_without_plugins_is_empty() -> None:
    group: PluginGroup[object] = PluginGroup("nothing-of-this-kind", lambda plugin, given: given)
    assert group.listed() == () and group.names == () and group.usable() == {}
    assert group.find("x") is None


# --- masks of regions ---------------------------------------------------------------------------


@pytest.mark.extra
def test_regions_are_drawn_as_those_of_annotation_files() -> None:
    """Squares, whose pixels are known; the smaller lies on top, in whatever order."""
    pytest.importorskip("pycocotools")
    square = [[2, 2, 10, 2, 10, 10, 2, 10]]
    inner = np.zeros((12, 14), bool)
    inner[4:6, 5:9] = True
    runs = {"size": [12, 14], "counts": [0, 12, 156]}  # the first column
    expected = np.zeros((12, 14), np.uint8)
    expected[2:10, 2:10] = 1
    expected[4:6, 5:9] = 2
    expected[:, 0] = 3
    regions = [(1, square), (2, inner), (3, runs)]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        drawn = ms.draw_mask([regions[k] for k in order], (12, 14))
        assert drawn.dtype == np.uint8
        assert (drawn == expected).all()
    assert (ms.draw_mask([], (2, 3), background=-1) == np.full((2, 3), -1)).all()
    for shape in ([], [[0, 0, 1, 1]], [["a"]], np.zeros((2, 2)), np.zeros((3, 2), bool), "x", {}):
        with pytest.raises(MaskError, match="region 1: "):
            ms.draw_mask([(1, shape)], (2, 2))
    for size in ((0, 1), (1 << 20, 1 << 20), (2.5, 2)):
        with pytest.raises(MaskError):
            ms.draw_mask([], size)  # type: ignore[arg-type]


def test_errors_of_plugins_travel() -> None:
    from maskstat.errors import PluginError

    error = PluginError("wrong", where="the scheme x of y 1", remedy="update y")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
