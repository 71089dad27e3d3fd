"""`maskstat exposure`: what training sees of a scan, beside what the folder holds."""

from __future__ import annotations

from typing import Annotated

import typer

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    AllOption,
    AllowIncomplete,
    DropLast,
    JsonOption,
    ReduceZeroLabelOption,
    WhichScan,
    announce_scan,
    choice,
    offering_commands,
    output,
    print_json,
    rows_of,
)
from maskstat.cli.progress import progress_bar
from maskstat.cli.reading import Running
from maskstat.cli.recipes import (
    AskedLoader,
    PresenceOption,
)
from maskstat.cli.values import whole
from maskstat.weights.choices import UNLISTED, Unlisted

EXAMPLES = (
    "maskstat exposure --crop 128 --batch-size 8",
    "maskstat exposure --recipe mmseg-cityscapes --crop 128 --presence",
)


def command(
    *,
    asked: AskedLoader,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="S", parser=whole(1), help="Crops in a batch."),
    ] = None,
    drop_last: DropLast = False,
    crops: Annotated[
        int | None,
        typer.Option(
            "--crops",
            metavar="J",
            parser=whole(1, 1 << 16),
            help="Sampled of each mask, for batches. More of them go on with the same ones. "
            "Default: those that are kept, or 24. With --draw: of each class of a mask, 8.",
        ),
    ] = None,
    presence: PresenceOption = False,
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate",
            help="Decode nothing: shares as far as a profile's heat maps tell, with bounds for the "
            "exact ones. For masks of one size.",
        ),
    ] = False,
    running: Running,
    unlisted: Annotated[
        Unlisted, choice("--unlisted", known=UNLISTED, help="Values nobody explained.")
    ] = "refuse",
    allow_incomplete: AllowIncomplete = False,
    which: WhichScan,
    reduce_zero_label: ReduceZeroLabelOption = False,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Show what training sees: crops of rescaled masks, drawn by a sampler, in batches.

    Shares in the folder and in crops side by side, what differs most first; how many crops and
    batches have each class. Masks are decoded once for each recipe, and the result is kept:
    weights, costs, sampling and report take the same options then.
    """
    rows = rows_of(None, all_classes, json=json)
    with (
        which.open(reduce_zero_label=reduce_zero_label) as folder,
        offering_commands(),
    ):
        given = {**vars(asked), "unlisted": unlisted, "allow_incomplete": allow_incomplete}
        if approximate:
            from maskstat.parameters import refuse_idle
            from maskstat.render.documents.exposure import approximate_document

            idle: dict[str, object] = {
                "batch_size": batch_size,
                "drop_last": drop_last,
                **{name: given.pop(name) for name in ("draw", "chance", "sampler")},
                "crops": crops,
                "presence": presence,
                **vars(running),
                "executor": running.executor != "threads",
            }
            refuse_idle(idle, goes_with="exact shares, without --approximate")
            document = approximate_document(folder, folder.approximate_exposure(**given))
        else:
            with progress_bar("exposing") as on_progress:
                seen = folder.exposure(
                    **given,
                    batch_size=batch_size,
                    drop_last=drop_last,
                    crops=crops,
                    presence=presence,
                    **vars(running),
                    on_progress=on_progress,
                )
            document = seen.to_document()
        if json:
            print_json(document)
            return 0
        from maskstat.render.terminal.exposure_tables import exposure_tables

        announce_scan(folder)
        output().print(exposure_tables(document, folder.catalog, rows))
        about = which.words(reduce_zero_label=reduce_zero_label)
        exact = f"maskstat weights{asked}{about} -o weights.json"
        say_next(f"maskstat exposure{asked}{about}" if approximate else exact)
    return 0
