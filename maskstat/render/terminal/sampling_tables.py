"""Sampling weights as tables: what an epoch looks like before and after."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskstat.errors import argument, call, spelled
from maskstat.naming import printable
from maskstat.render.terminal.tables import bar, colours_of, share, swatch_of
from maskstat.sampling.methods import METHODS
from maskstat.sampling.table import SamplingTable
from maskstat.values.catalog import ClassCatalog


def sampling_tables(sampling: SamplingTable, catalog: ClassCatalog | None = None) -> RenderableType:
    """Class mix and presence before and after, then what the weights cost."""
    colours = colours_of(catalog, len(sampling.mix))
    coloured = any(colour is not None for colour in colours)
    aimed = any(entry.target is not None for entry in sampling.mix)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    headings = ["#", *([""] if coloured else []), "class", "share\nbefore", "share\nafter"]
    headings += [*(["\ntarget"] if aimed else []), "", "in masks\nbefore", "in masks\nafter"]
    for heading in headings:
        left = heading in {"", "class"}
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    largest = max((entry.after for entry in sampling.mix), default=0.0) or 1.0
    for index, (colour, entry) in enumerate(zip(colours, sampling.mix, strict=True)):
        table.add_row(
            str(index),
            *([swatch_of(colour)] if coloured else []),
            Text(printable(entry.name)),
            share(entry.before) if entry.before else "never",
            share(entry.after) if entry.after else "never",
            *([share(entry.target or 0.0)] if aimed else []),
            Text(bar(entry.after / largest), style="cyan"),
            share(entry.presence_before),
            share(entry.presence_after),
        )
    return Group(table, Text("\n".join(_notes(sampling))))


def _notes(sampling: SamplingTable) -> Iterable[str]:
    parameters = ", ".join(f"{name} {value}" for name, value in sampling.parameters.items())
    yield f"Method {sampling.method}{f' ({parameters})' if parameters else ''}"
    weights = sampling.weights
    favour = float(weights.max() / weights.mean())
    most = f"; the most favoured is drawn {favour:.4g} times as often as on average"
    yield (
        f"Effectively {sampling.effective_masks:,.1f} of {len(sampling):,} masks"
        f"{most if favour > 1 else ''}"
    )
    if unlisted := sampling.provenance.get("unlisted_pixels"):
        check = spelled(call("Scan.check"))
        yield f"{unlisted:,} unlisted pixels are left out: '{check}' says which"
    if sampling.unit == "repeat factor":
        yield f"An epoch grows from {len(sampling):,} to {sampling.epoch_masks:,.1f} masks"
        if (weights == 1.0).all():
            yield (
                "Every factor is 1, since no class is rare enough: raise"
                f" {spelled(argument('parameters', {'threshold': None}))} to the share of masks"
                " below which a class counts as rare"
            )


def method_table() -> RenderableType:
    """Name, formula, parameters and source of every method."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("method", "formula", "parameters", "source"):
        table.add_column(heading, overflow="fold")
    for entry in METHODS.values():
        parameters = ", ".join(f"{name}={value}" for name, value in entry.parameters.items())
        table.add_row(entry.name, Text(entry.formula), Text(parameters), Text(entry.source))
    return table
