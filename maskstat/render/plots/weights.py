"""`weights`: the weights of all schemes side by side, on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from maskstat.errors import WeightError
from maskstat.naming import counted
from maskstat.render.documents.weighing import (
    ABSENT,
    NORMALISATION,
    Group,
    distinct,
    scheme_weights,
)
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.rows import (
    Column,
    LegendEntry,
    Line,
    Series,
    draw_series,
    marker,
    row_sheet,
    series_entries,
    shown_rows,
)
from maskstat.render.plots.scale import Scale
from maskstat.render.plots.style import INK, SERIES, order_of, plain_tick
from maskstat.render.plots.whiskers import Whiskers
from maskstat.weights.any_scheme import weigh
from maskstat.weights.schemes import FloatArray

_LINES: tuple[Line, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))


def draw(
    view: ScanView, *, schemes: str | Iterable[str] | None = None, order: Order = "frequency"
) -> Drawing:
    """Weights that are scaled so that the average labelled pixel weighs 1, on a logarithmic axis.

    Schemes with equal weights share a line. Classes that never occur have no weight to show. The
    first scheme, which is equal cost where all are drawn, has its 95% intervals.

    Args:
        view: the scan.
        schemes: their names; all where None.
        order: of the classes, "frequency" or "catalog".

    Raises:
        WeightError: no scheme has weights here.
    """
    tables = scheme_weights(view.histogram, schemes)
    groups = distinct(tables)
    if not groups:
        raise WeightError(str(next(iter(tables.values()))))
    series = scheme_series(
        [group.names for group in groups], [_shown(group, view) for group in groups]
    )
    rows, note = shown_rows(order_of(view.histogram.pixels, order))
    width = 250.0 if rows.size > 80 else 340.0
    whiskers = _whiskers(view, groups[0].names[0])
    legend, words = series_entries(series), "" if whiskers is None else whiskers.words
    if words:
        legend.append(LegendEntry(f"{words}, of {groups[0].names[0]}", series[0].colour, "|", "-"))
    sheet = row_sheet(
        view.catalog,
        rows,
        (Column("weight, where the average pixel weighs 1", width),),
        legend=legend,
        note=note,
    )
    shown = np.array([s.values[rows] for s in series])
    shown = shown[~np.isnan(shown)]
    if whiskers is not None:
        shown = np.append(shown, whiskers.ends(shown, rows, log=True))
    scale = Scale.over(shown, width, log=True)
    draw_series(sheet, series, scale, plain_tick)
    if whiskers is not None:
        for panel in sheet.panels:
            whiskers.draw(panel.axes[0], panel.rows, scale, colour=series[0].colour)
    ranges = [
        f"{group.label} {np.nanmin(s.values):,.3g} to {np.nanmax(s.values):,.3g}"
        for group, s in zip(groups, series, strict=True)
    ]
    return Drawing(
        sheet.figure,
        f"Weights of {counted(len(view.catalog), 'class')} by scheme, scaled so that the average"
        f" pixel weighs 1: {'; '.join(ranges)}."
        + (f" Lines with caps: {words}, of {groups[0].names[0]}." if words else ""),
    )


def _whiskers(view: ScanView, scheme: str) -> Whiskers | None:
    """How sure the weights of a scheme are; None where nobody can say."""
    table = weigh(
        view.histogram,
        lambda: view.ledger,
        scheme,
        normalize=NORMALISATION,
        absent=ABSENT,
        unlisted="ignore",
        sample=lambda: view._contributing,
    )
    return None if table.intervals is None else Whiskers.of(table.intervals)


def _shown(group: Group, view: ScanView) -> FloatArray:
    return np.where(view.histogram.present, group.table.weights, np.nan)


def scheme_series(names: Sequence[Sequence[str]], values: Sequence[FloatArray]) -> list[Series]:
    """A colour, a marker and a line for each group of schemes that agree.

    No weights, the scheme "uniform", are drawn in ink.
    """
    series: list[Series] = []
    number = 0
    for group, numbers in zip(names, values, strict=True):
        label = " = ".join(group)
        if "uniform" in group:
            label = label.replace("uniform", "uniform (no weights)")
            series.append(Series(label, numbers, INK, "d", "--"))
            continue
        colour = SERIES[number % len(SERIES)]
        line = _LINES[number // len(SERIES) % len(_LINES)]
        series.append(Series(label, numbers, colour, marker(number), line))
        number += 1
    return series
