"""`maskstat recommend`: what to do about the imbalance of a scan, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from maskstat.advice.choices import FRAMEWORKS, GOALS, Framework, Goal
from maskstat.cli.next_commands import say_left_out, say_next, voxels_differ
from maskstat.cli.options import (
    AllowIncomplete,
    GroupByOption,
    JsonOption,
    ReduceZeroLabelOption,
    TableOutput,
    WhichScan,
    announce_scan,
    announce_written,
    check_layout,
    choice,
    offering_commands,
    output,
    print_json,
    print_text,
    say,
    stored_names,
    typed,
)
from maskstat.cli.recipes import (
    AskedLoader,
)
from maskstat.cli.values import whole
from maskstat.naming import printable
from maskstat.weights.choices import UNLISTED, Unlisted

EXAMPLES = (
    "maskstat recommend --scan train --against val --batch-size 8",
    "maskstat recommend --measure recall --snippet torch -o weights.json",
)


def command(
    *,
    measure: Annotated[
        Goal,
        choice(
            "--measure",
            known=GOALS,
            help="What counts after training: mean IoU, balanced accuracy, or pixel accuracy and "
            "probabilities.",
        ),
    ] = "iou",
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="S",
            parser=whole(1),
            help="Masks or crops in a batch of one process. Default: the recipe's, or 8.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="NAME",
            autocompletion=stored_names,
            help="The scan of the masks to validate on.",
        ),
    ] = None,
    unlisted: Annotated[
        Unlisted, choice("--unlisted", known=UNLISTED, help="Values nobody explained.")
    ] = "refuse",
    allow_incomplete: AllowIncomplete = False,
    out: TableOutput = None,
    snippet: Annotated[
        Framework | None,
        choice("--snippet", known=FRAMEWORKS, help="Print a loss with these weights to paste."),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Give every rule's reason and evidence.")
    ] = False,
    asked: AskedLoader,
    which: WhichScan,
    group_by: GroupByOption = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
    json: JsonOption = False,
) -> int:
    """Say what to do about the imbalance: weights or none, what else, and what to check.

    Rules say it, each with its reason and who measured it (--why). With a recipe it is of what
    training sees.
    """
    from maskstat.parameters import refuse_idle

    check_layout(None, out)
    if json:
        refuse_idle({"snippet": snippet, "why": why}, goes_with="tables, without --json")
    folder = which.open(reduce_zero_label=reduce_zero_label, group_by=group_by)
    with folder, offering_commands():
        chosen = asked.seen(
            folder,
            which.words(reduce_zero_label=reduce_zero_label),
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
        )
        found = chosen.recommend(
            measure,
            batch_size=batch_size,
            against=against,
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
        )
        if out is not None and found.weights is None:
            say(f"nothing to write to {printable(out.name)}: no weights are recommended")
        elif out is not None and found.weights is not None:
            announce_written(found.weights.save(out))
        if json:
            print_json(found.to_document())
        else:
            from maskstat.render.terminal.advice_tables import advice_tables

            announce_scan(chosen)
            # Whole commands can be pasted: a terminal goes on in the next line by itself.
            output().print(advice_tables(found, why=why), crop=False)
            if snippet is not None:
                file = "weights.json" if out is None else str(out)
                print_text(f"\n{found.snippet(snippet, file)}")
            elif found.weights is not None:
                say_next(f"{typed()} --snippet torch -o weights.json")
        about = which.words(group_by, reduce_zero_label=reduce_zero_label)
        for line in voxels_differ(folder, f"maskstat weights{about} --measure volume"):
            say(line)
        say_left_out(folder, which.words(group_by))
    return 0
