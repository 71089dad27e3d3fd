"""What training sees beside what the folder holds, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.exposure.rescaling import MIDPOINTS
from maskstat.naming import counted, percent, printable
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import class_columns, colours_of, share_or_never
from maskstat.values.catalog import ClassCatalog


def exposure_tables(
    document: Mapping[str, Any], catalog: ClassCatalog | None = None, rows: RowChoice = ALL
) -> RenderableType:
    """A row a class, those whose share differs most first; then what was seen, and how."""
    classes = document["classes"]
    apart = [_apart(row) for row in classes]
    shown = rows.of([abs(math.log2(times)) if times else 0.0 for times in apart])
    chosen = [classes[k] for k in shown.indices]
    columns = class_columns(
        shown, [row["name"] for row in classes], colours_of(catalog, len(classes))
    )
    columns += [
        TableColumn("share of\nfolder", [share_or_never(row["frequency"]) for row in chosen]),
        TableColumn("share of\ncrops", [share_or_never(row["exposure"]) for row in chosen]),
        TableColumn("\ntimes", [_times(apart[k]) for k in shown.indices]),
        TableColumn("in\nmasks", [percent(row["in_masks"]) for row in chosen], goes=2),
        TableColumn("in\ncrops", [percent(row["in_crops"]) for row in chosen], goes=LAST),
        TableColumn("in\nbatches", [percent(row["in_batches"]) for row in chosen], goes=1),
    ]
    return Group(
        Fitted(columns, shown.gaps(apart, lambda _: "")), Text("\n".join(_notes(document)))
    )


def _apart(row: Mapping[str, Any]) -> float:
    """How many times its share in the folder a class has in crops; 0 where it has none there."""
    return float(row["exposure"] / row["frequency"]) if row["frequency"] else 0.0


def _times(times: float) -> str:
    return f"{times:.2f}" if times else "-"


def _notes(document: Mapping[str, Any]) -> Iterable[str]:
    each = counted(document["crops_per_mask"], "crop")
    exact = "exact" if document["exact_presence"] else f"that of {each} a mask"
    yield (
        f"{printable(document['does'])}; {counted(document['masks'], 'mask')}; batches of"
        f" {document['batch_size']:,}"
    )
    sizes = f" for {MIDPOINTS} sizes that stand for all" if _goes_on(document["recipe"]) else ""
    yield f"Shares of crops are exact{sizes}, the chance to be in one is {exact}"
    never = [row["name"] for row in document["classes"] if row["frequency"] and not row["exposure"]]
    if never:
        yield f"Never seen: {', '.join(map(printable, never[:12]))}"


def _goes_on(recipe: Mapping[str, Any]) -> bool:
    """Whether masks come in more sizes than are looked at."""
    scale = recipe.get("scale")
    if scale is None or scale["law"] == "steps":
        return False
    return bool(scale["ratios"][0] != scale["ratios"][1])
