"""What is wrong with a set of masks, as far as counts can tell: findings, each with its advice.

Kinds of findings are registered in `KINDS`. Functions here are pure; `scanning.checking` brings
scans, files and images to them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, ParameterError, argument, call, spelled
from maskstat.naming import did_you_mean, natural_key, printable
from maskstat.parameters import several
from maskstat.regions.profile import PixelProfile
from maskstat.showing import one_line
from maskstat.values.catalog import UNLISTED, ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import TallyTable

FloatArray = NDArray[np.float64]
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

THIN_SIDE = 0.25
UNLISTED_THIN_VALUES = 3
THIN_VALUES = 16
OUTLIER_Z = 3.5
OUTLIER_MASKS = 10
MIN_COMPONENTS = 10
THIN_WIDTH = 4.0  # pixels


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A kind of finding.

    Attributes:
        name: what it is called by.
        severity: "error" (counts are wrong or training would be), "warning" or "info".
        noun: what its number counts.
        meaning: the rule, for people; as `advice` a text for `errors.spelled`.
        advice: what to do.
    """

    name: str
    severity: Severity
    noun: str
    meaning: str
    advice: str

    __repr__ = one_line


KINDS: dict[str, FindingKind] = {
    kind.name: kind
    for kind in (
        FindingKind(
            "unreadable",
            "error",
            "mask",
            "could not be counted when the set was scanned",
            f"repair, export again or {argument('exclude')} them, then scan again",
        ),
        FindingKind(
            "incomplete",
            "error",
            "scan",
            "the scan was interrupted",
            "run the same scan again: it goes on from there",
        ),
        FindingKind(
            "unlisted",
            "error",
            "value",
            "raw values or colours neither a class nor ignored",
            f"add them to the catalogue or {argument('ignore')} them",
        ),
        FindingKind(
            "siblings",
            "error",
            "image",
            "several masks of one image that differ in kind",
            f"scan those of one kind only: {argument('include', Blank('GLOB'))}",
        ),
        FindingKind(
            "lossy",
            "error",
            "mask",
            "stored with lossy compression, which changes labels",
            "export them again as PNG from the annotation tool",
        ),
        FindingKind(
            "soft-masks",
            "error",
            "mask",
            "most values lie between a few that stand out, or none does: smoothed, or resized by"
            " interpolation, so no classes are inferred",
            "export them again with nearest neighbour and without smoothing, or take a threshold:"
            f" {argument('classes', Blank('FILE'))} with classes of ranges of values, as"
            f" '{call('scan', Blank('SOURCE'), draft=Blank('FILE.yaml'))}' writes it",
        ),
        FindingKind(
            "anti-aliased",
            "error",
            "mask",
            "many values that each occur in very few pixels",
            "resize and draw masks with nearest neighbour and without smoothing",
        ),
        FindingKind(
            "size-mismatch",
            "error",
            "mask",
            "the mask's size is not its image's",
            "export or resize the mask (nearest neighbour) to its image's size",
        ),
        FindingKind(
            "leakage",
            "error",
            "mask",
            "pixel for pixel the same as a mask of another split",
            "keep each of them in one split only",
        ),
        FindingKind(
            "shared-group",
            "error",
            "group",
            "masks of one group (a video, a patient) are in another split too: they are alike, so"
            " scores are of what training saw",
            "keep each group in one split only",
        ),
        FindingKind(
            "shared-sequence",
            "warning",
            "sequence",
            "by their names masks are frames of a sequence that is in another split too",
            f"if so, keep it in one split only; {argument('group_by', Blank('RULE'))} says what"
            " belongs together, 'mask' that nothing does",
        ),
        FindingKind(
            "absent-class",
            "warning",
            "class",
            "declared, but without a single pixel",
            "check the catalogue's values, or plan for it with"
            f" '{call('Scan.weights', absent=Blank('POLICY'))}'",
        ),
        FindingKind(
            "ignored-255",
            "warning",
            "class",
            "declared, but without a pixel, while 255 is ignored by default",
            f"say what 255 is: {argument('ignore', 255)} where it is void, or {argument('classes')}"
            " with a file that gives the class 'values: [255]'",
        ),
        FindingKind(
            "few-masks",
            "warning",
            "class",
            f"in fewer masks than {argument('min_masks')}",
            f"annotate more, merge it with a related class, or oversample: {call('Scan.sampling')}",
        ),
        FindingKind(
            "few-components",
            "warning",
            "class",
            f"in fewer components than {argument('min_components')}",
            "annotate more, or expect its metrics to depend on a handful of objects",
        ),
        FindingKind(
            "unlabelled",
            "warning",
            "mask",
            "not one pixel of any class",
            "they teach nothing: annotate them or leave them out",
        ),
        FindingKind(
            "duplicate",
            "warning",
            "mask",
            "pixel for pixel the same as another mask",
            "keep one of each group, unless the images differ",
        ),
        FindingKind(
            "mask-without-image",
            "warning",
            "mask",
            "no image has its stem",
            f"check {argument('images')}, {argument('image_suffix')} and {argument('mask_suffix')},"
            " or remove the mask",
        ),
        FindingKind(
            "image-without-mask",
            "warning",
            "image",
            "no mask has its stem",
            "annotate it, or leave it out of training",
        ),
        FindingKind(
            "ambiguous-pair",
            "warning",
            "mask",
            "several images have its stem",
            f"give masks and images the same subfolders, or point {argument('images')} at one set",
        ),
        FindingKind(
            "unreadable-image",
            "warning",
            "image",
            "its size can't be read from its header",
            "check that the image opens at all",
        ),
        FindingKind(
            "exif-rotated",
            "warning",
            "image",
            "its EXIF tag turns or mirrors it, which some loaders apply and others ignore",
            "rewrite the image upright and drop the tag, then compare it with its mask",
        ),
        FindingKind(
            "stale",
            "warning",
            "mask",
            "its file changed or went since the scan",
            "scan again",
        ),
        FindingKind(
            "no-file",
            "info",
            "mask",
            "has the size and counts of another, and no file whose pixels could be compared",
            "save the masks and scan the files to see whether they are the same",
        ),
        FindingKind(
            "single-class",
            "info",
            "mask",
            "all labelled pixels are of one class",
            "fine where images show just one thing; else look at a few of them",
        ),
        FindingKind(
            "outlier",
            "info",
            "mask",
            "its class mix is far from the whole set's",
            "look at them: rare scenes are welcome, wrong catalogues are not",
        ),
        FindingKind(
            "thin-class",
            "info",
            "class",
            f"its typical width is up to {THIN_WIDTH:g} pixels",
            "train at full resolution: shrinking loses it, and labels a pixel off cost it most",
        ),
        FindingKind(
            "unmeasured",
            "info",
            "mask",
            "counted, but left out of the pixel profile",
            "split them into tiles where components and heat maps should include them",
        ),
        FindingKind(
            "binary-255",
            "info",
            "class",
            "255 was read as class 1: two classes are declared, and the only values are 0 and 255",
            f"fine where 255 is that class; where it is void: {argument('ignore', 255)}",
        ),
        FindingKind(
            "mixed-sizes",
            "info",
            "size",
            "masks have several sizes",
            "crop or resize in the data loader; masks with nearest neighbour",
        ),
        FindingKind(
            "mixed-encodings",
            "info",
            "encoding",
            "masks are stored in several ways",
            "make sure that the data loader reads all of them alike",
        ),
    )
}


def chosen_kinds(words: str | Iterable[str]) -> frozenset[str]:
    """The kinds that these words ask for: kinds, "error", or "warning", which includes errors.

    Raises:
        ParameterError: a word is neither a kind nor one of these two.
    """
    kinds: set[str] = set()
    for word in several(words):
        if word in {"error", "warning"}:
            wanted = {"error"} if word == "error" else {"error", "warning"}
            kinds.update(kind.name for kind in KINDS.values() if kind.severity in wanted)
        elif word in KINDS:
            kinds.add(word)
        else:
            raise ParameterError(
                f"{printable(word)!r} is neither a severity nor a kind of finding",
                parameter="fail_on",
                remedy=f"{did_you_mean(word, KINDS)}known are error, warning, {', '.join(KINDS)}",
            )
    return frozenset(kinds)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a set of masks.

    Attributes:
        kind: a key of `KINDS`.
        count: how many, in the kind's noun.
        files: every mask or image concerned, in natural order.
        details: one JSON-ready record for each thing counted; empty where the names say it all.
    """

    kind: str
    count: int
    files: tuple[str, ...] = ()
    details: tuple[Mapping[str, Any], ...] = ()

    __repr__ = one_line

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    @property
    def advice(self) -> str:
        """What to do about it."""
        return spelled(KINDS[self.kind].advice)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "what": KINDS[self.kind].noun,
            "meaning": spelled(KINDS[self.kind].meaning),
            "advice": self.advice,
            "files": list(self.files),
            "details": [dict(detail) for detail in self.details],
        }


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then in the order of `KINDS`."""
    places = list(KINDS)
    return tuple(
        sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), places.index(f.kind)))
    )


def of_files(kind: str, names: Iterable[str]) -> list[Finding]:
    """One finding that counts these files; none where there are no files."""
    files = tuple(sorted(names, key=natural_key))
    return [Finding(kind, len(files), files)] if files else []


def check_tallies(catalog: ClassCatalog, tables: Iterable[TallyTable]) -> list[Finding]:
    """What raw tallies show: lossy, anti-aliased and unlisted masks, sizes, encodings."""
    lossy: list[str] = []
    blended: list[str] = []
    unlisted: list[str] = []
    sizes: Counter[tuple[int, int]] = Counter()
    encodings: Counter[str] = Counter()
    total = ClassHistogram.empty(catalog)
    for table in tables:
        strange = catalog.targets(table) == UNLISTED
        rows = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        lossy += [n for n, e in zip(table.names, table.encodings, strict=True) if e.is_lossy]
        blended += [table.names[row] for row in np.flatnonzero(_anti_aliased(table, strange))]
        unlisted += [table.names[row] for row in np.unique(rows[strange])]
        sizes.update(map(tuple, table.shapes.tolist()))
        encodings.update(map(str, table.encodings))
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
    if len(encodings) > 1:
        kinds = sorted(encodings.items(), key=lambda item: (-item[1], item[0]))
        records = [{"encoding": name, "masks": count} for name, count in kinds]
        findings.append(Finding("mixed-encodings", len(encodings), (), tuple(records)))
    return findings


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
    narrow = np.array([e.is_colour or e.bits <= 8 for e in table.encodings], bool)
    return np.asarray(
        ((strange >= UNLISTED_THIN_VALUES) & (2 * strange >= lengths))
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


def check_ledger(catalog: ClassCatalog, ledger: MaskLedger, *, min_masks: int) -> list[Finding]:
    """What class counts show: empty and single-class masks, rare classes, outliers."""
    names, classes = np.array(ledger.names, object), catalog.names
    findings: list[Finding] = []
    if len(catalog):
        findings += of_files("unlabelled", names[ledger.class_counts == 0])
    findings += of_files("single-class", names[ledger.class_counts == 1])
    masks = np.bincount(ledger.classes, minlength=len(catalog))
    absent = np.flatnonzero(masks == 0)
    if absent.size and catalog.origin != "inferred":  # nobody declared gaps between found values
        details: tuple[dict[str, Any], ...] = tuple({"class": classes[k]} for k in absent)
        findings.append(Finding("absent-class", absent.size, (), details))
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    rare = np.flatnonzero((masks > 0) & (masks < min_masks))
    if rare.size:
        details = tuple({"class": classes[k], "masks": int(masks[k])} for k in rare)
        holders = np.unique(rows[np.isin(ledger.classes, rare)])
        files = sorted(names[holders], key=natural_key)
        findings.append(Finding("few-masks", int(rare.size), tuple(files), details))
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
        findings.append(Finding("few-components", int(few.size), tuple(files), details))
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
