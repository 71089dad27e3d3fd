"""The class index of a scan: worked out, or taken from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from maskstat.api.unlisted import values_explained
from maskstat.errors import ExposureError, IncompleteScanError, argument, call
from maskstat.executors.opening import ExecutorChoice
from maskstat.naming import counted, printable
from maskstat.scanning.indexing import IndexShelf
from maskstat.scanning.recording import Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.weights.choices import Unlisted
from maskstat.weights.compute import heed_unlisted

if TYPE_CHECKING:
    from maskstat.crops.class_index import ClassIndex


def indexed(
    scan: StoredScan,
    *,
    unlisted: Unlisted,
    allow_incomplete: bool,
    make: ExecutorChoice | None,
    on_progress: Callable[[Progress], None] | None,
) -> ClassIndex:
    """What `Scan.class_index` gives. Raises like it.

    Args:
        make: where masks are decoded; None decodes none.
    """
    with values_explained(scan):
        heed_unlisted(scan.histogram, unlisted)
    shelf = IndexShelf.of(scan)
    if make is not None:
        shelf.fill(scan, make, on_progress)
    try:
        index = shelf.index()
    except ExposureError as error:
        error.remedy = error.remedy or f"type: {call('Scan.class_index')}"
        raise
    if not allow_incomplete and (lacking := shelf.left_out()):
        raise IncompleteScanError(
            f"{counted(len(lacking), 'mask')} could not be indexed, first"
            f" {printable(lacking[0].mask)} ({lacking[0].text})",
            where=printable(scan.name),
            remedy=argument("allow_incomplete", True),
        )
    return index
