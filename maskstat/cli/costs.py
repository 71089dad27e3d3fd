"""`maskstat costs`: what every constant prediction costs, under no weights and under some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.next_commands import (
    may_be_weighed,
    reads_along,
    say_left_out,
    say_next,
)
from maskstat.cli.options import (
    AllOption,
    AllowIncomplete,
    Averaging,
    CountsOption,
    JsonOption,
    OrderOption,
    ReduceZeroLabelOption,
    UnitOption,
    WhichScan,
    announce_scan,
    announce_written,
    counted_scan,
    offering_commands,
    output,
    output_file,
    print_json,
    registered,
    rows_of,
    scheme_names,
    typed,
)
from maskstat.cli.recipes import (
    AskedLoader,
)
from maskstat.cli.values import file

EXAMPLES = (
    "maskstat costs --scheme median-frequency",
    "maskstat costs --weights weights.json -o costs.png",
)


def command(
    *,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", parser=file, help="A file that 'maskstat weights' wrote."
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        registered(
            "--scheme",
            known=scheme_names,
            help="Weights of this scheme instead. Default: equal-cost.",
        ),
    ] = None,
    averaging: Averaging,
    allow_incomplete: AllowIncomplete = False,
    out: Annotated[Path | None, output_file("Draw them: .png, .svg or .pdf.")] = None,
    asked: AskedLoader,
    which: WhichScan,
    reduce_zero_label: ReduceZeroLabelOption = False,
    counts: CountsOption = None,
    unit: UnitOption = None,
    order: OrderOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Show what it costs to answer always with one class.

    For every class, under no weights and under these: the cost, how equal the costs are, and what
    the metrics say of the same answer. The average pixel weighs 1 under both, so the costs compare.
    """
    from maskstat.render.plots.plot import check_path

    rows = rows_of(order, all_classes, json=json)
    if out is not None:
        check_path(out)
    folder = counted_scan(counts, unit, which, allow_incomplete, reduce_zero_label)
    about = which.words()
    reads = reads_along() and not json
    of_equal_cost = scheme in {None, "equal-cost"}
    same_weights = of_equal_cost or averaging == Averaging(
        drop_last=averaging.drop_last, predictor_confidence=averaging.predictor_confidence
    )
    with folder, offering_commands():
        chosen = asked.seen(
            folder,
            about + (" --reduce-zero-label" if reduce_zero_label else ""),
            allow_incomplete=allow_incomplete,
        )
        offered = reads and weights is None and same_weights and may_be_weighed(chosen)
        costs = chosen.costs(
            weights,
            scheme=scheme,
            **vars(averaging),
            allow_incomplete=allow_incomplete,
        )
    if out is not None:
        costs.plot(out)
        announce_written(out)
    if json:
        print_json(costs.to_document())
    else:
        from maskstat.render.terminal.cost_tables import cost_table

        announce_scan(chosen)
        output().print(cost_table(costs.to_document(), rows))
        if offered and out is None and averaging.predictor_confidence is None:
            say_next(f"{typed(command='weights')} -o weights.json")
    say_left_out(folder, about)
    return 0
