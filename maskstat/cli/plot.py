"""`maskstat plot`: one plot of a stored scan, as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from maskstat.cli.values import file, whole
from maskstat.render.plots.plot import KINDS

_KINDS = "; ".join(f"{kind.name}: {kind.summary}" for kind in KINDS.values())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plot")(command)


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{_KINDS}.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", parser=file, help="Ends in .png, .svg or .pdf."
        ),
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
        int,
        typer.Option(
            "--dpi", metavar="N", parser=whole(36, 600), help="Pixels an inch, for .png: 36 to 600."
        ),
    ] = 200,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
) -> int:
    """Plot a stored scan.

    Writes a figure that is ready for a paper, and prints what it shows in words.
    """
    from contextlib import ExitStack

    from maskstat.errors import ParameterError
    from maskstat.naming import printable
    from maskstat.render.plots.plot import check_path, draw, save

    given = {"log": log or None, "order": order, "schemes": tuple(scheme) if scheme else None}
    options = {name: value for name, value in given.items() if value is not None}
    _check_options(kind, options)
    check_path(out)
    twice = [name for at, name in enumerate(scan or ()) if name in (scan or ())[:at]]
    if twice:
        raise ParameterError(f"{printable(repr(twice[0]))} is named twice", where="--scan")
    with ExitStack() as scans:
        names: Sequence[str | None] = scan or [None]
        views = [scans.enter_context(stored_scan(db, name, classes, ignore)) for name in names]
        drawing = draw(kind, views, **options)
    save(drawing, out, dpi=dpi)
    typer.echo(drawing.description)
    announce_written(out)
    return 0


def _check_options(kind: str, options: Mapping[str, object]) -> None:
    """Raise ParameterError where there is no such plot, or it has no such option."""
    from maskstat.errors import ParameterError
    from maskstat.render.plots.plot import options_of_kind

    called = {"schemes": "--scheme"}
    known = options_of_kind(kind)
    for option in options:
        if option not in known:
            listed = ", ".join(called.get(name, f"--{name}") for name in known)
            raise ParameterError(
                f"the plot {kind} has no such option",
                where=called.get(option, f"--{option}"),
                remedy=f"it has: {listed or 'none'}",
            )
