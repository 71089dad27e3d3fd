"""Blocks of profiles in a store: what a block is a sum of decides when it goes; old files open."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import ProfileError, StoreError
from maskstat.store.profiles import MeasuredMask, ProfileKey
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.schema import APPLICATION_ID, OUTLINES, SCHEMA_VERSION
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, MaskTally
from tests.support.paths import FIXTURES

TEN = ClassCatalog.numbered(10)
GREY = Encoding("png", "grey", 8)
OLD = FIXTURES / "store-schema-1.db"


def counted(*names: str, stamp: int = 1) -> list[StoredMask]:
    return [StoredMask(MaskTally.of_pixels(n, np.array([[0]]), GREY), 7, stamp) for n in names]


def marks(*names: str, stamp: int = 1, reason: str | None = None) -> list[MeasuredMask]:
    return [MeasuredMask(name, 7, stamp, reason) for name in names]


@pytest.fixture
def store() -> Iterable[Store]:
    with Store.in_memory() as store:
        yield store


def begun(store: Store, *names: str, scan: str = "a") -> ScanInfo:
    info = store.begin(scan, f"/{scan}", TEN)
    store.write(info, counted(*names))
    return info


def key_of(info: ScanInfo, digest: str = "d", grid: int = 64) -> ProfileKey:
    return ProfileKey(info, digest, grid)


def test_blocks_come_back_in_order_and_name_their_masks(store: Store) -> None:
    key = key_of(begun(store, "a", "b", "c", "d", "e"))
    assert list(store.blocks(key)) == []
    assert store.measured(key) == set()
    assert store.unmeasured(key) == 5
    assert store.keep_block(key, marks("b", "a"), b"first")
    assert store.keep_block(key, [*marks("c"), *marks("d", reason="large")], b"second")
    assert list(store.blocks(key)) == [b"first", b"second"]
    assert store.measured(key) == {"a", "b", "c", "d"}
    assert store.unmeasured(key) == 1
    assert store.left_out(key) == [Failure("d", "large")]
    assert store.profile_grids(key.scan, "d") == [64]


def test_profiles_of_other_scans_catalogues_and_grids_are_others(store: Store) -> None:
    one = begun(store, "a")
    two = begun(store, "a", scan="b")
    for number, key in enumerate(
        [key_of(one), key_of(two), key_of(one, "e"), key_of(one, grid=32), key_of(one, grid=128)]
    ):
        assert store.measured(key) == set()
        assert store.keep_block(key, marks("a"), bytes([number]))
    assert store.profile_grids(one, "d") == [128, 64, 32]
    assert store.profile_grids(two, "d") == [64]
    assert list(store.blocks(key_of(one))) == [b"\0"]
    assert list(store.blocks(key_of(two))) == [b"\1"]
    store.forget(two, ["a"])
    assert list(store.blocks(key_of(two))) == []
    assert list(store.blocks(key_of(one, "e"))) == [b"\2"]


@pytest.mark.parametrize("how", ["changed", "failed", "gone"])
def test_a_mask_that_changes_takes_its_block_and_no_other(store: Store, how: str) -> None:
    info = begun(store, "a", "b", "c", "d", "e")
    keys = [key_of(info), key_of(info, grid=8)]
    for key in keys:
        assert store.keep_block(key, marks("a", "b"), b"first")
        assert store.keep_block(key, [*marks("c"), *marks("d", reason="large")], b"second")
        store.keep_profile_total(key, b"total", store.profile_revision(key))
        assert store.profile_total(key) == b"total"
    if how == "changed":
        store.write(info, counted("b", stamp=2))
    elif how == "failed":
        store.write(info, (), [Failure("b", "truncated")])
    else:
        store.forget(info, ["b"])
    for key in keys:
        assert list(store.blocks(key)) == [b"second"]
        assert store.measured(key) == {"c", "d"}
        assert store.left_out(key) == [Failure("d", "large")]
        assert store.unmeasured(key) == (3 if how == "changed" else 2)
        assert store.profile_total(key) is None


def test_a_mask_that_was_left_out_takes_no_block_when_it_changes(store: Store) -> None:
    key = key_of(begun(store, "a", "b"))
    store.keep_block(key, [*marks("a"), *marks("b", reason="large")], b"x")
    store.write(key.scan, counted("b", stamp=2))
    assert list(store.blocks(key)) == [b"x"]
    assert store.measured(key) == {"a"}
    assert store.left_out(key) == []


def test_a_block_of_masks_that_were_all_left_out_holds_nothing(store: Store) -> None:
    key = key_of(begun(store, "a"))
    assert store.keep_block(key, marks("a", reason="large"), b"x")
    assert list(store.blocks(key)) == []
    assert store.unmeasured(key) == 0


def test_new_masks_leave_blocks_alone(store: Store) -> None:
    key = key_of(begun(store, "a"))
    store.keep_block(key, marks("a"), b"x")
    store.write(key.scan, counted("b"))
    assert list(store.blocks(key)) == [b"x"]
    assert store.unmeasured(key) == 1


@pytest.mark.parametrize(
    "masks", [marks("a", "gone"), marks("a", stamp=2), [MeasuredMask("a", 8, 1)], marks("b", "a")]
)
def test_a_block_of_something_else_is_not_kept(store: Store, masks: list[MeasuredMask]) -> None:
    """Of a mask that changed or went meanwhile, or that another process measured first."""
    key = key_of(begun(store, "a", "b"))
    store.keep_block(key, marks("b"), b"first")
    assert not store.keep_block(key, masks, b"second")
    assert list(store.blocks(key)) == [b"first"]
    assert store.measured(key) == {"b"}


def test_a_total_is_kept_only_for_the_blocks_it_is_of(store: Store) -> None:
    key = key_of(begun(store, "a", "b"))
    assert store.profile_revision(key) == -1
    assert store.profile_total(key) is None
    store.keep_block(key, marks("a"), b"x")
    before = store.profile_revision(key)
    store.keep_block(key, marks("b"), b"y")
    store.keep_profile_total(key, b"x alone", before)
    assert store.profile_total(key) is None
    store.keep_profile_total(key, b"x and y", store.profile_revision(key))
    assert store.profile_total(key) == b"x and y"


def test_removing_a_scan_removes_its_profiles(store: Store) -> None:
    one, two = begun(store, "a"), begun(store, "a", scan="b")
    for info in (one, two):
        store.keep_block(key_of(info), marks("a"), b"x")
    store.remove(one)
    for table, rows in (("profile", 1), ("profile_block", 1), ("profile_mask", 1)):
        (found,) = store._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert found == rows


# --- files of earlier versions ----------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as the first version wrote it: three masks, a failure, kept totals."""
    return Path(shutil.copy(OLD, tmp_path / "old.db"))


def version_of(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:100]
    return int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big")


def test_an_old_file_that_is_read_stays_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    old.chmod(0o444)
    with ms.open_scan(old) as scan:
        assert scan.histogram.pixels.tolist() == [3, 2, 2]
        assert [failure.mask for failure in scan.failures] == ["x.png"]
        assert scan.profile is None
        assert scan.profile_state is None
    old.chmod(0o644)
    with Store.open(old) as store:
        assert store.version == 1
        key = key_of(store.find("old"))
        assert store.measured(key) == set()
        assert store.unmeasured(key) == 3
        assert list(store.blocks(key)) == []
        assert store.left_out(key) == []
        assert store.profile_grids(key.scan, "d") == []
        assert store.profile_total(key) is None
    assert old.read_bytes() == before
    assert version_of(old) == (APPLICATION_ID, 1)


def test_an_old_file_that_is_written_gets_the_tables_it_lacks(old: Path) -> None:
    with Store.open(old, create=True) as store:
        assert store.version == SCHEMA_VERSION
        info = store.find("old")
        assert store.mask_count(info) == 3
        assert store.totals(info, info.catalog) is not None
        key = key_of(info)
        name, size, stamp = "m_0.png", 100, 10**18
        assert store.keep_block(key, [MeasuredMask(name, size, stamp)], b"x")
    assert version_of(old) == (APPLICATION_ID, SCHEMA_VERSION)
    with Store.open(old) as store:
        assert list(store.blocks(key)) == [b"x"]
    fresh = old.with_name("new.db")
    Store.open(fresh, create=True).close()
    assert tables_of(old) == tables_of(fresh)


def tables_of(path: Path) -> dict[str, str]:
    """Name -> definition, without comments."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall()
    connection.close()
    return {name: re.sub(r" *--.*", "", text) for name, text in rows}


def test_a_scan_is_removed_from_an_old_file(old: Path) -> None:
    with Store.open(old) as store:
        store.remove(store.find("old"))
        assert store.scans() == []
    assert version_of(old) == (APPLICATION_ID, SCHEMA_VERSION)


def test_scanning_into_an_old_file_goes_on_from_it(old: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "m.npy", np.eye(3, dtype=np.uint8))
    with ms.scan(tmp_path / "masks", classes=2, db=old, profile=True) as scan:
        assert scan.profile is not None
        assert scan.profile.mask_count == 1
    with ms.open_scan(old, "old") as scan:
        assert scan.histogram.pixels.tolist() == [3, 2, 2]


def test_profiles_without_outlines_are_measured_again_and_never_read(tmp_path: Path) -> None:
    """Those of earlier schemas, whose blocks have another number in the place of the frame's."""
    (tmp_path / "masks").mkdir()
    for number in range(3):
        np.save(tmp_path / "masks" / f"{number}.npy", np.eye(3 + number, dtype=np.uint8))
    path = tmp_path / "s.db"
    with ms.scan(tmp_path / "masks", classes=2, db=path, profile=True) as scan:
        expected = scan.need_profile()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE profile_block SET content = x'00'")
    connection.execute("DROP TABLE folder")
    connection.execute(f"PRAGMA user_version = {OUTLINES - 1}")
    connection.commit()
    connection.close()
    path.chmod(0o444)
    before = path.read_bytes()
    with ms.open_scan(path) as scan:
        assert scan.profile is None
        assert scan.profile_state is None
        with pytest.raises(ProfileError, match="profile=True"):
            scan.need_profile()
    with ms.merge([path], tmp_path / "merged.db") as merged:
        assert merged.profile is None
    assert path.read_bytes() == before
    path.chmod(0o644)
    with ms.scan(tmp_path / "masks", classes=2, db=path) as scan:
        assert scan.profile is None
    assert version_of(path) == (APPLICATION_ID, SCHEMA_VERSION)
    with ms.scan(tmp_path / "masks", classes=2, db=path, profile=True) as scan:
        assert scan.need_profile() == expected
    with ms.open_scan(path) as scan:
        assert scan.need_profile() == expected
    connection = sqlite3.connect(path)
    connection.execute("UPDATE profile SET digest = 'x'")
    connection.commit()
    connection.close()
    with ms.open_scan(path) as scan, pytest.raises(StoreError):  # the sums of its rows count again
        assert scan.profile is None


# --- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE profile_block SET content = x'00'",
        "UPDATE profile_block SET content = 'text'",
        "UPDATE profile SET grid = 8",
        "UPDATE profile SET grid = 0",
        "UPDATE profile SET grid = 'x'",
        "UPDATE profile SET total = x'00'",
        "DROP TABLE profile_block",
    ],
)
def test_a_damaged_profile_is_one_clear_error(tmp_path: Path, statement: str) -> None:
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "m.npy", np.eye(3, dtype=np.uint8))
    db = tmp_path / "s.db"
    ms.scan(tmp_path / "masks", classes=2, db=db, profile=True).close()
    connection = sqlite3.connect(db)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with ms.open_scan(db) as scan:
        assert scan.histogram.mask_count == 1
        with pytest.raises(StoreError) as caught:
            _ = scan.profile
    assert str(caught.value).startswith(f"{db}: ")
