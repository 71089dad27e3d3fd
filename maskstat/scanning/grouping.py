"""Which masks of a scan belong together: the part of a scan that knows it, and what keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from maskstat.errors import MaskstatError, ParameterError, UnknownCountsError, argument
from maskstat.naming import printable, split_plane
from maskstat.scanning.class_options import has_labels
from maskstat.sources.identities import is_merged, knows_names_only
from maskstat.values.groups import GroupRule, MaskGroups, no_table, rule_of

if TYPE_CHECKING:
    from maskstat.scanning.sequences import SuggestedGroups
    from maskstat.sources.base import Source
    from maskstat.store.records import ScanInfo
    from maskstat.store.store import Store
    from maskstat.values.contributions import Contributions
    from maskstat.values.error_bars import Intervals
    from maskstat.values.ledger import MaskLedger

Self = TypeVar("Self", bound="Grouped")


class Grouped:
    """A scan whose masks come in groups."""

    info: ScanInfo
    _store: Store
    _rule: GroupRule | None = None

    @property
    def ledger(self) -> MaskLedger:
        """Its masks; a scan says which."""
        raise NotImplementedError

    @property
    def group_rule(self) -> GroupRule:
        """How names say which masks belong together; each is a group of its own by default."""
        return self._rule or GroupRule(self.info.group_by or "mask")

    @property
    def has_group_rule(self) -> bool:
        """Whether somebody said which masks belong together, or that none do."""
        return self._rule is not None or self.info.group_by is not None

    @cached_property
    def groups(self) -> MaskGroups:
        """The groups of the masks, in the order of `ledger`.

        Raises:
            ParameterError: the rule does not say the group of some mask.
            SourceError: it is a column of a table that can't be read any more.
        """
        names = self._group_names
        return self.group_rule.groups(names, partial(self._column, names))

    @cached_property
    def suggested_groups(self) -> SuggestedGroups | None:
        """Groups that names suggest, where nobody said any ("mask" says that there are none)."""
        from maskstat.scanning.sequences import suggested_groups

        if self.has_group_rule:
            return None
        return suggested_groups(self._group_names)

    @property
    def sample_notes(self) -> tuple[str, ...]:
        """What to say beside intervals: which groups names suggest, or what masks are worth.

        Raises:
            ParameterError: the rule does not say the group of some mask.
        """
        try:
            if (found := self.suggested_groups) is not None:
                return (found.sentence,)
            if self.groups.are_masks:
                return ()
        except UnknownCountsError:  # nobody knows of masks where counts were given
            return ()
        from maskstat.statistics.effective_masks import effective_words

        return (effective_words(self.grouped("mask").intervals, self.intervals),)

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
        from maskstat.statistics.intervals import frequency_intervals

        contributions, groups = self._contributing
        exclusive = not has_labels(self.info.reading)
        return frequency_intervals(contributions, groups, exclusive=exclusive)

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        """What each mask adds to the totals, and the groups of those masks."""
        from maskstat.values.contributions import Contributions

        return Contributions.of(self.ledger), self.groups

    def grouped(self: Self, rule: GroupRule | str) -> Self:
        """The same counts with other groups; nothing is decoded, and what was computed stays.

        Raises:
            ParameterError: `rule` is none.
        """
        view = copy(self)
        for computed in ("groups", "intervals", "suggested_groups"):
            vars(view).pop(computed, None)
        view._rule = rule_of(rule)
        return view

    def _column(self, names: Sequence[str], heading: str) -> Mapping[str, str]:
        """What a column says of masks: as it is kept with the scan, else as the table has it."""
        from maskstat.sources.base import Selection
        from maskstat.sources.opening import open_source

        if self.info.group_by == self.group_rule.text:
            kept = _of_files(self._store.group_labels(self.info), names)
            if len(kept) == len(names):
                return kept
        if is_merged(self.info.source):
            raise ParameterError(
                f"not all of the scans that were merged have kept {printable(repr(heading))}",
                parameter="group_by",
                where=printable(self.info.name),
                remedy=f"scan them with {argument('group_by', f'column:{heading}')}, and merge them"
                " again",
            )
        if knows_names_only(self.info.source):
            raise no_table(heading)
        source = open_source(self.info.source, Selection(include=("*",)))
        return _column_of(source, heading, names)


def keep_groups(store: Store, info: ScanInfo, source: Source, rule: GroupRule | None) -> ScanInfo:
    """Keep a rule with a scan that is counted; without one, look again at the column it has.

    Raises ParameterError and SourceError where a column that was asked for is not there.
    """
    text = info.group_by if rule is None else rule.text
    if text is None:
        return info
    kept = GroupRule(text)
    labels = None
    if kept.heading is not None:
        try:
            labels = _column_of(source, kept.heading, list(store.names(info)))
        except MaskstatError:
            if rule is None:  # what is kept of it stays
                return info
            raise
    return store.group(info, text, labels)


class MergedPart(Protocol):
    """A scan that goes into another one."""

    store: Store
    info: ScanInfo

    def renamed(self, name: str) -> str:
        """What one of its masks is called there."""


def merge_groups(store: Store, info: ScanInfo, parts: Sequence[MergedPart]) -> bool:
    """Give a merged scan the rule of its parts; whether it has none though some of them do.

    It has one where all have the same, and where that tells the same groups by the new names.
    """
    texts = {part.info.group_by or "mask" for part in parts}
    if texts == {"mask"}:
        return False
    if len(texts) > 1:
        return True
    rule = GroupRule(texts.pop())
    if rule.heading is None:
        if not all(_stay_together(rule, part) for part in parts):
            return True
        store.group(info, rule.text)
        return False
    store.group(info, rule.text)
    for part in parts:
        store.receive_groups(info, part.store, part.info, part.renamed)
    return False


def _stay_together(rule: GroupRule, part: MergedPart) -> bool:
    """Whether masks are in one group by their new names where they were, and only there."""
    groups: dict[str, str] = {}
    for name in part.store.names(part.info):
        before, now = rule.of(name), rule.of(part.renamed(name))
        if before is None or now is None or groups.setdefault(before, now) != now:
            return False
    return len(set(groups.values())) == len(groups)


def _column_of(source: Source, heading: str, names: Sequence[str]) -> dict[str, str]:
    """What a column of a source's table says of masks, which may be planes of its files."""
    files = {file for name in names for file in (name, split_plane(name)[0])}
    return _of_files(source.column_values(heading, files), names)


def _of_files(values: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The value of each mask: its own, or that of the file that it is a plane of."""
    found = {name: values.get(name) or values.get(split_plane(name)[0]) for name in names}
    return {name: value for name, value in found.items() if value is not None}
