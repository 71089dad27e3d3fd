"""Folders whose list of files is as it was are not looked at, and nothing else changes by that."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat
from maskstat.errors import MaskstatError, ParameterError, StoreError
from maskstat.scanning import folder_trust
from maskstat.scanning.recording import Progress
from maskstat.sources.local import folders
from maskstat.store.store import Store
from tests.support.loops import at_least_one

CLASSES = 4
SETTLED_SECONDS = 0.05


@pytest.fixture(autouse=True)
def _small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_trust, "SETTLED_NS", int(SETTLED_SECONDS * 1e9))
    monkeypatch.setattr(folder_trust, "FEWEST", 1)
    monkeypatch.setattr(folder_trust, "_file_system", lambda real: "ext4")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of masks that were looked at."""
    looked: list[str] = []
    entry = folders._entry

    def watched(item: os.DirEntry[str], name: str) -> Any:
        looked.append(name)
        return entry(item, name)

    monkeypatch.setattr(folders, "_entry", watched)
    return looked


def write(path: Path, seed: int) -> None:
    """A mask; those of one size on disk differ by their seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).integers(0, CLASSES, (6, 7)).astype(np.uint8))


def tree(root: Path) -> Path:
    """Some folders of masks, and what is none."""
    for number, folder in enumerate(("", "a", "a/b", "c", "d/e/f")):
        for at in range(4):
            write(root / folder / f"m{at}.npy", 10 * number + at)
    (root / "a" / "notes.txt").write_text("no mask")
    (root / "c" / "link.npy").symlink_to(root / "a" / "m0.npy")
    return root


def scanned(root: Path, db: Path, **options: Any) -> maskstat.Scan:
    """A scan, after the folders were left alone."""
    time.sleep(2 * SETTLED_SECONDS)
    return maskstat.scan(root, classes=CLASSES, db=db, **options)


def assert_same(trusting: maskstat.Scan, plain: maskstat.Scan) -> None:
    """Both know the same masks, and say the same of what has changed."""
    assert trusting.changes == plain.changes
    assert trusting.histogram == plain.histogram
    assert trusting.ledger.names == plain.ledger.names
    assert np.array_equal(trusting.ledger.dense(), plain.ledger.dense())
    assert trusting.failures == plain.failures


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.npy") if not path.is_symlink())


def _folders(root: Path) -> list[Path]:
    return [root, *sorted(p for p in root.rglob("*") if p.is_dir() and not p.is_symlink())]


def edits(root: Path, rng: np.random.Generator) -> Iterator[tuple[str, Callable[[], object]]]:
    """What may happen to a tree, but for masks that are written again in their place."""
    number = int(rng.integers(1 << 30))

    def some(paths: list[Path]) -> Path:
        return paths[rng.integers(len(paths))]

    yield "add", lambda: write(some(_folders(root)) / f"new{number}.npy", number)
    yield "remove", lambda: some(_files(root)).unlink()
    yield "rename", lambda: (one := some(_files(root))).rename(one.with_name(f"r{number}.npy"))
    yield "move", lambda: some(_files(root)).rename(some(_folders(root)) / f"moved{number}.npy")
    yield "touch", lambda: os.utime(some(_folders(root)))
    yield "old times", lambda: os.utime(some(_folders(root)), ns=(1, 1))
    yield "new folder", lambda: write(some(_folders(root)) / f"n{number}" / "x.npy", number)
    yield "break", lambda: (some(_folders(root)) / f"bad{number}.npy").write_bytes(b"broken")
    yield "other file", lambda: (some(_folders(root)) / f"{number}.txt").write_text("text")
    yield "link", lambda: (some(_folders(root)) / f"l{number}").symlink_to(root / "a")
    yield "nothing", lambda: None

    def swap() -> None:
        one, other = root / "a" / "b", root / "d" / "e" / "f"
        if one.is_dir() and other.is_dir():
            one.rename(root / "aside")
            other.rename(one)
            (root / "aside").rename(other)

    yield "swap", swap

    def written_over() -> None:
        one = some(_files(root))
        write(root / ".hidden" / "x.npy", number)
        (root / ".hidden" / "x.npy").replace(one)

    yield "written over", written_over


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_lists_of_files_is_seen(tmp_path: Path, seed: int) -> None:
    root, rng = tree(tmp_path / "masks"), np.random.default_rng(seed)
    happens = [name for name, _ in edits(root, rng)]
    for name in at_least_one(rng.permutation(happens).tolist()):
        dict(edits(root, rng))[name]()
        with (
            scanned(root, tmp_path / "trust.db", trust_folders=True) as trusting,
            maskstat.scan(root, classes=CLASSES, db=tmp_path / "plain.db") as plain,
        ):
            assert_same(trusting, plain)


def test_folders_as_they_were_are_not_looked_at(tmp_path: Path, looks: list[str]) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    with scanned(root, db, trust_folders=True) as first:
        masks = first.histogram.mask_count
    looks.clear()
    with scanned(root, db, trust_folders=True) as again:
        assert again.changes is not None
        assert (again.changes.unchanged, again.changes.skipped) == (masks, 1)
    assert {name.rpartition("/")[0] for name in looks} == {"c"}  # where a link is
    write(root / "a" / "more.npy", 5)
    looks.clear()
    with scanned(root, db, trust_folders=True) as again:
        assert again.changes is not None
        assert (again.changes.new, again.changes.unchanged) == (1, masks)
    assert {name.rpartition("/")[0] for name in looks} == {"a", "c"}


def test_masks_written_in_place_are_seen_without_it_only(tmp_path: Path) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()
    write(root / "a" / "m1.npy", 999)
    with scanned(root, db, trust_folders=True) as scan:
        assert scan.changes is not None
        assert scan.changes.changed == 0
    with scanned(root, db) as scan:
        assert scan.changes is not None
        assert scan.changes.changed == 1


def test_a_run_without_it_ends_it(tmp_path: Path, looks: list[str]) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()
    scanned(root, db).close()
    looks.clear()
    scanned(root, db, trust_folders=True).close()
    assert len(set(looks)) == 21


def test_other_options_list_other_files(tmp_path: Path) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    asked: list[dict[str, Any]] = [{}, {"exclude": "m1*"}, {"include": "m*"}, {"ignore": 2}, {}]
    for options in at_least_one(asked):
        with (
            scanned(root, db, trust_folders=True, **options) as trusting,
            maskstat.scan(root, classes=CLASSES, **options) as plain,
        ):
            assert trusting.histogram == plain.histogram
            assert trusting.ledger.names == plain.ledger.names


def test_an_interrupted_run_remembers_nothing(tmp_path: Path, looks: list[str]) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()
    write(root / "a" / "more.npy", 5)

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scanned(root, db, trust_folders=True, on_progress=stop)
    with Store.open(db) as store:
        assert store.folders_sum(store.find()) is None
    looks.clear()
    with scanned(root, db, trust_folders=True) as again:
        assert len(set(looks)) == again.histogram.mask_count == 22


def test_a_folder_with_a_broken_mask_is_looked_at_again(tmp_path: Path) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    (root / "a" / "bad.npy").write_bytes(b"broken")
    for _ in range(2):
        with scanned(root, db, trust_folders=True) as scan:
            assert [failure.mask for failure in scan.failures] == ["a/bad.npy"]
    write(root / "a" / "bad.npy", 3)  # in its place
    with scanned(root, db, trust_folders=True) as scan:
        assert not scan.failures
        assert scan.changes is not None
        assert scan.changes.new == 1


def test_a_folder_that_just_changed_is_not_remembered(
    tmp_path: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_trust, "SETTLED_NS", 3_600_000_000_000)
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()
    looks.clear()
    scanned(root, db, trust_folders=True).close()
    assert len(set(looks)) == 21


def test_a_store_that_lost_masks_is_made_whole(tmp_path: Path) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()
    with Store.open(db) as store:
        store.forget(store.find(), ["a/m2.npy"])
    with scanned(root, db, trust_folders=True) as scan:
        assert scan.changes is not None
        assert (scan.changes.new, scan.histogram.mask_count) == (1, 21)


def test_what_a_store_says_of_folders_is_checked_and_goes_with_its_scan(tmp_path: Path) -> None:
    root, db = tree(tmp_path / "masks"), tmp_path / "a.db"
    scanned(root, db, trust_folders=True).close()

    def change(*statements: str) -> None:
        with closing(sqlite3.connect(db)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    change("UPDATE folder SET skipped = skipped + 1 WHERE prefix = 'a/'")
    with pytest.raises(StoreError, match="no scan wrote"):
        scanned(root, db, trust_folders=True)
    change("UPDATE folder SET skipped = skipped - 1 WHERE prefix = 'a/'")
    with scanned(root, db, trust_folders=True) as scan:
        assert scan.changes is not None
        assert scan.changes.skipped == 1
    maskstat.remove_scan(db, scan.name)
    with closing(sqlite3.connect(db)) as connection:
        for table in at_least_one(("folder", "checksum")):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    change("DROP TABLE folder", "PRAGMA user_version = 8")
    with scanned(root, db, trust_folders=True) as scan:
        assert scan.changes is not None
        assert scan.changes.new == 21


def test_all_masks_may_be_as_they_were_and_all_may_be_gone(tmp_path: Path) -> None:
    root, db = tmp_path / "masks", tmp_path / "a.db"
    for at in range(3):
        write(root / f"m{at}.npy", at)
    for changes in at_least_one([(3, 0), (0, 3), (0, 3)]):
        with scanned(root, db, trust_folders=True) as scan:
            assert scan.changes is not None
            assert (scan.changes.new, scan.changes.unchanged) == changes
    shutil.rmtree(root)
    root.mkdir()
    with pytest.raises(MaskstatError, match="no masks found"):
        scanned(root, db, trust_folders=True)


@pytest.mark.parametrize(
    "options",
    [{"rescan": True}, {"profile": True}, {"index": True}, {"crop": 4}, {"pages": "each"}],
    ids=str,
)
def test_what_looks_at_masks_again_does_not_go_with_it(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ParameterError) as error:
        scanned(tree(tmp_path / "masks"), tmp_path / "a.db", trust_folders=True, **options)
    assert error.value.parameter == "trust_folders"


def test_only_folders_of_this_machine_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path / "masks")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    with pytest.raises(ParameterError, match="a folder of masks on this machine"):
        scanned(Path(packed), tmp_path / "a.db", trust_folders=True)
    for kind in at_least_one(["nfs4", "vfat", None]):
        monkeypatch.setattr(folder_trust, "_file_system", lambda real, kind=kind: kind)
        with pytest.raises(ParameterError, match="folders may not tell"):
            scanned(root, tmp_path / "a.db", trust_folders=True)


def test_the_kind_of_a_file_system_is_that_of_its_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nhost:/b /data nfs4 rw 0 0\n/dev/c /data/my\\040masks xfs rw 0 0\n"
        "/dev/d /data2 vfat rw 0 0\nnone\n"
    )
    monkeypatch.setattr(folder_trust, "_MOUNTS", mounts)
    for path, kind in at_least_one(
        {
            "/": "ext4",
            "/home/x": "ext4",
            "/data": "nfs4",
            "/data/y": "nfs4",
            "/data/my masks/z": "xfs",
            "/data2/z": "vfat",
        }.items()
    ):
        assert folder_trust._file_system(path) == kind
    mounts.unlink()
    assert folder_trust._file_system("/") is None
