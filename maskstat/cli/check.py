"""`maskstat check`: what is wrong with a scanned set of masks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.next_commands import other_split, reads_along, say_next
from maskstat.cli.options import (
    GroupByOption,
    JsonOption,
    WhichScan,
    announce_scan,
    output,
    print_json,
    stored_names,
)
from maskstat.cli.values import file, whole

EXAMPLES = (
    "maskstat check",
    "maskstat check --scan val --against train --fail-on unlisted,unreadable",
)


def command(
    *,
    which: WhichScan,
    group_by: GroupByOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="NAME",
            autocompletion=stored_names,
            help="Another scan of the store: no mask should be in both. Repeatable.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", parser=file, help="The images, paired with masks by stem."
        ),
    ] = None,
    image_suffix: Annotated[
        str,
        typer.Option(
            "--image-suffix", metavar="TEXT", help="What image stems end in, as '_leftImg8bit'."
        ),
    ] = "",
    mask_suffix: Annotated[
        str,
        typer.Option(
            "--mask-suffix", metavar="TEXT", help="What mask stems end in, as '_gtFine_labelIds'."
        ),
    ] = "",
    min_masks: Annotated[
        int,
        typer.Option(
            "--min-masks", metavar="N", parser=whole(0), help="Report classes in fewer masks."
        ),
    ] = 10,
    min_components: Annotated[
        int | None,
        typer.Option(
            "--min-components",
            metavar="N",
            parser=whole(0),
            help="Report classes in fewer connected components; needs a scan with --profile. "
            "Default: 10 where there is one.",
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="KIND|SEVERITY",
            help="Exit with 1 where a finding of this kind is made, or of severity error or "
            "warning (which includes errors). Repeatable, or separated by commas.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Find what is wrong with a scanned set of masks.

    Unreadable, lossy, anti-aliased, empty and duplicate masks, unlisted values, rare classes,
    outliers; with --against leakage between splits, with --images wrong sizes and missing
    partners. Decodes only masks whose counts are equal, and of images just the header.
    """
    from maskstat.errors import MaskstatError
    from maskstat.naming import counted
    from maskstat.statistics.findings import KINDS, chosen_kinds

    words = [word.strip() for item in fail_on or () for word in item.split(",")]
    chosen_kinds(words)  # a wrong one is said before anything is looked at
    with which.open(group_by=group_by) as chosen:
        found = chosen.check(
            against=against or (),
            images=images,
            image_suffix=image_suffix,
            mask_suffix=mask_suffix,
            min_masks=min_masks,
            min_components=min_components,
        )
    if json:
        print_json(found.to_document())
    else:
        from maskstat.render.terminal.check_tables import check_tables

        announce_scan(chosen)
        output().print(check_tables(found.to_document(), note="'--json' lists every file"))
    if failing := found.failing(words):
        listing = ", ".join(f"{f.kind} ({counted(f.count, KINDS[f.kind].noun)})" for f in failing)
        raise MaskstatError(f"found {listing}", parameter="fail_on")
    if reads_along() and not json:
        about = which.words(group_by)
        other = None if against else other_split(which.db, chosen)
        if other is not None:
            say_next(f"maskstat check{about} --against {shlex.quote(other)}")
        elif not chosen.is_multilabel:
            say_next(f"maskstat report{about} -o report.html")
    return 0
