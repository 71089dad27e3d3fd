"""Planes that are masks each: what a scan of N files says, however and wherever they are packed."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.executors import threads
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting, plane_entries
from maskstat.scanning.changes import Changes
from maskstat.scanning.counting import Counter
from maskstat.scanning.plane_entries import PlaneEntry, planes_of
from maskstat.sources import reading_ahead
from maskstat.sources.archives import tars
from maskstat.sources.base import Selection
from maskstat.sources.opening import open_source
from maskstat.store.records import Failure, StoredMask
from tests.support.scan_cases import digests, interrupting, stored_rows, write
from tests.support.source_cases import SOURCES, Files
from tests.support.stack_cases import STACKS, Stack, npy, npz_deflated, stack_of, zarr

CLASSES = 5
Build = Callable[[Path, Files], str]
each_format = pytest.mark.parametrize("name", STACKS)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose planes were read, each time one was opened for that."""
    names: list[str] = []
    real = plane_entries.OpenFile._open

    def open_it(file: Any, entry: PlaneEntry, options: ReadOptions) -> None:
        names.append(entry.file.name)
        real(file, entry, options)

    monkeypatch.setattr(plane_entries.OpenFile, "_open", open_it)
    return names


def files_of(stack: Stack, folder: Path) -> Files:
    return {f"{at:03}.npy": npy(plane, folder) for at, plane in enumerate(stack)}


def in_folder(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        write(folder / name, data)
    return folder


def counts_of(stack: Stack) -> np.ndarray[Any, Any]:
    """[planes, classes], by NumPy alone."""
    return np.stack([np.bincount(plane.ravel().astype(int), minlength=CLASSES) for plane in stack])


@pytest.mark.parametrize("seed", [0, 1])
@each_format
def test_counts_and_weights_are_those_of_as_many_files(
    name: str, seed: int, tmp_path: Path
) -> None:
    """Image counts, median frequency and PyTorch's equal cost, by other means than ours too."""
    stack = stack_of(seed, planes=9)
    packed = in_folder({name: STACKS[name](stack, tmp_path)}, tmp_path / "packed")
    files = in_folder(files_of(stack, tmp_path), tmp_path / "files")
    one, n = ms.scan(packed, classes=CLASSES, pages="each"), ms.scan(files, classes=CLASSES)
    with one, n:
        assert one.failures == n.failures == ()
        assert one.ledger.names == tuple(f"{name}#{at + 1}" for at in range(9))
        counts = counts_of(stack)
        assert one.histogram.counts_digest() == n.histogram.counts_digest()
        assert one.histogram.mask_count == 9
        assert one.histogram.masks.tolist() == (counts > 0).sum(0).tolist()
        assert one.histogram.pixels.tolist() == counts.sum(0).tolist()
        areas = np.where(counts > 0, counts.sum(1, keepdims=True), 0).sum(0)
        frequency = counts.sum(0) / areas
        median = one.weights("median-frequency").weights
        np.testing.assert_allclose(median, np.median(frequency) / frequency, rtol=1e-12)
        for options in ({"scheme": "median-frequency"}, {"average": "batch", "batch_size": 1}):
            assert np.array_equal(one.weights(**options).weights, n.weights(**options).weights)
        weights = np.array(one.weights(average="batch", batch_size=1).weights)
        shares = weights * counts / (weights * counts).sum(1, keepdims=True)
        np.testing.assert_allclose(shares.mean(0), 1 / CLASSES, rtol=1e-6)
    with ms.scan(packed / name, classes=CLASSES, pages="all") as whole:
        assert whole.histogram.mask_count == 1
        assert whole.histogram.pixels.tolist() == counts.sum(0).tolist()


@pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
def test_every_source_gives_planes_once_unpacked(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    """Carried or read again, by any number of threads, looked at again, in another process."""
    stacks = {f"{'abc'[at % 3]}/{at}.npy": stack_of(at, planes=3 + at) for at in range(5)}
    files = {name: npy(stack, tmp_path) for name, stack in stacks.items()}
    files["c/single.npy"] = npy(stack_of(9)[0], tmp_path)
    where = build(tmp_path / "a", files)
    expected = sorted([*np.concatenate([counts_of(s) for s in stacks.values()]).tolist()])
    single = counts_of(stack_of(9))[0].tolist()
    for workers, room in ((1, None), (4, None), (3, 1)):
        if room is not None:
            monkeypatch.setattr(reading_ahead.read_ahead, "__kwdefaults__", {"room": room})
            monkeypatch.setattr(tars, "CARRIED_MAX", 0)
        opened.clear()
        with ms.scan(where, classes=CLASSES, pages="each", workers=workers, include="*") as scan:
            assert scan.failures == ()
            rows = stored_rows(scan)
            dense = [np.bincount(v, c, CLASSES).astype(int).tolist() for v, c in rows.values()]
            assert sorted(dense) == sorted([*expected, single])
            assert sum("#" in name for name in rows) == len(expected)
            assert len(opened) == len(stacks)
            again = pickle.loads(pickle.dumps([e for e in scan.entries() if "#" in e.name]))
            assert len(again) == len(expected)
            counter = Counter(ReadOptions(pages="each"))
            for entry in again[::-3]:
                outcome = pickle.loads(pickle.dumps(counter)).count(entry)
                assert isinstance(outcome, StoredMask)
                assert outcome.tally.values.tolist() == rows[entry.name][0]
                assert outcome.tally.counts.tolist() == rows[entry.name][1]


def test_files_that_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they can be read in any order their planes are many threads' work."""
    stack = stack_of(4, planes=40)
    packed = in_folder({n: make(stack, tmp_path) for n, make in STACKS.items()}, tmp_path / "p")
    source = SOURCES["zip"](tmp_path / "z", {n: (packed / n).read_bytes() for n in STACKS})
    expected = counts_of(stack).sum(0) * len(STACKS)
    monkeypatch.setattr(plane_entries, "READ_WHOLE", 0)
    monkeypatch.setattr(counting, "STREAM_ABOVE", 0)
    monkeypatch.setattr(threads, "CHUNK_FILES", 3)
    together = {
        entry.file.name
        for entry in planes_of(
            open_source(packed, Selection(include=("*",))).entries(), ReadOptions(pages="each")
        )
        if isinstance(entry, PlaneEntry) and entry.together
    }
    apart = {
        "a.npy",
        "a.tif",
        "a.nii",
        "a.nrrd",
        "a.mha",
        "flat.zarr.zip",
        "a.h5",
        "deep.h5",
        "flat.h5",
    }
    assert together == STACKS.keys() - apart
    for where in (packed, source):
        with ms.scan(where, classes=CLASSES, pages="each", workers=3) as scan:
            assert scan.failures == ()
            assert scan.histogram.mask_count == 40 * len(STACKS)
            assert scan.histogram.pixels.tolist() == expected.tolist()


def test_a_zarr_folder_is_a_file_of_planes(tmp_path: Path) -> None:
    stack = stack_of(5)
    made = zarr.create_array(
        tmp_path / "d" / "s.zarr", shape=stack.shape, dtype=stack.dtype, chunks=(2, 5, 5)
    )
    made[...] = stack
    with ms.scan(tmp_path / "d", classes=CLASSES, pages="each") as scan:
        assert scan.ledger.names == tuple(f"s.zarr#{at + 1}" for at in range(len(stack)))
        assert scan.histogram.pixels.tolist() == counts_of(stack).sum(0).tolist()
        assert len([*scan.entries()]) == len(stack)
    with ms.scan(tmp_path / "d" / "s.zarr", classes=CLASSES, pages="each") as scan:
        assert scan.ledger.names[0] == "s.zarr#1"


def test_a_changed_file_recounts_its_planes_and_those_that_are_gone_leave(
    tmp_path: Path, opened: list[str]
) -> None:
    folder, db = tmp_path / "d", tmp_path / "s.db"
    stacks = {"a.npy": stack_of(1, planes=6), "b.npy": stack_of(2, planes=4)}
    in_folder({name: npy(stack, tmp_path) for name, stack in stacks.items()}, folder)

    def scanned() -> ms.Scan:
        return ms.scan(folder, classes=CLASSES, db=db, pages="each", include="*")

    scanned().close()
    opened.clear()
    again = scanned()
    assert (again.changes, opened) == (Changes(unchanged=10), [])
    write(folder / "a.npy", npy(stacks["a.npy"][:4][::-1], tmp_path))
    write(folder / "c.npy", npy(stacks["a.npy"][0], tmp_path))
    after = scanned()
    assert after.changes == Changes(new=1, changed=4, unchanged=4, gone=2)
    assert opened == ["a.npy"]
    assert digests(after) == digests(ms.scan(folder, classes=CLASSES, pages="each"))
    os.unlink(folder / "b.npy")
    write(folder / "a.npy", npy(stacks["a.npy"][0], tmp_path))  # one plane has no number
    after = scanned()
    assert after.changes == Changes(new=1, unchanged=1, gone=8)
    # Read in another way all are other masks.
    write(folder / "a.npy", npy(stacks["a.npy"], tmp_path))
    one = ms.scan(folder, classes=CLASSES, db=db, pages="all")
    assert one.ledger.names == ("a.npy", "c.npy")
    back = scanned()
    assert back.changes == Changes(new=6, changed=1, gone=1)


def test_an_interrupted_scan_goes_on_within_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of(3, planes=50)
    folder = in_folder({"a.npz": npz_deflated(stack, tmp_path)}, tmp_path / "d")
    db = tmp_path / "s.db"
    monkeypatch.setattr(threads, "_PATIENCE", -1.0)
    with pytest.raises(KeyboardInterrupt):
        ms.scan(
            folder, classes=CLASSES, db=db, pages="each", workers=1, on_progress=interrupting(7)
        )
    with ms.open_scan(db) as stopped:
        kept = stopped.histogram.mask_count
        assert 7 <= kept < 50
    scan = ms.scan(folder, classes=CLASSES, db=db, pages="each")
    assert scan.changes == Changes(new=50 - kept, unchanged=kept)
    assert digests(scan) == digests(ms.scan(folder, classes=CLASSES, pages="each"))


def test_pixels_are_measured_and_looked_at_plane_by_plane(
    tmp_path: Path, opened: list[str]
) -> None:
    """Profile, duplicates, leakage, examples of the report: as of as many files."""
    stack = stack_of(6, planes=8)
    stack[5] = stack[2]
    packed = in_folder({"a.npz": npz_deflated(stack, tmp_path)}, tmp_path / "packed")
    files = in_folder(files_of(stack, tmp_path), tmp_path / "files")
    options: dict[str, Any] = {"classes": CLASSES, "profile": True, "grid": 4, "include": "*"}
    with (
        ms.scan(packed, pages="each", db=tmp_path / "s.db", **options) as one,
        ms.scan(files, **options) as n,
    ):
        assert one.profile is not None and n.profile is not None
        assert np.array_equal(one.profile.components, n.profile.components)
        assert np.array_equal(one.profile.heat, n.profile.heat)
        assert opened == ["a.npz"]
        found = {finding.kind: finding.files for finding in one.check().findings}
        assert found["duplicate"] == ("a.npz#3", "a.npz#6")
        assert found.keys() == {finding.kind for finding in n.check().findings}
        opened.clear()
        report = one.report(examples=2)
        assert report.count("data:image/png") == n.report(examples=2).count("data:image/png") > 0
        assert opened == ["a.npz"] * 2  # to compare masks, and to picture them
        leaks = {f.kind: f.count for f in n.check(against=one).findings}
        assert leaks["leakage"] == 7  # the second plane has one value and tells nothing


def test_stacks_of_two_images_are_no_siblings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        stack = np.stack([rng.integers(0, 2, (9, 9)), rng.integers(3, 9, (9, 9))]).astype("u1")
        write(tmp_path / f"{name}.npy", npy(stack, tmp_path))
    with ms.scan(tmp_path, classes=9, pages="each") as scan:
        assert scan.histogram.mask_count == 6
        assert not [f for f in scan.check().findings if f.kind == "siblings"]


def test_planes_are_the_same_masks_wherever_their_file_is_named(tmp_path: Path) -> None:
    """Scans of a folder, a pattern, a list and the file merge, and each plane counts once."""
    stack = stack_of(7)
    folder = in_folder({"a.npy": npy(stack, tmp_path)}, tmp_path / "d")
    write(tmp_path / "list.txt", b"d/a.npy\n")
    places: list[Any] = [folder, folder / "a.npy", str(folder / "*.npy"), tmp_path / "list.txt"]
    stores = []
    for at, where in enumerate([*places, [folder / "a.npy"]]):
        stores.append(tmp_path / f"{at}.db")
        ms.scan(where, classes=CLASSES, db=stores[-1], pages="each").close()
    merged = ms.merge(stores, tmp_path / "all.db")
    assert (merged.mask_count, merged.overlapping) == (len(stack), 4 * len(stack))
    assert merged.histogram.pixels.tolist() == counts_of(stack).sum(0).tolist()
    assert {entry.name.rpartition("/")[2] for entry in merged.entries()} == {
        f"a.npy#{at + 1}" for at in range(len(stack))
    }


def test_splits_are_those_of_the_files(tmp_path: Path) -> None:
    for at, split in enumerate(("train", "val")):
        write(tmp_path / split / "a.npy", npy(stack_of(at, planes=3 + at), tmp_path))
    with ms.scan_splits(tmp_path, classes=CLASSES, pages="each") as splits:
        assert {name: scan.histogram.mask_count for name, scan in splits.items()} == {
            "train": 3,
            "val": 4,
        }


def test_what_fails_has_one_reason_a_file_and_the_rest_counts(tmp_path: Path) -> None:
    stack = stack_of(8, planes=3).astype("<f4")
    stack[1, 2, 3] = 0.5
    write(tmp_path / "half.npy", npy(stack, tmp_path))
    write(tmp_path / "cut.npy", npy(stack, tmp_path)[:-1])
    write(tmp_path / "none.npy", b"\x93NUMPY nonsense")
    # Called like a plane, as another file is: one of both counts, the other says so.
    write(tmp_path / "half.npy#1", npy(stack[0], tmp_path))
    with ms.scan(tmp_path, classes=CLASSES, pages="each", include="*") as scan:
        reasons = {failure.mask: failure.reason for failure in scan.failures}
        assert reasons.keys() == {"half.npy#2", "cut.npy", "none.npy", "half.npy#1 (2)"}
        assert "value 0.5" in reasons["half.npy#2"]
        assert "bytes of pixels where its header says" in reasons["cut.npy"]
        assert scan.histogram.mask_count == 2


def test_a_file_that_changes_while_it_is_scanned_fails(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", npy(stack_of(1, planes=3), tmp_path))
    files = open_source(tmp_path, Selection(include=("*",))).entries()
    entries = [*planes_of(files, ReadOptions(pages="each"))]
    write(tmp_path / "a.npy", npy(stack_of(1, planes=4), tmp_path))
    counter = Counter(ReadOptions(pages="each"))
    for outcome in counter(entries):
        assert isinstance(outcome, Failure)
        assert "another number of planes than when it was listed" in outcome.reason


def test_without_a_word_both_readings_are_named(tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz", "a.tif"):
        write(tmp_path / name, STACKS[name](stack_of(0), tmp_path))
    with ms.scan(tmp_path, classes=CLASSES) as scan:
        assert len(scan.failures) == 3
        for failure in scan.failures:
            assert "pages='each'" in failure.reason
            assert "pages='all'" in failure.reason or "pages=all|first|N" in failure.reason
    shutil.copy(tmp_path / "a.npy", tmp_path / "b.npy")
    volume = write(tmp_path / "v" / "a.nii", STACKS["a.nii"](stack_of(0), tmp_path))
    with ms.scan(volume, classes=CLASSES) as scan:
        assert scan.histogram.mask_count == 1


def test_files_without_planes_are_opened_and_not_decoded_twice(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "open_planes_folder", None)
    for at in range(20):
        write(tmp_path / f"{at}.npy", npy(stack_of(at)[0], tmp_path))
    with ms.scan(tmp_path, classes=CLASSES, pages="each") as scan:
        assert len(decoded) == scan.histogram.mask_count == 20
