"""Two splits side by side: their class shares, which differ most, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from maskstat.naming import percent, printable
from maskstat.statistics.random_splits import SIGNIFICANT

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
                ("new" if not one else "gone" if ratio is None else f"{ratio:.2g}×")
                + ("*" if _beyond_chance(row) else ""),
                tuple(percent(split["presence"]) for split in row["splits"]),  # type: ignore[arg-type]
            )
        )
    return rows


def _beyond_chance(row: Mapping[str, Any]) -> bool:
    tests = (row["pairs"][0][kind]["adjusted_p"] for kind in ("frequency", "presence"))
    return any(p <= SIGNIFICANT for p in tests)


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
    """How different the two are, and how different random splits of the same masks are."""
    pair = comparison["pairs"][0]
    leaked = "pixel for pixel; files were compared"
    if comparison["unconfirmed"]:
        leaked = f"{len(comparison['unconfirmed']):,} more could not be compared"
    found = [
        SplitNumber("Jensen–Shannon distance", f"{pair['js']:.3f}", _by_chance(pair, "js")),
        SplitNumber(
            "presence, largest V", f"{pair['cramers-v']:.2f}", _by_chance(pair, "cramers-v")
        ),
        SplitNumber("masks in both", f"{pair['leakage']:,}", leaked),
    ]
    if (rule := pair["chance"]["group_by"]) != "mask":
        shared = len(pair["chance"]["shared_groups"])
        found.append(SplitNumber("groups in both", f"{shared:,}", f"by {printable(rule)}"))
    return found


def _by_chance(pair: Mapping[str, Any], metric: str) -> str:
    """What random splits have of it; nothing where there is no other split than this one."""
    null = pair["chance"]["metrics"].get(metric)
    if null is None or pair["chance"]["random_splits"] == 1:
        return "0 is the same, 1 is nothing in common"
    p = "<0.0001" if null["p_value"] < 1e-4 else f"{null['p_value']:.2g}"
    return f"95% of random splits have at most {null['usual']:.2g}; p {p}"


def split_note(comparison: Mapping[str, Any]) -> str:
    """What the stars are, and what is dealt out at random."""
    rule = comparison["pairs"][0]["chance"]["group_by"]
    dealt = "masks, as if each were drawn by itself" if rule == "mask" else "groups"
    return (
        f"*: more than chance, by pixels or in masks (random splits of {dealt}; adjusted p below"
        f" {SIGNIFICANT:g})."
    )


def said_of_splits(document: Mapping[str, Any]) -> dict[str, Any]:
    """What both forms say of another split, as the names of their templates."""
    comparison = document["against"]
    if comparison is None:
        return {"comparison": None}
    return {
        "comparison": comparison,
        "split_rows": split_rows(comparison),
        "split_numbers": split_numbers(comparison),
        "split_verdict": printable(comparison["verdict"]),
        "split_note": split_note(comparison),
        "split_names": [printable(one["scan"]) for one in comparison["splits"]],
    }
