"""A stored scan whose classes are measured by the volume of their voxels, not by their number."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from maskstat.errors import UnknownCountsError, argument
from maskstat.naming import counted, natural_key, printable
from maskstat.readers.spacing import SPATIAL
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.identities import is_merged
from maskstat.values.class_volumes import ClassVolumes
from maskstat.values.contributions import Contributions
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding


class ByVolume(StoredScan):
    """The masks of a scan with shares of volume: `histogram`, `intervals` and `volumes`.

    What is of each mask (`ledger`, `tables`) counts voxels as it always does.
    """

    @classmethod
    def of(cls, scan: StoredScan) -> ByVolume:
        """The same scan.

        Raises:
            UnknownCountsError: a mask has no spacing.
        """
        _demand_spacings(scan)
        view = cls(scan._store, scan.info, scan._given, scan.changes, scan._grid)
        view._rule = scan._rule
        return view

    @cached_property
    def volumes(self) -> ClassVolumes:
        """What each class measures, exact sums over all masks."""
        pixels = StoredScan(self._store, self.info, self._given).histogram
        return ClassVolumes.of(pixels, self._blocks())

    @cached_property
    def histogram(self) -> ClassHistogram:
        """Totals whose `unit` is "volume": weights made of them are those of resampled masks."""
        return self.volumes.histogram

    @property
    def _volumes(self) -> ClassVolumes:
        return self.volumes

    def _blocks(self) -> Iterator[tuple[MaskLedger, list[float]]]:
        for table in self.tables():
            yield MaskLedger.of(self.catalog, table), [e.voxel or 0.0 for e in table.encodings]

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        contributions, groups = super()._contributing
        sizes = {
            name: encoding.voxel or 0.0
            for table in self.tables()
            for name, encoding in zip(table.names, table.encodings, strict=True)
        }
        factors = np.array([sizes[name] for name in self.ledger.names]) / self.volumes.unit
        return contributions.times(factors), groups


def _demand_spacings(scan: StoredScan) -> None:
    """Raise UnknownCountsError where a mask has no spacing."""
    lacking, first = 0, (natural_key(""), "", Encoding("", "", 0))
    for table in scan.tables():
        found = [
            (natural_key(name), name, encoding)
            for name, encoding in zip(table.names, table.encodings, strict=True)
            if not encoding.voxel
        ]
        if found:
            first = min([*found, first] if lacking else found)
            lacking += len(found)
    if not lacking:
        return
    _, name, encoding = first
    masks = scan.histogram.mask_count
    every = lacking == masks
    number = "no mask has a" if every else f"{lacking:,} of {counted(masks, 'mask')} have no"
    why, remedy = _reason(scan, encoding, every=every)
    raise UnknownCountsError(
        f"{number} spacing, first {printable(name)} ({why})",
        where=printable(scan.name),
        remedy=remedy,
    )


def _reason(scan: StoredScan, encoding: Encoding, *, every: bool) -> tuple[str, str]:
    """Why a mask has no spacing, and what to do."""
    container = encoding.container.split()[0]
    if scan.info.reading.get("per_class"):
        return (
            "it is drawn from files of classes",
            f"measure pixels: {argument('measure', 'pixels')}",
        )
    if container not in SPATIAL:
        return f"{container} has none", (
            f"measure pixels: {argument('measure', 'pixels')}"
            if every
            else f"scan volumes alone: {argument('exclude')}"
        )
    if encoding.voxel is None and is_merged(scan.source):
        return "counted by an earlier version", "scan those that were merged, and merge them again"
    if encoding.voxel is None:
        return "counted by an earlier version", f"scan again: {scan._scan_call()}"
    return "its header says none that can be", "mend its header, and scan again"
