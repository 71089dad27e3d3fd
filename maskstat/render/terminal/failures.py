"""Files that failed, by kind: one cause a thousand times is one line."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from maskstat.naming import printable

_SHOWN = 8
_NUMBERS = re.compile(r"\d[\d,.]*")
_OR = "; or "  # between the remedies of a reason, which are in brackets at its end


def by_kind(failures: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """(name, reason) of files as (names, reason) of kinds, in the order of their reasons.

    Reasons are of a kind where only numbers in them or the remedies differ. Of the remedies those
    are kept that all of the kind have, or else those of most of its files.
    """
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, reason in failures:
        kinds[_NUMBERS.sub("#", _parted(reason)[0])][reason].append(name)
    return [
        ([name for names in reasons.values() for name in names], _said_of(reasons))
        for _, reasons in sorted(kinds.items())
    ]


def failure_lines(failures: Iterable[tuple[str, str]], shown: int = _SHOWN) -> list[str]:
    """A line a kind: the first names, how many more there are, and the reason."""
    return [
        ", ".join(map(printable, names[:shown]))
        + (f" and {len(names) - shown:,} more" if len(names) > shown else "")
        + f": {printable(reason)}"
        for names, reason in by_kind(failures)
    ]


def _said_of(reasons: dict[str, list[str]]) -> str:
    """What is said of files of one kind, by their reasons."""
    most = max(reasons, key=lambda reason: len(reasons[reason]))
    problem, remedies = _parted(most)
    if len(reasons) == 1:
        return most
    have = Counter(remedy for reason in reasons for remedy in _parted(reason)[1])
    shared = [remedy for remedy in remedies if have[remedy] == len(reasons)] or remedies
    alike = len({_parted(reason)[0] for reason in reasons}) == 1
    brackets = f" ({_OR.join(shared)})" if shared else ""
    return f"{'' if alike else 'for example, '}{problem}{brackets}"


def _parted(reason: str) -> tuple[str, Sequence[str]]:
    """A reason as its problem and its remedies."""
    problem, bracket, remedies = reason.partition(" (")
    if not bracket or not reason.endswith(")"):
        return reason, []
    return problem, remedies[:-1].split(_OR)
