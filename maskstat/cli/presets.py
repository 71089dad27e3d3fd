"""`maskstat presets`: catalogues of public datasets."""

from __future__ import annotations

from typing import Annotated

import typer

from maskstat.cli.options import (
    JsonOption,
    beginning,
    output,
    preset_names,
    print_json,
    print_text,
)

EXAMPLES = (
    "maskstat presets",
    "maskstat presets cityscapes",
)


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=beginning(preset_names),
            help="Print this preset's YAML.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """List catalogues of public datasets.

    With a name, print that one: a YAML file to start from.
    """
    from maskstat.api.registries import preset, presets

    if name is not None:
        chosen = preset(name)
        if json:
            print_json(chosen.catalog.to_dict())
        else:
            print_text(chosen.text)
        return 0
    rows = [
        {
            "preset": entry.name,
            "classes": len(entry.catalog),
            "title": entry.title,
            "masks": entry.masks,
            "link": entry.link,
        }
        for entry in presets().values()
    ]
    if json:
        print_json(rows)
        return 0
    from maskstat.render.terminal.tables import record_table

    shown = ("preset", "classes", "title")
    output().print(record_table([{key: row[key] for key in shown} for row in rows]))
    return 0
