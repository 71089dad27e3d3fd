"""Scanning with a profile: one pass, whatever the threads; kept, resumed, and never out of date."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.api.scan import Scan
from maskstat.errors import MaskError, ParameterError, ProfileError, StrictError
from maskstat.executors import threads
from maskstat.kernels import label_runs
from maskstat.readers import formats
from maskstat.readers.formats import read_label_map
from maskstat.regions.profile import PixelProfile
from maskstat.regions.profile_bytes import check, to_bytes
from maskstat.regions.profile_sums import ProfileSum
from maskstat.scanning import counting, measuring, recording
from maskstat.scanning.changes import Changes
from maskstat.store.profiles import ProfileKey
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from tests.support.paths import SAMPLES, SUPPORT
from tests.support.png_factory import png
from tests.support.region_oracle import label_map
from tests.support.regions import add_mask
from tests.support.scan_cases import grey_png, interrupting, write

GRID = 6


def profiled(folder: Path, db: Path | None = None, **options: Any) -> Scan:
    return ms.scan(folder, **{"classes": 7, "db": db, "profile": True, "grid": GRID, **options})


def content(scan: Scan) -> bytes:
    profile = scan.need_profile(of_all=True)
    check(profile)
    assert np.array_equal(profile.class_pixels, scan.histogram.pixels)
    assert profile.pixels.sum() == scan.histogram.total_pixels
    assert np.array_equal(profile.eight.masks, scan.histogram.masks)
    return to_bytes(profile)


# --- what it is -------------------------------------------------------------------------------


def test_sample_masks_equal_the_oracle() -> None:
    """Grey, palette, 16-bit, colour and NPY masks, one pass each, against SciPy and NumPy."""
    catalog = ms.load_catalog(SAMPLES / "classes.yaml")
    total = ProfileSum(catalog, GRID)
    some = sorted(path for path in SAMPLES.rglob("mask_*") if path.stem[-1] in "05")
    for path in some:
        options = formats.ReadOptions(colours=catalog.has_colours)
        pixels, encoding = read_label_map(path.read_bytes(), options)
        labels = label_map(catalog, pixels, encoding)
        name = path.relative_to(SAMPLES).as_posix()
        add_mask(total, name, labels, (np.arange(len(catalog) + 1),) * 2)
    wanted = [f"*/{path.name}" for path in some]
    scan = profiled(SAMPLES, classes=catalog, include=wanted)
    assert len(some) >= 4
    assert scan.histogram.mask_count == len(some)
    assert scan.need_profile() == total.profile()
    assert content(scan) == to_bytes(total.profile())


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(("chunk", "block"), [(1, 1), (7, 3), (32, 1000)])
def test_threads_chunks_and_blocks_change_nothing(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch, workers: int, chunk: int, block: int
) -> None:
    expected = content(profiled(forty_masks))
    monkeypatch.setattr(threads, "CHUNK_FILES", chunk)
    monkeypatch.setattr(recording, "BLOCK_MASKS", block)
    assert content(profiled(forty_masks, workers=workers)) == expected


def test_one_pass_decodes_each_mask_once(
    forty_masks: Path, decoded: list[str], measured: list[str]
) -> None:
    scan = profiled(forty_masks)
    assert len(measured) == len(set(measured)) == 40
    assert decoded == []
    assert scan.changes == Changes(new=40)
    assert scan.histogram == ms.scan(forty_masks, classes=7).histogram


def test_without_the_option_nothing_is_measured(forty_masks: Path, measured: list[str]) -> None:
    scan = ms.scan(forty_masks, classes=7)
    assert scan.profile is None
    assert scan.profile_state is None
    assert measured == []


def test_inferred_classes_take_a_second_pass(
    forty_masks: Path, decoded: list[str], measured: list[str]
) -> None:
    scan = profiled(forty_masks, classes=None)
    assert len(decoded) == len(measured) == 40
    assert scan.changes == Changes(new=40)
    assert scan.catalog.origin == "inferred"
    declared = profiled(forty_masks, classes=len(scan.catalog))
    assert np.array_equal(scan.need_profile().heat, declared.need_profile().heat)
    assert content(scan) != b""


def test_no_classes_at_all(tmp_path: Path) -> None:
    write(tmp_path / "masks" / "m.png", grey_png([[255, 255]]))
    scan = profiled(tmp_path / "masks", classes=None)
    assert len(scan.catalog) == 0
    assert scan.profile is None


# --- kept and added to ------------------------------------------------------------------------


def test_a_profile_is_added_to_a_scan_that_was_made_without(
    forty_masks: Path, tmp_path: Path, decoded: list[str], measured: list[str]
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db).close()
    decoded.clear()
    scan = profiled(forty_masks, db)
    assert scan.changes == Changes(unchanged=40)
    assert (len(decoded), len(measured)) == (0, 40)
    assert content(scan) == content(profiled(forty_masks))
    measured.clear()
    again = profiled(forty_masks, db)
    assert again.changes == Changes(unchanged=40)
    assert measured == []
    with ms.open_scan(db) as stored:
        assert content(stored) == content(scan)
    ms.scan(forty_masks, classes=7, db=db).close()  # without the option, and nothing changed
    with ms.open_scan(db) as stored:
        assert content(stored) == content(scan)


def test_each_catalogue_and_grid_has_a_profile_of_its_own(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    fine = profiled(forty_masks, db)
    other = fine.under(ignore=[3])
    assert other.profile is None
    with pytest.raises(ProfileError, match="no pixel profile under these classes"):
        other.need_profile()
    coarse = profiled(forty_masks, db, grid=2)
    assert coarse.need_profile().grid == 2
    assert fine.need_profile().grid == GRID
    ignoring = profiled(forty_masks, db, ignore=[3])
    assert decoded == []
    assert ignoring.need_profile().components[3] == 0
    with ms.open_scan(db) as stored:
        assert stored.under(ignore=()).catalog.ignored_values == {3}
        assert content(stored) == content(ignoring)
        assert stored.under(7).need_profile().grid == GRID  # the finest


def test_a_block_holds_what_is_kept_of_many_masks(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "BLOCK_MASKS", 15)
    monkeypatch.setattr(threads, "CHUNK_FILES", 5)
    monkeypatch.setattr(threads, "FIRST_CHUNK_FILES", 5)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    db = tmp_path / "s.db"
    scan = profiled(forty_masks, db)
    assert blocks_of(db) == 3
    whole = content(scan)
    assert content(ms.open_scan(db)) == whole  # adds up the blocks, and keeps the sum
    with Store.open(db) as store:
        key = key_of(store, 7)
        assert store.profile_total(key) == whole


def key_of(store: Store, classes: int) -> ProfileKey:
    return ProfileKey(store.find(), ClassCatalog.numbered(classes).digest, GRID)


def blocks_of(db: Path) -> int:
    with Store.open(db) as store:
        return len(list(store.blocks(key_of(store, 7))))


@pytest.mark.parametrize("how", ["changed", "gone", "failed"])
def test_a_mask_that_changes_costs_its_block(
    forty_masks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[str],
    how: str,
) -> None:
    monkeypatch.setattr(recording, "BLOCK_MASKS", 10)
    monkeypatch.setattr(threads, "CHUNK_FILES", 5)
    monkeypatch.setattr(threads, "FIRST_CHUNK_FILES", 5)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    db = tmp_path / "s.db"
    profiled(forty_masks, db, workers=1).close()
    assert blocks_of(db) == 4
    change(forty_masks / "a" / "mask_0.png", how)
    with ms.scan(forty_masks, classes=7, db=db) as plain:
        assert plain.profile is None
        assert plain.profile_state is not None
        lacking = plain.profile_state.unmeasured
        assert lacking == (10 if how == "changed" else 9)
        with pytest.raises(ProfileError, match=rf"lacks {lacking} masks; type: scan\("):
            plain.need_profile()
    assert blocks_of(db) == 3
    measured.clear()
    scan = profiled(forty_masks, db)
    assert len(set(measured) - {"a/mask_0.png"}) == 9
    assert scan.changes == after(how, seen=True)
    assert content(scan) == content(profiled(forty_masks))


@pytest.mark.parametrize("how", ["changed", "gone", "failed"])
def test_one_run_finds_a_change_and_completes_the_profile(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(recording, "BLOCK_MASKS", 10)
    monkeypatch.setattr(threads, "CHUNK_FILES", 5)
    monkeypatch.setattr(threads, "FIRST_CHUNK_FILES", 5)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    db = tmp_path / "s.db"
    profiled(forty_masks, db, workers=1).close()
    change(forty_masks / "a" / "mask_0.png", how)
    write(forty_masks / "new.png", grey_png([[5, 5]]))
    scan = profiled(forty_masks, db)
    before = after(how, seen=False)
    assert scan.changes == Changes(1, before.changed, before.unchanged, before.gone)
    assert [failure.mask for failure in scan.failures] == ["a/mask_0.png"] * (how == "failed")
    assert content(scan) == content(profiled(forty_masks))


def change(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    else:
        write(path, grey_png([[6, 6, 6], [1, 2, 3]]) if how == "changed" else b"broken")


def after(how: str, *, seen: bool) -> Changes:
    """What a run finds, which is the first one since the change, or where one has `seen` it."""
    if how == "gone":
        return Changes(unchanged=39, gone=0 if seen else 1)
    if how == "failed":  # a mask that failed before counts as new
        return Changes(new=1, unchanged=39) if seen else Changes(changed=1, unchanged=39)
    return Changes(unchanged=40) if seen else Changes(changed=1, unchanged=39)


def test_rescanning_measures_again(forty_masks: Path, tmp_path: Path, measured: list[str]) -> None:
    db = tmp_path / "s.db"
    path = write(forty_masks / "x.png", grey_png([[0, 0]]), stamp=10**18)
    profiled(forty_masks, db).close()
    write(path, grey_png([[6, 6]]), stamp=10**18)  # nothing tells them apart
    measured.clear()
    scan = profiled(forty_masks, db, rescan=True)
    assert len(measured) == 41
    assert scan.changes == Changes(changed=41)
    assert content(scan) == content(profiled(forty_masks))


def test_the_same_name_for_another_source_starts_anew(forty_masks: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    profiled(forty_masks / "a", db, name="mine").close()
    scan = profiled(forty_masks / "b", db, name="mine")
    assert content(scan) == content(profiled(forty_masks / "b"))


# --- interruptions ----------------------------------------------------------------------------


@pytest.mark.parametrize("after_masks", [1, 17, 39])
def test_an_interrupt_keeps_what_was_measured(
    forty_masks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[str],
    after_masks: int,
) -> None:
    monkeypatch.setattr(threads, "CHUNK_FILES", 4)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    db = tmp_path / "s.db"
    with pytest.raises(KeyboardInterrupt):
        profiled(forty_masks, db, on_progress=interrupting(after_masks))
    with ms.open_scan(db) as stopped:
        state = stopped.profile_state
        assert state is not None
        kept = stopped.histogram.mask_count - state.unmeasured
        assert after_masks <= stopped.histogram.mask_count
        assert kept >= after_masks - 4
        assert (stopped.profile is None) == (state.unmeasured > 0)
    measured.clear()
    scan = profiled(forty_masks, db)
    assert len(measured) == 40 - kept
    assert content(scan) == content(profiled(forty_masks))


KILLS, MASKS = 4, 1200


def test_kills_lose_at_most_the_unfinished_block(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    chance = np.random.default_rng(7)
    for number in range(MASKS):
        data = png(chance.integers(0, 5, (3, 4)), 8, [0, 1, 2]) if number % 300 else b"broken"
        write(folder / f"{number % 7}" / f"mask_{number}.png", data)
    db, delays = tmp_path / "killed.db", random.Random(3)
    kept: set[str] = set()
    script = SUPPORT / "slow_profile.py"
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(script), str(folder), str(db)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MASKSTAT_ENGINE": "numpy"},
        )
        assert process.stdout is not None
        with process.stdout as said:
            # Any moment after some blocks more, of 240.
            lines = [said.readline() for _ in range(1 + delays.randint(1, 8))]
            time.sleep(delays.uniform(0, 0.02))
            process.kill()
        assert process.wait() != 0, "the scan was over before it was killed"
        assert set(lines) == {"ready\n", "block\n"}
        names = measured_in(db)
        assert kept < names, "what was committed is gone, or nothing was added"
        kept = names
    assert len(kept) < MASKS - 4
    with ms.open_scan(db) as partial:
        state = partial.profile_state
        assert state is not None
        assert state.unmeasured == partial.histogram.mask_count - len(kept)
    scan = ms.scan(folder, classes=4, db=db, profile=True, grid=4)
    whole = ms.scan(folder, classes=4, profile=True, grid=4)
    assert content(scan) == content(whole)
    assert scan.histogram == whole.histogram
    assert len(scan.failures) == 4


def measured_in(db: Path) -> set[str]:
    """Names of the measured masks in a store that SQLite finds sound."""
    with Store.open(db) as store:
        ok = store._connection.execute("PRAGMA integrity_check").fetchall()
        assert ok == [("ok",)]
        return store.measured(ProfileKey(store.find(), ClassCatalog.numbered(4).digest, 4))


# --- masks that cannot be measured -------------------------------------------------------------


def left_out(scan: Scan) -> dict[str, str]:
    assert scan.profile_state is not None
    assert scan.profile_state.unmeasured == 0
    return {failure.mask: failure.reason for failure in scan.profile_state.left_out}


def test_failures_stay_failures(forty_masks: Path) -> None:
    write(forty_masks / "broken.png", b"broken")
    plain = ms.scan(forty_masks, classes=7)
    scan = profiled(forty_masks)
    assert scan.failures == plain.failures
    assert scan.changes == plain.changes
    assert content(scan) != b""
    with pytest.raises(StrictError, match=r"broken\.png"):
        profiled(forty_masks, strict=True)


def test_files_too_large_to_be_read_whole_are_counted_and_named(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STREAM_ABOVE", 80)
    sizes = {p: p.stat().st_size for p in forty_masks.rglob("*.png")}
    large = {p.relative_to(forty_masks).as_posix() for p, size in sizes.items() if size > 80}
    db = tmp_path / "s.db"
    scan = profiled(forty_masks, db)
    assert 0 < len(large) < 40
    assert set(left_out(scan)) == large
    assert all("read whole" in reason for reason in left_out(scan).values())
    assert scan.histogram == ms.scan(forty_masks, classes=7).histogram
    assert scan.need_profile().mask_count == 40 - len(large)
    with pytest.raises(ProfileError, match=f"{len(large)} masks? could not be measured"):
        scan.need_profile(of_all=True)
    again = profiled(forty_masks, db)
    assert again.changes == Changes(unchanged=40)
    assert left_out(again) == left_out(scan)


def raising(error: BaseException) -> Callable[..., Any]:
    def broken(*_: object) -> Any:
        raise error

    return broken


@pytest.mark.parametrize(
    ("where", "name", "error", "said"),
    [
        (
            formats,
            "read_tally_and_pixels",
            MaskError("9 pixels are more than the limit of 3"),
            "more than the limit",
        ),
        (formats, "read_tally_and_pixels", MemoryError(), "not enough memory"),
        (label_runs, "runs_of", MaskError("more than 7 components"), "7 components"),
        (label_runs, "runs_of", MemoryError(), "not enough memory"),
    ],
)
def test_masks_that_can_be_counted_only_are_named(
    forty_masks: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    error: BaseException,
    said: str,
) -> None:
    monkeypatch.setattr(where, name, raising(error))
    scan = profiled(forty_masks)
    assert scan.failures == ()
    assert scan.histogram == ms.scan(forty_masks, classes=7).histogram
    assert len(left_out(scan)) == 40
    assert all(said in reason for reason in left_out(scan).values())
    assert scan.need_profile() == PixelProfile.empty(scan.catalog, GRID)


def test_a_mask_that_was_readable_once_is_a_failure_now(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db).close()
    path = forty_masks / "a" / "mask_0.png"
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    scan = profiled(forty_masks, db)
    assert scan.changes == Changes(changed=1, unchanged=39)
    assert [failure.mask for failure in scan.failures] == ["a/mask_0.png"]
    assert scan.histogram.mask_count == 39
    assert content(scan) == content(profiled(forty_masks))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": 0}, "1 to 256"),
        ({"grid": 257}, "1 to 256"),
        ({"classes": 5000}, "4,096 classes are the most"),
        ({"classes": 4000, "grid": 200}, "at most grid=91"),
    ],
)
def test_bad_options_touch_nothing(
    forty_masks: Path, tmp_path: Path, options: Any, said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        profiled(forty_masks, tmp_path / "s.db", **options)
    assert not (tmp_path / "s.db").exists()


def test_too_many_inferred_classes_are_counted_but_not_profiled(tmp_path: Path) -> None:
    path = tmp_path / "masks" / "m.npy"
    path.parent.mkdir()
    np.save(path, np.arange(5000, dtype=np.uint16).reshape(50, 100))
    db = tmp_path / "s.db"
    with pytest.raises(ParameterError, match="say with classes which"):
        profiled(path.parent, db, classes=None)
    with ms.open_scan(db) as scan:
        assert scan.histogram.mask_count == 1
        assert scan.info.complete
