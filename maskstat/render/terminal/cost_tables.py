"""What constant predictions cost, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from maskstat.errors import Blank, argument, call, spelled
from maskstat.naming import counted, percent, printable
from maskstat.render.terminal.fitting import LAST, Fitted, TableColumn
from maskstat.render.terminal.rows import ALL, RowChoice
from maskstat.render.terminal.tables import class_columns
from maskstat.weights.costs import wrong_and_right

if TYPE_CHECKING:
    from maskstat.weights.equal_cost import EqualCostWeights
    from maskstat.weights.table import WeightTable

_EQUAL = 1e-9  # costs that differ by less, relatively, are called equal


def cost_table(document: dict[str, Any], rows: RowChoice = ALL) -> RenderableType:
    """The price list: what it costs to answer always with each class, the largest share first."""
    classes = document["classes"]
    # A constant answer is right where its class is: its accuracy is the class's share.
    frequency = [row["pixel_accuracy"] for row in classes]
    shown = rows.of(frequency)
    chosen = [classes[k] for k in shown.indices]

    def shares(key: str) -> list[str]:
        return [percent(row[key]) for row in chosen]

    columns = [
        *class_columns(shown, [row["name"] for row in classes], [], "always\nanswering"),
        TableColumn(
            "cost, no\nweights", [f"{row['cost_unweighted']:.5g}" for row in chosen], goes=1
        ),
        TableColumn(
            f"cost,\n{document['weights']}",
            [f"{row['cost']:.5g}" + _plus_minus(row["standard_error"]) for row in chosen],
        ),
        TableColumn("best\nconstant", shares("best_constant_probability"), goes=LAST + 1),
        TableColumn("pixel\naccuracy", shares("pixel_accuracy"), goes=LAST + 2),
        TableColumn("mean\nIoU", shares("mean_iou"), goes=LAST + 3),
        TableColumn(
            "balanced\naccuracy",
            [percent(row["balanced_accuracy"]) if row["occurs"] else "no pixel" for row in chosen],
            goes=LAST + 4,
        ),
    ]

    def say(left: Sequence[int]) -> str:
        costs = [classes[k]["cost_unweighted"] for k in left]
        return f", costs without weights from {min(costs):.5g} to {max(costs):.5g}"

    table = Fitted(columns, shown.gaps(frequency, say))
    return Group(table, Text("\n".join(_cost_notes(document))))


def _plus_minus(error: float) -> str:
    return f" ± {error:.1g}" if error > 0 else ""


def _cost_notes(document: dict[str, Any]) -> Iterable[str]:
    average = "a plain mean (Keras)"
    if document["average"] == "batch":
        batches = _size(document["batch_size"], document["last_batch"], document["crops"])
        average = f"PyTorch's weighted mean over batches of {batches}"
    yield (
        f"Costs in nats a labelled pixel under {average}; the answer gets probability"
        f" {document['predictor_confidence']:.7g}"
    )
    for what, name in (("unweighted", "no weights"), ("weighted", document["weights"])):
        figures = document[what]
        equal = figures["relative_spread"] <= _EQUAL
        spread = (
            "all answers cost the same"
            if equal
            else f"the dearest answer costs {percent(figures['relative_spread'])} more than the"
            f" cheapest ({figures['spread']:.4g} nats)"
        )
        yield (
            f"Under {name} {spread};"
            f" the best constant probabilities cost {figures['best_constant_loss']:.5g}"
        )
    classes = sum(row["occurs"] for row in document["classes"])
    yield f"Knowing nothing at all costs ln {classes} = {math.log(max(classes, 1)):.5g}"


def linear_notes(weights: WeightTable, epsilon: float) -> RenderableType:
    """What every constant prediction costs under a plain mean, at this confidence."""
    present = weights.pixels > 0
    shares = weights.mass[present]
    scale = weights.average_weight
    wrong, right = wrong_and_right(max(len(weights), 2), epsilon)
    with np.errstate(over="ignore"):
        costs = scale * (wrong - (wrong - right) * shares)
    low, high = float(costs.min()), float(costs.max())
    if not math.isfinite(high):
        text = "Constant predictions cost more than numbers can say"
    elif high - low <= _EQUAL * high:
        text = f"Every constant prediction costs {low:.6g} nats a labelled pixel"
    else:
        text = f"Constant predictions cost {low:.6g} to {high:.6g} nats a labelled pixel"
    return Text(
        f"{text} under a plain mean (Keras), at a confidence of {1 - epsilon:.7g};"
        " PyTorch's weighted mean needs its own weights:"
        f" {spelled(argument('average', 'batch'))} {spelled(argument('batch_size', Blank('S')))}"
    )


def equal_cost_notes(solution: EqualCostWeights, names: Sequence[str]) -> RenderableType:
    """How equal-cost weights for PyTorch's mean were found and how far to trust them."""
    lines = [*_solution_lines(solution, names)]
    if solution.relaxations:
        lines.append("Larger batches relax it:")
        for step in solution.relaxations:
            ratio = "-" if step.weight_ratio is None else f"{step.weight_ratio:,.4g}"
            lines.append(
                f"  batch size {step.batch_size}: largest weight ratio {ratio}, slack"
                f" {percent(max(step.slack, 0.0))}"
            )
    parts: list[RenderableType] = [Text("\n".join(lines))]
    if solution.max_ratio is not None and solution.relative_spread > _EQUAL:
        parts.append(_remaining_costs(solution, names))
    return Group(*parts)


def _solution_lines(solution: EqualCostWeights, names: Sequence[str]) -> Iterable[str]:
    size = _size(solution.batch_size, solution.last_batch, solution.crops)
    drawn = "random batches" if solution.sampled else "batches, all there are,"
    occurring = solution.costs[solution.weights > 0]
    yield (
        f"Every constant prediction costs {float(occurring.mean()):.6f} (a wrong pixel costs 1),"
        f" all equal within {_EQUAL:g}, over {solution.batches:,} {drawn} of {size}"
        if solution.relative_spread <= _EQUAL
        else f"Constant predictions cost {float(occurring.min()):.4f} to"
        f" {float(occurring.max()):.4f} (a wrong pixel costs 1), over {solution.batches:,} {drawn}"
        f" of {size}"
    )
    needed = solution.crops_needed
    more = "" if needed is None else _more_crops(needed)
    if solution.crops == 1:
        yield f"How sure that is {spelled(argument('crops', 1))} does not say; {needed} do {more}"
    elif solution.sampled or solution.crops:
        error = float(solution.standard_errors.max())
        exact = solution.relative_spread <= _EQUAL
        what = "weights" if exact else "classes' shares of a batch's weight"  # a best effort's
        whence = "drawing batches" if solution.sampled else ""
        if solution.crops:
            crops = f"sampling crops ({spelled(argument('crops', solution.crops))})"
            whence = f"{crops} and {whence}" if whence else crops
        yield (f"Standard error of the {what} from {whence} alone: at most {percent(error)}")
        if needed is not None:
            yield (
                "That is more than 1%: the answer depends on the crops that were sampled; about"
                f" {needed:,} would do {more}"
            )
        elif not solution.is_stable:
            yield "That is more than 1%: the answer depends on the batches that were drawn"
    limit = "" if solution.max_ratio is None else f", limited to {solution.max_ratio:g}"
    first = solution.smallest_batch_size
    yield (
        f"Largest weight ratio {solution.weight_ratio:,.5g}{limit}"
        f" (1 / n_c: {solution.linear_ratio:,.5g});"
        + (
            " equal cost is possible at no batch size"
            if first is None
            else f" equal cost is first possible at batch size {first}"
        )
    )
    if solution.blocks > 1:
        yield (
            f"The classes fall into {solution.blocks} groups that never meet in a batch; each group"
            " is scaled by itself"
        )
    if (tight := solution.tightest) is not None:
        which = ", ".join(printable(names[k]) for k in tight.classes[:6])
        row = "crop" if solution.crops else "mask"
        more = f" and {len(tight.classes) - 6} more" if len(tight.classes) > 6 else ""
        yield (
            f"Tightest: {which}{more}, in {counted(tight.masks, row)}: {percent(tight.chance)}"
            f" of the batches, {percent(tight.needed)} needed"
        )


def _more_crops(number: int) -> str:
    return f"({spelled(argument('crops', number))} of '{spelled(call('Scan.exposure'))}')"


def _size(batch_size: int, last_batch: int | None, crops: int | None) -> str:
    """What a batch holds, the last one of an epoch too where it is another."""
    size = counted(batch_size, "crop" if crops else "mask")
    return size + (f" (an epoch's last one: {last_batch})" if last_batch else "")


def _remaining_costs(solution: EqualCostWeights, names: Sequence[str]) -> RenderableType:
    left = [k for k in np.argsort(solution.costs, kind="stable") if solution.weights[k] > 0]
    return Fitted(
        [
            TableColumn("always answering", [printable(names[k]) for k in left], "name"),
            TableColumn("cost that remains", [f"{solution.costs[k]:.6f}" for k in left]),
        ]
    )
