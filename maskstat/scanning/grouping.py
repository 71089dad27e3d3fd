"""Which masks of a scan belong together: the part of a scan that knows it."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TypeVar

from maskstat.values.groups import GroupRule, MaskGroups
from maskstat.values.ledger import MaskLedger

Self = TypeVar("Self", bound="Grouped")


class Grouped:
    """A scan whose masks come in groups."""

    _rule: GroupRule | None = None

    @property
    def ledger(self) -> MaskLedger:
        """Its masks; a scan says which."""
        raise NotImplementedError

    @property
    def group_rule(self) -> GroupRule:
        """How names say which masks belong together; each is a group of its own by default."""
        return self._rule or GroupRule()

    @cached_property
    def groups(self) -> MaskGroups:
        """The groups of the masks, in the order of `ledger`.

        Raises:
            ParameterError: the rule does not say the group of some mask.
        """
        return self.group_rule.groups(self._group_names)

    @property
    def _group_names(self) -> tuple[str, ...]:
        """Names of the masks that groups are made of."""
        return self.ledger.names

    def grouped(self: Self, rule: GroupRule | str) -> Self:
        """The same counts with other groups; nothing is decoded, and what was computed stays.

        Raises:
            ParameterError: `rule` is none.
        """
        view = copy(self)
        vars(view).pop("groups", None)
        view._rule = rule if isinstance(rule, GroupRule) else GroupRule(rule)
        return view
