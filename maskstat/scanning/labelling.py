"""Masks of a scan as labels, one after the other: for what needs every pixel and keeps none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, SourceError
from maskstat.kernels.region_types import raw_pixels
from maskstat.naming import printable
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.stored_scan import StoredScan

IGNORED = -1


def label_maps(scan: StoredScan, names: set[str]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The name, and int64[H, W] of each of these masks: the class, or `IGNORED`.

    Raises:
        SourceError: masks are gone, have changed since the scan, or were counted in memory.
        MaskError: one can't be read any more.
    """
    ledger = scan.ledger
    row_of = {name: row for row, name in enumerate(ledger.names)}
    reader = Reader(scan.read_options)
    again = f"scan again: {scan._scan_call()}"
    found = set()
    for entry in scan._entries_of(names):
        try:
            tally, pixels = reader.tally_and_pixels(entry)
        except MaskError as error:
            raise MaskError(error.problem, where=printable(entry.name), remedy=again) from error
        targets = scan.catalog.targets_of(tally.encoding, tally.values)
        targets = np.where(targets < 0, IGNORED, targets)
        raw = raw_pixels(pixels).astype(np.int64, copy=False)
        labels = targets[np.searchsorted(tally.values, raw)]
        row = row_of[entry.name]
        counts = np.bincount(labels[labels >= 0], minlength=len(scan.catalog))
        start, end = ledger.indptr[row : row + 2].tolist()
        counted = np.zeros(len(scan.catalog), np.int64)
        counted[ledger.classes[start:end]] = ledger.pixels[start:end]
        if not np.array_equal(counts, counted):
            raise SourceError(
                "has changed since the scan", where=printable(entry.name), remedy=again
            )
        found.add(entry.name)
        yield entry.name, labels
    if names - found:
        lost = printable(min(names - found))
        raise SourceError("is not found any more", where=lost, remedy=again)
