"""`maskstat show`: print a stored scan again."""

from __future__ import annotations

from maskstat.cli.next_commands import after_counts, reads_along, say_next, voxels_differ
from maskstat.cli.options import (
    AllOption,
    GroupByOption,
    JsonOption,
    MeasureOption,
    OrderOption,
    ReduceZeroLabelOption,
    WhichScan,
    announce_scan,
    output,
    print_json,
    rows_of,
    say,
    typed,
)
from maskstat.cli.reading import NearestColourOption

EXAMPLES = (
    "maskstat show",
    "maskstat show --scan val --order catalog --all",
)


def command(
    *,
    which: WhichScan,
    group_by: GroupByOption = None,
    nearest_colour: NearestColourOption = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
    measure: MeasureOption = "pixels",
    order: OrderOption = None,
    all_classes: AllOption = False,
    json: JsonOption = False,
) -> int:
    """Print a stored scan again.

    Classes, totals, and what needs attention. With --classes, --ignore or --nearest-colour the same
    counts are read under other classes, with --group-by in other groups, with --measure volume by
    the size of voxels; nothing is decoded.
    """
    from maskstat.render.documents.scan import scan_document

    rows = rows_of(order, all_classes, json=json)
    with which.open(
        nearest_colour=nearest_colour, reduce_zero_label=reduce_zero_label, group_by=group_by
    ) as stored:
        document = scan_document(stored if measure == "pixels" else stored.by_volume())
        nexts: list[str] = []
        if reads_along() and not json and nearest_colour is None:  # which the others don't take
            about = which.words(group_by, reduce_zero_label=reduce_zero_label)
            if measure != "pixels":
                about += f" --measure {measure}"
            weights_only = reduce_zero_label or measure != "pixels"
            nexts = after_counts(stored, about, weights_only=weights_only)
        beside = voxels_differ(stored, f"{typed()} --measure volume")
    if json:
        print_json(document)
    else:
        from maskstat.render.terminal.tables import scan_tables

        announce_scan(stored)
        output().print(scan_tables(document, rows))
    for line in beside if measure == "pixels" else ():
        say(line)
    if not json:
        say_next(*nexts)
    return 0
