"""Class indices of scans: exact wherever masks are and whoever reads them; kept, gone on with."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.crops.class_index import ClassIndex
from maskstat.errors import (
    ExposureError,
    IncompleteScanError,
    SourceError,
    StoreError,
    UnlistedValuesError,
)
from maskstat.executors import threads
from maskstat.exposure.recipe import Recipe
from maskstat.naming import natural_key
from maskstat.readers.formats import read_tally_and_pixels
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting, measuring
from maskstat.scanning.exposing import begun
from maskstat.values.catalog import ClassCatalog, ClassInfo
from tests.support.scan_cases import grey_png, interrupting, npy, pixels_of, write
from tests.support.source_cases import SOURCES, Files, entries_of

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(12)}
RECIPE = Recipe(crop=(3, 2))


def labels_in(index: ClassIndex) -> dict[str, NDArray[np.int64]]:
    """Masks as an index has them: every pixel of every class, drawn by its rank; -1: no class."""
    masks = {
        name: np.full(size, -1, np.int64)
        for name, size in zip(index.names, index.sizes.tolist(), strict=True)
    }
    for k, count in enumerate(index.class_pixels.tolist()):
        if count:
            mask, row, column = index.pixel(k, np.arange(count))
            for at, name in enumerate(index.names):
                own = np.asarray(mask) == at
                assert (masks[name][row[own], column[own]] == -1).all()  # type: ignore[index]
                masks[name][row[own], column[own]] = k  # type: ignore[index]
    return masks


def same(found: dict[str, NDArray[np.int64]], expected: dict[str, NDArray[np.int64]]) -> bool:
    assert list(found) == sorted(expected, key=natural_key)
    return all((found[name] == expected[name]).all() for name in expected)


def decoded(files: Files) -> dict[str, NDArray[np.int64]]:
    """The same from pixels, without a scan, where values are classes."""
    return {
        name: read_tally_and_pixels(data, name, ReadOptions())[1].astype(np.int64)
        for name, data in files.items()
    }


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[ms.Scan]:
    where = SOURCES["folder"](tmp_path, MASKS)
    with ms.scan(where, classes=7, db=tmp_path / "s.db") as found:
        yield found


# --- the same, wherever masks are and whoever reads them ---------------------------------------


@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (5, 3), (2, 32)])
def test_threads_and_chunks_change_nothing(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, workers: int, chunk: int
) -> None:
    monkeypatch.setattr(threads, "CHUNK_FILES", chunk)
    assert same(labels_in(scan.class_index(workers=workers)), decoded(MASKS))


@pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
def test_every_kind_of_source(
    build: Callable[[Path, Files], str], tmp_path: Path, measured: list[str]
) -> None:
    where = build(tmp_path, MASKS)
    with ms.scan(where, classes=7) as found:
        index = found.class_index()
        assert sorted(measured) == sorted(found.ledger.names)
        files = {name: entry.load() for name, entry in entries_of(where).items()}
        assert same(labels_in(index), decoded({name: files[name] for name in measured[:12]}))


def test_counts_are_those_of_the_scan(scan: ms.Scan) -> None:
    index = scan.class_index()
    ledger = scan.ledger.naturally_sorted()
    assert index.names == ledger.names
    assert (index.ledger.dense() == ledger.dense()).all()
    assert index.class_pixels.tolist() == scan.histogram.pixels.tolist()


def test_planes_of_files(tmp_path: Path) -> None:
    stack = np.stack([pixels_of(3), pixels_of(3) + 1]).astype(np.uint8)
    write(tmp_path / "masks" / "a.npy", npy(stack))
    with ms.scan(tmp_path / "masks", classes=9, pages="each") as found:
        planes = {f"a.npy#{k + 1}": plane.astype(np.int64) for k, plane in enumerate(stack)}
        assert same(labels_in(found.class_index()), planes)


def test_colours_and_what_is_ignored(tmp_path: Path) -> None:
    """Several colours are one class, one is ignored, one unlisted; nearest ones are a class's."""
    colours = np.array([(128, 64, 128), (0, 0, 142), (0, 0, 70), (1, 1, 1), (9, 9, 9)], np.uint8)
    means = np.array([0, 1, 1, -1, -1])
    pixels = np.random.default_rng(0).integers(0, 5, (20, 30))
    (tmp_path / "masks").mkdir()
    Image.fromarray(colours[pixels]).save(tmp_path / "masks" / "a.png")
    catalog = ClassCatalog(
        (
            ClassInfo(0, "road", (), (0x804080,)),
            ClassInfo(1, "vehicle", (), (0x00008E, 0x000046)),
        ),
        ignored_colours=frozenset({0x010101}),
    )
    with ms.scan(tmp_path / "masks", classes=catalog) as found:
        with pytest.raises(UnlistedValuesError, match="#090909"):
            found.class_index()
        index = found.class_index(unlisted="ignore")
        assert same(labels_in(index), {"a.png": means[pixels]})
        near = found.under(nearest_colour=8).class_index()
        assert near.class_pixels.tolist() == index.class_pixels.tolist()
        fewer = found.under(ignore=["#00008e"]).class_index(unlisted="ignore")
        assert fewer.pixels(1) == int((pixels == 2).sum())


def test_values_of_several_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).choice([-7, 300, 70000], (9, 11))
    write(tmp_path / "masks" / "a.npy", npy(pixels.astype(np.int32)))
    with ms.scan(tmp_path / "masks") as found:
        expected = np.searchsorted([-7, 300, 70000], pixels)
        assert same(labels_in(found.class_index()), {"a.npy": expected})


# --- kept, gone on with ------------------------------------------------------------------------


def test_one_decode_is_for_all_that_look_at_pixels(tmp_path: Path, measured: list[str]) -> None:
    where = SOURCES["folder"](tmp_path, MASKS)
    options = {"classes": 7, "db": tmp_path / "s.db"}
    with ms.scan(where, profile=True, recipe=RECIPE, index=True, **options) as found:
        assert len(measured) == len(MASKS)
        index = found.class_index(stored=True)
        found.exposure(RECIPE, stored=True)
        assert found.profile is not None
        assert same(labels_in(index), decoded(MASKS))
        # An index is no recipe.
        assert begun(found) == [RECIPE]
    assert len(measured) == len(MASKS)


@pytest.mark.parametrize("after", [1, 5, 11])
def test_an_interrupt_keeps_what_was_looked_at(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, measured: list[str], after: int
) -> None:
    monkeypatch.setattr(threads, "CHUNK_FILES", 2)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        scan.class_index(on_progress=interrupting(after))
    done = len(measured)
    index = scan.class_index()
    assert len(measured) <= len(MASKS) + done - after
    assert same(labels_in(index), decoded(MASKS))


def test_only_what_is_new_or_changed_is_looked_at(tmp_path: Path, measured: list[str]) -> None:
    where, options = SOURCES["folder"](tmp_path, MASKS), {"classes": 7, "db": tmp_path / "s.db"}
    ms.scan(where, index=True, **options).close()
    measured.clear()
    changed = sorted(MASKS)[3]
    files = {**MASKS, changed: grey_png(pixels_of(77)), "new.png": grey_png(pixels_of(78))}
    gone = sorted(MASKS)[5]
    del files[gone]
    for name in (changed, "new.png"):
        write(Path(where) / name, files[name])
    (Path(where) / gone).unlink()
    with ms.scan(where, **options) as found:
        with pytest.raises(ExposureError, match="2 masks of 12 not indexed"):
            found.class_index(stored=True)
        assert same(labels_in(found.class_index()), decoded(files))
    assert set(measured) == {changed, "new.png"}
    assert len(measured) <= 4  # counted, then indexed


def test_classes_that_are_others_have_rows_of_their_own(scan: ms.Scan) -> None:
    scan.class_index()
    other = scan.under(ignore=[3])
    with pytest.raises(ExposureError, match="not indexed under these classes; type"):
        other.class_index(stored=True)
    assert other.class_index().pixels(3) == 0
    assert scan.class_index(stored=True).pixels(3) > 0


def test_masks_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    limit = sorted(map(len, MASKS.values()))[5]
    monkeypatch.setattr(counting, "STREAM_ABOVE", limit)
    small = {name: data for name, data in MASKS.items() if len(data) <= limit}
    with ms.scan(SOURCES["folder"](tmp_path, MASKS), classes=7) as found:
        for _ in range(2):
            with pytest.raises(IncompleteScanError, match="read whole"):
                found.class_index()
        index = found.class_index(allow_incomplete=True)
        assert same(labels_in(index), decoded(small))
    assert sorted(measured) == sorted(small)


def test_a_row_that_changed_is_no_row(scan: ms.Scan) -> None:
    scan.class_index()
    path, chance = scan._store.path, random.Random(3)
    whole = path.read_bytes()
    with sqlite3.connect(path) as connection:
        rows = [row[0] for row in connection.execute("SELECT content FROM exposed_mask")]
    connection.close()
    copy = path.with_name("copy.db")
    for _ in range(40):
        content = rows[chance.randrange(len(rows))]
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        copy.write_bytes(whole.replace(content, damaged))
        with ms.open_scan(copy) as found, pytest.raises(StoreError, match="no scan wrote"):
            found.class_index(stored=True)


def test_merged_scans_have_the_indices_of_their_parts(tmp_path: Path) -> None:
    parts = ({name: MASKS[name] for name in sorted(MASKS)[at::2]} for at in (0, 1))
    stores = []
    for at, files in enumerate(parts):
        (tmp_path / str(at)).mkdir()
        where = SOURCES["folder"](tmp_path / str(at), files)
        stores.append(tmp_path / f"{at}.db")
        ms.scan(where, classes=7, db=stores[-1], index=True).close()
    with ms.merge(stores, tmp_path / "m.db") as merged:
        found = labels_in(merged.class_index(stored=True))
    expected = decoded(MASKS)
    assert len(found) == len(expected)
    for name, mask in found.items():
        assert (mask == next(own for key, own in expected.items() if name.endswith(key))).all()


def test_a_large_index_is_on_the_disk(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("maskstat.scanning.indexing._SMALL", 100)
    index = scan.class_index()
    assert isinstance(index.runs.data.base, np.memmap) or isinstance(index.runs.data, np.memmap)
    assert same(labels_in(index), decoded(MASKS))
    assert same(labels_in(ClassIndex.load(index.save(tmp_path / "i.npz"))), decoded(MASKS))


def test_masks_of_memory_are_indexed_from_memory() -> None:
    """The scan has counts alone; `of_labels` takes arrays."""
    mask = np.eye(4, dtype=np.uint8)
    with ms.count([mask], classes=2) as found, pytest.raises(SourceError, match="in memory"):
        found.class_index()
    assert (labels_in(ClassIndex.of_labels(["a"], [mask], 2))["a"] == mask).all()
