"""Options that several commands share, and how they find the scan they work on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from maskstat.scanning import Scan
    from maskstat.weights.equal_cost_table import Framework

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

ForFramework = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="keras|torch",
        help="How the loss is averaged: keras: a plain mean or sum; torch: every batch divided by "
        "its own sum of weights. Default: keras.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="S",
        min=1,
        help="For torch: masks that one process averages over.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        "--predictor-confidence",
        metavar="P",
        help="Probability that a constant prediction gives its class. It changes the costs shown, "
        "never the weights. Default: 1 - 1e-7, where Keras clips.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the random batches.")]


def framework_of(given: str | None) -> Framework:
    """The framework asked for. Raises ParameterError."""
    from maskstat.errors import ParameterError
    from maskstat.weights.equal_cost_table import FRAMEWORKS

    for framework in FRAMEWORKS:
        if given in (None, framework):
            return framework
    raise ParameterError("is keras or torch", where="--for")


def epsilon_of(confidence: float | None) -> float:
    """What a predictor of this confidence leaves to the other classes. Raises ParameterError."""
    from maskstat.errors import ParameterError
    from maskstat.weights.costs import DEFAULT_EPSILON

    if confidence is None:
        return DEFAULT_EPSILON
    if not 0 < confidence < 1:
        raise ParameterError(
            f"{confidence:g} is no probability above 0 and below 1", where="--predictor-confidence"
        )
    return 1.0 - confidence


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


def announce_written(path: Path) -> None:
    """Say on stderr which file was written."""
    from maskstat.naming import printable

    typer.echo(f"wrote {printable(str(path))}", err=True)


def print_json(document: object) -> None:
    """One JSON document on stdout; never NaN, and names that UTF-8 can't hold are escaped."""
    import json

    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
