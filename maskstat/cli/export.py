"""`maskstat export`: the mask x class table as Parquet or CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    ScanName,
    announce_written,
    stored_scan,
)
from maskstat.cli.reading import NearestColourOption
from maskstat.cli.values import file

_STDOUT = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(command)


def command(
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            parser=file,
            help="Write to .parquet or .csv; without, or with -, CSV goes to stdout.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="parquet|csv", help="Default: what the suffix of -o says."
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="wide|long",
            help="wide: a row a mask, a column a class; long: a row for every class of a mask.",
        ),
    ] = "wide",
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    nearest_colour: NearestColourOption = None,
) -> int:
    """Write the table of masks and classes, for DuckDB, pandas, Polars, spreadsheets.

    Pixels of each class in each mask. The wide layout also has height, width, all pixels, and those
    that are ignored or unlisted; the long one leaves out zeros.
    """
    from maskstat.errors import ParameterError
    from maskstat.files.mask_tables.mask_table import check_format, stream_csv

    to_stdout = out is None or str(out) == _STDOUT
    if to_stdout and check_format(format) == "parquet":
        raise ParameterError("Parquet needs a file", where="--format", remedy="name one with -o")
    with stored_scan(db, scan, classes, ignore) as chosen:
        if nearest_colour is not None:
            chosen = chosen.under(nearest_colour=nearest_colour)
        if out is None or to_stdout:
            sys.stdout.flush()
            stream_csv(chosen.tables(), chosen.catalog, sys.stdout.buffer, layout=layout)
            sys.stdout.buffer.flush()
        else:
            announce_written(chosen.export(out, layout=layout, format=format))
    return 0
