"""Which scan is meant: never a split's that nobody named, and never one of two that are as good."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.errors import StoreError, WeightError
from maskstat.scanning.choosing import chosen
from maskstat.sources.locations import with_options
from maskstat.sources.split_names import SPLITS, TRAINING
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from tests.support.paths import CAMVID

TWO = ClassCatalog.numbered(2)


def store_of(*scans: tuple[str, str]) -> Store:
    """A store of scans, (name, location), the latest last."""
    store = Store.in_memory()
    for name, location in scans:
        store.finish(store.begin(name, location, TWO))
    return store


def meant(*scans: tuple[str, str], name: str | None = None) -> str:
    return chosen(store_of(*scans), name).name


@given(st.randoms(), st.sets(st.sampled_from(SPLITS), min_size=2), st.sampled_from(range(4)))
def test_of_splits_the_one_to_train_on(chance: Random, splits: set[str], way: int) -> None:
    """However they were scanned: by `--split`, under names, or as folders; in any order."""
    scans = [
        (
            (f"masks-{split}", with_options("/data/masks", split=split)),
            (split, f"/data/{chance.random()}"),
            (f"{split}-masks" if at else "masks", f"/data/{split}/masks"),
            (f"m{at}", with_options("/d.csv", column="mask", split=split.upper())),
        )[way]
        for at, split in enumerate(splits)
    ]
    chance.shuffle(scans)
    scans.insert(0, ("other", "/data/train/others"))
    best = [split for split in TRAINING if split in splits]
    if not best:
        with pytest.raises(StoreError, match="none is one to train on"):
            meant(*scans)
        return
    found = chosen(store_of(*scans))
    said = f"{found.name} {found.source}".lower()
    rest = said.replace(best[0], "")
    assert rest != said
    assert not any(split in rest for split in (splits - {best[0]}) if split not in best[0])
    # What was scanned since then, and is no split, is the latest.
    assert meant(*scans, ("later", "/elsewhere")) == "later"


def test_a_scan_that_is_no_split_or_the_only_one_is_the_latest() -> None:
    assert meant(("a", "/a"), ("b", "/b")) == "b"
    assert meant(("a", "/a"), ("b-val", with_options("/b", split="val"))) == "b-val"
    assert meant(("x-train", "/x"), ("y-val", "/y")) == "y-val"
    assert meant(("x", "/data/train/x"), ("y", "/data/val/y")) == "y"
    assert meant(("retrain", "/a"), ("interval", "/b")) == "interval"
    with pytest.raises(StoreError, match="holds no scan yet"):
        meant()


def test_the_end_of_a_name_is_enough_where_only_one_ends_so() -> None:
    camvid = ("camvid-train", "/c#split=train"), ("camvid-val", "/c#split=val")
    assert meant(*camvid, name="train") == "camvid-train"
    assert meant(*camvid, name="val") == "camvid-val"
    assert meant(*camvid, ("train", "/t"), name="train") == "train"
    assert meant(("x-fold1", "/x#split=fold1"), name="fold1") == "x-fold1"
    with pytest.raises(StoreError, match="did you mean val-masks"):
        meant(("val-masks", "/val/masks"), name="masks")
    for end in ("ain", "camvid", "", "Train", "x-train"):
        with pytest.raises(StoreError, match="holds no scan called"):
            meant(*camvid, name=end)
    with pytest.raises(StoreError, match=r"'train' may .*camvid-train, city_train; give"):
        meant(*camvid, ("city_train", "/s"), name="train")


def split_folder(path: Path) -> Path:
    """Masks of class 0 in train, and of class 1 in val."""
    for split, value in (("train", 0), ("val", 1)):
        (path / split).mkdir(parents=True)
        np.save(path / split / "a.npy", np.array([[value, 0], [0, 1]], np.uint8))
    return path


def test_names_by_their_end_wherever_one_is_given(tmp_path: Path) -> None:
    db, folder = tmp_path / "s.db", split_folder(tmp_path / "masks")
    ms.scan_splits(folder, classes=2, db=db).close()
    with ms.open_scan(db) as train, ms.open_scan(db, "val") as val:
        assert (train.name, val.name) == ("masks-train", "masks-val")
        assert [s.name for s in train.compare("val").splits] == ["masks-train", "masks-val"]
        assert train.check(against="val").against == ("masks-val",)
        with pytest.raises(ValueError, match="twice"):
            train.plot("compare", others=["val", "masks-val"])
    with ms.merge([db], tmp_path / "train.db") as merged:
        assert [shard.scan for shard in merged.shards] == ["masks-train"]
    with ms.merge([db], tmp_path / "both.db", scans=["val", "train"]) as merged:
        assert [shard.scan for shard in merged.shards] == ["masks-val", "masks-train"]
    with pytest.raises(StoreError, match="no scan called 'val'"):
        ms.remove_scan(db, "val")  # what is lost is named in full


def test_weights_costs_and_samples_say_which_scan_they_are_of(tmp_path: Path) -> None:
    db, folder = tmp_path / "s.db", split_folder(tmp_path / "masks")
    ms.scan_splits(folder, classes=2, db=db).close()
    with ms.open_scan(db) as scan:
        assert scan.weights().provenance["scan"] == "masks-train"
        for table in scan.all_weights().values():
            assert isinstance(table, WeightError) or table.provenance["scan"] == "masks-train"
        assert scan.costs().scan == scan.costs().to_document()["scan"] == "masks-train"
        assert scan.sampling().provenance["scan"] == "masks-train"
        saved = scan.weights().save(tmp_path / "w.json")
    assert ms.load_weights(saved).provenance["scan"] == "masks-train"


@pytest.mark.skipif(not CAMVID.is_dir(), reason="real masks are absent")
def test_camvid_is_weighed_by_its_training_set(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    ms.scan_splits(CAMVID, classes="camvid-11", include="*/masks/*", db=db).close()
    with ms.open_scan(db) as scan, ms.open_scan(db, "val") as val:
        assert scan.name == "camvid-train"
        assert scan.weights()["Bicyclist"] == pytest.approx(29.938, abs=5e-4)
        assert val.weights()["Bicyclist"] == pytest.approx(4.02985, abs=5e-6)
