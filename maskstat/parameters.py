"""Parameters of registered functions: keyword-only arguments with defaults, given as text or value.

The signature is the one place that says which parameters there are, their defaults and types.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from maskstat.errors import ParameterError
from maskstat.naming import did_you_mean, printable

Word = TypeVar("Word", bound=str)
Named = TypeVar("Named")


def defaults(function: Callable[..., Any]) -> dict[str, object]:
    """Names of the keyword-only parameters with their defaults."""
    signature = inspect.signature(function).parameters
    return {name: p.default for name, p in signature.items() if p.kind is p.KEYWORD_ONLY}


def bind(
    function: Callable[..., Any], given: Mapping[str, object], *, owner: str
) -> dict[str, object]:
    """All parameters: defaults, overridden by `given`, whose texts become numbers where needed.

    Raises:
        ParameterError: `owner` (as in "scheme power") has no such parameter, or a value is of the
            wrong type.
    """
    bound = defaults(function)
    hints = get_type_hints(function)
    for name, value in given.items():
        if name not in bound:
            raise ParameterError(
                f"{owner} has no parameter {printable(name)!r}",
                parameter="parameters",
                remedy=f"it has: {', '.join(bound) or 'none'}",
            )
        bound[name] = _converted(name, value, hints[name])
    return bound


def _converted(name: str, value: object, hint: object) -> object:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if value in choices:
            return value
        raise ParameterError(
            f"{printable(repr(value))} is not one of {', '.join(choices)}",
            parameter="parameters",
            where=name,
            remedy=did_you_mean(str(value), choices).rstrip() or None,
        )
    number = parse_number(value) if isinstance(value, str) else _finite(value)
    if number is None:
        raise ParameterError(
            f"{name} must be a number, not {printable(str(value))!r}", parameter="parameters"
        )
    return number


def check_word(word: object, known: Sequence[Word], *, parameter: str) -> Word:
    """The word, where a parameter knows it. Raises ParameterError, with the nearest, otherwise."""
    for listed in known:
        if word == listed:
            return listed
    raise ParameterError(
        f"{printable(repr(word))} is not one of {', '.join(known)}",
        remedy=did_you_mean(str(word), known).rstrip() or None,
        parameter=parameter,
    )


def find_named(name: str, known: Mapping[str, Named], *, noun: str, parameter: str) -> Named:
    """What is called so. Raises ParameterError, with the nearest name, where nothing is."""
    if name in known:
        return known[name]
    raise ParameterError(
        f"no {noun} is called {printable(name)!r}",
        parameter=parameter,
        remedy=f"{did_you_mean(name, known)}known are {', '.join(known)}",
    )


def refuse_idle(given: Mapping[str, object], *, goes_with: str) -> None:
    """Raise ParameterError where one of these parameters was given, which would change nothing.

    Args:
        given: parameters by name; None and False are not given.
        goes_with: what they need.
    """
    for parameter, value in given.items():
        if value is not None and value is not False:
            raise ParameterError(f"goes with {goes_with}", parameter=parameter)


def several(given: object) -> tuple[Any, ...]:
    """Things of which there may be several, or one alone.

    A text or a path is one thing, never a sequence of characters. (A type checker does not help: a
    `str` is an `Iterable[str]`.)
    """
    if isinstance(given, (str, bytes, os.PathLike)) or not isinstance(given, Iterable):
        return (given,)
    return tuple(given)


def parse_whole(text: str) -> int | None:
    """The whole number that a text is, in plain digits; None where it is none, or absurdly long."""
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,1000}\s*", text) else None


def parse_number(text: str) -> float | None:
    """The finite number that a text is, in plain digits; None where it is none.

    Python's own notation goes further: 1_0, digits of other scripts.
    """
    if not text.isascii() or "_" in text:
        return None
    return _finite(text)


def _finite(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def assignments(items: Iterable[str], *, parameter: str) -> dict[str, str]:
    """Texts "NAME=VALUE" as a mapping. Raises ParameterError, naming the parameter, otherwise."""
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise ParameterError(f"{printable(item)!r} is not NAME=VALUE", parameter=parameter)
        if name.strip() in pairs:
            raise ParameterError(f"{printable(name.strip())!r} is given twice", parameter=parameter)
        pairs[name.strip()] = value.strip()
    return pairs
