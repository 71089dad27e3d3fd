"""Laws of every source: what is in it, not where it is, decides what is counted."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import maskstat as ms
from maskstat.errors import StrictError
from maskstat.executors import threads
from maskstat.scanning import counting
from maskstat.scanning.changes import Changes
from maskstat.sources import reading_ahead
from maskstat.sources.archives import tars
from maskstat.sources.tables import parquet, tfrecords
from tests.support.mask_files import FILES, MORE_FILES
from tests.support.scan_cases import digests, grey_png, npy, pixels_of, stored_rows
from tests.support.source_cases import SOURCES, Files

MASKS = {f"{'abc'[n % 3]}/mask_{n}.png": grey_png(pixels_of(n)) for n in range(24)}

each_source = pytest.mark.parametrize("build", SOURCES.values(), ids=SOURCES.keys())
Build = Callable[[Path, Files], str]


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    return ms.scan(SOURCES["folder"](tmp_path_factory.mktemp("folder"), MASKS), classes=7)


@each_source
def test_the_counts_are_those_of_the_folder(
    build: Build, tmp_path: Path, in_folder: ms.Scan
) -> None:
    with ms.scan(build(tmp_path, MASKS), classes=7) as scan:
        assert scan.histogram == in_folder.histogram
        assert scan.histogram.counts_digest() == in_folder.histogram.counts_digest()
        assert scan.changes == Changes(new=len(MASKS))
        assert scan.failures == ()
        assert sorted(map(repr, stored_rows(scan).values())) == sorted(
            map(repr, stored_rows(in_folder).values())
        )


@each_source
def test_the_counts_do_not_depend_on_threads_strictness_or_room(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = build(tmp_path, MASKS)
    expected = digests(ms.scan(where, classes=7, workers=1))
    monkeypatch.setattr(threads, "CHUNK_FILES", 2)
    assert digests(ms.scan(where, classes=7, workers=5)) == expected
    assert digests(ms.scan(where, classes=7, workers=3, strict=True)) == expected
    monkeypatch.setattr(reading_ahead.read_ahead, "__kwdefaults__", {"room": 1})
    defaults = {**(threads.map_chunks.__kwdefaults__ or {}), "room": 1}
    monkeypatch.setattr(threads.map_chunks, "__kwdefaults__", defaults)
    assert digests(ms.scan(where, classes=7, workers=3)) == expected


@each_source
def test_nothing_unchanged_is_decoded_and_one_change_is_one_change(
    build: Build, tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    first = ms.scan(build(tmp_path, MASKS), classes=7, db=db)
    decoded.clear()
    again = ms.scan(first.source, classes=7, db=db)
    assert again.changes == Changes(unchanged=len(MASKS))
    assert decoded == []
    assert digests(again) == digests(first)

    name = "a/mask_3.png"
    changed = {**MASKS, name: grey_png([[6, 6, 6, 5]])}
    assert build(tmp_path, changed) is not None
    after = ms.scan(first.source, classes=7, db=db)
    assert after.changes is not None
    assert after.changes.changed >= 1
    assert any(name.endswith("mask_3.png") for name in decoded) or "arrow" in first.source
    assert digests(after) == digests(ms.scan(first.source, classes=7))
    assert digests(after) != digests(first)


@each_source
def test_what_was_scanned_can_be_looked_at_again_in_any_order(build: Build, tmp_path: Path) -> None:
    """Also by entries that carried their bytes and let go of them, and in another process."""
    scan = ms.scan(build(tmp_path, MASKS), classes=7)
    contents = sorted(MASKS.values())
    assert sorted(entry.load() for entry in scan.entries()) == contents
    entries = list(scan.entries())
    assert sum(entry.held for entry in entries) == 0
    assert sorted(entry.load() for entry in entries) == contents
    assert sorted(entry.load() for entry in reversed(entries)) == contents
    for entry in (*entries[::-5], *pickle.loads(pickle.dumps(entries))[::5]):
        data = entry.load()
        assert data in contents
        assert len(data) == entry.size
        with entry.open() as file:
            assert file.read(16) == data[:16]
            assert file.seek(0) == 0
            assert file.read() == data
            assert file.seek(-5, 2) == len(data) - 5
            assert file.read() == data[-5:]


@each_source
def test_masks_that_are_read_in_pieces(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_folder: ms.Scan
) -> None:
    monkeypatch.setattr(counting, "STREAM_ABOVE", 0)
    for reader in (tars, parquet, tfrecords):
        monkeypatch.setattr(reader, "CARRIED_MAX", 0)
    with ms.scan(build(tmp_path, MASKS), classes=7) as scan:
        assert scan.histogram == in_folder.histogram


@each_source
def test_every_format_is_read_in_every_source(build: Build, tmp_path: Path) -> None:
    kinds = {
        f"mask_{n}{'.png' if 'PNG' in kind else '.tif'}": data
        for n, (kind, data) in enumerate({**FILES, **MORE_FILES}.items())
    }
    folder = ms.scan(SOURCES["folder"](tmp_path / "folder", kinds), allow_lossy=True)
    scan = ms.scan(build(tmp_path / "other", kinds), allow_lossy=True)
    assert scan.histogram.counts_digest() == folder.histogram.counts_digest()
    assert len(scan.failures) == len(folder.failures)
    assert sorted(f.reason for f in scan.failures) == sorted(f.reason for f in folder.failures)


@each_source
def test_what_is_no_mask_fails_by_name_and_the_rest_counts(build: Build, tmp_path: Path) -> None:
    masks = {**MASKS, "b/broken.png": b"no image", "b/empty.png": b"", "zz.npy": npy(pixels_of(1))}
    where = build(tmp_path, masks)
    scan = ms.scan(where, classes=7)
    assert scan.histogram.mask_count == len(MASKS) + 1
    reasons = sorted(failure.reason for failure in scan.failures)
    assert len(reasons) == 2
    assert reasons[0] == "empty file"
    assert "not an image" in reasons[1]
    with pytest.raises(StrictError):
        ms.scan(where, classes=7, strict=True)


@pytest.mark.parametrize(
    "kind", [kind for kind in SOURCES if not kind.startswith(("parquet", "arrow", "tfrecord"))]
)
def test_include_and_exclude_mean_the_same_everywhere(kind: str, tmp_path: Path) -> None:
    """Tables aside, where rows have no folders."""
    prefix = "*/" if "shards" in kind else ""
    if kind == "manifest":
        prefix = "masks/"
    where = SOURCES[kind](tmp_path, {**MASKS, ".hidden/x.png": b"", "b/.y.png": b"", "n.txt": b""})
    for options, expected in (
        ({"include": ("*_1*.png",)}, [name for name in MASKS if "_1" in name]),
        ({"include": (f"{prefix}a/*",)}, [name for name in MASKS if name[0] == "a"]),
        ({"exclude": (f"{prefix}b/*", "*_4.png", "*/.*", "n.txt")}, None),
    ):
        if expected is None:
            expected = [n for n in MASKS if n[0] != "b" and not n.endswith("_4.png")]
        if kind == "manifest" and "exclude" in options:
            continue  # whatever is listed by name is meant, hidden or not
        with ms.scan(where, classes=7, **options) as scan:
            found = sorted(name.removeprefix("masks/") for name in scan.ledger.names)
            shardless = [
                n.partition(".")[2].partition("/")[2] if "shard" in n else n for n in found
            ]
            assert sorted(shardless) == sorted(expected)
