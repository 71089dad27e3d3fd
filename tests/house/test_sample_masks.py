"""The sample masks: what is under version control is what the script makes, and is as promised.

Decoded here with Pillow and NumPy alone, so that these files can serve as known input elsewhere.
"""

from __future__ import annotations

import ast
import re
import struct
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from tests.support.loops import at_least_one
from tests.support.paths import SAMPLES

FOLDER = SAMPLES
SCRIPT = FOLDER / "make_sample_masks.py"
COUNT, CLASSES, IGNORE = 24, 31, 255
COLOUR_TYPES = {0: "grey", 3: "palette"}

Labels = NDArray[np.int64]


def mask_names(folder: Path) -> list[str]:
    """Paths of the masks below a folder, sorted as text."""
    files = (path for path in folder.glob("*/*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def encoding(path: Path) -> tuple[str, str, int]:
    """(container, samples, bits) from the file's own header."""
    head = path.read_bytes()[:32]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        length, kind, _, _, bits, colour, _, _, interlace = struct.unpack(">I4sIIBBBBB", head[8:29])
        assert (length, kind, interlace) == (13, b"IHDR", 0)
        return "png", COLOUR_TYPES[colour], bits
    if head.startswith((b"II*\0", b"MM\0*")):
        with Image.open(path) as image:
            assert image.mode == "L"
        return "tiff", "grey", 8
    array = np.load(path, allow_pickle=False)
    return "npy", array.dtype.kind, array.dtype.itemsize * 8


def decode(path: Path) -> Labels:
    """Raw sample values, shape (height, width)."""
    if path.suffix == ".npy":
        stored: Labels = np.load(path, allow_pickle=False).astype(np.int64)
        return stored
    with Image.open(path) as image:
        values = np.asarray(image).astype(np.int64)
    if encoding(path) == ("png", "grey", 4):
        assert not (values % 17).any()  # Pillow stretches 0..15 to 0..255
        values //= 17
    return values


@cache
def committed() -> dict[str, Labels]:
    """Every mask under version control, decoded."""
    return {name: decode(FOLDER / name) for name in mask_names(FOLDER)}


@cache
def totals() -> Labels:
    """Pixels of every value 0..255 over all masks."""
    return sum(
        (np.bincount(labels.ravel(), minlength=256) for labels in committed().values()),
        np.zeros(256, np.int64),
    )


def catalogue() -> list[dict[str, Any]]:
    text = (FOLDER / "classes.yaml").read_text(encoding="utf-8")
    classes: list[dict[str, Any]] = yaml.safe_load(text)["classes"]
    return classes


def run(target: Path) -> Path:
    subprocess.run([sys.executable, str(SCRIPT), str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("sample_masks") / "new" / "folder")


@pytest.mark.slow
def test_the_script_makes_the_committed_masks(remade: Path) -> None:
    assert mask_names(remade) == mask_names(FOLDER)
    for name, labels in at_least_one(committed().items()):
        assert encoding(remade / name) == encoding(FOLDER / name), name
        assert np.array_equal(decode(remade / name), labels), name
    assert (remade / "classes.yaml").read_bytes() == (FOLDER / "classes.yaml").read_bytes()


@pytest.mark.slow
def test_the_script_writes_the_same_bytes_again(remade: Path, tmp_path: Path) -> None:
    again = run(tmp_path)
    for name in [*mask_names(remade), "classes.yaml"]:
        assert (again / name).read_bytes() == (remade / name).read_bytes(), name


@pytest.mark.parametrize("arguments", [["one", "two"], ["--help"]])
def test_the_script_explains_its_usage(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ") and not list(tmp_path.iterdir())


def test_the_script_needs_numpy_and_pillow_only() -> None:
    modules = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).partition(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"numpy", "PIL"}


def test_names_put_natural_order_to_the_test() -> None:
    found = [
        re.fullmatch(r"(street|park)/mask_([1-9]\d*)\.(png|tif|npy)", name)
        for name in mask_names(FOLDER)
    ]
    assert all(found)
    numbers = [int(match[2]) for match in found if match]
    assert sorted(numbers) == list(range(1, COUNT + 1))
    assert numbers != sorted(numbers)  # sorting as text is not enough
    assert len({match[1] for match in found if match}) == 2


def test_encodings() -> None:
    counts = Counter(encoding(FOLDER / name) for name in committed())
    assert counts == {
        ("png", "grey", 8): 16,
        ("png", "palette", 8): 4,
        ("png", "grey", 4): 1,
        ("png", "grey", 16): 1,
        ("tiff", "grey", 8): 1,
        ("npy", "u", 8): 1,
    }


def test_sizes() -> None:
    shapes = Counter(labels.shape for labels in committed().values())
    assert len(shapes) >= 6
    assert (251, 333) in shapes
    assert all(240 <= height <= 480 and 320 <= width <= 640 for height, width in shapes)
    packed = [n for n, labels in committed().items() if encoding(FOLDER / n)[2] == 4]
    assert all(committed()[name].shape[1] % 2 for name in packed)  # the last byte is half full


def test_all_files_together_are_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 1_000_000


def test_values_are_classes_or_ignored_and_every_class_occurs() -> None:
    present = set(np.flatnonzero(totals()).tolist())
    assert present == {*range(CLASSES), IGNORE}


def test_class_0_has_about_60_percent_and_the_rest_a_long_tail() -> None:
    pixels = totals()
    assert 0.58 < pixels[0] / pixels.sum() < 0.62
    tail = np.sort(pixels[1:CLASSES])[::-1]
    share = np.cumsum(tail) / tail.sum()
    assert share[4] > 0.6  # five classes hold most of it
    assert share[14] > 0.94  # the rarer half shares out the crumbs
    assert pixels[0] > 10_000 * tail[-1]
    ranks, logs = np.log(np.arange(1, 30)), np.log(tail[:29])
    slope = np.polyfit(ranks, logs, 1)[0]
    assert -3 < slope < -1  # Zipf's law has -1


def test_the_rarest_class_is_in_one_mask() -> None:
    rare = CLASSES - 1
    counts = [int((labels == rare).sum()) for labels in committed().values()]
    assert sum(count > 0 for count in counts) == 1
    assert 20 <= sum(counts) <= 200
    assert totals()[:CLASSES].argmin() == rare


def test_masks_that_cannot_hold_the_ignore_value() -> None:
    for name, labels in at_least_one(committed().items()):
        bits = encoding(FOLDER / name)[2]
        if bits == 4:
            assert 8 <= labels.max() < 16 and labels.min() == 0
        elif bits == 16:
            assert labels.max() < CLASSES


def test_ignored_pixels_are_thin_lines_between_classes() -> None:
    outlined = {n: labels for n, labels in committed().items() if (labels == IGNORE).any()}
    assert 8 <= len(outlined) <= 16
    assert {encoding(FOLDER / name)[0] for name in outlined} == {"png", "tiff", "npy"}
    assert any(encoding(FOLDER / name)[1] == "palette" for name in outlined)
    for name, labels in at_least_one(outlined.items()):
        ignored = labels == IGNORE
        assert ignored.mean() < 0.03, name
        padded = np.pad(labels, 1, constant_values=IGNORE)
        height, width = labels.shape
        beside = np.zeros(labels.shape, np.bool_)
        for row in range(3):
            for column in range(3):
                beside |= padded[row : row + height, column : column + width] != IGNORE
        assert beside[ignored].mean() > 0.9, name


def test_masks_are_regions_not_noise() -> None:
    for name, labels in at_least_one(committed().items()):
        assert (labels[:, 1:] == labels[:, :-1]).mean() > 0.95, name
        assert (labels[1:] == labels[:-1]).mean() > 0.95, name
        assert np.unique(labels).size >= 5, name


def test_catalogue() -> None:
    classes = catalogue()
    assert [entry["value"] for entry in classes] == list(range(CLASSES))
    assert len({entry["name"] for entry in classes}) == CLASSES
    assert classes[0]["name"] == "background"
    colours = np.array([list(bytes.fromhex(entry["colour"][1:])) for entry in classes], np.int64)
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2)
    assert apart[~np.eye(CLASSES, dtype=np.bool_)].min() >= 40


def test_palettes_show_the_colours_of_the_catalogue() -> None:
    expected = b"".join(bytes.fromhex(entry["colour"][1:]) for entry in catalogue())
    for name in at_least_one(committed()):
        if encoding(FOLDER / name)[1] == "palette":
            with Image.open(FOLDER / name) as image:
                palette = image.getpalette()
            assert palette is not None and bytes(palette[: len(expected)]) == expected, name
