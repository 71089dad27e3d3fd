"""Scanning again: nothing decoded twice, nothing kept that is gone, nothing lost when stopped."""

from __future__ import annotations

import gc
import io
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.errors import CatalogError, ParameterError, SourceError, StoreError, StrictError
from maskstat.executors import threads
from maskstat.scanning import recording
from maskstat.scanning.changes import Changes
from maskstat.scanning.recording import Progress
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.tally import MaskTally, TallyTable
from tests.support.scan_cases import digests, grey_png, interrupting, npy, stored_rows, write

# --- scanning again ----------------------------------------------------------------------------


def test_only_what_is_new_or_changed_is_decoded_and_what_is_gone_is_forgotten(
    forty_masks: Path, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db)
    decoded.clear()
    assert ms.scan(forty_masks, classes=7, db=db).changes == Changes(unchanged=40)
    assert decoded == []

    (forty_masks / "a" / "mask_3.png").unlink()
    shutil.rmtree(forty_masks / "b" / "c")
    write(forty_masks / "a" / "mask_0.png", grey_png([[6, 6, 6]]))
    write(forty_masks / "new.png", grey_png([[5]]))
    write(forty_masks / "notes.csv", b"")
    scan = ms.scan(forty_masks, classes=7, db=db)
    assert sorted(decoded) == ["a/mask_0.png", "new.png"]
    assert scan.changes == Changes(new=1, changed=1, unchanged=25, gone=14, skipped=1)
    assert digests(scan) == digests(ms.scan(forty_masks, classes=7))


def test_touching_a_file_is_a_change(forty_masks: Path, tmp_path: Path, decoded: list[str]) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db)
    path = forty_masks / "a" / "mask_0.png"
    stamp = path.stat().st_mtime_ns + 1  # one nanosecond
    os.utime(path, ns=(stamp, stamp))
    if path.stat().st_mtime_ns != stamp:
        pytest.skip("this file system keeps no nanoseconds")
    decoded.clear()
    assert ms.scan(forty_masks, classes=7, db=db).changes == Changes(changed=1, unchanged=39)
    assert decoded == ["a/mask_0.png"]


def test_another_content_of_the_same_size_is_seen_by_its_time(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    path = write(forty_masks / "x.npy", npy(np.zeros((2, 2), np.uint8)))
    assert ms.scan(forty_masks, classes=7, db=db).histogram.pixels[6] > 0
    before = stored_rows(ms.open_scan(db))["x.npy"]
    stamp = path.stat().st_mtime_ns + 1_000_000
    write(path, npy(np.full((2, 2), 6, np.uint8)), stamp=stamp)
    ms.scan(forty_masks, classes=7, db=db)
    assert before == ([0], [4])
    assert stored_rows(ms.open_scan(db))["x.npy"] == ([6], [4])


def test_rescan_decodes_all(forty_masks: Path, tmp_path: Path, decoded: list[str]) -> None:
    db = tmp_path / "s.db"
    path = write(forty_masks / "x.npy", npy(np.zeros((2, 2), np.uint8)), stamp=10**18)
    ms.scan(forty_masks, classes=7, db=db)
    write(path, npy(np.full((2, 2), 6, np.uint8)), stamp=10**18)  # nothing tells them apart
    assert ms.scan(forty_masks, classes=7, db=db).changes == Changes(unchanged=41)
    decoded.clear()
    scan = ms.scan(forty_masks, classes=7, db=db, rescan=True)
    assert scan.changes == Changes(changed=41)
    assert len(decoded) == 41
    assert stored_rows(scan)["x.npy"] == ([6], [4])


def test_the_same_name_for_another_source_trusts_no_stamps(tmp_path: Path) -> None:
    """Equal names, sizes and times with other contents, as archives unpack them."""
    for place, value in (("train", 0), ("val", 6)):
        write(tmp_path / place / "m.npy", npy(np.full((2, 2), value, np.uint8)), stamp=10**18)
    db = tmp_path / "s.db"
    ms.scan(tmp_path / "train", classes=7, db=db, name="mine")
    scan = ms.scan(tmp_path / "val", classes=7, db=db, name="mine")
    assert scan.histogram.pixels.tolist() == [0] * 6 + [4]
    assert scan.source == str(tmp_path / "val")
    assert scan.histogram.mask_count == 1


def test_what_was_kept_of_another_source_is_not_trusted_after_an_interruption(
    tmp_path: Path,
) -> None:
    for place, value in (("train", 0), ("val", 6)):
        for n in range(40):
            array = np.full((2, 2), value, np.uint8)
            write(tmp_path / place / f"m{n}.npy", npy(array), stamp=10**18)
    db = tmp_path / "s.db"
    ms.scan(tmp_path / "train", classes=7, db=db, name="mine")
    with pytest.raises(KeyboardInterrupt):
        ms.scan(tmp_path / "val", classes=7, db=db, name="mine", on_progress=interrupting(1))
    scan = ms.scan(tmp_path / "val", classes=7, db=db, name="mine")
    assert scan.histogram.pixels.tolist() == [0] * 6 + [160]


def test_a_source_that_became_empty_leaves_the_scan_as_it_was(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    expected = digests(ms.scan(forty_masks, classes=7, db=db))
    shutil.rmtree(forty_masks)
    forty_masks.mkdir()
    with pytest.raises(SourceError, match="no masks found"):
        ms.scan(forty_masks, classes=7, db=db)
    assert digests(ms.open_scan(db)) == expected


def test_totals_are_never_those_of_an_earlier_run(forty_masks: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    _ = ms.scan(forty_masks, classes=7, db=db).histogram
    write(forty_masks / "new.png", grey_png([[6, 6]]))
    ms.scan(forty_masks, classes=7, db=db)
    assert ms.open_scan(db).histogram == ms.scan(forty_masks, classes=7).histogram


# --- interruptions -----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 17, 33, 40])
def test_an_interrupt_keeps_what_is_counted_and_the_next_run_goes_on(
    forty_masks: Path, tmp_path: Path, decoded: list[str], after: int
) -> None:
    db = tmp_path / "s.db"
    with pytest.raises(KeyboardInterrupt):
        ms.scan(forty_masks, classes=7, db=db, on_progress=interrupting(after))
    stopped = ms.open_scan(db)
    kept = stopped.histogram.mask_count
    assert after <= kept <= 40
    assert not stopped.info.complete
    decoded.clear()
    scan = ms.scan(forty_masks, classes=7, db=db)
    assert len(decoded) == 40 - kept
    assert scan.changes == Changes(new=40 - kept, unchanged=kept)
    assert scan.info.complete
    assert digests(scan) == digests(ms.scan(forty_masks, classes=7))


def test_no_result_waits_a_second_for_its_commit(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of our own: each chunk of one mask takes 0.3 s."""
    now = [0.0]
    counted_at: list[float] = []
    committed = [0]
    ages: list[float] = []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    def on_progress(progress: Progress) -> None:
        counted_at.extend([now[0]] * (progress.done - len(counted_at)))
        now[0] += 0.3

    real = Store.write

    def write_rows(
        store: Store, info: ScanInfo, fresh: list[StoredMask], failed: Sequence[Failure] = ()
    ) -> TallyTable:
        ages.extend(now[0] - at for at in counted_at[committed[0] :])
        committed[0] += len(fresh)
        return real(store, info, fresh, failed)

    monkeypatch.setattr(recording, "time", Clock)
    monkeypatch.setattr(threads, "CHUNK_FILES", 1)
    monkeypatch.setattr(Store, "write", write_rows)
    ms.scan(forty_masks, classes=7, db=tmp_path / "s.db", on_progress=on_progress)
    assert committed == [40]
    assert len(ages) == 40
    assert max(ages) <= 1.0


# --- options -----------------------------------------------------------------------------------


def test_leave_to_count_lossy_files_can_be_withdrawn(forty_masks: Path, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(stream, "JPEG")
    write(forty_masks / "x.jpg", stream.getvalue())
    db = tmp_path / "s.db"
    allowed = ms.scan(forty_masks, classes=7, db=db, allow_lossy=True)
    assert allowed.histogram.mask_count == 41
    for _ in range(2):
        strict = ms.scan(forty_masks, classes=7, db=db)
        assert strict.histogram.mask_count == 40
        assert [failure.mask for failure in strict.failures] == ["x.jpg"]
    assert ms.scan(forty_masks, classes=7, db=db, allow_lossy=True).histogram == allowed.histogram


def test_colour_masks_need_a_catalogue_with_colours_in_every_run(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0] = 128, 64, 192
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    write(tmp_path / "masks" / "m.png", stream.getvalue())
    write(tmp_path / "masks" / "n.png", grey_png([[1, 0]]))
    coloured = ClassCatalog(
        (ClassInfo(0, "void", (0,), (0,)), ClassInfo(1, "road", (1,), (0x8040C0,)))
    )
    db = tmp_path / "s.db"
    first = ms.scan(tmp_path / "masks", classes=coloured, db=db)
    assert first.histogram.pixels.tolist() == [4, 4]
    plain = ms.scan(tmp_path / "masks", classes=2, db=db)
    assert [failure.mask for failure in plain.failures] == ["m.png"]
    assert plain.histogram.pixels.tolist() == [1, 1]
    again = ms.scan(tmp_path / "masks", classes=coloured, db=db)
    assert again.failures == ()
    assert again.histogram == first.histogram


def test_include_and_exclude_decide_what_belongs_to_the_scan(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db)
    scan = ms.scan(forty_masks, classes=7, db=db, exclude=["b"])
    assert scan.changes is not None
    assert (scan.changes.unchanged, scan.changes.gone) == (14, 26)
    assert scan.histogram == ms.scan(forty_masks / "a", classes=7).histogram


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"workers": 0}, ParameterError, "at least one worker"),
        ({"classes": 0}, CatalogError, "number of classes"),
        ({"classes": "no such thing"}, CatalogError, "neither a number"),
        ({"ignore": ["x"]}, ParameterError, "'x' is neither"),
        ({"ignore": ["#12"]}, ParameterError, "'#12' is neither"),
        ({"ignore": ["1.5"]}, ParameterError, "'1.5' is neither"),
        ({"ignore": [2**64]}, ParameterError, "no value that a pixel can have"),
        ({"include": ["*.nothing"]}, SourceError, "no masks found"),
    ],
)
def test_bad_options_touch_nothing(
    forty_masks: Path, tmp_path: Path, options: Any, error: type[Any], said: str
) -> None:
    with pytest.raises(error, match=said):
        ms.scan(forty_masks, db=tmp_path / "s.db", **options)
    with pytest.raises(StoreError):
        ms.open_scan(tmp_path / "s.db")


def test_nothing_to_scan(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        ms.scan(tmp_path / "missing", classes=2)
    write(tmp_path / "masks" / "notes.txt", b"x")
    with pytest.raises(SourceError, match=r"no masks found \(1 file of other kinds\)"):
        ms.scan(tmp_path / "masks", classes=2, db=tmp_path / "s.db")
    assert not (tmp_path / "s.db").exists()


# --- names of scans ----------------------------------------------------------------------------


def one_mask(path: Path, value: int = 0) -> Path:
    write(path / "m.png", grey_png([[value]]))
    return path


def names_in(db: Path) -> list[str]:
    with Store.open(db) as store:
        return sorted(info.name for info in store.scans())


def test_folders_of_the_same_name_get_names_of_their_own(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    places = [one_mask(tmp_path / place / "masks") for place in ("train", "val", "x/train")]
    assert [ms.scan(place, classes=2, db=db).name for place in places] == [
        "masks",
        "val-masks",
        "train-masks",
    ]
    # Each is found again, whatever the order.
    assert [ms.scan(place, classes=2, db=db).name for place in places[::-1]] == [
        "train-masks",
        "val-masks",
        "masks",
    ]
    assert names_in(db) == ["masks", "train-masks", "val-masks"]


def test_numbers_where_parents_do_not_help(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    place = one_mask(tmp_path / "masks")
    parts = place.parent.parts[1:]
    taken = ["masks", *("-".join((*parts[at:], "masks")) for at in range(len(parts)))]
    other = one_mask(tmp_path / "other")
    for name in taken:
        ms.scan(other, classes=2, db=db, name=name)
    assert ms.scan(place, classes=2, db=db).name == "masks-2"


def test_a_named_scan_is_not_touched_by_a_run_without_the_name(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    ms.scan(forty_masks, classes=7, db=db, name="only-a", include=["a/*"])
    ms.scan(forty_masks, classes=7, db=db)
    assert names_in(db) == ["masks", "only-a"]
    assert ms.open_scan(db, "only-a").histogram.mask_count == 14
    assert ms.open_scan(db).name == "masks"


def test_scans_of_one_store_are_independent(forty_masks: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    a = ms.scan(forty_masks / "a", classes=7, db=db)
    b = ms.scan(forty_masks / "b", classes=7, db=db)
    assert a.histogram + b.histogram == ms.scan(forty_masks, classes=7).histogram
    assert ms.open_scan(db, "a").histogram == a.histogram


def test_totals_of_a_whole_run_are_those_of_its_rows(
    forty_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one run counted everything, nothing is read back; where not, everything is."""
    db = tmp_path / "s.db"
    write(forty_masks / "broken.png", b"no image")
    read = []
    tables = Store.tables
    monkeypatch.setattr(Store, "tables", lambda *a, **k: read.append(1) or tables(*a, **k))

    def totals(**options: object) -> ms.ClassHistogram:
        read.clear()
        return ms.scan(forty_masks, db=db, **options).histogram  # type: ignore[arg-type]

    first = totals(classes=7)
    assert not read
    assert first == totals(classes=7, rescan=True)
    assert not read
    for changed in ("a/mask_0.png", "new.png"):
        write(forty_masks / changed, grey_png([[5, 5]]))
        found = totals(classes=7)
        assert read
        monkeypatch.setattr(recording, "FLUSH_MASKS", 3)
        assert found == totals(classes=7, rescan=True)
        assert not read
    assert found == totals() and read  # inferred: classes are known when all is counted


def test_totals_are_not_kept_where_somebody_else_wrote_too(
    forty_masks: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    other = forty_masks.parent / "other.png"
    write(other, grey_png([[3, 3, 3]]))
    pixels = ms.scan(forty_masks, classes=7).histogram.total_pixels
    scan = ms.scan(other, classes=7)
    (row,) = scan.tables()
    done: list[int] = []

    def interfere(progress: Progress) -> None:
        if not done:
            done.append(1)
            with Store.open(db) as store:
                tally = MaskTally("other.png", (1, 3), row.encodings[0], row.values, row.counts)
                store.write(store.find(), [StoredMask(tally, 1, 1)])

    found = ms.scan(forty_masks, classes=7, db=db, on_progress=interfere)
    assert done
    assert found.histogram.total_pixels == pixels + 3


@pytest.mark.parametrize("end", ["done", "strict", "interrupted"])
def test_the_interpreter_is_left_as_it_was(forty_masks: Path, end: str) -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    during: list[object] = []

    def look(progress: Progress) -> None:
        during.append((sys.getswitchinterval(), gc.get_threshold()))
        if end == "interrupted":
            raise KeyboardInterrupt

    if end == "strict":
        write(forty_masks / "broken.png", b"no image")
    errors = {"strict": StrictError, "interrupted": KeyboardInterrupt}
    with pytest.raises(errors[end]) if end in errors else nullcontext():
        ms.scan(forty_masks, classes=7, strict=end == "strict", on_progress=look)
    assert end == "strict" or before not in during
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
