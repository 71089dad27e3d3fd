"""`costs`: what it costs to answer every pixel with one class, under no weights and under some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from maskstat.errors import WeightError
from maskstat.naming import counted, printable
from maskstat.render.documents.weighing import distinct, scheme_prices, scheme_weights
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView, under_recipe
from maskstat.render.plots.rows import (
    Column,
    Series,
    draw_series,
    row_sheet,
    series_entries,
    shown_rows,
)
from maskstat.render.plots.scale import Scale
from maskstat.render.plots.style import drawing_style, order_of, plain_tick
from maskstat.render.plots.weights import scheme_series
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.weights.costs import PriceList

DEFAULT_SCHEMES = ("equal-cost", "median-frequency", "sqrt", "uniform")


def draw(
    view: ScanView,
    *,
    schemes: str | Iterable[str] | None = None,
    order: Order = "frequency",
) -> Drawing:
    """What the constant predictors save in nats a labelled pixel, one dot a class and scheme.

    Always answering a class costs what being wrong everywhere costs, less what its own pixels save.
    That is drawn, on a log axis, where the most frequent class leaves room for the others; the
    costs themselves are in the description. Classes that never occur have no dot: always answering
    one of them saves nothing.

    Args:
        view: the scan.
        schemes: their names; where None `DEFAULT_SCHEMES`, "uniform" being no weights.
        order: of the classes, "frequency" or "catalog".

    Raises:
        WeightError: no scheme has weights here.
    """
    tables = scheme_weights(view.histogram, schemes or DEFAULT_SCHEMES)
    groups = distinct(tables)
    if not groups:
        raise WeightError(str(next(iter(tables.values()))))
    prices = scheme_prices(view.histogram, {group.names[0]: group.table for group in groups})
    return _dots(view.histogram, [group.names for group in groups], list(prices.values()), order)


@drawing_style()
def draw_prices(
    histogram: ClassHistogram, prices: Mapping[str, PriceList], *, order: Order = "frequency"
) -> Drawing:
    """The same of any price lists of these counts, by what they are called.

    The one called "no weights" is drawn in ink.

    Raises:
        ParameterError: an unknown order.
    """
    names = [("uniform",) if name == "no weights" else (name,) for name in prices]
    drawing = _dots(histogram, names, list(prices.values()), order)
    return under_recipe(drawing, {"": histogram.seen})


def _dots(
    histogram: ClassHistogram,
    names: Sequence[Sequence[str]],
    prices: Sequence[PriceList],
    order: Order,
) -> Drawing:
    occurs = histogram.present
    costs = [np.where(occurs, price.costs, np.nan) for price in prices]
    saved = [np.where(occurs, price.saved, np.nan) for price in prices]
    series = scheme_series(names, saved)
    rows, note = shown_rows(order_of(histogram.pixels, order))
    width = 250.0 if rows.size > 80 else 340.0
    sheet = row_sheet(
        histogram.catalog,
        rows,
        (Column("saved by always answering this class\n(nats a labelled pixel)", width),),
        legend=series_entries(series),
        note=note,
    )
    shown = np.array([s.values[rows] for s in series])
    scale = Scale.over(shown[~np.isnan(shown)], width, log=True)
    draw_series(sheet, series, scale, plain_tick)
    said = scheme_series(names, costs)
    return Drawing(sheet.figure, _description(histogram.catalog, said))


def _description(catalog: ClassCatalog, series: list[Series]) -> str:
    parts = []
    for s in series:
        cheapest = printable(catalog.names[int(np.nanargmin(s.values))])
        low, high = np.nanmin(s.values), np.nanmax(s.values)
        spread = f"{low:.4g} ({cheapest}) to {high:.4g}"
        parts.append(f"{s.label} {spread if high - low > 1e-9 * high else f'{low:.4g} for all'}")
    return (
        f"What answering every pixel with one of {counted(len(catalog), 'class')} saves against"
        " being wrong everywhere. It costs, in nats a labelled pixel, by scheme:"
        f" {'; '.join(parts)}."
    )
