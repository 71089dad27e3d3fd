"""Whiskers: 95% intervals as lines over bars and dots, of what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.errors import UnknownCountsError
from maskstat.naming import counted
from maskstat.render.plots.drawing import ScanView
from maskstat.render.plots.scale import ZERO_ROOM, Scale
from maskstat.render.plots.style import INK, PAPER
from maskstat.values.error_bars import Intervals
from maskstat.values.tally import IntArray

FloatArray = npt.NDArray[np.float64]
_FAR = 10.0  # times the outermost value: a logarithmic axis goes no further for a whisker


@dataclass(frozen=True, slots=True)
class Whiskers:
    """Lines from one value to another.

    Attributes:
        low, high: float64[K], NaN where there is none.
        sample: what the intervals count: "367 masks", "3 groups"; `unit`: "mask" or "group".
    """

    low: FloatArray
    high: FloatArray
    sample: str
    unit: str

    @classmethod
    def of(cls, intervals: Intervals, scaled: float = 1.0) -> Whiskers:
        """Of a number a class."""
        sample = counted(intervals.group_count, intervals.unit)
        return cls(intervals.lower * scaled, intervals.upper * scaled, sample, intervals.unit)

    @classmethod
    def of_shares(cls, view: ScanView, scaled: float = 1.0) -> Whiskers | None:
        """Of the shares of a scan's classes; None where counts were given and no masks."""
        try:
            return cls.of(view.intervals, scaled)
        except UnknownCountsError:
            return None

    def among(self, places: Sequence[int], count: int) -> Whiskers:
        """Those of some of `count` classes, in these places; the others have none."""
        low, high = np.full((2, count), np.nan)
        low[places], high[places] = self.low, self.high
        return replace(self, low=low, high=high)

    @property
    def words(self) -> str:
        """What they are, for an axis or a legend; "" where there are none."""
        return "" if np.isnan(self.low).all() else f"95% interval, {self.sample}"

    def ends(self, values: npt.NDArray[Any], rows: IntArray, *, log: bool = False) -> FloatArray:
        """What an axis has to show of these rows besides their values.

        A logarithmic one goes no further than ten times beyond these: intervals of a few groups
        span many decades.
        """
        ends: FloatArray = np.concatenate([self.low[rows], self.high[rows]])
        ends = ends[~np.isnan(ends)]
        some = values[values > 0]
        if not (log and some.size):
            return ends
        clipped: FloatArray = np.clip(ends, some.min() / _FAR, some.max() * _FAR)
        return clipped

    def draw(
        self,
        axes: Any,
        rows: IntArray,
        scale: Scale,
        *,
        at: FloatArray | None = None,
        lower: float = 0.0,
        colour: str = INK,
        upright: bool = False,
        half: float = 0.16,
    ) -> None:
        """Draw those of these rows, with a cap at each end that the axis has.

        `at` is where on the other axis, 0, 1, ... and `lower` by so much without; `half` of a cap
        is on either side.
        """
        places = np.arange(rows.size) + lower if at is None else at
        known = ~np.isnan(self.low[rows])
        places, low, high = places[known], self.low[rows][known], self.high[rows][known]
        least = ZERO_ROOM if scale.zero else 0.0
        first, last = (np.clip(scale(ends), least, scale.length) for ends in (low, high))
        along, across = (axes.vlines, axes.hlines) if upright else (axes.hlines, axes.vlines)
        style = {"color": colour, "linewidth": 0.9, "zorder": 2.5, "clip_on": False}
        along(places, first, last, color=PAPER, linewidth=2.4, zorder=2.4, clip_on=False)
        along(places, first, last, label=WHISKERS, **style)
        for ends, said in ((first, scale(low)), (last, scale(high))):
            there = np.abs(ends - said) < 1e-6
            across(ends[there], places[there] - half, places[there] + half, **style)


WHISKERS = "whiskers"  # what the lines are called in a figure
