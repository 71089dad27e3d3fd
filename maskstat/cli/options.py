"""Options that several commands share, and how they find the scan they work on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from maskstat.scanning import Scan

_WIDTH_WITHOUT_TERMINAL = 240  # files and pipes have no edge to wrap at

Database = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        help="The store of scans. Default: $MASKSTAT_DB, or maskstat.db in this folder.",
    ),
]
ScanName = Annotated[
    str | None, typer.Option("--scan", metavar="NAME", help="Which scan; default: the latest.")
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="K|FILE|PRESET",
        help="A number of classes, a catalogue (YAML, JSON, list of names, labelmap.txt), or a "
        "preset. Changing it later decodes nothing again.",
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="VALUE", help="A raw value or '#rrggbb' to leave out. Repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def database(given: Path | None) -> Path:
    """The store's path."""
    from maskstat.scanning import default_db

    return given or default_db()


def stored_scan(
    db: Path | None, name: str | None, classes: str | None, ignore: list[str] | None
) -> Scan:
    """The scan that the shared options name, under the catalogue they ask for."""
    from maskstat.scanning import open_scan

    scan = open_scan(database(db), name)
    return scan.under(classes, ignore or ()) if classes or ignore else scan


def output() -> Console:
    """Where tables go: stdout, as wide as the terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, soft_wrap=False)


def print_json(document: object) -> None:
    """One JSON document on stdout; never NaN, and names that UTF-8 can't hold are escaped."""
    import json

    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
