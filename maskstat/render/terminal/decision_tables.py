"""A decision report as tables: what to do, the families, what classes gain and lose."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.decision.decision_report import DecisionReport
from maskstat.decision.decision_words import notes, points, setting, verdict
from maskstat.render.terminal.fitting import Fitted, TableColumn


def decision_tables(report: DecisionReport) -> RenderableType:
    """The verdict first."""
    return Group(
        Text(verdict(report) + "\n"),
        Text(setting(report) + "\n"),
        _family_table(report),
        Text("\n".join(notes(report))),
    )


def _family_table(report: DecisionReport) -> Fitted:
    families = report.families
    recall = [
        TableColumn("balanced\naccuracy", [_signed(one.balanced_accuracy) for one in families])
    ]
    return Fitted(
        [
            TableColumn("decision", [one.family for one in families], "name"),
            TableColumn("held-out gain\n(95%), points", [points(one.gain) for one in families]),
            TableColumn("in\nsample", [_signed(one.in_sample) for one in families]),
            TableColumn("worst\ngroup", [_signed(one.worst_group[1]) for one in families]),
            TableColumn("pixel\naccuracy", [_signed(one.accuracy) for one in families]),
            *(recall if report.measure != "recall" else []),
        ]
    )


def _signed(change: float) -> str:
    return f"{100 * change:+.1f}" if math.isfinite(change) else ""
