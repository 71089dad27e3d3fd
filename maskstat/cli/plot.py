"""`maskstat plot`: one plot of a stored scan, as a file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    ClassesOption,
    Database,
    GroupByOption,
    IgnoreOption,
    WhichScan,
    announce_scan,
    announce_written,
    beginning,
    choice,
    output_file,
    registered,
    say,
    scheme_names,
    stored_names,
    with_options,
)
from maskstat.cli.recipes import (
    AskedLoader,
)
from maskstat.cli.values import whole
from maskstat.render.plots.choices import ORDERS, Order
from maskstat.render.plots.plot import DPI, KINDS

_KINDS = "; ".join(f"{kind.name}: {kind.summary}" for kind in KINDS.values())


EXAMPLES = (
    "maskstat plot classes -o classes.png",
    "maskstat plot heatmaps --scan val -o heatmaps.pdf",
)


def command(
    *,
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", autocompletion=beginning(lambda: KINDS), help=f"{_KINDS}."),
    ],
    out: Annotated[Path, output_file("Ends in .png, .svg or .pdf.")],
    scan: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            metavar="NAME",
            autocompletion=stored_names,
            help="Which scan, or its split (train); default: the latest, of splits the one to "
            "train on. Repeat it for 'compare'.",
        ),
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option(
            "--log/--linear",
            help="The frequency axis of 'classes'. Default: logarithmic where the most frequent "
            "class has 100 times the pixels of the rarest.",
        ),
    ] = None,
    order: Annotated[
        Order | None,
        choice("--order", known=ORDERS, help="Of the classes. Default: frequency."),
    ] = None,
    scheme: Annotated[
        list[str] | None,
        registered(
            "--scheme", known=scheme_names, help="Schemes of 'weights' and 'costs'. Repeatable."
        ),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(
            "--dpi", metavar="N", parser=whole(*DPI), help="Pixels an inch, for .png: 36 to 600."
        ),
    ] = 200,
    asked: AskedLoader,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    group_by: GroupByOption = None,
) -> int:
    """Plot a stored scan.

    Writes a figure that is ready for a paper, and prints what it shows in words.
    """
    first, others = (scan[0], scan[1:]) if scan else (None, [])
    with ExitStack() as stack:
        seen = []
        for name in (first, *others):
            which = WhichScan(name, db, classes, ignore)
            folder = stack.enter_context(which.open(group_by=group_by))
            seen.append(asked.seen(folder, which.words(), allow_incomplete=folder.info.complete))
        chosen, *beside = seen
        drawing = chosen.plot(
            kind, out, others=beside, log=log, order=order, schemes=scheme, dpi=dpi
        )
    announce_scan(chosen)
    say(drawing.description, on_stdout=True)
    announce_written(out)
    about = with_options(db, first, classes, ignore, group_by)
    say_next(f"maskstat report{asked}{about} -o report.html")
    return 0
