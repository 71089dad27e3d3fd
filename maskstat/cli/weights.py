"""`maskstat weights`: class weights from a stored scan."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstat.cli.options import (
    BatchSize,
    ClassesOption,
    Confidence,
    Database,
    ForFramework,
    IgnoreOption,
    JsonOption,
    ScanName,
    Seed,
    announce_written,
    epsilon_of,
    framework_of,
    layout_of,
    output,
    print_json,
    refuse_idle,
    stored_scan,
)
from maskstat.cli.values import file, number
from maskstat.naming import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from maskstat.api.scan import Scan
    from maskstat.weights.equal_cost_table import EqualCost, Framework
    from maskstat.weights.table import WeightTable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("weights")(command)


def command(
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme", metavar="NAME", help="See 'maskstat schemes'. Default: equal-cost."
        ),
    ] = None,
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
    framework: ForFramework = None,
    batch_size: BatchSize = None,
    confidence: Confidence = None,
    cost_matrix: Annotated[
        Path | None,
        typer.Option(
            "--cost-matrix",
            metavar="FILE",
            parser=file,
            help="For equal-cost: K x K numbers, what a pixel of class c (column) costs the answer "
            "i (row). .npy, .csv, .txt or .json.",
        ),
    ] = None,
    best_effort: Annotated[
        bool,
        typer.Option(
            "--best-effort",
            help="For torch: where exact equal cost is impossible or too extreme, the most equal "
            "costs within --max-ratio.",
        ),
    ] = False,
    max_ratio: Annotated[
        float | None,
        typer.Option(
            "--max-ratio",
            metavar="R",
            parser=number,
            help="Largest weight ratio of a best effort. Default: 1000.",
        ),
    ] = None,
    seed: Seed = None,
    unlisted: Annotated[
        str, typer.Option("--unlisted", metavar="refuse|ignore", help="Values nobody explained.")
    ] = "refuse",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            parser=file,
            help="Write to .json, .yaml, .csv, .txt or .npy.",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="full|list|dict",
            help="Of the file. full, the default: with names and provenance; list: MMSegmentation, "
            "torch.tensor; dict: Keras' class_weight.",
        ),
    ] = None,
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
    from maskstat.parameters import assignments
    from maskstat.weights.schemes import find_scheme

    if unlisted not in {"refuse", "ignore"}:
        raise ParameterError(
            f"is 'refuse' or 'ignore', not {printable(repr(unlisted))}", where="--unlisted"
        )
    form = layout_of(layout, out)
    if compare:
        _refuse_beside_compare(out, scheme, param)
    scheme = "equal-cost" if scheme is None else scheme
    options: dict[str, Any] = {
        "normalize": normalize,
        "clip": _clip(clip),
        "absent": absent,
        "unlisted": unlisted,
    }
    given = assignments(param or [], parameter="parameters")
    special = {
        "--for": framework,
        "--batch-size": batch_size,
        "--predictor-confidence": confidence,
        "--cost-matrix": cost_matrix,
        "--best-effort": best_effort,
        "--max-ratio": max_ratio,
        "--seed": seed,
    }
    if compare or scheme != "equal-cost":
        refuse_idle(special, goes_with="--scheme equal-cost")
    kind = framework_of(framework)
    if kind != "torch":
        refuse_idle({"--batch-size": batch_size, "--seed": seed}, goes_with="--for torch")
    max_ratio = _ratio(best_effort, max_ratio)
    epsilon = epsilon_of(confidence)
    chosen = stored_scan(db, scan, classes, ignore)
    try:
        if compare:
            _compare(chosen, options, json=json)
            return 0
        if scheme == "equal-cost":
            find_scheme(scheme).bind(given)  # which has none: says so
            answer = _equal_cost(
                chosen, options, kind, batch_size, cost_matrix, max_ratio=max_ratio, seed=seed or 0
            )
            table, notes = answer.table, _equal_cost_notes(chosen, answer, epsilon)
        else:
            table, notes = chosen.weights(scheme, params=given, **options), None
    except UnlistedValuesError as error:
        raise UnlistedValuesError(error.problem, remedy=_command_with(error.remedy)) from error
    if out is not None:
        table.save(out, form)
        announce_written(out)
    _show(chosen, table, notes, json=json)
    return 0


def _ratio(best_effort: bool, max_ratio: float | None) -> float | None:
    """The limit of a best effort, None where an exact answer is wanted."""
    from maskstat.weights.equal_cost_table import DEFAULT_MAX_RATIO

    if not best_effort:
        refuse_idle({"--max-ratio": max_ratio}, goes_with="--best-effort")
        return None
    return DEFAULT_MAX_RATIO if max_ratio is None else max_ratio


def _refuse_beside_compare(out: Path | None, scheme: str | None, param: list[str] | None) -> None:
    from maskstat.errors import ParameterError

    if out is not None:
        raise ParameterError("--compare writes no file", where="-o", remedy="choose one --scheme")
    for option, value in {"--scheme": scheme, "--param": param}.items():
        if value:
            raise ParameterError("--compare shows all schemes with their defaults", where=option)


def _equal_cost(
    scan: Scan,
    options: dict[str, Any],
    framework: Framework,
    batch_size: int | None,
    cost_matrix: Path | None,
    *,
    max_ratio: float | None,
    seed: int,
) -> EqualCost:
    from maskstat.weights.cost_matrix import read_cost_matrix

    matrix = None if cost_matrix is None else read_cost_matrix(cost_matrix, len(scan.catalog))
    return scan.equal_cost(
        framework,
        batch_size=batch_size,
        cost_matrix=matrix,
        max_ratio=max_ratio,
        seed=seed,
        **options,
    )


def _equal_cost_notes(scan: Scan, answer: EqualCost, epsilon: float) -> RenderableType:
    from maskstat.render.terminal.cost_tables import equal_cost_notes, linear_notes
    from maskstat.weights.equal_cost import relaxations

    solution = answer.solution
    if solution is None:
        return linear_notes(answer.table, epsilon)
    near = solution.is_near_border and solution.max_ratio is None
    steps = relaxations(scan.ledger) if near else ()
    return equal_cost_notes(solution, scan.catalog.names, steps)


def _show(scan: Scan, table: WeightTable, notes: RenderableType | None, *, json: bool) -> None:
    if json:
        document = table.to_document()
        print_json({**document.metadata, **document.columns})
        return
    from maskstat.render.terminal.tables import weight_table

    output().print(weight_table(table, scan.catalog))
    if notes is not None:
        output().print(notes)


def _compare(scan: Scan, options: dict[str, Any], *, json: bool) -> None:
    """All schemes with their default parameters; one that fails does not hide the others."""
    from maskstat.errors import UnlistedValuesError, WeightError
    from maskstat.render.terminal.tables import compare_table
    from maskstat.weights.schemes import SCHEMES

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


def _clip(given: str | None) -> tuple[float, float] | None:
    from maskstat.errors import ParameterError
    from maskstat.parameters import parse_number

    if given is None:
        return None
    low, _, high = given.partition(":")
    bounds = parse_number(low), parse_number(high)
    if bounds[0] is None or bounds[1] is None:
        raise ParameterError(
            f"{printable(repr(given))} is not LO:HI", where="--clip", remedy="--clip 0.1:10"
        )
    return bounds[0], bounds[1]


def _command_with(flags: str | None) -> str:
    """This very command with more flags: what to type next."""
    return f"type: maskstat {shlex.join(sys.argv[1:])} {flags or ''}".rstrip()
