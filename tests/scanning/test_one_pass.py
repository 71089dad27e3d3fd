"""A profile and what recipes make of masks come from one decode, as from passes of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import maskstat as ms
from maskstat.api.scan import Scan
from maskstat.errors import ExposureError, ParameterError
from maskstat.executors import threads
from maskstat.exposure import mask_exposure
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Rescaling
from maskstat.regions.profile_bytes import to_bytes
from maskstat.scanning import exposing, measuring, pipeline, recording
from maskstat.scanning.changes import Changes
from maskstat.scanning.request import ScanRequest
from tests.support.paths import SUPPORT
from tests.support.scan_cases import grey_png, interrupting, pixels_of, write

GRID = 5
PLAIN = Recipe(crop=(5, 4))
SCALED = Recipe(crop=(6, 6), scale=Rescaling(ratios=(0.5, 2.0)), cat_max_ratio=0.75)


def rows(scan: Any, recipe: Recipe) -> dict[str, bytes]:
    digest, store = exposing.digest_of(scan.catalog, recipe), scan._store
    names = sorted(store.exposed(scan.info, digest))
    return {name: data for name, _, data in store.exposed_masks(scan.info, digest, names)}


def everything(scan: Any, *recipes: Recipe) -> tuple[object, ...]:
    """All that is kept of the pixels."""
    profile = to_bytes(scan.need_profile(of_all=True))
    return scan.histogram, profile, *(rows(scan, recipe) for recipe in recipes)


def apart(folder: Path, *recipes: Recipe, presence: bool = False) -> tuple[object, ...]:
    """The same from passes of their own."""
    with ms.scan(folder, classes=7, profile=True, grid=GRID) as scan:
        for recipe in recipes:
            scan.exposure(recipe, presence=presence)
        found = everything(scan, *recipes)
    assert all(len(part) == 40 for part in found[2:])  # type: ignore[arg-type]
    return found


def together(folder: Path, db: Path | None = None, **options: Any) -> Scan:
    said = {"classes": 7, "profile": True, "grid": GRID, "recipe": PLAIN, **options}
    return ms.scan(folder, db=db, **said)


@pytest.mark.parametrize(("workers", "chunk", "block"), [(1, 1, 1), (5, 7, 3), (2, 32, 1000)])
def test_threads_chunks_and_blocks_change_nothing(
    forty_masks: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[str],
    workers: int,
    chunk: int,
    block: int,
) -> None:
    expected = apart(forty_masks, PLAIN, presence=True)
    monkeypatch.setattr(threads, "CHUNK_FILES", chunk)
    monkeypatch.setattr(recording, "BLOCK_MASKS", block)
    measured.clear()
    with together(forty_masks, workers=workers, presence=True) as scan:
        assert everything(scan, PLAIN) == expected
        assert scan.exposure(PLAIN, presence=True).counts.chance is not None
    assert len(measured) == len(set(measured)) == 40


def test_any_number_of_recipes(forty_masks: Path, measured: list[str]) -> None:
    expected = apart(forty_masks, PLAIN, SCALED)
    measured.clear()
    asked = ScanRequest.of(forty_masks, classes=7, profile=True, grid=GRID)
    with pipeline.scan(replace(asked, recipes=(PLAIN, SCALED))) as scan:
        assert everything(scan, PLAIN, SCALED) == expected
    assert len(measured) == 40


def test_each_looks_only_at_what_it_lacks(
    forty_masks: Path, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    db, worked_out = tmp_path / "s.db", list[str]()
    real = mask_exposure.expose

    def expose(*arguments: Any, name: str, **options: Any) -> Any:
        worked_out.append(name)
        return real(*arguments, name=name, **options)

    monkeypatch.setattr(mask_exposure, "expose", expose)
    expected = apart(forty_masks, PLAIN)
    ms.scan(forty_masks, classes=7, profile=True, grid=GRID, db=db).close()
    with ms.scan(forty_masks, classes=7, recipe=PLAIN, db=db) as scan:
        assert everything(scan, PLAIN) == expected
        assert scan.changes == Changes(unchanged=40)
    measured.clear()
    worked_out.clear()
    together(forty_masks, db).close()
    assert measured == worked_out == []
    # One new mask, one that changed and takes its block of the profile with it.
    write(forty_masks / "new.png", grey_png(pixels_of(77)))
    write(forty_masks / "a" / "mask_0.png", grey_png(pixels_of(78)), stamp=2 * 10**18)
    with together(forty_masks, db) as scan, together(forty_masks) as fresh:
        assert everything(scan, PLAIN) == everything(fresh, PLAIN)
    assert sorted(worked_out[:2]) == ["a/mask_0.png", "new.png"]
    assert len(worked_out) == 2 + 41


@pytest.mark.parametrize("after", [1, 9, 33])
def test_what_an_interrupt_leaves_is_gone_on_with(
    forty_masks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[str],
    after: int,
) -> None:
    expected = apart(forty_masks, PLAIN)
    db = tmp_path / "s.db"
    monkeypatch.setattr(threads, "CHUNK_FILES", 4)
    monkeypatch.setattr(measuring, "PART_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        together(forty_masks, db, on_progress=interrupting(after))
    with ms.open_scan(db) as scan:
        done = len(rows(scan, PLAIN))
    assert done >= after
    measured.clear()
    with together(forty_masks, db) as scan:
        assert everything(scan, PLAIN) == expected
    assert len(measured) == 40 - done


def test_a_kill_loses_what_was_not_committed_and_nothing_else(tmp_path: Path) -> None:
    masks, db, small = tmp_path / "m", tmp_path / "s.db", Recipe(crop=(2, 3))
    for n in range(600):
        write(masks / f"{n % 7}" / f"{n}.png", grey_png(pixels_of(n, 4)))
    with ms.scan(masks, classes=4, profile=True, grid=4) as scan:
        scan.exposure(small)
        expected = everything(scan, small)
    found: dict[str, bytes] = {}
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(SUPPORT / "slow_exposure.py"), str(db), str(masks)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout as said:
            assert {said.readline() for _ in range(3)} == {"kept\n"}
            process.kill()
        assert process.wait() != 0, "it was over before it was killed"
        with ms.open_scan(db) as scan:
            now = rows(scan, small)
        assert found.items() < now.items()
        found = now
    assert len(found) < 600
    with ms.scan(masks, classes=4, db=db, profile=True, grid=4, recipe=small) as scan:
        assert everything(scan, small) == expected


def test_inferred_classes_take_a_second_pass(forty_masks: Path, measured: list[str]) -> None:
    with together(forty_masks, classes=None) as scan:
        assert len(measured) == 40
        known = len(scan.catalog)
        assert known
        with together(forty_masks, classes=known) as declared:
            assert rows(scan, PLAIN) == rows(declared, PLAIN)
    with pytest.raises(ParameterError, match="padding: 9 is the index of no class"):
        together(forty_masks, classes=None, recipe={"crop": 5, "padding": 9})


def test_splits(tmp_path: Path, measured: list[str]) -> None:
    for n in range(12):
        write(tmp_path / "m" / ("train", "val")[n % 2] / f"{n}.png", grey_png(pixels_of(n)))
    with ms.scan_splits(tmp_path / "m", classes=7, profile=True, recipe=PLAIN) as splits:
        assert len(measured) == 12
        for scan in splits.values():
            assert len(scan.exposure(PLAIN, stored=True).counts.names) == 6
            scan.need_profile(of_all=True)


@pytest.mark.parametrize("times", [1, 2])
def test_memory_that_runs_out_in_one_adds_nothing_twice_to_another(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Read once more alone, and where that is too little left out of the one that lacks it."""
    expected = apart(forty_masks, PLAIN)
    real, left = mask_exposure.expose, [times]

    def short(*arguments: Any, name: str, **options: Any) -> Any:
        if name == "a/mask_0.png" and left[0]:
            left[0] -= 1
            raise MemoryError
        return real(*arguments, name=name, **options)

    monkeypatch.setattr(mask_exposure, "expose", short)
    with together(forty_masks) as scan:
        if times == 1:
            assert everything(scan, PLAIN) == expected
            return
        assert everything(scan) == expected[:2]
        assert rows(scan, PLAIN).keys() == expected[2].keys() - {"a/mask_0.png"}  # type: ignore[attr-defined]
        (one,) = scan.exposure(PLAIN, stored=True, allow_incomplete=True).left_out
        assert (one.mask, one.reason) == ("a/mask_0.png", "not enough memory to measure it")
        assert len(scan.exposure(PLAIN).counts.names) == 40  # it is tried again


def test_masks_that_become_too_large_have_a_profile(forty_masks: Path, measured: list[str]) -> None:
    huge = {"crop": 1 << 16, "scale": {"law": "steps", "ratios": [100.0], "of": "fit"}}
    huge["scale"]["base"] = [1 << 15, 1 << 15]  # type: ignore[index]
    with together(forty_masks, recipe=huge) as scan:
        assert scan.need_profile(of_all=True).mask_count == 40
        assert len(scan.exposure(huge, stored=True, allow_incomplete=True).left_out) == 40
    assert len(measured) == 40  # and none is tried again at once


def test_what_goes_together() -> None:
    for options, words in (
        ({"presence": True}, "presence: goes with recipe"),
        ({"crop": 0}, "crop: 0 is no size"),
        ({"recipe": {"crop": 5, "padding": 9}}, "padding: 9 is the index of no class"),
    ):
        with pytest.raises(ParameterError) as caught:
            ScanRequest.of(".", classes=7, **options)  # type: ignore[arg-type]
        assert words in str(caught.value).replace("\x1f", "")


def test_rows_are_of_the_classes_that_were_asked_for(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    with together(forty_masks, ignore=[3]) as scan:
        assert scan.exposure(PLAIN, stored=True).frequency[3] == 0
        with pytest.raises(ExposureError):
            scan.under(7).exposure(PLAIN, stored=True)
    assert decoded == []
