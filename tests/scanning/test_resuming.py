"""Which scan of a store a run goes on with, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest

import maskstat as ms
from maskstat.errors import StoreError
from maskstat.readers import formats
from maskstat.scanning.resuming import Resumed, free_name, resumed
from maskstat.sources.base import Selection, Source
from maskstat.sources.opening import open_source
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from tests.support.scan_cases import grey_png, write

CLASSES = ClassCatalog.numbered(3)


def masks(folder: Path, count: int = 4) -> Source:
    for number in range(count):
        write(folder / f"{number}.png", grey_png([[number % 3]]))
    return open_source(folder, Selection(suffixes=formats.SUFFIXES))


def scanned(folder: Path, db: Path, **options: str) -> Source:
    source = masks(folder)
    ms.scan(folder, classes=3, db=db, **options).close()  # type: ignore[arg-type]
    return source


def found(db: Path, source: Source, name: str | None = None) -> Resumed:
    with Store.open(db, create=True) as store:
        return resumed(store, source, name, CLASSES, {})


def test_a_name_is_the_sources_own_or_one_that_no_scan_has(tmp_path: Path) -> None:
    """The folder's, then with those above it, then with numbers; the same at every run."""
    db, names = tmp_path / "s.db", []
    folders = [tmp_path / part / "set" / "masks" for part in ("a", "b", "c")]
    for folder in folders:
        source = masks(folder)
        for _ in range(2):
            with Store.open(db, create=True) as store:
                names.append(free_name(store, source))
            ms.scan(folder, classes=3, db=db).close()
    assert names == [*["masks"] * 2, *["set-masks"] * 2, *["c-set-masks"] * 2]


def test_numbers_where_all_longer_names_are_taken(tmp_path: Path) -> None:
    source, other = masks(tmp_path / "masks"), tmp_path / "other"
    masks(other)
    parts = tmp_path.parts[1:]
    names = ["masks", *("-".join((*parts[at:], "masks")) for at in range(len(parts)))]
    with Store.in_memory() as store:
        for name in names:
            store.begin(name, str(other), CLASSES, {})
        assert free_name(store, source) == "masks-2"
        store.begin("masks-2", str(other), CLASSES, {})
        assert free_name(store, source) == "masks-3"


def test_what_the_store_has_of_it(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    new = found(db, masks(tmp_path / "masks"))
    assert (new.info.name, new.known, new.forgotten) == ("masks", 0, 0)
    source = scanned(tmp_path / "masks", db)
    again = found(db, source)
    assert (again.info.name, again.known, again.forgotten) == ("masks", 4, 0)
    assert again.revision > new.revision


def test_masks_of_another_place_under_the_name_are_forgotten(tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    scanned(tmp_path / "masks", db, name="mine")
    elsewhere = found(db, masks(tmp_path / "other"), "mine")
    assert (elsewhere.info.name, elsewhere.known, elsewhere.forgotten) == ("mine", 0, 4)
    assert elsewhere.info.source == str(tmp_path / "other")


def test_a_merged_scan_is_not_scanned_over(tmp_path: Path) -> None:
    db, merged = tmp_path / "s.db", tmp_path / "m.db"
    source = scanned(tmp_path / "masks", db)
    ms.merge([db], merged).close()
    with pytest.raises(StoreError, match=r"masks: this scan was merged .*; choose another name"):
        found(merged, source, "masks")
