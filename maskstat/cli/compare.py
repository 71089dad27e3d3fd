"""`maskstat compare`: how different the splits of a dataset are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from maskstat.cli.next_commands import say_next, with_options
from maskstat.cli.options import (
    AllOption,
    ClassesOption,
    Database,
    GroupByOption,
    IgnoreOption,
    JsonOption,
    output,
    print_json,
    rows_of,
    stored_scan,
)


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
    group_by: GroupByOption = None,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-above",
            metavar="METRIC=VALUE",
            help="Exit with 1 where a metric of a pair of splits is larger: js, psi, cramers-v, "
            "missing, resolution or leakage. Repeatable.",
        ),
    ] = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Compare splits: class frequencies, presence, sizes, leakage.

    What differs most comes first. All scans are read under one catalogue.
    """
    from maskstat.errors import MaskstatError
    from maskstat.naming import printable
    from maskstat.render.terminal.compare_tables import compare_document, compare_tables
    from maskstat.statistics.comparison import check_limits

    rows = rows_of(None, all_classes, json=json)
    limits = _limits(fail_above or [])
    check_limits(limits)  # a wrong one is said before anything is looked at
    with stored_scan(db, scans[0], None, None) as first:
        comparison = first.compare(
            *scans[1:], classes=classes, ignore=ignore or (), group_by=group_by
        )
    document = compare_document(comparison)
    if json:
        print_json(document)
    else:
        output().print(compare_tables(document, rows))
    if above := comparison.above(limits):
        listing = "; ".join(
            f"{metric} of {printable(first)} : {printable(second)} is {value:.4g}, above {limit:g}"
            for metric, first, second, value, limit in above
        )
        raise MaskstatError(listing, parameter="fail_above")
    if not json:
        about = with_options(db, scans, classes, ignore, group_by)
        say_next(f"maskstat plot compare{about} -o compare.png")
    return 0


def _limits(fail_above: Sequence[str]) -> dict[str, float]:
    """Largest allowed value by metric. Raises ParameterError for what is no number."""
    from maskstat.errors import ParameterError
    from maskstat.naming import printable
    from maskstat.parameters import assignments, parse_number

    limits: dict[str, float] = {}
    for name, text in assignments(fail_above, parameter="fail_above").items():
        limit = parse_number(text)
        if limit is None or limit < 0:
            raise ParameterError(
                f"{printable(repr(text))} is not a number of at least 0",
                parameter="fail_above",
                where=printable(name),
            )
        limits[name] = limit
    return limits
