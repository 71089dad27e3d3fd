"""What training sees beside what the folder holds, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.exposure.rescaling import MIDPOINTS
from maskstat.naming import counted, percent, printable
from maskstat.render.terminal.failures import failure_lines
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import class_columns, colours_of, share_or_never
from maskstat.values.catalog import ClassCatalog


def exposure_tables(
    document: Mapping[str, Any], catalog: ClassCatalog | None = None, rows: RowChoice = ALL
) -> RenderableType:
    """A row a class, those whose share differs most first; then what was seen, and how.

    Of documents of exact and of approximate shares.
    """
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
    ]
    if document["approximate"]:
        columns += [
            TableColumn(f"at\n{word}", [percent(row[bound]) for row in chosen])
            for word, bound in (("least", "lowest"), ("most", "highest"))
        ]
    columns.append(TableColumn("\ntimes", [_times(apart[k]) for k in shown.indices]))
    if not document["approximate"]:
        in_crops = [_chance(row, "in_crops", document) for row in chosen]
        in_batches = [_chance(row, "in_batches", document) for row in chosen]
        columns += [
            TableColumn("in\nmasks", [percent(row["in_masks"]) for row in chosen], goes=2),
            TableColumn("in\ncrops", in_crops, goes=LAST),
            TableColumn("in\nbatches", in_batches, goes=1),
        ]
    return Group(
        Fitted(columns, shown.gaps(apart, lambda _: "")), Text("\n".join(_notes(document)))
    )


def _apart(row: Mapping[str, Any]) -> float:
    """How many times its share in the folder a class has in crops; 0 where it has none there."""
    return float(row["exposure"] / row["frequency"]) if row["frequency"] else 0.0


def _chance(row: Mapping[str, Any], of: str, document: Mapping[str, Any]) -> str:
    """Nothing is 0% that is in crops, though in none that was sampled."""
    chance = float(row[of])
    if chance or not row["exposure"]:
        return percent(chance)
    least = 1 / max(1, document["masks"] * document["crops_per_mask"])
    return f"<{percent(min(1.0, least * (document['batch_size'] if of == 'in_batches' else 1)))}"


def _times(times: float) -> str:
    return f"{times:.2f}" if times else "-"


def _notes(document: Mapping[str, Any]) -> Iterable[str]:
    if document["approximate"]:
        yield f"{printable(document['does'])}; {counted(document['masks'], 'mask')}"
        yield "Shares of crops are approximate, from heat maps; exact ones are within the bounds"
        return
    each = counted(document["crops_per_mask"], "crop")
    of = "a class of a mask" if "draws" in document["recipe"] else "a mask"
    exact = "exact" if document["exact_presence"] else f"that of {each} {of}"
    masks, size = document["masks"], document["batch_size"]
    left = -(-masks // document["recipe"].get("processes", 1)) % size
    last = (
        f", the last of an epoch of {left:,}" if left and document["last_batch"] == "keep" else ""
    )
    yield (f"{printable(document['does'])}; {counted(masks, 'mask')}; batches of {size:,}{last}")
    sizes = f" for {MIDPOINTS} sizes that stand for all" if _goes_on(document["recipe"]) else ""
    yield f"Shares of crops are exact{sizes}, the chance to be in one is {exact}"
    if left_out := document["left_out"]:
        first = f"{printable(left_out[0]['mask'])} ({printable(left_out[0]['reason'])})"
        yield f"{counted(len(left_out), 'mask')} could not be cropped, first {first}"
    never = [row["name"] for row in document["classes"] if row["frequency"] and not row["exposure"]]
    if never:
        yield f"Never seen: {', '.join(map(printable, never[:12]))}"
    if document["left_out"]:
        yield f"{counted(len(document['left_out']), 'mask')} left out:"
        reasons = ((one["mask"], one["reason"]) for one in document["left_out"])
        yield from (f"  {line}" for line in failure_lines(reasons))


def _goes_on(recipe: Mapping[str, Any]) -> bool:
    """Whether masks come in more sizes than are looked at."""
    scale = recipe.get("scale")
    if scale is None or scale["law"] == "steps":
        return False
    return bool(scale["ratios"][0] != scale["ratios"][1])
