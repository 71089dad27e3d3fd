"""`maskstat decide`: whether another decision than argmax helps a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import (
    GroupByOption,
    JsonOption,
    WhichScan,
    announce_scan,
    announce_written,
    choice,
    output,
    output_file,
    print_json,
    say,
    stored_names,
)
from maskstat.cli.progress import progress_bar
from maskstat.cli.values import file
from maskstat.decision.choices import MEASURES, Measure

EXAMPLES = (
    "maskstat decide predictions --scan val --train train --group-by '^([^_]+)_'",
    "maskstat decide predictions --scan val --group-by mask -o shifts.json",
)


def command(
    predictions: Annotated[
        Path,
        typer.Argument(
            parser=file,
            metavar="PREDICTIONS",
            help="A folder of logits or probabilities, .npy or .npz, called like the masks.",
        ),
    ],
    *,
    which: WhichScan,
    group_by: GroupByOption = None,
    measure: Annotated[
        Measure,
        choice(
            "--measure", known=MEASURES, help="What counts: IoU of all pixels or of images, recall."
        ),
    ] = "iou",
    train: Annotated[
        str | None,
        typer.Option(
            "--train",
            metavar="NAME",
            autocompletion=stored_names,
            help="The scan the network was trained on: its class frequencies.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            parser=file,
            help="Class weights the network was trained with.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        output_file("Write the recommended shifts (.json), where any are, for ShiftLogits."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Find out whether another decision than argmax helps, and would on other groups.

    Shifts of logits are chosen on some groups and judged on the others, from the simplest family
    to the freest; the usual answer is to keep argmax. Goes through the predictions twice.
    """
    if out is not None:
        from maskstat.training.shifts import check_output

        check_output(out)
    with which.open(group_by=group_by) as chosen:
        with progress_bar("deciding") as on_progress:
            report = chosen.decide(
                predictions, measure=measure, train=train, weights=weights, on_progress=on_progress
            )
        if json:
            print_json(report.to_document())
        else:
            from maskstat.render.terminal.decision_tables import decision_tables

            announce_scan(chosen)
            output().print(decision_tables(report))
    if out is not None and report.recommended in (None, "none"):
        say(f"nothing to write to {out.name}: nothing but argmax is recommended")
    elif out is not None:
        announce_written(report.shifts().save(out))
    return 0
