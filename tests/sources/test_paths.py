"""Several paths as a source: each is one mask, named from the deepest folder that all are in."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

import maskstat as ms
from maskstat.errors import ParameterError, SourceError


@pytest.fixture
def paths(forty_masks: Path) -> list[Path]:
    found = sorted(forty_masks.rglob("*.png"))
    assert len(found) == 40
    return found


def test_paths_count_as_their_folder_does(forty_masks: Path, paths: list[Path]) -> None:
    whole = ms.scan(forty_masks, classes=7)
    listed = ms.scan(reversed(paths), classes=7)
    assert listed.histogram == whole.histogram
    assert listed.ledger.names == whole.ledger.names
    assert listed.name == "masks"
    twice = ms.scan([*paths, *map(os.path.relpath, paths)], classes=7)
    assert twice.histogram == whole.histogram


def test_one_path_of_several_is_one_mask_whatever_it_is_called(
    forty_masks: Path, paths: list[Path]
) -> None:
    odd = forty_masks / "mask without suffix"
    odd.write_bytes(paths[0].read_bytes())
    scan = ms.scan([odd, forty_masks / "gone.png"], classes=7)
    assert scan.ledger.names == ("mask without suffix",)
    assert [failure.mask for failure in scan.failures] == ["gone.png"]


def test_a_store_knows_them_again(
    forty_masks: Path, paths: list[Path], tmp_path: Path, decoded: list[str]
) -> None:
    db = tmp_path / "s.db"
    ms.scan(paths[:30], classes=7, db=db).close()
    assert len(decoded) == 30
    with ms.scan(paths, classes=7, db=db) as scan:
        assert scan.changes is not None
        assert len(decoded) == 40
        assert (scan.changes.new, scan.changes.unchanged) == (10, 30)
    with ms.scan(paths[5:], classes=7, db=db) as scan:
        assert scan.changes is not None
        assert (scan.changes.gone, scan.changes.unchanged) == (5, 35)
    with ms.open_scan(db) as scan:
        assert sorted(entry.name for entry in scan.entries()) == sorted(scan.ledger.names)
        assert all(pickle.loads(pickle.dumps(entry)).load() for entry in scan.entries())


def test_a_mask_of_a_list_and_of_a_folder_is_one(
    forty_masks: Path, paths: list[Path], tmp_path: Path
) -> None:
    with ms.scan(forty_masks, classes=7, db=tmp_path / "folder.db") as whole:
        ms.scan(paths[:30], classes=7, db=tmp_path / "list.db").close()
        stores = [tmp_path / "folder.db", tmp_path / "list.db"]
        with ms.merge(stores, tmp_path / "all.db") as merged:
            assert merged.overlapping == 30
            assert merged.histogram == whole.histogram


def test_patterns_and_splits(forty_masks: Path, tmp_path: Path) -> None:
    (forty_masks / "a").rename(tmp_path / "train")
    (forty_masks / "b" / "c").rename(tmp_path / "val")
    found = [*(tmp_path / "train").iterdir(), *(tmp_path / "val").iterdir()]
    splits = ms.scan_splits(iter(found), classes=7)
    assert list(splits) == ["train", "val"]
    assert sum(len(one.ledger) for one in splits.values()) == len(found) > 20
    some = ms.scan(found, classes=7, include="val/*")
    assert some.ledger.names == tuple(f"val/{name}" for name in sorted_names(tmp_path / "val"))
    only = ms.scan(found, classes=7, split="val")
    assert only.histogram == some.histogram
    assert [entry.name for entry in only.entries()] == list(only.ledger.names)


def sorted_names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder), key=lambda name: int(name[5:-4]))


def test_what_is_no_list_of_paths(forty_masks: Path, paths: list[Path]) -> None:
    with pytest.raises(SourceError, match=r"the list of paths is empty"):
        ms.scan([], classes=7)
    with pytest.raises(SourceError, match=r"is a URL, and a list is of paths; .* into a \.txt"):
        ms.scan(["https://server/mask.png"], classes=7)
    with pytest.raises(ParameterError, match="have columns"):
        ms.scan(paths, classes=7, column="mask")
    with pytest.raises(SourceError, match="has no splits"):
        ms.scan_splits(paths, classes=7)
