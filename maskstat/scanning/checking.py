"""Checking stored scans against their files: duplicates, leakage between splits, images.

Counts decide wherever they can; a file is opened only where two masks have equal counts, and an
image's header only where images are asked for.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskstat.errors import (
    Blank,
    MaskError,
    ParameterError,
    SourceError,
    argument,
    unreadable,
)
from maskstat.files.image_headers import ImageHeader, image_header
from maskstat.naming import natural_key, printable
from maskstat.parameters import refuse_idle, several
from maskstat.scanning.comparing import grouped_by_scan, suggested_by_scan
from maskstat.scanning.duplicates import Member, entries_of, find_duplicates, in_parallel
from maskstat.scanning.siblings import counted_kinds
from maskstat.sources.base import Entry, Selection, lightly
from maskstat.sources.opening import open_source
from maskstat.statistics import quality
from maskstat.statistics.findings import MIN_COMPONENTS, Finding, of_files, ordered
from maskstat.statistics.random_splits import shared_groups
from maskstat.store.records import Failure

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".ppm", ".pgm"}
)


def check_scan(
    scan: StoredScan,
    *,
    against: StoredScan | Iterable[StoredScan] = (),
    images: str | Path | None = None,
    image_suffix: str = "",
    mask_suffix: str = "",
    min_masks: int = 10,
    min_components: int | None = None,
) -> tuple[Finding, ...]:
    """Everything that is wrong with a scan, errors first; see `maskstat.api.scan.Scan.check`.

    Raises:
        ParameterError, ProfileError, SourceError: as it does.
    """
    for parameter, least in (("min_masks", min_masks), ("min_components", min_components)):
        if least is not None and least < 0:
            raise ParameterError("must not be negative", parameter=parameter)
    if images is None:
        refuse_idle(
            {"image_suffix": image_suffix or None, "mask_suffix": mask_suffix or None},
            goes_with=argument("images", Blank("DIR")),
        )
    against = several(against)
    if any(other.name == scan.name for other in against):
        raise ParameterError(
            f"{printable(scan.name)!r} is the scan to check itself", parameter="against"
        )
    for at, other in enumerate(against):
        if any(other.name == earlier.name for earlier in against[:at]):
            raise ParameterError(f"{printable(other.name)!r} is named twice", parameter="against")
    findings = [
        *counted_findings(scan, min_masks=min_masks, min_components=min_components),
        *_check_duplicates(scan, against),
        *_check_groups(scan, against),
    ]
    if images is not None:
        findings += check_images(scan, images, image_suffix=image_suffix, mask_suffix=mask_suffix)
    return ordered(findings)


def counted_findings(
    scan: StoredScan, *, min_masks: int = 10, min_components: int | None = None
) -> tuple[Finding, ...]:
    """The part of `check_scan` that opens no file: what counts and profile show, errors first."""
    profile = scan.profile if min_components is None else scan.need_profile()
    findings = _with_reasons("unreadable", scan.failures)
    if not scan.info.complete:
        findings.append(Finding("incomplete", 1))
    findings += quality.check_tallies(scan.catalog, scan.tables())
    if (soft := scan.soft_masks) is not None:  # what is between classes is not to be listed
        findings = [finding for finding in findings if finding.kind != "unlisted"]
        findings.append(Finding("soft-masks", soft.masks, (), (soft.record(),)))
    findings += [
        Finding("siblings", kinds.images, details=tuple(kinds.records()))
        for kinds in counted_kinds(scan.tables(), by_plane=scan.has_planes)
    ]
    findings += quality.check_255(scan.histogram)
    if scan.channel_counts is None:
        findings += quality.check_ledger(scan.catalog, scan.ledger, min_masks=min_masks)
    else:
        findings += quality.check_labels(
            scan.catalog, scan.ledger, scan.channel_counts, min_masks=min_masks
        )
    if profile is not None:
        least = MIN_COMPONENTS if min_components is None else min_components
        findings += quality.check_profile(profile, scan.ledger, min_components=least)
    if profile is not None and scan.profile_state is not None:
        findings += _with_reasons("unmeasured", scan.profile_state.left_out)
    return ordered(findings)


def _with_reasons(kind: str, failures: Sequence[Failure]) -> list[Finding]:
    """One finding about these masks; none where there are none."""
    reasons = {failure.mask: failure.reason for failure in failures}
    return [
        Finding(f.kind, f.count, f.files, tuple({"mask": m, "reason": reasons[m]} for m in f.files))
        for f in of_files(kind, reasons)
    ]


def _check_duplicates(scan: StoredScan, against: Sequence[StoredScan]) -> list[Finding]:
    def concerns_this_scan(names: Sequence[str]) -> bool:
        return scan.name in names

    found = find_duplicates([scan, *against], concerns_this_scan)
    doubles: list[tuple[str, ...]] = []
    leaks: list[tuple[str, list[Member]]] = []
    for group in found.groups:
        own = tuple(member.mask for member in group if member.scan == scan.name)
        others = [member for member in group if member.scan != scan.name]
        if len(own) > 1:
            doubles.append(own)
        if others:
            leaks += [(mask, others) for mask in own]
    findings = []
    if doubles:
        names = tuple(sorted((name for group in doubles for name in group), key=natural_key))
        details = tuple({"masks": list(group)} for group in doubles)
        findings.append(Finding("duplicate", len(names), names, details))
    if leaks:
        leaks.sort(key=lambda leak: natural_key(leak[0]))
        records = tuple(
            {"mask": mask, "same_as": [{"scan": o.scan, "mask": o.mask} for o in others]}
            for mask, others in leaks
        )
        findings.append(Finding("leakage", len(leaks), tuple(m for m, _ in leaks), records))
    without_files = {each.name for each in (scan, *against) if not each.has_files}
    for kind, never_had_any in (("stale", False), ("no-file", True)):
        members = [m for m in found.stale if (m.scan in without_files) == never_had_any]
        if members:
            records = tuple({"scan": member.scan, "mask": member.mask} for member in members)
            names = tuple(member.mask for member in members)
            findings.append(Finding(kind, len(names), names, records))
    return findings


def _check_groups(scan: StoredScan, against: Sequence[StoredScan]) -> list[Finding]:
    """Groups that other splits have masks of as well: those that were said, or names suggest."""
    scans = [scan, *against]
    said = next((each.group_rule for each in scans if each.has_group_rule), None)
    if (said is not None and said.kind in ("mask", "file")) or not (said or against):
        return []
    of_scan = suggested_by_scan(scans) if said is None else grouped_by_scan(scans, said)
    if of_scan is None:
        return []
    kind, found = "shared-sequence" if said is None else "shared-group", dict[str, list[str]]()
    groups = of_scan[scan.name]
    for other in against:
        for name in shared_groups(groups, of_scan[other.name]):
            found.setdefault(name, []).append(other.name)
    if not found:
        return []
    names = sorted(found, key=natural_key)
    chosen = [at for at, name in enumerate(groups.names) if name in found]
    masks = np.array(scan.ledger.names, object)[np.isin(groups.of, chosen)]
    sizes = dict(zip(groups.names, groups.sizes.tolist(), strict=True))
    details = tuple(
        {"group": name, "masks": sizes[name], "in": found[name], "group_by": groups.rule}
        for name in names
    )
    return [Finding(kind, len(names), tuple(masks), details)]


def check_images(
    scan: StoredScan, images: str | Path, *, image_suffix: str = "", mask_suffix: str = ""
) -> list[Finding]:
    """Unpaired masks and images, and masks whose size is not their image's.

    Raises:
        SourceError: there is no image below `images`.
    """
    shapes: dict[str, tuple[int, int] | None] = {f.mask: None for f in scan.failures}
    for table in scan.tables():
        shapes.update(zip(table.names, map(tuple, table.shapes.tolist()), strict=True))
    own_files = {os.path.abspath(entry.path) for entry in entries_of(scan, shapes)}
    source = open_source(images, Selection(suffixes=IMAGE_SUFFIXES))
    files = {
        entry.name: entry
        for entry in lightly(source.entries())
        if os.path.abspath(entry.path) not in own_files
    }
    if not files:
        raise SourceError(
            "no images found",
            where=printable(source.location),
            remedy=f"images end in {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    pairing = quality.pair_by_stem(
        sorted(shapes, key=natural_key),
        sorted(files, key=natural_key),
        mask_suffix=mask_suffix,
        image_suffix=image_suffix,
    )
    findings = of_files("mask-without-image", pairing.masks)
    findings += of_files("image-without-mask", pairing.images)
    if pairing.ambiguous:
        details = tuple({"mask": m, "images": list(i)} for m, i in pairing.ambiguous.items())
        findings.append(Finding("ambiguous-pair", len(details), tuple(pairing.ambiguous), details))
    needed = {image for _, image in pairing.pairs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata that nobody asked for
        headers: dict[str, ImageHeader | str] = {
            entry.name: header
            for entry, header in in_parallel(_header_or_reason, [files[name] for name in needed])
        }
    return findings + _check_sizes(pairing.pairs, shapes, headers)


def _check_sizes(
    pairs: Sequence[tuple[str, str]],
    shapes: dict[str, tuple[int, int] | None],
    headers: dict[str, ImageHeader | str],
) -> list[Finding]:
    unreadable: dict[str, str] = {}
    rotated: dict[str, int] = {}
    wrong: dict[str, dict[str, object]] = {}
    for mask, image in pairs:
        header = headers[image]
        if isinstance(header, str):
            unreadable[image] = header
            continue
        if header.orientation != 1:
            rotated[image] = header.orientation
        shape = shapes[mask]
        upright = (header.height, header.width)
        turned = upright[::-1] if header.orientation >= 5 else upright
        if shape is not None and shape not in {upright, turned}:
            wrong[mask] = {
                "mask": mask,
                "mask_size": list(shape[::-1]),
                "image": image,
                "image_size": [header.width, header.height],
            }
    findings = []
    if wrong:
        findings.append(Finding("size-mismatch", len(wrong), tuple(wrong), tuple(wrong.values())))
    if rotated:
        details = [{"image": name, "orientation": turn} for name, turn in rotated.items()]
        findings.append(Finding("exif-rotated", len(rotated), tuple(rotated), tuple(details)))
    if unreadable:
        reasons = [{"image": name, "reason": reason} for name, reason in unreadable.items()]
        findings.append(
            Finding("unreadable-image", len(unreadable), tuple(unreadable), tuple(reasons))
        )
    return findings


def _header_or_reason(entry: Entry) -> ImageHeader | str:
    try:
        with entry.open() as file:
            return image_header(file)
    except MaskError as error:
        return str(error)
    except OSError as error:
        return unreadable(error)
