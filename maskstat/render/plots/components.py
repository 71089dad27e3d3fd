"""`components`: how many connected components each class has, and how large they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.rows import Column, row_sheet, shown_rows
from maskstat.render.plots.scale import Scale, set_x_axis
from maskstat.render.plots.style import (
    INK,
    MUTED,
    NEUTRAL,
    SMALL,
    class_colours,
    drawing_style,
    order_of,
    plain_tick,
    text_width,
)
from maskstat.values.catalog import ClassCatalog

_GAP = 3.0


def draw(view: ScanView, *, order: Order = "frequency") -> Drawing:
    """Components of a scan's pixel profile, joined by edges and corners.

    Raises:
        ProfileError: it has none.
        ParameterError: an unknown order.
    """
    return component_figure(view.catalog, view.need_profile().eight.size_histogram, order=order)


@drawing_style()
def component_figure(
    catalog: ClassCatalog, sizes: npt.NDArray[np.integer], *, order: Order = "frequency"
) -> Drawing:
    """Size distribution and number of the components of every class.

    Every distribution has its own height: it shows shares of the class's components.

    Args:
        catalog: K classes.
        sizes: int[K, J], components with an area from 2^j up to 2^(j+1) - 1 pixels.
        order: by number of components ("frequency") or "catalog".
    """
    sizes = np.asarray(sizes, np.int64)
    totals = sizes.sum(axis=1)
    rows, note = shown_rows(order_of(totals, order))
    widths = (170.0, 80.0) if rows.size > 80 else (270.0, 110.0)
    sheet = row_sheet(
        catalog,
        rows,
        (Column("component area (pixels)", widths[0]), Column("components", widths[1])),
        note=note,
    )
    used = np.flatnonzero(sizes.any(axis=0))
    bins = int(used[-1]) + 1 if used.size else 1
    shares = sizes[:, :bins] / np.maximum(totals, 1)[:, None]
    counts = _count_scale(totals[rows], widths[1])
    colours = class_colours(catalog)
    areas = Scale(1.0, 2.0**bins, widths[0], log=True)
    for panel in sheet.panels:
        _histograms(panel.axes[0], shares[panel.rows], areas, [colours[k] for k in panel.rows])
        _bars(panel.axes[1], totals[panel.rows], counts)
    return Drawing(sheet.figure, _description(catalog, totals, sizes))


def _histograms(axes: Any, shares: np.ndarray, areas: Scale, colours: list[str]) -> None:
    """A histogram a class, as high as its row where most of its components are."""
    from matplotlib.collections import PolyCollection

    tops = shares.max(axis=1, initial=0.0)
    edges = areas(2.0 ** np.arange(shares.shape[1] + 1))
    outlines = []
    for row, (heights, top) in enumerate(zip(shares, tops, strict=True)):
        base = row + 0.42
        if top == 0:
            axes.text(4, row, "none", fontsize=SMALL, va="center_baseline", color=MUTED, zorder=3)
            continue
        steps = base - 0.84 * np.repeat(heights / top, 2)
        outline = np.column_stack([np.repeat(edges, 2)[1:-1], steps])
        outlines.append([(edges[0], base), *outline.tolist(), (edges[-1], base)])
    filled = [colour for colour, top in zip(colours, tops, strict=True) if top > 0]
    axes.add_collection(
        PolyCollection(outlines, facecolors=filled, edgecolors=INK, linewidths=0.4, zorder=2),
        autolim=False,
    )
    set_x_axis(axes, areas, plain_tick)


def _count_scale(totals: np.ndarray, length: float) -> Scale:
    """Logarithmic from below 1, so that a single component still has a bar."""
    positive = totals[totals > 0]
    if not positive.size:
        return Scale(0.5, 10.0, length, log=True)
    room = min(length - _GAP - text_width(f"{count:,}", SMALL) for count in positive.tolist())
    unit = room / np.log10(max(float(positive.max()), 2.0) / 0.5)
    return Scale(0.5, float(0.5 * 10 ** (length / unit)), length, log=True)


def _bars(axes: Any, totals: np.ndarray, scale: Scale) -> None:
    ends = np.where(totals > 0, scale(totals), 0.0)
    axes.barh(np.arange(totals.size), ends, height=0.72, color=NEUTRAL, edgecolor=INK, lw=0.4)
    for row, (count, end) in enumerate(zip(totals.tolist(), ends.tolist(), strict=True)):
        axes.text(
            end + _GAP,
            row,
            f"{count:,}",
            fontsize=SMALL,
            va="center_baseline",
            color=INK if count else MUTED,
        )
    set_x_axis(axes, scale, plain_tick, grid=False)


def _description(catalog: ClassCatalog, totals: np.ndarray, sizes: np.ndarray) -> str:
    text = (
        f"Distribution of the areas of connected components of {counted(len(catalog), 'class')},"
        " on a logarithmic axis, and their number"
    )
    if not totals.any():
        return f"{text}: none."
    most = int(np.argmax(totals))
    single = int(sizes[:, 0].sum())
    return (
        f"{text}. {counted(int(totals.sum()), 'component')}, most of"
        f" {printable(catalog.names[most])}, {totals[most]:,}; {single:,} are single pixels."
    )
