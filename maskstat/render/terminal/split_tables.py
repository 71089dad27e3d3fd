"""A split as tables: what can't be, a verdict, the parts, the classes, and how it was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.naming import percent, printable
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import class_columns, colours_of, share_or_never
from maskstat.splits.certificate import Certificate
from maskstat.splits.plan import SplitPlan
from maskstat.splits.wording import notes, scarcities, verdict
from maskstat.values.catalog import ClassCatalog


def split_tables(
    plan: SplitPlan, catalog: ClassCatalog | None = None, rows: RowChoice = ALL
) -> RenderableType:
    """Scarce classes first, then the verdict, the parts, the classes, and notes."""
    noun = "mask" if plan.group_rule == "mask" else "group"
    first = scarcities(plan.certificate, noun)
    return Group(
        *([Text("\n".join(first) + "\n", style="yellow")] if first else []),
        Text(verdict(plan) + "\n"),
        _part_table(plan),
        _class_table(plan.certificate, catalog, rows, noun),
        Text("\n".join(notes(plan))),
    )


def _part_table(plan: SplitPlan) -> Fitted:
    found = plan.certificate
    error = np.abs(found.share_error)[:, found.common].max(axis=1, initial=0.0)
    without = (found.masks[:, found.groups_with > 0] == 0).sum(axis=1)
    return Fitted(
        [
            TableColumn("part", [printable(part) for part in plan.parts], "name"),
            TableColumn("ratio", [percent(float(ratio)) for ratio in found.ratio]),
            TableColumn("masks", [f"{size:,}" for size in found.sizes.tolist()]),
            TableColumn("wanted", [f"{size:,}" for size in plan.target.tolist()], goes=LAST + 1),
            TableColumn("labelled\npixels", [f"{n:,}" for n in found.pixels.sum(1).tolist()]),
            TableColumn("largest\nshare error", [percent(each) for each in error.tolist()]),
            TableColumn("classes\nmissing", [f"{n:,}" for n in without.tolist()]),
        ]
    )


def _class_table(
    found: Certificate, catalog: ClassCatalog | None, rows: RowChoice, noun: str
) -> Fitted:
    pixels = found.pixels.sum(axis=0)
    frequency = (pixels / max(int(pixels.sum()), 1)).tolist()
    shown = rows.of(frequency)
    worst = [
        np.abs(errors).max(axis=0).tolist()
        for errors in (found.share_error, found.pixel_error, found.presence_error)
    ]
    colours = colours_of(catalog, len(found.classes))

    def cells(values: Sequence[float]) -> list[str]:
        return [percent(values[k]) if frequency[k] else "" for k in shown.indices]

    def floors(values: Sequence[float], met: Sequence[bool]) -> list[str]:
        # a floor of 0 that may not be met says nothing
        known = [bool(frequency[k]) and (met[k] or values[k] > 0) for k in shown.indices]
        return [
            f"{'' if met[k] else '≥ '}{percent(values[k])}" if some else ""
            for k, some in zip(shown.indices, known, strict=True)
        ]

    columns = class_columns(shown, found.classes, colours)
    columns += [
        TableColumn("share", [share_or_never(frequency[k]) for k in shown.indices]),
        TableColumn(f"{noun}s\nwith it", [f"{found.groups_with[k]:,}" for k in shown.indices]),
        TableColumn("share\nerror", cells(worst[0])),
        TableColumn("pixel\nerror", cells(worst[1]), goes=LAST + 1),
        TableColumn(
            "at best\nalone",
            floors(found.pixel_floor.tolist(), found.pixel_floor_met.tolist()),
            goes=LAST + 3,
        ),
        TableColumn("masks\nerror", cells(worst[2])),
        TableColumn(
            "at best\nalone",
            floors(found.presence_floor.tolist(), found.presence_floor_met.tolist()),
            goes=LAST + 2,
        ),
    ]

    def say(left: Sequence[int]) -> str:
        largest = max((worst[0][k] for k in left if frequency[k]), default=0.0)
        return f", share errors up to {percent(largest)}"

    filled = [column for column in columns if any(map(str, column.cells))]
    return Fitted(filled, shown.gaps(frequency, say))
