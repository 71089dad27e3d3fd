"""Sources: every mask once, under a stable name, and what can't be read has a name too."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from maskstat.errors import MaskError, SourceError
from maskstat.naming import natural_key
from maskstat.readers.formats import SUFFIXES
from maskstat.sources.base import Entry, Selection, Source
from maskstat.sources.opening import open_source

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names and pipes")


def touch(folder: Path, *names: str) -> Path:
    """Files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def opened(
    where: Path | str, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> Source:
    return open_source(where, Selection(include, exclude, SUFFIXES))


def listed(where: Path | str, **selection: tuple[str, ...]) -> list[str]:
    """Names in natural order; each must be there once."""
    names = [entry.name for entry in opened(where, **selection).entries()]
    assert len(names) == len(set(names))
    return sorted(names, key=natural_key)


def entry_of(where: Path | str) -> Entry:
    (entry,) = opened(where).entries()
    return entry


# --- folders ----------------------------------------------------------------------------------


def test_a_folder_is_walked_and_hidden_things_are_skipped(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/mask_10.png",
        "b/mask_2.PNG",
        "a.tif",
        "a.tiff",
        "x/y/z/deep.npy",
        "c.webp",
        "c.gif",
        "c.bmp",
        "photo.jpg",
        "photo.jpeg",
        ".hidden.png",
        ".hidden/a.png",
        "b/.git/a.png",
        "notes.txt",
        "png",
        "a.png.bak",
    )
    assert listed(tmp_path) == [
        "a.tif",
        "a.tiff",
        "b/mask_2.PNG",
        "b/mask_10.png",
        "c.bmp",
        "c.gif",
        "c.webp",
        "photo.jpeg",
        "photo.jpg",
        "x/y/z/deep.npy",
    ]


def test_what_an_entry_says_of_its_file(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.png")
    entry = entry_of(tmp_path)
    status = (tmp_path / "sub" / "a.png").stat()
    assert entry.name == "sub/a.png"
    assert (entry.size, entry.stamp) == (status.st_size, status.st_mtime_ns)
    assert entry.load() == b"sub/a.png"


def test_files_passed_over_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.txt", "sub/c.csv", ".hidden")
    source = opened(tmp_path)
    assert len(list(source.entries())) == 1
    assert source.skipped() == 2
    assert len(list(source.entries())) == 1
    assert source.skipped() == 2


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*_mask.png",), (), ["a_mask.png", "val/b_mask.png"]),
        (("val/*",), (), ["val/b_mask.png", "val/c.dat", "val/c.png", "val/sub/d.png"]),
        (("*.dat",), (), ["val/c.dat"]),
        (("*.dat", "a*"), (), ["a.png", "a_mask.png", "val/c.dat"]),
        ((), ("*_mask.png",), ["a.png", "val/c.png", "val/sub/d.png"]),
        ((), ("val",), ["a.png", "a_mask.png"]),
        ((), ("sub",), ["a.png", "a_mask.png", "val/b_mask.png", "val/c.png"]),
        ((), ("val/sub",), ["a.png", "a_mask.png", "val/b_mask.png", "val/c.png"]),
        ((), ("val/*",), ["a.png", "a_mask.png"]),
        (("*.png",), ("a*", "d.png"), ["val/b_mask.png", "val/c.png"]),
        (("[ab]*.png",), (), ["a.png", "a_mask.png", "val/b_mask.png"]),
    ],
)
def test_include_and_exclude(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    touch(
        tmp_path, "a.png", "a_mask.png", "val/b_mask.png", "val/c.png", "val/c.dat", "val/sub/d.png"
    )
    assert listed(tmp_path, include=include, exclude=exclude) == expected


def test_an_excluded_folder_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "huge/b.png")
    opened_folders: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened_folders.append(str(path)) or real(path))
    assert listed(tmp_path, exclude=("huge",)) == ["a.png"]
    assert set(opened_folders) == {str(tmp_path)}


def test_an_empty_folder_has_no_entries(tmp_path: Path) -> None:
    assert listed(tmp_path) == []


@pytest.mark.parametrize("name", ["missing", "missing.png", "a\nb", "\x1b2J"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        opened(tmp_path / name)
    assert "no such file or folder" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_folder_that_went_away(tmp_path: Path) -> None:
    source = opened(touch(tmp_path / "masks", "a.png"))
    (tmp_path / "masks" / "a.png").unlink()
    (tmp_path / "masks").rmdir()
    with pytest.raises(SourceError, match="can't be listed"):
        list(source.entries())


def broken_scandir(monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path) == broken:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_subfolder_that_can_not_be_listed_has_a_name_and_the_rest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "locked/b.png")
    broken_scandir(monkeypatch, tmp_path / "locked")
    entries = {entry.name: entry for entry in opened(tmp_path).entries()}
    assert sorted(entries) == ["a.png", "locked/"]
    with pytest.raises(MaskError, match="can't be read"):
        entries["locked/"].load()


def test_the_folder_itself_can_not_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_scandir(monkeypatch, tmp_path)
    with pytest.raises(SourceError, match="Permission denied"):
        listed(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list all")
def test_a_subfolder_without_permission(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "locked/b.png")
    (tmp_path / "locked").chmod(0)
    try:
        assert listed(tmp_path) == ["a.png", "locked/"]
    finally:
        (tmp_path / "locked").chmod(0o700)


# --- links ------------------------------------------------------------------------------------


def link(path: Path, target: Path | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError as error:
        pytest.skip(f"no links here: {error}")


def test_links_are_followed(tmp_path: Path) -> None:
    outside = touch(tmp_path / "outside", "o.png", "deep/p.png")
    masks = touch(tmp_path / "masks", "a.png")
    link(masks / "linked", outside)
    link(masks / "b.png", outside / "o.png")
    assert listed(masks) == ["a.png", "b.png", "linked/deep/p.png", "linked/o.png"]


def test_loops_end_and_every_folder_counts_once(tmp_path: Path) -> None:
    masks = touch(tmp_path / "masks", "a.png", "sub/b.png")
    outside = touch(tmp_path / "outside", "o.png")
    link(masks / "self", masks)
    link(masks / "sub" / "up", masks)
    link(masks / "again", masks / "sub")
    link(masks / "above", tmp_path)
    link(masks / "root", "/")
    link(masks / "one", outside)
    link(masks / "two", outside)
    link(outside / "back", masks)
    link(outside / "round", outside)
    assert listed(masks) == ["a.png", "one/o.png", "sub/b.png"]


@pytest.mark.parametrize(("inner", "outer"), [("a", "b"), ("b", "a")])
def test_a_link_into_a_linked_folder_adds_nothing_twice(
    tmp_path: Path, inner: str, outer: str
) -> None:
    outside = touch(tmp_path / "outside", "o.png", "sub/p.png")
    masks = touch(tmp_path / "masks", "m.png")
    link(masks / inner, outside / "sub")
    link(masks / outer, outside)
    first = "a/p.png" if inner == "a" else "a/sub/p.png"
    other = "b/o.png" if outer == "b" else "a/o.png"
    assert listed(masks) == sorted(["m.png", first, other], key=natural_key)


def test_names_do_not_depend_on_the_order_of_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = touch(tmp_path / "masks", "m.png")
    for name in ("x1", "x2", "x10", "a"):
        touch(tmp_path / "outside" / name, f"{name}.png")
        link(masks / f"to_{name}", tmp_path / "outside" / name)
        link(masks / f"also_{name}", tmp_path / "outside" / name)
    expected = listed(masks)
    real = os.scandir

    class Shuffled:
        def __init__(self, path: str) -> None:
            with real(path) as listing:
                self.items = list(listing)
            random.Random(len(self.items)).shuffle(self.items)

        def __enter__(self) -> Any:
            return iter(self.items)

        def __exit__(self, *exc: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert listed(masks) == expected
    assert all(name.startswith(("also_", "m")) for name in expected)


def test_links_to_nothing_and_to_themselves_fail_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    link(tmp_path / "gone.png", tmp_path / "missing.png")
    link(tmp_path / "loop.png", tmp_path / "loop.png")
    link(tmp_path / "loop", tmp_path / "loop")
    entries = {entry.name: entry for entry in opened(tmp_path).entries()}
    assert sorted(entries) == ["a.png", "gone.png", "loop.png"]
    for name in ("gone.png", "loop.png"):
        with pytest.raises(MaskError, match="can't be read"):
            entries[name].load()


# --- strange files ----------------------------------------------------------------------------


@LINUX
def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(raw, "wb") as file:
        file.write(b"content")
    (entry,) = opened(tmp_path).entries()
    assert entry.name == "caf\\xe9.png"
    assert entry.load() == b"content"
    assert listed(os.fsdecode(raw)) == ["caf\\xe9.png"]


@LINUX
def test_a_pipe_never_blocks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    entry = entry_of(tmp_path)
    with pytest.raises(MaskError, match="not a regular file"):
        entry.load()  # nobody writes
    writer = os.open(tmp_path / "pipe.png", os.O_RDWR)
    try:
        os.write(writer, b"data")
        with pytest.raises(MaskError, match="not a regular file"):
            entry.load()
    finally:
        os.close(writer)


@LINUX
def test_a_device_is_no_mask(tmp_path: Path) -> None:
    link(tmp_path / "zero.png", "/dev/zero")
    with pytest.raises(MaskError, match="not a regular file"):
        entry_of(tmp_path).load()


def test_a_folder_named_like_a_mask_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png/b.png")
    assert listed(tmp_path) == ["a.png/b.png"]


@pytest.mark.parametrize(("before", "after"), [(b"short", b"much longer"), (b"much longer", b"")])
def test_a_file_that_changes_between_listing_and_reading_is_read_as_it_is(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(before)
    entry = entry_of(tmp_path)
    (tmp_path / "a.png").write_bytes(after)
    assert entry.load() == after


def test_a_file_that_went_away(tmp_path: Path) -> None:
    entry = entry_of(touch(tmp_path, "a.png"))
    (tmp_path / "a.png").unlink()
    with pytest.raises(MaskError, match="can't be read"):
        entry.load()


def test_a_file_too_large_for_memory_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(MaskError, match="larger than 1024 MiB"):
        entry_of(tmp_path).load()


# --- one by one -------------------------------------------------------------------------------


def test_a_single_file_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "mask.dat")
    entry = entry_of(tmp_path / "mask.dat")
    assert entry.name == "mask.dat"
    assert entry.load() == b"mask.dat"
    assert opened(tmp_path / "mask.dat").default_name == "mask"


def test_a_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(
        tmp_path, "t/a_mask.png", "t/b_mask.png", "t/b.png", "t/c.txt", "v/s/d_mask.png", "t/.h.png"
    )
    assert listed(f"{tmp_path}/t/*_mask.png") == ["a_mask.png", "b_mask.png"]
    assert listed(f"{tmp_path}/t/*") == ["a_mask.png", "b.png", "b_mask.png"]
    assert listed(f"{tmp_path}/*/*.txt") == [
        "t/c.txt"
    ]  # a suffix in the pattern is the user's word
    assert listed(f"{tmp_path}/**/*_mask.png") == ["t/a_mask.png", "t/b_mask.png", "v/s/d_mask.png"]
    assert listed(f"{tmp_path}/t/[ab].png") == ["b.png"]
    assert listed(f"{tmp_path}/t/?_mask.png", exclude=("a*",)) == ["b_mask.png"]
    assert listed(f"{tmp_path}/t/*.jpg") == []
    monkeypatch.chdir(tmp_path)
    assert listed("t/*_mask.png") == ["a_mask.png", "b_mask.png"]
    assert listed("**/b*.png") == ["t/b.png", "t/b_mask.png"]


def test_a_glob_is_named_after_the_folder_above_its_first_wildcard(tmp_path: Path) -> None:
    touch(tmp_path, "train/masks/a.png")
    source = opened(f"{tmp_path}/train/*/*.png")
    assert source.default_name == "train"
    assert source.location == f"{tmp_path}/train/*/*.png"


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].png", "a1.png")
    assert listed(f"{tmp_path}/a[1].png") == ["a[1].png"]


def test_a_glob_that_runs_in_circles_counts_every_file_once(tmp_path: Path) -> None:
    masks = touch(tmp_path / "masks", "a.png", "sub/b.png")
    link(masks / "loop", masks)
    link(masks / "sub" / "up", masks)
    assert listed(f"{masks}/**/*.png") == ["a.png", "sub/b.png"]


def test_a_glob_names_the_subfolder_that_it_can_not_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "locked/b.png", "c.txt")
    broken_scandir(monkeypatch, tmp_path / "locked")
    assert listed(f"{tmp_path}/**/*.png") == ["a.png", "locked/"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", ["a.png", "x/b.png", "x/y/c.png"]),
        ("**/*", ["a.png", "x/b.png", "x/y/c.png"]),
        ("x/**", ["b.png", "y/c.png"]),
        ("x/**/*.png", ["b.png", "y/c.png"]),
        ("**/y/*.png", ["x/y/c.png"]),
        ("**/y/**/*.png", ["x/y/c.png"]),
        ("*/**/c.png", ["x/y/c.png"]),
        ("**/[!ab].png", ["x/y/c.png"]),
        ("**/z/*.png", []),
    ],
)
def test_globs_across_folders(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    touch(tmp_path, "a.png", "x/b.png", "x/y/c.png", "x/.h/d.png", "x/notes.txt")
    assert listed(f"{tmp_path}/{pattern}") == expected


def test_a_list_of_paths(tmp_path: Path) -> None:
    touch(tmp_path, "m/a.png", "m/b.dat", "m/c.png")
    text = "\ufeff# masks\nm/a.png\n\n m/b.dat \r\nm/a.png\n./m//a.png\nm/missing.png\n"
    (tmp_path / "train.txt").write_text(text, encoding="utf-8")
    entries = list(opened(tmp_path / "train.txt").entries())
    assert [entry.name for entry in entries] == ["m/a.png", "m/b.dat", "m/missing.png"]
    assert [entry.load() for entry in entries[:2]] == [b"m/a.png", b"m/b.dat"]
    with pytest.raises(MaskError, match="can't be read"):
        entries[2].load()
    assert listed(tmp_path / "train.txt", exclude=("*.dat",)) == ["m/a.png", "m/missing.png"]


def test_a_list_may_hold_absolute_paths(tmp_path: Path) -> None:
    touch(tmp_path, "m/a.png")
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "train.lst").write_text(f"{tmp_path}/m/a.png\n../m/a.png\n")
    names = [entry.name for entry in opened(tmp_path / "l" / "train.lst").entries()]
    assert names == [f"{tmp_path}/m/a.png", "../m/a.png"]


@LINUX
def test_a_list_of_names_that_are_not_utf_8(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(b"content")
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.png\n")
    (entry,) = opened(tmp_path / "l.txt").entries()
    assert entry.name == "caf\\xe9.png"
    assert entry.load() == b"content"


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"\x89PNG\0\0\na.png\n")
    with pytest.raises(SourceError, match="line 1 is not text"):
        list(opened(tmp_path / "l.txt").entries())


def test_a_line_of_zero_bytes_fails_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "l.txt").write_bytes(b"a.png\n\x89PNG\0\0\n")
    good, bad = opened(tmp_path / "l.txt").entries()
    assert good.load() == b"a.png"
    with pytest.raises(MaskError, match="a zero byte in its name"):
        bad.load()


@pytest.mark.parametrize("kind", ["folder", "single", "glob", "list"])
def test_sources_know_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    touch(tmp_path, "masks/a.png")
    (tmp_path / "masks" / "l.txt").write_text("a.png\n")
    monkeypatch.chdir(tmp_path)
    where = {
        "folder": "masks",
        "single": "masks/a.png",
        "glob": "masks/*.png",
        "list": "masks/l.txt",
    }
    location, name = str(tmp_path / where[kind]), {"single": "a", "list": "l"}.get(kind, "masks")
    assert (opened(where[kind]).location, opened(where[kind]).default_name) == (location, name)
    inside = {"folder": ".", "single": "a.png", "glob": "*.png", "list": "l.txt"}[kind]
    monkeypatch.chdir(tmp_path / "masks")
    assert (opened(inside).location, opened(inside).default_name) == (location, name)
