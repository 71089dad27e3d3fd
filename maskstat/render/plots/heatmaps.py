"""`heatmaps`: where in the mask each class lies, one small map a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.style import (
    GRID,
    INK,
    MUTED,
    NEUTRAL,
    SEQUENTIAL,
    SIZE,
    SMALL,
    axes_at,
    class_colours,
    drawing_style,
    figure_of,
    fitted,
    order_of,
    text_width,
    write_at,
)
from maskstat.values.catalog import ClassCatalog

MOST_CLASSES = 240
_EDGE, _GAP, _BAR_LENGTH, _BAR = 8.0, 8.0, 90.0, 7.0


def draw(view: ScanView, *, order: Order = "frequency") -> Drawing:
    """Heat maps of a scan's pixel profile.

    Raises:
        ProfileError: it has none.
        ParameterError: an unknown order.
    """
    profile = view.need_profile()
    return heat_figure(view.catalog, profile.heat[:-1], aspect=profile.aspect, order=order)


@drawing_style()
def heat_figure(
    catalog: ClassCatalog,
    heat: npt.NDArray[np.generic],
    *,
    aspect: float = 1.0,
    order: Order = "frequency",
) -> Drawing:
    """Small multiples of spatial heat maps.

    Every map has its own scale, from 0 to the class's fullest cell: maps show where a class lies,
    not how frequent it is.

    Args:
        catalog: K classes.
        heat: [K, G, G] pixels of each class in each cell, rows from top to bottom, >= 0.
        aspect: width over height of the masks.
        order: by "frequency" (all of a class's cells together) or "catalog".
    """
    heat = np.asarray(heat, np.float64)
    totals = heat.sum(axis=(1, 2))
    rows = order_of(totals, order)[:MOST_CLASSES]
    side, size = _tile(rows.size)
    width, height = side * max(1.0, aspect) ** 0.5, side / max(1.0, aspect) ** 0.5
    if aspect < 1:
        width, height = side * aspect**0.5, side / aspect**0.5
    line = 1.5 * size
    columns = _columns(rows.size, width, height + line)
    lines = max(1, -(-rows.size // columns))
    across = max(columns * (width + _GAP) - _GAP, 2 * _BAR_LENGTH + 60)
    figure = figure_of(across + 2 * _EDGE, lines * (height + line + _GAP) + 2 * _EDGE + 20)
    up = figure.get_size_inches()[1] * 72
    axes = axes_at(figure, 0, 0, across + 2 * _EDGE, up)
    axes.set_axis_off()
    axes.set_xlim(0, across + 2 * _EDGE)
    axes.set_ylim(0, up)
    colours = class_colours(catalog)
    for number, k in enumerate(rows.tolist()):
        left = _EDGE + number % columns * (width + _GAP)
        top = up - _EDGE - number // columns * (height + line + _GAP)
        coloured = catalog.classes[k].colour is not None
        _name(axes, catalog.names[k], colours[k] if coloured else None, left, top, width, size)
        _map(axes, heat[k], (left, left + width, top - line - height, top - line))
    _key(figure, catalog, heat.shape[1:], rows.size)
    return Drawing(figure, _description(catalog, heat, totals))


def _tile(count: int) -> tuple[float, float]:
    """Side of a square map and size of its name, in points."""
    if count <= 12:
        return 104.0, SIZE
    return (76.0, SMALL + 0.5) if count <= 42 else (50.0, 6.0)


def _columns(count: int, width: float, height: float) -> int:
    """As many columns as make a page of about 4:5."""
    ideal = (count * (height + _GAP) / (width + _GAP) * 0.8) ** 0.5
    return max(1, min(count, round(ideal) if count > 5 else count))


def _name(
    axes: Any, name: str, colour: str | None, left: float, top: float, width: float, size: float
) -> None:
    from matplotlib.patches import Rectangle

    swatch = 0.0
    if colour is not None:
        swatch = size
        corner = (left + 0.3, top - 1.12 * size)
        axes.add_patch(
            Rectangle(corner, 0.75 * size, 0.75 * size, facecolor=colour, edgecolor=INK, lw=0.4)
        )
    label = fitted(name, size, width - swatch)
    axes.text(left + swatch, top - 1.1 * size, label, fontsize=size, va="baseline")


def _map(axes: Any, cells: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle

    fullest = float(cells.max()) if cells.size else 0.0
    left, right, bottom, top = extent
    frame = Rectangle(
        (left, bottom),
        right - left,
        top - bottom,
        facecolor="none",
        edgecolor=NEUTRAL,
        linewidth=0.5,
    )
    if fullest > 0:
        image = AxesImage(axes, cmap=SEQUENTIAL, extent=extent, origin="upper")
        image.set_data(cells / fullest)
        image.set_clim(0, 1)
        axes.add_image(image)
    else:
        middle = ((left + right) / 2, (bottom + top) / 2)
        axes.text(*middle, "never", color=MUTED, fontsize=SMALL, ha="center", va="center")
        frame.set_facecolor(GRID)
        frame.set_alpha(0.4)
    axes.add_patch(frame)


def _key(figure: Any, catalog: ClassCatalog, cells: tuple[int, ...], shown: int) -> None:
    first, last = "none", "most pixels of the class in a cell"
    left = _EDGE + text_width(first, SMALL) + 4
    axes = axes_at(figure, left, 9, _BAR_LENGTH, _BAR)
    axes.imshow(np.linspace(0, 1, 256)[None, :], cmap=SEQUENTIAL, aspect="auto")
    axes.set_axis_off()
    write_at(figure, _EDGE, 9, first, fontsize=SMALL)
    if left_out := len(catalog) - shown:
        last = f"{last}; {counted(left_out, 'rarer class')} left out"
    write_at(figure, left + _BAR_LENGTH + 4, 9, last, fontsize=SMALL)


def _description(catalog: ClassCatalog, heat: np.ndarray, totals: np.ndarray) -> str:
    rows = (np.arange(heat.shape[1]) + 0.5) / max(heat.shape[1], 1)
    heights = (heat.sum(axis=2) * rows).sum(axis=1) / np.maximum(totals, 1)
    text = f"Maps of where each of {counted(len(catalog), 'class')} lies in the masks"
    some = np.flatnonzero(totals > 0)
    if not some.size:
        return f"{text}."
    high, low = some[np.argmin(heights[some])], some[np.argmax(heights[some])]
    return (
        f"{text}. Highest on average is {printable(catalog.names[high])}, lowest"
        f" {printable(catalog.names[low])}."
    )
