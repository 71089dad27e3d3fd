"""`compare`: the class frequencies of several scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskstat.naming import counted, printable
from maskstat.render.plots.choices import Order
from maskstat.render.plots.drawing import Drawing, ScanView, masks_of, presence_of
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
from maskstat.render.plots.whiskers import Whiskers
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.known import known

_APART = 0.2  # of a row, from the line of one scan to that of the next


def draw(views: Sequence[ScanView], *, order: Order = "frequency") -> Drawing:
    """Pixel frequency and share of masks of every class in every scan; a bar spans each row.

    Classes are matched by name. 0 has a place of its own left of the logarithmic axis; a class
    that a scan's catalogue does not have gets no dot of it. Where counts were given, the share of
    masks is unknown and has no dots. Lines in the colour of a scan are its 95% intervals.

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
        if (known_presence := presence_of(histogram)) is not None:
            presence[number, at] = known_presence
    together = np.nansum(frequency, axis=0)
    ranks = np.empty(len(catalog), np.int64)
    ranks[np.argsort(together, kind="stable")] = np.arange(len(catalog))
    ranks[together == 0] = 0
    rows, note = shown_rows(order_of(ranks, order))
    widths = (170.0, 80.0) if rows.size > 80 else (270.0, 120.0)
    whiskers = [
        None if (some := Whiskers.of_shares(view)) is None else some.among(at, len(catalog))
        for view, at in zip(views, positions, strict=True)
    ]
    labels = [_label(view, some) for view, some in zip(views, whiskers, strict=True)]
    dots = [
        [
            Series(label, table[n], SERIES[n % len(SERIES)], marker(n), "")
            for n, label in enumerate(labels)
        ]
        for table in (frequency, presence)
    ]
    sure = any(some is not None and some.words for some in whiskers)
    columns = [Column("share of labelled pixels" + "\n(95% intervals)" * sure, widths[0])]
    if has_masks := any(presence_of(view.histogram) is not None for view in views):
        columns.append(Column(f"share of {_rows(views)}", widths[1]))
    sheet = row_sheet(catalog, rows, columns, legend=series_entries(dots[0]), note=note)
    shown = frequency[:, rows][~np.isnan(frequency[:, rows])]
    ends = [some.ends(shown, rows, log=True) for some in whiskers if some is not None]
    scale = Scale.over(np.concatenate([shown, *ends]), widths[0], log=True)
    draw_series(sheet, dots[0], scale, percent_tick, spread=True)
    for number, some in enumerate(whiskers):
        if some is None:
            continue
        lower = _APART * (number - (len(views) - 1) / 2)  # below the line of the scan before
        for panel in sheet.panels:
            colour = dots[0][number].colour
            some.draw(panel.axes[0], panel.rows, scale, lower=lower, colour=colour)
    if has_masks:
        whole = Scale(-0.02, 1.02, widths[1])
        draw_series(sheet, dots[1], whole, percent_tick, column=1, spread=True)
    return Drawing(sheet.figure, _description(views, catalog, frequency, sure=sure))


def _label(view: ScanView, whiskers: Whiskers | None) -> str:
    masks = known(view.histogram, "mask_count")
    count = "masks unknown" if masks is None else masks_of(view.histogram)
    if whiskers is not None and whiskers.unit == "group":
        count += f", {whiskers.sample}"
    return f"{printable(view.name)} ({count})"


def _rows(views: Sequence[ScanView]) -> str:
    """What the scans are of: masks, or what training sees of them."""
    return " or ".join(dict.fromkeys(f"{view.histogram.row}s" for view in views))


def joined_catalog(views: Sequence[ScanView]) -> tuple[ClassCatalog, list[list[int]]]:
    """The classes of all scans by name, and for each scan where its classes stand among them."""
    merged: dict[str, ClassInfo] = {}
    for view in views:
        for info in view.catalog.classes:
            kept = merged.setdefault(
                info.name, ClassInfo(len(merged), info.name, (), (), info.colour)
            )
            if kept.colour is None and info.colour is not None:
                merged[info.name] = ClassInfo(kept.index, kept.name, (), (), info.colour)
    places = [[merged[name].index for name in view.catalog.names] for view in views]
    return ClassCatalog(tuple(merged.values()), origin="inferred"), places


def _description(
    views: Sequence[ScanView], catalog: ClassCatalog, frequency: np.ndarray, *, sure: bool
) -> str:
    names = [printable(view.name) for view in views]
    text = (
        f"Pixel frequency on a logarithmic axis and share of {_rows(views)} of"
        f" {counted(len(catalog), 'class')} in {', '.join(names)}"
    )
    missing = [
        f"{counted(int(count), 'class')} in {name}"
        for name, count in zip(names, (~(frequency > 0)).sum(axis=1), strict=True)
        if count
    ]
    text = f"{text}{'; without a pixel: ' + ', '.join(missing) if missing else ''}."
    text += " Lines in their colours: 95% intervals." if sure else ""
    lacking = [n for n, v in zip(names, views, strict=True) if presence_of(v.histogram) is None]
    return f"{text} The share of masks is unknown in {', '.join(lacking)}." if lacking else text
