"""`maskstat scans`: list or remove stored scans."""

from __future__ import annotations

from typing import Annotated

import typer

from maskstat.cli.options import (
    Database,
    JsonOption,
    database,
    output,
    print_json,
    say,
    stored_names,
)

EXAMPLES = (
    "maskstat scans",
    "maskstat scans --remove val",
)


def command(
    remove: Annotated[
        str | None,
        typer.Option(
            "--remove", metavar="NAME", autocompletion=stored_names, help="Remove this scan."
        ),
    ] = None,
    db: Database = None,
    json: JsonOption = False,
) -> int:
    """List the scans in the store, or remove one.

    The last one listed is the latest: other commands take it by default, or, where it is one of
    several splits, the one to train on.
    """
    from maskstat.api.stores import remove_scan, scans
    from maskstat.errors import ParameterError
    from maskstat.naming import printable

    if remove is not None and json:
        raise ParameterError("goes with the list: --remove prints none", parameter="json")
    if remove is not None:
        remove_scan(database(db), remove)
        say(f"removed {printable(remove)}")
        return 0
    rows = [record.to_document() for record in scans(database(db))]
    if json:
        print_json(rows)
        return 0
    from maskstat.render.terminal.tables import record_table

    output().print(record_table(rows))
    return 0
