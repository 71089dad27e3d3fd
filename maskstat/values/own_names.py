"""Classes given for a source that names its own: they are matched by name, never by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from maskstat.errors import CatalogError, argument
from maskstat.naming import counted, printable
from maskstat.values.catalog import ClassCatalog

NAMED_BY_SOURCE = "source"
"""The origin of a catalogue whose values are those of a source that names its classes."""

BACKGROUND = "background"
CALLED_BACKGROUND = frozenset({BACKGROUND, f"_{BACKGROUND}_", f"__{BACKGROUND}__"})
_SHOWN = 40


def read_under(given: ClassCatalog, counted_under: ClassCatalog) -> ClassCatalog:
    """Classes given for what was counted under others: by name where a source named those.

    Raises CatalogError like `by_name`.
    """
    named = counted_under.origin == NAMED_BY_SOURCE
    return by_name(given, counted_under) if named else given


def by_name(given: ClassCatalog, own: ClassCatalog) -> ClassCatalog:
    """The classes given, in their order, each with the values that its name has in the source.

    Names may differ in case and in blanks, hyphens and underscores, where that leaves no two
    alike. A class that only `given` has gets no values. Given as a number they are the source's,
    which must be as many. What the source ignores stays ignored.

    Raises:
        CatalogError: a class of the source that is not ignored is not among those given.
    """
    if given.origin == "number" and len(given) != len(own):
        raise CatalogError(
            f"{counted(len(given), 'class')} of a source that has {len(own):,}:"
            f" {_listed(own.names)}",
            parameter="classes",
            remedy="leave it out, or name them as the source does",
        )
    if given.origin == "number" or not len(given):
        return own
    wanted, there = _keys(given.names, own.names)
    place = {key: at for at, key in enumerate(there)}
    values = [own.classes[place[key]].values if key in place else () for key in wanted]
    unnamed = [
        info
        for info, key in zip(own.classes, there, strict=True)
        if info.values and key not in set(wanted)
    ]
    if unnamed:
        ignored = argument("ignore", [value for info in unnamed for value in info.values][:_SHOWN])
        raise CatalogError(
            f"there is no {_listed([info.name for info in unnamed])} among the names given"
            f" ({_listed(given.names)}): the source has {_listed(own.names)}",
            parameter="classes",
            remedy=f"leave it out, name them as the source does, or {ignored}",
        )
    return replace(
        given,
        classes=tuple(
            replace(info, values=own_values, colours=())
            for info, own_values in zip(given.classes, values, strict=True)
        ),
        ignored_values=own.ignored_values,
        ignored_colours=frozenset(),
        ignore_255=own.ignore_255,
        origin=NAMED_BY_SOURCE,
    )


def _keys(*lists: Sequence[str]) -> list[list[str]]:
    """What names are compared by: loosely, or as they are where two of a list would be alike."""
    for key in (_loosely, _exactly):
        keys = [list(map(key, names)) for names in lists]
        if all(max(Counter(each).values(), default=0) <= 1 for each in keys):
            return keys
    return [list(names) for names in lists]


def _loosely(name: str) -> str:
    if name.lower() in CALLED_BACKGROUND:
        return BACKGROUND
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _exactly(name: str) -> str:
    return BACKGROUND if name.lower() in CALLED_BACKGROUND else name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more
