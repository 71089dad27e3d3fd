"""Splits of one scan, or of several as if they were one, and certificates of splits there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from maskstat.errors import CatalogError, MaskError, ParameterError, argument, unreadable
from maskstat.naming import printable
from maskstat.parameters import several
from maskstat.scanning.stored_scan import StoredScan
from maskstat.showing import cut
from maskstat.sources.identities import common_base, name_below, place_of
from maskstat.sources.listed import lines_of
from maskstat.sources.locations import TIMEOUT
from maskstat.splits.compute import certify_split, split_masks
from maskstat.splits.plan import SplitPlan
from maskstat.splits.wanted_parts import NamesOfMasks, Ratios, parts_of
from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

Lists = Mapping[str, str | Path | Iterable[str]] | str | Path | Iterable[str | Path]
SearchProgress = Callable[[int, int], None]


def split_scans(
    scans: Sequence[StoredScan],
    *,
    ratios: Ratios | None,
    folds: int | None,
    fixed: Lists | None,
    tolerance: float | None,
    seed: int,
    on_search: SearchProgress | None,
) -> SplitPlan:
    """See `Scan.split`."""
    parts, column = parts_of(ratios, folds)
    if tolerance is not None and not 0.0 <= tolerance <= 1.0:
        raise ParameterError(f"{tolerance:g} is no share from 0 to 1", parameter="tolerance")
    ledger, groups, paths = _together(scans)
    decided = None
    if fixed is not None:
        decided = _decided(fixed, NamesOfMasks(ledger.names), tuple(parts))
    return split_masks(
        ledger,
        scans[0].catalog.names,
        groups,
        parts,
        fixed=decided,
        tolerance=tolerance,
        seed=seed,
        column=column,
        paths=paths,
        provenance=_provenance(scans) | {"seed": seed},
        on_search=on_search or (lambda done, of: None),
    )


def certify_scans(scans: Sequence[StoredScan], parts: Lists) -> SplitPlan:
    """See `Scan.certify`."""
    ledger, groups, _ = _together(scans)
    lists = _lists_of(parts, "parts")
    if len(lists) < 2:
        raise ParameterError("a split has two parts or more", parameter="parts")
    part = _positions(lists, NamesOfMasks(ledger.names), tuple(lists), "parts")
    chosen = np.flatnonzero(part >= 0)
    folds = set(lists) == {str(fold) for fold in range(len(lists))}
    return certify_split(
        ledger.take(chosen.tolist()),
        scans[0].catalog.names,
        groups.take(chosen.tolist()),
        tuple(lists),
        part[chosen],
        column="fold" if folds else "split",
        provenance=_provenance(scans) | {"in_no_part": len(ledger) - chosen.size},
    )


def _together(scans: Sequence[StoredScan]) -> tuple[MaskLedger, MaskGroups, tuple[str, ...]]:
    """Masks, groups and places of scans that are split as one.

    Of several, masks are called by where they are below all of them.
    """
    first = scans[0]
    if any(scan.catalog.digest != first.catalog.digest for scan in scans):
        raise CatalogError(
            "the scans are read under different classes",
            remedy=f"read all under one catalogue: {argument('classes', first.catalog.name)}",
        )
    rules = {scan.group_rule.text for scan in scans}
    if len(rules) > 1:
        listing = ", ".join(sorted(printable(repr(rule)) for rule in rules))
        raise ParameterError(
            f"the scans have their groups by different rules: {listing}", parameter="group_by"
        )
    places = [_paths(scan) for scan in scans]
    if len(scans) == 1:
        return first.ledger, first.groups, places[0]
    if not all(places):
        raise ParameterError("masks in memory are in no place together", parameter="scan")
    paths = tuple(path for each in places for path in each)
    if len(set(paths)) < len(paths):
        twice = next(path for at, path in enumerate(paths) if path in paths[:at])
        raise ParameterError(f"{cut(twice)} is in two of the scans", parameter="scan")
    base = common_base(path.rpartition("/")[0] for path in paths)
    names = tuple(name_below(base, path) for path in paths)
    joined = MaskLedger.concatenate([scan.ledger for scan in scans], len(first.catalog))
    ledger = MaskLedger(
        *(joined.class_count, names, joined.areas, joined.indptr, joined.classes, joined.pixels)
    )
    rule = GroupRule(rules.pop())
    labels = []
    for scan in scans:
        groups = scan.groups
        own = rule.kind in ("mask", "file")
        for group in groups.of.tolist():
            label = groups.names[group]
            # a mask, or one without a folder, is in no group with one of another scan
            labels.append(f"{scan.name}/{label}" if own or not label else label)
    return ledger, MaskGroups.of_labels(rule.text, labels), paths


def _paths(scan: StoredScan) -> tuple[str, ...]:
    """Where the masks of a scan are; nothing where no file holds them."""
    names = scan.ledger.names
    if not scan.has_files or not names:
        return ()
    place = place_of(scan.source, names[0], alone=len(names) == 1)
    return tuple(map(place.identity, names))


def _provenance(scans: Sequence[StoredScan]) -> dict[str, object]:
    first = scans[0]
    return {
        "scans": [scan.name for scan in scans],
        "sources": [scan.source for scan in scans],
        "catalog": first.catalog.name,
        "unlisted_pixels": sum(scan.histogram.unlisted_pixels for scan in scans),
    }


def _decided(fixed: Lists, names: NamesOfMasks, parts: tuple[str, ...]) -> IntArray:
    """int64[B], the part that each mask must be in, -1: any."""
    lists = _lists_of(fixed, "fixed")
    unknown = [name for name in lists if name not in parts]
    if unknown:
        raise ParameterError(
            f"there is no part {printable(repr(unknown[0]))}: a list is called like its part",
            parameter="fixed",
            remedy=f"the parts are {', '.join(map(printable, parts))}",
        )
    return _positions(lists, names, parts, "fixed")


def _lists_of(given: Lists, parameter: str) -> dict[str, Iterable[str] | Path]:
    """Names of masks, or the file that lists them, by part."""
    if isinstance(given, Mapping):
        return {part: Path(of) if isinstance(of, (str, Path)) else of for part, of in given.items()}
    lists: dict[str, Iterable[str] | Path] = {}
    for path in map(Path, several(given)):
        part = path.stem.removeprefix("fold-")
        if part in lists:
            raise ParameterError(
                f"two lists are called {printable(repr(part))}", parameter=parameter
            )
        lists[part] = path
    return lists


def _positions(
    lists: Mapping[str, Iterable[str] | Path],
    names: NamesOfMasks,
    parts: tuple[str, ...],
    parameter: str,
) -> IntArray:
    """int64[B], the part of each mask that is listed, -1: of the others. Raises ParameterError."""
    part = np.full(len(names.names), -1, np.int64)
    for name, listed in lists.items():
        where = str(listed) if isinstance(listed, Path) else name
        lines = _read(listed, parameter) if isinstance(listed, Path) else list(listed)
        at = names.positions(lines, where=where, parameter=parameter)
        own = parts.index(name)
        for mask in at:
            if part[mask] not in (-1, own):
                raise ParameterError(
                    f"{cut(names.names[mask])} is in {printable(parts[part[mask]])} and in"
                    f" {printable(name)}",
                    parameter=parameter,
                )
            part[mask] = own
    return part


def _read(path: Path, parameter: str) -> list[str]:
    try:
        with lines_of(os.fspath(path), TIMEOUT) as lines:
            found = list(lines)
    except MaskError as error:
        raise ParameterError(
            error.problem, parameter=parameter, where=printable(str(path))
        ) from error
    except OSError as error:
        raise ParameterError(
            unreadable(error), parameter=parameter, where=printable(str(path))
        ) from error
    if any("\0" in line for line in found[:1]):
        raise ParameterError(
            "is no text: a list has a name a line", parameter=parameter, where=printable(str(path))
        )
    return found


def starts_at_once() -> bool:
    """Whether a search begins at once; the first one on a machine compiles for some seconds."""
    from maskstat.kernels.split_search import is_compiled

    return is_compiled()
