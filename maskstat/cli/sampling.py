"""`maskstat sampling`: how often to draw each mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    AllOption,
    AllowIncomplete,
    JsonOption,
    OrderOption,
    Parameters,
    TableLayout,
    TableOutput,
    WhichScan,
    announce_scan,
    announce_written,
    check_layout,
    offering_commands,
    output,
    parameters_of,
    print_json,
    registered,
    rows_of,
    typed,
)
from maskstat.cli.recipes import (
    AskedRecipe,
)

EXAMPLES = (
    "maskstat sampling --method repeat-factor -o sampling.csv",
    "maskstat sampling --methods",
)


def _methods() -> Iterable[str]:
    from maskstat.sampling.methods import METHODS

    return METHODS


def command(
    *,
    method: Annotated[
        str | None,
        registered(
            "--method",
            known=_methods,
            help="repeat-factor, the default, inverse-frequency or target-mix.",
        ),
    ] = None,
    param: Parameters = None,
    methods: Annotated[
        bool, typer.Option("--methods", help="List the methods with formulas and parameters.")
    ] = False,
    allow_incomplete: AllowIncomplete = False,
    out: TableOutput = None,
    layout: TableLayout = None,
    asked: AskedRecipe,
    which: WhichScan,
    order: OrderOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Turn a scan into sampling weights, one a mask.

    Shows the expected class mix of an epoch before and after, and how many masks it effectively
    uses. -o writes a row a mask, in natural order of the names: its name and its probability
    or repeat factor.
    """
    if methods:
        _refuse_beside_methods(
            method=method,
            parameters=param,
            allow_incomplete=allow_incomplete or None,
            out=out,
            layout=layout,
            **vars(asked),
            **vars(which),
            order=order,
            all=all_classes or None,
        )
        _list_methods(json=json)
        return 0
    rows = rows_of(order, all_classes, json=json)
    check_layout(layout, out)
    parameters = parameters_of(param)
    about = which.words()
    with which.open() as folder, offering_commands():
        chosen = asked.seen(folder, about, allow_incomplete=allow_incomplete)
        table = chosen.sampling(
            "repeat-factor" if method is None else method,
            parameters=parameters,
            allow_incomplete=allow_incomplete,
        )
        catalog = chosen.catalog
    if out is not None:
        table.save(out, layout or "full")
        announce_written(out)
    if json:
        document = table.to_document()
        print_json({**document.metadata, **document.columns})
    else:
        from maskstat.render.terminal.sampling_tables import sampling_tables

        announce_scan(chosen)
        output().print(sampling_tables(table, catalog, rows))
        if out is None:
            say_next(f"{typed()} -o sampling.json")
    return 0


def _refuse_beside_methods(**given: object) -> None:
    from maskstat.errors import ParameterError

    for parameter, value in given.items():
        if value is not None and value != []:
            raise ParameterError("--methods lists the methods, of no scan", parameter=parameter)


def _list_methods(*, json: bool) -> None:
    from maskstat.api.registries import sampling_methods

    methods = sampling_methods()
    if not json:
        from maskstat.render.terminal.scheme_tables import formula_table

        output().print(formula_table("method", methods.values()))
        return
    print_json(
        [
            {
                "method": entry.name,
                "formula": entry.formula,
                "summary": entry.summary,
                "unit": entry.unit,
                "parameters": entry.parameters,
                "source": entry.source,
            }
            for entry in methods.values()
        ]
    )
