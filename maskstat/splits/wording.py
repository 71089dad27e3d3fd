"""What a split is worth, in words: first what can't be, then how even it is, then how it was found.

Never is one called the best that was not compared with all there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from maskstat.naming import counted, percent, printable
from maskstat.showing import cut
from maskstat.splits.certificate import RANDOM_SPLITS, Certificate, least, middle

if TYPE_CHECKING:
    from maskstat.splits.plan import SplitPlan

_NAMED = 6


def verdict(plan: SplitPlan) -> str:
    """How even the parts are, in one or two sentences."""
    found = plan.certificate
    common = int(found.common.sum())
    which = (
        "every class"
        if common == int((found.groups_with > 0).sum())
        else (f"each of the {common:,} common classes")
    )
    parts = "both parts" if len(plan.parts) == 2 else f"all {len(plan.parts)} parts"
    text = ""
    if found.search == "enumerated":
        text = f"Of all {found.assignments:,} ways to deal out the {_noun(plan)}s none costs less. "
    text += f"In {parts} the share of {which} is within {percent(found.worst_share)} of what it is"
    text += f" among all masks, and the masks that have it within {percent(found.worst_presence)}."
    best, median = least(found.share_random), middle(found.share_random)
    if best is None or median is None:
        return f"{text} Of {RANDOM_SPLITS} random splits none has parts of such sizes."
    text += (
        f" Of {counted(found.share_random.size, 'random split')} of such sizes the best is within"
        f" {percent(best)}, half are within {percent(median)}."
    )
    if found.search == "given" and found.worst_share > median:
        text += " Chance alone would mostly do better."
    return text


def scarcities(found: Certificate, noun: str) -> list[str]:
    """What can't be in every part, which is said before anything else; and what is missing."""
    lines = []
    scarce = np.flatnonzero((found.groups_with > 0) & (found.groups_with < len(found.parts)))
    if scarce.size:
        named = _listed(
            f"{cut(found.classes[k])} ({found.groups_with[k]:,})" for k in scarce.tolist()
        )
        lines.append(
            f"{counted(scarce.size, 'class')} in fewer {noun}s than parts, so not in every part:"
            f" {named}"
        )
    if found.missing:
        unavoidable = int(found.unavoidable.sum())
        pairs = (
            "pair of a class and a part without it"
            if found.missing == 1
            else ("pairs of a class and a part without it")
        )
        lines.append(f"{found.missing:,} {pairs}; at least {unavoidable:,} can't be helped")
    return lines


def notes(plan: SplitPlan) -> list[str]:
    """Sizes that were not kept, torn groups, rare classes, and how the split was found."""
    found = plan.certificate
    noun = _noun(plan)
    lines = []
    for at in np.flatnonzero(plan.excess).tolist():
        size, target = int(found.sizes[at]), int(plan.target[at])
        lines.append(
            f"{printable(plan.parts[at])} has {counted(size, 'mask')} where {target:,} were wanted,"
            f" {int(plan.excess[at]):,} more than the tolerance of {percent(plan.tolerance)} allows"
            if size > target
            else f"{printable(plan.parts[at])} has {counted(size, 'mask')} where {target:,} were"
            f" wanted, {int(plan.excess[at]):,} fewer than the tolerance of"
            f" {percent(plan.tolerance)} allows"
        )
    if plan.torn:
        lines.append(
            f"{counted(len(plan.torn), 'group')} in several parts, so these know each other:"
            f" {_listed(map(cut, plan.torn))}"
        )
    rare = (found.groups_with > 0) & ~found.common
    if rare.any():
        lines.append(
            f"{counted(int(rare.sum()), 'class')} in fewer than {4 * len(plan.parts)} {noun}s"
            " can't be even: the verdict leaves them out, the table does not"
        )
    js = f"Largest Jensen-Shannon distance of two parts {found.js:.4f}"
    if found.js_random.size:
        js += f"; of random splits {middle(found.js_random):.4f} in the median,"
        js += f" {least(found.js_random):.4f} at best"
    lines.append(js)
    if found.search in _SEARCHES:
        lines.append(_SEARCHES[found.search].format(noun=noun))
    if plan.group_rule == "mask" and found.search != "given":
        lines.append("Each mask is a group of its own: frames of one video may be in several parts")
    return lines


def _noun(plan: SplitPlan) -> str:
    return "mask" if plan.group_rule == "mask" else "group"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


_SEARCHES = {
    "exhausted": "No move and no exchange of two {noun}s makes it better; others may be",
    "stopped": "The search ended before every exchange of two {noun}s was tried",
    "random": "A random split was more even than those that were searched for, and was taken",
}
