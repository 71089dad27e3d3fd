"""`maskstat class-index`: where each class is in every mask, for crops that find rare ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from maskstat.cli.next_commands import say_next
from maskstat.cli.options import (
    AllowIncomplete,
    ReduceZeroLabelOption,
    WhichScan,
    announce_scan,
    announce_written,
    choice,
    offering_commands,
    output_file,
    print_notes,
    typed,
)
from maskstat.cli.progress import progress_bar
from maskstat.cli.reading import NearestColourOption, Running
from maskstat.naming import counted
from maskstat.showing import cut
from maskstat.weights.choices import UNLISTED, Unlisted

if TYPE_CHECKING:
    from maskstat.crops.class_index import ClassIndex

_NEVER = 5  # names of classes that are said

EXAMPLES = (
    "maskstat class-index -o index.npz",
    "maskstat class-index --scan val -o val.npz",
)


def command(
    *,
    out: Annotated[
        Path | None,
        output_file("An .npz for CropSampler and ClassIndex.load. Without, it is in the store."),
    ] = None,
    running: Running,
    unlisted: Annotated[
        Unlisted, choice("--unlisted", known=UNLISTED, help="Values nobody explained.")
    ] = "refuse",
    allow_incomplete: AllowIncomplete = False,
    which: WhichScan,
    nearest_colour: NearestColourOption = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
) -> int:
    """Find where each class is in every mask, so that crops around rare ones need no search.

    A random pixel of a class, of all masks or of one, is drawn from it in microseconds, and no
    mask is opened. Masks are decoded once for each set of classes, and the result is kept: only
    new and changed ones are looked at again. 'scan --index' finds it in the pass of a scan.
    """
    if out is not None:
        from maskstat.crops.index_files import check_output

        check_output(out)
    with (
        which.open(nearest_colour=nearest_colour, reduce_zero_label=reduce_zero_label) as chosen,
        offering_commands(),
        progress_bar("indexing") as on_progress,
    ):
        index = chosen.class_index(
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
            **vars(running),
            on_progress=on_progress,
        )
    if out is not None:
        index.save(out)
    announce_scan(chosen)
    print_notes(_notes(index))
    if out is None:
        say_next(f"{typed()} -o index.npz")
    else:
        announce_written(out)
    return 0


def _notes(index: ClassIndex) -> Iterable[str]:
    """What is in it, and which classes can't be drawn."""
    pixels = index.class_pixels.tolist()
    never = [cut(name) for name, own in zip(index.catalog.names, pixels, strict=True) if not own]
    facts = (
        counted(len(index), "mask"),
        counted(len(pixels), "class"),
        counted(sum(pixels), "pixel"),
    )
    yield ", ".join(facts)
    if never:
        more = "" if len(never) <= _NEVER else f" and {len(never) - _NEVER:,} more"
        yield f"No mask has {', '.join(never[:_NEVER])}{more}."
