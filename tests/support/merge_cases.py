"""Stores to merge, made without files of masks, and what to compare of two stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from maskstat.api.making import scan
from maskstat.api.merging import merge
from maskstat.store.records import Failure, StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, MaskTally
from tests.support.scan_cases import stored_rows

GREY = Encoding("png", "grey", 8)
TEN = ClassCatalog.numbered(10)


def mask(name: str, *values: int) -> MaskTally:
    return MaskTally.of_pixels(name, np.array([values]), GREY)


class Part(NamedTuple):
    """A store to make: where its source is, its masks, and those that failed."""

    location: str
    masks: Sequence[StoredMask] = ()
    failures: Sequence[Failure] = ()
    catalog: ClassCatalog = TEN
    reading: dict[str, object] | None = None
    complete: bool = True
    name: str = "shard"


def made(path: Path, part: Part) -> Path:
    with Store.open(path, create=True) as store:
        store._connection.execute("PRAGMA synchronous = OFF")
        info = store.begin(part.name, part.location, part.catalog, part.reading)
        store.write(info, part.masks, part.failures)
        if part.complete:
            store.finish(info)
    return path


def one(location: str, *tallies: MaskTally, stamp: int | str = 7, **more: Any) -> Part:
    return Part(location, [StoredMask(tally, 100, stamp) for tally in tallies], **more)


def content(path: Path) -> dict[str, object]:
    """All that a merged store holds, but for the times at which it was made."""
    with sqlite3.connect(path) as connection:
        scans = connection.execute("SELECT source, catalog, complete FROM scan").fetchall()
        masks = connection.execute(
            "SELECT name, size, stamp, height, width, encoding, form, tally FROM mask ORDER BY name"
        ).fetchall()
        failures = connection.execute("SELECT name, reason FROM failure ORDER BY name").fetchall()
        readings = connection.execute("SELECT options FROM reading").fetchall()
    connection.close()
    return {"scans": scans, "masks": masks, "failures": failures, "readings": readings}


def leftovers(folder: Path) -> list[str]:
    return sorted(
        p.name for p in folder.iterdir() if p.name.startswith(".") or "-journal" in p.name
    )


def merged_or_error(folder: Path, parts: Iterable[Part], **options: Any) -> Any:
    paths = [made(folder / f"{at}.db", part) for at, part in enumerate(parts)]
    with merge(paths, folder / "all.db", **options) as merged:
        return merged, stored_rows(merged)


def shard_stores(masks: Path, folder: Path) -> list[Path]:
    """Stores of the folder of forty masks in parts, of which two overlap others; a mask fails."""
    (masks / "b" / "broken.png").write_bytes(b"no image")
    stores = []
    for number, source in enumerate(["a", "b", "b/c", "b/*.png"]):
        stores.append(folder / f"{number}.db")
        scan(masks / source, classes=7, db=stores[-1]).close()
    return stores
