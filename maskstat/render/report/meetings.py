"""Which classes share masks and which touch, against chance: matrices, and pairs at both ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.render.plots.style import DIVERGING, NEVER
from maskstat.render.report.palette_png import data_uri, palette_png
from maskstat.render.report.subject import Subject
from maskstat.statistics.cooccurrence import CoOccurrence

MOST = 60  # classes of a matrix
LABELLED = 34
LEAST_MASKS = 5
LEAST_EDGES = 200
_PAIRS = 4
_FLAT = 0.3  # octaves: nothing to see in a matrix of less
_SELF = (150, 154, 160)
FloatArray = NDArray[np.float64]


class Pair(NamedTuple):
    """Two classes, how many times as often as by chance they meet, and how often."""

    first: int
    second: int
    ratio: float
    seen: int


@dataclass(frozen=True)
class Meeting:
    """One way of meeting.

    Attributes:
        key: "lift" or "touch".
        ratio: float64[K, K], observed over expected; 0 where two never meet.
        seen: int64[K, K], masks that both are in, or edges between them.
        octaves: what the ends of the scale stand for: 2^octaves times.
        classes: those of the matrix, the most frequent first.
        image: the matrix as a data URI.
        more, less: pairs that meet most above and below chance.
        flat: whether every pair meets about as often as by chance.
        least, most: smallest and largest ratio of pairs that are seen often enough.
    """

    key: str
    ratio: FloatArray
    seen: NDArray[np.int64]
    octaves: int
    classes: list[int]
    image: str
    more: list[Pair]
    less: list[Pair]
    flat: bool
    least: float
    most: float

    @property
    def cells(self) -> list[list[float]]:
        """The matrix in numbers, for who points at a cell."""
        chosen = self.ratio[np.ix_(self.classes, self.classes)]
        return [[float(f"{cell:.2g}") for cell in row] for row in chosen.tolist()]


def meetings(subject: Subject) -> list[Meeting]:
    """In the same mask, and side by side where a profile knows; fewer than two classes never do."""
    found = []
    if len(subject.occurring) < 2:
        return []
    if subject.ledger is not None:
        rows = subject.ledger if subject.unit == "mask" else subject.scan.ledger
        try:
            together = CoOccurrence.of(rows)
        except ParameterError:  # too many classes for a table of pairs
            return []
        found.append(_meeting(subject, "lift", together.lift, together.masks, LEAST_MASKS, 2))
    if subject.profile is not None:
        edges = subject.profile.adjacency[:-1, :-1]
        ratio = subject.profile.touch_ratio[:-1, :-1]
        found.append(_meeting(subject, "touch", ratio, edges, LEAST_EDGES, 3))
    return found


def _meeting(
    subject: Subject,
    key: str,
    ratio: FloatArray,
    seen: NDArray[np.int64],
    least: int,
    octaves: int,
) -> Meeting:
    classes = subject.occurring[:MOST]
    rows, columns = np.nonzero(np.triu((seen >= least) & (ratio > 0), 1))
    values = ratio[rows, columns]
    order = np.argsort(-values, kind="stable")
    pairs = [
        Pair(int(rows[at]), int(columns[at]), float(values[at]), int(seen[rows[at], columns[at]]))
        for at in (*order[:_PAIRS], *order[::-1][:_PAIRS])
    ]
    more = [pair for pair in pairs[: len(pairs) // 2] if pair.ratio > 1]
    less = [pair for pair in pairs[len(pairs) // 2 :] if pair.ratio < 1]
    flat = not values.size or float(np.abs(np.log2(values)).max()) < _FLAT
    return Meeting(
        key,
        ratio,
        seen,
        octaves,
        classes,
        _matrix(ratio[np.ix_(classes, classes)], octaves),
        more,
        less,
        flat,
        float(values.min(initial=math.inf)) if values.size else 1.0,
        float(values.max(initial=0.0)) if values.size else 1.0,
    )


def _matrix(ratio: FloatArray, octaves: int) -> str:
    """A pixel a cell: nine steps from 2^-octaves to 2^octaves times; never, and the diagonal."""
    with np.errstate(divide="ignore"):
        steps = np.log2(np.where(ratio > 0, ratio, 1.0)) / octaves * 4
    cells = np.clip(np.round(steps) + 4, 0, 8).astype(np.uint8)
    cells[ratio <= 0] = 9
    np.fill_diagonal(cells, 10)
    return data_uri(palette_png(cells, [*DIVERGING, NEVER, _SELF]))
