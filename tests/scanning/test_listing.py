"""The listing: every mask of a source once, and what is said where there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import maskstat
from maskstat.errors import SourceError
from maskstat.readers import formats
from maskstat.scanning import siblings
from maskstat.scanning.listing import Listing
from maskstat.sources.base import Entry, FileEntry, Selection, Source
from maskstat.sources.opening import open_source
from tests.support.mask_files import saved
from tests.support.scan_cases import write
from tests.support.typed import typed

NAMES = [f"{split}/m{number}.png" for split in ("train", "val") for number in range(3)]


class Numbered(Source):
    """Masks that are noted down as they are listed."""

    distinct = True

    def __init__(self, count: int):
        self.count = count
        self.listed: list[str] = []

    @property
    def default_name(self) -> str:
        return "numbered"

    @property
    def location(self) -> str:
        return "nowhere"

    def entries(self) -> Iterator[Entry]:
        for number in range(self.count):
            self.listed.append(f"m{number}")
            yield FileEntry(self.listed[-1], "", 0, 0)


def source_of(folder: Path, **selected: tuple[str, ...]) -> Source:
    return open_source(folder, Selection(suffixes=formats.SUFFIXES, **selected))


def test_every_mask_comes_once_and_the_first_is_known_from_the_start() -> None:
    source = Numbered(5)
    listing = Listing(source)
    assert source.listed == ["m0"]
    assert [entry.name for entry in listing] == source.listed == [f"m{n}" for n in range(5)]
    assert [*listing.names()] == source.listed[:5] == source.listed[5:]
    assert listing.distinct


def test_what_was_just_listed_is_not_listed_again() -> None:
    source = Numbered(3)
    known = [*source.entries()]
    listing = Listing(source, known)
    assert [*listing] == known
    assert len(source.listed) == 3


@pytest.mark.parametrize("kept", [0, 3, 1 << 14])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_scan_is_the_same_whether_its_listing_is_kept_or_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, zipped: bool
) -> None:
    monkeypatch.setattr(siblings, "KEPT_ENTRIES", kept)
    masks = tmp_path / "masks"
    for number, name in enumerate(NAMES):
        write(masks / name, saved(Image.new("L", (4, 3), number), "PNG"))
    write(masks / "notes.txt", b"")
    where = shutil.make_archive(str(masks), "zip", masks) if zipped else masks
    for new in (6, 0):  # and once more, of what the store has
        with maskstat.scan(where, classes=8, db=tmp_path / "store.db") as scan:
            assert scan.histogram.pixels.tolist() == [12] * 6 + [0, 0]
            assert (scan.changes.new, scan.changes.unchanged) == (new, 6 - new)
            assert scan.changes.skipped == 1
            assert scan.changes.splits == ("train", "val")


def test_it_says_what_was_passed_over_and_which_splits_there_are(tmp_path: Path) -> None:
    for name in (*NAMES, "notes.txt", "train/a.docx"):
        write(tmp_path / name, b"")
    listing = Listing(source_of(tmp_path))
    assert sorted(entry.name for entry in listing) == NAMES
    assert (listing.skipped, listing.splits) == (2, ("train", "val"))


def test_where_no_mask_is_the_error_names_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        Listing(source_of(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}: no masks found; masks end in .bmp, ")
    assert str(caught.value).endswith("; see include, exclude")
    assert typed(caught.value.text).endswith("; see --include, --exclude")
    for name in NAMES:
        write(tmp_path / name, b"")
    with pytest.raises(SourceError, match=r"no masks found \(6 files of other kinds\); masks end"):
        Listing(source_of(tmp_path, exclude=("*.png",)))


def test_where_annotations_lie_instead_the_error_says_how_to_count_them(tmp_path: Path) -> None:
    document = {"images": [], "annotations": [], "categories": []}
    write(tmp_path / "instances.json", json.dumps(document).encode())
    with pytest.raises(SourceError) as caught:
        Listing(source_of(tmp_path))
    assert "instances.json" in str(caught.value)
    assert "masks end in" not in str(caught.value)
