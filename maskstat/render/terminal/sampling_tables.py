"""Sampling weights as tables: what an epoch looks like before and after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.errors import argument, call, spelled
from maskstat.naming import percent
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import bar_of, class_columns, colours_of, share_or_never
from maskstat.sampling.table import SamplingTable
from maskstat.values.catalog import ClassCatalog


def sampling_tables(
    sampling: SamplingTable, catalog: ClassCatalog | None = None, rows: RowChoice = ALL
) -> RenderableType:
    """Class mix and presence before and after, then what the weights cost."""
    mix = sampling.mix
    frequency = [entry.before for entry in mix]
    shown = rows.of(frequency)
    chosen = [mix[k] for k in shown.indices]
    largest = max((entry.after for entry in mix), default=0.0) or 1.0
    columns = class_columns(shown, [entry.name for entry in mix], colours_of(catalog, len(mix)))
    columns += [
        TableColumn("share\nbefore", [share_or_never(entry.before) for entry in chosen], goes=1),
        TableColumn("share\nafter", [share_or_never(entry.after) for entry in chosen]),
    ]
    if any(entry.target is not None for entry in mix):
        targets = [percent(entry.target or 0.0) for entry in chosen]
        columns.append(TableColumn("\ntarget", targets, goes=LAST + 1))
    columns += [
        TableColumn("", [bar_of(entry.after / largest) for entry in chosen], "bar", 3, "cyan"),
        TableColumn(
            "in masks\nbefore", [percent(entry.presence_before) for entry in chosen], goes=LAST + 2
        ),
        TableColumn(
            "in masks\nafter", [percent(entry.presence_after) for entry in chosen], goes=LAST
        ),
    ]

    def say(left: Sequence[int]) -> str:
        return f", together {percent(math.fsum(mix[k].after for k in left))} after"

    table = Fitted(columns, shown.gaps(frequency, say))
    return Group(table, Text("\n".join(_notes(sampling))))


def _notes(sampling: SamplingTable) -> Iterable[str]:
    parameters = ", ".join(f"{name} {value}" for name, value in sampling.parameters.items())
    yield f"Method {sampling.method}{f' ({parameters})' if parameters else ''}"
    weights = sampling.weights
    favour = float(weights.max() / weights.mean())
    most = f"; the most favoured is drawn {favour:.4g} times as often as on average"
    if favour > 1:
        yield f"Effectively {sampling.effective_masks:,.1f} of {len(sampling):,} masks{most}"
    if unlisted := sampling.provenance.get("unlisted_pixels"):
        check = spelled(call("Scan.check"))
        yield f"{unlisted:,} unlisted pixels are left out: '{check}' says which"
    if sampling.unit == "repeat factor":
        if not (weights == 1.0).all():
            yield f"An epoch grows from {len(sampling):,} to {sampling.epoch_masks:,.1f} masks"
        else:
            yield (
                "Every factor is 1, and an epoch stays as it is, since no class is rare enough:"
                f" raise {spelled(argument('parameters', {'threshold': None}))} to the share of"
                " masks below which a class counts as rare"
            )
