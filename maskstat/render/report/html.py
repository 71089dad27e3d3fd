"""The report as one HTML file that needs nothing else: no network, no fonts, no JavaScript.

Numbers, tables and drawings are in the page; its script sorts, filters, moves the slider and runs
the explorer of masks. Every text of the data (class, mask and scan names, paths) reaches the page
through Jinja's autoescape or as JSON, and a content security policy allows no style, no script and
no request but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from maskstat.errors import Blank, SourceError, spelled
from maskstat.naming import counted, percent
from maskstat.render.documents.report import report_document
from maskstat.render.plots.style import DIVERGING
from maskstat.render.report import explorer, previews, svg, verdict, wording
from maskstat.render.report.calls import can_be_typed, scan_call
from maskstat.render.report.checks import Checks, checks_of, comparable
from maskstat.render.report.class_cards import MOST_CARDS, class_cards
from maskstat.render.report.class_rows import DENSE, axis_of, class_rows, columns
from maskstat.render.report.heat import SEQUENTIAL
from maskstat.render.report.meetings import LABELLED, Meeting, meetings
from maskstat.render.report.pasting import Pasted, pasted
from maskstat.render.report.prices import loss_strip, scheme_rows, trade_off
from maskstat.render.report.splits import said_of_splits
from maskstat.render.report.subject import Subject
from maskstat.render.report.templating import environment, said_of_advice, said_of_findings
from maskstat.render.terminal.tables import from_to
from maskstat.statistics.findings import CALLED

if TYPE_CHECKING:
    from maskstat.advice.recommendation import Recommendation
    from maskstat.scanning.stored_scan import StoredScan

EXAMPLES = 8
_PREVIEW_BYTES = 620_000  # deflated
_MOST_BYTES = 5_900_000  # of a page with previews; without them it is what it is
_THUMB_SIDE, _SMALL_THUMB_SIDE = 120, 88
_SCRIPTS = ("page.js", "classes.js", "weights.js", "together.js", "explorer.js")


def report_html(
    scan: StoredScan,
    *,
    against: StoredScan | None = None,
    examples: int | None = None,
    advised: Recommendation | str | None = None,
) -> str:
    """The page about a scan.

    Args:
        scan: the scan.
        against: another split of it, to compare with.
        examples: masks of each class to picture at least; 0 opens no file of a mask. None is
            `EXAMPLES` where the files are on this machine.
        advised: what is recommended, or why nothing is; None says nothing about it.

    Raises:
        SourceError: examples are asked for and the source is gone.
        CatalogError, MaskstatError: as `maskstat.scanning.comparing.compare_scans`.
    """
    document = report_document(scan, against=against, advised=advised)
    subject = Subject(scan, document)
    checks = checks_of(subject, against, open_files=examples != 0)
    pictured, note = _previews(subject, examples)
    return render(subject, checks, pictured, note)


def _previews(subject: Subject, examples: int | None) -> tuple[previews.Previews | None, str]:
    """Pictures of masks, or why there are none."""
    ledger = subject.files.ledger if examples else subject.ledger  # unknown: said where asked for
    if ledger is None or not len(ledger):
        return None, ""
    if not subject.files.has_files:
        if examples:
            next(subject.files.entries())  # says so
        return None, ""
    if examples == 0:
        return None, "No file was opened for pictures."
    if examples is None and not comparable(subject.files):
        return (
            None,
            "Pictures are drawn where they are asked for: the masks are elsewhere, or many.",
        )
    picks = previews.Picks(ledger)
    classes = subject.occurring if len(subject.shown) <= MOST_CARDS else subject.occurring[:DENSE]
    rows = previews.sample(ledger, picks, classes, EXAMPLES if examples is None else examples)
    many = len(subject.shown) > DENSE
    try:
        made = previews.draw(
            subject.files,
            picks,
            rows,
            classes,
            subject.colours,
            _SMALL_THUMB_SIDE if many else _THUMB_SIDE,
        )
    except SourceError as error:
        if examples is not None:
            raise
        return None, f"There are no pictures: {error}."
    total = len(ledger)
    if len(made.rows) < len(rows):
        note = (
            f"{len(rows) - len(made.rows):,} of {counted(len(rows), 'mask')} have no picture: the"
            " file is gone, has changed since the scan, or can’t be read."
        )
    elif len(rows) < total:
        note = f"A sample of {len(rows):,} of the {total:,} masks is pictured; each class is in it."
    else:
        note = ""
    return made, note


def render(
    subject: Subject, checks: Checks, pictured: previews.Previews | None = None, note: str = ""
) -> str:
    """The page of a subject, of what was checked and of pictures."""
    document = subject.document
    choices = pasted(subject)
    met = meetings(subject)
    axis = axis_of(subject)
    weights = choices[0].weights if choices else None
    head = columns(subject, axis, _weight_title(choices))
    ledger = subject.ledger
    picks = None if ledger is None or not len(ledger) else previews.Picks(ledger)
    cards = class_cards(subject, met, picks, {} if pictured is None else pictured.thumbs)
    rows = scheme_rows(subject)
    trade = trade_off(subject, rows) if rows and len(subject.occurring) > 1 else None
    comparison = document["against"]
    script, css = _script(), _text("report.css")
    context: dict[str, Any] = {
        "doc": document,
        "place": wording.place(document),
        "provenance": wording.provenance(document),
        "ignored": wording.ignored_values(document),
        "profile_notes": wording.profile_notes(document),
        "no_findings": wording.no_findings(document),
        "too_many": wording.too_many(document),
        "scheme_errors": [
            (name, entry["error"])
            for name, entry in document["weights"]["schemes"].items()
            if "error" in entry
        ],
        "css": Markup(css),
        "script": Markup(script),
        "policy": Markup(
            f"default-src 'none'; img-src data:; style-src '{_hash(css)}';"
            f" script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
        ),
        "subject": subject,
        "unit": subject.unit,
        "facts_line": _facts_line(subject),
        "heading": verdict.heading(subject, checks.findings, looked=checks.looked),
        "lede": verdict.lede(subject),
        "advice": said_of_advice(document["recommendation"]),
        "checks": checks,
        "findings": said_of_findings(checks.findings),
        "chips": _chips(checks),
        "steps": verdict.steps(subject, checks.findings, choices, comparison),
        "choices": choices,
        "strips": _strips(subject, choices),
        "columns": head,
        "decades": axis.grid,
        "rows": class_rows(subject, axis, head, weights),
        "left_out": _left_out(subject),
        "group_counts": _group_counts(subject),
        "dense": len(subject.shown) > DENSE,
        "cards": cards,
        "card_maps": [card for card in cards if card.heat][:24] if len(cards) <= DENSE else [],
        "prices": rows,
        "trade": trade,
        "meetings": met,
        "labelled": LABELLED,
        "bar": svg.bar,
        "swatch": svg.swatch,
        "diverging": DIVERGING,
        "sequential": SEQUENTIAL,
        **said_of_splits(document),
        "preview_note": note,
        "explorer_note": "" if ledger is None else explorer.too_large(ledger),
        "data": Markup(_json(_data(subject, choices, met, None if trade is None else trade.most))),
    }
    context["explorer"] = _explorer(subject, context, pictured)
    context["explorer_data"] = Markup(
        "null" if context["explorer"] is None else _json(context["explorer"].described)
    )
    context["sections"] = _sections(context)
    return _environment().get_template("page.html").render(context)


def _explorer(
    subject: Subject, context: Mapping[str, Any], pictured: previews.Previews | None
) -> explorer.Explorer | None:
    ledger = subject.ledger
    if ledger is None or not len(ledger) or context["explorer_note"]:
        return None
    found = explorer.columns_of(ledger)
    if pictured is None:
        return explorer.with_previews(found, None, b"")
    taken = sum(map(len, found.values())) + 7_000 * len(context["cards"]) + 100_000
    budget = min(_PREVIEW_BYTES, max(0, (_MOST_BYTES - taken) * 3 // 4))
    fits, packed = previews.fitted(pictured, budget)
    return explorer.with_previews(found, fits, packed)


def _weight_title(choices: Sequence[Pasted]) -> str:
    return f"{choices[0].label.lower()}, average pixel 1" if choices else ""


def _facts_line(subject: Subject) -> str:
    document = subject.document
    parts = []
    if document["masks"] is not None:
        parts.append(counted(document["masks"], subject.unit))
    if (sizes := document["sizes"]) and subject.unit == "mask":
        first = f"{sizes[0]['width']:,} × {sizes[0]['height']:,}"
        parts.append(first if len(sizes) == 1 else f"{len(sizes):,} sizes, most {first}")
    total, labelled = document["total_pixels"], document["labelled_pixels"]
    if total:
        parts.append(f"{_short(total)} pixels")
        if labelled is not None:
            parts.append(f"{percent(labelled / total)} labelled")
    elif labelled is not None:
        parts.append(f"{_short(labelled)} labelled pixels")
    parts.append(counted(len(document["classes"]), "class"))
    return " · ".join(parts)


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _chips(checks: Checks) -> list[tuple[str, str]]:
    """(severity, text) of the first screen: what is fine, and how much is not."""
    chips = [("ok", text) for text in checks.fine[:3]]
    for severity, noun in CALLED.items():
        number = sum(1 for one in checks.findings if one["severity"] == severity)
        if number:
            chips.append((severity, counted(number, noun)))
    return chips


def _strips(subject: Subject, choices: Sequence[Pasted]) -> list[tuple[str, Markup]]:
    if not subject.occurring:
        return []
    strips = [("No weights", loss_strip(subject, None, "s-none", "Shares of the loss, no weights"))]
    for choice in choices:
        label = f"Shares of the loss, {choice.label.lower()}"
        strips.append((choice.label, loss_strip(subject, choice.weights, f"s-{choice.key}", label)))
    return strips


def _left_out(subject: Subject) -> str:
    """What stands for the classes that have no row."""
    left = subject.left_out
    if not left:
        return ""
    frequency = subject.shares.tolist()
    occur = [k for k in left if frequency[k] > 0]
    parts = []
    if occur:
        parts.append(f"{counted(len(occur), 'class')}{from_to(frequency, occur)}")
    if len(left) > len(occur):
        parts.append(f"{counted(len(left) - len(occur), 'class')} without a pixel")
    return f"Not in the table: {'; '.join(parts)}. The JSON form has all."


def _group_counts(subject: Subject) -> list[tuple[str, int]]:
    found = subject.document["groups"]
    return [
        (group, len(found[group])) for group in ("head", "medium", "tail", "absent") if found[group]
    ]


def _sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(anchor, title) of the sections that the page has."""
    wanted = [
        ("summary", "Summary", True),
        ("classes", "Classes", True),
        ("weights", "Weights", bool(context["prices"])),
        ("exposure", "Crops", context["doc"]["exposure"] is not None),
        ("masks", "Masks", context["explorer"] is not None or bool(context["explorer_note"])),
        ("together", "Together", bool(context["meetings"])),
        ("splits", "Splits", context["comparison"] is not None),
        ("checks", "Checks", True),
        ("method", "Method", True),
    ]
    return [(anchor, title) for anchor, title, there in wanted if there]


def _data(
    subject: Subject, choices: Sequence[Pasted], met: Sequence[Meeting], most: float | None
) -> dict[str, Any]:
    """What the script computes with."""
    by_batch = next((choice.by_batch for choice in choices if choice.by_batch), None)
    small = len(subject.names) <= explorer.MOST_CLASSES
    options = {"scheme": "power", "parameters": {"alpha": Blank("ALPHA")}, "normalize": "pixel"}
    return {
        "names": list(subject.names) if small else [],
        "colours": subject.colours if small else [],
        "shares": subject.shares.tolist() if small else [],
        "order": subject.occurring if small else [],
        "unit": subject.unit,
        "byBatch": by_batch,
        "most": most,
        "power": spelled(scan_call(subject.scan, "weights", **options, out="weights.json"))
        if can_be_typed(subject.scan)
        else "",
        "meetings": {
            one.key: {"classes": one.classes, "cells": one.cells} for one in met if not one.flat
        },
    }


def _json(value: object) -> str:
    """JSON that no element of a page can be ended by, whatever the names in it are."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def _script() -> str:
    """The page's script: its parts in one scope of their own."""
    parts = "\n".join(_text(name) for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


@cache
def _environment() -> Environment:
    return environment()


@cache
def _text(name: str) -> str:
    loader = _environment().loader
    if loader is None:
        raise RuntimeError("the report's templates have no loader")
    return loader.get_source(_environment(), name)[0]


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
