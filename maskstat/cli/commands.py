"""How a module becomes a command: its options in groups, its examples below them.

A command may take a dataclass of options that several commands share: its fields are options of the
command, and the function gets the dataclass.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from types import ModuleType
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

Parser = Callable[..., Any]

# Heading -> the options below it, by parameter; all others are the command's own.
_GROUPS = {
    "What training sees": "recipe crop scale cat_max_ratio draw chance sampler presence",
    "How a loss averages": "average batch_size drop_last predictor_confidence seed",
    "How masks are read": "include exclude column size pages channels channel array value_divisor"
    " divide_all panoptic per_class nearest_colour allow_lossy",
    "How it runs": "strict rescan trust_folders timeout workers memory executor scheduler",
    "Common options": "scan db classes ignore reduce_zero_label group_by counts unit"
    " allow_incomplete order all_classes json help",
}
_HEADINGS = {name: heading for heading, names in _GROUPS.items() for name in names.split()}


_TEXTS: tuple[object, ...] = (str, str | None, list[str], list[str] | None)


class CommandGroup(TyperGroup):
    """All commands; what is said before one is read as quickly as what is said behind it."""

    def get_params(self, ctx: Any) -> Any:
        """As Typer's, read here."""
        return _read_here(super().get_params(ctx), {})


class GroupedCommand(TyperCommand):
    """A command whose help has a section a group of options, and its examples at the end.

    Attributes:
        parsers: what reads the text of an option, by its parameter.
    """

    parsers: dict[str, Parser]

    def get_params(self, ctx: Any) -> Any:
        """As Typer's, read here."""
        return _read_here(super().get_params(ctx), self.parsers)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the command's own options, then the groups that it has."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        sections |= {heading: [] for heading in _GROUPS}
        parameters = self.get_params(ctx)
        averages = any(parameter.name == "average" for parameter in parameters)
        for parameter in parameters:
            of_argument = parameter.param_type_name == "argument"
            own = "Arguments" if of_argument else "Options"
            record = parameter.get_help_record(ctx)
            heading = _HEADINGS.get(parameter.name or "", own)
            if parameter.name == "seed" and not averages:  # not one of a loss
                heading = own
            if record is not None:
                sections[heading].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, as they are typed."""
        with formatter.section("Examples"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"  {line}\n")


def add(app: typer.Typer, module: ModuleType) -> None:
    """Add the command of a module: its function `command`, its `EXAMPLES`, its own name."""
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    call = _flat(module.command)
    kinds = {one: parser for one, kind in call.__annotations__.items() if (parser := _parser(kind))}
    command = type("Command", (GroupedCommand,), {"parsers": kinds})
    app.command(name, cls=command, epilog="\n".join(module.EXAMPLES))(call)


def _parser(kind: Any) -> Parser | None:
    """What reads an option's text; None where that is Typer's business."""
    held, option = get_args(kind)
    return option.parser or (str if held in _TEXTS else None)


def _read_here(parameters: Sequence[Any], parsers: Mapping[str, Parser]) -> Sequence[Any]:
    """The same, whose texts and absent values are read here.

    Typer makes adapters of pydantic for all options of a command, those that nobody gave too: that
    takes as long as all else that a command has to import.
    """
    for one in parameters:
        otherwise = partial(type(one).process_value, one)
        one.process_value = partial(_value, one, otherwise, parsers.get(one.name))
    return parameters


def _value(
    one: Any, otherwise: Callable[..., Any], parser: Parser | None, ctx: Any, value: Any
) -> Any:
    """What an option is, from its text or texts; `otherwise` is how Typer comes to it."""
    several = one.multiple or one.nargs != 1
    if value is None and not one.required:
        value = () if several else None
    elif parser is not None and isinstance(value, str) and not several:
        value = parser(value)
    elif parser is not None and isinstance(value, (list, tuple)) and value and several:
        value = [parser(text) for text in value]
    elif not isinstance(value, bool):
        return otherwise(ctx, value)
    return value if one.callback is None else one.callback(ctx, one, value)


def _flat(command: Callable[..., int]) -> Callable[..., int]:
    """The command with the fields of its dataclasses as parameters."""
    shared: dict[str, Any] = {}
    flat: list[inspect.Parameter] = []
    # Not the function's type hints: before Python 3.11 a default of None hides options in them.
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if not is_dataclass(kind):
            flat.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
            continue
        shared[parameter.name] = kind
        kinds = get_type_hints(kind, include_extras=True)
        flat += [
            inspect.Parameter(
                one.name, parameter.KEYWORD_ONLY, default=one.default, annotation=kinds[one.name]
            )
            for one in fields(kind)
        ]

    def call(**given: Any) -> int:
        for name, kind in shared.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        return command(**given)

    call.__doc__ = command.__doc__
    call.__annotations__ = {one.name: one.annotation for one in flat}
    call.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    return call
