"""`maskstat scan`: count a source's masks into the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    database,
    output,
    print_json,
)

if TYPE_CHECKING:
    from maskstat.scanning import Progress

SOME_FAILED = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("scan")(command)


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder (recursive), a glob in quotes, one mask, or a text list of paths.",
        ),
    ],
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the scan; default: the folder's."),
    ] = None,
    db: Database = None,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="GLOB", help="Only names that match. Repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", metavar="GLOB", help="Leave out matching files and folders. Repeatable."
        ),
    ] = None,
    allow_lossy: Annotated[
        bool, typer.Option("--allow-lossy", help="Count JPEG and lossy WebP masks as they are.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first mask that can't be read.")
    ] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Decode again what has not changed, too.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Threads; default: one a CPU."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Count every mask of a source, exactly.

    The counts go into the store, where the other commands find them. Scanning the same source
    again decodes only what is new or changed. Exit code 3 means that some masks could not be
    counted; they are listed with their reasons.
    """
    from maskstat.report.summary import scan_document
    from maskstat.scanning import scan

    with _progress() as on_progress:
        result = scan(
            source,
            classes=classes,
            ignore=ignore or (),
            name=name,
            db=database(db),
            include=include or (),
            exclude=exclude or (),
            allow_lossy=allow_lossy,
            strict=strict,
            rescan=rescan,
            workers=workers,
            on_progress=on_progress,
        )
    document = scan_document(result)
    if json:
        print_json(document)
    else:
        from maskstat.report.tables import scan_tables

        output().print(scan_tables(document))
    return SOME_FAILED if document["failures"] else 0


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr where that is a terminal; it goes when the scan is done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("scanning"), BarColumn(), MofNCompleteColumn(), TextColumn("masks"),
        TextColumn("{task.fields[speed]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scan", total=None, speed="")

        def show(progress: Progress) -> None:
            elapsed = bar.tasks[task].elapsed or 0
            speed = f"{progress.pixels / elapsed / 1e6:,.0f} MPix/s" if elapsed > 0.2 else ""
            if progress.failed:
                speed += f", {progress.failed:,} failed"
            bar.update(task, total=progress.total, completed=progress.done, speed=speed)

        yield show
