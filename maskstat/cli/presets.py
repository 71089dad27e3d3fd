"""`maskstat presets`: catalogues of public datasets."""

from __future__ import annotations

from typing import Annotated

import typer

from maskstat.cli.options import JsonOption, output, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("presets")(command)


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this preset's YAML.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """List catalogues of public datasets.

    With a name, print that one: a YAML file to start from.
    """
    from maskstat.values.catalog_files import load_preset
    from maskstat.values.presets import preset_names, preset_text

    if name is not None:
        catalog = load_preset(name)
        if json:
            print_json(catalog.to_dict())
        else:
            typer.echo(preset_text(name), nl=False)
        return 0
    import yaml

    documents = [yaml.safe_load(preset_text(preset)) for preset in preset_names()]
    rows = [
        {
            "preset": document["name"],
            "classes": len(document["classes"]),
            "title": document["title"],
        }
        for document in documents
    ]
    if json:
        print_json(rows)
        return 0
    from maskstat.render.terminal.tables import record_table

    output().print(record_table(rows))
    return 0
