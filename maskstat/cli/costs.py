"""`maskstat costs`: what every constant prediction costs, under no weights and under some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    output,
    print_json,
    refuse_idle,
    stored_scan,
)
from maskstat.cli.values import file

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.weights.table import WeightTable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("costs")(command)


def command(
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", parser=file, help="A file that 'maskstat weights' wrote."
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme", metavar="NAME", help="Weights of this scheme instead. Default: equal-cost."
        ),
    ] = None,
    framework: ForFramework = None,
    batch_size: BatchSize = None,
    confidence: Confidence = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", parser=file, help="Draw them: .png, .svg or .pdf."
        ),
    ] = None,
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    json: JsonOption = False,
) -> int:
    """Show what it costs to answer always with one class.

    For every class, under no weights and under these: the cost, how equal the costs are, and what
    the metrics say of the same answer. The average pixel weighs 1 under both, so the costs compare.
    """
    from maskstat.errors import ParameterError
    from maskstat.render.terminal.cost_tables import cost_document, cost_table
    from maskstat.weights.costs import price_list

    if weights is not None and scheme is not None:
        raise ParameterError("choose one of --weights and --scheme", where="--scheme")
    kind = framework_of(framework)
    if kind != "torch":
        refuse_idle({"--batch-size": batch_size, "--seed": seed}, goes_with="--for torch")
    if kind == "torch" and batch_size is None:
        raise ParameterError(
            "the costs depend on the batch", where="--for torch", remedy="say --batch-size 8"
        )
    options = {"batch_size": batch_size or 1, "epsilon": epsilon_of(confidence), "seed": seed or 0}
    if out is not None:
        from maskstat.render.plots.costs import draw_prices
        from maskstat.render.plots.plot import check_path, save

        check_path(out)
    chosen = stored_scan(db, scan, classes, ignore)
    label, table = _weights(chosen, weights, scheme, kind, batch_size, seed or 0)
    plain = price_list(chosen.ledger, None, kind, **options)  # type: ignore[arg-type]
    weighted = price_list(chosen.ledger, table.weights, kind, **options)  # type: ignore[arg-type]
    if out is not None:
        save(draw_prices(chosen, {"no weights": plain, label: weighted}), out)
        announce_written(out)
    document = cost_document(chosen.catalog, plain, weighted, label)
    if json:
        print_json(document)
    else:
        output().print(cost_table(document))
    return 0


def _weights(
    scan: Scan,
    file: Path | None,
    scheme: str | None,
    framework: str,
    batch_size: int | None,
    seed: int,
) -> tuple[str, WeightTable]:
    """What the weights are called, and the weights, scaled to an average pixel weight of 1."""
    from maskstat.errors import WeightError
    from maskstat.naming import counted, printable
    from maskstat.weights.normalise import normalise
    from maskstat.weights.table import load_weights

    if file is None:
        name = "equal-cost" if scheme is None else scheme
        options = {"normalize": "pixel", "absent": "one", "unlisted": "ignore"}
        if name == "equal-cost" and framework == "torch":
            answer = scan.equal_cost("torch", batch_size=batch_size, seed=seed, **options)
            return name, answer.table
        return name, scan.weights(name, **options)
    table = load_weights(file)
    if len(table) != len(scan.catalog):
        raise WeightError(
            f"holds {counted(len(table), 'weight')}, but the scan has"
            f" {counted(len(scan.catalog), 'class')}",
            where=printable(str(file)),
        )
    if not (table.weights * scan.histogram.frequency).any():
        raise WeightError("gives every class that occurs the weight 0", where=printable(str(file)))
    from dataclasses import replace

    scaled = normalise(table.weights, scan.histogram.frequency, "pixel")
    return printable(file.name), replace(table, weights=scaled)
