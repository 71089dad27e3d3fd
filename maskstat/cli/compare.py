"""`maskstat compare`: how different the splits of a dataset are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    AllOption,
    ClassesOption,
    Database,
    GroupByOption,
    IgnoreOption,
    JsonOption,
    WhichScan,
    output,
    print_json,
    rows_of,
    stored_names,
    with_options,
)

if TYPE_CHECKING:
    from maskstat.statistics.comparison import Excess


EXAMPLES = (
    "maskstat compare train val",
    "maskstat compare train val --fail-above leakage=0",
)


def command(
    scans: Annotated[
        list[str],
        typer.Argument(
            metavar="SCAN SCAN...",
            autocompletion=stored_names,
            help="Scans of the store, the training set first.",
        ),
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
            "missing, resolution, leakage or shared-groups. Repeatable.",
        ),
    ] = None,
    fail_below: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-below",
            metavar="METRIC=P",
            help="Exit with 1 where chance would rarely make two such splits: p=0.01 for a p-value "
            "below 0.01 of the most different class or metric, corrected for their number, or js, "
            "psi, cramers-v, missing or resolution alone. Repeatable.",
        ),
    ] = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Compare splits: class frequencies, presence, sizes, leakage.

    The verdict comes first: do they differ more than splits that chance makes of the same masks,
    or groups of them? Then what differs most. All scans are read under one catalogue.
    """
    from maskstat.render.terminal.compare_tables import compare_document, compare_tables
    from maskstat.statistics.comparison import check_limits, check_p_limits

    rows = rows_of(None, all_classes, json=json)
    largest = _limits(fail_above or [], "fail_above")
    least = _limits(fail_below or [], "fail_below")
    check_limits(largest)  # a wrong one is said before anything is looked at
    check_p_limits(least)
    with WhichScan(scans[0], db).open() as first:
        comparison = first.compare(
            *scans[1:], classes=classes, ignore=ignore or (), group_by=group_by
        )
    document = compare_document(comparison)
    if json:
        print_json(document)
    else:
        output().print(compare_tables(document, rows))
    _refuse(comparison.above(largest), "fail_above", "above")
    _refuse(comparison.below(least), "fail_below", "below")
    if not json:
        about = with_options(db, scans, classes, ignore, group_by)
        say_next(f"maskstat plot compare{about} -o compare.png")
    return 0


def _refuse(found: Sequence[Excess], parameter: str, beyond: str) -> None:
    """Raise MaskstatError where metrics are beyond their limits."""
    from maskstat.errors import MaskstatError
    from maskstat.naming import printable

    if found:
        listing = "; ".join(
            f"{metric} of {printable(first)} : {printable(second)} is {value:.4g}, {beyond}"
            f" {limit:g}"
            for metric, first, second, value, limit in found
        )
        raise MaskstatError(listing, parameter=parameter)


def _limits(given: Sequence[str], parameter: str) -> dict[str, float]:
    """Allowed value by metric. Raises ParameterError for what is no number."""
    from maskstat.errors import ParameterError
    from maskstat.naming import printable
    from maskstat.parameters import assignments, parse_number

    limits: dict[str, float] = {}
    for name, text in assignments(given, parameter=parameter).items():
        limit = parse_number(text)
        if limit is None or limit < 0:
            raise ParameterError(
                f"{printable(repr(text))} is not a number of at least 0",
                parameter=parameter,
                where=printable(name),
            )
        limits[name] = limit
    return limits
