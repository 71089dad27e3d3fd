"""The report as one HTML file that needs nothing else: no network, no fonts, no JavaScript.

Every text of the data (class, mask and scan names, paths) reaches the page through Jinja's
autoescape or through an XML serialiser, and a content security policy allows no script but ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from maskstat.errors import ParameterError, ProfileError, WeightError
from maskstat.naming import printable
from maskstat.render.documents.report import report_document
from maskstat.render.plots.costs import DEFAULT_SCHEMES
from maskstat.render.plots.files import inline_svg
from maskstat.render.plots.plot import KINDS, draw
from maskstat.render.plots.style import percent
from maskstat.render.report import wording
from maskstat.render.report.examples import Example, choose_examples, draw_examples
from maskstat.render.report.snippets import snippets

if TYPE_CHECKING:
    from maskstat.render.plots.drawing import Drawing, ScanView
    from maskstat.scanning.stored_scan import StoredScan

MANY_CLASSES = 42
_PLACED = (
    "classes",
    "rank",
    "lorenz",
    "weights",
    "costs",
    "cooccurrence",
    "adjacency",
    "heatmaps",
    "components",
)


class Plot(NamedTuple):
    """A plot on the page."""

    summary: str
    description: str
    svg: Markup


class Missing(NamedTuple):
    """A plot that could not be drawn, and why."""

    summary: str
    reason: str


def report_html(scan: StoredScan, *, examples: int = 0) -> str:
    """The page about a scan.

    Args:
        scan: the scan.
        examples: masks to show a class; 0 opens no file of a mask.

    Raises:
        SourceError: examples are asked for and the source is gone.
    """
    drawings, missing = draw_all(scan)
    chosen = draw_examples(scan, choose_examples(scan.ledger, examples)) if examples else []
    return render(report_document(scan), drawings, missing, chosen)


def draw_all(view: ScanView) -> tuple[dict[str, Drawing], dict[str, str]]:
    """Every kind of plot of one scan, and the reasons why some could not be drawn."""
    drawings: dict[str, Drawing] = {}
    missing: dict[str, str] = {}
    for kind in KINDS.values():
        if kind.several:
            continue
        # With many classes most bars of a linear axis would be invisible.
        options = {"log": len(view.catalog) > MANY_CLASSES} if kind.name == "classes" else {}
        try:
            drawings[kind.name] = draw(kind.name, [view], **options)
        except (WeightError, ParameterError, ProfileError) as error:
            missing[kind.name] = str(error)
    return drawings, missing


def render(
    document: Mapping[str, Any],
    drawings: Mapping[str, Drawing],
    missing: Mapping[str, str] | None = None,
    examples: Sequence[Example] = (),
) -> str:
    """The page of a report document, of plots by kind, and of examples."""
    script = _text("report.js")
    summaries = {name: kind.summary for name, kind in KINDS.items()}
    others = [name for name in drawings if name not in _PLACED]
    schemes = _schemes(document)
    context = {
        "doc": document,
        "css": Markup(_text("report.css")),
        "script": Markup(script),
        "script_hash": Markup(_hash(script)),
        "facts": wording.headline(document),
        "findings": [
            {
                "severity": finding["severity"],
                "title": wording.finding_title(finding),
                "listed": wording.finding_items(finding),
                "advice": wording.sentence(finding["advice"]),
            }
            for finding in document["findings"]
        ],
        "groups": wording.groups(document),
        "group_of": wording.group_of(document),
        "ignored": wording.ignored_values(document),
        "measures": wording.MEASURES,
        "imbalances": wording.imbalances(document),
        "profile_rows": wording.profile_rows(document),
        "profile_notes": wording.profile_notes(document),
        "profile_columns": wording.PROFILE_COLUMNS,
        "schemes": schemes,
        "scheme_errors": [
            (name, entry["error"])
            for name, entry in document["weights"]["schemes"].items()
            if "error" in entry
        ],
        "cost_rows": [
            {"label": scheme["label"], **scheme["cost"]} for scheme in schemes if scheme["cost"]
        ],
        "cost_columns": [
            {"key": scheme["key"], "label": scheme["key"], "costs": scheme["cost"]["costs"]}
            for scheme in schemes
            if scheme["cost"] and set(scheme["names"]) & set(DEFAULT_SCHEMES)
        ],
        "plots": {
            name: Plot(
                summaries.get(name, name),
                drawing.description,
                # Our own serialiser escaped every text in it.
                Markup(inline_svg(drawing, f"plot-{name}")),
            )
            for name, drawing in drawings.items()
        },
        "missing": {
            name: Missing(summaries.get(name, name), why) for name, why in (missing or {}).items()
        },
        "others": others,
        "examples": [
            (document["classes"][k], list(group))
            for k, group in groupby(examples, key=lambda example: example.class_index)
        ],
        "provenance": wording.provenance(document),
        "sections": _sections(examples=bool(examples)),
    }
    return _environment().get_template("report.html").render(context)


def _sections(*, examples: bool) -> list[tuple[str, str]]:
    sections = [
        ("attention", "Needs attention"),
        ("classes", "Classes"),
        ("imbalance", "Imbalance"),
        ("weights", "Weights"),
        ("costs", "Constant predictions"),
        ("company", "Which classes share masks"),
        ("pixels", "Where and how large"),
    ]
    if examples:
        sections.append(("examples", "Examples"))
    return [*sections, ("provenance", "Provenance")]


def _schemes(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Schemes that differ, with their weights, snippets and costs."""
    names = [row["name"] for row in document["classes"]]
    schemes = []
    for group in document["weights"]["distinct"]:
        entry = document["weights"]["schemes"][group[0]]
        cost = dict(document["costs"]["schemes"][group[0]])
        by_name = dict(zip(names, cost["costs"], strict=True))
        cost["alike"] = wording.alike(cost)
        cost["lowest"], cost["highest"] = by_name[cost["cheapest"]], by_name[cost["dearest"]]
        schemes.append(
            {
                "key": group[0],
                "names": group,
                "label": wording.scheme_label(group),
                "formula": entry["formula"],
                "parameters": ", ".join(f"{k} {v}" for k, v in entry["parameters"].items()),
                "weights": entry["weights"],
                "snippets": snippets(names, entry["weights"], document["ignore_index"]),
                "cost": cost,
            }
        )
    return schemes


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("maskstat.render.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        shown=printable,
        count=lambda value: f"{value:,}",
        percent=percent,
        number=lambda value: "" if value is None else wording.number(value),
        cost=wording.cost,
        values=_values,
    )
    return environment


def _values(values: Sequence[int]) -> str:
    shown = ", ".join(str(value) for value in values[: wording.SHOWN])
    left = len(values) - wording.SHOWN
    return f"{shown} and {left:,} more" if left > 0 else shown


@cache
def _text(name: str) -> str:
    loader = _environment().loader
    if loader is None:
        raise RuntimeError("the report's templates have no loader")
    return loader.get_source(_environment(), name)[0]


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
