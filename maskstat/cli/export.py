"""`maskstat export`: the mask x class table as Parquet or CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from maskstat.cli.options import (
    ReduceZeroLabelOption,
    WhichScan,
    announce_scan,
    announce_written,
    choice,
    output_file,
)
from maskstat.cli.reading import NearestColourOption
from maskstat.files.mask_tables.mask_table import FORMATS, LAYOUTS, TableFormat, TableLayout

_STDOUT = "-"


EXAMPLES = (
    "maskstat export -o masks.csv",
    "maskstat export --scan val --layout long",
)


def command(
    *,
    out: Annotated[
        Path | None,
        output_file("Write to .parquet or .csv; without, or with -, CSV goes to stdout."),
    ] = None,
    format: Annotated[
        TableFormat | None,
        choice(
            "--format",
            known=FORMATS,
            help="Default: what the suffix of -o says. daformer: in the folder -o, the two files of"
            " rare class sampling.",
        ),
    ] = None,
    layout: Annotated[
        TableLayout,
        choice(
            "--layout",
            known=LAYOUTS,
            help="wide: a row a mask, a column a class; long: a row for every class of a mask.",
        ),
    ] = "wide",
    which: WhichScan,
    nearest_colour: NearestColourOption = None,
    reduce_zero_label: ReduceZeroLabelOption = False,
) -> int:
    """Write the table of masks and classes, for DuckDB, pandas, Polars, spreadsheets.

    Pixels of each class in each mask. The wide layout also has height, width, all pixels, and those
    that are ignored or unlisted; the long one leaves out zeros.
    """
    to_stdout = out is None or str(out) == _STDOUT
    with which.open(nearest_colour=nearest_colour, reduce_zero_label=reduce_zero_label) as chosen:
        if out is None or to_stdout:
            sys.stdout.flush()
            chosen.export(sys.stdout.buffer, layout=layout, format=format)
            sys.stdout.buffer.flush()
        else:
            chosen.export(out, layout=layout, format=format)
            announce_written(out)
    announce_scan(chosen, beside_data=True)
    return 0
