"""Scales whose ticks never collide, in points: from values to positions on an axis.

A logarithmic axis has no place for 0, and classes that never occur must not vanish from a plot.
So a scale can give 0 a place of its own, apart from the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.render.plots.style import GRID, SMALL, text_width

ZERO_ROOM = 20.0
_GAP = 5.0
_LINE = 1.25  # line height over font size


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic map from [low, high] to [0, length] points.

    `zero`: values of 0 get the position 0 and the others start `ZERO_ROOM` points further on.
    """

    low: float
    high: float
    length: float
    log: bool = False
    zero: bool = False

    @classmethod
    def over(
        cls,
        values: npt.ArrayLike,
        length: float,
        *,
        log: bool = False,
        from_zero: bool = False,
        margin: float = 6.0,
    ) -> Scale:
        """The scale that shows all these values with a margin of so many points.

        Args:
            values: finite and, where `log`, not negative; zeros among them get their own place.
            length: points.
            log: logarithmic.
            from_zero: a linear scale starts at 0, without a margin there.
            margin: points between the outermost values and the ends.
        """
        numbers = np.asarray(values, np.float64).ravel()
        shown = numbers[numbers > 0] if log else numbers
        zero = log and shown.size < numbers.size
        if shown.size == 0:
            return cls(0.5 if log else 0.0, 2.0 if log else 1.0, length, log, zero)
        low, high = float(shown.min()), float(shown.max())
        low, high = (math.log10(low), math.log10(high)) if log else (low, high)
        if from_zero and not log:
            low = min(0.0, low)
        if high - low < 1e-9 * max(1.0, abs(high)):
            half = 0.5 if log else 0.5 * abs(high) or 0.5
            low, high = (low if from_zero and not log else low - half), high + half
        room = length - (ZERO_ROOM if zero else 0.0)
        before = 0.0 if from_zero and not log else margin
        unit = (high - low) / max(room - before - margin, 1.0)
        low, high = low - before * unit, high + margin * unit
        return cls(10**low, 10**high, length, True, zero) if log else cls(low, high, length)

    def __call__(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Positions in points; NaN where there is no value."""
        numbers = np.asarray(values, np.float64)
        start = ZERO_ROOM if self.zero else 0.0
        if not self.log:
            return (numbers - self.low) / (self.high - self.low) * self.length
        safe = np.where(numbers > 0, numbers, self.low)
        share = np.log(safe / self.low) / math.log(self.high / self.low)
        positions = np.where(numbers > 0, start + share * (self.length - start), 0.0)
        return np.where(np.isnan(numbers), np.nan, positions)

    def ticks(
        self, text: Callable[[float], str], *, upright: bool = False
    ) -> list[tuple[float, str]]:
        """Positions and labels of as many round values as fit without touching.

        Values whose text is empty are left out.

        `upright` is for a vertical axis, where labels need their height, not their width.
        """
        best: list[tuple[float, str]] = []
        for values in self._candidates():
            inside = [v for v in values if self.low * (1 - 1e-12) <= v <= self.high * (1 + 1e-12)]
            placed = [(float(self(value)), text(value)) for value in inside if text(value)]
            if self.zero:
                placed.insert(0, (0.0, "0"))
            if len(placed) > len(best) and _apart(placed, upright=upright):
                best = placed
        return best

    def _candidates(self) -> Iterator[list[float]]:
        """Sets of round values, from coarse to fine."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for stride in (12, 9, 6, 4, 3, 2, 1):
                start = first - first % stride
                yield [10.0**power for power in range(start, last + 1, stride)]
            if last - first <= 4:
                for digits in ((1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
                    yield [d * 10.0**power for power in range(first, last + 1) for d in digits]
            if self.high / self.low > 4:
                return
        magnitude = math.floor(math.log10(self.high - self.low)) + 1
        for power in (magnitude, magnitude - 1, magnitude - 2):
            for digit in (5, 2, 1):
                step = digit * 10.0**power
                numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
                yield [number * step for number in numbers]


def _apart(placed: list[tuple[float, str]], *, upright: bool) -> bool:
    ends = -math.inf
    for position, label in placed:
        half = (_LINE * SMALL if upright else text_width(label, SMALL)) / 2
        if position - half < ends:
            return False
        ends = position + half + (0.6 * SMALL if upright else _GAP)
    return True


def set_x_axis(axes: Any, scale: Scale, text: Callable[[float], str], *, grid: bool = True) -> None:
    """Ticks and limits of a horizontal axis in points."""
    placed = scale.ticks(text)
    axes.set_xlim(0 if not scale.zero else -4, scale.length)
    axes.set_xticks([position for position, _ in placed], [label for _, label in placed])
    axes.tick_params(axis="x", labelsize=SMALL)
    if grid:
        _grid(axes.axvline, placed)


def set_y_axis(axes: Any, scale: Scale, text: Callable[[float], str]) -> None:
    """Ticks and limits of a vertical axis in points."""
    placed = scale.ticks(text, upright=True)
    axes.set_ylim(0 if not scale.zero else -4, scale.length)
    axes.set_yticks([position for position, _ in placed], [label for _, label in placed])
    axes.tick_params(axis="y", labelsize=SMALL)
    _grid(axes.axhline, placed)


def _grid(line: Callable[..., Any], placed: list[tuple[float, str]]) -> None:
    for position, _ in placed:
        line(position, color=GRID, linewidth=0.5, zorder=0)
