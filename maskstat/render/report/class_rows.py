"""The table of classes: a row a class, by share, with the numbers that sorting goes by."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from maskstat.naming import percent
from maskstat.render.report import svg
from maskstat.render.report.subject import Subject
from maskstat.render.report.wording import number
from maskstat.statistics.findings import THIN_WIDTH

SHOWN_ROWS = 30
DENSE = 40


class Cell(NamedTuple):
    """What sorting goes by, how it is written, and its classes in the style sheet."""

    value: float | str
    text: Markup | str
    kind: str = "n"


class ClassColumn(NamedTuple):
    """A heading: its text, what it means, and its classes; one without a text is a drawing."""

    key: str
    text: Markup | str
    meaning: str
    kind: str = "n"


class ClassRow(NamedTuple):
    """A class's row."""

    number: int
    name: str
    group: str
    swatch: Markup
    cells: list[Cell]
    more: bool


def intervals_of(subject: Subject) -> list[tuple[float, float] | None]:
    """95% intervals of the shares; None of a class where nobody knows it."""
    found = (row["interval"] for row in subject.document["classes"])
    return [None if interval is None else (interval[0], interval[1]) for interval in found]


def axis_of(subject: Subject) -> svg.ShareAxis:
    """The log axis of the shares and their intervals."""
    lows = [interval[0] for interval in intervals_of(subject) if interval is not None]
    return svg.ShareAxis.over([*subject.shares.tolist(), *lows])


def columns(subject: Subject, axis: svg.ShareAxis, weight: str) -> list[ClassColumn]:
    """The headings after the class's name."""
    unit = subject.unit
    known = subject.document["unknown"]
    found = [
        ClassColumn("index", "#", "index of the class: what weights and labels go by", "n lo"),
        ClassColumn("values", "Value", "raw values in the files", "n lo"),
        ClassColumn("share", "Share", "of the labelled pixels"),
        ClassColumn("dot", axis.ticks, "share on a log axis, with its 95% interval", "d"),
    ]
    if subject.document["labelled_pixels"] is not None:
        found.append(ClassColumn("pixels", "Pixels", "labelled pixels", "n lo2"))
    if "masks" not in known:
        found.append(
            ClassColumn(
                "masks", f"{unit.capitalize()}s", f"{unit}s that contain the class", "n masks"
            )
        )
        if "mask_count" not in known:
            found.append(ClassColumn("presence", "", f"share of the {unit}s that contain it", "d2"))
    if "image_pixels" not in known:
        found.append(
            ClassColumn(
                "there", "Share there", f"of the pixels of {unit}s that contain it", "n lo3"
            )
        )
    if subject.profile is not None:
        found += [
            ClassColumn(
                "parts", "Parts", "connected components, joined by edges and corners", "n lo"
            ),
            ClassColumn("median", "Median px", "pixels of the median component", "n lo"),
            ClassColumn(
                "width", "Width px", "twice the pixels over the outline: how thin it is", "n lo"
            ),
        ]
    if weight:
        found.append(ClassColumn("weight", "Weight", weight, "n wt"))
    return found


def class_rows(
    subject: Subject, axis: svg.ShareAxis, chosen: list[ClassColumn], weights: list[float] | None
) -> list[ClassRow]:
    """The rows of the classes on the page, the most frequent first."""
    intervals = intervals_of(subject)
    limit = SHOWN_ROWS if len(subject.shown) > DENSE else len(subject.shown)
    rows = []
    for place, k in enumerate(subject.shown):
        cells = _cells(subject, axis, k, intervals, weights)
        rows.append(
            ClassRow(
                k,
                subject.names[k],
                subject.groups[subject.catalog.names[k]],
                svg.swatch(subject.colours[k]),
                [cells[column.key]._replace(kind=column.kind) for column in chosen]
                if not subject.profile
                else [_marked(cells, column) for column in chosen],
                place >= limit,
            )
        )
    return rows


def _marked(cells: dict[str, Cell], column: ClassColumn) -> Cell:
    """The cell with its column's classes, and its own mark behind them."""
    cell = cells[column.key]
    return cell._replace(kind=f"{column.kind} {cell.kind}" if cell.kind != "n" else column.kind)


def _cells(
    subject: Subject,
    axis: svg.ShareAxis,
    k: int,
    intervals: list[tuple[float, float] | None],
    weights: list[float] | None,
) -> dict[str, Cell]:
    row = subject.document["classes"][k]
    share, masks = row["frequency"], subject.document["masks"]
    values = row["values"]
    shown = ", ".join(map(str, values[:3])) + (" …" if len(values) > 3 else "")
    cells = {
        "index": Cell(k, str(k)),
        "values": Cell(values[0] if values else -1, shown),
        "share": Cell(share, percent(share) if share else "never"),
        "dot": Cell(share, axis.dot(share, intervals[k])),
        "pixels": _count(row["pixels"]),
        "masks": _count(row["masks"]),
    }
    if row["masks"] is not None and masks is not None:
        presence = row["masks"] / max(masks, 1)
        cells["presence"] = Cell(presence, svg.bar(presence, "thin"))
    if row["image_pixels"] is not None:
        there = row["pixels"] / row["image_pixels"] if row["image_pixels"] else 0.0
        cells["there"] = Cell(there, percent(there) if there else "–")
    if subject.profile is not None:
        found = subject.document["profile"]["classes"][k]
        parts, width = found["components"], found["width"]
        thin = "warn" if width is not None and width <= THIN_WIDTH else "n"
        cells |= {
            "parts": Cell(parts, f"{parts:,}"),
            "median": Cell(
                found["sizes"]["median"], f"{found['sizes']['median']:,}" if parts else "–"
            ),
            "width": Cell(width or 0, "–" if width is None else f"{width:.3g}", thin),
        }
    if weights is not None:
        cells["weight"] = Cell(weights[k], number(weights[k]) if share else "–")
    return cells


def _count(count: int | None) -> Cell:
    return Cell(-1, "") if count is None else Cell(count, f"{count:,}")
