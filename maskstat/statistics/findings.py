"""Findings about a set of masks; `KINDS` has the kinds of them, each with its advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from maskstat.errors import Blank, ParameterError, argument, call, spelled
from maskstat.naming import did_you_mean, natural_key, printable
from maskstat.parameters import several
from maskstat.showing import one_line

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
# As people are told of them.
CALLED: dict[str, str] = {"error": "error", "warning": "warning", "info": "note"}

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
        meaning: the rule, for people, with {} where its limit belongs; as `advice` a text for
            `errors.spelled`.
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
            "lacking-channel",
            "error",
            "label",
            "masks lack the channel of a label, so that nobody knows where it is in them",
            "export the masks with a channel for every label, or declare those that there are:"
            f" {argument('classes')}",
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
            f"in fewer than {{}} masks ({argument('min_masks')})",
            f"annotate more, merge it with a related class, or oversample: {call('Scan.sampling')}",
        ),
        FindingKind(
            "few-components",
            "warning",
            "class",
            f"in fewer than {{}} components ({argument('min_components')})",
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
            "label-everywhere",
            "warning",
            "label",
            "every labelled pixel has it",
            "look at its channel: a map of valid pixels, say, is no label",
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
            "no-label",
            "info",
            "mask",
            "not one pixel has a label",
            "fine where images show none of them; else annotate them",
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
        limit: what the kind's number had to reach, where it has one.
    """

    kind: str
    count: int
    files: tuple[str, ...] = ()
    details: tuple[Mapping[str, Any], ...] = ()
    limit: int | None = None

    __repr__ = one_line

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    @property
    def meaning(self) -> str:
        """The rule that it is found by."""
        meaning = KINDS[self.kind].meaning
        return spelled(meaning if self.limit is None else meaning.replace("{}", f"{self.limit:,}"))

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
            "meaning": self.meaning,
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
