"""What option texts may say: whole numbers, numbers, words, files, patterns, names.

Each is a `parser` of Typer's: it gets the text (or the default, as it is) and raises BadParameter,
to which the command line adds the option's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import typer

from maskstat.naming import did_you_mean, printable
from maskstat.parameters import parse_number, parse_whole

LARGEST = (1 << 63) - 1


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        number = parse_whole(str(text))
        if number is not None and number > LARGEST:
            raise typer.BadParameter(f"{_shown(text)} is too large")
        if number is None or not least <= number <= most:
            limits = f"from {least} on" if most == LARGEST else f"from {least} to {most}"
            raise typer.BadParameter(f"{_shown(text)} is no whole number {limits}")
        return number

    return parse


def whole_or(known: Iterable[str], least: int, most: int = LARGEST) -> Callable[[str], int | str]:
    """A parser of whole numbers, or of words that stand for some."""
    words, parse = frozenset(known), whole(least, most)
    return lambda text: text if text in words else parse(text)


def number(text: str) -> float:
    """A parser of finite numbers."""
    value = parse_number(str(text))
    if value is None:
        raise typer.BadParameter(f"{_shown(text)} is no finite number")
    return value


def word(known: Sequence[str], also: Mapping[str, str]) -> Callable[[str], str]:
    """A parser of a few words; `also` has other words for them."""

    def parse(text: str) -> str:
        if text in known:
            return text
        if text in also:
            return also[text]
        near = did_you_mean(text, known).rstrip()
        others = f" (or {', '.join(also)})" if also else ""
        raise typer.BadParameter(
            f"{_shown(text)} is not one of {', '.join(known)}{others}{near and '; '}{near}"
        )

    return parse


def file(text: str) -> Path:
    """A parser of paths; an empty one, as of a variable of the shell that is not set, is none."""
    if not str(text):
        raise typer.BadParameter("an empty text is no file's name")
    return Path(text)


def pattern(text: str) -> str:
    """A parser of shell patterns; an empty one would match nothing."""
    if not text:
        raise typer.BadParameter("an empty pattern matches nothing")
    return text


def name(text: str) -> str:
    """A parser of names that something new gets."""
    if not text.strip():
        raise typer.BadParameter(f"{_shown(text)} is no name")
    return text


def _shown(text: object) -> str:
    """The text in quotes, cut where nobody would read on."""
    quoted = printable(repr(str(text)))
    return quoted if len(quoted) <= 60 else f"{quoted[:56]}...'"
