"""Indexing the masks of a scan: where each class is in each, kept in the store as they come.

An `Indexer` looks at the pixels of masks, and an `IndexShelf` is what a store keeps of it; see
`kept_rows`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from maskstat.crops.class_index import ClassIndex
from maskstat.crops.class_runs import ClassRuns, MaskTables
from maskstat.crops.run_bytes import from_bytes, to_bytes
from maskstat.errors import ExposureError
from maskstat.naming import counted, natural_key, printable
from maskstat.scanning.kept_rows import RowMaker, RowShelf
from maskstat.scanning.measuring import LabelledPixels
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.base import Entry
from maskstat.store.exposures import KnownMask
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog

if TYPE_CHECKING:
    from maskstat.kernels.coded_runs import CodedRuns

_INDEX = "index/"  # no digest of a recipe begins so
_SMALL = 1 << 26  # bytes that are put together in memory; more of them are on the disk


@dataclass(frozen=True, slots=True)
class Indexer(RowMaker):
    """Finds the runs of each class of masks: a `Consumer` of their pixels."""

    crops: int = 1
    presence: bool = False
    drawn: Mapping[str, str] = field(default_factory=dict)

    def make(self, entry: Entry, seen: LabelledPixels) -> bytes:
        """What is to be kept of a mask. Raises MaskError and MemoryError."""
        from maskstat.kernels.coded_runs import CodedRuns

        return to_bytes(CodedRuns.of(*seen.runs), self._drawn(entry.name))


def is_index(digest: str) -> bool:
    """Whether rows are of an index, and not of a recipe."""
    return digest.startswith(_INDEX)


class IndexShelf(RowShelf):
    """What a store keeps of the masks of a scan for an index: read once, and added to."""

    crops = 1
    _said = "{}"

    def __init__(self, store: Store, scan: ScanInfo, catalog: ClassCatalog):
        self._store, self._scan, self._catalog = store, scan, catalog
        self._digest = _INDEX + catalog.digest
        self._known = store.exposed(scan, self._digest)
        self.consumer = Indexer()
        self._nothing_waits()

    @classmethod
    def of(cls, scan: StoredScan) -> IndexShelf:
        """Of a scan, under its classes."""
        return cls(scan._store, scan.info, scan.catalog)

    def _serves(self, one: KnownMask) -> bool:
        return one.crops > 0

    def index(self) -> ClassIndex:
        """What is kept, put together; masks that are in `left_out` are not in it.

        Raises:
            ExposureError: masks are not looked at yet.
            StoreError: what was kept has changed.
        """
        if lacking := sum(map(self._lacks, self._names)):
            raise ExposureError(
                f"{counted(lacking, 'mask')} of {len(self._names):,} not indexed under these"
                " classes",
                where=printable(self._scan.name),
            )
        names: list[str] = []
        with tempfile.SpooledTemporaryFile(_SMALL) as file:
            tables = MaskTables.of(self._kept(names), file)
            if file.tell() <= _SMALL:
                file.seek(0)
                data = np.frombuffer(file.read(), np.uint8)
            else:  # it stays on the disk, as long as somebody holds it
                file.flush()
                data = np.memmap(file, np.uint8, "r")
        return ClassIndex(names, self._catalog, ClassRuns.of(tables, data))

    def _kept(self, names: list[str]) -> Iterator[CodedRuns]:
        """The runs of each mask, whose names are noted."""
        every = sorted(self._names, key=natural_key)
        for name, drawn, content in self._store.exposed_masks(self._scan, self._digest, every):
            with self._store.checked():
                one = from_bytes(content, drawn)
                if len(one.classes) and one.classes[-1] >= len(self._catalog):
                    raise ValueError("a class that there is not")
            names.append(name)
            yield one
