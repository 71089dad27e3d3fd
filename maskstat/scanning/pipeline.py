"""A run of a scan, from top to bottom. Each stage is a module, and gives a value to the next.

    request        what is asked, checked once                  -> ScanRequest
    folder_trust   folders that need no look, where asked for   -> ScanRequest
    siblings       of which files, where an image has several   -> ScanRequest
    plane_entries  of their planes, where each is a mask        -> Source
    listing        the masks of its source                      -> Listing
    resuming       the scan in the store that they belong to    -> Resumed
    changes        those of them that must be read              -> Pending
    chunking       few enough at a time                         -> lists of entries
    executors      each counted, on threads or on a cluster     -> lists of outcomes
    recording      committed as they come                       -> the scan's record

What threads and workers do with a mask is `counting`, by a `mask_reader`, and `measuring` where
somebody looks at its pixels: for a profile, for recipes (`exposing`) and for an index (`indexing`),
in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from maskstat.executors.chunking import chunked
from maskstat.scanning.changes import Pending
from maskstat.scanning.counting import Counter
from maskstat.scanning.grouping import keep_groups
from maskstat.scanning.listing import Listing
from maskstat.scanning.measuring import Measurer
from maskstat.scanning.plane_entries import by_plane
from maskstat.scanning.recording import ProfileShelf, Recorder, Shelf
from maskstat.scanning.resuming import resumed
from maskstat.scanning.siblings import narrowed
from maskstat.scanning.stored_scan import StoredScan, settle
from maskstat.sources.opening import opened_by
from maskstat.store.store import Store

if TYPE_CHECKING:
    from maskstat.executors.base import Executor
    from maskstat.scanning.changes import Changes
    from maskstat.scanning.request import ScanRequest
    from maskstat.sources.base import Entry
    from maskstat.store.records import ScanInfo
    from maskstat.values.catalog import ClassCatalog


def scan(asked: ScanRequest) -> StoredScan:
    """Count every mask of a source, exactly; see `maskstat.scan`."""
    # Before there is a store: where nothing is, none should be left.
    asked, listed = narrowed(_trusting(asked))
    listing = _listing(asked, listed)
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
            one, listed = narrowed(_trusting(request))
            listing = _listing(one, listed)
            with one.executor.opened(one.source.reads) as executor:
                scans[split] = on_error.enter_context(_unsettled(one, listing, executor))
            asked[split] = one
        settle(list(scans.values()))
        for split, one in asked.items():
            if _lacks_some(one, scans[split]):
                with one.executor.opened(one.source.reads) as executor:
                    _measure(one, scans[split], executor)
        on_error.pop_all()
    return scans


def _trusting(asked: ScanRequest) -> ScanRequest:
    """The request, of a source that knows which folders are as they were, where that is wanted."""
    if not asked.trust_folders:
        return asked
    from maskstat.scanning.folder_trust import trusting

    return trusting(asked)


def _listing(asked: ScanRequest, listed: Iterable[Entry] | None = None) -> Listing:
    """The masks of the source: its files, which may be listed already, or their planes."""
    source = by_plane(asked.source, asked.options)
    return Listing(source, listed if source is asked.source else None)


def _unsettled(asked: ScanRequest, listing: Listing, executor: Executor) -> StoredScan:
    """The scan, of which nobody knows yet what 255 means."""
    store = Store.in_memory() if asked.db is None else Store.open(asked.db, create=True)
    try:
        info, changes = _run(asked, listing, executor, store, asked.catalog)
        info = keep_groups(store, info, asked.source, asked.group_by)
    except BaseException:
        store.close()
        raise
    return StoredScan(store, info, asked.catalog, changes, asked.grid)


def _shelves(
    asked: ScanRequest, store: Store, scan: ScanInfo, catalog: ClassCatalog
) -> list[Shelf]:
    """Where what is made of pixels is kept; nowhere as long as the classes are to be inferred."""
    if not len(catalog):
        return []
    shelves: list[Shelf] = []
    if asked.grid is not None:
        shelves.append(ProfileShelf(store, scan, catalog, asked.grid))
    for recipe in asked.recipes:
        from maskstat.scanning.exposing import ExposureShelf

        recipe.check_padding(len(catalog))
        shelves.append(ExposureShelf(store, scan, catalog, recipe, presence=asked.presence))
    if asked.index:
        from maskstat.scanning.indexing import IndexShelf

        shelves.append(IndexShelf(store, scan, catalog))
    return shelves


def _lacks_some(asked: ScanRequest, scan: StoredScan) -> bool:
    """Whether pixels are left to be looked at.

    Only now the classes are known where they are inferred, and only now the masks that shared a
    block of the profile with one that changed.
    """
    looks = asked.grid is not None or asked.recipes or asked.index
    return bool(looks) and any(
        shelf.lacks_some for shelf in _shelves(asked, scan._store, scan.info, scan.catalog)
    )


def _measure(asked: ScanRequest, scan: StoredScan, executor: Executor) -> None:
    """The same stages once more, where masks are left to measure."""
    if _lacks_some(asked, scan):
        rest = replace(asked, name=scan.name, rescan=False)
        _run(rest, _listing(rest), executor, scan._store, scan.catalog)


def _run(
    asked: ScanRequest,
    listing: Listing,
    executor: Executor,
    store: Store,
    catalog: ClassCatalog,
) -> tuple[ScanInfo, Changes]:
    """List, compare with the store, count what is left, commit as it goes.

    `catalog` is what is measured under.
    """
    target = resumed(
        store, asked.source, asked.name, asked.catalog, asked.options.recorded, asked.agreed
    )
    with store.beating():
        trust = None
        if asked.trust_folders:
            from maskstat.scanning.folder_trust import trust_of

            trust = trust_of(asked.source, target)
        shelves = _shelves(asked, store, target.info, catalog)
        pending = Pending(
            store,
            target,
            listing,
            refuses=asked.options.refuses,
            rescan=asked.rescan,
            measured=shelves,
            trust=trust,
        )
        # In order, the first failure is the same one every time.
        chunks = chunked(pending.entries(by_name=asked.strict), executor.sizes)
        measurer = Measurer(catalog, [shelf.consumer for shelf in shelves], pending.done)
        counter = Counter(asked.options, measurer if shelves else None)
        if listing.all is not None and not target.known:  # kernels are loaded before threads begin
            size = sum(entry.size for entry in listing.all)
            executor.announce(counter, len(listing.all), size)
        outcomes = executor.outcomes(counter, chunks, in_order=asked.strict)
        recorder = Recorder(store, target, pending, shelves)
        recorder.take_in(outcomes, strict=asked.strict, on_progress=asked.on_progress)
        for parts in measurer.rest():
            recorder.add_parts(parts)
        info, changes = recorder.finish(), pending.changes(recorder.lost)
        plugins = recorder.plugins.union(opened_by(asked.source.location) if recorder.done else ())
        return info, replace(changes, plugins=tuple(sorted(plugins)))
