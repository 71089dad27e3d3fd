"""MaskGroups: which masks belong together (a video, a patient, a scene), read from their names.

Masks of one video are nearly copies of each other: what is known of a data set grows with its
groups, not with its masks. Standard errors, comparisons and splits count groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskstat.errors import ParameterError, argument
from maskstat.naming import (
    counted,
    did_you_mean,
    natural_key,
    printable,
    split_plane,
    storable,
)
from maskstat.showing import cut, one_line
from maskstat.values.ledger import is_in_natural_order
from maskstat.values.tally import IntArray

COLUMN = "column:"
Kind = Literal["mask", "file", "folder", "column", "pattern"]
# What a mask's value is in a column of the table that lists it, by its name.
Column = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class GroupRule:
    """How the group of a mask is read from its name; nothing is decoded for it.

    Attributes:
        text: "mask" (each is a group of its own), "file" (the planes of a file are one), "folder"
            (what is before the last "/"), "column:NAME" (of the table that lists the masks), or a
            regular expression that is searched in the name: its captured parts are the group, or
            where it captures none, all that it matches.

    Raises:
        ParameterError: no regular expression, or one that may match nothing.
    """

    text: str = "mask"

    __repr__ = one_line

    def __post_init__(self) -> None:
        if not self.text.removeprefix(COLUMN).strip():
            raise ParameterError("is empty", parameter="group_by", remedy=_FORMS)
        if self.kind != "pattern":
            return
        try:
            pattern = re.compile(self.text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ParameterError(
                f"{printable(repr(self.text))[:60]} is no regular expression: {error}",
                parameter="group_by",
                remedy=_FORMS,
            ) from error
        if pattern.search("") is not None:
            raise ParameterError(
                f"{printable(repr(self.text))[:60]} matches nothing as well, so it tells no groups",
                parameter="group_by",
                remedy=_FORMS,
            )

    @property
    def kind(self) -> Kind:
        """Which of the forms it is."""
        if self.text in ("mask", "file", "folder"):
            return self.text  # type: ignore[return-value]
        return "column" if self.text.startswith(COLUMN) else "pattern"

    @property
    def heading(self) -> str | None:
        """The column that it names, where it is one of a column."""
        return self.text.removeprefix(COLUMN) if self.kind == "column" else None

    def groups(self, names: Sequence[str], column: Column | None = None) -> MaskGroups:
        """The groups of masks of these names.

        Args:
            names: B names, in the order of whatever is to be grouped.
            column: gives a column of the table that lists the masks, by name; for "column:NAME".

        Raises:
            ParameterError: it does not say the group of some mask.
        """
        if self.heading is None:
            found = self.of_all(names)
        elif column is None:
            raise no_table(self.heading)
        else:
            found = list(map(column(self.heading).get, names))
        lost = [name for name, group in zip(names, found, strict=True) if group is None]
        if lost:
            fits = "every name has to match: alternatives are written (?:this|that)"
            fills = "fill it in, and scan again"
            alone = f"without groups: {argument('group_by', 'mask')}"
            raise ParameterError(
                f"{printable(repr(self.text))[:60]} says no group of {len(lost):,} of"
                f" {counted(len(names), 'mask')}, {cut(lost[0])} for one",
                parameter="group_by",
                remedy=f"{fits if self.heading is None else fills}; {alone}",
            )
        return MaskGroups.of_labels(self.text, [str(group) for group in found])

    def of(self, name: str) -> str | None:
        """The group of a mask by its name; None where that does not say it."""
        return self.of_all([name])[0]

    def of_all(self, names: Sequence[str]) -> list[str | None]:
        """The same of many."""
        match self.kind:
            case "mask":
                return list(names)
            case "file":
                return [split_plane(name)[0] for name in names]
            case "folder":
                return [name.rpartition("/")[0] for name in names]
            case "column":
                return [None] * len(names)
        pattern = re.compile(self.text)
        return [None if found is None else _captured(found) for found in map(pattern.search, names)]


def _captured(found: re.Match[str]) -> str:
    """What the parts of a pattern match, or where it has none, all of it."""
    parts = [part for part in found.groups() if part is not None]
    return "/".join(parts) if found.re.groups else found[0]


@dataclass(frozen=True, slots=True, eq=False)
class MaskGroups:
    """Which group each of B masks belongs to. Every group has a mask.

    Attributes:
        rule: the text of the rule that they were read by.
        names: names of the G groups, in natural order.
        of: int64[B], the group of each mask, 0 to G - 1.
    """

    rule: str
    names: tuple[str, ...]
    of: IntArray

    def __post_init__(self) -> None:
        self.of.flags.writeable = False

    @classmethod
    def of_labels(cls, rule: str, labels: Sequence[str]) -> MaskGroups:
        """From a label a mask: masks of equal labels are a group."""
        if rule == "mask" and len(set(labels)) == len(labels):
            return cls(rule, tuple(labels), np.arange(len(labels)))
        names = list(dict.fromkeys(labels))  # which mostly are in order
        if not is_in_natural_order(names):
            names.sort(key=natural_key)
        index = {name: at for at, name in enumerate(names)}
        of = np.fromiter((index[label] for label in labels), np.int64, len(labels))
        return cls(rule, tuple(names), of)

    def __len__(self) -> int:
        """How many groups, G."""
        return len(self.names)

    def take(self, masks: Sequence[int]) -> MaskGroups:
        """The groups of the masks at these positions, in this order."""
        return MaskGroups.of_labels(self.rule, [self.names[at] for at in self.of[masks].tolist()])

    def __repr__(self) -> str:
        return one_line(
            self, cut(self.rule), counted(len(self), "group"), counted(self.of.size, "mask")
        )

    @property
    def are_masks(self) -> bool:
        """Whether each mask is a group of its own: nothing was said of groups, or it is so."""
        return len(self) == self.of.size

    @property
    def sizes(self) -> IntArray:
        """int64[G], masks of each group."""
        return np.bincount(self.of, minlength=len(self))


def rule_of(given: str | GroupRule | None) -> GroupRule | None:
    """The rule that somebody gave, or none. Raises ParameterError."""
    return GroupRule(given) if isinstance(given, str) else given


def no_table(heading: str) -> ParameterError:
    """What to raise where masks are in no table that could have a column."""
    return ParameterError(
        f"there is no column {printable(repr(heading))}: the masks are not listed in a table",
        parameter="group_by",
        remedy=_FORMS,
    )


def no_column(heading: str, columns: Iterable[str], where: str) -> ParameterError:
    """What to raise where they are, and it has only these columns."""
    known = list(columns)
    listed = ", ".join(printable(storable(column)) or "''" for column in known[:20])
    return ParameterError(
        f"there is no column {printable(repr(heading))}",
        parameter="group_by",
        where=printable(where),
        remedy=f"{did_you_mean(heading, known)}the columns are {listed or 'none'}",
    )


_FORMS = (
    f"{argument('group_by', 'folder')}, file or mask, {argument('group_by', 'column:NAME')} of the"
    " table that lists the masks, or a regular expression whose captured part is the group:"
    f" {argument('group_by', '^([^_]+)_')}"
)
