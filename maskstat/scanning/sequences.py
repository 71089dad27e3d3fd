"""Whether names say that masks are frames of a few sequences, and a rule that tells these.

Names alone are looked at. A sequence is what is before a number that counts frames, and goes on
over many masks; a hint that is wrong costs a line, so what may well be no sequence is none: splits,
years, categories (`cat_1`, `cat_2`), rows of a grid of tiles, and parts of one long counter.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from maskstat.errors import ParameterError, argument, spelled
from maskstat.naming import counted, printable, split_plane
from maskstat.sources.split_names import SPLITS, split_of
from maskstat.values.groups import GroupRule, MaskGroups

_FEWEST = 3  # masks of a sequence, on average
_DEEPEST = 6  # numbers of a name that are looked at, from its end
_LOOKED_AT, _BLOCK = 20_000, 500  # names; so many that follow each other
_ALIKE = 0.6  # share of values that fields have in common which start anew in every sequence
_MOST_CAMERAS = 64  # or whatever else there is of every sequence
_SHARED = 0.05  # of the numbers that restart
_NUMBER = re.compile(r"\d+", re.ASCII)
_SPLIT_WORDS = re.compile("|".join(sorted(SPLITS, key=len, reverse=True)), re.IGNORECASE)
_YEAR = re.compile(r"\D*(?:19|20)\d\d\D*", re.ASCII)
_OF_GRIDS = re.compile(r"[^A-Za-z]*(?:[xyrc]|row|col|tile)?[^A-Za-z]*", re.IGNORECASE)
# The first of them that tells the sequences is the rule; people can read the first ones.
_FORMS = (
    "folder",
    "^([^_]+)_",
    "^([^-]+)-",
    "^([^/]+)/",
    "([^/_]+)_[^/]*$",
    "([^/-]+)-[^/]*$",
    "^(.*)_",
    "^(.*)-",
)
# Before those where names begin with a split: a sequence may be in two of them.
_BELOW_SPLITS = ("([^/_]+)_[^/]*$", "([^/-]+)-[^/]*$", "([^/]+)/[^/]*$")


@dataclass(frozen=True, slots=True)
class SuggestedGroups:
    """Groups that names suggest: a rule, and what it makes of them."""

    rule: GroupRule
    groups: MaskGroups

    @property
    def sentence(self) -> str:
        """What to say beside intervals for which nobody named groups."""
        parts, noun = ("planes", "file") if self.rule.kind == "file" else ("frames", "sequence")
        option = spelled(argument("group_by", self.rule.text))
        return (
            f"Intervals assume that masks are independent; names look like {parts} of"
            f" {counted(len(self.groups), noun)}: {printable(option)}"
        )


def suggested_groups(names: Sequence[str]) -> SuggestedGroups | None:
    """Groups for masks of these names, where they look like frames of few sequences.

    Args:
        names: in natural order.
    """
    looked_at = _some(names)
    if sum(split_plane(name)[1] is not None for name in looked_at) * 2 > len(looked_at):
        rules = iter(["file"])
    else:
        rules = _rules(looked_at)
    for rule in map(GroupRule, rules):
        try:
            groups = rule.groups(names)
        except ParameterError:  # it does not fit the names that were not looked at
            continue
        if _are_few(len(groups), len(names)):
            return SuggestedGroups(rule, groups)
    return None


def _some(names: Sequence[str]) -> Sequence[str]:
    """All names, or of many some that follow each other, at many places."""
    if len(names) <= _LOOKED_AT:
        return names
    step = len(names) * _BLOCK // _LOOKED_AT
    return [name for at in range(0, len(names), step) for name in names[at : at + _BLOCK]]


def _are_few(groups: int, masks: int) -> bool:
    return groups >= 2 and _FEWEST * groups <= masks


def _rules(names: Sequence[str]) -> Iterator[str]:
    """Rules that tell the sequences of these names, the one that reads best first."""
    levels = _Levels(names)
    depth = levels.sequences()
    if depth is None:
        return
    wanted = _partition(levels.labels(depth))
    numbers = f"(?:[0-9]+[^0-9]+){{{depth - 1}}}" if depth > 1 else ""
    forms = (*_BELOW_SPLITS, *_FORMS) if any(map(split_of, names)) else _FORMS
    for text in (*forms, f"^(.*?){numbers}[0-9]+[^0-9]*$"):
        found = GroupRule(text).of_all(names)
        if None not in found and _partition(found) == wanted:
            yield text


def _partition(labels: Sequence[object]) -> list[int]:
    """The same for labels that make the same groups: numbers in order of appearance."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


class _Levels:
    """Names, cut before a number: the last one is at depth 1, the one before it at depth 2."""

    def __init__(self, names: Sequence[str]):
        self._names = names
        found = [[*_NUMBER.finditer(name)][-_DEEPEST:] for name in names]
        deepest = min(map(len, found), default=0)
        columns = {
            depth: [(match[0], match.start()) for match in (one[-depth] for one in found)]
            for depth in range(1, deepest + 1)
        }
        # Where all names have the same number, it counts nothing.
        self._columns = {
            depth: column
            for depth, column in columns.items()
            if len({number for number, _ in column}) > 1
        }

    def numbers(self, depth: int) -> list[str]:
        """The number of each name that is there."""
        return [number for number, _ in self._columns[depth]]

    def labels(self, depth: int) -> list[str]:
        """What is before it."""
        starts = self._columns[depth]
        return [name[:at] for name, (_, at) in zip(self._names, starts, strict=True)]

    def sequences(self) -> int | None:
        """The depth of what counts frames of few sequences; None where nothing does."""
        depths = list(self._columns)
        at = next((n for n, depth in enumerate(depths) if self._counts_frames(depth)), None)
        if at is None or self._is_grid(*depths[at : at + 2]):
            return None
        # What there is of every sequence (cameras, rows of tiles) tells no two of them apart.
        while at + 1 < len(depths):
            outer = depths[at + 1]
            if not (self._are_sequences(outer) and _restart(self._values(outer))):
                break
            at += 1
        return depths[at]

    def _values(self, depth: int) -> dict[str, set[str]]:
        """Label -> the numbers behind it."""
        values: dict[str, set[str]] = defaultdict(set)
        for label, number in zip(self.labels(depth), self.numbers(depth), strict=True):
            values[label].add(number)
        return values

    def _counts_frames(self, depth: int) -> bool:
        values = self._values(depth)
        different = sum(map(len, values.values()))
        if 3 * different < len(self._names):  # the same number again and again counts nothing
            return False
        return self._are_sequences(depth) and not _is_one_counter(values)

    def _are_sequences(self, depth: int) -> bool:
        """Whether what is before a number may name a sequence."""
        labels = set(self.labels(depth))
        if not _are_few(len(labels), len(self._names)):
            return False
        if all(map(_YEAR.fullmatch, labels)):
            return False
        if len({_SPLIT_WORDS.sub("", label) for label in labels}) == 1:
            return False
        ends = zip(min(labels), max(labels), strict=False)
        shared = next((at for at, (one, other) in enumerate(ends) if one != other), 0)
        categories = not any(_NUMBER.search(label, shared) for label in labels)
        return not (categories and not _are_padded(self.numbers(depth)))

    def _is_grid(self, depth: int, outer: int | None = None) -> bool:
        """Whether names are those of the tiles of one image: a column in each row."""
        if outer is None or len(set(self.labels(outer))) > 1:
            return False
        between = {
            name[start + len(number) : end]
            for name, (number, start), (_, end) in zip(
                self._names, self._columns[outer], self._columns[depth], strict=True
            )
        }
        padded = _are_padded(self.numbers(depth)) or _are_padded(self.numbers(outer))
        return (
            not padded
            and all(map(_OF_GRIDS.fullmatch, between))
            and _overlap(self._values(depth)) >= _ALIKE
        )


def _are_padded(numbers: Sequence[str]) -> bool:
    """Whether numbers have zeros in front, or are long and of one length."""
    lengths = {len(number) for number in numbers}
    return any(n.startswith("0") and n != "0" for n in numbers) or (
        len(lengths) == 1 and min(lengths) > 2
    )


def _overlap(values: dict[str, set[str]]) -> float:
    """How much of all values the average label has."""
    union = set().union(*values.values())
    return sum(map(len, values.values())) / (len(union) * len(values))


def _restart(values: dict[str, set[str]]) -> bool:
    """Whether few values come again behind every label."""
    union = set().union(*values.values())
    return 1 < len(union) <= _MOST_CAMERAS and _overlap(values) >= _ALIKE


def _is_one_counter(values: dict[str, set[str]]) -> bool:
    """Whether numbers go on from label to label: all were counted together, and dealt out."""
    found = Counter(number for numbers in values.values() for number in numbers)
    apart = sum(found.values()) - max(map(len, values.values()))
    if sum(times - 1 for times in found.values()) >= _SHARED * max(apart, 1):
        return False
    wholes = [list(map(int, numbers)) for numbers in values.values()]
    ranges = sorted((min(numbers), max(numbers), len(numbers)) for numbers in wholes)
    if any(before[1] >= after[0] for before, after in pairwise(ranges)):
        return True
    # So many in each part, and the next part goes on where one ends.
    step = max((last - first) / max(size - 1, 1) for first, last, size in ranges)
    goes_on = all(after[0] - before[1] <= 2 * step for before, after in pairwise(ranges))
    return goes_on and len({size for *_, size in ranges[:-1]}) == 1
