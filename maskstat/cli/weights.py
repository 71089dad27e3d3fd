"""`maskstat weights`: class weights from a stored scan."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    ScanName,
    output,
    print_json,
    stored_scan,
)

if TYPE_CHECKING:
    from maskstat.scanning import Scan
    from maskstat.weights import WeightTable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("weights")(command)


def command(
    scheme: Annotated[
        str, typer.Option("--scheme", metavar="NAME", help="See 'maskstat schemes'.")
    ] = "equal-cost",
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="A scheme's parameter. Repeatable."),
    ] = None,
    normalize: Annotated[
        str,
        typer.Option(
            "--normalize", metavar="HOW", help="none, mean, sum, max, min, or pixel (see docs)."
        ),
    ] = "none",
    clip: Annotated[
        str | None,
        typer.Option("--clip", metavar="LO:HI", help="Bounds, applied after normalisation."),
    ] = None,
    absent: Annotated[
        str | None,
        typer.Option(
            "--absent",
            metavar="POLICY",
            help="Weight of classes that never occur: zero, one, max or error. Default: one where "
            "only their number was declared, error where they were named.",
        ),
    ] = None,
    unlisted: Annotated[
        str, typer.Option("--unlisted", metavar="refuse|ignore", help="Values nobody explained.")
    ] = "refuse",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write to .json, .yaml, .csv, .txt or .npy."
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="full|list|dict",
            help="full: with names and provenance; list: MMSegmentation, torch.tensor; "
            "dict: Keras' class_weight.",
        ),
    ] = "full",
    compare: Annotated[
        bool, typer.Option("--compare", help="Show all schemes side by side.")
    ] = False,
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    json: JsonOption = False,
) -> int:
    """Turn a scan into class weights.

    Shows what the weights do, and writes them to a file with -o.
    """
    from maskstat.errors import ParameterError, UnlistedValuesError

    if unlisted not in {"refuse", "ignore"}:
        raise ParameterError("is 'refuse' or 'ignore'", where="--unlisted")
    if compare and out is not None:
        raise ParameterError("--compare writes no file", where="-o", remedy="choose one --scheme")
    chosen = stored_scan(db, scan, classes, ignore)
    options: dict[str, Any] = {
        "normalize": normalize,
        "clip": _clip(clip),
        "absent": absent,
        "unlisted": unlisted,
    }
    try:
        if compare:
            _compare(chosen, options, json=json)
            return 0
        table = chosen.weights(scheme, params=_parameters(param or []), **options)
    except UnlistedValuesError as error:
        raise UnlistedValuesError(error.problem, remedy=_command_with(error.remedy)) from error
    if out is not None:
        table.save(out, layout)  # type: ignore[arg-type]
        typer.echo(f"wrote {out}", err=True)
    _show(chosen, table, json=json)
    return 0


def _show(scan: Scan, table: WeightTable, *, json: bool) -> None:
    if json:
        document = table.to_document()
        print_json({**document.metadata, **document.columns})
        return
    from maskstat.report.tables import weight_table

    output().print(weight_table(table, scan.catalog))


def _compare(scan: Scan, options: dict[str, Any], *, json: bool) -> None:
    """All schemes with their default parameters; one that fails does not hide the others."""
    from maskstat.errors import UnlistedValuesError, WeightError
    from maskstat.report.tables import compare_table
    from maskstat.weights import SCHEMES

    tables: dict[str, WeightTable | str] = {}
    for name in SCHEMES:
        try:
            tables[name] = scan.weights(name, **options)
        except UnlistedValuesError:
            raise
        except WeightError as error:
            tables[name] = str(error)
    if all(isinstance(table, str) for table in tables.values()):
        raise WeightError(str(next(iter(tables.values()))))
    if json:
        print_json(
            {
                name: {"error": table} if isinstance(table, str) else table.weights.tolist()
                for name, table in tables.items()
            }
        )
        return
    output().print(compare_table(tables, scan.catalog))


def _parameters(given: list[str]) -> dict[str, object]:
    from maskstat.errors import ParameterError

    parameters: dict[str, object] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise ParameterError(f"{item!r} is not NAME=VALUE", where="--param")
        parameters[name.strip()] = value.strip()
    return parameters


def _clip(given: str | None) -> tuple[float, float] | None:
    from maskstat.errors import ParameterError

    if given is None:
        return None
    low, colon, high = given.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise ParameterError(
            f"{given!r} is not LO:HI", where="--clip", remedy="--clip 0.1:10"
        ) from None


def _command_with(flags: str | None) -> str:
    """This very command with more flags: what to type next."""
    return f"type: maskstat {shlex.join(sys.argv[1:])} {flags or ''}".rstrip()
