"""A scan of masks that no file holds: their tallies in a store in memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from maskstat.naming import storable
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.identities import IN_MEMORY
from maskstat.store.records import StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import MaskTally

_MASKS_AT_ONCE = 4096


def scan_of_tallies(
    tallies: Iterable[MaskTally], catalog: ClassCatalog, name: str = IN_MEMORY
) -> StoredScan:
    """A finished scan of these masks, whose names are all different.

    All of them have labels, or none has.
    """
    store = Store.in_memory()
    rows = iter(tallies)
    first = next(rows, None)
    reading = {"channels": "multilabel"} if first and first.encoding.is_multilabel else {}
    info = store.begin(storable(name), IN_MEMORY, catalog, reading)
    rows = chain([] if first is None else [first], rows)
    while block := [StoredMask(tally, 0, 0) for tally in islice(rows, _MASKS_AT_ONCE)]:
        store.write(info, block)
    return StoredScan(store, store.finish(info), catalog)
