"""`maskstat weights`: class weights from a stored scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.next_commands import say_left_out, say_next, voxels_differ
from maskstat.cli.options import (
    AllOption,
    AllowIncomplete,
    Averaging,
    CountsOption,
    GroupByOption,
    JsonOption,
    MeasureOption,
    OrderOption,
    Parameters,
    ReduceZeroLabelOption,
    TableOutput,
    UnitOption,
    WeightLayoutOption,
    WhichScan,
    announce_scan,
    announce_written,
    check_layout,
    choice,
    counted_scan,
    offering_commands,
    output,
    parameters_of,
    print_json,
    print_notes,
    registered,
    rows_of,
    say,
    scheme_names,
    typed,
)
from maskstat.cli.recipes import (
    AskedLoader,
)
from maskstat.cli.values import file, number
from maskstat.naming import printable
from maskstat.values.given import Amount
from maskstat.weights.choices import (
    ABSENT,
    NORMALISATIONS,
    UNLISTED,
    Absent,
    Normalisation,
    Unlisted,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from maskstat.api.scan import Scan
    from maskstat.errors import WeightError
    from maskstat.scanning.stored_scan import StoredScan
    from maskstat.values.catalog import ClassCatalog
    from maskstat.weights.table import WeightTable


EXAMPLES = (
    "maskstat weights --scan sample_masks --scheme sqrt -o weights.json",
    "maskstat weights --counts 5587,802,11 --for keras",
)


def command(
    *,
    scheme: Annotated[
        str | None,
        registered(
            "--scheme", known=scheme_names, help="See 'maskstat schemes'. Default: equal-cost."
        ),
    ] = None,
    param: Parameters = None,
    measure: MeasureOption = "pixels",
    normalize: Annotated[
        Normalisation,
        choice(
            "--normalize",
            known=NORMALISATIONS,
            help="What the weights are divided by; pixel: the average pixel weighs 1 (see docs).",
        ),
    ] = "none",
    clip: Annotated[
        str | None,
        typer.Option("--clip", metavar="LO:HI", help="Bounds, applied after normalisation."),
    ] = None,
    absent: Annotated[
        Absent | None,
        choice(
            "--absent",
            known=ABSENT,
            help="Weight of classes that never occur, scaled with the others. Default: one where "
            "only their number was declared, error where they were named.",
        ),
    ] = None,
    averaging: Averaging,
    cost_matrix: Annotated[
        Path | None,
        typer.Option(
            "--cost-matrix",
            metavar="FILE",
            parser=file,
            help="For equal-cost: K x K numbers, what a pixel of class c (column) costs the answer "
            "i (row). .npy, .csv, .txt or .json.",
        ),
    ] = None,
    best_effort: Annotated[
        bool,
        typer.Option(
            "--best-effort",
            help="For batches: where exact equal cost is impossible or too extreme, the most equal "
            "costs within --max-ratio.",
        ),
    ] = False,
    max_ratio: Annotated[
        float | None,
        typer.Option(
            "--max-ratio",
            metavar="R",
            parser=number,
            help="Largest weight ratio of a best effort. Default: 1000.",
        ),
    ] = None,
    unlisted: Annotated[
        Unlisted, choice("--unlisted", known=UNLISTED, help="Values nobody explained.")
    ] = "refuse",
    allow_incomplete: AllowIncomplete = False,
    out: TableOutput = None,
    layout: WeightLayoutOption = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show all schemes side by side.")
    ] = False,
    asked: AskedLoader,
    which: WhichScan,
    group_by: GroupByOption = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
    counts: CountsOption = None,
    unit: UnitOption = None,
    order: OrderOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Turn a scan into class weights.

    Shows what the weights do, and writes them to a file with -o.
    """
    from maskstat.weights.costs import epsilon_of

    not_compared = {
        "out": out,
        "scheme": scheme,
        "parameters": param,
        **vars(averaging),
        "cost_matrix": cost_matrix,
        "best_effort": best_effort,
        "max_ratio": max_ratio,
    }
    not_ordered = {"order": order, "all": all_classes}
    if compare:
        _refuse_beside_compare(**not_compared)
        _refuse_rows_beside_compare(**not_ordered)
    rows = rows_of(order, all_classes, json=json)
    check_layout(layout, out)
    parameters, bounds = parameters_of(param), _clip(clip)
    confidence = averaging.predictor_confidence
    epsilon_of(confidence)  # one that is no probability is said before anything is computed
    folder = counted_scan(counts, unit, which, allow_incomplete, reduce_zero_label, group_by)
    about = which.words(group_by, reduce_zero_label=reduce_zero_label)
    plain = asked or averaging.average == "batch"  # neither goes with volumes
    by_volume = f"{f'maskstat weights{about}' if plain else typed()} --measure volume"
    about = which.words(group_by)
    with offering_commands():
        chosen = asked.seen(
            folder,
            which.words(reduce_zero_label=reduce_zero_label),
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
        )
        if compare:
            tables = chosen.all_weights(
                measure=measure,
                normalize=normalize,
                clip=bounds,
                absent=absent,
                unlisted=unlisted,
                allow_incomplete=allow_incomplete,
            )
            announce_scan(chosen, beside_data=json)
            _show_all(tables, chosen.catalog, json=json)
            if not json:
                print_notes(_sampled(chosen, measure).sample_notes)
            if not json:
                stored = counts is None and not reduce_zero_label
                say_next(
                    f"{typed(without='--compare')} --scheme NAME -o weights.json",
                    *([f"maskstat report{asked}{about} -o report.html"] if stored else []),
                )
            _say_last(folder, about, measure, by_volume)
            return 0
        table = chosen.weights(
            "equal-cost" if scheme is None else scheme,
            parameters=parameters,
            measure=measure,
            normalize=normalize,
            clip=bounds,
            absent=absent,
            unlisted=unlisted,
            average=averaging.average,
            batch_size=averaging.batch_size,
            drop_last=averaging.drop_last,
            seed=averaging.seed,
            cost_matrix=cost_matrix,
            best_effort=best_effort,
            max_ratio=max_ratio,
            allow_incomplete=allow_incomplete,
        )
    _refuse_idle_confidence(table, confidence)
    notes = _notes(table, epsilon_of(confidence))
    sample = () if table.negatives is not None else _sampled(chosen, measure).sample_notes
    if out is not None:
        table.save(out, layout or "full")
        announce_written(out)
    # A cost matrix and a best effort are of equal cost alone: who gives one has chosen it.
    chosen_by = (scheme, cost_matrix, max_ratio, best_effort or None)
    tell = table.negatives is None and all(given is None for given in chosen_by)
    advised = "" if counts is not None else f"maskstat recommend{asked}{about}"
    if json:
        document = table.to_document()
        columns = {k: v for k, v in document.columns.items() if k not in ("lower", "upper")}
        bars = {"intervals": None} if table.intervals is None else table.intervals.columns()
        average = None if table.negatives is not None else table.average_weight
        said = {"average_weight": average, "notes": [*table.notes, *sample]}
        print_json({**document.metadata, **columns, **bars, **said})
        if tell:
            say(_no_scheme(advised))
        _say_last(folder, about, measure, by_volume)
        return 0
    from maskstat.render.terminal.tables import binary_note, weight_table

    announce_scan(chosen)
    output().print(weight_table(table, chosen.catalog, rows))
    if chosen.catalog.binary:
        output().print(binary_note(chosen.catalog.names[1]), markup=False)
    if notes is not None:
        output().print(notes)
    print_notes(sample)
    if tell:
        say(_no_scheme(advised))
    if out is None:
        from maskstat.weights.pos_weight import plain_ratio_or_none

        binary = plain_ratio_or_none(table) is not None
        compared = all(
            value is None or value is False or value == []
            for value in (*not_compared.values(), *not_ordered.values())
        )
        compared = compared and not chosen.is_multilabel
        say_next(
            f"{typed()} -o weights.json",
            *([f"{typed()} --layout pos-weight -o pos_weight.json"] if binary else []),
            *([f"{typed()} --compare"] if compared else []),
        )
    _say_last(folder, about, measure, by_volume)
    return 0


def _sampled(chosen: Scan, measure: Amount) -> StoredScan:
    """What intervals are of."""
    return chosen if measure == "pixels" else chosen.by_volume()


def _say_last(folder: Scan, about: str, measure: Amount, by_volume: str) -> None:
    """What is to be known of the counts that weights are made of."""
    for line in voxels_differ(folder, by_volume) if measure == "pixels" else ():
        say(line)
    say_left_out(folder, about)


def _no_scheme(advised: str) -> str:
    """What the scheme that is taken without a word is for; `advised` is a command, or nothing."""
    advice = f"; '{printable(advised)}' says what fits these masks" if advised else ""
    return (
        "no --scheme: equal-cost, under which no constant answer is cheaper than another; for mean"
        f" IoU sqrt gained twice as much (docs/evidence.md: +9.2 points, equal-cost +4.6){advice}"
    )


def _refuse_beside_compare(**given: object) -> None:
    from maskstat.errors import ParameterError

    for parameter, value in given.items():
        if value is None or value is False or value == []:
            continue
        if parameter == "out":
            raise ParameterError(
                "--compare writes no file", parameter="out", remedy="choose one --scheme"
            )
        raise ParameterError("--compare shows all schemes with their defaults", parameter=parameter)


def _refuse_rows_beside_compare(**given: object) -> None:
    from maskstat.errors import ParameterError

    for parameter, value in given.items():
        if value:
            raise ParameterError("--compare has a row a scheme", parameter=parameter)


def _refuse_idle_confidence(table: WeightTable, confidence: float | None) -> None:
    """It changes the costs shown, and only for equal cost are any shown."""
    from maskstat.errors import argument
    from maskstat.parameters import refuse_idle

    if table.scheme != "equal-cost" or table.negatives is not None:
        refuse_idle(
            {"predictor_confidence": confidence}, goes_with=argument("scheme", "equal-cost")
        )


def _notes(table: WeightTable, epsilon: float) -> RenderableType | None:
    """What equal-cost weights cost, and how those for batches were found."""
    from maskstat.render.terminal.cost_tables import equal_cost_notes, linear_notes

    if table.solution is not None:
        return equal_cost_notes(table.solution, table.names)
    plain = table.scheme == "equal-cost" and table.negatives is None
    return linear_notes(table, epsilon) if plain else None


def _show_all(
    tables: dict[str, WeightTable | WeightError], catalog: ClassCatalog, *, json: bool
) -> None:
    """All schemes; one that fails does not hide the others."""
    from maskstat.errors import WeightError
    from maskstat.render.terminal.scheme_tables import compare_table
    from maskstat.render.terminal.tables import binary_note

    if not json:
        output().print(compare_table(tables))
        if catalog.binary:
            output().print(binary_note(catalog.names[1]), markup=False)
        return
    print_json(
        {
            name: {"error": str(table)}
            if isinstance(table, WeightError)
            else table.weights.tolist()
            for name, table in tables.items()
        }
    )


def _clip(given: str | None) -> tuple[float, float] | None:
    from maskstat.errors import ParameterError
    from maskstat.parameters import parse_number

    if given is None:
        return None
    low, _, high = given.partition(":")
    bounds = parse_number(low), parse_number(high)
    if bounds[0] is None or bounds[1] is None:
        raise ParameterError(
            f"{printable(repr(given))} is not LO:HI", parameter="clip", remedy="--clip 0.1:10"
        )
    return bounds[0], bounds[1]
