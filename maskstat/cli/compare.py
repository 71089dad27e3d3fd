"""`maskstat compare`: how different the splits of a dataset are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    output,
    print_json,
    stored_scan,
)

if TYPE_CHECKING:
    from maskstat.statistics.comparison import Comparison


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(command)


def command(
    scans: Annotated[
        list[str],
        typer.Argument(metavar="SCAN SCAN...", help="Scans of the store, the training set first."),
    ],
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-above",
            metavar="METRIC=VALUE",
            help="Exit with 1 where a metric of a pair of splits is larger: js, psi, cramers-v, "
            "missing, resolution or leakage. Repeatable.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Compare splits: class frequencies, presence, sizes, leakage.

    What differs most comes first. All scans are read under one catalogue.
    """
    from maskstat.render.terminal.compare_tables import compare_document
    from maskstat.scanning.checking import compare_scans

    limits = _limits(fail_above or [])
    with ExitStack() as stack:
        opened = [stack.enter_context(stored_scan(db, name, classes, ignore)) for name in scans]
        comparison = compare_scans(opened)
    document = compare_document(comparison)
    if json:
        print_json(document)
    else:
        from maskstat.render.terminal.compare_tables import compare_tables

        output().print(compare_tables(document))
    _fail_above(comparison, limits)
    return 0


def _limits(fail_above: Sequence[str]) -> dict[str, float]:
    """Largest allowed value by metric. Raises ParameterError for what is none."""
    from maskstat.errors import ParameterError
    from maskstat.naming import did_you_mean, printable
    from maskstat.parameters import assignments, parse_number
    from maskstat.statistics.comparison import METRICS

    limits: dict[str, float] = {}
    for name, text in assignments(fail_above, parameter="fail_above").items():
        if name not in METRICS:
            raise ParameterError(
                f"no metric is called {printable(name)!r}",
                where="--fail-above",
                remedy=f"{did_you_mean(name, METRICS)}known are {', '.join(METRICS)}",
            )
        limit = parse_number(text)
        if limit is None or limit < 0:
            raise ParameterError(
                f"{printable(repr(text))} is not a number of at least 0",
                where=f"--fail-above {name}",
            )
        limits[name] = limit
    return limits


def _fail_above(comparison: Comparison, limits: Mapping[str, float]) -> None:
    from maskstat.errors import MaskstatError
    from maskstat.naming import printable
    from maskstat.statistics.comparison import METRICS

    above = [
        f"{name} of {printable(pair.first)} : {printable(pair.second)} is"
        f" {METRICS[name].value(pair):.4g}, above {limit:g}"
        for pair in comparison.pairs
        for name, limit in limits.items()
        if METRICS[name].value(pair) > limit
    ]
    if above:
        raise MaskstatError("; ".join(above), where="--fail-above")
