"""What is printed where the encoding lacks some characters of it: plain ones in their place.

Python writes files and pipes in the encoding of the locale, which on Windows often is cp1252, and
an unset locale may leave ASCII.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("─━╸╺", "-"),
        "│": "|",
        "⋮": ":",
        **dict.fromkeys("█▉▊▋▌", "#"),
        **dict.fromkeys("▍▎▏", "."),
        "…": "~",
        "→": "->",
        "×": "x",
        "±": "+-",
        "²": "^2",
    }
)


def accept_all_text(stream: TextIO) -> None:
    """Let a stream print any text: what its encoding can't hold is made plain or escaped."""
    codecs.register_error("maskstat.plain", _plain)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="maskstat.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(map(_escaped, text)), error.end


def _escaped(character: str) -> str:
    if character.isascii():
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
