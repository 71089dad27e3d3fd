"""Tars: cut off, damaged and lying ones count what is whole, say so, and fill no memory."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import MaskError, MissingExtraError, SourceError
from maskstat.executors import threads
from maskstat.readers import formats
from maskstat.sources import reading_ahead
from maskstat.values.tally import MaskTally
from tests.support.scan_cases import grey_png, npy, pixels_of, stored_rows, write
from tests.support.source_cases import entries_of, source_at, tar_info, tar_of, zip_of, zstandard_of

MASKS = {f"m/{n}.png": grey_png(pixels_of(n)) for n in range(6)}


def failures(where: Path | str) -> dict[str, str]:
    return {f.mask: f.reason for f in ms.scan(where, classes=7).failures}


def reason_of(where: Path, name: str) -> str:
    with pytest.raises(MaskError) as caught:
        entries_of(where)[name].load()
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_tar_cut_off_anywhere_counts_what_is_whole_and_says_so(tmp_path: Path) -> None:
    whole = tar_of(MASKS)
    end = len(whole.rstrip(b"\0"))
    expected = stored_rows(ms.scan(write(tmp_path / "m.tar", whole), classes=7))
    for cut in (1, 100, 511, 512, 600, *range(1000, end, 397), end - 1):
        where = write(tmp_path / "m.tar", whole[:cut])
        if cut < 512:
            with pytest.raises(SourceError, match="cut off"):
                ms.scan(where, classes=7)
            continue
        scan = ms.scan(where, classes=7)
        rows = stored_rows(scan)
        assert rows.items() <= expected.items()
        assert 1 <= len(scan.failures) <= 2
        assert "m.tar" in {f.mask for f in scan.failures}


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst"])
def test_a_compressed_tar_cut_off_anywhere_counts_what_is_whole_and_says_so(
    suffix: str, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 7, (12, 200, 200), np.uint8)
    plain = tar_of({**MASKS, **{f"{n}.npy": npy(noise[n]) for n in range(12)}})
    whole = gzip.compress(plain, 1) if suffix == "tar.gz" else zstandard_of(plain)
    where = write(tmp_path / f"m.{suffix}", whole)
    expected = stored_rows(ms.scan(where, classes=7))
    for cut in (*range(1, len(whole), 1 + len(whole) // 40), len(whole) - 1):
        write(where, whole[:cut])
        try:
            scan = ms.scan(where, classes=7)
        except SourceError:
            assert cut < len(whole) // 2, "what is whole counts"
            continue
        assert stored_rows(scan).items() <= expected.items()
        assert f"m.{suffix}" in {f.mask for f in scan.failures}


def test_a_damaged_shard_has_a_name_and_the_others_count(tmp_path: Path) -> None:
    write(tmp_path / "s-0.tar", tar_of(MASKS))
    write(tmp_path / "s-1.tar", b"no tar" * 1000)
    write(tmp_path / "s-2.tar", b"")
    write(tmp_path / "s-3.tar", tar_of(MASKS)[:3000])
    scan = ms.scan(f"{tmp_path}/s-{{0..4}}.tar", classes=7)
    reasons = {f.mask: f.reason for f in scan.failures if f.mask.endswith(".tar")}
    assert sorted(reasons) == ["s-1.tar", "s-2.tar", "s-3.tar", "s-4.tar"]
    assert "not a tar archive" in reasons["s-1.tar"]
    assert "cut off" in reasons["s-2.tar"]
    assert "No such file" in reasons["s-4.tar"]
    assert scan.histogram.mask_count >= len(MASKS)

    write(tmp_path / "z-0.zip", zip_of(MASKS))
    write(tmp_path / "z-1.zip", zip_of(MASKS)[:-30])
    scan = ms.scan(f"{tmp_path}/z-*.zip", classes=7)
    assert scan.histogram.mask_count == len(MASKS)
    assert [f.mask for f in scan.failures] == ["z-1.zip"]


@pytest.mark.parametrize("name", ["m.tar", "m.zip", "m.tar.gz"])
def test_a_single_archive_that_is_none_is_an_error(name: str, tmp_path: Path) -> None:
    for content in (b"", b"nothing" * 500, b"\x1f\x8b" + b"x" * 100):
        with pytest.raises(SourceError, match=r"archive|read|end marker|corrupt"):
            ms.scan(write(tmp_path / name, content), classes=7)


def test_an_empty_archive_has_no_masks(tmp_path: Path) -> None:
    for where in (
        write(tmp_path / "m.tar", tar_of({})),
        write(tmp_path / "m.zip", zip_of({})),
        write(tmp_path / "n.tar", tar_of({"a.txt": b"x"})),
    ):
        with pytest.raises(SourceError, match="no masks found"):
            ms.scan(where, classes=7)


def test_concatenated_tars_do_not_lose_the_second_in_silence(tmp_path: Path) -> None:
    where = write(tmp_path / "m.tar", tar_of(MASKS) + tar_of({"more.png": MASKS["m/0.png"]}))
    found = failures(where)
    assert "concatenated" in found["m.tar"]


def test_wrong_headers_do_not_hide_what_follows(tmp_path: Path) -> None:
    data = bytearray(tar_of(MASKS))
    at = data.index(b"m/2.png")
    data[at + 148 : at + 156] = b"0000000\0"  # its checksum
    scan = ms.scan(write(tmp_path / "m.tar", bytes(data)), classes=7)
    assert sorted(stored_rows(scan)) == ["m/0.png", "m/1.png"]
    assert "damaged behind 2 members" in scan.failures[0].reason


def long_name(size: int) -> bytes:
    """A header that announces a name of this many bytes."""
    return tar_info("././@LongLink", size, tarfile.GNUTYPE_LONGNAME).tobuf()


@pytest.mark.parametrize(
    "data",
    [
        long_name(1 << 40) + bytes(1024),
        tar_info("x", 1 << 40, tarfile.XHDTYPE).tobuf() + bytes(1024),
        (long_name(5) + b"a.pn\0".ljust(512, b"\0")) * 5000,
        tar_info("a.png", 8).tobuf().replace(b"00000000010\0", b"\xff" * 12),
    ],
    ids=["endless name", "endless attributes", "5000 names", "negative size"],
)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_headers_that_lie_about_their_length_end_in_an_error(
    data: bytes, suffix: str, tmp_path: Path
) -> None:
    good = tar_of(MASKS).rstrip(b"\0")
    good += bytes(-len(good) % 512) + data
    where = write(tmp_path / f"m.{suffix}", good if suffix == "tar" else gzip.compress(good, 1))
    limit = sys.getrecursionlimit()
    with ms.scan(where, classes=7) as scan:
        assert scan.histogram.mask_count == len(MASKS)
        assert f"m.{suffix}" in {f.mask for f in scan.failures}
    assert sys.getrecursionlimit() == limit


def test_a_header_that_unpacks_to_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    huge = tar_info("x", 64 << 20, tarfile.XHDTYPE).tobuf() + bytes(64 << 20)
    where = write(tmp_path / "m.tar.gz", gzip.compress(huge, 1))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="larger than 1 MiB"):
            list(source_at(where).entries())
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_member_that_is_no_mask_is_passed_over_in_pieces(tmp_path: Path) -> None:
    where = write(tmp_path / "m.tar.gz", tar_of({"big.bin": bytes(32 << 20), **MASKS}, "w:gz"))
    tracemalloc.start()
    try:
        assert len(list(source_at(where, ("*.png",)).entries())) == len(MASKS)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    info = tar_info("a.png", 512)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "a.png",
    }
    body = b"1\n0\n4\n".ljust(512, b"\0")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(body))
    where = write(tmp_path / "m.tar", stream.getvalue())
    assert "sparse" in reason_of(where, "a.png")


@given(st.data())
def test_a_tar_with_wrong_bytes_ends_in_masks_and_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    bad = bytearray(tar_of({name: MASKS[name] for name in list(MASKS)[:2]}))
    header = data.draw(st.sampled_from([0, bad.index(b"m/1.png")]))
    for _ in range(data.draw(st.integers(1, 4))):
        bad[header + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    # A right checksum, so that what was changed is believed.
    bad[header + 148 : header + 156] = b" " * 8
    bad[header + 148 : header + 156] = b"%06o\0 " % sum(bad[header : header + 512])
    where = write(tmp_path_factory.getbasetemp() / "fuzz.tar", bytes(bad))
    with suppress(SourceError):
        for entry in source_at(where).entries():
            with suppress(MaskError):
                assert len(entry.load()) == entry.size


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_an_archive_that_was_cut_off_since_it_was_listed(suffix: str, tmp_path: Path) -> None:
    def pack(files: dict[str, bytes]) -> bytes:
        return tar_of(files, "w" if suffix == "tar" else "w:gz")

    where = write(tmp_path / f"m.{suffix}", pack({"big.bin": bytes(20_000), **MASKS}))
    entries = [entry for entry in ms.scan(where, classes=7).entries() if "m/" in entry.name]
    write(where, pack({"m/0.png": MASKS["m/0.png"]}))
    for entry in entries:
        with pytest.raises(MaskError, match="changed while it was being read"):
            entry.load()


def test_a_large_compressed_archive_is_never_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 MiB of masks that are read faster than counted, with room for 1 MiB here and there."""
    for function in (reading_ahead.read_ahead, threads.map_chunks):
        defaults = {**(function.__kwdefaults__ or {}), "room": 1 << 20}
        monkeypatch.setattr(function, "__kwdefaults__", defaults)
    monkeypatch.setattr(threads, "CHUNK_BYTES", 1 << 19)
    mask = npy(np.zeros((512, 512), np.uint8))
    where = write(
        tmp_path / "m.tar.gz", gzip.compress(tar_of({f"{n}.npy": mask for n in range(96)}))
    )
    real = formats.read_tally

    def slowly(*arguments: Any) -> MaskTally:
        time.sleep(0.01)
        return real(*arguments)

    monkeypatch.setattr(formats, "read_tally", slowly)
    ms.scan(where, classes=7)  # what is loaded once counts for nothing
    tracemalloc.start()
    try:
        with ms.scan(where, classes=7, workers=2) as scan:
            assert scan.histogram.total_pixels == 96 << 18
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_zstandard_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = write(tmp_path / "m.tar.zst", zstandard_of(tar_of(MASKS)))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError) as caught:
        ms.scan(where, classes=7)
    assert caught.value.remedy == 'pip install "maskstat[zstd]"'
