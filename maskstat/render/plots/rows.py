"""Charts with one row a class: labels, panels side by side where there are many, and a legend.

All sizes are points and all text is measured before it is placed, so that nothing overlaps
whatever the names are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.render.plots.scale import Scale, set_x_axis
from maskstat.render.plots.style import (
    GRID,
    INK,
    MARKERS,
    MUTED,
    SIZE,
    SMALL,
    axes_at,
    class_colours,
    figure_of,
    fitted,
    text_width,
    write_at,
)
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray

Line = str | tuple[float, tuple[float, ...]]
"""A line style of matplotlib; "" is none."""

ROWS_A_PANEL = 80
MOST_ROWS = 3 * ROWS_A_PANEL
_LONGEST_LABEL = 132.0
_SWATCH = 10.0
_EDGE, _RIGHT_EDGE, _GAP, _BETWEEN_PANELS = 8.0, 20.0, 22.0, 20.0
_TICKS, _AXIS_LABEL, _LEGEND_LINE, _NOTE = 14.0, 14.0, 15.0, 16.0


@dataclass(frozen=True, slots=True)
class Column:
    """One set of axes in every panel: what its x axis says and its width in points."""

    label: str
    width: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One block of rows. Row r of `rows` is at y = r in each of the axes, one axes a column."""

    rows: IntArray
    axes: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend."""

    label: str
    colour: str
    marker: str | None
    line: Line = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Values in rows: float64[K], NaN where a row has none."""

    label: str
    values: npt.NDArray[np.float64]
    colour: str
    marker: str
    line: Line = "-"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure with its panels."""

    figure: Any
    panels: tuple[Panel, ...]


def shown_rows(order: IntArray) -> tuple[IntArray, str | None]:
    """The rows a page has room for, and what to say where some are left out."""
    if order.size <= MOST_ROWS:
        return order, None
    half = MOST_ROWS // 2
    note = f"{counted(order.size, 'class')}: the first and the last {half} are shown"
    return np.concatenate([order[:half], order[-half:]]), note


def row_sheet(
    catalog: ClassCatalog,
    order: IntArray,
    columns: Sequence[Column],
    *,
    legend: Sequence[LegendEntry] = (),
    note: str | None = None,
) -> Sheet:
    """Empty axes for these rows, labelled with their names and colours."""
    panel_count = max(1, -(-order.size // ROWS_A_PANEL))
    length = max(1, -(-order.size // panel_count))
    pitch, size = _pitch(length)
    names = catalog.names
    labels = {int(k): fitted(names[k], size, _LONGEST_LABEL) for k in order}
    swatches = any(info.colour is not None for info in catalog.classes)
    pad = 4 + (_SWATCH if swatches else 0)
    label_room = max((text_width(label, size) for label in labels.values()), default=0.0) + pad + 2
    across = sum(column.width for column in columns) + _GAP * (len(columns) - 1)
    width = panel_count * (label_room + across) + _BETWEEN_PANELS * (panel_count - 1)
    width += _EDGE + _RIGHT_EDGE
    axes_height = max(length * pitch, 2 * pitch)
    below = _TICKS + _AXIS_LABEL * max(
        label.count("\n") + 1 for label in (column.label for column in columns)
    )
    legend_lines = _flow(legend, width - _EDGE - _RIGHT_EDGE)
    above = _LEGEND_LINE * len(legend_lines) + (_NOTE if note else 0) + 4
    figure = figure_of(width, below + axes_height + above + _EDGE)
    panels = []
    left = _EDGE
    for block in np.array_split(order, panel_count) if order.size else [order]:
        left += label_room
        all_axes = []
        for at, column in enumerate(columns):
            height = max(block.size * pitch, 2 * pitch)
            axes = axes_at(figure, left, below + axes_height - height, column.width, height)
            middle = max(0.0, height / pitch - block.size) / 2
            axes.set_ylim(block.size - 0.5 + middle, -0.5 - middle)
            axes.set_xlabel(column.label, labelpad=2)
            axes.tick_params(axis="y", length=0, labelsize=size, pad=pad)
            axes.set_yticks(range(block.size), ["" if at else labels[int(k)] for k in block])
            if swatches and not at:
                _draw_swatches(axes, catalog, block, column.width)
            all_axes.append(axes)
            left += column.width + _GAP
        left += _BETWEEN_PANELS - _GAP
        panels.append(Panel(block, tuple(all_axes)))
    _write_legend(figure, legend_lines, below + axes_height + 4)
    if note:
        write_at(figure, _EDGE, below + axes_height + above - 8, note, fontsize=SMALL, color=MUTED)
    return Sheet(figure, tuple(panels))


def _draw_swatches(axes: Any, catalog: ClassCatalog, block: IntArray, width: float) -> None:
    """A square in its colour before every class that has one."""
    colours = class_colours(catalog)
    known = [row for row, k in enumerate(block) if catalog.classes[int(k)].colour is not None]
    axes.scatter(
        [-0.5 * _SWATCH / width - 2 / width] * len(known),
        known,
        s=30,
        marker="s",
        color=[colours[int(block[row])] for row in known],
        edgecolors=INK,
        linewidths=0.4,
        transform=axes.get_yaxis_transform(),
        clip_on=False,
    )


def _pitch(rows: int) -> tuple[float, float]:
    """Row height and label size in points."""
    if rows <= 12:
        return 17.0, SIZE
    return (13.0, SIZE) if rows <= 42 else (9.4, SMALL)


def _flow(legend: Sequence[LegendEntry], room: float) -> list[list[tuple[float, LegendEntry, str]]]:
    """Legend entries in lines: (x in points, entry, its label as it fits)."""
    lines: list[list[tuple[float, LegendEntry, str]]] = []
    x = 0.0
    for entry in legend:
        label = fitted(entry.label, SIZE, max(room - 24, 30.0))
        needed = 18 + text_width(label, SIZE)
        if not lines or x + needed > room:
            lines.append([])
            x = 0.0
        lines[-1].append((x, entry, label))
        x += needed + 14
    return lines


def _write_legend(
    figure: Any, lines: Sequence[Sequence[tuple[float, LegendEntry, str]]], bottom: float
) -> None:
    from matplotlib.lines import Line2D

    across, up = figure.get_size_inches() * 72
    make_line: Any = Line2D
    for number, line in enumerate(reversed(lines)):
        y = bottom + _LEGEND_LINE * (number + 0.5)
        for x, entry, label in line:
            left = _EDGE + x
            figure.add_artist(
                make_line(
                    [left / across, (left + 7) / across, (left + 14) / across],
                    [y / up] * 3,
                    color=entry.colour,
                    linestyle=entry.line or "none",
                    linewidth=1.2,
                    marker=entry.marker,
                    markersize=4.5,
                    markevery=[1],
                    markeredgecolor=INK,
                    markeredgewidth=0.3,
                )
            )
            write_at(figure, left + 18, y, label, fontsize=SIZE, va="center_baseline")


def series_entries(series: Sequence[Series]) -> list[LegendEntry]:
    """The legend of some series."""
    return [LegendEntry(printable(s.label), s.colour, s.marker, s.line) for s in series]


def draw_series(
    sheet: Sheet,
    series: Sequence[Series],
    scale: Scale,
    text: Callable[[float], str],
    *,
    column: int = 0,
    spread: bool = False,
) -> None:
    """Markers in rows, every series its own; a line leads from row to row.

    Rows without any value say "never": their class does not occur.

    `spread` draws instead a bar across each row from its smallest to its largest value.
    """
    for panel in sheet.panels:
        axes = panel.axes[column]
        set_x_axis(axes, scale, text)
        rows = np.arange(panel.rows.size)
        axes.hlines(rows, 0, scale.length, color=GRID, linewidth=0.4, zorder=0)
        table = np.array([s.values[panel.rows] for s in series]).reshape(len(series), -1)
        if spread and rows.size:
            some = ~np.isnan(table).all(axis=0)
            low, high = np.nanmin(table[:, some], axis=0), np.nanmax(table[:, some], axis=0)
            axes.hlines(rows[some], scale(low), scale(high), color=MUTED, linewidth=1.4, zorder=1)
        for row in np.flatnonzero(np.isnan(table).all(axis=0)):
            axes.text(4, row, "never", fontsize=SMALL, va="center_baseline", color=MUTED, zorder=3)
        size = 4.6 if panel.rows.size <= 42 else 3.4
        for number, s in enumerate(series):
            axes.plot(
                scale(table[number]),
                rows,
                color=s.colour,
                marker=s.marker,
                markersize=size,
                linestyle="none" if spread else s.line,
                linewidth=0.8,
                markeredgecolor=INK,
                markeredgewidth=0.3,
                clip_on=False,
                zorder=3 + 0.01 * number,
            )


def marker(number: int) -> str:
    """The marker of the n-th series; they repeat after eight."""
    return MARKERS[number % len(MARKERS)]
