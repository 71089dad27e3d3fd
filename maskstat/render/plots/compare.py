"""`compare`: the class frequencies of several scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskstat.naming import counted, printable
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.rows import (
    Column,
    Series,
    draw_series,
    marker,
    row_sheet,
    series_entries,
    shown_rows,
)
from maskstat.render.plots.scale import Scale
from maskstat.render.plots.style import SERIES, order_of, percent_tick
from maskstat.values.catalog import ClassCatalog, ClassInfo


def draw(views: Sequence[ScanView], *, order: Order = "frequency") -> Drawing:
    """Pixel frequency and share of masks of every class in every scan; a bar spans each row.

    Classes are matched by name. 0 has a place of its own left of the logarithmic axis; a class
    that a scan's catalogue does not have gets no dot of it.

    Args:
        views: two or more scans.
        order: of the classes, by "frequency" in all scans together, or "catalog".
    """
    catalog, positions = joined_catalog(views)
    frequency = np.full((len(views), len(catalog)), np.nan)
    presence = np.full_like(frequency, np.nan)
    for number, (view, at) in enumerate(zip(views, positions, strict=True)):
        histogram = view.histogram
        frequency[number, at] = histogram.frequency
        presence[number, at] = histogram.masks / max(histogram.mask_count, 1)
    together = np.nansum(frequency, axis=0)
    ranks = np.empty(len(catalog), np.int64)
    ranks[np.argsort(together, kind="stable")] = np.arange(len(catalog))
    ranks[together == 0] = 0
    rows, note = shown_rows(order_of(ranks, order))
    widths = (170.0, 80.0) if rows.size > 80 else (270.0, 120.0)
    labels = [f"{printable(v.name)} ({counted(v.histogram.mask_count, 'mask')})" for v in views]
    columns = []
    for table in (frequency, presence):
        columns.append(
            [
                Series(label, table[n], SERIES[n % len(SERIES)], marker(n), "")
                for n, label in enumerate(labels)
            ]
        )
    sheet = row_sheet(
        catalog,
        rows,
        (Column("share of labelled pixels", widths[0]), Column("share of masks", widths[1])),
        legend=series_entries(columns[0]),
        note=note,
    )
    shown = frequency[:, rows]
    scale = Scale.over(shown[~np.isnan(shown)], widths[0], log=True)
    draw_series(sheet, columns[0], scale, percent_tick, spread=True)
    draw_series(
        sheet, columns[1], Scale(-0.02, 1.02, widths[1]), percent_tick, column=1, spread=True
    )
    return Drawing(sheet.figure, _description(views, catalog, frequency))


def joined_catalog(views: Sequence[ScanView]) -> tuple[ClassCatalog, list[list[int]]]:
    """The classes of all scans by name, and for each scan where its classes stand among them."""
    merged: dict[str, ClassInfo] = {}
    for view in views:
        for info in view.catalog.classes:
            known = merged.setdefault(
                info.name, ClassInfo(len(merged), info.name, (), (), info.colour)
            )
            if known.colour is None and info.colour is not None:
                merged[info.name] = ClassInfo(known.index, known.name, (), (), info.colour)
    places = [[merged[name].index for name in view.catalog.names] for view in views]
    return ClassCatalog(tuple(merged.values()), origin="inferred"), places


def _description(views: Sequence[ScanView], catalog: ClassCatalog, frequency: np.ndarray) -> str:
    names = [printable(view.name) for view in views]
    text = (
        f"Pixel frequency on a logarithmic axis and share of masks of"
        f" {counted(len(catalog), 'class')} in {', '.join(names)}"
    )
    missing = [
        f"{counted(int(count), 'class')} in {name}"
        for name, count in zip(names, (~(frequency > 0)).sum(axis=1), strict=True)
        if count
    ]
    return f"{text}{'; without a pixel: ' + ', '.join(missing) if missing else ''}."
