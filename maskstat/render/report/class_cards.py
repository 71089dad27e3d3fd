"""All about a class on a card: how frequent, where, how large, what it touches and meets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup

from maskstat.naming import counted, percent, printable
from maskstat.render.report import svg
from maskstat.render.report.class_rows import intervals_of
from maskstat.render.report.heat import HeatMaps
from maskstat.render.report.meetings import LEAST_MASKS, Meeting
from maskstat.render.report.previews import Picks, Thumb
from maskstat.render.report.subject import Subject

MOST_CARDS = 300  # of more classes, cards hold numbers only
_LISTED = 4
_AS_BY_CHANCE = 0.02  # ln of a ratio: 0.98 to 1.02 times is nothing to list


class CardFact(NamedTuple):
    """A number of a card: what it is, the number, and what else to know."""

    label: str
    value: str
    note: str


class Neighbour(NamedTuple):
    """Another class: its swatch and name, a bar or a note, and a number."""

    swatch: Markup
    name: str
    middle: Markup | str
    value: str


class MaskLink(NamedTuple):
    """A mask with the class: its row in the ledger, its name, and the class's share of it."""

    row: int
    name: str
    share: str


@dataclass(frozen=True)
class ClassCard:
    """A class."""

    index: int
    name: str
    group: str
    swatch: Markup
    facts: list[CardFact]
    heat: str = ""
    peak: str = ""
    sizes: Markup | str = ""
    size_ends: tuple[str, str, str] = ("", "", "")
    touches: list[Neighbour] = field(default_factory=list)
    meets: list[Neighbour] = field(default_factory=list)
    thumbs: Sequence[Thumb] = ()
    masks: list[MaskLink] = field(default_factory=list)
    mask_count: int = 0


def class_cards(
    subject: Subject,
    met: Sequence[Meeting],
    picks: Picks | None,
    thumbs: Mapping[int, Sequence[Thumb]],
) -> list[ClassCard]:
    """A card a class of the page, the most frequent first."""
    whole = len(subject.shown) <= MOST_CARDS
    maps = HeatMaps(subject.profile) if subject.profile is not None and whole else None
    by_key = {meeting.key: meeting for meeting in met}
    return [
        _card(subject, k, by_key if whole else {}, maps, picks if whole else None, thumbs)
        for k in subject.shown
    ]


def _card(
    subject: Subject,
    k: int,
    met: Mapping[str, Meeting],
    maps: HeatMaps | None,
    picks: Picks | None,
    thumbs: Mapping[int, Sequence[Thumb]],
) -> ClassCard:
    row = subject.document["classes"][k]
    heat, peak = maps.of(k) if maps is not None and row["pixels"] else ("", 0.0)
    sizes, ends = _sizes(subject, k) if maps is not None else ("", ("", "", ""))
    return ClassCard(
        k,
        subject.names[k],
        subject.groups[subject.catalog.names[k]],
        svg.swatch(subject.colours[k]),
        _facts(subject, k),
        heat,
        percent(peak),
        sizes,
        ends,
        _touches(subject, k) if "touch" in met else [],
        _meets(subject, k, met["lift"]) if "lift" in met and not met["lift"].flat else [],
        thumbs.get(k, ()),
        [] if picks is None else _links(subject, picks, k),
        int(row["masks"] or 0),
    )


def _facts(subject: Subject, k: int) -> list[CardFact]:
    row, unit = subject.document["classes"][k], subject.unit
    masks = subject.document["masks"]
    share = percent(row["frequency"]) if row["frequency"] else "never"
    note = "" if row["pixels"] is None else counted(row["pixels"], "pixel")
    if (interval := intervals_of(subject)[k]) is not None:
        note = f"95% from {percent(interval[0])} to {percent(interval[1])}"
    facts = [CardFact("share of pixels", share, note)]
    if row["masks"] is not None and masks:
        note = f"{row['masks']:,} of {masks:,}"
        facts.append(CardFact(f"in {unit}s", percent(row["masks"] / masks), note))
    if subject.profile is not None and (found := subject.document["profile"]["classes"][k]):
        if found["components"]:
            each = found["components"] / max(1, row["masks"] or 1)
            facts.append(
                CardFact("components", f"{found['components']:,}", f"{each:.3g} a mask that has it")
            )
        if found["width"] is not None:
            facts.append(CardFact("width", f"{found['width']:.3g} px", "typical thickness"))
    return facts


def _sizes(subject: Subject, k: int) -> tuple[Markup | str, tuple[str, str, str]]:
    found = subject.document["profile"]["classes"][k]
    counts = found["size_histogram"]
    if not counts:
        return "", ("", "", "")
    ends = (
        "1 px",
        f"median {found['sizes']['median']:,} px",
        f"{2 ** (len(counts) - 1):,} px and more",
    )
    return svg.size_histogram(counts), ends


def _touches(subject: Subject, k: int) -> list[Neighbour]:
    """The classes along which most of its outline runs."""
    assert subject.profile is not None
    edges = subject.profile.adjacency[k]
    whole = max(1, int(edges.sum()))
    longest = sorted(range(len(subject.names)), key=lambda j: -int(edges[j]))[:_LISTED]
    return [
        Neighbour(
            svg.swatch(subject.colours[j]),
            subject.names[j],
            svg.bar(int(edges[j]) / whole),
            percent(int(edges[j]) / whole),
        )
        for j in longest
        if edges[j]
    ]


def _meets(subject: Subject, k: int, lift: Meeting) -> list[Neighbour]:
    """The classes that it shares masks with farthest from as often as by chance."""
    others = [
        j
        for j in subject.occurring
        if j != k
        and lift.seen[k, j] >= LEAST_MASKS
        and abs(math.log(lift.ratio[k, j])) > _AS_BY_CHANCE
    ]
    others.sort(key=lambda j: -abs(math.log(lift.ratio[k, j])))
    return [
        Neighbour(
            svg.swatch(subject.colours[j]),
            subject.names[j],
            counted(int(lift.seen[k, j]), subject.unit),
            f"{lift.ratio[k, j]:.3g}×",
        )
        for j in others[:_LISTED]
    ]


def _links(subject: Subject, picks: Picks, k: int) -> list[MaskLink]:
    assert subject.ledger is not None
    return [
        MaskLink(row, printable(subject.ledger.names[row]), percent(share))
        for row, share in picks.largest(k)
    ]
