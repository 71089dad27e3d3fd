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

from jinja2 import Environment
from markupsafe import Markup

from maskstat.errors import ParameterError, ProfileError, WeightError
from maskstat.naming import counted
from maskstat.render.documents.report import report_document
from maskstat.render.plots.costs import DEFAULT_SCHEMES
from maskstat.render.plots.files import inline_svg
from maskstat.render.plots.plot import KINDS, draw
from maskstat.render.report import wording
from maskstat.render.report.examples import Example, choose_examples, draw_examples
from maskstat.render.report.templating import environment, said_of

if TYPE_CHECKING:
    from maskstat.render.plots.drawing import Drawing, ScanView
    from maskstat.scanning.stored_scan import StoredScan

MANY_CLASSES = 42
_A_POINT_A_CLASS = frozenset({"rank", "lorenz"})  # others draw the first and the last of very many
_MOST_POINTS = 5000
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
    files = scan._files
    chosen = draw_examples(files, choose_examples(files.ledger, examples)) if examples else []
    return render(report_document(scan), drawings, missing, chosen)


def draw_all(view: ScanView) -> tuple[dict[str, Drawing], dict[str, str]]:
    """Every kind of plot of one scan, and the reasons why some could not be drawn."""
    drawings: dict[str, Drawing] = {}
    missing: dict[str, str] = {}
    for kind in KINDS.values():
        if kind.several:
            continue
        if kind.name in _A_POINT_A_CLASS and len(view.catalog) > _MOST_POINTS:
            missing[kind.name] = f"{counted(len(view.catalog), 'class')} are too many to draw"
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
    said = said_of(document)
    context = {
        **said,
        "css": Markup(_text("report.css")),
        "script": Markup(script),
        "script_hash": Markup(_hash(script)),
        "groups": wording.groups(document),
        "cost_columns": [
            {"key": scheme["key"], "label": scheme["key"], "costs": scheme["cost"]["costs"]}
            for scheme in said["schemes"]
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


@cache
def _environment() -> Environment:
    return environment()


@cache
def _text(name: str) -> str:
    loader = _environment().loader
    if loader is None:
        raise RuntimeError("the report's templates have no loader")
    return loader.get_source(_environment(), name)[0]


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
