"""Scans: every file counted or listed as failed, the same however the work is spread."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat.errors import StrictError
from maskstat.executors import threads
from maskstat.naming import natural_key
from maskstat.readers import formats
from maskstat.scanning import counting
from maskstat.scanning.changes import Changes
from maskstat.scanning.recording import Progress
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import MaskTally
from tests.support.oracles import plain_counts
from tests.support.paths import SAMPLES
from tests.support.scan_cases import GREY, digests, grey_png, npy, pixels_of, write

# --- the counts --------------------------------------------------------------------------------


def test_a_scan_counts_what_a_plain_loop_counts(forty_masks: Path) -> None:
    names = sorted(
        (p.relative_to(forty_masks).as_posix() for p in forty_masks.rglob("*.png")), key=natural_key
    )
    tallies = []
    for name in names:
        with Image.open(forty_masks / name) as image:
            tallies.append(MaskTally.of_pixels(name, np.asarray(image), GREY))
    plain = plain_counts(ClassCatalog.numbered(7), tallies)
    with ms.scan(forty_masks, classes=7) as scan:
        h = scan.histogram
        assert h.pixels.tolist() == [plain.pixels[k] for k in range(7)]
        assert h.masks.tolist() == [plain.masks[k] for k in range(7)]
        assert h.image_pixels.tolist() == [plain.image_pixels[k] for k in range(7)]
        assert h.total_pixels == plain.total
        assert scan.ledger.names == tuple(names)
        assert np.array_equal(scan.ledger.dense().sum(axis=0), h.pixels)
        assert scan.failures == ()
        assert scan.changes == Changes(new=40)
        assert scan.name == "masks"
        assert scan.source == str(forty_masks)


@pytest.mark.parametrize("strict", [False, True])
def test_results_do_not_depend_on_threads_chunks_or_the_order_of_the_listing(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    expected = digests(ms.scan(forty_masks, classes=7, workers=1))
    real = os.scandir
    for workers, chunk, reverse in ((2, 1, False), (3, 5, True), (8, 1000, True)):
        monkeypatch.setattr(threads, "CHUNK_FILES", chunk)

        class Listing:
            def __init__(self, path: str, reverse: bool = reverse) -> None:
                with real(path) as items:
                    self.items = sorted(items, key=lambda item: item.name, reverse=reverse)

            def __enter__(self) -> Any:
                return iter(self.items)

            def __exit__(self, *exc: object) -> None:
                pass

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", Listing)
            scan = ms.scan(forty_masks, classes=7, workers=workers, strict=strict)
        assert digests(scan) == expected


def test_scans_of_the_parts_add_up_to_the_scan_of_the_whole(forty_masks: Path) -> None:
    """`b` holds `b/c`; the parts share no mask."""
    whole = ms.scan(forty_masks, classes=7)
    parts = [
        ms.scan(forty_masks / "a", classes=7),
        ms.scan(forty_masks / "b" / "c", classes=7),
        ms.scan(forty_masks / "b", classes=7, exclude=["c"]),
    ]
    for order in (parts, parts[::-1]):
        total = sum(part.histogram for part in order)
        assert total == whole.histogram
        assert total.counts_digest() == whole.histogram.counts_digest()


def test_streaming_large_files_changes_nothing(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests(ms.scan(forty_masks, classes=7))
    write(forty_masks / "a" / "big.npy", npy(pixels_of(99)))
    with_npy = digests(ms.scan(forty_masks, classes=7))
    monkeypatch.setattr(counting, "STREAM_ABOVE", 0)
    assert digests(ms.scan(forty_masks, classes=7)) == with_npy
    assert digests(ms.scan(forty_masks, classes=7, exclude=["big.npy"])) == expected


def test_progress_ends_at_the_total(forty_masks: Path) -> None:
    write(forty_masks / "bad.png", b"broken")
    seen: list[Progress] = []
    scan = ms.scan(forty_masks, classes=7, on_progress=seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    last = seen[-1]
    assert (last.done, last.total, last.failed) == (41, 41, 1)
    assert last.pixels == scan.histogram.total_pixels


# --- failures ----------------------------------------------------------------------------------


def test_an_unreadable_file_is_named_and_the_rest_counts(forty_masks: Path) -> None:
    before = ms.scan(forty_masks, classes=7).histogram
    truncated = grey_png(pixels_of(3))[:-30]
    write(forty_masks / "b" / "cut_10.png", truncated)
    write(forty_masks / "b" / "cut_9.png", b"")
    write(forty_masks / "z.jpg", b"\xff\xd8\xff")
    scan = ms.scan(forty_masks, classes=7)
    assert [failure.mask for failure in scan.failures] == ["b/cut_9.png", "b/cut_10.png", "z.jpg"]
    assert scan.failures[0].reason == "empty file"
    assert "lossy" in scan.failures[2].reason
    assert scan.histogram == before


def test_strict_stops_at_the_first_in_natural_order_and_keeps_what_was_counted(
    forty_masks: Path, tmp_path: Path
) -> None:
    for name in ("mask_10b.png", "mask_9b.png"):
        write(forty_masks / "b" / name, b"broken")
    for _ in range(3):
        with pytest.raises(StrictError) as caught:
            ms.scan(forty_masks, classes=7, strict=True, db=tmp_path / "s.db", workers=4)
        assert str(caught.value).startswith("b/mask_9b.png: ")
    scan = ms.open_scan(tmp_path / "s.db")
    assert not scan.info.complete
    assert [failure.mask for failure in scan.failures] == ["b/mask_9b.png"]
    assert scan.histogram.mask_count >= 14


def test_failures_are_tried_again(forty_masks: Path, tmp_path: Path, decoded: list[str]) -> None:
    path = write(forty_masks / "late.png", b"")
    assert len(ms.scan(forty_masks, classes=7, db=tmp_path / "s.db").failures) == 1
    again = ms.scan(forty_masks, classes=7, db=tmp_path / "s.db")
    assert decoded.count("late.png") == 2
    assert again.changes == Changes(new=1, unchanged=40)
    path.write_bytes(grey_png([[1, 1]]))
    mended = ms.scan(forty_masks, classes=7, db=tmp_path / "s.db")
    assert mended.failures == ()
    assert mended.changes == Changes(new=1, unchanged=40)
    assert mended.histogram.mask_count == 41


def test_a_mask_that_breaks_is_no_longer_counted(forty_masks: Path, tmp_path: Path) -> None:
    good = ms.scan(forty_masks, classes=7, db=tmp_path / "s.db").histogram
    write(forty_masks / "a" / "mask_0.png", b"broken now")
    scan = ms.scan(forty_masks, classes=7, db=tmp_path / "s.db")
    assert [failure.mask for failure in scan.failures] == ["a/mask_0.png"]
    assert scan.histogram.mask_count == good.mask_count - 1
    assert scan.changes == Changes(changed=1, unchanged=39)


@pytest.mark.usefixtures("one_by_one")
def test_an_error_of_the_program_is_no_failure_of_a_mask(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_tally(data: bytes, name: str, options: formats.ReadOptions) -> MaskTally:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(formats, "read_tally", read_tally)
    with pytest.raises(ZeroDivisionError):
        ms.scan(forty_masks, classes=7, db=tmp_path / "s.db")


@pytest.mark.usefixtures("one_by_one")
def test_too_little_memory_for_one_mask_is_its_failure(
    forty_masks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = formats.read_tally

    def read_tally(data: bytes, name: str, options: formats.ReadOptions) -> MaskTally:
        if name == "a/mask_3.png":
            raise MemoryError
        return real(data, name, options)

    monkeypatch.setattr(formats, "read_tally", read_tally)
    (failure,) = ms.scan(forty_masks, classes=7).failures
    assert (failure.mask, failure.reason) == ("a/mask_3.png", "not enough memory to decode it")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows any bytes in names")
def test_two_files_whose_readable_names_agree(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    write(masks / "caf\\xe9.png", grey_png([[0]]))
    with open(os.fsencode(masks) + b"/caf\xe9.png", "wb") as file:
        file.write(grey_png([[0]]))
    for _ in range(3):
        scan = ms.scan(masks, classes=2, db=tmp_path / "s.db")
        assert scan.histogram.mask_count == 1
        (failure,) = scan.failures
        assert failure.mask == "caf\\xe9.png (2)"
        assert "another file has this name" in failure.reason


# --- the sample masks and real ones ------------------------------------------------------------


def test_the_sample_masks() -> None:
    folder = SAMPLES
    scan = ms.scan(folder, classes=str(folder / "classes.yaml"))
    assert scan.failures == ()
    assert scan.histogram.mask_count == 24
    assert scan.histogram.unlisted == {}
    assert scan.histogram.present.all()
    inferred = ms.scan(folder)
    assert inferred.histogram.pixels.tolist() == scan.histogram.pixels.tolist()


def test_any_split_of_real_masks_adds_up(camvid: Path, tmp_path: Path) -> None:
    files = sorted((camvid / "val" / "masks").iterdir())
    whole = ms.scan(camvid / "val" / "masks", classes="camvid-11")
    parts = []
    for number, start in enumerate((0, 1, 30)):
        stop = (1, 30, len(files))[number]
        listing = tmp_path / f"{number}.txt"
        listing.write_text("\n".join(map(str, files[start:stop])))
        parts.append(ms.scan(listing, classes="camvid-11").histogram)
    for order in (parts, parts[::-1], [parts[1], parts[2], parts[0]]):
        assert sum(order) == whole.histogram
