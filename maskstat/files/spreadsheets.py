"""CSV that spreadsheets open: a cell that begins like a formula is run as one.

Names of masks and classes come from anywhere. So text that begins with one of = + - @, a tab, a
carriage return or an apostrophe gets an apostrophe in front; to take one off again gives every name
back.
"""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_CELL_IN_JSON = re.compile(r"[,;](?=[=+\-@])")  # within a text: between values stands ", "


def guarded(text: str) -> str:
    """The text as a cell that is none."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unguarded(cell: str) -> str:
    """The text of such a cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def guarded_json(text: str) -> str:
    """The same JSON, on a line of a CSV file that is cut into cells at its commas or semicolons."""
    return _CELL_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
