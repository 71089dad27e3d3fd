"""`maskstat plugins`: what other packages bring."""

from __future__ import annotations

from dataclasses import asdict

from maskstat.cli.options import JsonOption, output, print_json, say

EXAMPLES = (
    "maskstat plugins",
    "maskstat plugins --json",
)


def command(json: JsonOption = False) -> int:
    """List what other packages bring: readers, sources, schemes, presets, recipes.

    Each is imported, to see whether it can be used. docs/plugins.md says how to write one.
    """
    from maskstat.api.registries import plugins

    found = plugins()
    if json:
        print_json([asdict(one) for one in found])
        return 0
    if not found:
        say("no plugins are installed; docs/plugins.md says what they are and how to write one")
        return 0
    from maskstat.render.terminal.tables import record_table

    rows = [
        {
            "group": one.group,
            "name": one.name,
            "package": one.package,
            "version": one.version,
            "works": one.problem is None,
        }
        for one in found
    ]
    output().print(record_table(rows))
    for one in found:
        if one.problem is not None:
            say(f"{one.group[:-1]} {one.name} of {one.package}: {one.problem}")
    return 0
