"""`maskstat report`: everything about a stored scan in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.next_commands import after_counts, reads_along, say_next
from maskstat.cli.options import (
    GroupByOption,
    JsonOption,
    WhichScan,
    announce_scan,
    announce_written,
    choice,
    output_file,
    print_text,
    stored_names,
)
from maskstat.cli.recipes import (
    AskedLoader,
)
from maskstat.cli.values import whole
from maskstat.render.report.report import FORMATS, MOST_EXAMPLES, Format

EXAMPLES = (
    "maskstat report -o report.html",
    "maskstat report --scan train --against val --format md",
)


def command(
    *,
    out: Annotated[
        Path | None,
        output_file(
            "Write here; .html, .md or .json decides the format. Without it Markdown and JSON are "
            "printed and HTML goes to report.html."
        ),
    ] = None,
    format: Annotated[
        Format | None,
        choice("--format", known=FORMATS, help="Default: html, or FILE's suffix."),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(
            "--examples",
            metavar="N",
            parser=whole(0, MOST_EXAMPLES),
            help="Picture at least N masks a class (HTML), which reads their files again; 0 opens "
            "none. Default: 8 where the files are on this machine, and at most 20,000.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="SCAN",
            autocompletion=stored_names,
            help="Another split of this store to compare with.",
        ),
    ] = None,
    asked: AskedLoader,
    which: WhichScan,
    group_by: GroupByOption = None,
    json: JsonOption = False,
) -> int:
    """Write a report about a stored scan.

    One file that needs nothing else: a verdict and what to do, weights to paste, the classes, what
    weights cost, the masks, and where the numbers come from. Markdown and JSON have the numbers.
    """
    from maskstat.errors import ParameterError

    if json and format not in {None, "json"}:
        raise ParameterError(f"--json and --format {format} contradict", parameter="format")
    if json:
        format = "json"
    path = out or (Path("report.html") if format in {None, "html"} else None)
    about = which.words(group_by)
    with which.open(group_by=group_by) as folder:
        exposed = which.words()  # which has no groups
        chosen = asked.seen(folder, exposed, allow_incomplete=folder.info.complete)
        text = chosen.report(path, format=format, examples=examples, against=against)
        nexts: list[str] = []
        if reads_along() and path is not None:
            nexts = after_counts(chosen, f"{asked}{about}", weights_only=True)
    announce_scan(chosen, beside_data=True)
    if path is None:
        print_text(text)
    else:
        announce_written(path)
        say_next(*nexts)
    return 0
