"""Which masks of a scan belong together: the part of a scan that knows it."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TypeVar

from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.contributions import Contributions
from maskstat.values.error_bars import Intervals
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

    @cached_property
    def intervals(self) -> Intervals:
        """95% intervals of the classes' frequencies: `groups` are the sample, never pixels.

        Raises:
            ParameterError: the rule does not say the group of some mask.
            UnknownCountsError: counts were given, so that nobody knows of masks.
        """
        contributions, groups = self._contributing
        return frequency_intervals(contributions, groups)

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        """What each mask adds to the totals, and the groups of those masks."""
        return Contributions.of(self.ledger), self.groups

    def grouped(self: Self, rule: GroupRule | str) -> Self:
        """The same counts with other groups; nothing is decoded, and what was computed stays.

        Raises:
            ParameterError: `rule` is none.
        """
        view = copy(self)
        for computed in ("groups", "intervals"):
            vars(view).pop(computed, None)
        view._rule = rule if isinstance(rule, GroupRule) else GroupRule(rule)
        return view
