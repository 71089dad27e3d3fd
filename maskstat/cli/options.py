"""Options that several commands share, and how they find the scan they work on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.values import file, number, whole
from maskstat.naming import printable

if TYPE_CHECKING:
    from rich.console import Console

    from maskstat.api.scan import Scan
    from maskstat.files.documents.base import Layout
    from maskstat.weights.equal_cost_table import Framework

_WIDTH_WITHOUT_TERMINAL = 240  # files and pipes have no edge to wrap at

Database = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        parser=file,
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
        parser=whole(1),
        help="For torch: masks that one process averages over.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        "--predictor-confidence",
        metavar="P",
        parser=number,
        help="Probability that a constant prediction gives its class. It changes the costs shown, "
        "never the weights. Default: 1 - 1e-7, where Keras clips.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        parser=whole(0),
        help="For torch: of the random batches. Default: 0.",
    ),
]


def framework_of(given: str | None) -> Framework:
    """The framework asked for. Raises ParameterError."""
    from maskstat.errors import ParameterError
    from maskstat.weights.equal_cost_table import FRAMEWORKS

    for framework in FRAMEWORKS:
        if given in (None, framework):
            return framework
    raise ParameterError(f"is keras or torch, not {printable(repr(given))}", where="--for")


def refuse_idle(given: Mapping[str, object], *, goes_with: str) -> None:
    """Raise ParameterError where one of these options was given, which would change nothing.

    Args:
        given: the options by what they are called; None and False are not given.
        goes_with: what they need.
    """
    from maskstat.errors import ParameterError

    for option, value in given.items():
        if value is not None and value is not False:
            raise ParameterError(f"goes with {goes_with}", where=option)


def layout_of(given: str | None, out: Path | None) -> Layout:
    """The layout of the file to write. Raises ParameterError, also for a suffix of no format."""
    from maskstat.errors import ParameterError
    from maskstat.files.documents.base import LAYOUTS
    from maskstat.files.documents.formats import SUFFIXES, no_format
    from maskstat.naming import did_you_mean

    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise no_format(out, ParameterError)
    for layout in LAYOUTS:
        if given in (None, layout):
            if out is None:
                refuse_idle({"--layout": given}, goes_with="-o FILE")
            return layout
    raise ParameterError(
        f"no layout is called {printable(repr(given))}",
        where="--layout",
        remedy=f"{did_you_mean(str(given), LAYOUTS)}known are {', '.join(LAYOUTS)}",
    )


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
    from maskstat.store.default import default_db

    return given or default_db()


def stored_scan(
    db: Path | None, name: str | None, classes: str | None, ignore: list[str] | None
) -> Scan:
    """The scan that the shared options name, under the catalogue they ask for."""
    from maskstat.api.making import open_scan

    scan = open_scan(database(db), name)
    return scan if classes is None and not ignore else scan.under(classes, ignore or ())


def output() -> Console:
    """Where tables go: stdout, as wide as the terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, soft_wrap=False)


def announce_written(path: Path) -> None:
    """Say on stderr which file was written."""
    typer.echo(f"wrote {printable(str(path))}", err=True)


def print_json(document: object) -> None:
    """One JSON document on stdout; never NaN, and names that UTF-8 can't hold are escaped."""
    import json

    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
