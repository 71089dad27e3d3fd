"""The scan of a store that a run goes on with: under a free name, or under one that it has.

In come a store, a source and how it is to be read; out goes `Resumed`: the scan's record, and what
the store has of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from maskstat.errors import StoreError, argument
from maskstat.naming import printable
from maskstat.sources.base import Source
from maskstat.sources.identities import is_merged
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog


@dataclass(frozen=True, slots=True)
class Resumed:
    """A scan that is begun, or gone on with.

    Attributes:
        info: its record.
        known: how many masks of it the store has.
        forgotten: how many masks it had of another place that was scanned under this name.
        revision: of the scan, before anything is written.
        writes: revisions that the store counted until then.
    """

    info: ScanInfo
    known: int
    forgotten: int
    revision: int
    writes: int


def resumed(
    store: Store,
    source: Source,
    name: str | None,
    catalog: ClassCatalog,
    reading: Mapping[str, object],
) -> Resumed:
    """The scan of a source in a store, begun if need be; without a name, under a free one.

    Raises:
        StoreError: it was merged from others, which scanning would forget.
    """
    name, location = name or free_name(store, source), source.location
    known = forgotten = revision = 0
    writes = store.revisions
    if name in store.sources():
        scan = store.find(name)
        if is_merged(scan.source) and scan.source != location:
            raise StoreError(
                "this scan was merged from others, and scanning would forget them",
                where=printable(name),
                remedy=f"choose another {argument('name')}, or scan the shards again and merge",
            )
        revision = store.revision(scan)
        if scan.source == location:
            known = store.mask_count(scan)
        else:  # a file of the same name, size and time elsewhere is another mask
            forgotten = store.forget_all(scan)
    info = store.begin(name, location, catalog, reading)
    return Resumed(info, known, forgotten, revision, writes)


def free_name(store: Store, source: Source) -> str:
    """The first name by rule that is this source's own or that no scan has.

    A scan that the user gave a name of its own is thus never changed by a run without that name.
    """
    taken = store.sources()
    parents = Path(source.location).parent.parts[1:]
    longer = (
        "-".join((*parents[at:], source.default_name)) for at in reversed(range(len(parents)))
    )
    numbered = (f"{source.default_name}-{number}" for number in count(2))
    names = chain([source.default_name], longer, numbered)
    return next(name for name in names if taken.get(name, source.location) == source.location)
