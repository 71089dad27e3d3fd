"""The report as Markdown: the same numbers as the page, for a README, an issue or a pull request.

Names are escaped so that a class called "a|b" or "<b>" stays a name in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maskstat.naming import printable
from maskstat.render.documents.report import report_document
from maskstat.render.plots.style import percent
from maskstat.render.report import wording
from maskstat.render.report.snippets import snippets

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

_SPECIAL = re.compile(r"[\\`*_\[\]<>&|#~$@]|:(?=//)|(?<=www)\.")
_AS_ENTITY = frozenset("<>&|@:.")  # where a backslash would not do: HTML, cells, links, mentions


def report_markdown(scan: StoredScan) -> str:
    """The report about a scan."""
    return render(report_document(scan))


def render(document: Mapping[str, Any]) -> str:
    """A report document as Markdown."""
    parts = [
        f"# {escaped(document['scan'])}: class statistics",
        f"Masks in {escaped(document['source'])}",
        _bullets(
            f"{fact.label}: **{escaped(fact.value)}**{_listed([fact.note] if fact.note else [])}"
            for fact in wording.headline(document)
        ),
        "## Needs attention",
        _findings(document["findings"]),
        "## Classes",
        _classes(document),
        "## Imbalance",
        _imbalance(document),
        "## Weights",
        *_weights(document),
        "## Constant predictions",
        *_costs(document),
        "## Where and how large",
        _bullets(escaped(note) for note in wording.profile_notes(document)),
        _profile(document),
        "## Where these numbers come from",
        _bullets(f"{label}: {escaped(text)}" for label, text in wording.provenance(document)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: control characters as escapes, markup escaped."""
    return _SPECIAL.sub(_shielded, printable(text))


def _shielded(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};" if match[0] in _AS_ENTITY else f"\\{match[0]}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first two columns are text and whose others are numbers."""
    rule = [":--" if heading in _TEXT else "--:" for heading in headings]
    lines = [headings, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_TEXT = {"class", "values", "group", "measure", "scheme", "cheapest answer", "dearest answer"}


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return "Nothing that the counts could show."
    return _bullets(
        f"**{finding['severity']}** {escaped(wording.finding_title(finding))}"
        f"{_listed(wording.finding_items(finding))}. {escaped(wording.sentence(finding['advice']))}"
        for finding in findings
    )


def _listed(items: Sequence[str]) -> str:
    return f" ({escaped(', '.join(items))})" if items else ""


def _classes(document: Mapping[str, Any]) -> str:
    masks = document["masks"]
    group_of = wording.group_of(document)
    rows = []
    for row in document["classes"]:
        there = row["pixels"] / row["image_pixels"] if row["image_pixels"] else None
        rows.append(
            (
                str(row["index"]),
                escaped(row["name"]),
                f"{row['pixels']:,}",
                percent(row["frequency"]) if row["pixels"] else "never",
                f"{row['masks']:,}",
                percent(row["masks"] / masks) if masks else "",
                "" if there is None else percent(there),
                group_of[row["name"]],
            )
        )
    headings = ("#", "class", "pixels", "share", "masks", "in masks", "share there", "group")
    ignored = wording.ignored_values(document)
    note = f"\n\nIgnored values: {escaped(ignored)}" if ignored else ""
    return _table(headings, rows) + note


def _imbalance(document: Mapping[str, Any]) -> str:
    measured = wording.imbalances(document)
    return _table(
        ("measure", *(by for by, _ in measured)),
        (
            (label, *(_number(measures[key]) for _, measures in measured))
            for label, key in wording.MEASURES
        ),
    )


def _profile(document: Mapping[str, Any]) -> str:
    rows = wording.profile_rows(document)
    if not rows:
        return ""
    return _table(
        ("#", "class", *(label for _, label in wording.PROFILE_COLUMNS)),
        ((str(row.number), escaped(row.name), *(text for _, text in row.cells)) for row in rows),
    )


def _number(value: float | None) -> str:
    return "" if value is None else wording.number(value)


def _weights(document: Mapping[str, Any]) -> list[str]:
    weights = document["weights"]
    parts = [
        "Scaled so that the average labelled pixel weighs 1. Classes that never occur weigh 1"
        " before that."
    ]
    parts += [
        f"{name}: {escaped(entry['error'])}"
        for name, entry in weights["schemes"].items()
        if "error" in entry
    ]
    groups = weights["distinct"]
    if not groups:
        return parts
    columns = [weights["schemes"][group[0]]["weights"] for group in groups]
    parts.append(
        _table(
            ("#", "class", *map(wording.scheme_label, groups)),
            (
                (
                    str(row["index"]),
                    escaped(row["name"]),
                    *(wording.number(column[row["index"]]) for column in columns),
                )
                for row in document["classes"]
            ),
        )
    )
    names = [row["name"] for row in document["classes"]]
    parts.append(f"### To paste: {groups[0][0]}")
    code = snippets(names, columns[0], document["ignore_index"])
    parts += [f"{framework}:\n\n{_fenced(text)}" for framework, text in code.items()]
    return parts


def _fenced(code: str) -> str:
    """A code block with a fence that no name in it can close."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code}{fence}"


def _costs(document: Mapping[str, Any]) -> list[str]:
    costs = document["costs"]["schemes"]
    names = [row["name"] for row in document["classes"]]
    if not costs:
        return []
    rows = []
    for group in document["weights"]["distinct"]:
        entry = costs[group[0]]
        by_name = dict(zip(names, entry["costs"], strict=True))
        alike = wording.alike(entry)
        rows.append(
            (
                wording.scheme_label(group),
                "any" if alike else escaped(entry["cheapest"]),
                wording.cost(by_name[entry["cheapest"]]),
                "any" if alike else escaped(entry["dearest"]),
                wording.cost(by_name[entry["dearest"]]),
                wording.cost(entry["soft_loss"]),
            )
        )
    headings = (
        "scheme",
        "cheapest answer",
        "costs",
        "dearest answer",
        "costs",
        "cost of the best constant probabilities",
    )
    scores = [
        (
            str(row["index"]),
            escaped(row["name"]),
            percent(score["pixel_accuracy"]),
            percent(score["mean_iou"]),
            percent(score["balanced_accuracy"]),
        )
        for row, score in zip(document["classes"], document["constant_predictors"], strict=True)
    ]
    return [
        "Costs of answering every pixel with one class, in nats a labelled pixel under a plain"
        " mean:",
        _table(headings, rows),
        _table(("#", "class", "pixel accuracy", "mean IoU", "balanced accuracy"), scores),
    ]
