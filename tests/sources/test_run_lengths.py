"""Kaggle's run lengths: counts are those of the decoder that everybody copies, in every variant."""

from __future__ import annotations

import io
import pickle
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
from maskstat.errors import ParameterError, SourceError
from maskstat.sources.annotations import run_lengths
from maskstat.sources.identities import place_of
from tests.support.scan_cases import write
from tests.support.source_cases import source_at

HEIGHT, WIDTH = 13, 21
Parts = list[tuple[str, str, NDArray[np.bool_]]]


def encoded(inside: NDArray[np.bool_], order: str = "F") -> str:
    """Runs of a mask, as kernels write them."""
    pixels = np.concatenate([[0], inside.ravel(order=order), [0]])  # type: ignore[call-overload]
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))


def decoded(text: str, order: str = "F") -> NDArray[np.bool_]:
    """And as they read them: another way round than ours."""
    flat = np.zeros(HEIGHT * WIDTH, bool)
    numbers = [int(word) for word in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape((HEIGHT, WIDTH), order=order)  # type: ignore[call-overload,no-any-return]


def parts(seed: int = 0, labels: tuple[str, ...] = ("1", "2", "3")) -> Parts:
    """(image, class, pixels) of boxes that overlap; some without a pixel."""
    rng = np.random.default_rng(seed)
    found: Parts = []
    for image in range(4):
        for label in labels:
            inside = np.zeros((HEIGHT, WIDTH), bool)
            if rng.random() < 0.8:
                top, left = rng.integers(0, 9, 2)
                inside[top : top + rng.integers(1, 9), left : left + rng.integers(1, 12)] = True
            found.append((f"img{image}", label, inside))
    return found


def painted(rows: Parts, values: dict[str, int]) -> dict[str, NDArray[np.int64]]:
    """The mask of each image: the smaller on top, of equal ones that of the larger value."""
    masks: dict[str, NDArray[np.int64]] = {}
    for image, label, inside in sorted(rows, key=lambda r: (-r[2].sum(), values[r[1]])):
        masks.setdefault(image, np.zeros((HEIGHT, WIDTH), np.int64))[inside] = values[label]
    return masks


def runs(inside: NDArray[np.bool_], order: str = "F") -> str:
    return encoded(inside, order) if inside.any() else ""


NUMBERS = {"1": 1, "2": 2, "3": 3}
ORGANS = {"large_bowel": 1, "small_bowel": 2, "stomach": 3}
ONE = {"1": 1}


def _csv(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows, ""])


VARIANTS: dict[str, tuple[dict[str, int], Callable[[Parts], str]]] = {
    "Severstal": (
        NUMBERS,
        lambda rows: _csv(
            "ImageId_ClassId,EncodedPixels", [f"{i}.png_{c},{runs(m)}" for i, c, m in rows]
        ),
    ),
    "Severstal, three columns": (
        NUMBERS,
        lambda rows: _csv(
            "ImageId,ClassId,EncodedPixels", [f"{i}.png,{c},{runs(m)}" for i, c, m in rows]
        ),
    ),
    "Airbus": (
        ONE,
        lambda rows: _csv("ImageId,EncodedPixels", [f"{i}.png,{runs(m)}" for i, _, m in rows]),
    ),
    "HuBMAP": (ONE, lambda rows: _csv("id,encoding", [f"{i},{runs(m)}" for i, _, m in rows])),
    "TGS": (ONE, lambda rows: _csv("id,rle_mask", [f"{i},{runs(m)}" for i, _, m in rows])),
    "SIIM's -1": (
        ONE,
        lambda rows: _csv("ImageId, EncodedPixels", [f"{i}, {runs(m) or -1}" for i, _, m in rows]),
    ),
    "UW-Madison": (
        ORGANS,
        lambda rows: _csv("id,class,segmentation", [f"{i},{c},{runs(m, 'C')}" for i, c, m in rows]),
    ),
    "Sartorius": (
        ORGANS,
        lambda rows: _csv(
            "id,annotation,width,height,cell_type",
            [f"{i},{runs(m, 'C')},{WIDTH},{HEIGHT},{c}" for i, c, m in rows],
        ),
    ),
    "clouds": (
        ORGANS,
        lambda rows: _csv(
            "Image_Label,EncodedPixels", [f"{i}.png_{c},{runs(m)}" for i, c, m in rows]
        ),
    ),
    "iMaterialist": (
        NUMBERS,
        lambda rows: _csv(
            "ImageId,EncodedPixels,Height,Width,ClassId",
            [f'{i}.png,"{runs(m)}",{HEIGHT},{WIDTH},{c}' for i, c, m in rows],
        ),
    ),
}


def images(folder: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    for image in range(4):
        (folder / "train_images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(folder / "train_images" / f"img{image}.png")


def drawn(where: str | Path, **options: object) -> dict[str, NDArray[np.int64]]:
    """Masks by the stem of their image."""
    entries = source_at(where, **options).entries()
    return {entry.name.split(".")[0]: np.load(io.BytesIO(entry.load())) for entry in entries}


@pytest.mark.parametrize("sized", ["images", "size"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_drawn_as_it_is_painted(variant: str, sized: str, tmp_path: Path) -> None:
    values, text = VARIANTS[variant]
    rows = parts(3, tuple(values))
    where = write(tmp_path / "train.csv", text(rows).encode())
    size = None
    if sized == "images":
        images(tmp_path)
    else:
        size = (HEIGHT, WIDTH)
    wanted, found = painted(rows, values), drawn(where, size=size)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[image], wanted[image]) for image in wanted)
    with ms.scan(where, size=size) as scan:
        counts = {
            value: sum(int((mask == value).sum()) for mask in wanted.values())
            for value in (0, *values.values())
        }
        assert not scan.failures
        assert scan.histogram.pixels.tolist() == [counts[value] for value in sorted(counts)]
        if values is ORGANS:
            assert scan.catalog.names == ("background", *ORGANS)
        again = {entry.name.split(".")[0]: entry for entry in scan.entries()}
        kept = {key: np.load(io.BytesIO(entry.load())) for key, entry in again.items()}
        assert all(np.array_equal(kept[image], wanted[image]) for image in wanted)
        name = scan.ledger.names[0]
        assert place_of(scan.source, name).identity(name) == f"{where}/{name}"


@given(st.integers(0, 10_000), st.sampled_from(["F", "C"]))
def test_the_oracle_is_one(seed: int, order: str) -> None:
    inside = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.3
    assert np.array_equal(decoded(encoded(inside, order), order), inside)


def test_no_class_may_have_the_value_of_the_background(tmp_path: Path) -> None:
    where = write(tmp_path / "t.csv", b"ImageId,EncodedPixels,ClassId\na,1 3,0\na,5 2,1\n")
    found = drawn(where, size=(2, 5))
    assert found["a"].ravel(order="F").tolist() == [0, 0, 0, -1, 1, 1, -1, -1, -1, -1]


def test_entries_travel_and_change_with_their_rows(tmp_path: Path) -> None:
    where = write(tmp_path / "t.csv", b"id,rle\na,1 3\nb,2 2\n")
    with ms.scan(where, size="2x5", db=tmp_path / "m.db", classes=2) as scan:
        assert scan.source == f"{where}#runs=rle&size=2x5"
        assert scan.histogram.pixels.tolist() == [15, 5]
    write(where, b"id,rle\nb,2 2\na,1 4\n")
    with ms.scan(where, size="2x5", db=tmp_path / "m.db", classes=2) as scan:
        assert scan.changes is not None
        assert (scan.changes.changed, scan.changes.unchanged) == (1, 1)
    for entry in source_at(where, size=(2, 5)).entries():
        assert pickle.loads(pickle.dumps(entry)).load() == entry.load()


def test_a_table_of_paths_with_boxes_is_a_list(tmp_path: Path) -> None:
    write(tmp_path / "m" / "a.png", b"")
    where = write(tmp_path / "t.csv", b"image,mask,annotation\na.jpg,m/a.png,10 20 5 5\n")
    assert [entry.name for entry in source_at(where).entries()] == ["m/a.png"]


def test_runs_longer_than_csv_takes(tmp_path: Path) -> None:
    """`csv` refuses cells of 131,072 characters; kidneys have millions."""
    inside = np.indices((700, 700)).sum(axis=0) % 2 == 0
    text = encoded(inside)
    assert len(text) > 1 << 20
    where = write(tmp_path / "t.csv", f"id,encoding\na,{text}\n".encode())
    with ms.scan(where, size="700x700", classes=2) as scan:
        assert scan.histogram.pixels.tolist() == [700 * 700 // 2] * 2


BAD = {
    "1 5 3 2": "overlap or are in no order",
    "9 2 3 2": "overlap or are in no order",
    "0 2": "before pixel 1",
    "5 0": "has no pixel",
    "-3 2": "no pairs of numbers",
    "1 2 3": "no pairs of numbers",
    "1 \x1b[2J": "no pairs of numbers",
    "1 \0": "no pairs of numbers",
    "1 1_0": "no pairs of numbers",
    "1.5 2": "no pairs of numbers",
    "\u0661 \u0662": "no pairs of numbers",
    "273 2": "a run to pixel 274 of an image of 273",
    "1 99999999999999999999": "beyond the image",
    "999999999999999999 999999999999999999": "a run to pixel",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_runs_refuse_their_image_in_one_line(text: str, tmp_path: Path) -> None:
    rows = f"id,rle\ngood,1 2\nbad,{text}\nbad,1 1\nshort\n../../etc/passwd,1 1\nx\x1b[2J,1 1\n"
    where = write(tmp_path / "t.csv", rows.encode())
    with ms.scan(where, size=(HEIGHT, WIDTH), classes=2) as scan:
        failures = {failure.mask: failure.reason for failure in scan.failures}
        assert scan.histogram.mask_count == 3
    assert BAD[text] in failures["bad"]
    assert "too short" in failures["short"]
    assert len(failures) == 2
    assert all(reason.isprintable() for reason in failures.values())


def test_sizes_that_are_missing_or_too_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = write(tmp_path / "t.csv", b"ImageId,EncodedPixels\na.jpg,1 2\nb.jpg,1 2\nc.jpg,1 2\n")
    write(tmp_path / "i" / "b.jpg", b"no image")
    for folder in "xy":
        write(tmp_path / folder / "c.jpg", b"one of two")
    with ms.scan(where, classes=2) as scan:
        reasons = {failure.mask: failure.reason for failure in scan.failures}
    assert "no image of this name" in reasons["a.jpg"]
    assert "size=HxW" in reasons["a.jpg"]
    assert "the size of its image b.jpg is not to be had" in reasons["b.jpg"]
    assert "its size is not known" in reasons["c.jpg"]
    sized = "id,rle,height,width\na,1 2,999999999,999999999\nb,1 2,x,5\nc,1 2,2,5\nc,1 2,5,2\n"
    where = write(tmp_path / "s.csv", f"{sized}d,1 2,2,5\n".encode())
    with ms.scan(where, classes=2) as scan:
        reasons = {failure.mask: failure.reason for failure in scan.failures}
        assert scan.histogram.mask_count == 1
    assert "more than the 1024 MiB" in reasons["a"]
    assert "do not agree on a size" in reasons["b"]
    assert "do not agree on a size" in reasons["c"]
    with pytest.raises(ParameterError, match="a height and a width in pixels, as 256x1600"):
        ms.scan(where, size="0x5")
    with pytest.raises(ParameterError, match="size: is for run lengths in a CSV"):
        ms.scan(tmp_path / "i", size="5x5")
    assert cli.run(["scan", str(where), "--size", "huge", "--db", str(tmp_path / "m.db")]) == 2
    assert "--size" in capsys.readouterr().err


def test_what_is_no_table_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = write(tmp_path / "t.csv", b"id,rle\na,1 2\n" + b"b,3 4\n" * 400)
    monkeypatch.setattr(run_lengths, "MAX_FILE_BYTES", 2000)
    with pytest.raises(SourceError, match=r"t\.csv: larger than 0 MiB"):
        ms.scan(where, size="2x5")
    where = write(tmp_path / "t.csv", b"id,rle\na,1 2\n" + b"9 " * (9 << 20))
    with pytest.raises(SourceError, match="a line of 16 MiB"):
        ms.scan(where)
