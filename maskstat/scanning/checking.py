"""Checking stored scans against their files: duplicates, leakage between splits, images.

`check_scan` finds all that is wrong with a scan; `find_duplicates` serves comparisons too. Counts
decide wherever they can; a file is opened only where two masks have equal counts, and an image's
header only where images are asked for.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from maskstat.errors import (
    Blank,
    CatalogError,
    FileFormatError,
    MaskError,
    ParameterError,
    SourceError,
    argument,
    unreadable,
)
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.files.image_headers import ImageHeader, image_header
from maskstat.naming import counted, natural_key, printable
from maskstat.parameters import refuse_idle, several
from maskstat.readers.tallying import count_pixels
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.siblings import counted_kinds
from maskstat.showing import one_line
from maskstat.sources.base import Entry, Selection, lightly
from maskstat.sources.opening import open_source
from maskstat.statistics import quality
from maskstat.statistics.comparison import Comparison, compare_splits
from maskstat.statistics.quality import Finding
from maskstat.statistics.random_splits import Split, shared_groups
from maskstat.store.records import Failure
from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.tally import Encoding, IntArray

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".ppm", ".pgm"}
)
_CHUNK = 16
_BAND_PIXELS = 1 << 22

Result = TypeVar("Result")


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
    """Everything that is wrong with a scan, errors first.

    Args:
        scan: the scan, under the catalogue to check it with.
        against: scans of other splits, to find masks that are in both.
        images: folder of the images, searched recursively; None leaves images out.
        image_suffix, mask_suffix: what stems of images and masks end in besides what they share
            ("_leftImg8bit", "_gtFine_labelIds").
        min_masks: classes in fewer masks are reported.
        min_components: classes in fewer components are reported, which needs a pixel profile; None
            is 10 where there is one.

    Raises:
        ParameterError: a least number is negative, or `against` names the scan itself or one twice.
        ProfileError: `min_components` is given and the scan has no profile.
        SourceError: `images` holds no image.
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
    return quality.ordered(findings)


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
    findings += quality.check_ledger(scan.catalog, scan.ledger, min_masks=min_masks)
    if profile is not None:
        least = quality.MIN_COMPONENTS if min_components is None else min_components
        findings += quality.check_profile(profile, scan.ledger, min_components=least)
    if profile is not None and scan.profile_state is not None:
        findings += _with_reasons("unmeasured", scan.profile_state.left_out)
    return quality.ordered(findings)


def _with_reasons(kind: str, failures: Sequence[Failure]) -> list[Finding]:
    """One finding about these masks; none where there are none."""
    reasons = {failure.mask: failure.reason for failure in failures}
    return [
        Finding(f.kind, f.count, f.files, tuple({"mask": m, "reason": reasons[m]} for m in f.files))
        for f in quality.of_files(kind, reasons)
    ]


class Member(NamedTuple):
    """A mask of a scan."""

    scan: str
    mask: str

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Masks whose pixels are the same.

    Attributes:
        groups: two or more masks each, all pixels equal; in natural order.
        stale: masks with equal counts that could not be compared, because their files are gone,
            have changed since the scan, or never were.
    """

    groups: tuple[tuple[Member, ...], ...]
    stale: tuple[Member, ...]

    __repr__ = one_line


def find_duplicates(
    scans: Sequence[StoredScan], wanted: Callable[[Sequence[str]], bool]
) -> Duplicates:
    """Masks with the same size and the same raw value in every pixel.

    Masks of equal size and equal counts are candidates; their files are decoded once more and
    their pixels hashed (BLAKE2b, 128 bits). How a file stores its pixels does not matter. Masks of
    one raw value only (all background, say) are equal without telling anything and left out.

    Args:
        scans: scans of one store, of different names.
        wanted: whether masks of these scans (one name a mask) would be worth reporting as a group.
    """
    candidates: dict[bytes, list[Member]] = {}
    for scan in scans:
        for name, key in _keys(scan):
            candidates.setdefault(key, []).append(Member(scan.name, name))
    chosen = {
        member: key
        for key, members in candidates.items()
        if len(members) > 1 and wanted([member.scan for member in members])
        for member in members
    }
    del candidates
    hashes: dict[bytes, list[Member]] = {}
    found: set[Member] = set()
    for scan in scans:
        keys = {member.mask: key for member, key in chosen.items() if member.scan == scan.name}
        try:
            digest_of = partial(_pixel_digest, keys=keys, reader=Reader(scan.read_options))
        except FileFormatError:  # the file that says what segments are is gone
            continue
        for entry, digest in in_parallel(digest_of, _files(scan, keys)):
            if digest is not None:
                member = Member(scan.name, entry.name)
                found.add(member)
                hashes.setdefault(digest, []).append(member)
    groups = [
        tuple(sorted(members, key=_member_key))
        for members in hashes.values()
        if len(members) > 1 and wanted([member.scan for member in members])
    ]
    return Duplicates(
        tuple(sorted(groups, key=lambda group: _member_key(group[0]))),
        tuple(sorted(chosen.keys() - found, key=_member_key)),
    )


def _member_key(member: Member) -> tuple[object, ...]:
    return (*natural_key(member.mask), member.scan)


def _keys(scan: StoredScan) -> Iterator[tuple[str, bytes]]:
    """Name and digest of size and counts of every mask with more than one raw value."""
    for table in scan.tables():
        starts = table.indptr.tolist()
        for row, (name, encoding) in enumerate(zip(table.names, table.encodings, strict=True)):
            start, stop = starts[row], starts[row + 1]
            if stop - start > 1:
                values, counts = table.values[start:stop], table.counts[start:stop]
                yield name, _tally_digest(table.shapes[row], encoding, values, counts)


def _tally_digest(shape: IntArray, encoding: Encoding, values: IntArray, counts: IntArray) -> bytes:
    digest = hashlib.blake2b(bytes([encoding.is_colour]), digest_size=16)
    for array in (shape, values, counts):
        digest.update(array.astype("<i8", copy=False).tobytes())
    return digest.digest()


def _files(scan: StoredScan, names: Collection[str]) -> list[Entry]:
    """The files of these masks, as far as they are still there."""
    if not names:
        return []
    try:
        return [entry for entry in scan.entries() if entry.name in names]
    except SourceError:
        return []


def _pixel_digest(entry: Entry, keys: dict[str, bytes], reader: Reader) -> bytes | None:
    """Digest of a mask's pixels; None where its file no longer has the counts of the scan."""
    try:
        pixels, encoding = reader.label_map(entry)
        tally = count_pixels(entry.name, pixels, encoding)
    except (MaskError, MemoryError):
        return None
    key = _tally_digest(np.array(tally.shape, np.int64), encoding, tally.values, tally.counts)
    if key != keys[entry.name]:
        return None
    # Equal counts mean equal extremes, so both of a pair are hashed as the same type.
    narrow = bool(tally.values[0] >= 0 and tally.values[-1] < 256)
    digest = hashlib.blake2b(key, digest_size=16)
    step = max(1, _BAND_PIXELS // pixels.shape[1])
    for row in range(0, pixels.shape[0], step):
        band = np.ascontiguousarray(pixels[row : row + step], "|u1" if narrow else "<i8")
        digest.update(band.data)
    return digest.digest()


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
    if said is not None and said.kind in ("mask", "file"):
        return []
    of_scan = _suggested(scans) if said is None else _grouped(scans, said)
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
    own_files = {os.path.abspath(entry.path) for entry in _files(scan, shapes)}
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
    findings = quality.of_files("mask-without-image", pairing.masks)
    findings += quality.of_files("image-without-mask", pairing.images)
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


def in_parallel(
    function: Callable[[Entry], Result], entries: Sequence[Entry]
) -> Iterator[tuple[Entry, Result]]:
    """(entry, function(entry)) for every entry, in order, on threads."""
    ordered = sorted(entries, key=lambda entry: natural_key(entry.name))
    chunks = [ordered[at : at + _CHUNK] for at in range(0, len(ordered), _CHUNK)]
    results = map_chunks(partial(map, function), chunks, workers=usable_cpus())
    try:
        yield from zip(ordered, chain.from_iterable(results), strict=True)
    finally:
        results.close()


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
    groups = [_grouped([scan], scan.group_rule)[scan.name] for scan in scans]
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
    return compare_splits(splits, leaks, unconfirmed=found.stale, suggested=_suggested(scans))


def _suggested(scans: Sequence[StoredScan]) -> dict[str, MaskGroups] | None:
    """By scan, the groups that names of one of them suggest, where nobody said any of any."""
    if any(scan.has_group_rule for scan in scans):
        return None
    for found in (scan.suggested_groups for scan in scans):
        if found is not None:
            try:
                return _grouped(scans, found.rule)
            except ParameterError:  # names of the others are of another kind
                continue
    return None


def _grouped(scans: Sequence[StoredScan], rule: GroupRule) -> dict[str, MaskGroups]:
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
