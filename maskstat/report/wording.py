"""What a report says about its numbers: the same words in HTML and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from maskstat.naming import counted, printable
from maskstat.report.document import MIN_MASKS
from maskstat.report.plots.style import percent

SHOWN = 12
MEASURES = (
    ("imbalance ratio, largest over smallest class that occurs", "ratio"),
    ("entropy (nats)", "entropy"),
    ("normalised entropy", "normalised_entropy"),
    ("effective number of classes", "effective_classes"),
    ("Gini coefficient", "gini"),
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
    facts = [
        Fact("masks", f"{document['masks']:,}", _sizes(document["sizes"])),
        Fact("pixels", f"{total:,}", f"{percent(labelled / total)} labelled" if total else ""),
        Fact(
            "classes that occur",
            f"{occur:,}",
            f"of {len(classes):,}" if occur < len(classes) else "all of them",
        ),
    ]
    measures = document["imbalance"]
    if measures["ratio"] is not None:
        largest = max(classes, key=lambda row: row["pixels"])
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
    if variety := document["variety"]["classes"]:
        note = f"from {variety['least']:g} to {variety['most']:g}"
        facts.append(Fact("classes a mask, median", f"{variety['median']:g}", note))
    return facts


def _sizes(sizes: Sequence[Mapping[str, int]]) -> str:
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


def finding_title(finding: Mapping[str, Any]) -> str:
    """Its number and meaning: "2 classes: declared, but without a single pixel"."""
    meaning = finding["meaning"].replace(
        "in fewer masks than --min-masks", f"in fewer than {counted(MIN_MASKS, 'mask')}"
    )
    return f"{counted(finding['count'], finding['what'])}: {meaning}"


def sentence(text: str) -> str:
    """A note as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def finding_items(finding: Mapping[str, Any]) -> list[str]:
    """What it is about, as text, a few at most: names that are not escaped yet."""
    records = finding["details"]
    items = [_record(record) for record in records[:SHOWN]] if records else []
    items = items or [printable(name) for name in finding["files"][:SHOWN]]
    left = max(len(records), 0 if records else len(finding["files"])) - len(items)
    return items + ([f"and {left:,} more"] if left > 0 else [])


def _record(record: Mapping[str, Any]) -> str:
    """One detail of a finding in a line."""
    if {"width", "height"} <= record.keys():
        size = f"{record['width']:,} × {record['height']:,}"
        return f"{size} ({counted(record['masks'], 'mask')})"
    if record.keys() == {"mask", "reason"}:
        return f"{_plain(record['mask'])}: {_plain(record['reason'])}"
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
        for value, pixels in document["ignored"].items()
    )


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
