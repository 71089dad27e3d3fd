"""Matrices of how often classes meet against chance: rows and columns labelled, numbers inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted
from maskstat.render.plots.style import (
    DIVERGING,
    MUTED,
    NEVER,
    SIZE,
    SMALL,
    axes_at,
    figure_of,
    fitted,
    text_width,
    write_at,
)

MOST_CLASSES = 240
_ANNOTATED = 16
_LABEL = 110.0
_BAR, _BAR_LENGTH, _GAP = 8.0, 120.0, 10.0
_BLANK = (255, 255, 255)
_STRONG = 0.62  # of the scale's half: from here on cells are dark


def _pitch(count: int) -> tuple[float, float]:
    """Cell side and label size in points."""
    if count <= 8:
        return 34.0, SIZE
    if count <= _ANNOTATED:
        return 25.0, SIZE
    return (12.0, SMALL + 0.5) if count <= 42 else (7.6, 6.0)


def matrix_figure(
    names: list[str],
    ratio: npt.NDArray[np.float64],
    *,
    octaves: int,
    title: str,
    left_out: int,
) -> Any:
    """A square of cells, white where two classes meet as often as by chance.

    Args:
        names: of the classes, in order.
        ratio: [K, K], observed over expected; 0 where two never meet, NaN where a cell is to stay
            blank.
        octaves: the ends of the scale are 2^-octaves and 2^octaves.
        title: what a cell says.
        left_out: classes that are not shown.
    """
    count = len(names)
    cell, size = _pitch(count)
    labels = [fitted(name, size, _LABEL) for name in names]
    room = max((text_width(label, size) for label in labels), default=0.0) + 8
    legend = _BAR_LENGTH + 30 + text_width("never", SMALL) + 24
    note = f"{counted(left_out, 'class')} left out" if left_out else ""
    noted = legend + 10 + text_width(note, SMALL) if note else legend
    side = max(cell * count, noted, text_width(title, SIZE))
    square = max(cell * count, _BAR_LENGTH)
    left, below = room + 10.0, room + 52.0
    figure = figure_of(left + side + 14, below + square + 12)
    axes = axes_at(figure, left, below, square, square)
    position = _positions(ratio, octaves)
    axes.imshow(_coloured(position, ratio), aspect="auto")
    axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _annotate(axes, position, ratio)
    write_at(figure, left, 42, title, va="center")
    _colour_bar(figure, left, octaves)
    if note:
        write_at(figure, left + legend + 10, 20, note, fontsize=SMALL, color=MUTED)
    return figure


def _positions(ratio: npt.NDArray[np.float64], octaves: int) -> npt.NDArray[np.float64]:
    """-1 to 1 along the scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log2(np.where(ratio > 0, ratio, 1.0))
    return np.asarray(np.clip(logs / octaves, -1.0, 1.0))


def _coloured(
    position: npt.NDArray[np.float64], ratio: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """uint8[K, K, 3]"""
    steps = np.round((np.nan_to_num(position) + 1) / 2 * (len(DIVERGING) - 1)).astype(int)
    cells = np.array(DIVERGING, np.uint8)[steps]
    cells[ratio == 0] = NEVER
    cells[np.isnan(ratio)] = _BLANK
    return np.asarray(cells, np.uint8)


def _annotate(axes: Any, position: npt.NDArray[np.float64], ratio: npt.NDArray[np.float64]) -> None:
    """The ratios in the cells where they are large enough."""
    if len(ratio) > _ANNOTATED:
        return
    for (row, column), value in np.ndenumerate(ratio):
        if np.isnan(value):
            continue
        dark = value == 0 or abs(position[row, column]) > _STRONG
        axes.text(
            column,
            row,
            times(float(value)),
            fontsize=SMALL,
            ha="center",
            va="center",
            color="#fefefe" if dark else "#010101",
        )


def times(ratio: float) -> str:
    """A ratio in few digits: 0.08, 1.1, 12; "–" for never."""
    if ratio == 0:
        return "–"
    if ratio < 0.01:
        return "<.01"
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2f}"


def _colour_bar(figure: Any, left: float, octaves: int) -> None:
    axes = axes_at(figure, left, 18, _BAR_LENGTH, _BAR)
    colours = np.array([DIVERGING], np.uint8)
    axes.imshow(colours, aspect="auto", extent=(-octaves, octaves, 0, 1))
    marks = [-octaves, 0, octaves]
    texts = [f"1/{2**octaves}×", "as by chance", f"{2**octaves}×"]
    axes.set_xticks(marks, texts)
    axes.set_yticks([])
    axes.tick_params(length=2, pad=1, labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_visible(False)
    square = axes_at(figure, left + _BAR_LENGTH + 20, 18, _BAR, _BAR)
    square.imshow(np.array([[NEVER]], np.uint8), aspect="auto")
    square.set_axis_off()
    write_at(figure, left + _BAR_LENGTH + 32, 19, "never", fontsize=SMALL, color=MUTED)
