"""Matrices of shares between classes: rows and columns labelled, percentages where they fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted
from maskstat.render.plots.scale import Scale
from maskstat.render.plots.style import (
    MUTED,
    SEQUENTIAL,
    SIZE,
    SMALL,
    axes_at,
    figure_of,
    fitted,
    percent_tick,
    text_width,
    write_at,
)

MOST_CLASSES = 240
_ANNOTATED = 16
_LABEL = 110.0
_BAR, _BAR_LENGTH, _GAP = 8.0, 120.0, 10.0


def _pitch(count: int) -> tuple[float, float]:
    """Cell side and label size in points."""
    if count <= 8:
        return 34.0, SIZE
    if count <= _ANNOTATED:
        return 25.0, SIZE
    return (12.0, SMALL + 0.5) if count <= 42 else (7.6, 6.0)


def matrix_figure(
    names: list[str],
    shares: npt.NDArray[np.float64],
    *,
    rows: str,
    columns: str,
    left_out: int,
) -> Any:
    """A square of cells.

    Args:
        names: of the classes, in order.
        shares: [K, K], 0 to 1, NaN where a cell is to stay blank.
        rows, columns: what the axes say.
        left_out: classes that are not shown.
    """
    count = len(names)
    cell, size = _pitch(count)
    labels = [fitted(name, size, _LABEL) for name in names]
    room = max((text_width(label, size) for label in labels), default=0.0) + 8
    side = max(cell * count, _BAR_LENGTH)
    left, below = room + 22.0, room + 52.0
    note = f"{counted(left_out, 'class')} left out" if left_out else ""
    noted = _BAR_LENGTH + 24 + text_width(note, SMALL) if note else 0.0
    figure = figure_of(left + max(side, noted) + 14, below + side + 12)
    axes = axes_at(figure, left, below, side, side)
    axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _annotate(axes, shares)
    middle = below + side / 2
    write_at(figure, 10, middle, rows, rotation=90, va="center", ha="center")
    write_at(figure, left + side / 2, 42, columns, va="center", ha="center")
    _colour_bar(figure, left)
    if note:
        write_at(figure, left + _BAR_LENGTH + 24, 20, note, fontsize=SMALL, color=MUTED)
    return figure


def _annotate(axes: Any, shares: npt.NDArray[np.float64]) -> None:
    """Percentages in the cells where they are large enough."""
    if len(shares) > _ANNOTATED:
        return
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            axes.text(
                column,
                row,
                _whole_percent(share),
                fontsize=SMALL,
                ha="center",
                va="center",
                color="#fefefe" if share < 0.55 else "#010101",
            )


def _whole_percent(share: float) -> str:
    """Whole percent; only never is 0 and only always is 100."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 <= share < 1 else f"{share * 100:.0f}"


def _colour_bar(figure: Any, left: float) -> None:
    axes = axes_at(figure, left, 18, _BAR_LENGTH, _BAR)
    axes.imshow(
        np.linspace(0, 1, 256)[None, :],
        cmap=SEQUENTIAL,
        aspect="auto",
        extent=(0, _BAR_LENGTH, 0, 1),
    )
    scale = Scale(0.0, 1.0, _BAR_LENGTH)
    ticks = scale.ticks(percent_tick)
    axes.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    axes.set_yticks([])
    axes.tick_params(length=2, pad=1, labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_visible(False)
