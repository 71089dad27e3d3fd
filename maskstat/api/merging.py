"""Merging scans of several stores into one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maskstat.api.scan import Scan
from maskstat.scanning import merging
from maskstat.scanning.choices import Prefer
from maskstat.scanning.class_options import Classes
from maskstat.scanning.merging import Merged


class MergedScan(Scan, Merged):
    """A scan that `merge` made.

    Attributes:
        shards: the scans that it is the sum of.
        mask_count: masks counted.
        overlapping: how many masks more the shards have, because some were in several.
        profiles_left: whether a pixel profile stayed behind.
        groups_left: whether a rule that groups masks did.
    """


def merge(
    stores: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    name: str | None = None,
    scans: str | Iterable[str] = (),
    classes: Classes | None = None,
    prefer: Prefer | None = None,
    separate: bool = False,
    allow_incomplete: bool = False,
    force: bool = False,
) -> MergedScan:
    """Merge scans from several stores into one scan in a new store.

    The result does not depend on the order of the stores, on how they are grouped into merges, or
    on how often one is given. Masks are named relative to the deepest folder that all sources are
    below. Rows are copied as they are, in one pass, so memory does not grow with the masks; the
    new store appears whole or not at all. Pixel profiles are sums of many masks: they are merged
    where no mask is in two scans, names only get longer, and classes are not inferred; else they
    stay behind. Groups of masks are merged where all scans have the same rule, and it tells the
    same groups by the masks' new names. What recipes made of masks goes with them: expected pixels
    and crops as they were drawn under their former names, which also decide further crops.

    Args:
        stores: files that `scan` or `merge` wrote.
        output: the new store.
        name: what the scan is called; by default as all of the scans are, or as their folder.
        scans: names of the scans to merge, from every store those that it has, at least one; by
            default the latest of each, and of splits the one to train on.
        classes: the catalogue, where those of the scans should not decide.
        prefer: "newest" takes, of a mask that was counted with different results, the one whose
            file changed last.
        separate: masks of two stores are never the same: for stores of machines whose folders are
            called alike. Names begin with the name of the store's file, without its suffix.
        allow_incomplete: merge scans that were interrupted too; the result is incomplete then.
        force: replace a store that is there already, with all scans in it.

    Raises:
        ParameterError: there is no store, there are more than 500, two to separate are called
            alike, or `prefer` is unknown.
        StoreError: a store can't be used, a scan is incomplete, catalogues or ways of reading
            differ, a mask was counted with different results, or `output` exists.
        CatalogError: `classes` is malformed.
        FileFormatError: `output` can't be written.
    """
    merged = merging.merge(
        stores,
        output,
        name=name,
        scans=scans,
        classes=classes,
        prefer=prefer,
        separate=separate,
        allow_incomplete=allow_incomplete,
        force=force,
    )
    result = MergedScan(merged._store, merged.info)
    result.shards, result.overlapping = merged.shards, merged.overlapping
    result.mask_count, result.profiles_left = merged.mask_count, merged.profiles_left
    result.groups_left = merged.groups_left
    return result
