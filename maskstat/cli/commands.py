"""How a module becomes a command: its options in groups, its examples below them.

A command may take a dataclass of options that several commands share: its fields are options of the
command, and the function gets the dataclass.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

# Heading -> the options below it, by parameter; all others are the command's own.
_GROUPS = {
    "What training sees": "recipe crop scale cat_max_ratio draw chance sampler presence",
    "How a loss averages": "average batch_size drop_last predictor_confidence seed",
    "How masks are read": "include exclude column size pages channels channel array value_divisor"
    " divide_all panoptic per_class nearest_colour allow_lossy",
    "How it runs": "strict rescan timeout workers memory executor scheduler",
    "Common options": "scan db classes ignore reduce_zero_label group_by counts unit"
    " allow_incomplete order all_classes json help",
}
_HEADINGS = {name: heading for heading, names in _GROUPS.items() for name in names.split()}


class GroupedCommand(TyperCommand):
    """A command whose help has a section a group of options, and its examples at the end."""

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
    register = app.command(name, cls=GroupedCommand, epilog="\n".join(module.EXAMPLES))
    register(_flat(module.command))


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
