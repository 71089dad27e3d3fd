"""What schemes of weights cost: a row a scheme, and the trade-off of all of them as a drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from maskstat.naming import percent
from maskstat.render.report import svg
from maskstat.render.report.subject import FloatArray, Subject
from maskstat.render.report.wording import alike, number

_LABELS = {
    "uniform": "no weights",
    "equal-cost": "equal cost",
    "sqrt": "square root",
    "power": "power 0.25",
    "median-frequency": "median frequency",
    "effective-number": "effective number",
}
POWERS = {"uniform": 0.0, "power": 0.25, "sqrt": 0.5, "equal-cost": 1.0}
TOP, HEIGHT, ROOM = 12, 176, 34
_WIDTH = 600.0  # px that labels are kept apart at
_LETTER = 6.4


class SchemePrice(NamedTuple):
    """A scheme's prices, as numbers and as text."""

    key: str
    label: str
    also: str
    power: float | None
    spread: float
    effective: float
    loss_ratio: float | None
    spread_text: str
    effective_text: str
    loss_text: str
    weights_text: str
    dominated: str


@dataclass(frozen=True)
class TradeOff:
    """The drawing, and the largest ratio of its axis."""

    drawing: Markup
    most: float


def scheme_rows(subject: Subject) -> list[SchemePrice]:
    """The schemes that differ, the most equal shares of the loss first."""
    found = []
    for group in subject.document["weights"]["distinct"]:
        key = next((name for name in group if name in POWERS), group[0])
        cost = subject.document["costs"]["schemes"][group[0]]
        ratio = cost["loss_ratio"]
        apart = cost["weight_ratio"]
        found.append(
            SchemePrice(
                key,
                _LABELS.get(key, key),
                ", ".join(name for name in group if name != key),
                POWERS.get(key),
                cost["relative_spread"],
                cost["effective_pixels"],
                ratio,
                "0%" if alike(cost) else percent(cost["relative_spread"]),
                percent(cost["effective_pixels"]),
                "–" if ratio is None else f"{number(ratio)} : 1",
                "–" if apart is None else number(apart),
                "",
            )
        )
    found.sort(key=lambda row: (row.loss_ratio or math.inf, row.label))
    return [row._replace(dominated=_dominating(row, found)) for row in found]


def _dominating(row: SchemePrice, others: list[SchemePrice]) -> str:
    """A scheme that is better in all three prices, where there is one."""
    if row.loss_ratio is None:
        return ""
    for other in others:
        if (
            other.loss_ratio is not None
            and other.loss_ratio < row.loss_ratio
            and other.spread < row.spread
            and other.effective > row.effective
        ):
            return other.label
    return ""


def powers(shares: FloatArray) -> list[tuple[float, float]]:
    """(ratio of the shares of the loss, effective pixels) of powers 0 to 1 of inverse frequency."""
    p = shares[shares > 0]
    curve = []
    for alpha in np.linspace(0.0, 1.0, 41):
        w = (p.max() / p) ** alpha
        q = p * w
        curve.append((float(q.max() / q.min()), float(q.sum() ** 2 / (p @ w**2))))
    return curve


def trade_off(subject: Subject, rows: list[SchemePrice]) -> TradeOff:
    """Across, how unequal shares of the loss are (log axis); up, effective pixels."""
    curve = powers(subject.shares)
    placed = [row for row in rows if row.loss_ratio is not None]
    most = max([ratio for ratio, _ in curve] + [row.loss_ratio or 1.0 for row in placed] + [2.0])

    def place(ratio: float, effective: float) -> tuple[float, float]:
        return 100 * math.log(ratio) / math.log(most) * 0.985 + 0.75, _height(effective)

    points = [place(*point) for point in curve]
    pieces = [_grid()]
    for (x, y), (x2, y2) in pairwise(points):
        pieces.append(f'<line class="cv" x1="{x:.2f}%" y1="{y:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>')
    taken = [_box(*place(row.loss_ratio or 1.0, row.effective)) for row in placed]
    taken += [(0.0, y - 14, 30.0, y - 2) for y in map(_height, (0.25, 0.5, 0.75, 1.0))]
    for row in placed:
        pieces.append(_point(row, *place(row.loss_ratio or 1.0, row.effective), taken))
    return TradeOff(
        Markup(
            f'<svg class="trade" height="{TOP + HEIGHT + 14}" role="img" aria-label="Effective'
            ' pixels against how unequal the shares of the loss are, a point a scheme">'
            + "".join(pieces)
            + '<circle id="you" class="you" cx="0" cy="0" r="7" visibility="hidden"/></svg>'
        ),
        most,
    )


def _height(effective: float) -> float:
    """Where a share of effective pixels is drawn, from the top."""
    return TOP + HEIGHT * (1 - effective)


def _grid() -> str:
    lines = []
    for quarter in range(5):
        y = _height(quarter / 4)
        lines.append(f'<line class="g" x1="0" x2="100%" y1="{y:.0f}" y2="{y:.0f}"/>')
        if quarter:
            lines.append(f'<text class="t" x="0" y="{y - 3:.0f}">{25 * quarter}%</text>')
    return "".join(lines)


Box = tuple[float, float, float, float]


def _box(x: float, y: float) -> Box:
    return x / 100 * _WIDTH - 5, y - 5, x / 100 * _WIDTH + 5, y + 5


def _point(row: SchemePrice, x: float, y: float, taken: list[Box]) -> str:
    """A point with its name where no other name is."""
    wide, at = _LETTER * len(row.label), x / 100 * _WIDTH
    tries = [(10, 4, "start"), (-10, 4, "end"), (0, -10, "middle"), (0, 18, "middle")]
    tries += [(9, -8, "start"), (-9, -8, "end"), (9, 17, "start"), (-9, 17, "end")]
    tries += [(-6, -12, "start"), (6, -12, "end"), (-6, 20, "start"), (6, 20, "end")]
    for dx, dy, anchor in tries:
        left = at + dx - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = (left, y + dy - 10, left + wide, y + dy + 3)
        free = all(
            box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
            for other in taken
        )
        # A phone is narrower than the drawing is laid out for: names at its ends stay inside.
        inside = box[0] >= 0 and box[2] <= _WIDTH and (x > 20 or anchor == "start")
        if free and inside and (x < 80 or anchor == "end"):
            break
    taken.append(box)
    main = "main" if row.key in ("uniform", "sqrt", "equal-cost") else "minor"
    said = f"{row.label}: effective pixels {row.effective_text}, shares of the loss {row.loss_text}"
    return (
        f'<g><circle class="sp" cx="{x:.2f}%" cy="{y:.1f}" r="4"><title>{escape(said)}</title>'
        f'</circle><text class="sl {main}" x="{x:.2f}%" y="{y:.1f}" dx="{dx}" dy="{dy}"'
        f' text-anchor="{anchor}">{escape(row.label)}</text></g>'
    )


def loss_shares(shares: FloatArray, weights: list[float] | None) -> FloatArray:
    """float64[K], each class's share of the loss under weights (None: none) before training."""
    if weights is None:
        return shares
    weighed = shares * np.asarray(weights)
    return np.asarray(weighed / (weighed.sum() or 1.0))


def loss_strip(subject: Subject, weights: list[float] | None, identity: str, label: str) -> Markup:
    """What the loss looks at under these weights."""
    parts = loss_shares(subject.shares, weights)
    return svg.strip(
        [
            svg.StripPart(subject.names[k], float(parts[k]), subject.colours[k])
            for k in subject.occurring
        ],
        identity,
        label,
    )
