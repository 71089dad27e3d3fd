"""Exposing a scan: the same rows whatever the threads, source, kills and memory; never stale."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat import memory
from maskstat.errors import (
    ExposureError,
    IncompleteScanError,
    ParameterError,
    SourceError,
    StoreError,
    spelled,
)
from maskstat.executors import threads
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.exposure_bytes import to_bytes
from maskstat.exposure.mask_exposure import expose
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Rescaling
from maskstat.kernels.label_runs import runs_of
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting, exposing, measuring
from maskstat.scanning.exposing import ExposureShelf
from maskstat.scanning.stored_scan import StoredScan
from maskstat.store.exposures import ExposedMask
from maskstat.store.schema import CHECKSUMS
from maskstat.store.store import Store
from maskstat.values.crop_draws import CropDraws
from tests.support.paths import SUPPORT
from tests.support.scan_cases import grey_png, interrupting, npy, pixels_of, write
from tests.support.source_cases import SOURCES, Files, entries_of

CROPS = Recipe(crop=(5, 4))
SCALED = Recipe(crop=(6, 6), scale=Rescaling(ratios=(0.5, 2.0)), cat_max_ratio=0.75)
MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(12)}


def kept(scan: StoredScan, recipe: Recipe = CROPS) -> dict[str, bytes]:
    """Name -> what is kept, checked to be what is said of it."""
    digest, store = exposing.digest_of(scan.catalog, recipe), scan._store
    names = sorted(store.exposed(scan.info, digest))
    return {name: content for name, _, content in store.exposed_masks(scan.info, digest, names)}


def make(
    scan: StoredScan, recipe: Recipe, *arguments: Any, crops: int | None = None, **options: Any
) -> None:
    """Work it out, whatever is refused where it is shown."""
    ExposureShelf.of(scan, recipe, crops=crops).fill(scan, *arguments, **options)


def expected(files: Files, recipe: Recipe = CROPS, **options: Any) -> dict[str, bytes]:
    """The same from pixels, without a scan."""
    found = {}
    for name, data in files.items():
        tally, pixels = formats.read_tally_and_pixels(data, name, ReadOptions())
        runs, classes = runs_of(pixels, tally.values, tally.values)
        one = expose(runs, classes, recipe, name=name, **{"crops": exposing.CROPS, **options})
        found[name] = to_bytes(one, name)
    return found


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[ms.Scan]:
    where = SOURCES["folder"](tmp_path, MASKS)
    with ms.scan(where, classes=7, db=tmp_path / "s.db") as found:
        yield found


# --- the same, wherever masks are and whoever reads them ---------------------------------------


@pytest.mark.parametrize("recipe", [CROPS, SCALED])
@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (5, 3), (2, 32)])
def test_threads_and_chunks_change_nothing(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, workers: int, chunk: int
) -> None:
    monkeypatch.setattr(threads, "CHUNK_FILES", chunk)
    make(scan, recipe, executor=ExecutorChoice(workers=workers))
    assert kept(scan, recipe) == expected(MASKS, recipe)


@pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
def test_every_kind_of_source(
    build: Callable[[Path, Files], str], tmp_path: Path, measured: list[str]
) -> None:
    where = build(tmp_path, MASKS)
    with ms.scan(where, classes=7) as found:
        make(found, CROPS)
        assert sorted(measured) == sorted(found.ledger.names)
        files = {name: entry.load() for name, entry in entries_of(where).items()}
        assert kept(found) == expected({name: files[name] for name in measured[:12]})
        assert len(kept(found)) == len(MASKS)


def test_planes_of_files(tmp_path: Path) -> None:
    stacks = {f"{n}.npy": np.stack([pixels_of(n)] * 3).astype(np.uint8) for n in range(4)}
    for stack in stacks.values():
        stack[1] += 1
        stack[2] += 2
    for name, stack in stacks.items():
        write(tmp_path / "masks" / name, npy(stack))
    planes = {f"{name}#{k + 1}": npy(s[k]) for name, s in stacks.items() for k in range(3)}
    with ms.scan(tmp_path / "masks", classes=9, pages="each") as found:
        make(found, CROPS)
        assert kept(found) == expected(planes)


def test_memory_only_delays(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    monkeypatch.setattr(memory, "SMALL", 1 << 6)
    make(scan, SCALED, executor=ExecutorChoice(workers=5, held=128))
    assert kept(scan, SCALED) == expected(MASKS, SCALED)
    assert memory._budget.held == 0


def test_what_others_took_the_memory_of_is_read_once_more_alone(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = formats.read_tally_and_pixels

    def short(data: bytes, mask: str, options: ReadOptions) -> object:
        if memory._budget.held < memory.ALL_MEMORY:
            raise MemoryError
        return real(data, mask, options)

    monkeypatch.setattr(formats, "read_tally_and_pixels", short)
    make(scan, CROPS)
    monkeypatch.undo()
    assert kept(scan) == expected(MASKS)
    assert memory._budget.held == 0


# --- kept, gone on with ------------------------------------------------------------------------


def test_more_crops_go_on_and_nothing_is_done_twice(scan: ms.Scan, measured: list[str]) -> None:
    few = scan.exposure(CROPS, crops=6).counts.crops.dense()
    assert len(measured) == len(MASKS)
    more = scan.exposure(CROPS, crops=10, presence=True).counts
    assert len(measured) == 2 * len(MASKS)
    rows = more.crops.dense().reshape(len(MASKS), 10, -1)
    assert np.array_equal(rows[:, :6].reshape(few.shape), few)
    for options in ({"crops": 6}, {"crops": 10}, {"crops": 3, "presence": True}):
        again = scan.exposure(CROPS, **options).counts  # type: ignore[arg-type]
        assert np.array_equal(again.expected, more.expected)
        assert np.array_equal(again.chances, more.chances)
    assert len(measured) == 2 * len(MASKS)
    for crops in (0, exposing.MOST_CROPS + 1):
        with pytest.raises(ParameterError, match="crops: is from 1 to 65,536"):
            scan.exposure(CROPS, crops=crops)
    # What is added later has no less than what was there.
    scan.exposure(CROPS, crops=12)
    assert all(k[:2] == (12, True) for k in known(scan).values())
    assert scan.exposure(CROPS, crops=12).counts.chance is not None


def known(scan: StoredScan, recipe: Recipe = CROPS) -> dict[str, Any]:
    return {**scan._store.exposed(scan.info, exposing.digest_of(scan.catalog, recipe))}


@pytest.mark.parametrize("after", [1, 5, 11])
def test_an_interrupt_keeps_what_was_worked_out(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, measured: list[str], after: int
) -> None:
    monkeypatch.setattr(threads, "CHUNK_FILES", 2)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        make(scan, CROPS, on_progress=interrupting(after))
    done = len(known(scan))
    assert done >= after
    if done < 12:
        with pytest.raises(ExposureError, match=f"{12 - done} masks? of 12 not worked out"):
            ExposureShelf.of(scan, CROPS).counts()
    measured.clear()
    steps: list[tuple[int, int | None]] = []
    make(scan, CROPS, on_progress=lambda p: steps.append((p.done, p.total)))
    assert len(measured) == 12 - done
    assert not steps or steps[-1] == (12, 12)
    assert kept(scan) == expected(MASKS)


KILLS, MANY = 4, 900


def test_kills_lose_what_was_not_committed_and_nothing_else(tmp_path: Path) -> None:
    db, delays = tmp_path / "s.db", random.Random(5)
    files = {f"{n % 7}/{n}.png": grey_png(pixels_of(n, 4)) for n in range(MANY)}
    where = SOURCES["folder"](tmp_path, files)
    ms.scan(where, classes=4, db=db).close()
    found: dict[str, Any] = {}
    small = Recipe(crop=(2, 3))
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(SUPPORT / "slow_exposure.py"), str(db)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout as said:
            lines = [said.readline() for _ in range(delays.randint(1, 4))]
            time.sleep(delays.uniform(0, 0.02))
            process.kill()
        assert process.wait() != 0, "it was over before it was killed"
        assert set(lines) == {"kept\n"}
        with ms.open_scan(db) as stored:
            ok = stored._store._connection.execute("PRAGMA integrity_check").fetchall()
            assert ok == [("ok",)]
            now = known(stored, small)
        assert found.items() < now.items(), "what was committed is gone, or nothing was added"
        found = now
    assert len(found) < MANY
    with ms.open_scan(db) as stored:
        make(stored, small)
        assert kept(stored, small) == expected(files, small)


# --- masks that change, or cannot be read ------------------------------------------------------


def test_a_mask_that_was_scanned_anew_loses_its_row(scan: ms.Scan, measured: list[str]) -> None:
    root = Path(scan.source)
    make(scan, CROPS)
    changed = MASKS | {"new.png": grey_png([[1, 2]]), "a/mask_0.png": grey_png([[3, 3, 4]])}
    write(root / "a/mask_0.png", changed["a/mask_0.png"])
    write(root / "new.png", changed["new.png"])
    (root / "b/mask_1.png").unlink()
    del changed["b/mask_1.png"]
    with ms.scan(root, classes=7, db=scan._store.path) as later:
        assert set(known(later)) == set(MASKS) - {"a/mask_0.png", "b/mask_1.png"}
        with pytest.raises(ExposureError, match="2 masks of 12 not worked out"):
            later.exposure(CROPS, stored=True)
        measured.clear()
        make(later, CROPS)
        assert sorted(measured) == ["a/mask_0.png", "new.png"]
        assert kept(later) == expected(changed)
    ms.scan(root, classes=7, db=scan._store.path, rescan=True).close()
    with ms.open_scan(scan._store.path) as later:
        assert known(later) == {}


def test_masks_that_changed_or_went_since_the_scan_are_named(scan: ms.Scan) -> None:
    root = Path(scan.source)
    write(root / "a/mask_3.png", grey_png([[3, 3, 4]]))
    (root / "b/mask_1.png").unlink()
    with pytest.raises(ExposureError) as caught:
        scan.exposure(CROPS)
    said = spelled(str(caught.value))
    assert "1 mask changed, first a/mask_3.png; 1 mask not found any more, first b/mask_1" in said
    assert f"scan('{root}'" in said
    assert len(known(scan)) == len(MASKS) - 2
    shutil.rmtree(root)
    with pytest.raises(SourceError):
        scan.exposure(CROPS)


def test_failures_of_single_masks_are_listed_and_tried_again(
    scan: ms.Scan, monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    real = formats.read_tally_and_pixels
    broken = {"a/mask_0.png": OSError(5, "Input/output error"), "b/mask_4.png": MemoryError()}

    def read(data: bytes, name: str, options: ReadOptions) -> Any:
        if name in broken:
            raise broken[name]
        return real(data, name, options)

    monkeypatch.setattr(formats, "read_tally_and_pixels", read)
    with pytest.raises(IncompleteScanError, match="2 masks could not be cropped, first a/mask_0"):
        scan.exposure(CROPS)
    some = scan.exposure(CROPS, allow_incomplete=True)
    assert {one.mask: one.reason for one in some.left_out} == {
        "a/mask_0.png": "can't be read: Input/output error",
        "b/mask_4.png": "not enough memory for its pixels",
    }
    assert some.counts.names == tuple(n for n in scan.ledger.names if n not in broken)
    assert [one["mask"] for one in some.to_document()["left_out"]] == list(broken)
    measured.clear()
    monkeypatch.setattr(formats, "read_tally_and_pixels", real)
    whole = scan.exposure(CROPS)
    assert sorted(measured) == sorted(broken)
    assert whole.left_out == ()
    assert kept(scan) == expected(MASKS)


def test_files_too_large_to_be_read_whole_are_left_out_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    limit = sorted(map(len, MASKS.values()))[5]
    monkeypatch.setattr(counting, "STREAM_ABOVE", limit)
    large = {name for name, data in MASKS.items() if len(data) > limit}
    with ms.scan(SOURCES["folder"](tmp_path, MASKS), classes=7) as found:
        for _ in range(2):
            seen = found.exposure(CROPS, allow_incomplete=True)
            assert {one.mask for one in seen.left_out} == large
            assert all("read whole" in one.reason for one in seen.left_out)
    assert len(measured) == len(MASKS) - len(large)


def test_masks_that_become_too_large(scan: ms.Scan) -> None:
    """Sums over all places are of 64 bits."""
    huge = Recipe(
        crop=(1 << 16, 1 << 16), scale=Rescaling("steps", (100.0,), "fit", (1 << 15,) * 2)
    )
    seen = scan.exposure(huge, allow_incomplete=True)
    assert len(seen.left_out) == len(MASKS)
    assert all("too many to be cropped" in one.reason for one in seen.left_out)


# --- the store ---------------------------------------------------------------------------------


def test_classes_that_are_others_have_rows_of_their_own(scan: ms.Scan) -> None:
    scan.exposure(CROPS)
    other = scan.under(ignore=[3])
    with pytest.raises(ExposureError) as caught:
        other.exposure(crop="5x4", stored=True)
    said = spelled(str(caught.value))
    assert "12 masks of 12 not worked out under the recipe and these classes" in said
    assert "type: Scan.exposure(crop='5x4')" in said  # of a scan that is read under them
    seen = other.exposure(CROPS)
    assert seen.frequency[3] == 0


def test_a_row_that_changed_is_no_row(scan: ms.Scan) -> None:
    scan.exposure(CROPS)
    whole, chance = scan._store.path.read_bytes(), random.Random(3)
    rows = list(kept(scan).values())
    copy = scan._store.path.with_name("copy.db")
    for _ in range(60):
        content = rows[chance.randrange(len(rows))]
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        copy.write_bytes(whole.replace(content, damaged))
        with ms.open_scan(copy) as found, pytest.raises(StoreError, match="no scan wrote"):
            found.exposure(CROPS, stored=True)
    for change in (
        "crops = 30",
        "crops = 2",
        "drawn = drawn || 'x'",
        "presence = 1",
        "name = name || 'x'",
    ):
        copy.write_bytes(whole)
        connection = sqlite3.connect(copy)
        connection.execute(f"UPDATE exposed_mask SET {change}")
        connection.commit()
        connection.close()
        crops, exact = 30 if "30" in change else 24, "presence" in change
        with ms.open_scan(copy) as found, pytest.raises(StoreError, match="no scan wrote"):
            found.exposure(CROPS, stored=True, crops=crops, presence=exact)


def test_stores_of_before_are_brought_up_to_date(scan: ms.Scan) -> None:
    path = scan._store.path
    connection = sqlite3.connect(path)
    for table in ("exposed_mask", "exposure", "grouped_mask", "grouping", "folder"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"PRAGMA user_version = {CHECKSUMS}")
    connection.commit()
    connection.close()
    with ms.open_scan(path) as found:
        assert found._store.exposures(found.info) == []
        with pytest.raises(ExposureError):
            found.exposure(CROPS, stored=True)
        found.exposure(CROPS)
        assert kept(found) == expected(MASKS)


def test_a_scan_that_was_removed_leaves_nothing(scan: ms.Scan) -> None:
    scan.exposure(CROPS)
    with Store.open(scan._store.path) as store:
        store.remove(store.find())
        for table in ("exposure", "exposed_mask"):
            assert store._connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    make(scan, CROPS, crops=30)  # it knows the scan still
    with Store.open(scan._store.path) as store:
        assert store._connection.execute("SELECT count(*) FROM exposure").fetchone() == (0,)


def test_masks_of_memory_have_no_crops() -> None:
    with (
        ms.count([np.zeros((4, 4), np.uint8)], classes=2) as found,
        pytest.raises(SourceError, match="counted in memory"),
    ):
        found.exposure(CROPS)


# --- merging -----------------------------------------------------------------------------------


def test_rows_travel_with_their_masks(tmp_path: Path, measured: list[str]) -> None:
    root = Path(SOURCES["folder"](tmp_path, MASKS))
    stores = []
    for part in "abc":
        stores.append(tmp_path / f"{part}.db")
        with ms.scan(root / part, classes=7, db=stores[-1]) as found:
            found.exposure(CROPS)
    measured.clear()
    with ms.merge(stores, tmp_path / "m.db") as merged, ms.scan(root, classes=7) as whole:
        assert merged.ledger.names == whole.ledger.names == tuple(sorted(MASKS, key=natural))
        seen, right = merged.exposure(CROPS, stored=True), whole.exposure(CROPS)
        assert np.array_equal(seen.counts.expected, right.counts.expected)
        assert {name: one.drawn for name, one in known(merged).items()} == {
            name: name.partition("/")[2] for name in MASKS
        }
        crops = seen.counts.crops.dense().reshape(len(MASKS), exposing.CROPS, -1)
        measured.clear()
        more = merged.exposure(CROPS, crops=30).counts.crops.dense().reshape(len(MASKS), 30, -1)
        assert len(measured) == len(MASKS)
        assert np.array_equal(more[:, : exposing.CROPS], crops)
    with ms.merge(stores[::-1], tmp_path / "r.db", separate=True) as other:
        assert set(kept(other).values()) == set().union(*(_of(path) for path in stores))


def natural(name: str) -> Any:
    return ms.naming.natural_key(name)


def _of(path: Path) -> set[bytes]:
    with ms.open_scan(path) as found:
        return set(kept(found).values())


def test_shards_with_the_names_of_the_whole_have_its_rows(tmp_path: Path) -> None:
    """A store that has more of a mask wins, whatever the order."""
    root, stores = SOURCES["folder"](tmp_path, MASKS), []
    for number, include in enumerate(["a/*", "b/*", "*/mask_?.png", "*"]):
        stores.append(tmp_path / f"{number}.db")
        with ms.scan(root, include=include, classes=7, db=stores[-1]) as found:
            if include != "*":
                found.exposure(CROPS, crops=9 - 3 * (number > 1), presence=number > 1)
    for order in (stores, stores[::-1]):
        with ms.merge(order, tmp_path / "m.db", force=True) as merged:
            rows = known(merged)
            assert {name for name in MASKS if name not in rows} == {"c/mask_11.png"}
            for name, one in rows.items():
                small = len(name) == len("a/mask_0.png")
                assert (one.crops, one.presence) == ((6, True) if small else (9, False))
            merged.exposure(CROPS, crops=9)  # some are short of crops, and all have them then
            right = expected({"c/mask_11.png": MASKS["c/mask_11.png"]}, crops=9, presence=True)
            assert kept(merged).items() >= right.items()


def test_a_mask_that_changed_between_shards_takes_no_row_of_the_other(tmp_path: Path) -> None:
    root = Path(SOURCES["folder"](tmp_path, MASKS))
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with ms.scan(root, classes=7, db=old) as found:
        found.exposure(CROPS)
    write(root / "a/mask_0.png", grey_png([[3, 3, 4]]), stamp=2 * 10**18)
    ms.scan(root, classes=7, db=new).close()
    os.utime(root)
    with ms.merge([old, new], tmp_path / "m.db", prefer="newest") as merged:
        assert set(known(merged)) == set(MASKS) - {"a/mask_0.png"}


# --- crops that are drawn by class ---------------------------------------------------------------

BY_CLASS = Recipe(crop=(5, 4), draws=CropDraws("rare"))


def test_one_shelf_serves_all_laws_of_classes(scan: ms.Scan, measured: list[str]) -> None:
    """What is kept of a mask says nothing of how often its classes are drawn."""
    first = scan.exposure(BY_CLASS)
    assert len(measured) == len(MASKS)
    assert first.counts.crops_per_mask == exposing.AIMED_CROPS
    for draw in ("uniform", [1, 2, 3, 4, 5, 6, 7], CropDraws(chance=0.5, first="mask")):
        other = scan.exposure(crop=(5, 4), draw=draw)
        assert not np.array_equal(other.frequency, first.frequency)
    assert len(measured) == len(MASKS)
    assert {one.draws for one in exposing.begun(scan)} == {BY_CLASS.draws}
    scan.exposure(CROPS)  # but not crops that lie anywhere, of which there are more
    assert len(measured) == 2 * len(MASKS)
    more = scan.exposure(BY_CLASS, crops=20, presence=True)
    assert len(measured) == 3 * len(MASKS)
    rows = more.counts.crops.dense().reshape(-1, 20, 7)[:, : exposing.AIMED_CROPS]
    assert np.array_equal(rows.reshape(-1, 7), first.counts.crops.dense())
    assert np.array_equal(more.counts.expected, first.counts.expected)


def test_a_law_for_other_classes_is_refused(scan: ms.Scan) -> None:
    for draw in ([1, 2], CropDraws((1.0,) * 8)):
        with pytest.raises(ParameterError, match="7 classes") as caught:
            scan.exposure(crop=4, draw=draw)
        assert caught.value.parameter == "draw"
    with pytest.raises(ParameterError, match="pixels in a mask at most") as caught:
        scan.exposure(crop=4, draw=CropDraws(least_pixels=10**6))
    assert caught.value.parameter == "draw"


def test_shards_that_are_drawn_by_class_merge(tmp_path: Path) -> None:
    """Masks of one store count for how often those of the other are drawn."""
    root, stores = Path(SOURCES["folder"](tmp_path, MASKS)), []
    for part in "abc":
        stores.append(tmp_path / f"{part}.db")
        with ms.scan(root / part, classes=7, db=stores[-1]) as found:
            found.exposure(BY_CLASS)
    with ms.merge(stores, tmp_path / "m.db") as merged, ms.scan(root, classes=7) as whole:
        seen, right = merged.exposure(BY_CLASS, stored=True), whole.exposure(BY_CLASS)
        assert np.array_equal(seen.counts.expected, right.counts.expected)
        assert np.array_equal(seen.counts.draws, right.counts.draws)
        assert np.array_equal(seen.frequency, right.frequency)


def test_damage_is_noticed(scan: ms.Scan) -> None:
    scan.exposure(BY_CLASS)
    digest, store = exposing.digest_of(scan.catalog, BY_CLASS), scan._store
    names = sorted(store.exposed(scan.info, digest))
    ((name, drawn, content), *_) = store.exposed_masks(scan.info, digest, names)
    mask = ExposedMask(
        name,
        *scan._store._connection.execute(
            "SELECT size, stamp FROM mask WHERE name = ?", (name,)
        ).fetchone(),
        8,
        False,
        drawn,
        content[:-1] + bytes([content[-1] ^ 1]),
    )
    store.keep_exposed(scan.info, digest, "{}", [mask])
    with pytest.raises(StoreError, match="no scan wrote"):
        scan.exposure(BY_CLASS)
