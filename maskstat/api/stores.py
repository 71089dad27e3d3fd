"""What a store holds: listing its scans, and removing one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskstat.showing import one_line
from maskstat.store.store import Store


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """What a list of scans says of each.

    Attributes:
        name: its name in the store.
        masks: masks counted.
        failures: masks that could not be counted.
        classes: name of its catalogue.
        complete: whether its last run went to its end.
        updated: when that was, UTC in ISO 8601.
        source: where its masks are.
    """

    name: str
    masks: int
    failures: int
    classes: str
    complete: bool
    updated: str
    source: str

    __repr__ = one_line

    def to_document(self) -> dict[str, Any]:
        """A row of `maskstat scans --json`; plain JSON types."""
        return {
            "scan": self.name,
            "masks": self.masks,
            "failures": self.failures,
            "classes": self.classes,
            "complete": self.complete,
            "updated": self.updated,
            "source": self.source,
        }


def scans(db: str | Path) -> tuple[ScanRecord, ...]:
    """The scans in a store; the last is the latest, which `open_scan` takes if it is no split.

    Raises StoreError where the store can't be used.
    """
    with Store.open(db) as store:
        return tuple(
            ScanRecord(
                info.name,
                store.mask_count(info),
                len(store.failures(info)),
                info.catalog.name,
                info.complete,
                info.updated,
                info.source,
            )
            for info in store.scans()
        )


def remove_scan(db: str | Path, name: str) -> None:
    """Remove a scan from a store. Raises StoreError where there is none of this name."""
    with Store.open(db) as store:
        store.remove(store.find(name))
