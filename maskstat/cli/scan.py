"""`maskstat scan`: count a source's masks into the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstat.cli import values
from maskstat.cli.next_commands import after_counts, reads_along, say_next, voxels_differ
from maskstat.cli.options import (
    AllOption,
    ClassesOption,
    Database,
    GroupByOption,
    IgnoreOption,
    JsonOption,
    OrderOption,
    ReduceZeroLabelOption,
    announce_scan,
    announce_written,
    database,
    output,
    print_json,
    registered,
    rows_of,
    say,
    with_options,
)
from maskstat.cli.progress import progress_bar
from maskstat.cli.reading import AskedReading, Running
from maskstat.cli.recipes import AskedRecipe, PresenceOption
from maskstat.naming import counted, printable
from maskstat.showing import cut

if TYPE_CHECKING:
    from maskstat.api.scan import Scan
    from maskstat.scanning.recording import Progress

SOME_FAILED = 3


def source_formats() -> Iterable[str]:
    """Names of the sources that plugins read, for completion."""
    from maskstat.sources.plugin_sources import SOURCES

    return SOURCES.names


EXAMPLES = (
    "maskstat scan sample_masks --classes sample_masks/classes.yaml",
    "maskstat scan sample_masks/park --classes 31 --name val --profile",
)


def command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder (recursive), a glob in quotes, one mask, a list of paths (.txt, .csv, "
            ".tsv, .json, .jsonl), archives (.zip, .tar), tables (.parquet, .arrow, .tfrecord), "
            "a URL of any of them, or annotations (COCO's or LabelMe's .json, YOLO's data.yaml, "
            "Kaggle's run lengths in a .csv).",
        ),
    ],
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            parser=values.name,
            help="Name of the scan; default: the folder's.",
        ),
    ] = None,
    db: Database = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            parser=values.pattern,
            help="Only names that match. Repeatable.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="GLOB",
            parser=values.pattern,
            help="Leave out matching files and folders. Repeatable.",
        ),
    ] = None,
    allow_lossy: Annotated[
        bool,
        typer.Option("--allow-lossy", help="Count JPEG, lossy WebP, JPEG 2000 as they are."),
    ] = False,
    reading: AskedReading,
    draft: Annotated[
        Path | None,
        typer.Option(
            "--draft",
            metavar="FILE",
            parser=values.file,
            help="Write a catalogue to fill in, of the colours and values found: a .yaml file for "
            "--classes.",
        ),
    ] = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Column (or TFRecord feature) with the masks, of a table or a list; a "
            "number where columns have no names.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="HxW",
            help="Size of all masks of run lengths (Kaggle's .csv), where neither columns nor "
            "images beside it say it.",
        ),
    ] = None,
    source_format: Annotated[
        str | None,
        registered(
            "--source-format",
            known=source_formats,
            help="A plugin's: what reads the source. See 'maskstat plugins'; what maskstat reads "
            "itself needs no word.",
        ),
    ] = None,
    split: Annotated[
        bool,
        typer.Option(
            "--split",
            help="One scan each of train, val, test: folders called so, or a column of a .csv.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first mask that can't be read.")
    ] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Decode again what has not changed, too.")
    ] = False,
    trust_folders: Annotated[
        bool,
        typer.Option(
            "--trust-folders",
            help="Do not look at masks of folders whose list of files has not changed since the "
            "last scan with this option; masks rewritten in place are not noticed.",
        ),
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Measure pixels too: heat maps, connected components, widths. Masks counted "
            "before are decoded once more.",
        ),
    ] = False,
    grid: Annotated[
        int | None,
        typer.Option(
            "--grid",
            metavar="G",
            parser=values.whole(1),
            help="Cells a side of the profile's heat maps. Default: 64.",
        ),
    ] = None,
    group_by: GroupByOption = None,
    asked: AskedRecipe,
    presence: PresenceOption = False,
    index: Annotated[
        bool,
        typer.Option("--index", help="Find where each class is, too, for 'maskstat class-index'."),
    ] = False,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=values.whole(1),
            help="Of a mask that comes over a network, tries and pauses included. Default: 600.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            parser=values.name,
            help="What decoding may hold at a time: 4G, 512M. What does not fit waits. Default: "
            "half of what is free.",
        ),
    ] = None,
    running: Running,
    order: OrderOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Count every mask of a source, exactly.

    The counts go into the store, where the other commands find them. Scanning the same source
    again decodes only what is new or changed. With --profile, a recipe and --index, pixels are
    looked at as well, in the same pass. Exit code 3 means that some masks could not
    be counted; they are listed with their reasons.
    """
    from maskstat.api.making import Splits, scan, scan_splits
    from maskstat.render.documents.scan import scan_document

    rows = rows_of(order, all_classes, json=json)
    with progress_bar("scanning") as show:

        def on_progress(progress: Progress) -> None:
            if not json:  # what draws the tables is imported while threads count
                import maskstat.render.terminal.tables  # noqa: F401
            if show is not None:
                show(progress)

        found = (scan_splits if split else scan)(
            source,
            classes=classes,
            ignore=ignore or (),
            name=name,
            db=database(db),
            include=include or (),
            exclude=exclude or (),
            allow_lossy=allow_lossy,
            **vars(reading),
            draft=draft,
            reduce_zero_label=reduce_zero_label,
            column=column,
            size=size,
            source_format=source_format,
            strict=strict,
            rescan=rescan,
            trust_folders=trust_folders,
            profile=profile,
            grid=grid,
            group_by=group_by,
            **vars(asked),
            presence=presence,
            index=index,
            timeout=timeout,
            **vars(running),
            memory=memory,
            on_progress=on_progress,
        )
    if draft is not None:
        announce_written(draft)
    with found:
        scans = list(found.values()) if isinstance(found, Splits) else [found]
        documents = [scan_document(one, intervals=False) for one in scans]
        beside = list(_grouped(scans))
        wrong = [one for one, document in zip(scans, documents, strict=True) if _is_wrong(document)]
        # Of splits, those to look at are not always the one to train on.
        reads = reads_along() and not json and draft is None
        about = _about(db, wrong or _to_train_on(scans)) if wrong or reads else ""
        for one in scans:
            if one.histogram.voxels.differ:
                beside += voxels_differ(one, f"maskstat show{_about(db, [one])} --measure volume")
        nexts = after_counts(_to_train_on(scans)[0], about) if reads and not wrong else []
    in_no_split = found.in_no_split if isinstance(found, Splits) else 0
    if split and json:
        print_json({"scans": documents, "in_no_split": in_no_split})
    elif json:
        print_json(documents[0])
    else:
        from maskstat.render.terminal.tables import scan_tables

        for one, document in zip(scans, documents, strict=True):
            announce_scan(one)
            output().print(scan_tables(document, rows))
        if in_no_split:
            noun = "file" if reading.pages == "each" else "mask"
            output().print(f"{counted(in_no_split, noun)} in no split and in none of these scans")
    for line in beside:
        say(line)
    return _ended(documents, about, nexts)


def _grouped(scans: Iterable[Scan]) -> Iterator[str]:
    """The groups of scans with a rule; where it does not fit all masks, they are counted, too."""
    from maskstat.errors import ParameterError

    for one in scans:
        if one.info.group_by in {None, "mask"}:
            continue
        try:
            groups = counted(number := len(one.groups), "group")
            alone = "; one group tells nothing of others" if number == 1 else ""
            yield f"{groups} of masks in {printable(one.name)}, by {cut(one.info.group_by)}{alone}"
        except ParameterError as error:
            yield f"{printable(one.name)} is counted, and has no groups: {error}"


def _is_wrong(document: Mapping[str, Any]) -> bool:
    return bool(document["failures"] or document["unlisted_values"])


def _to_train_on(scans: Sequence[Scan]) -> Sequence[Scan]:
    return [one for one in scans if one.name.lower().endswith(("train", "training"))] or scans


def _about(db: Path | None, scans: Sequence[Scan]) -> str:
    """The options with which other commands take the first of these scans."""
    from maskstat.api.stores import scans as stored

    several = len(stored(database(db))) > 1
    return with_options(db, scans[0].name if several else None)


def _ended(documents: Sequence[Mapping[str, Any]], about: str, nexts: Sequence[str]) -> int:
    """The exit code, what it is for where something is wrong, and what to type next."""
    failed = sum(len(document["failures"]) for document in documents)
    values = {row["value"] for document in documents for row in document["unlisted_values"]}
    check = f"'maskstat check{printable(about)}' says which"
    if failed:
        also = f", {counted(len(values), 'unlisted value')}" if values else ""
        say(
            f"exit code {SOME_FAILED}: {counted(failed, 'mask')} could not be counted{also};"
            f" {check}"
        )
        return SOME_FAILED
    if values:
        soft = any(document["soft_masks"] for document in documents)
        what = "soft masks without classes" if soft else counted(len(values), "unlisted value")
        say(f"exit code 0: all masks are counted, but {what} will stop 'maskstat weights'; {check}")
    say_next(*nexts)
    return 0
