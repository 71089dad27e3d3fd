"""A listing against the store: what is new, changed, unchanged and gone, in any number of masks."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.naming import natural_key
from maskstat.scanning.changes import Changes, Pending, _batches
from maskstat.scanning.listing import Listing
from maskstat.scanning.resuming import resumed
from maskstat.sources.base import Entry, FileEntry, Source
from maskstat.sources.reading_ahead import StreamedEntry
from maskstat.store.profiles import MeasuredMask, ProfileKey
from maskstat.store.records import StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import MaskTally
from tests.support.scan_cases import GREY, npy, write

Opener = Callable[[Path, Path], Path]
ONE = npy(np.zeros((1, 1), np.uint8))


class Nowhere:
    """The file of masks that are never read again."""

    def again(self, place: int, size: int) -> bytes:
        raise AssertionError

    def reopen(self, place: int, size: int) -> BinaryIO:
        raise AssertionError


def fill(folder: Path, numbers: range) -> None:
    for number in numbers:
        write(folder / f"{number % 7}" / f"m{number}.npy", ONE, stamp=10**18)


def as_folder(folder: Path, tmp_path: Path) -> Path:
    return folder


def as_list(folder: Path, tmp_path: Path) -> Path:
    """A list, which may hold a mask twice: no source of distinct names."""
    path = tmp_path / "masks.txt"
    path.write_text("\n".join(str(mask) for mask in sorted(folder.rglob("*.npy"))))
    return path


def as_zip(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "masks.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for mask in sorted(folder.rglob("*.npy")):
            archive.writestr(f"{mask.parent.name}/{mask.name}", mask.read_bytes())
    return path


@pytest.mark.parametrize("source", [as_folder, as_list, as_zip])
@pytest.mark.parametrize(("before", "after"), [(1200, 1300), (1300, 700), (9, 8), (600, 1)])
def test_every_mask_is_new_or_unchanged_or_gone(
    source: Opener, before: int, after: int, tmp_path: Path
) -> None:
    folder, db = tmp_path / "masks", tmp_path / "s.db"
    fill(folder, range(before))
    ms.scan(source(folder, tmp_path), classes=2, db=db).close()
    for number in range(after, before):
        (folder / f"{number % 7}" / f"m{number}.npy").unlink()
    fill(folder, range(before, after))
    with ms.scan(source(folder, tmp_path), classes=2, db=db) as scan:
        assert scan.changes == Changes(
            new=max(0, after - before), unchanged=min(before, after), gone=max(0, before - after)
        )
        assert scan.histogram.mask_count == after
    with ms.scan(source(folder, tmp_path), classes=2) as fresh, ms.open_scan(db) as kept:
        assert kept.histogram == fresh.histogram
        assert [*kept.ledger.names] == [*fresh.ledger.names]


@pytest.mark.parametrize("source", [as_folder, as_list])
def test_changed_masks_among_many(source: Opener, tmp_path: Path) -> None:
    folder, db = tmp_path / "masks", tmp_path / "s.db"
    fill(folder, range(1500))
    ms.scan(source(folder, tmp_path), classes=2, db=db).close()
    for number in range(0, 1500, 7):
        (folder / "0" / f"m{number}.npy").write_bytes(npy(np.ones((1, 1), np.uint8)))
    with ms.scan(source(folder, tmp_path), classes=2, db=db) as scan:
        assert scan.changes == Changes(changed=215, unchanged=1285)
        assert scan.histogram.pixels.tolist() == [1285, 215]


def test_all_masks_of_another_place_are_gone(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    for place in ("a", "b"):
        fill(tmp_path / place, range(30))
    ms.scan(tmp_path / "a", classes=2, db=db, name="mine").close()
    with ms.scan(tmp_path / "b", classes=2, db=db, name="mine") as scan:
        assert scan.changes == Changes(new=30, gone=30)
        assert scan.histogram.mask_count == 30


@pytest.mark.skipif(os.name == "nt", reason="names there are Unicode")
def test_names_that_are_equal_once_escaped_fail_in_every_run(tmp_path: Path) -> None:
    folder, db = tmp_path / "masks", tmp_path / "s.db"
    fill(folder, range(600))
    write(folder / "x\\xff.npy", ONE)
    try:
        Path(os.fsdecode(bytes(folder) + b"/x\xff.npy")).write_bytes(ONE)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    for _ in range(3):
        with ms.scan(folder, classes=2, db=db) as scan:
            assert scan.histogram.mask_count == 601
            assert [failure.mask for failure in scan.failures] == [r"x\xff.npy (2)"]
            assert scan.changes is not None
            assert scan.changes.gone == 0


class Listed(Source):
    """Masks of these names and stamps."""

    default_name = location = "listed"

    def __init__(self, stamps: Mapping[str, int], distinct: bool):
        self.stamps, self.distinct = stamps, distinct

    def entries(self) -> Iterator[Entry]:
        return (FileEntry(name, "", 1, stamp) for name, stamp in self.stamps.items())


names = st.integers(0, 12).map(lambda number: f"m{number}")
stamps = st.dictionaries(names, st.integers(1, 2), max_size=12)


@given(
    known=stamps,
    listed=stamps.filter(bool),
    lossy=st.sets(names),
    measured=st.none() | st.sets(names),
    rescan=st.booleans(),
    distinct=st.booleans(),
    by_name=st.booleans(),
)
def test_what_must_be_read_is_what_sets_say(
    known: dict[str, int],
    listed: dict[str, int],
    lossy: set[str],
    measured: set[str] | None,
    rescan: bool,
    distinct: bool,
    by_name: bool,
) -> None:
    catalog, source = ClassCatalog.numbered(2), Listed(listed, distinct)
    with Store.in_memory() as store:
        info = store.begin("listed", source.location, catalog, {})
        store.write(
            info,
            [
                StoredMask(
                    MaskTally.of_pixels(
                        name, np.zeros((1, 1), np.uint8), GREY.lossy() if name in lossy else GREY
                    ),
                    1,
                    stamp,
                )
                for name, stamp in known.items()
            ],
        )
        key = None if measured is None else ProfileKey(info, catalog.digest, 4)
        if key is not None and measured is not None:
            masks = [MeasuredMask(name, 1, known[name]) for name in measured & known.keys()]
            assert store.keep_block(key, masks, b"")
        pending = Pending(
            store,
            resumed(store, source, "listed", catalog, {}),
            Listing(source),
            refuses=lambda encoding: encoding == GREY.lossy(),
            rescan=rescan,
            measured=[] if key is None else [store.measured(key)],
        )
        assert pending.total is None
        read = [entry.name for entry in pending.entries(by_name=by_name)]
        assert pending.lacks_some == bool(known.keys() - listed.keys())
        pending.forget_gone()

        new = listed.keys() - known.keys()
        both = listed.keys() & known.keys()
        changed = {n for n in both if rescan or n in lossy or listed[n] != known[n]}
        again = set() if measured is None else both - changed - measured
        expected = [name for name in listed if name in new | changed | again]
        assert read == (sorted(expected, key=natural_key) if by_name else expected)
        assert pending.total == len(read)
        assert pending.again == again
        for lost in range(len(again) + 1):
            assert pending.changes(lost) == Changes(
                len(new),
                len(changed) + lost,
                len(both - changed) - lost,
                len(known.keys() - listed.keys()),
            )
        assert set(store.names(info)) == both


def test_counting_begins_with_the_first_few_masks() -> None:
    """Where listing is slow, nobody waits for hundreds of masks."""
    listed: list[str] = []

    def slowly() -> Iterator[Entry]:
        for number in range(2000):
            listed.append(f"m{number}")
            yield FileEntry(listed[-1], "", 0, 0)

    found = [[entry.name for entry in batch] for batch in _with_listed(slowly(), listed)]
    assert list(map(len, found)) == [8, 16, 32, 64, 128, 256, 512, 512, 472]
    assert [name for batch in found for name in batch] == listed


def _with_listed(listing: Iterator[Entry], listed: list[str]) -> Iterator[list[Entry]]:
    """The batches; each comes as soon as its last entry is listed."""
    done = 0
    for batch in _batches(listing):
        done += len(batch)
        assert len(listed) == done
        yield batch


def test_batches_of_masks_that_carry_bytes_are_small() -> None:
    entries = [
        StreamedEntry(f"m{number}", "", 1 << 20, 0, number, Nowhere(), bytes(1 << 20))
        for number in range(20)
    ]
    assert [len(batch) for batch in _batches(iter(entries))] == [4] * 5
