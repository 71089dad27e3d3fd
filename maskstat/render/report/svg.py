"""Small drawings of the page as SVG markup: strips, dots on a log axis, bars, histograms.

No style attribute is written (the page's policy refuses them): colours of classes are presentation
attributes, everything else is a class of the style sheet. Widths are percentages, so a drawing fits
any column without its text being stretched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from maskstat.naming import percent

STRIP_HEIGHT = 34
_MERGED_SHARE = 0.0035
_MERGING_CLASSES = 40
_LETTER = 7.4  # px
# How wide strips are at least, in px, in windows of any width, from 761, from 1,081 and from 1,400.
_FITS = {"fits-any": 310, "fits-761": 585, "fits-1081": 905, "fits-1400": 1225}
_LOWEST_AXIS = 1e-7


@dataclass(frozen=True, slots=True)
class StripPart:
    """A piece of a strip: a class's name, its share, and its colour (None: many classes)."""

    name: str
    share: float
    colour: str | None


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on "#rrggbb" (WCAG 2's contrast)."""
    linear = []
    for at in (1, 3, 5):
        part = int(colour[at : at + 2], 16) / 255
        linear.append(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"


def swatch(colour: str) -> Markup:
    """The square that says which class is meant."""
    return Markup(
        '<svg class="sw" width="12" height="12" aria-hidden="true">'
        f'<rect width="12" height="12" rx="3" fill="{colour}"/></svg>'
    )


def bar(share: float, kind: str = "") -> Markup:
    """A bar of this share of its track."""
    width = 100 * min(1.0, max(0.0, share))
    return Markup(
        f'<svg class="bar {kind}" aria-hidden="true">'
        '<rect class="track" width="100%" height="6" y="4" rx="3"/>'
        f'<rect class="fill" width="{width:.4g}%" height="6" y="4" rx="3"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class ShareAxis:
    """A log axis of shares, from a decade below the rarest to 100%.

    Attributes:
        lowest: the share at its left end.
    """

    lowest: float

    @classmethod
    def over(cls, shares: Iterable[float]) -> ShareAxis:
        """The axis of these shares; those that are 0 have no place on it."""
        least = min((share for share in shares if share > 0), default=1e-2)
        return cls(max(_LOWEST_AXIS, min(1e-2, 10.0 ** math.floor(math.log10(least)))))

    def place(self, share: float) -> float:
        """Percent from the left; what is below the axis is at its end."""
        if share <= self.lowest:
            return 0.0
        return min(100.0, 100 * (1 - math.log10(share) / math.log10(self.lowest)))

    @property
    def decades(self) -> list[float]:
        """The powers of ten within it."""
        first = round(math.log10(self.lowest)) + 1
        return [10.0**exponent for exponent in range(first, 0)]

    @property
    def grid(self) -> Markup:
        """Lines at the decades, once for all dots of the page."""
        lines = (
            f'<line class="g" x1="{x:.1f}%" x2="{x:.1f}%" y1="0" y2="100%"/>'
            for x in map(self.place, self.decades)
        )
        return Markup(
            '<svg class="vh" aria-hidden="true"><defs><g id="decades">'
            + "".join(lines)
            + "</g></defs></svg>"
        )

    @property
    def ticks(self) -> Markup:
        """The decades as labels over a column, as many as fit."""
        decades = self.decades
        every = 1 if len(decades) < 4 else 2
        shown = decades[::-1][::every]
        far = ' class="far"'
        return Markup('<svg class="axis" height="12" aria-hidden="true">{}</svg>').format(
            Markup("").join(
                Markup(f'<text{"" if place < 2 else far} x="{self.place(share):.1f}%" y="9"')
                + Markup(' text-anchor="middle">')
                + f"{100 * share:.6g}%"
                + Markup("</text>")
                for place, share in enumerate(shown)
            )
        )

    def dot(self, share: float, interval: tuple[float, float] | None) -> Markup:
        """The share as a dot, with the line of its interval where that is known."""
        if share <= 0:
            return Markup('<svg class="dots" aria-hidden="true"></svg>')
        line = ""
        if interval is not None:
            low, high = map(self.place, interval)
            line = f'<line class="ci" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        return Markup(
            f'<svg class="dots" aria-hidden="true"><use href="#decades"/>{line}'
            f'<circle class="pt" cx="{self.place(share):.2f}%" cy="50%" r="3.5"/></svg>'
        )


def merged(parts: Sequence[StripPart]) -> list[StripPart]:
    """The parts that occur; of many classes the smallest are one part together."""
    parts = [part for part in parts if part.share > 0]
    small = [part for part in parts if part.share < _MERGED_SHARE]
    if len(parts) <= _MERGING_CLASSES or len(small) < 2:
        return parts
    together = math.fsum(part.share for part in small)
    kept = [part for part in parts if part.share >= _MERGED_SHARE]
    return [*kept, StripPart(f"{len(small):,} more classes", together, None)]


def strip(parts: Sequence[StripPart], identity: str, label: str) -> Markup:
    """All of a loss as a strip, a class having its share of it; names where they fit."""
    pieces, at = [], 0.0
    for part in merged(parts):
        width = 100 * part.share
        fill = "" if part.colour is None else f' fill="{part.colour}"'
        kind = "part rest" if part.colour is None else "part"
        pieces.append(
            Markup("<g><title>{}: {}</title>").format(part.name, percent(part.share))
            + Markup(
                f'<rect class="{kind}" x="{at:.3f}%" width="{max(width, 0.02):.3f}%"'
                f' height="{STRIP_HEIGHT}"{fill}/>'
            )
            + _strip_label(part, at, width)
            + Markup("</g>")
        )
        at += width
    return Markup(
        '<svg class="strip" id="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(identity, STRIP_HEIGHT, label, Markup("").join(pieces))


def _strip_label(part: StripPart, at: float, width: float) -> Markup:
    """The part's name, marked by how wide the strip must be for it; none where no strip is."""
    needed = (len(part.name) * _LETTER + 6) / max(width / 100, 1e-9)
    kind = next((kind for kind, pixels in _FITS.items() if needed <= pixels), None)
    if kind is None:
        return Markup("")
    ink = "" if part.colour is None else f' fill="{ink_on(part.colour)}"'
    kind += "" if part.colour else " of-rest"
    return Markup(
        f'<text class="{kind}" x="{at + width / 2:.3f}%" y="{STRIP_HEIGHT / 2 + 4.5}"'
        f' text-anchor="middle"{ink}>{escape(part.name)}</text>'
    )


def size_histogram(counts: Sequence[int]) -> Markup:
    """Bars of how many components have 2^j pixels and more."""
    most, number = max(counts, default=0) or 1, max(1, len(counts))
    bars = []
    for place, count in enumerate(counts):
        height = max(0.5 if count else 0.0, 42 * count / most)
        bars.append(
            f'<rect class="fill" x="{100 * place / number:.2f}%"'
            f' width="{max(0.5, 100 / number - 1):.2f}%" y="{44 - height:.1f}"'
            f' height="{height:.1f}"/>'
        )
    return Markup('<svg class="hist" height="46" aria-hidden="true">' + "".join(bars) + "</svg>")
