"""What somebody who types commands reads."""

from __future__ import annotations

from maskstat.cli.spelling import AsCommands
from maskstat.errors import speaking, spelled


def typed(text: str) -> str:
    """The text with options and commands for parameters and calls."""
    with speaking(AsCommands()):
        return spelled(text)
