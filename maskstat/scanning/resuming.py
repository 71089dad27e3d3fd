"""The scan of a store that a run goes on with: under a free name, or under one that it has.

In come a store, a source and how it is to be read; out goes `Resumed`: the scan's record, and what
the store has of it.
"""

from __future__ import annotations

import time
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

# Whether another run is alive is seen within one or two of its beats. One that was killed is given
# several, since a disk far away may hold them up.
_LOOKS, _LOOK_SECONDS = 25, 0.2


@dataclass(frozen=True, slots=True)
class Resumed:
    """A scan that is begun, or gone on with.

    Attributes:
        info: its record.
        known: how many masks of it the store has.
        forgotten: how many masks it had of another place that was scanned under this name.
        revision: of the scan, before anything is written.
        writes: revisions that the store counted until then.
        folders: `KeptFolders.folders_sum` of it until then.
    """

    info: ScanInfo
    known: int
    forgotten: int
    revision: int
    writes: int
    folders: int | None = None


def resumed(
    store: Store,
    source: Source,
    name: str | None,
    catalog: ClassCatalog,
    reading: Mapping[str, object],
    asked: str = "",
) -> Resumed:
    """The scan of a source in a store, begun if need be; without a name, under a free one.

    It is this run's then (`Store.lease`), and that of runs that `asked` for the same. A run that
    asked for something else and was killed is given some seconds to show that it is alive.

    Raises:
        StoreError: it was merged from others, which scanning would forget, or another run that
            asked for something else has it.
    """
    first = None
    for look in count():
        with store.together():
            called = name or free_name(store, source)
            rival = store.rival(called, asked)
            if rival is None or (look == _LOOKS and rival == first):
                return _begun(store, source, called, catalog, reading, asked)
            if first is not None and rival != first:
                raise _in_use(store.find(called), source)
        first = rival
        time.sleep(_LOOK_SECONDS)
    raise AssertionError  # it never comes to an end without an answer


def _in_use(scan: ScanInfo, source: Source) -> StoreError:
    how = "with other options"
    if scan.source != source.location:
        how = f"from {printable(scan.source)}"
    return StoreError(
        f"is being scanned right now, {how}",
        where=printable(scan.name),
        remedy=f"wait for its end, or choose another {argument('name')}",
    )


def _begun(
    store: Store,
    source: Source,
    name: str,
    catalog: ClassCatalog,
    reading: Mapping[str, object],
    asked: str,
) -> Resumed:
    """The scan of this name, taken for this run."""
    location = source.location
    known = forgotten = revision = 0
    folders = None
    writes = store.revisions
    if name in store.sources():
        scan = store.find(name)
        if is_merged(scan.source) and scan.source != location:
            raise StoreError(
                "this scan was merged from others, and scanning would forget them",
                where=printable(name),
                remedy=f"choose another {argument('name')}, or scan the shards again and merge",
            )
        revision, folders = store.revision(scan), store.folders_sum(scan)
        if scan.source == location:
            known = store.mask_count(scan)
        else:  # a file of the same name, size and time elsewhere is another mask
            forgotten = store.forget_all(scan)
    info = store.begin(name, location, catalog, reading)
    store.lease(info, asked)
    return Resumed(info, known, forgotten, revision, writes, folders)


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
