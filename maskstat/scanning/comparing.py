"""Comparing stored scans as the splits of a set: equal masks and shared groups included."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from maskstat.errors import (
    Blank,
    CatalogError,
    ParameterError,
    argument,
)
from maskstat.naming import counted, printable
from maskstat.scanning.duplicates import find_duplicates
from maskstat.statistics.comparison import Comparison, compare_splits
from maskstat.statistics.random_splits import Split
from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan


def compare_scans(scans: Sequence[StoredScan]) -> Comparison:
    """Compare stored scans of one catalogue, equal masks included.

    Raises:
        CatalogError: they are read under different classes.
        ParameterError, MaskstatError: as `maskstat.statistics.comparison.compare_splits`.
    """
    if len({scan.catalog.digest for scan in scans}) > 1:
        listing = ", ".join(
            f"{printable(scan.name)} ({printable(scan.catalog.name)},"
            f" {counted(len(scan.catalog), 'class')})"
            for scan in scans
        )
        raise CatalogError(
            f"the scans are read under different classes: {listing}",
            remedy=f"read all under one catalogue: {_common_classes(scans)}",
        )
    groups = [grouped_by_scan([scan], scan.group_rule)[scan.name] for scan in scans]
    splits = [
        Split(scan.name, scan.histogram, scan.ledger, _shapes_of(scan), of_scan)
        for scan, of_scan in zip(scans, groups, strict=True)
    ]
    if len({split.groups.rule for split in splits}) > 1:
        listing = ", ".join(
            f"{printable(s.name)} (by {printable(repr(s.groups.rule))})" for s in splits
        )
        raise ParameterError(
            f"the scans have their groups by different rules: {listing}",
            parameter="group_by",
            remedy=f"give one for all: {argument('group_by', Blank('RULE'))}",
        )
    if len({split.name for split in splits}) < max(len(splits), 2):
        return compare_splits(splits)  # which refuses that before a file is opened
    found = find_duplicates(scans, lambda names: len(set(names)) > 1)
    leaks: dict[tuple[str, str], list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for group in found.groups:
        of_split = {
            scan.name: tuple(member.mask for member in group if member.scan == scan.name)
            for scan in scans
        }
        for first, second in combinations(of_split, 2):
            if of_split[first] and of_split[second]:
                leaks.setdefault((first, second), []).append((of_split[first], of_split[second]))
    return compare_splits(
        splits, leaks, unconfirmed=found.stale, suggested=suggested_by_scan(scans)
    )


def suggested_by_scan(scans: Sequence[StoredScan]) -> dict[str, MaskGroups] | None:
    """By scan, the groups that names of one of them suggest, where nobody said any of any."""
    if any(scan.has_group_rule for scan in scans):
        return None
    for found in (scan.suggested_groups for scan in scans):
        if found is not None:
            try:
                return grouped_by_scan(scans, found.rule)
            except ParameterError:  # names of the others are of another kind
                continue
    return None


def grouped_by_scan(scans: Sequence[StoredScan], rule: GroupRule) -> dict[str, MaskGroups]:
    """By scan, groups by one rule. Raises ParameterError, which says of which scan, otherwise."""
    found = {}
    for scan in scans:
        try:
            found[scan.name] = scan.grouped(rule).groups
        except ParameterError as error:
            error.where = error.where or printable(scan.name)
            raise
    return found


def _shapes_of(scan: StoredScan) -> IntArray:
    """int64[B, 2], height and width of the masks, in the order of the ledger."""
    blocks, names = [np.empty((0, 2), np.int64)], list[str]()
    for table in scan.tables():
        blocks.append(table.shapes)
        names += table.names
    shapes = np.concatenate(blocks)
    if tuple(names) == scan.ledger.names:
        return shapes
    places = {name: at for at, name in enumerate(names)}
    return shapes[np.fromiter((places[name] for name in scan.ledger.names), np.int64, len(names))]


def _common_classes(scans: Sequence[StoredScan]) -> str:
    """The argument that reads all scans alike, as far as it can be guessed."""
    catalogs = [scan.catalog for scan in scans]
    if all(
        catalog.origin in {"number", "inferred"} and info.values == (info.index,)
        for catalog in catalogs
        for info in catalog.classes
    ):
        return argument("classes", max(1, *map(len, catalogs)))
    presets = {catalog.name for catalog in catalogs if catalog.origin == "preset"}
    return argument("classes", presets.pop() if len(presets) == 1 else Blank("FILE"))
