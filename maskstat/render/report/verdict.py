"""The first screen in words: the verdict, and what to do with the command for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from maskstat.errors import spelled
from maskstat.naming import counted, factor, percent, printable
from maskstat.render.report import wording
from maskstat.render.report.calls import can_be_typed, compare_call, scan_call
from maskstat.render.report.pasting import Pasted
from maskstat.render.report.subject import Subject
from maskstat.statistics.imbalance import degree_of

BALANCED = 3
_STEPS = 4
_OF_SPLITS = frozenset({"leakage", "shared-group"})
_SMALL = frozenset({"few-masks", "few-components", "absent-class"})


class Step(NamedTuple):
    """Something to do: in a few words, why, and the command."""

    title: str
    why: str
    command: str


def heading(subject: Subject, findings: Sequence[Mapping[str, Any]], *, looked: bool) -> str:
    """The verdict in a few words. Masks are called sound only where files were looked at."""
    severities = [finding["severity"] for finding in findings]
    ratio = subject.document["imbalance"]["ratio"]
    degree = "nothing to weigh" if ratio is None else degree_of(ratio)
    errors = {finding["kind"] for finding in findings if finding["severity"] == "error"}
    if errors - _OF_SPLITS or subject.document["failures"]:
        return f"Masks to repair, {degree}"
    if errors:
        return f"Splits that overlap, {degree}"
    if "warning" in severities:
        number = severities.count("warning")
        return f"{degree.capitalize()}, {counted(number, 'warning')}"
    return f"Sound masks, {degree}" if looked else degree.capitalize()


def lede(subject: Subject) -> str:
    """The verdict's reasons in two sentences."""
    if not subject.occurring:
        return "Not one pixel belongs to a class."
    top, rare = subject.occurring[0], subject.occurring[-1]
    share = percent(float(subject.shares[top]))
    if top == rare:
        return f"All labelled pixels are of class {subject.names[top]}."
    ratio = subject.document["imbalance"]["ratio"]
    times = factor(ratio)
    text = (
        f"Class {subject.names[top]} has {times} times the pixels of class {subject.names[rare]}."
        f" Answering “{subject.names[top]}” everywhere is right on {share} of the pixels"
    )
    plain = subject.document["costs"]["schemes"].get("uniform")
    if plain is None:
        return f"{text}."
    return (
        f"{text}, and without weights answering “{printable(plain['dearest'])}” costs"
        f" {percent(plain['relative_spread'])} more than “{printable(plain['cheapest'])}”."
    )


def steps(
    subject: Subject,
    findings: Sequence[Mapping[str, Any]],
    choices: Sequence[Pasted],
    comparison: Mapping[str, Any] | None,
) -> list[Step]:
    """What to do, most important first."""
    found = [
        Step(wording.finding_title(one), wording.sentence(one["advice"]), "")
        for one in findings
        if one["severity"] == "error"
    ][:2]
    if found:
        against = {} if comparison is None else {"against": comparison["splits"][1]["scan"]}
        found[0] = found[0]._replace(command=_typed(subject, "check", **against))
    advised = "verdict" in (subject.document["recommendation"] or {})
    if choices and not advised:
        found.append(_weighing(subject, choices[0]))
    kinds = {one["kind"] for one in findings}
    for one in findings:
        if one["kind"] == "few-components" and "few-masks" in kinds:
            continue  # the same classes, mostly
        if one["kind"] == "absent-class" and advised:
            continue  # which says so
        if one["kind"] in _SMALL:
            named = ", ".join(wording.finding_items(one)[:3])
            command = _typed(subject, "sampling") if one["kind"] == "few-masks" else ""
            title = f"Mind {counted(one['count'], 'rare class')}"
            if one["kind"] == "absent-class":
                title = f"Find {counted(one['count'], 'class')} without a pixel"
            found.append(Step(title, f"{named}: {one['advice']}.", command))
        elif one["kind"] == "thin-class":
            found.append(Step("Train at full resolution", _thin(one), ""))
    if comparison is not None:
        found.append(_split_step(subject, comparison))
    elif subject.document["profile_command"] is not None:
        why = "Places, sizes and what classes touch need the pixels once more."
        found.append(Step("Measure the pixels", why, subject.document["profile_command"]))
    return found[:_STEPS]


def _typed(subject: Subject, method: str, **options: object) -> str:
    """The call, where it says everything; a recipe's options are the reader's own."""
    if not can_be_typed(subject.scan):
        return ""
    return spelled(scan_call(subject.scan, method, **options))


def _weighing(subject: Subject, choice: Pasted) -> Step:
    ratio = subject.document["imbalance"]["ratio"]
    weights = [choice.weights[k] for k in subject.occurring]
    low, high = wording.number(min(weights)), wording.number(max(weights))
    command = _typed(subject, "weights", scheme=choice.key, normalize="pixel", out="weights.json")
    if ratio is not None and ratio < BALANCED:
        return Step(
            "Train without weights",
            "The classes are about equally frequent: weights would change little.",
            "",
        )
    why = (
        f"Square-root damping is the usual first choice: weights from {low} to {high}. Start"
        " without weights, and see whether these gain."
    )
    return Step("Try damped weights", why, command)


def _thin(finding: Mapping[str, Any]) -> str:
    record = finding["details"][0]  # of the files, of which a report on crops has no profile
    more = finding["count"] - 1
    also = f", and {counted(more, 'class')} more are alike" if more else ""
    return (
        f"{printable(record['class'])} is {record['width']:.2g} px wide{also}. Shrinking the masks"
        " loses it, and labels a pixel off cost it most."
    )


def _split_step(subject: Subject, comparison: Mapping[str, Any]) -> Step:
    other = comparison["splits"][1]["scan"]
    shifted = largest_shift(comparison)
    why = "The two lack each other’s classes."
    if shifted is not None:
        name, ratio = shifted
        more = f"{ratio:.2g} times as frequent" if ratio > 1 else f"{1 / ratio:.2g} times rarer"
        why = f"The largest difference: {printable(name)} is {more} there."
    return Step(
        f"Mind the class mix of {printable(other)}",
        why,
        spelled(compare_call(subject.scan, [other])) if can_be_typed(subject.scan) else "",
    )


def largest_shift(comparison: Mapping[str, Any]) -> tuple[str, float] | None:
    """The class whose share differs most, and how many times it is as frequent in the second."""
    best: tuple[str, float] | None = None
    for row in comparison["classes"]:
        one, other = (split["share"] for split in row["splits"])
        if one and other:
            ratio = other / one
            if best is None or max(ratio, 1 / ratio) > max(best[1], 1 / best[1]):
                best = row["name"], ratio
    return best
