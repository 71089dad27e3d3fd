"""What a report says about its numbers: the same words in HTML and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from maskstat.errors import argument, call, spelled
from maskstat.naming import counted, percent, printable
from maskstat.render.documents.report import MIN_MASKS
from maskstat.render.terminal.failures import failure_lines
from maskstat.render.terminal.profile_tables import profile_lines, unmeasured_lines
from maskstat.render.terminal.rows import RowChoice
from maskstat.render.terminal.tables import from_to, given_counts, interval_cell, voxel_words
from maskstat.statistics.findings import MIN_COMPONENTS
from maskstat.values.class_volumes import VoxelSizes

SHOWN = 12
MOST_CLASSES = 1000
_MOST_INFERRED = 40
SMALL = 64  # pixels; of `profile_document.SMALL_SIZES`
MEASURES = (
    ("imbalance ratio, largest over smallest class that occurs", "ratio"),
    ("entropy (nats)", "entropy"),
    ("normalised entropy", "normalised_entropy"),
    ("effective number of classes", "effective_classes"),
    ("Gini coefficient", "gini"),
    ("divergence from equal shares, KL (nats)", "kl_uniform"),
    ("share of the largest class", "majority_accuracy"),
)


class Fact(NamedTuple):
    """A headline number: what it is, its value, and a line that explains it."""

    label: str
    value: str
    note: str


def headline(document: Mapping[str, Any]) -> list[Fact]:
    """The numbers to know first."""
    classes = document["classes"]
    occur = len(classes) - len(document["absent_classes"])
    total, labelled = document["total_pixels"], document["labelled_pixels"]
    facts = []
    if (masks := document["masks"]) is not None:
        note = "of an epoch" if document["row"] == "crop" else _sizes(document["sizes"])
        facts.append(Fact(f"{document['row']}s", f"{masks:,}", note))
    if total is not None:
        note = f"{percent(labelled / total)} labelled" if total and labelled is not None else ""
        facts.append(Fact("pixels", f"{total:,}", note))
    elif labelled is not None:
        facts.append(Fact("labelled pixels", f"{labelled:,}", "as given"))
    facts += [
        Fact(
            "classes that occur",
            f"{occur:,}",
            f"of {len(classes):,}" if occur < len(classes) else "all of them",
        ),
    ]
    measures = document["imbalance"]
    if measures["ratio"] is not None:
        largest = max(classes, key=lambda row: row["frequency"])
        facts += [
            Fact("imbalance ratio", number(measures["ratio"]), "largest over smallest class"),
            Fact(
                "effective classes",
                f"{measures['effective_classes']:.1f}",
                "as diverse as so many equal ones",
            ),
            Fact(
                "largest class",
                percent(largest["frequency"]),
                f"{printable(largest['name'])}: the accuracy of always answering it",
            ),
        ]
    if (of_masks := document["variety"]) and (variety := of_masks["classes"]):
        note = f"from {variety['least']:g} to {variety['most']:g}"
        facts.append(Fact("classes a mask, median", f"{variety['median']:g}", note))
    if document["sizes"] and len(document["sizes"]) > 1 and (aspect := document["aspect"]):
        note = f"width over height, from {aspect['least']:.3g} to {aspect['most']:.3g}"
        facts.append(Fact("aspect ratio, median", f"{aspect['median']:.3g}", note))
    if types := document["value_types"]:
        note = "all of them" if len(types) == 1 else f"most masks, of {len(types):,} kinds"
        facts.append(Fact("values stored as", types[0]["value_type"], note))
    if (profile := document["profile"]) and "components" in profile:
        note = f"{number(profile['components'] / max(profile['masks'], 1))} a mask"
        facts.append(Fact("components", f"{profile['components']:,}", note))
    return facts


def imbalances(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What imbalance is measured by, with its measures."""
    measured = [("by pixels", document["imbalance"])]
    if document["mask_imbalance"] is not None:
        measured.append((f"by {document['row']}s", document["mask_imbalance"]))
    if (profile := document["profile"]) and "imbalance" in profile:
        measured.append(("by components", profile["imbalance"]))
    return measured


def profile_notes(document: Mapping[str, Any]) -> list[str]:
    """Sizes of voxels where they differ, and the pixel profile, or what adds one, in sentences."""
    profile, voxels = document["profile"], document["voxels"]
    notes = [] if profile is None else [*unmeasured_lines(profile), *profile_lines(profile)]
    if voxels is not None and VoxelSizes(**voxels).differ:
        notes.insert(
            0,
            f"Voxels measure {voxel_words(voxels)}, so these shares of pixels are not shares of"
            f" volume ({spelled(argument('measure', 'volume'))}).",
        )
    if document["exposure"] is not None:
        notes.append(
            "Heat maps, components, borders and adjacency are not measured in crops: the report"
            " without the recipe is of whole masks."
        )
    elif document["profile_command"] is not None:
        notes.append(
            "Heat maps, components, widths and adjacency need a pixel profile; what adds one:"
            f" {document['profile_command']}"
        )
    elif profile is None and document["findings"] is not None:
        notes.append(
            "Heat maps, components, widths, adjacency and examples need files of masks; these were"
            " counted in memory."
        )
    return notes


def class_lines(document: Mapping[str, Any]) -> list[tuple[int | None, str]]:
    """The lines of a table of classes: the index of a class, or what stands in for many.

    All, in their order; of more than 1,000, or more than 40 that were inferred, the first and the
    last by their share.
    """
    frequency = [row["frequency"] for row in document["classes"]]
    inferred = document["catalog"]["origin"] == "inferred"
    most = _MOST_INFERRED if inferred else MOST_CLASSES
    if len(frequency) <= most:
        return [(index, "") for index in range(len(frequency))]
    shown = RowChoice("frequency", most, "the JSON form has all").of(frequency)
    gaps = dict(shown.gaps(frequency, lambda left: from_to(frequency, left)))
    lines: list[tuple[int | None, str]] = []
    for place in range(len(shown.indices) + 1):
        if place in gaps:
            lines.append((None, gaps[place].strip(" ⋮")))
        if place < len(shown.indices):
            lines.append((shown.indices[place], ""))
    return lines


def too_many(document: Mapping[str, Any]) -> str:
    """What to say instead of weights to paste where there are very many; "" where there are not."""
    classes = len(document["classes"])
    if classes <= MOST_CLASSES:
        return ""
    return (
        f"{classes:,} weights are too many to paste: {spelled(call('Scan.weights'))} writes a file"
    )


_CLASS_COLUMNS = (
    ("pixels", "pixels", "labelled_pixels"),
    ("share", "share", None),
    ("interval", "95% interval", "intervals"),
    ("masks", "{}s", "masks"),
    ("presence", "in {}s", "mask_count"),
    ("there", "share there", "image_pixels"),
)


def class_columns(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Key and heading of the numbers of classes that are known."""
    unknown = {*document["unknown"]}
    if "masks" in unknown:
        unknown.add("mask_count")
    if document["intervals"] is None:
        unknown.add("intervals")
    row = document["row"]
    return [
        (key, label.format(row)) for key, label, needs in _CLASS_COLUMNS if needs not in unknown
    ]


def class_rows(document: Mapping[str, Any]) -> list[tuple[tuple[float | str, str], ...]]:
    """A row a class under `class_columns`: numbers to sort by, and how they are written."""
    masks = document["masks"]
    rows = []
    for row in document["classes"]:
        there = row["pixels"] / row["image_pixels"] if row["image_pixels"] else None
        present = percent(row["masks"] / masks) if row["masks"] is not None and masks else ""
        cells: dict[str, tuple[float | str, str]] = {
            "pixels": _count(row["pixels"]),
            "share": (row["frequency"], percent(row["frequency"]) if row["frequency"] else "never"),
            "interval": (
                ("", "")
                if document["intervals"] is None
                else (
                    row["relative_standard_error"] or "",
                    interval_cell(row, document["intervals"]),
                )
            ),
            "masks": _count(row["masks"]),
            "presence": (_count(row["masks"])[0], present),
            "there": ("", "") if there is None else (there, percent(there)),
        }
        rows.append(tuple(cells[key] for key, _ in class_columns(document)))
    return rows


def _count(number: int | None) -> tuple[float | str, str]:
    return ("", "") if number is None else (number, f"{number:,}")


class ProfileRow(NamedTuple):
    """What the pixel profile says of a class: numbers to sort by, and how they are written."""

    number: int
    name: str
    colour: str | None
    cells: tuple[tuple[float | str, str], ...]


PROFILE_COLUMNS = (
    ("components", "components"),
    ("median-in-mask", "in a mask, median"),
    ("most-in-mask", "in a mask, most"),
    ("smallest", "smallest (px)"),
    ("median", "median (px)"),
    ("largest", "largest (px)"),
    ("small", f"pixels in components under {SMALL} px"),
    ("width", "typical width (px)"),
    ("x", "centre, from the left"),
    ("y", "centre, from the top"),
    ("box-width", "box width, median"),
    ("box-height", "box height, median"),
)


def profile_rows(document: Mapping[str, Any]) -> list[ProfileRow]:
    """A row a class under `PROFILE_COLUMNS`; none without a complete profile."""
    profile = document["profile"]
    if profile is None or "classes" not in profile:
        return []
    rows = []
    for row, info in zip(profile["classes"], document["classes"], strict=True):
        counts: tuple[int, ...] = (
            row["components"],
            row["in_mask"]["median"],
            row["in_mask"]["most"],
            row["sizes"]["least"],
            row["sizes"]["median"],
            row["sizes"]["most"],
        )
        cells: list[tuple[float | str, str]] = [(count, f"{count:,}") for count in counts]
        small = row["share_under"][str(SMALL)]
        cells.append((small, percent(small)))
        width, centre = row["width"], row["centre"]
        cells.append(("", "") if width is None else (width, f"{width:.1f}"))
        for axis in ("x", "y"):
            cells.append(("", "") if centre is None else (centre[axis], percent(centre[axis])))
        for side in ("width", "height"):
            cells.append((row["box"][side], percent(row["box"][side])))
        if not row["components"]:
            cells = [(0, "never"), *[("", "")] * (len(cells) - 1)]
        rows.append(ProfileRow(row["index"], row["name"], info["colour"], tuple(cells)))
    return rows


def _sizes(sizes: Sequence[Mapping[str, int]] | None) -> str:
    if not sizes:
        return ""
    first = f"{sizes[0]['width']:,} × {sizes[0]['height']:,}"
    return f"all {first}" if len(sizes) == 1 else f"{len(sizes):,} sizes, most are {first}"


def number(value: float) -> str:
    """Four significant digits, thousands separated: 0.05352, 29.94, 32,721."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def cost(value: float) -> str:
    """A cost in nats."""
    return f"{value:.3f}"


def alike(cost_entry: Mapping[str, Any]) -> bool:
    """Whether all constant predictions cost the same, up to rounding."""
    return bool(cost_entry["relative_spread"] < 1e-9)


_LEAST = {  # meanings that name a parameter, which a report has no use for
    "few-masks": f"in fewer than {counted(MIN_MASKS, 'mask')}",
    "few-components": f"in fewer than {counted(MIN_COMPONENTS, 'component')}",
}


def finding_title(finding: Mapping[str, Any]) -> str:
    """Its number and meaning: "2 classes: declared, but without a single pixel"."""
    meaning = _LEAST.get(finding["kind"], finding["meaning"])
    return f"{counted(finding['count'], finding['what'])}: {meaning}"


def sentence(text: str) -> str:
    """A note as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def finding_items(finding: Mapping[str, Any]) -> list[str]:
    """What it is about, as text, a few at most: names that are not escaped yet."""
    records = finding["details"]
    if records and records[0].keys() in ({"mask", "reason"}, {"image", "reason"}):
        what = next(iter(records[0]))
        lines = failure_lines((record[what], record["reason"]) for record in records)
        left = len(lines) - SHOWN
        return lines[:SHOWN] + ([f"and {left:,} more kinds"] if left > 0 else [])
    items = [_record(record) for record in records[:SHOWN]] if records else []
    items = items or [printable(name) for name in finding["files"][:SHOWN]]
    left = max(len(records), 0 if records else len(finding["files"])) - len(items)
    return items + ([f"and {left:,} more"] if left > 0 else [])


def _record(record: Mapping[str, Any]) -> str:
    """One detail of a finding in a line."""
    if {"width", "height"} <= record.keys():
        size = f"{record['width']:,} × {record['height']:,}"
        return f"{size} ({counted(record['masks'], 'mask')})"
    key, *others = record
    facts = [
        counted(record[name], name.removesuffix("s"))
        if isinstance(record[name], int)
        else f"{name.replace('_', ' ')} {_plain(record[name])}"
        for name in others
    ]
    listed = f" ({', '.join(facts)})" if facts else ""
    return f"{_plain(record[key])}{listed}"


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))


def provenance(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers come from, as label and text."""
    source = document["provenance"]
    return [
        ("Source", printable(source["source"])),
        ("Scan", printable(source["scan"])),
        ("Scanned", f"{source['created']}, last updated {source['updated']}"),
        ("Classes", printable(source["catalog"])),
        ("Digest of the classes", source["catalog_digest"]),
        ("Digest of the counts", source["counts_digest"]),
        ("maskstat", source["maskstat"]),
    ]


def ignored_values(document: Mapping[str, Any]) -> str:
    """Ignored raw values with their pixels; empty where none occurs."""
    total = document["total_pixels"] or 1
    return ", ".join(
        f"{printable(value)} ({percent(pixels / total)})"
        for value, pixels in (document["ignored"] or {}).items()
    )


def no_findings(document: Mapping[str, Any]) -> str:
    """What to say where nothing needs attention."""
    if document["findings"] is None:
        return sentence(given_counts(document))
    return "Nothing that the counts could show."


def place(document: Mapping[str, Any]) -> str:
    """Where the counts are from."""
    source = printable(document["source"])
    if (seen := document["exposure"]) is not None:
        return (
            f"As training sees it, {printable(seen['does'])}, of masks in {source}. Counts are of"
            " an epoch, a crop a mask; findings, sizes, classes a mask and examples are of the"
            " files"
        )
    return f"Masks in {source}" if document["findings"] is not None else f"From {source}"


def groups(document: Mapping[str, Any]) -> str:
    """How many classes are head, medium and tail."""
    sizes = document["groups"]
    return ", ".join(
        f"{name} {len(sizes[name]):,}"
        for name in ("head", "medium", "tail", "absent")
        if sizes[name]
    )


def group_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Class -> head, medium, tail or absent."""
    return {
        name: group
        for group in ("head", "medium", "tail", "absent")
        for name in document["groups"][group]
    }


def scheme_label(names: Iterable[str]) -> str:
    """Schemes of equal weights: "equal-cost = balanced"."""
    return " = ".join(names)
