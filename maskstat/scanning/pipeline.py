"""A run of a scan, from top to bottom. Each stage is a module, and gives a value to the next.

    request        what is asked, checked once                  -> ScanRequest
    siblings       of which files, where an image has several   -> ScanRequest
    plane_entries  of their planes, where each is a mask        -> Source
    listing        the masks of its source                      -> Listing
    resuming       the scan in the store that they belong to    -> Resumed
    changes        those of them that must be read              -> Pending
    chunking       few enough at a time                         -> lists of entries
    executors      each counted, on threads or on a cluster     -> lists of outcomes
    recording      committed as they come                       -> the scan's record

What threads and workers do with a mask is `counting`, by a `mask_reader`, and `measuring` where a
profile is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace

from maskstat.executors.base import Executor
from maskstat.executors.chunking import chunked
from maskstat.scanning.changes import Changes, Pending
from maskstat.scanning.counting import Counter
from maskstat.scanning.grouping import keep_groups
from maskstat.scanning.listing import Listing
from maskstat.scanning.measuring import Measurer
from maskstat.scanning.plane_entries import by_plane
from maskstat.scanning.recording import Recorder
from maskstat.scanning.request import ScanRequest
from maskstat.scanning.resuming import Resumed, resumed
from maskstat.scanning.siblings import narrowed
from maskstat.scanning.stored_scan import StoredScan, settle
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store


def scan(asked: ScanRequest) -> StoredScan:
    """Count every mask of a source, exactly; see `maskstat.scan`."""
    # Before there is a store: where nothing is, none should be left.
    asked = narrowed(asked)
    listing = _listing(asked)
    with asked.executor.opened(asked.source.reads) as executor, ExitStack() as on_error:
        result = on_error.enter_context(_unsettled(asked, listing, executor))
        settle([result])
        _measure(asked, result, executor)
        on_error.pop_all()
    return result


def scan_together(requests: Iterable[tuple[str, ScanRequest]]) -> dict[str, StoredScan]:
    """The same for several under a name each; the values of all of them say what 255 means."""
    asked: dict[str, ScanRequest] = {}
    scans: dict[str, StoredScan] = {}
    with ExitStack() as on_error:
        for split, request in requests:
            one = narrowed(request)
            listing = _listing(one)
            with one.executor.opened(one.source.reads) as executor:
                scans[split] = on_error.enter_context(_unsettled(one, listing, executor))
            asked[split] = one
        settle(list(scans.values()))
        for split, one in asked.items():
            if _unmeasured(one, scans[split]) is not None:
                with one.executor.opened(one.source.reads) as executor:
                    _measure(one, scans[split], executor)
        on_error.pop_all()
    return scans


def _listing(asked: ScanRequest) -> Listing:
    """The masks of the source: its files, or their planes."""
    return Listing(by_plane(asked.source, asked.options))


def _unsettled(asked: ScanRequest, listing: Listing, executor: Executor) -> StoredScan:
    """The scan, of which nobody knows yet what 255 means."""
    store = Store.in_memory() if asked.db is None else Store.open(asked.db, create=True)
    try:
        info, changes = _run(asked, listing, executor, store)
        info = keep_groups(store, info, asked.source, asked.group_by)
    except BaseException:
        store.close()
        raise
    return StoredScan(store, info, asked.catalog, changes, asked.grid)


def _unmeasured(asked: ScanRequest, scan: StoredScan) -> Measurer | None:
    """What measures the masks that a profile still lacks, where it lacks some.

    Only now the classes are known where they are inferred, and only now the masks that shared a
    block of the profile with one that changed.
    """
    if asked.grid is None or not len(scan.catalog):
        return None
    measurer = Measurer(scan.catalog, asked.grid)
    return measurer if scan._store.unmeasured(measurer.key(scan.info)) else None


def _measure(asked: ScanRequest, scan: StoredScan, executor: Executor) -> None:
    """The same stages once more, where masks are left to measure."""
    measurer = _unmeasured(asked, scan)
    if measurer is not None:
        rest = replace(asked, name=scan.name, rescan=False, measurer=measurer)
        _run(rest, _listing(rest), executor, scan._store)


def _run(
    asked: ScanRequest, listing: Listing, executor: Executor, store: Store
) -> tuple[ScanInfo, Changes]:
    """List, compare with the store, count what is left, commit as it goes."""
    target = resumed(
        store, asked.source, asked.name, asked.catalog, asked.options.recorded, asked.agreed
    )
    with store.beating():
        return _counted(asked, listing, executor, store, target)


def _counted(
    asked: ScanRequest, listing: Listing, executor: Executor, store: Store, target: Resumed
) -> tuple[ScanInfo, Changes]:
    """What was begun, to its end."""
    profile = None if asked.measurer is None else asked.measurer.key(target.info)
    pending = Pending(
        store,
        target,
        listing,
        refuses=asked.options.refuses,
        rescan=asked.rescan,
        profile=profile,
    )
    # In order, the first failure is the same one every time.
    chunks = chunked(pending.entries(by_name=asked.strict), executor.sizes)
    counter = Counter(asked.options, asked.measurer)
    outcomes = executor.outcomes(counter, chunks, in_order=asked.strict)
    recorder = Recorder(store, target, pending, profile)
    recorder.take_in(outcomes, strict=asked.strict, on_progress=asked.on_progress)
    return recorder.finish(), pending.changes(recorder.lost)
