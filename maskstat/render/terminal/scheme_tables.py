"""Weight schemes as tables: their formulas, and what each costs on the same counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.errors import WeightError
from maskstat.naming import percent, printable
from maskstat.render.documents.weighing import distinct, price_of
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn, cut
from maskstat.render.terminal.tables import bar_of
from maskstat.sampling.methods import Method
from maskstat.weights.schemes import Scheme
from maskstat.weights.table import WeightTable

_MOST_CLASSES = 6
_NAME = 10  # cells of a class's name over its weights
_LEGEND = (
    "Spread of costs: how much more the dearest constant answer costs than the cheapest.",
    "Effective pixels: how many equally weighted pixels give as steady a loss.",
    "Shares of the loss: the largest class's to the smallest's.",
)


def compare_table(tables: Mapping[str, WeightTable | WeightError]) -> RenderableType:
    """A scheme a row, by its prices, the most equal costs first; equal ones once.

    A scheme that has no weights here says why below.
    """
    usable = {name: table for name, table in tables.items() if isinstance(table, WeightTable)}
    groups = distinct({name: _scaled(table) for name, table in usable.items()})
    prices = [price_of(usable[group.names[0]]) for group in groups]
    order = sorted(
        range(len(groups)), key=lambda k: (round(prices[k].spread, 9), -prices[k].effective)
    )
    groups, prices = [groups[k] for k in order], [prices[k] for k in order]
    widest = max((price.spread for price in prices), default=0.0) or 1.0
    columns = [
        TableColumn("scheme", [group.names[0] for group in groups], "text"),
        TableColumn("spread\nof costs", [percent(_zero(price.spread)) for price in prices]),
        TableColumn(
            "", [bar_of(price.spread / widest) for price in prices], "bar", LAST + 9, "cyan"
        ),
        TableColumn("effective\npixels", [percent(price.effective) for price in prices], goes=2),
        TableColumn("shares\nof loss", [_number(price.loss_ratio) for price in prices], goes=1),
        TableColumn("weights\napart", [_number(price.weight_ratio) for price in prices], goes=3),
        *_weights_of_classes([group.table for group in groups]),
    ]
    lines = [f"{group.label} up to a factor" for group in groups if len(group.names) > 1]
    if groups:
        lines.append("All weights here are scaled so that the average pixel weighs 1.")
    lines += [f"{name}: {why}" for name, why in tables.items() if isinstance(why, WeightError)]
    return Group(Fitted(columns), Text("\n".join([*lines, *_LEGEND])))


def _weights_of_classes(tables: Sequence[WeightTable]) -> Iterable[TableColumn]:
    """The weight of the most frequent and the rarest class, of a few more where there is room."""
    if not tables:
        return
    frequency = tables[0].frequency
    occurring = [int(k) for k in np.argsort(-frequency, kind="stable") if frequency[k] > 0]
    half = _MOST_CLASSES // 2
    if len(occurring) > _MOST_CLASSES:
        occurring = occurring[:half] + occurring[-half:]
    names = [cut(printable(tables[0].names[k]), _NAME) for k in occurring]
    for place, (k, name) in enumerate(zip(occurring, names, strict=True)):
        from_the_end = min(place, len(occurring) - 1 - place)
        heading = f"weight of\n{name if names.count(name) == 1 else f'class {k}'}"
        cells = [_number(float(table.weights[k])) for table in tables]
        yield TableColumn(heading, cells, goes=LAST + from_the_end, called="weights of classes")


def _zero(spread: float) -> float:
    """Rounding in the last place is no spread."""
    return 0.0 if spread <= 1e-9 else spread


def _scaled(table: WeightTable) -> WeightTable:
    """The same weights, of which the average pixel has 1."""
    average = float(table.frequency @ table.weights)
    return replace(table, weights=table.weights / average) if average > 0 else table


def _number(value: float) -> str:
    if value == float("inf"):
        return "no end"
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def formula_table(noun: str, entries: Collection[Method | Scheme]) -> RenderableType:
    """Name, formula, parameters and source of every weight scheme or sampling method."""
    parameters = [
        ", ".join(f"{name}={value}" for name, value in entry.parameters.items())
        for entry in entries
    ]
    columns = [
        TableColumn(noun, [entry.name for entry in entries], "text"),
        TableColumn("formula", [entry.formula for entry in entries], "words"),
        TableColumn("parameters", parameters, "words", LAST + 1),
        TableColumn("source", [entry.source for entry in entries], "words", LAST + 2),
    ]
    return Fitted(columns)
