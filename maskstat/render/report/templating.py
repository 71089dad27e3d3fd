"""What the templates of a report are filled with, and how they write numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from maskstat.advice.snippets import SNIPPETS, weights_in_code
from maskstat.naming import percent, printable
from maskstat.render.report import wording
from maskstat.render.report.pasting import FRAMEWORKS
from maskstat.render.report.splits import said_of_splits
from maskstat.render.terminal.advice_tables import HEADINGS
from maskstat.render.terminal.tables import interval_lines
from maskstat.statistics.findings import CALLED

_LATER = frozenset({"training", "after"})


def environment(finalize: Callable[[object], object] | None = None) -> Environment:
    """Where templates are found; `finalize` escapes what fills them, where HTML's rules do not."""
    made = Environment(
        loader=PackageLoader("maskstat.render.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
    )
    made.filters.update(
        shown=printable,
        count=lambda value: f"{value:,}",
        percent=percent,
        number=lambda value: "" if value is None else wording.number(value),
        cost=wording.cost,
        values=_values,
    )
    return made


def said_of_findings(findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What both forms say of each finding."""
    return [
        {
            "severity": finding["severity"],
            "called": CALLED[finding["severity"]],
            "title": wording.finding_title(finding),
            "listed": wording.finding_items(finding),
            "advice": wording.sentence(finding["advice"]),
        }
        for finding in findings
    ]


def said_of_advice(recommended: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What both forms say of a recommendation, first what is to be done and then what comes later.

    `verdict`, `why`, `weighs`, `command`, and `first` and `later`: (heading, advice) each; or
    `error`, where there is none.
    """
    if recommended is None or "error" in recommended:
        return None if recommended is None else dict(recommended)
    of_part = {
        part: [one for one in recommended["advice"] if one["part"] == part]
        for part in ("verdict", *HEADINGS)
    }
    parts = [(part, heading, of_part[part]) for part, heading in HEADINGS.items() if of_part[part]]
    return {
        "error": "",
        "verdict": recommended["verdict"],
        "weighs": recommended["weights"] is not None,
        "command": recommended["command"],
        "why": of_part["verdict"][0]["reason"],
        "first": [(heading, advice) for part, heading, advice in parts if part not in _LATER],
        "later": [(heading, advice) for part, heading, advice in parts if part in _LATER],
    }


def said_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What both forms say of a report document, as the names of their templates."""
    schemes = _schemes(document)
    return {
        "doc": document,
        "facts": wording.headline(document),
        "advice": said_of_advice(document["recommendation"]),
        "findings": said_of_findings(document["findings"] or ()),
        "no_findings": wording.no_findings(document),
        "place": wording.place(document),
        "class_columns": wording.class_columns(document),
        "class_rows": wording.class_rows(document),
        "class_lines": wording.class_lines(document),
        "interval_lines": list(interval_lines(document)),
        "too_many": wording.too_many(document),
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
        "provenance": wording.provenance(document),
        **said_of_splits(document),
    }


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
                "snippets": {}
                if wording.too_many(document)
                else {
                    SNIPPETS[framework].label: weights_in_code(
                        framework, names, entry["weights"], document["ignore_index"]
                    )
                    for framework in FRAMEWORKS
                },
                "cost": cost,
            }
        )
    return schemes


def _values(values: Sequence[int]) -> str:
    shown = ", ".join(str(value) for value in values[: wording.SHOWN])
    left = len(values) - wording.SHOWN
    return f"{shown} and {left:,} more" if left > 0 else shown
