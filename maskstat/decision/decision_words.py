"""What a decision report says in words: what to do first, then why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskstat.decision.families import NONE
from maskstat.decision.judging import LEAST_GROUPS, Gain
from maskstat.naming import counted, printable
from maskstat.showing import cut

if TYPE_CHECKING:
    from maskstat.decision.decision_report import DecisionReport, Judged

MEASURED = {
    "iou": "mean IoU of the data set",
    "image-iou": "mean IoU of images",
    "recall": "balanced accuracy",
}
_NAMED = 3
_LEAST_CHANGE = 0.0005  # that is shown


def verdict(report: DecisionReport) -> str:
    """What to do."""
    if report.recommended is None:
        are = "is" if len(report.groups) == 1 else "are"
        return (
            f"Nothing is recommended: {counted(len(report.groups), 'group')} {are} too few to tell"
            f" what a gain is worth on others (it takes {LEAST_GROUPS})."
        )
    if report.recommended == NONE:
        best = max(report.families, key=lambda one: one.gain.value)
        if any(one.gain.is_sure for one in report.families):
            assert report.procedure is not None
            return (
                "Keep argmax: a family gains here, but to choose among families gains"
                f" {points(report.procedure)} on groups without a part in the choice."
            )
        return (
            "Keep argmax: no other decision gains for sure on groups that it was not chosen on;"
            f" {best.family} {points(best.gain)}."
        )
    found = next(one for one in report.families if one.family == report.recommended)
    return (
        f"Use {found.family}: {points(found.gain)} points of {MEASURED[report.measure]} on groups"
        " that it was not chosen on. Of other data than these groups are drawn from, that says"
        " nothing."
    )


def setting(report: DecisionReport) -> str:
    """What was judged, with argmax."""
    groups = counted(len(report.groups), "group")
    by = f"in {groups} by '{printable(report.rule)}'"
    if report.rule == "mask":
        by = "each taken to be independent of all others"
    text = (
        f"With argmax {MEASURED[report.measure]} {100 * report.argmax:.1f}%, pixel accuracy"
        f" {100 * report.accuracy:.1f}%"
    )
    if report.measure != "recall":
        text += f", balanced accuracy {100 * report.balanced_accuracy:.1f}%"
    return f"{text}; {counted(report.images, 'mask')}, {by}."


def notes(report: DecisionReport) -> list[str]:
    """What the columns mean, which classes gain and lose, and what was not looked at."""
    lines = [classes_of(one, report.classes) for one in report.families]
    if report.procedure is not None and len(report.families) > 1:
        lines.append(
            f"Choosing among these, judged on groups without a part in that:"
            f" {points(report.procedure)}"
        )
    lines.append("In sample: on the groups it was chosen on, which promises too much")
    if report.left_out:
        are = "is" if report.left_out == 1 else "are"
        lines.append(f"{counted(report.left_out, 'mask')} without predictions {are} left out")
    if not report.exact:
        lines.append("From a sample of pixels: go through the data twice for exact numbers")
    return lines


def classes_of(one: Judged, classes: tuple[str, ...]) -> str:
    """The classes whose IoU gains and loses most."""
    known = np.nan_to_num(one.iou)
    order = np.argsort(-known, kind="stable").tolist()
    gains = [k for k in order if known[k] > _LEAST_CHANGE][:_NAMED]
    losses = [k for k in reversed(order) if known[k] < -_LEAST_CHANGE][:_NAMED]
    parts = [
        f"{word} {', '.join(f'{cut(classes[k], 24)} {100 * known[k]:+.1f}' for k in some)}"
        for word, some in (("IoU gains", gains), ("loses", losses))
        if some
    ]
    group, change = one.worst_group
    worst = f"; the worst group is {cut(group, 24)}" if np.isfinite(change) else ""
    return f"{one.family}: {'; '.join(parts) or 'no class changes'}{worst}"


def points(gain: Gain) -> str:
    """A gain in points with its interval."""
    if not np.isfinite(gain.value):
        return "unknown"
    text = f"{100 * gain.value:+.1f}"
    if np.isfinite(gain.lower):
        text += f" ({100 * gain.lower:+.1f} to {100 * gain.upper:+.1f})"
    return text
