"""`maskstat merge`: scans of shards, made anywhere, as one scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstat.cli import values
from maskstat.cli.next_commands import after_counts, reads_along, say_next
from maskstat.cli.options import (
    JsonOption,
    announce_written,
    choice,
    output,
    output_file,
    print_json,
    say,
    with_options,
)
from maskstat.scanning.choices import PREFER, Prefer

if TYPE_CHECKING:
    from maskstat.scanning.merging import Merged


EXAMPLES = (
    "maskstat merge a.db b.db -o all.db",
    "maskstat merge a.db b.db -o all.db --force --separate",
)


def command(
    stores: Annotated[
        list[Path],
        typer.Argument(metavar="STORE...", parser=values.file, help="Stores that hold the scans."),
    ],
    out: Annotated[Path, output_file("The new store.")],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            parser=values.name,
            help="Name of the merged scan; default: the scans' own, or their folder's.",
        ),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            metavar="NAME",
            help="Which scan of each store; default: its latest, of splits the one to train on. "
            "Repeatable.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="K|FILE|PRESET",
            help="The classes of the merged scan, where those of the scans differ.",
        ),
    ] = None,
    prefer: Annotated[
        Prefer | None,
        choice(
            "--prefer",
            known=PREFER,
            help="Of a mask with different counts in two scans, take the one whose file changed "
            "last.",
        ),
    ] = None,
    separate: Annotated[
        bool,
        typer.Option(
            "--separate",
            help="Masks of two stores are never the same, though their folders are called alike "
            "(on other machines). Names begin with the store's.",
        ),
    ] = False,
    allow_incomplete: Annotated[
        bool,
        typer.Option(
            "--allow-incomplete",
            help="Merge interrupted scans too; the merged one is incomplete then.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a store that is there, with all of its scans."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Merge the scans of shards into one scan in a new store.

    A mask is known by where it is: masks of the same name in two folders are two, and one that is
    in several scans counts once. Nothing is decoded.
    """
    from maskstat.api.merging import merge

    merged = merge(
        stores,
        out,
        name=name,
        scans=scan or (),
        classes=classes,
        prefer=prefer,
        separate=separate,
        allow_incomplete=allow_incomplete,
        force=force,
    )
    with merged:
        document = _document(merged)
        nexts = after_counts(merged, with_options(out)) if reads_along() and not json else []
    announce_written(out)
    if document["profiles_left"]:
        say(
            "some pixel profiles stay behind: they are sums of many masks, which can't be merged"
            " where shards overlap or classes are inferred"
        )
    if document["groups_left"]:
        say(
            "groups of masks stay behind: not all scans have the same, or not by the new names;"
            " --group-by says them again"
        )
    if json:
        print_json(document)
        return 0
    _print(document)
    say_next(*nexts)
    return 0


def _document(merged: Merged) -> dict[str, Any]:
    return {
        "scan": merged.name,
        "source": merged.source,
        "complete": merged.info.complete,
        "masks": merged.mask_count,
        "overlapping": merged.overlapping,
        "failures": len(merged.failures),
        "profiles_left": merged.profiles_left,
        "groups_left": merged.groups_left,
        "shards": [shard._asdict() for shard in merged.shards],
    }


def _print(document: dict[str, Any]) -> None:
    from maskstat.naming import counted, printable
    from maskstat.render.terminal.tables import record_table

    output().print(record_table(document["shards"]))
    facts = [counted(document["masks"], "mask")]
    if document["overlapping"]:
        facts.append(f"{document['overlapping']:,} more were in several shards and count once")
    if document["failures"]:
        facts.append(f"{document['failures']:,} could not be counted")
    if not document["complete"]:
        facts.append("incomplete, as a shard is")
    about = f"Scan {printable(document['scan'])}: {', '.join(facts)}"
    output().print(about, markup=False)
