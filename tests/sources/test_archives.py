"""Archives: names are only names, sizes are checked, and damage has a name; the rest counts."""

from __future__ import annotations

import io
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import MaskError, MaskstatError, ParameterError, SourceError
from maskstat.sources import shards
from maskstat.sources.archives import zips
from maskstat.sources.locations import expand_braces
from maskstat.sources.packed_files import packing_of
from tests.support.scan_cases import grey_png, pixels_of, stored_rows, write
from tests.support.source_cases import entries_of, source_at, tar_info, tar_of, zip_of
from tests.support.tracing import stop_tracing

MASKS = {f"m/{n}.png": grey_png(pixels_of(n)) for n in range(6)}


def failures(where: Path | str) -> dict[str, str]:
    return {f.mask: f.reason for f in ms.scan(where, classes=7).failures}


def reason_of(where: Path, name: str) -> str:
    with pytest.raises(MaskError) as caught:
        entries_of(where)[name].load()
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- names -------------------------------------------------------------------------------------

HOSTILE = {
    "../../etc/passwd.png": "../../etc/passwd.png",
    "/absolute/a.png": "/absolute/a.png",
    "C:\\windows\\a.png": "C:\\windows\\a.png",
    "./here/./b.png": "here/./b.png",
    "a/../../c.png": "a/../../c.png",
    "\x1b[2Jscreen.png": "\x1b[2Jscreen.png",
    "line\nbreak.png": "line\nbreak.png",
    "Robert'); DROP TABLE mask;--.png": "Robert'); DROP TABLE mask;--.png",
    "ünï/çødé.png": "ünï/çødé.png",
    "long/" + "x" * 300 + ".png": "long/" + "x" * 300 + ".png",
}


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_names_are_only_names(suffix: str, tmp_path: Path) -> None:
    content = {name: grey_png([[n % 7, 1]]) for n, name in enumerate(HOSTILE)}
    pack = {"zip": zip_of, "tar": tar_of, "tar.gz": lambda files: tar_of(files, "w:gz")}[suffix]
    where = write(tmp_path / "in" / f"m.{suffix}", pack(content))
    before = sorted(tmp_path.rglob("*"))
    with ms.scan(where, classes=7) as scan:
        assert sorted(stored_rows(scan)) == sorted(HOSTILE.values())
        assert scan.histogram.mask_count == len(HOSTILE)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked"


def test_a_member_without_a_name_is_no_mask(tmp_path: Path) -> None:
    nameless = zip_of({"a.png": b"1", "b.png": b"2"}).replace(b"b.png", b"\0.png")
    where = write(tmp_path / "m.zip", nameless)
    assert [entry.name for entry in source_at(where).entries()] == ["a.png"]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_hidden_members_are_skipped_as_hidden_files_are(suffix: str, tmp_path: Path) -> None:
    names = ["a.png", ".a.png", "__MACOSX/._a.png", ".git/b.png", "x/.y/c.png", "n.txt", "d/e.png"]
    pack = {"zip": zip_of, "tar": tar_of}[suffix]
    source = source_at(
        write(tmp_path / f"m.{suffix}", pack(dict.fromkeys(names, b"x"))), ("*.png",)
    )
    assert sorted(entry.name for entry in source.entries()) == ["a.png", "d/e.png"]
    assert source.skipped() == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_a_name_that_is_there_twice_counts_once_and_the_other_has_a_name(
    suffix: str, tmp_path: Path
) -> None:
    first, second = grey_png([[1, 1]]), grey_png([[2, 2, 2]])
    if suffix == "tar":
        data = tar_of([(tar_info("a.png", len(d)), d) for d in (first, second)])
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a.png", first)
            archive.writestr("a.png", second)
        data = stream.getvalue()
    scan = ms.scan(write(tmp_path / f"m.{suffix}", data), classes=7)
    assert stored_rows(scan) == {"a.png": ([1], [2])}
    assert [f.mask for f in scan.failures] == ["a.png (2)"]
    assert "this name too" in scan.failures[0].reason


def test_links_and_devices_in_a_tar_are_never_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.png", grey_png([[3]]))
    kinds = {
        "symbolic.png": tarfile.SYMTYPE,
        "hard.png": tarfile.LNKTYPE,
        "pipe.png": tarfile.FIFOTYPE,
        "device.png": tarfile.CHRTYPE,
        "block.png": tarfile.BLKTYPE,
        "folder.png": tarfile.DIRTYPE,
        "contiguous.png": tarfile.CONTTYPE,
    }
    members = []
    for name, kind in kinds.items():
        info = tar_info(name, kind=kind)
        info.linkname = str(secret)
        members.append((info, b""))
    data = grey_png([[2, 2]])
    members.append((tar_info("a.png", len(data)), data))
    where = write(tmp_path / "m.tar", tar_of(members))
    with ms.scan(where, classes=7) as scan:
        assert stored_rows(scan) == {"a.png": ([2], [2])}
        reasons = {f.mask: f.reason for f in scan.failures}
    assert sorted(reasons) == sorted({*kinds} - {"folder.png"})
    assert "links in archives are not followed" in reasons["symbolic.png"]
    assert "links in archives are not followed" in reasons["hard.png"]
    assert reasons["pipe.png"] == reasons["device.png"] == "not a regular file"
    assert reasons["contiguous.png"] == "empty file"


def test_links_in_a_zip_are_never_followed(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    where = write(tmp_path / "m.zip", stream.getvalue())
    assert "links in archives are not followed" in reason_of(where, "link.png")


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_an_archive_in_an_archive_is_named_and_not_opened(suffix: str, tmp_path: Path) -> None:
    pack = {"zip": zip_of, "tar": tar_of}[suffix]
    inner = {"x.zip": zip_of(MASKS), "y/y.tar.gz": tar_of(MASKS, "w:gz"), "z.7z": b"7z"}
    where = write(tmp_path / f"m.{suffix}", pack({**MASKS, **inner}))
    scan = ms.scan(where, classes=7)
    assert scan.histogram.mask_count == len(MASKS)
    assert {f.mask for f in scan.failures} == {*inner}
    assert all("unpack it" in f.reason for f in scan.failures)
    assert ms.scan(where, classes=7, include=["*.png"]).failures == ()


# --- zip: sizes and damage -----------------------------------------------------------------------


def patched(data: bytes, member: bytes, offset: int, value: bytes) -> bytes:
    """The zip with bytes of a member's record in the central directory replaced."""
    at = data.rindex(member) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    return data[: at + offset] + value + data[at + offset + len(value) :]


CRC, PACKED, SIZE, FLAGS, METHOD, PLACE = 16, 20, 24, 8, 10, 42


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("declared", [0, 1, 1000, (8 << 20) - 1])
def test_a_zip_member_never_becomes_larger_than_declared(
    method: int, declared: int, tmp_path: Path
) -> None:
    bomb = patched(zip_of({"a.png": bytes(8 << 20)}, method), b"a.png", SIZE, u32(declared))
    where = write(tmp_path / "m.zip", bomb)
    entry = entries_of(where)["a.png"]
    assert entry.size == declared
    tracemalloc.start()
    try:
        with pytest.raises(MaskError, match="corrupt archive"):
            entry.load()
        # The member as declared, a piece of 1 MiB beside it, and a margin.
        assert tracemalloc.get_traced_memory()[1] < 2 * declared + (4 << 20)
    finally:
        stop_tracing()
    with pytest.raises(MaskError, match="corrupt archive"), entry.open() as file:
        assert len(file.read()) <= declared


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_zip_member_smaller_than_declared_is_damaged(method: int, tmp_path: Path) -> None:
    data = patched(zip_of({"a.png": bytes(5000)}, method), b"a.png", SIZE, u32(6000))
    where = write(tmp_path / "m.zip", data)
    assert "corrupt archive" in reason_of(where, "a.png")
    with pytest.raises(MaskError, match="corrupt archive"), entries_of(where)["a.png"].open() as f:
        f.read()


def test_a_size_that_memory_should_not_hold_is_refused_unread(tmp_path: Path) -> None:
    data = patched(zip_of({"a.png": bytes(100)}), b"a.png", SIZE, u32((1 << 30) + 1))
    assert reason_of(write(tmp_path / "m.zip", data), "a.png") == "larger than 1024 MiB"
    header = tar_info("a.png", (1 << 30) + 1).tobuf()
    where = write(tmp_path / "m.tar", header + bytes(1024))
    with pytest.raises(MaskError, match="larger than 1024 MiB"):
        next(source_at(where).entries()).load()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_wrong_crc_is_one_failure_and_the_rest_counts(method: int, tmp_path: Path) -> None:
    data = patched(zip_of(MASKS, method), b"m/3.png", CRC, u32(12345))
    scan = ms.scan(write(tmp_path / "m.zip", data), classes=7)
    assert scan.histogram.mask_count == len(MASKS) - 1
    assert [f.mask for f in scan.failures] == ["m/3.png"]
    assert "CRC" in scan.failures[0].reason


def test_what_is_encrypted_or_packed_in_a_strange_way_is_one_failure(tmp_path: Path) -> None:
    data = patched(zip_of(MASKS), b"m/3.png", FLAGS, b"\x01\x00")
    data = patched(data, b"m/4.png", METHOD, b"\x0e\x00")
    data = patched(data, b"m/5.png", PLACE, u32(7))
    found = failures(write(tmp_path / "m.zip", data))
    assert sorted(found) == ["m/3.png", "m/4.png", "m/5.png"]
    assert "encrypted" in found["m/3.png"]
    assert found["m/4.png"] == "packed with LZMA: pack the archive with deflate"
    assert "not where the archive's directory says" in found["m/5.png"]


def test_members_that_overlap_are_a_bomb(tmp_path: Path) -> None:
    data = zip_of({f"{n}.png": b"\0" * 5000 for n in range(9)}, zipfile.ZIP_STORED)
    for n in range(9):
        data = patched(data, b"%d.png" % n, PACKED, u32(20_000))
    with pytest.raises(SourceError, match="overlap"):
        ms.scan(write(tmp_path / "m.zip", data), classes=7)


def test_a_zip_with_something_in_front_of_it_is_a_zip(tmp_path: Path) -> None:
    where = write(tmp_path / "m.zip", b"#!/bin/sh\nexit\n" + zip_of(MASKS))
    assert {n: e.load() for n, e in entries_of(where).items()} == MASKS


def test_zlib_does_what_libdeflate_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "good.zip", zip_of(MASKS))
    bad = write(tmp_path / "bad.zip", patched(zip_of(MASKS), b"m/0.png", SIZE, u32(20)))
    short = write(tmp_path / "s.zip", patched(zip_of(MASKS), b"m/0.png", SIZE, u32(2000)))
    for inflate in (zips._inflate, zips._zlib_inflate):
        monkeypatch.setattr(zips, "_inflate", inflate)
        assert {n: e.load() for n, e in entries_of(good).items()} == MASKS
        assert "corrupt archive" in reason_of(bad, "m/0.png")
        assert "corrupt archive" in reason_of(short, "m/0.png")


@given(st.data())
def test_a_zip_with_wrong_bytes_gives_right_masks_or_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = zip_of(MASKS, data.draw(st.sampled_from([0, 8])))
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    where = write(tmp_path_factory.getbasetemp() / "fuzz.zip", bytes(bad))
    by_crc = {zlib.crc32(content): content for content in MASKS.values()}
    try:
        entries = list(source_at(where).entries())
    except SourceError:
        return
    for entry in entries:
        with suppress(MaskError):
            content = entry.load()
            assert len(content) == entry.size
            assert content in MASKS.values() or zlib.crc32(content) not in by_crc


# --- many archives -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a"]),
        ("{0..2}", ["0", "1", "2"]),
        ("s-{08..11}.tar", ["s-08.tar", "s-09.tar", "s-10.tar", "s-11.tar"]),
        ("{000..001}", ["000", "001"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{a,b{0..1}}", ["a", "b0", "b1"]),
        ("x{,y}", ["x", "xy"]),
        ("{}", ["{}"]),
        ("{a}", ["{a}"]),
        ("{a}{0..1}", ["{a}0", "{a}1"]),
        ("{0..1", ["{0..1"]),
        ("}{0..1}{", ["}0{", "}1{"]),
        ("{a..c}", ["{a..c}"]),
    ],
)
def test_braces(text: str, expected: list[str]) -> None:
    assert expand_braces(text) == expected


@pytest.mark.parametrize("text", ["{0..1000000}", "{0..999}{0..999}{0..999}", "{1..99999999999}"])
def test_braces_for_too_many(text: str) -> None:
    with pytest.raises(ParameterError, match="more than 1,000,000"):
        expand_braces(text)


def test_shards_are_called_by_their_place_below_the_pattern(tmp_path: Path) -> None:
    for part in ("a/s-0.tar", "b/s-0.tar", "b/s-10.tar", "b/s-9.tar"):
        write(tmp_path / part, tar_of({"x.png": b"1"}))
    expected = ["a/s-0.tar", "b/s-0.tar", "b/s-9.tar", "b/s-10.tar"]
    for pattern in ("*/s-*.tar", "{a,b}/s-*.tar", "**/*.tar"):
        found = shards.find_shards(f"{tmp_path}/{pattern}")
        assert [shard.prefix for shard in found] == [f"{name}/" for name in expected]
        assert [*entries_of(f"{tmp_path}/{pattern}")] == [f"{name}/x.png" for name in expected]
        assert source_at(f"{tmp_path}/{pattern}").default_name == tmp_path.name
        assert source_at(f"{tmp_path}/{pattern}").location == f"{tmp_path}/{pattern}"


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    for pattern in ("*.tar", "s-{0..9}.zip", "missing.tar"):
        with pytest.raises(MaskstatError) as caught:
            ms.scan(tmp_path / pattern, classes=7)
        assert "no" in str(caught.value)


def test_a_file_that_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    where = write(tmp_path / "s[1]{0..3}.tar", tar_of(MASKS))
    assert set(entries_of(where)) == set(MASKS)
    assert source_at(where).default_name == "s[1]{0..3}"
    (tmp_path / "folder.zip").mkdir()
    write(tmp_path / "folder.zip" / "a.png", b"x")
    assert set(entries_of(tmp_path / "folder.zip")) == {"a.png"}


def test_marks_change_with_the_content(tmp_path: Path) -> None:
    """Of a zip with the content alone; of a tar also where only the archive is another."""
    zipped = write(tmp_path / "m.zip", zip_of(MASKS), stamp=1)
    marks = {name: (entry.size, entry.stamp) for name, entry in entries_of(zipped).items()}
    write(zipped, zip_of(MASKS, zipfile.ZIP_STORED), stamp=2)
    assert {name: (entry.size, entry.stamp) for name, entry in entries_of(zipped).items()} == marks
    write(zipped, zip_of({**MASKS, "m/0.png": MASKS["m/1.png"]}), stamp=2)
    changed = {
        name
        for name, entry in entries_of(zipped).items()
        if (entry.size, entry.stamp) != marks[name]
    }
    assert changed == {"m/0.png"}

    tarred = write(tmp_path / "m.tar", tar_of(MASKS), stamp=1)
    marks = {name: (entry.size, entry.stamp) for name, entry in entries_of(tarred).items()}
    assert len(set(marks.values())) == len(marks)
    write(tarred, tar_of(MASKS), stamp=2)
    assert not {(entry.size, entry.stamp) for entry in entries_of(tarred).values()} & {
        *marks.values()
    }


def test_entries_say_where_they_are(tmp_path: Path) -> None:
    for where in (
        write(tmp_path / "m.zip", zip_of(MASKS)),
        write(tmp_path / "m.tar", tar_of(MASKS)),
    ):
        paths = [entry.path for entry in entries_of(where).values()]
        assert paths == [f"{where}::{name}" for name in MASKS]
    assert packing_of(Path(where).read_bytes()[:4]) is None
