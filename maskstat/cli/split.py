"""`maskstat split`: parts of a data set in which every class has its share, or what parts have."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    AllOption,
    AllowIncomplete,
    ClassesOption,
    Database,
    GroupByOption,
    IgnoreOption,
    JsonOption,
    WhichScan,
    announce_scan,
    announce_written,
    offering_commands,
    output,
    output_file,
    print_json,
    rows_of,
    stored_names,
    typed,
)
from maskstat.cli.progress import search_bar
from maskstat.cli.values import file, number, whole

EXAMPLES = (
    "maskstat split --ratios 0.8,0.1,0.1 -o lists",
    "maskstat split --certify lists/train.txt lists/val.txt lists/test.txt",
)


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]", parser=file, help="With --certify: lists of masks, one a part."
        ),
    ] = None,
    *,
    ratios: Annotated[
        str | None,
        typer.Option(
            "--ratios",
            metavar="R,R[,R]",
            help="Shares of train and val, or of train, val and test: 0.8,0.1,0.1; of other parts "
            "with their names: fit=0.7,check=0.3.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", metavar="N", parser=whole(2), help="Instead: so many parts of one size."
        ),
    ] = None,
    fixed: Annotated[
        list[Path] | None,
        typer.Option(
            "--fixed",
            metavar="FILE",
            parser=file,
            help="What is decided: a text file called like its part (train.txt), a mask a line. "
            "Repeatable.",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="SHARE",
            parser=number,
            help="By which a part's size may miss its target. Default: 0, and 0.1 with groups.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="N", parser=whole(0), help="Another one gives another split."
        ),
    ] = 0,
    certify: Annotated[
        bool,
        typer.Option("--certify", help="Look at the split that FILEs are, and make none."),
    ] = False,
    out: Annotated[
        Path | None,
        output_file(
            "A table (.csv, .tsv) that 'scan --split' reads, all with the certificate (.json), or "
            "a folder for a list a part; below ImageSets names have no suffix (VOC)."
        ),
    ] = None,
    allow_incomplete: AllowIncomplete = False,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            metavar="NAME",
            autocompletion=stored_names,
            help="Which scan; repeat it to split several as one. Default: the latest, of splits "
            "the one to train on.",
        ),
    ] = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    group_by: GroupByOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Cut masks into parts that all have their share of every class.

    Groups stay whole (--group-by): frames of one video in two parts make a model look better than
    it is. A certificate says how even each class is, how even it can be, and what 200 random
    splits have. Decodes nothing.
    """
    from maskstat.errors import ParameterError
    from maskstat.parameters import refuse_idle

    rows = rows_of(None, all_classes, json=json)
    if certify:
        made = {
            "ratios": ratios,
            "folds": folds,
            "fixed": fixed or None,
            "tolerance": tolerance,
            "seed": seed or None,
            "out": out,
        }
        refuse_idle(made, goes_with="a split that is made, and --certify looks at one")
    elif files:
        raise ParameterError("goes with --certify", parameter="files")
    elif out is not None:
        from maskstat.splits.saving import check_output

        check_output(out)
    names = scan or [None]  # type: ignore[list-item]
    with ExitStack() as stack:
        stack.enter_context(offering_commands())
        first, *others = (
            stack.enter_context(WhichScan(name, db, classes, ignore).open(group_by=group_by))
            for name in names
        )
        if certify:
            plan = first.certify(files or [], *others, allow_incomplete=allow_incomplete)
        else:
            with search_bar() as on_search:
                plan = first.split(
                    *others,
                    ratios=ratios,
                    folds=folds,
                    fixed=fixed or None,
                    tolerance=tolerance,
                    seed=seed,
                    allow_incomplete=allow_incomplete,
                    on_search=on_search,
                )
        catalog = first.catalog
        for path in [] if out is None else plan.save(out):
            announce_written(path)
        if json:
            print_json(plan.to_document())
        else:
            from maskstat.render.terminal.split_tables import split_tables

            for one in (first, *others):
                announce_scan(one)
            output().print(split_tables(plan, catalog, rows))
            if not certify and out is None:
                say_next(f"{typed()} -o {'folds' if folds else 'split'}.csv")
    return 0
