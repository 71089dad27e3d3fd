"""`maskstat plot`: one plot of a stored scan, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    announce_written,
    stored_scan,
)
from maskstat.report.plots import KINDS

_KINDS = "; ".join(f"{kind.name}: {kind.summary}" for kind in KINDS.values())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plot")(command)


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{_KINDS}.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="Ends in .png, .svg or .pdf."),
    ],
    scan: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            metavar="NAME",
            help="Which scan; default: the latest. Repeat it for 'compare'.",
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="A logarithmic frequency axis ('classes').")
    ] = False,
    order: Annotated[
        str | None,
        typer.Option(
            "--order", metavar="HOW", help="Of the classes: frequency (default) or catalog."
        ),
    ] = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            "--scheme", metavar="NAME", help="Schemes of 'weights' and 'costs'. Repeatable."
        ),
    ] = None,
    dpi: Annotated[
        int, typer.Option("--dpi", metavar="N", min=36, max=600, help="Pixels an inch, for .png.")
    ] = 200,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
) -> int:
    """Plot a stored scan.

    Writes a figure that is ready for a paper, and prints what it shows in words.
    """
    from contextlib import ExitStack

    from maskstat.report.plots import check_path, draw, find_kind, save

    find_kind(kind)
    check_path(out)
    options: dict[str, object] = {}
    if log:
        options["log"] = True
    if order is not None:
        options["order"] = order
    if scheme:
        options["schemes"] = tuple(scheme)
    with ExitStack() as scans:
        names: Sequence[str | None] = scan or [None]
        views = [scans.enter_context(stored_scan(db, name, classes, ignore)) for name in names]
        drawing = draw(kind, views, **options)
    save(drawing, out, dpi=dpi)
    typer.echo(drawing.description)
    announce_written(out)
    return 0
