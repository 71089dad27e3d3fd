"""Two splits side by side: their class shares, which differ most, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from maskstat.naming import percent, printable

_OCTAVES = 3
_SHOWN = 100


class SplitRow(NamedTuple):
    """A class in both splits."""

    number: int
    name: str
    shares: tuple[str, str]
    bar: Markup
    ratio: str
    presence: tuple[str, str]


class SplitNumber(NamedTuple):
    """A measure of how different they are."""

    label: str
    value: str
    note: str


def split_rows(comparison: Mapping[str, Any]) -> list[SplitRow]:
    """A row a class that occurs in one of them, what differs most first; a hundred at most."""
    rows = []
    for row in comparison["classes"][:_SHOWN]:
        one, other = (split["share"] for split in row["splits"])
        if not one and not other:
            continue
        ratio = other / one if one and other else None
        rows.append(
            SplitRow(
                row["index"],
                printable(row["name"]),
                (percent(one), percent(other)),
                _diverging(_OCTAVES if not one else -_OCTAVES if not ratio else math.log2(ratio)),
                "new" if not one else "gone" if ratio is None else f"{ratio:.2g}×",
                tuple(percent(split["presence"]) for split in row["splits"]),  # type: ignore[arg-type]
            )
        )
    return rows


def _diverging(octaves: float) -> Markup:
    """A bar from the middle: to the right what is more frequent in the second, in octaves."""
    x = 50 + max(-1.0, min(1.0, octaves / _OCTAVES)) * 48
    kind = "up" if octaves > 0 else "down"
    return Markup(
        '<svg class="div" aria-hidden="true"><line class="g" x1="50%" x2="50%" y1="0" y2="100%"/>'
        f'<rect class="{kind}" x="{min(50.0, x):.2f}%" width="{abs(x - 50):.2f}%" y="4"'
        ' height="8" rx="2"/></svg>'
    )


def split_numbers(comparison: Mapping[str, Any]) -> list[SplitNumber]:
    """How different the two are."""
    pair = comparison["pairs"][0]
    leaked = "pixel for pixel; files were compared"
    if comparison["unconfirmed"]:
        leaked = f"{len(comparison['unconfirmed']):,} more could not be compared"
    return [
        SplitNumber(
            "Jensen–Shannon distance", f"{pair['js']:.3f}", "0 the same, 1 nothing in common"
        ),
        SplitNumber("stability index", f"{pair['psi']:.3f}", "by custom a shift above 0.25"),
        SplitNumber("presence, largest V", f"{pair['cramers-v']:.2f}", "0 no, 1 full association"),
        SplitNumber("masks in both", f"{pair['leakage']:,}", leaked),
    ]


def split_sentence(comparison: Mapping[str, Any]) -> str:
    """What to know first."""
    pair, (first, second) = comparison["pairs"][0], comparison["splits"]
    names = f"{printable(first['scan'])} and {printable(second['scan'])}"
    degree = (
        "much alike"
        if pair["psi"] < 0.1
        else "moderately different"
        if pair["psi"] < 0.25
        else "clearly different"
    )
    text = f"The class mixes of {names} are {degree} (stability index {pair['psi']:.2f})"
    only: Sequence[str] = [*pair["only_first"], *pair["only_second"]]
    if only:
        text += f"; {len(only):,} of the classes occur in one of them only"
    return f"{text}. Frames of one video depend on each other: effects say more than tests."


def said_of_splits(document: Mapping[str, Any]) -> dict[str, Any]:
    """What both forms say of another split, as the names of their templates."""
    comparison = document["against"]
    if comparison is None:
        return {"comparison": None}
    return {
        "comparison": comparison,
        "split_rows": split_rows(comparison),
        "split_numbers": split_numbers(comparison),
        "split_sentence": split_sentence(comparison),
        "split_names": [printable(one["scan"]) for one in comparison["splits"]],
    }
