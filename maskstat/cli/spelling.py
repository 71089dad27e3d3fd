"""How parameters and calls are written for somebody who types commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise

from maskstat.errors import Blank
from maskstat.naming import printable

# Options and commands that are not called as their parameters, functions and methods are.
_OPTIONS = {
    "epsilon": "--predictor-confidence",
    "files": "FILE",
    "kind": "KIND",
    "methods": "--method",
    "others": "--scan",
    "out": "-o",
    "output": "-o",
    "parameters": "--param",
    "parts": "--certify",
    "path": "-o",
    "scans": "--scan",
    "schemes": "--scheme",
    "source": "SOURCE",
    "stores": "STORE",
    "views": "--scan",
}
_COMMANDS = {"open_scan": "show"}


class AsCommands:
    """`--batch-size 8`, `--rescan`, `maskstat scan masks --profile`.

    Commands are of the store that was typed with --db, so that they run as they are printed.
    """

    def __init__(self, typed: Sequence[str] = ()) -> None:
        self._store: str | None = None
        for word, following in pairwise([*typed, ""]):
            if word == "--":
                break
            if word == "--db" and following:
                self._store = following
            elif word.startswith("--db="):
                self._store = word.removeprefix("--db=")

    def argument(self, parameter: str, value: object, /) -> str:
        """An option, with its value where one is named that is no flag.

        A list is the option for each of its items, a tuple one value: LO:HI.
        """
        return " ".join(_words(parameter, value))

    def call(
        self, function: str, positional: Sequence[object], named: Mapping[str, object], /
    ) -> str:
        """The command that does the same."""
        name = function.rpartition(".")[2]
        seen = named.get("seen")  # the recipe that a scan is read under
        flat = {**named, **seen} if isinstance(seen, Mapping) else named
        options = [
            word for key, value in flat.items() if key != "seen" for word in _words(key, value)
        ]
        if self._store is not None and "db" not in named:
            options += _words("db", self._store)
        command = _COMMANDS.get(name, name).replace("_", "-")
        return " ".join(["maskstat", command, *map(_word, positional), *options])


def _words(parameter: str, value: object) -> list[str]:
    option = _OPTIONS.get(parameter, f"--{parameter.replace('_', '-')}")
    if value is None or value is True:
        return [option]
    if isinstance(value, Mapping):  # of a scheme's or method's own parameters
        named = [k if inner is None else f"{k}={_word(inner)}" for k, inner in value.items()]
        return [word for inner in named for word in (option, inner)]
    if isinstance(value, list):
        return [word for inner in value for word in (option, _word(inner))]
    return [option, _word(value)]


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ":".join(map(_word, value))
    text = printable(str(value))
    return text if isinstance(value, Blank) else shlex.quote(text)
