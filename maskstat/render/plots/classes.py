"""`classes`: how many pixels each class has, and in how many masks it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskstat.naming import counted, percent, printable
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView, masks_of, presence_of
from maskstat.render.plots.rows import Column, row_sheet, shown_rows
from maskstat.render.plots.scale import Scale, set_x_axis
from maskstat.render.plots.style import (
    INK,
    MUTED,
    NEUTRAL,
    SMALL,
    class_colours,
    order_of,
    percent_tick,
    text_width,
)
from maskstat.render.plots.whiskers import Whiskers
from maskstat.values.tally import IntArray

_GAP = 3.0
TAIL_MATTERS = 100  # on a linear axis the rarest class would be a hundredth of the longest bar


def draw(view: ScanView, *, log: bool | None = None, order: Order = "frequency") -> Drawing:
    """Bars of pixel frequency in class colours; beside them the share of masks with the class.

    Without them where nobody knows how many masks have it.

    Args:
        view: the scan.
        log: a logarithmic frequency axis; by default where the most frequent class has
            `TAIL_MATTERS` times the pixels of the rarest that occurs.
        order: "frequency" or "catalog".
    """
    histogram = view.histogram
    frequency = histogram.frequency
    if log is None:
        some = frequency[frequency > 0]
        log = bool(some.size and some.max() >= TAIL_MATTERS * some.min())
    presence = presence_of(histogram)
    rows, note = shown_rows(order_of(histogram.pixels, order))
    many = rows.size > 42
    widths = (150.0, 72.0) if many and rows.size > 80 else (260.0, 110.0)
    colours = class_colours(view.catalog)
    whiskers = Whiskers.of_shares(view)
    words = "" if whiskers is None else whiskers.words
    columns = [Column("share of labelled pixels" + (f"\n({words})" if words else ""), widths[0])]
    bars = [(frequency, colours)]
    if presence is not None:
        columns.append(Column(f"share of {histogram.row}s", widths[1]))
        bars.append((presence, [NEUTRAL] * len(colours)))
    sheet = row_sheet(view.catalog, rows, columns, note=note)
    for column, (values, tints) in enumerate(bars):
        shown = None if column else whiskers
        tops = values if shown is None else np.fmax(values, shown.high)
        scale = _bar_scale(values[rows], tops[rows], widths[column], log=log and column == 0)
        for panel in sheet.panels:
            _bars(panel.axes[column], panel.rows, values, tops, scale, tints)
            if shown is not None:
                shown.draw(panel.axes[column], panel.rows, scale)
    return Drawing(sheet.figure, _description(view, frequency, words, log=log))


def _bar_scale(values: np.ndarray, tops: np.ndarray, length: float, *, log: bool) -> Scale:
    """The scale on which every bar has room for its label behind it, and behind its whisker."""
    positive, tops = values[values > 0], tops[values > 0]
    if positive.size == 0:
        return Scale(0.1, 1.0, length, True) if log else Scale(0.0, 1.0, length)
    rooms = np.array([length - _GAP - text_width(percent(v), SMALL) for v in positive])
    if not log:
        unit = float((rooms / tops).min())  # points a unit
        return Scale(0.0, length / unit, length)
    low = 10 ** (np.floor(np.log10(positive.min()) + 0.3) - 0.7)
    unit = float(min(room / np.log10(v / low) for room, v in zip(rooms, tops, strict=True)))
    return Scale(float(low), float(low * 10 ** (length / unit)), length, log=True)


def _bars(
    axes: Any,
    rows: IntArray,
    values: np.ndarray,
    tops: np.ndarray,
    scale: Scale,
    colours: list[str],
) -> None:
    shown = values[rows]
    ends, behind = (np.where(shown > 0, scale(some[rows]), 0.0) for some in (values, tops))
    axes.barh(
        np.arange(rows.size),
        ends,
        height=0.72,
        color=[colours[k] for k in rows],
        edgecolor=INK,
        linewidth=0.4,
        zorder=2,
    )
    for row, (value, end) in enumerate(zip(shown, behind, strict=True)):
        axes.text(
            end + _GAP,
            row,
            percent(value) if value else "never",
            fontsize=SMALL,
            va="center_baseline",
            color=INK if value else MUTED,
            zorder=3,
        )
    set_x_axis(axes, scale, percent_tick, grid=False)


def _description(view: ScanView, frequency: np.ndarray, lines: str, *, log: bool) -> str:
    histogram = view.histogram
    top = order_of(histogram.pixels, "frequency")[:3]
    listed = ", ".join(
        f"{printable(view.catalog.names[k])} {percent(frequency[k])}" for k in top if frequency[k]
    )
    absent = int((~histogram.present).sum())
    text = f"Bars of the pixel frequency of {counted(len(view.catalog), 'class')}"
    text += " on a logarithmic axis" if log else ""
    text += f", most frequent: {listed}" if listed else ""
    text += f"; {counted(absent, 'class')} never occur" if absent else ""
    text += f". Lines: {lines}" if lines else ""
    if presence_of(histogram) is None:
        return f"{text}. The share of masks is unknown."
    return f"{text}. Beside them the share of the {masks_of(histogram)}."
