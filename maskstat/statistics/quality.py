"""What is wrong with a set of masks, as far as counts can tell. Functions here are pure.

`scanning.checking` brings scans, files and images to them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import natural_key
from maskstat.regions.profile import PixelProfile
from maskstat.showing import one_line
from maskstat.statistics.findings import (
    MIN_COMPONENTS,
    OUTLIER_MASKS,
    OUTLIER_Z,
    THIN_SIDE,
    THIN_VALUES,
    THIN_WIDTH,
    UNLISTED_THIN_VALUES,
    Finding,
    of_files,
)
from maskstat.statistics.mask_shapes import named_counts
from maskstat.values.catalog import UNLISTED, ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.labels import labels_of
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, TallyTable

FloatArray = NDArray[np.float64]


def check_tallies(catalog: ClassCatalog, tables: Iterable[TallyTable]) -> list[Finding]:
    """What raw tallies show: lossy, anti-aliased and unlisted masks, sizes, encodings."""
    lossy: list[str] = []
    blended: list[str] = []
    unlisted: list[str] = []
    sizes: Counter[tuple[int, int]] = Counter()
    encodings: Counter[Encoding] = Counter()
    total = ClassHistogram.empty(catalog)
    for table in tables:
        strange = _unlisted(catalog, table)
        rows = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        lossy += compress(table.names, table.by_encoding(lambda e: e.is_lossy))
        blended += [table.names[row] for row in np.flatnonzero(_anti_aliased(table, strange))]
        unlisted += [table.names[row] for row in np.unique(rows[strange])]
        sizes.update(zip(*table.shapes.T.tolist(), strict=True))
        encodings.update(table.encodings)
        if strange.any():
            total += ClassHistogram.of(catalog, table)
    findings = of_files("lossy", lossy) + of_files("anti-aliased", blended)
    if unlisted:
        details: tuple[dict[str, Any], ...] = tuple(
            {"value": value, "pixels": c.pixels, "masks": c.masks, "first": c.first}
            for value, c in total.unlisted.items()
        )
        files = tuple(sorted(unlisted, key=natural_key))
        findings.append(Finding("unlisted", len(details), files, details))
    if len(sizes) > 1:
        records: list[dict[str, Any]] = [
            {"width": width, "height": height, "masks": count}
            for (height, width), count in sorted(sizes.items(), key=lambda s: (-s[1], s[0]))
        ]
        findings.append(Finding("mixed-sizes", len(sizes), (), tuple(records)))
    if len(kinds := named_counts(encodings)) > 1:
        records = [{"encoding": name, "masks": count} for name, count in kinds]
        findings.append(Finding("mixed-encodings", len(kinds), (), tuple(records)))
    return findings


def _unlisted(catalog: ClassCatalog, table: TallyTable) -> NDArray[np.bool_]:
    """bool[nnz], entries whose value is neither a class nor ignored."""
    if catalog.multilabel:
        return labels_of(catalog, table.values).unlisted
    return np.asarray(catalog.targets(table) == UNLISTED)


def _anti_aliased(table: TallyTable, unlisted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[B], masks that look smoothed, interpolated or resized with blending.

    Blending invents values along borders, and a border's length grows with the side of a mask, not
    with its area. So a value is called thin where it has fewer pixels than a line of a quarter of
    the side: n < sqrt(H W) / 4. A mask is suspected where at least 3 thin values are unlisted and
    they are half of its values, or, in 8-bit and colour masks (others may number instances),
    where at least 16 values, two thirds of all, are thin.
    """
    lengths = np.diff(table.indptr)
    rows = np.repeat(np.arange(len(table)), lengths)
    thin = table.counts < THIN_SIDE * np.sqrt(table.areas)[rows]
    some = np.bincount(rows[thin], minlength=len(table))
    strange = np.bincount(rows[thin & unlisted], minlength=len(table))
    narrow = np.array(table.by_encoding(lambda e: e.is_colour or e.bits <= 8), bool)
    # Labels that overlap make many small combinations, and no value lies between two others.
    classes = ~np.array(table.by_encoding(lambda e: e.is_multilabel), bool)
    return np.asarray(
        classes & ((strange >= UNLISTED_THIN_VALUES) & (2 * strange >= lengths))
        | (narrow & (some >= THIN_VALUES) & (3 * some >= 2 * lengths))
    )


def check_255(histogram: ClassHistogram) -> list[Finding]:
    """What 255 was taken for although nobody said what it is."""
    catalog = histogram.catalog
    if catalog.binary:
        return [Finding("binary-255", 1, (), ({"class": catalog.names[1]},))]
    if histogram.doubtful_255 is None:
        return []
    absent = np.flatnonzero(~histogram.present)
    classes = catalog.names
    details = tuple({"class": classes[k]} for k in absent)
    return [Finding("ignored-255", absent.size, (), details)]


def check_labels(
    catalog: ClassCatalog, ledger: MaskLedger, channels: tuple[int, int], *, min_masks: int
) -> list[Finding]:
    """What counts of labels show: rare ones, those of all pixels, and masks without any.

    `channels` are the fewest and the most that a mask has.
    """
    classes, labelled = catalog.names, int(ledger.labelled.sum())
    findings: list[Finding] = []
    highest = max((value for info in catalog.classes for value in info.values), default=-1)
    if highest >= channels[0]:
        detail = {"channels": list(channels), "channel": highest}
        findings.append(Finding("lacking-channel", 1, (), (detail,)))
    names = np.array(ledger.names, object)
    findings += of_files("no-label", names[(ledger.class_counts == 0) & (ledger.labelled > 0)])
    findings += of_files("unlabelled", names[ledger.labelled == 0])
    positives = np.zeros(len(catalog), np.int64)
    np.add.at(positives, ledger.classes, ledger.pixels)
    everywhere = np.flatnonzero((positives == labelled) & (positives > 0))
    if everywhere.size:
        details = tuple({"class": classes[k]} for k in everywhere)
        findings.append(Finding("label-everywhere", everywhere.size, (), details))
    return findings + _rare(catalog, ledger, min_masks, gaps=True)


def _rare(
    catalog: ClassCatalog, ledger: MaskLedger, min_masks: int, *, gaps: bool
) -> list[Finding]:
    """Classes that never occur or in few masks; with `gaps` inferred ones that never do as well."""
    names, classes = np.array(ledger.names, object), catalog.names
    findings: list[Finding] = []
    masks = np.bincount(ledger.classes, minlength=len(catalog))
    absent = np.flatnonzero(masks == 0)
    if absent.size and (gaps or catalog.origin != "inferred"):
        details: tuple[dict[str, Any], ...] = tuple({"class": classes[k]} for k in absent)
        findings.append(Finding("absent-class", absent.size, (), details))
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    rare = np.flatnonzero((masks > 0) & (masks < min_masks))
    if rare.size:
        details = tuple({"class": classes[k], "masks": int(masks[k])} for k in rare)
        holders = np.unique(rows[np.isin(ledger.classes, rare)])
        files = sorted(names[holders], key=natural_key)
        findings.append(Finding("few-masks", int(rare.size), tuple(files), details, min_masks))
    return findings


def check_ledger(catalog: ClassCatalog, ledger: MaskLedger, *, min_masks: int) -> list[Finding]:
    """What class counts show: empty and single-class masks, rare classes, outliers."""
    names = np.array(ledger.names, object)
    findings: list[Finding] = []
    if len(catalog):
        findings += of_files("unlabelled", names[ledger.class_counts == 0])
    findings += of_files("single-class", names[ledger.class_counts == 1])
    # Nobody declared gaps between found values.
    findings += _rare(catalog, ledger, min_masks, gaps=False)
    if found := outliers(ledger):
        details = tuple(
            {"mask": o.mask, "distance": o.distance, "robust_z": o.robust_z} for o in found
        )
        findings.append(Finding("outlier", len(found), tuple(o.mask for o in found), details))
    return findings


def check_profile(
    profile: PixelProfile, ledger: MaskLedger, *, min_components: int = MIN_COMPONENTS
) -> list[Finding]:
    """What pixels show: classes in few components, and thin ones (`PixelProfile.width`)."""
    names, components = profile.catalog.names, profile.components
    findings = []
    few = np.flatnonzero((components > 0) & (components < min_components))
    if few.size:
        details: tuple[dict[str, Any], ...] = tuple(
            {"class": names[k], "components": int(components[k])} for k in few
        )
        rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
        holders = np.unique(rows[np.isin(ledger.classes, few)])
        files = sorted((ledger.names[row] for row in holders), key=natural_key)
        findings.append(
            Finding("few-components", int(few.size), tuple(files), details, min_components)
        )
    widths = profile.width
    thin = np.flatnonzero((components > 0) & (widths <= THIN_WIDTH))
    if thin.size:
        order = thin[np.argsort(widths[thin], kind="stable")]
        details = tuple({"class": names[k], "width": float(widths[k])} for k in order)
        findings.append(Finding("thin-class", int(thin.size), (), details))
    return findings


class Outlier(NamedTuple):
    """A mask whose class mix is far from the set's: distance in [0, 1] and robust z-score."""

    mask: str
    distance: float
    robust_z: float

    def __repr__(self) -> str:
        return one_line(self)


def outliers(ledger: MaskLedger) -> list[Outlier]:
    """Masks far from the rest by their class mix, the farthest first.

    The measure is the Jensen-Shannon distance between a mask's class mix and the mix of all
    labelled pixels. Its modified z-score is 0.6745 (d - median) / MAD (Iglewicz & Hoaglin 1993,
    who suggest the threshold 3.5), where the MAD is 0 with 1.2533 times the mean absolute
    deviation below the line instead. Sets of fewer than 10 labelled masks have no outliers.
    """
    labelled = np.flatnonzero(ledger.class_counts > 0)
    if labelled.size < OUTLIER_MASKS:
        return []
    distances = mix_distances(ledger)[labelled]
    scores = robust_z(distances)
    far = np.flatnonzero(scores > OUTLIER_Z)
    found = [
        Outlier(ledger.names[labelled[at]], float(distances[at]), float(scores[at])) for at in far
    ]
    return sorted(found, key=lambda o: (-o.distance, natural_key(o.mask)))


def mix_distances(ledger: MaskLedger) -> FloatArray:
    """float64[B], Jensen-Shannon distance (base 2, so 0 to 1) of each mask's mix from the set's.

    The root of JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2 (Lin 1991; Endres & Schindelin
    2003). Needs time in proportion to the ledger's entries. Masks without labels have 0.
    """
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    own = ledger.pixels / ledger.labelled[rows]
    totals = np.bincount(ledger.classes, weights=ledger.pixels, minlength=ledger.class_count)
    pooled = (totals / max(float(totals.sum()), 1.0))[ledger.classes]
    middle = (own + pooled) / 2
    # Classes that a mask lacks add p_c / 2 each; those that it has add the two terms here.
    terms = (own * np.log2(own / middle) + pooled * np.log2(pooled / middle) - pooled) / 2
    divergence = np.bincount(rows, weights=terms, minlength=len(ledger)) + 0.5
    divergence[ledger.class_counts == 0] = 0.0
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def robust_z(values: FloatArray) -> FloatArray:
    """Modified z-scores of float64[B] (Iglewicz & Hoaglin 1993); zeros where all are equal."""
    deviations = values - np.median(values)
    spread = float(np.median(np.abs(deviations))) / 0.6745
    if spread <= 1e-12:
        spread = float(np.abs(deviations).mean()) * math.sqrt(math.pi / 2)
    return deviations / spread if spread > 1e-12 else np.zeros_like(values)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Masks and images that belong together by name.

    Attributes:
        pairs: (mask, image).
        ambiguous: mask -> the images that could be its own.
        masks: masks without an image.
        images: images without a mask.
    """

    pairs: tuple[tuple[str, str], ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    masks: tuple[str, ...]
    images: tuple[str, ...]

    __repr__ = one_line


def pair_by_stem(
    masks: Sequence[str], images: Sequence[str], *, mask_suffix: str = "", image_suffix: str = ""
) -> Pairing:
    """Pair names without their file suffix and without `mask_suffix` and `image_suffix`.

    A mask's image is the one of the same folder and stem. Where there is none, it is the one of
    the same stem in any folder, unless that belongs to another mask by its folder too.
    """
    by_place: dict[tuple[str, str], list[str]] = {}
    by_stem: dict[str, list[str]] = {}
    for image in images:
        by_place.setdefault(_place(image, image_suffix), []).append(image)
    own = {mask: by_place.get(_place(mask, mask_suffix), []) for mask in masks}
    taken = {image for found in own.values() for image in found}
    for image in images:
        if image not in taken:
            by_stem.setdefault(_place(image, image_suffix)[1], []).append(image)
    for mask, found in own.items():
        own[mask] = found or by_stem.get(_place(mask, mask_suffix)[1], [])
    taken.update(image for found in own.values() for image in found)
    return Pairing(
        tuple((mask, found[0]) for mask, found in own.items() if len(found) == 1),
        {mask: tuple(found) for mask, found in own.items() if len(found) > 1},
        tuple(mask for mask, found in own.items() if not found),
        tuple(image for image in images if image not in taken),
    )


def _place(name: str, suffix: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0] or file
    return folder, stem.removesuffix(suffix) if stem != suffix else stem
