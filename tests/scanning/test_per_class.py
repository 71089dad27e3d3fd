"""A file for each class of an image: one mask, whatever files are called and wherever they lie."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat import cli
from maskstat.errors import CatalogError, ParameterError, SourceError
from maskstat.scanning.per_class import layout_of
from tests.support.scan_cases import write
from tests.support.source_cases import SOURCES, Files

CLASSES = ["cloth", "hair", "l_brow", "skin"]
SHAPE = (23, 31)
Masks = dict[tuple[int, str], NDArray[np.bool_]]


def parts(seed: int = 0, images: int = 6) -> Masks:
    """Boxes that overlap, of which images lack some."""
    rng = np.random.default_rng(seed)
    found: Masks = {}
    for image in range(images):
        for label in CLASSES:
            if rng.random() < 0.8:
                inside = np.zeros(SHAPE, bool)
                top, left = rng.integers(0, 18, 2)
                inside[top : top + rng.integers(1, 9), left : left + rng.integers(1, 12)] = True
                found[image, label] = inside
    return found


def expected(masks: Masks) -> dict[str, int]:
    """Pixels of each class, the largest painted first and of equal ones that of the least value."""
    counts = dict.fromkeys(["background", *CLASSES], 0)
    for image in {image for image, _ in masks}:
        own = [(int(m.sum()), label, m) for (at, label), m in masks.items() if at == image]
        painted = np.full(SHAPE, "background", object)
        for _, label, inside in sorted(own, key=lambda one: (-one[0], one[1])):
            painted[inside] = label
        for label in counts:
            counts[label] += int((painted == label).sum())
    return counts


def png(pixels: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def npy(pixels: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, pixels)
    return stream.getvalue()


NAMES: dict[str, Callable[[int, str], str]] = {
    "CelebAMask-HQ": lambda image, label: f"{image // 3}/{image:05}_{label}.png",
    "hyphens": lambda image, label: f"train/x{image}-{label}.png",
    "dots": lambda image, label: f"{image:04}.{label}.png",
    "folders": lambda image, label: f"{label}/{image:05}.png",
    "folders in splits": lambda image, label: f"train/{label}/a/img_{image:05}.png",
    "folders in images": lambda image, label: f"img-{image}/{label}/mask.png",
    "Label Studio": lambda image, label: (
        f"task-{image}-annotation-{image + 7}-by-1-tag-{label}-0.png"
    ),
}
VALUES: dict[str, Callable[[NDArray[np.bool_]], bytes]] = {
    "255": lambda inside: png(inside * 255),
    "1": lambda inside: png(inside * 1),
    "colours": lambda inside: png(np.repeat((inside * 255)[..., None], 3, axis=2)),
    "booleans": npy,
}


def files_of(masks: Masks, name: str, value: str = "255") -> Files:
    suffix = ".npy" if value == "booleans" else ".png"
    named = {NAMES[name](*key).replace(".png", suffix): m for key, m in masks.items()}
    return {key: VALUES[value](inside) for key, inside in named.items()}


def counted(where: str | Path, **options: object) -> dict[str, int]:
    with ms.scan(where, per_class=True, **options) as scan:  # type: ignore[call-overload]
        assert not scan.failures
        return dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_what_is_painted(name: str, value: str, tmp_path: Path) -> None:
    masks = parts()
    where = SOURCES["folder"](tmp_path, files_of(masks, name, value))
    assert counted(where) == expected(masks)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if "shards" not in kind])
def test_in_every_source(kind: str, tmp_path: Path) -> None:
    """But in tables, where a row is an image."""
    masks = parts(1)
    where = SOURCES[kind](tmp_path, files_of(masks, "CelebAMask-HQ"))
    if not kind.startswith(("parquet", "arrow", "tfrecord")):
        assert counted(where) == expected(masks)


@given(st.integers(0, 10_000), st.sampled_from(sorted(NAMES)))
def test_any_boxes(tmp_path_factory: pytest.TempPathFactory, seed: int, name: str) -> None:
    masks = parts(seed, images=3)
    if layout_of(files_of(masks, name)) is None:
        return
    where = SOURCES["folder"](tmp_path_factory.mktemp("any"), files_of(masks, name))
    wanted = expected(masks)
    found = counted(where)
    assert found == {label: wanted[label] for label in found}


def test_files_of_one_class_are_one_region(tmp_path: Path) -> None:
    """Label Studio numbers them; that they overlap counts no pixel twice."""
    inside = np.zeros((3, *SHAPE), bool)
    inside[0, :4], inside[1, 2:9], inside[2, 3:5, :3] = True, True, True
    for number, (label, mask) in enumerate(zip(["hair", "hair", "skin"], inside, strict=True)):
        write(
            tmp_path / "m" / f"task-1-annotation-2-by-3-tag-{label}-{number}.png", png(mask * 255)
        )
    width = SHAPE[1]
    assert counted(tmp_path / "m") == {
        "background": SHAPE[0] * width - 9 * width,
        "hair": 9 * width - 6,
        "skin": 6,
    }


def test_what_changed_is_drawn_again_and_classes_go_by_name(tmp_path: Path) -> None:
    masks = parts(3)
    where = Path(SOURCES["folder"](tmp_path, files_of(masks, "folders")))
    options = {"db": tmp_path / "m.db", "per_class": True}
    ms.scan(where, **options).close()  # type: ignore[call-overload]
    changed = next(key for key in masks)
    masks[changed] = ~masks[changed]
    write(where / NAMES["folders"](*changed), png(masks[changed] * 255))
    with ms.scan(where, **options) as scan:  # type: ignore[call-overload]
        assert scan.changes is not None
        assert (scan.changes.changed, scan.changes.unchanged) == (1, 5)
        found = dict(zip(scan.catalog.names, scan.histogram.pixels.tolist(), strict=True))
        assert found == expected(masks)
        entries = list(scan.entries())  # read once more, as plots do
        drawn = [np.load(io.BytesIO(entry.load())) for entry in entries]
        assert [entry.name for entry in entries] == [f"{at:05}.png" for at in range(6)]
        counts = np.bincount(np.concatenate([pixels.ravel() for pixels in drawn]), minlength=5)
        assert counts.tolist() == list(expected(masks).values())
    names = ["skin", "background", "hair", "cloth", "l brow", "neck"]
    wanted = {**expected(masks), "neck": 0, "l brow": expected(masks)["l_brow"]}
    assert counted(where, classes=names) == {name: wanted[name] for name in names}
    with pytest.raises(CatalogError, match="there is no l_brow, skin among the names given"):
        counted(where, classes=["background", "hair", "cloth"])


def test_every_pixel_consumer_reads_them(tmp_path: Path) -> None:
    where = SOURCES["folder"](tmp_path, files_of(parts(4), "CelebAMask-HQ"))
    with ms.scan(where, per_class=True, profile=True, index=True) as scan:
        assert scan.profile is not None
        assert scan.profile.heat.sum() > 0


# --- asked about, where nobody said it ----------------------------------------------------------


def blocks(images: int = 4) -> Masks:
    """Classes beside each other, which share no pixel."""
    masks: Masks = {}
    for image in range(images):
        for at, label in enumerate(CLASSES):
            inside = np.zeros(SHAPE, bool)
            top = 5 * at + image % 4
            inside[top : top + 4] = True
            masks[image, label] = inside
    return masks


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_so_is_asked_about(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = SOURCES["folder"](tmp_path, files_of(blocks(), name))
    assert cli.run(["scan", where, "--classes", "2", "--db", str(tmp_path / "m.db")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "looks like a file for each class of an image: cloth, hair, l_brow, skin" in said
    assert "--per-class makes one mask of them; --include '*' counts every file as a mask" in said
    with ms.scan(where, classes=2, include="*") as scan:
        assert scan.histogram.mask_count == 16


def test_many_images_are_looked_at_by_a_few_that_hold_something(tmp_path: Path) -> None:
    """More names than are kept, and most of them without a pixel of a class."""
    nothing = png(np.zeros(SHAPE))
    for (image, label), inside in blocks(1700).items():
        if label != "hair" or image % 2:
            name = NAMES["Label Studio"](image, label)
            write(tmp_path / "m" / name, png(inside * 255) if image % 6 == 0 else nothing)
    with pytest.raises(SourceError, match="a file for each class of an image: cloth, hair"):
        ms.scan(tmp_path / "m", classes=2)


def test_sequences_copies_and_numbers_are_not_asked_about(tmp_path: Path) -> None:
    """Things in frames of equal names lie in the middle of each."""
    rng = np.random.default_rng(5)
    for case, folders in {"davis": ["bear", "camel", "dog"], "views": ["left", "right"]}.items():
        for folder in folders:
            for frame in range(5):
                inside = np.zeros(SHAPE, bool)
                top, left = rng.integers(3, 7, 2)
                inside[top : top + 11, left : left + 15] = True
                name = f"{folder}/{frame:05}.png" if case == "davis" else f"{frame}_{folder}.png"
                write(tmp_path / case / name, png(inside * 255))
        with ms.scan(tmp_path / case, classes=2) as scan:
            assert scan.histogram.mask_count == 5 * len(folders)
    for number in range(3):
        for (image, _), inside in blocks().items():
            write(tmp_path / "numbered" / f"s{number}" / f"{image}.png", png(inside * 255))
    with ms.scan(tmp_path / "numbered", classes=2) as scan:
        assert scan.histogram.mask_count == 12


# --- refused ------------------------------------------------------------------------------------


def test_files_that_fit_nothing_fail_alone_in_one_line(tmp_path: Path) -> None:
    files = dict(files_of(blocks(4), "CelebAMask-HQ"))
    files["0/00000_hair.png"] = png(np.arange(23 * 31).reshape(23, 31) % 3)
    files["0/00001_skin.png"] = png(np.zeros((5, 7)))
    files["0/00002_skin.png"] = b"\x89PNG\r\n\x1a\n" + b"\xff" * 60
    files["0/overview.png"] = png(np.zeros((5, 7)))
    files["0/x\x1b[2J_hair.png"] = b"no image"
    where = SOURCES["folder"](tmp_path, files)
    with ms.scan(where, per_class=True) as scan:
        failures = {failure.mask: failure.reason for failure in scan.failures}
        assert scan.histogram.mask_count == 1
    assert "00000_hair.png: has the values 0, 1, 2, ..." in failures["0/00000.png"]
    assert "00001_skin.png has 7x5 pixels" in failures["0/00001.png"]
    assert failures["0/00002.png"].startswith("00002_skin.png: ")
    assert failures["0/overview.png"] == "no class in its name"
    assert all(reason.isprintable() for reason in failures.values())
    assert len(failures) == 5


def test_sources_and_options_that_do_not_fit(tmp_path: Path) -> None:
    where = SOURCES["folder"](tmp_path / "a", {"a.png": png(np.zeros((2, 2)))})
    with pytest.raises(SourceError, match="no image has several files that differ by a class"):
        ms.scan(where, per_class=True)
    wide = {
        f"{n}_{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}.png": b""
        for n in range(1100)
    }
    where = SOURCES["folder"](tmp_path / "b", {**wide, "0_z.png": b""})
    with pytest.raises(SourceError, match="1,101 words where names should have a class"):
        ms.scan(where, per_class=True)
    for other in ({"pages": "each"}, {"channels": "one-hot"}, {"value_divisor": 9}):
        with pytest.raises(ParameterError, match="per_class: a file is of one class"):
            ms.scan(where, per_class=True, **other)  # type: ignore[call-overload]
