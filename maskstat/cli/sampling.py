"""`maskstat sampling`: how often to draw each mask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    ScanName,
    announce_written,
    layout_of,
    output,
    print_json,
    stored_scan,
)
from maskstat.cli.values import file


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sampling")(command)


def command(
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="repeat-factor, the default, inverse-frequency or target-mix.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="A method's parameter. Repeatable."),
    ] = None,
    methods: Annotated[
        bool, typer.Option("--methods", help="List the methods with formulas and parameters.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            parser=file,
            help="Write to .csv, .json, .yaml, .txt or .npy.",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="full|list|dict",
            help="Of the file. full, the default: with mask names and provenance; list: the "
            "weights; dict: by position.",
        ),
    ] = None,
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    json: JsonOption = False,
) -> int:
    """Turn a scan into sampling weights, one a mask.

    Shows the expected class mix of an epoch before and after, and how many masks it effectively
    uses. -o writes a row a mask, in natural order of the names: its name and its probability
    or repeat factor.
    """
    from maskstat.errors import ParameterError
    from maskstat.parameters import assignments
    from maskstat.sampling.compute import sample

    if methods:
        for option, value in {
            "--method": method,
            "--param": param,
            "-o": out,
            "--layout": layout,
            "--scan": scan,
            "--db": db,
            "--classes": classes,
            "--ignore": ignore,
        }.items():
            if value is not None and value != []:
                raise ParameterError("--methods lists the methods, of no scan", where=option)
        _list_methods(json=json)
        return 0
    form = layout_of(layout, out)
    with stored_scan(db, scan, classes, ignore) as chosen:
        table = sample(
            chosen.ledger,
            chosen.catalog.names,
            "repeat-factor" if method is None else method,
            params=assignments(param or [], parameter="parameters"),
            provenance={
                "source": chosen.source,
                "scan": chosen.name,
                "catalog": chosen.catalog.name,
                "counts_digest": chosen.histogram.counts_digest(),
                "unlisted_pixels": chosen.histogram.unlisted_pixels,
            },
        )
        catalog = chosen.catalog
    if out is not None:
        table.save(out, form)
        announce_written(out)
    if json:
        document = table.to_document()
        print_json({**document.metadata, **document.columns})
    else:
        from maskstat.render.terminal.sampling_tables import sampling_tables

        output().print(sampling_tables(table, catalog))
    return 0


def _list_methods(*, json: bool) -> None:
    if json:
        from maskstat.sampling.methods import METHODS

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
                for entry in METHODS.values()
            ]
        )
        return
    from maskstat.render.terminal.sampling_tables import method_table

    output().print(method_table())
