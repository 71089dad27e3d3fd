"""Names of masks and classes, counts and shares: how they sort and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DIGITS = re.compile(r"([0-9]+)")
_PLANE = re.compile(r"#([1-9][0-9]*)\Z")


def natural_key(name: str) -> tuple[object, ...]:
    """Sort key under which `mask_2` comes before `mask_10`; a total order on names."""
    parts: list[object] = list(_DIGITS.split(name))
    for at in range(1, len(parts), 2):
        digits = str(parts[at]).lstrip("0")
        parts[at] = (len(digits), digits)
    return (tuple(parts), name)


def plane_name(file: str, plane: int) -> str:
    """What a plane of a file is called that is a mask of its own; planes are numbered from 1."""
    return f"{file}#{plane}"


def split_plane(name: str) -> tuple[str, int | None]:
    """The file and the number of the plane that a name may stand for; None where it has none."""
    found = _PLANE.search(name)
    return (name, None) if found is None else (name[: found.start()], int(found[1]))


def printable(text: str) -> str:
    """The text with every control or undecodable character shown as an escape.

    A file called "\\x1b[2J.png" must not clear the terminal that lists it, and one called
    "a\\nb.png" must not look like two.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 mask", "1,200 masks", "3 classes"."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def percent(fraction: float) -> str:
    """A share as text: three significant digits, of rare ones fewer: 33.0%, 0.67%, 0.002%.

    Only nothing is 0%, and only all of it 100%.
    """
    value = 100 * fraction
    if value <= 0:
        return "0%"
    if value < 0.00001:
        return "<0.00001%"
    if 99.95 <= value < 100:
        return ">99.9%"
    if (rounded := float(f"{value:.3g}")) >= 100:
        return f"{value:,.0f}%"
    if rounded >= 10:
        return f"{value:.1f}%"
    if rounded >= 0.01:
        return f"{value:.2f}%"
    return f"{float(f'{value:.1g}'):.5f}".rstrip("0") + "%"


def between(low: float, high: float) -> str:
    """An interval of shares as text: 31.2–34.9%."""
    return f"{percent(low).removesuffix('%')}–{percent(high)}"


def factor(number: float) -> str:
    """How many times as many, as text: 3.04, 109, 32,721."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.3g}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for an error message, with a blank behind it, or nothing where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    return f"did you mean {printable(near[0])}? " if near else ""


def storable(text: str) -> str:
    """A file name as valid Unicode: bytes that were not UTF-8 become `\\xNN` escapes."""
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a UTF-16 pair, which Windows allows in names
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")
