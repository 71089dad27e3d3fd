"""Which scan of a store is meant, by a name, by the end of one, or by none.

Counts of the wrong split look as good as any. So the latest scan is taken only where it stands for
itself: of splits that were scanned as such, the one to train on is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from maskstat.errors import StoreError
from maskstat.naming import printable, storable
from maskstat.sources.locations import options_of
from maskstat.sources.split_names import TRAINING, split_word
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store

_WORD = re.compile(r"([^-_./ ]*)$")  # the last word of a scan's name
_NO_NAME = ("name", "")  # what a scan that is called like a split is a split of
_LISTED = 8  # names that an error lists


def chosen(store: Store, name: str | None = None) -> ScanInfo:
    """The scan of this name; of one that ends in it, where that is one; without a name, the latest.

    Of splits, without a name, the latest that is one to train on.

    Raises:
        StoreError: there is none, or several are as good.
    """
    return store.find(matching(store, name)) if name is not None else _latest(store)


def matching(store: Store, asked: str) -> str:
    """The name of the only scan that is called so, or whose name ends in this split: else as asked.

    Raises:
        StoreError: several names end in it.
    """
    asked = storable(asked)
    known = store.sources()
    if asked in known:
        return asked
    # "train" is meant for "camvid-train"; but "masks" is not for "val-masks", nor "in" for any.
    ends = [
        name
        for name, source in known.items()
        if re.search(rf"[-_./ ]{re.escape(asked)}$", name)
        and (split_word(asked) or options_of(source)[1].get("split") == asked)
    ]
    if len(ends) > 1:
        raise StoreError(
            f"{printable(repr(asked))} may be any of these scans: {_listing(ends)}",
            where=printable(str(store.path)),
            remedy="give the whole name",
        )
    return ends[0] if asked and ends else asked


def splits_beside(store: Store, info: ScanInfo) -> list[tuple[str, ScanInfo]]:
    """The scans that are splits of what this one is a split of, itself among them, latest last.

    Returns:
        (split, scan) pairs; none where it is no split, or the only one.
    """
    scans = store.scans()
    for key, _ in _as_split(info):
        group = [(split, one) for one in scans for other, split in _as_split(one) if other == key]
        if len(group) > 1:
            return group
    return []


def other_splits(store: Store, info: ScanInfo) -> list[ScanInfo]:
    """The other scans of a store that are splits of the same, whenever they were scanned.

    That two are called train and val alone does not make them so: any may be.
    """
    mine = {key for key, _ in _as_split(info)} - {_NO_NAME}
    return [
        one
        for one in (store.scans() if mine else [])
        if one.id != info.id and mine & {key for key, _ in _as_split(one)}
    ]


def _latest(store: Store) -> ScanInfo:
    latest = store.find()
    group = splits_beside(store, latest)
    if not group:
        return latest
    found = {split.lower(): one for split, one in group}
    for split in TRAINING:
        if split in found:
            return found[split]
    raise StoreError(
        f"the latest scans are splits, and none is one to train on: {_listing(split_names(group))}",
        where=printable(str(store.path)),
        remedy="name the scan that is meant",
    )


def split_names(group: Sequence[tuple[str, ScanInfo]]) -> list[str]:
    """The names of scans that are splits, each once."""
    return list(dict.fromkeys(one.name for _, one in group))


def _as_split(info: ScanInfo) -> Iterator[tuple[object, str]]:
    """(what it may be a split of, which split it is then), the surest first."""
    base, options = options_of(info.source)
    if split := options.get("split"):
        yield ("source", base, options.get("column")), split
    if split := split_word(_WORD.findall(info.name)[0]):
        yield ("name", info.name[: -len(split)]), split
    parts = re.split(r"[/\\]", base)
    for place, part in enumerate(parts):
        if split := split_word(part):
            yield ("folder", *parts[:place], None, *parts[place + 1 :], str(options)), split


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(printable, names[-_LISTED:])) + more
