"""`maskstat report`: everything about a stored scan in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    ScanName,
    announce_written,
    print_json,
    stored_scan,
)
from maskstat.cli.values import file, whole

if TYPE_CHECKING:
    from maskstat.api.scan import Scan

FORMATS = ("html", "md", "json")
_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".json": "json"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(command)


def command(
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            parser=file,
            help="Write here; .html, .md or .json decides the format. Without it Markdown and JSON "
            "are printed and HTML goes to report.html.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|md|json", help="Default: html, or FILE's suffix."),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples",
            metavar="N",
            parser=whole(0, 20),
            help="Show N masks a class in class colours (HTML): those with most of its pixels, and "
            "the one with fewest. Reads their files again. Default: 0, none.",
        ),
    ] = 0,
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    json: JsonOption = False,
) -> int:
    """Write a report about a stored scan.

    One file that needs nothing else: headline numbers, what needs attention, the classes, plots,
    weights to paste, and where the numbers come from. Markdown and JSON hold the same numbers.
    """
    from maskstat.errors import ParameterError

    chosen = _format(out, form, json=json)
    if examples and chosen != "html":
        raise ParameterError(f"a report in {chosen} has no pictures", where="--examples")
    with stored_scan(db, scan, classes, ignore) as opened:
        if chosen == "json" and out is None:
            from maskstat.render.documents.report import report_document

            print_json(report_document(opened))
            return 0
        text = _text(opened, chosen, examples)
    if out is None and chosen == "md":
        _print(text)
        return 0
    from maskstat.files.writing import write_atomically

    path = out or Path("report.html")
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
    announce_written(path)
    return 0


def _format(out: Path | None, form: str | None, *, json: bool) -> str:
    from maskstat.errors import ParameterError
    from maskstat.naming import printable

    if form is not None and form not in FORMATS:
        raise ParameterError(
            f"no report format is called {printable(form)!r}",
            where="--format",
            remedy="known are html, md or json",
        )
    asked = "json" if json and form is None else form
    if json and asked != "json":
        raise ParameterError(f"--json and --format {asked} contradict", where="--format")
    usual = None if out is None else _SUFFIXES.get(out.suffix.lower())
    if asked is not None and usual not in {None, asked}:
        raise ParameterError(
            f"its suffix means {usual}, and {asked} is asked for",
            where=printable(str(out)),
            remedy="choose one of the two",
        )
    if asked is not None or out is None:
        return asked or "html"
    if usual is None:
        raise ParameterError(
            f"no report format has the suffix {printable(out.suffix)!r}",
            where=printable(str(out)),
            remedy="end it in .html, .md or .json, or give --format",
        )
    return usual


def _text(scan: Scan, form: str, examples: int) -> str:
    if form == "html":
        from maskstat.render.report.html import report_html

        return report_html(scan, examples=examples)
    if form == "md":
        from maskstat.render.report.markdown import report_markdown

        return report_markdown(scan)
    import json

    from maskstat.render.documents.report import report_document

    return json.dumps(report_document(scan), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _print(text: str) -> None:
    """On stdout as UTF-8, whatever the terminal's encoding."""
    import sys

    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
