"""Long JSON texts, a member at a time: as Python objects they take several times their size."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

_DECODER = json.JSONDecoder()
_BLANKS = " \t\r\n"


class JsonMember(NamedTuple):
    """A member of the object that a text is, or an element of a list that is one.

    `text[start:stop]` is the value. Before the elements of a list comes the list itself, empty.
    """

    key: str
    value: object
    start: int
    stop: int
    is_element: bool = False


def members(text: str, lists: Collection[str]) -> Iterator[JsonMember]:
    """Members of the object that is the whole text; those that `lists` names element by element.

    Raises:
        ValueError, IndexError, RecursionError: it is no JSON object.
    """
    at = _skip(text, 0, "{")
    if text[_blank(text, at)] == "}":
        return
    while True:
        key, at = _DECODER.raw_decode(text, _blank(text, at))
        if not isinstance(key, str):
            raise ValueError("a key is no text")
        at = start = _blank(text, _skip(text, at, ":"))
        if key in lists and text[at] == "[":
            yield JsonMember(key, [], start, start)
            at = _blank(text, at + 1)
            while text[at] != "]":
                start = at
                value, at = _DECODER.raw_decode(text, start)
                yield JsonMember(key, value, start, at, is_element=True)
                at = _blank(text, at)
                if text[at] == ",":
                    at = _blank(text, at + 1)
                    if text[at] == "]":
                        raise ValueError("a list ends in a comma")
                elif text[at] != "]":
                    raise ValueError(f"no comma at character {at}")
            at += 1
        else:
            value, at = _DECODER.raw_decode(text, start)
            yield JsonMember(key, value, start, at)
        at = _blank(text, at)
        if text[at] == "}":
            break
        at = _skip(text, at, ",")
    if _blank(text, at + 1) < len(text):
        raise ValueError("there is something behind its end")


def _blank(text: str, at: int) -> int:
    """Where the next character is that is no blank."""
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _skip(text: str, at: int, character: str) -> int:
    """The place behind a character that must be next."""
    at = _blank(text, at)
    if text[at] != character:
        raise ValueError(f"no {character!r} at character {at}")
    return at + 1
