"""Names of files that may be several of one image: `x_labelIds.png` beside `x_color.png`, and
`SegmentationClass/x.png` beside `SegmentationObject/x.png`.

In come names, in any order and any number; out go `Family`s of a few of them. Names alone only
raise a suspicion: sequences look alike. What the files hold decides, and `siblings` asks them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import combinations
from typing import Generic, NamedTuple, Protocol, TypeVar

from maskstat.naming import natural_key
from maskstat.sources.split_names import split_of

MOST = 4096  # names that are kept
MOST_LABELS = 12  # more folders that hold equal names are sequences
FEWEST = 2  # images that have both of a pair
_OF_ONE_ROOT = 64
_ALL = 1 << 32  # what is drawn is less
# Words at the end of a stem, which sequences and numbers are not.
_WORDS = re.compile(r"(?:[_\-. ]+[^\W\d_]+(?:\d[^\W\d_]+)*)+\Z")
_TASK = "task-"
_BRUSH = re.compile(r"(task-.+?)-tag-.+-\d+")  # Label Studio's: of a label, and a number
_DIGITS = re.compile(r"\d+")
_PACKED = (".gz", ".zip")  # which follow another suffix
_ESCAPED = re.compile(r"[*?\[]")


class Named(Protocol):
    """Anything that has a name."""

    @property
    def name(self) -> str:
        """ "/"-separated."""


Item = TypeVar("Item", bound=Named)


class Label(NamedTuple):
    """What tells siblings apart.

    Attributes:
        place: which part of their path it is, from 0; -1 where it is what a name ends in.
        text: the folder, or the end of the name: `_labelIds.png`, `.png`.
    """

    place: int
    text: str

    @property
    def pattern(self) -> str:
        """A pattern that takes its files, and maybe others."""
        text = _ESCAPED.sub(r"[\g<0>]", self.text)
        if self.place < 0:
            return f"*{text}"
        return f"{text}/*" if self.place == 0 else f"*/{text}/*"


class Parts(NamedTuple):
    """A name as folders, the root of its stem, and the end that may tell it from its siblings."""

    folders: tuple[str, ...]
    root: str
    end: str


def parts_of(name: str) -> Parts:
    """A name in parts: `a/x_1_mask.png` is (a), `x_1`, `_mask.png`."""
    *folders, last = name.split("/")
    root = _root_of(last)
    return Parts(tuple(folders), root, last[len(root) :])


def _root_of(last: str) -> str:
    stem = _stem_of(last)
    if stem.startswith(_TASK) and (brush := _BRUSH.fullmatch(stem)):
        return brush[1]
    if stem[-1:].isdecimal():  # no word ends it: most names, in a third of the time
        return stem
    return _WORDS.sub("", stem) or stem


def _stem_of(last: str) -> str:
    at = last.rfind(".")
    if last[at:].lower() in _PACKED and "." in last[:at]:
        at = last.rfind(".", 0, at)
    return last[:at] if at > 0 else last


@dataclass
class Sample(Generic[Item]):
    """All names of some images, drawn by a hash: which ones depends on no order."""

    _found: dict[str, list[Item]] = field(default_factory=dict)
    _kept: int = 0
    _below: int = _ALL
    _end: str = ""  # of the name before, where names that end in it have a root without it
    _cut: int = 0  # where that begins

    def takes(self, name: str) -> bool:
        """Whether `add` would take it, as long as nothing else is added."""
        return _draw(self._root(name)) < self._below

    def _root(self, name: str) -> str:
        """The root of its stem; of names that end like the one before it in a third of the time."""
        end, cut = self._end, self._cut
        if end and name.endswith(end) and name[cut - 1 : cut].isdecimal():
            root = name[name.rfind("/") + 1 : cut]
            if not root.startswith(_TASK):
                return root
        last = name[name.rfind("/") + 1 :]
        root = _root_of(last)
        end = last[len(root) :]
        plain = "." in end and not end.lower().endswith(_PACKED) and not last.startswith(_TASK)
        self._end, self._cut = (end, -len(end)) if plain else ("", 0)
        return root

    def add(self, item: Item) -> None:
        """Take a name, or pass it over."""
        root = self._root(item.name)
        if self._below < _ALL and _draw(root) >= self._below:
            return
        self._found.setdefault(root, []).append(item)
        self._kept += 1
        while self._kept > MOST:
            self._below >>= 1
            for root in [r for r in self._found if _draw(r) >= self._below]:
                self._kept -= len(self._found.pop(root))

    def made_of(self, item_of: Callable[[Item], Item]) -> Sample[Item]:
        """The same names of other items."""
        found = {root: list(map(item_of, items)) for root, items in self._found.items()}
        return Sample(found, self._kept, self._below)

    def matching(self, takes: Callable[[str], bool]) -> Sample[Item]:
        """A sample of these names only."""
        found = {
            root: kept
            for root, items in self._found.items()
            if (kept := [item for item in items if takes(item.name)])
        }
        return Sample(found, sum(map(len, found.values())), self._below)

    def of_images(self, count: int) -> list[Item]:
        """All names of a few images."""
        roots = nsmallest(count, self._found, key=lambda root: (_draw(root), root))
        return [item for root in roots for item in self._found[root]]

    def has_several(self) -> bool:
        """Whether some image has more than one."""
        return self._kept > len(self._found)

    def some(self, count: int) -> list[Item]:
        """A few names, of different images where there are as many."""
        roots = nsmallest(count, self._found, key=lambda root: (_draw(root), root))
        return [min(self._found[root], key=lambda item: item.name) for root in roots]

    def families(self) -> list[Family[Item]]:
        """What may be siblings, in an order of their own."""
        families: dict[int, Family[Item]] = {}
        several = [root for root, items in self._found.items() if len(items) > 1]
        for root in sorted(several, key=lambda root: (_draw(root), root)):
            items = sorted(self._found[root], key=lambda item: item.name)
            for first, second, one, other in _pairs(items):
                family = families.setdefault(first.place, Family({}))
                family.pairs.setdefault((first, second), []).append((one, other))
        return [families[place].sound() for place in sorted(families)]


@dataclass(frozen=True)
class Family(Generic[Item]):
    """Pairs of labels, and of each the names of every image that has both, in a drawn order."""

    pairs: dict[tuple[Label, Label], list[tuple[Item, Item]]]

    def sound(self) -> Family[Item]:
        """Without pairs of single images; without any where there are too many to be siblings."""
        pairs = {key: found for key, found in self.pairs.items() if len(found) >= FEWEST}
        labels = {label for pair in pairs for label in pair}
        return Family(pairs if len(labels) <= MOST_LABELS else {})


def _draw(root: str) -> int:
    return zlib.crc32(root.encode("utf-8", "surrogatepass"))


def _pairs(items: list[Item]) -> Iterator[tuple[Label, Label, Item, Item]]:
    """Names of one root that may be of one image, the lesser label first."""
    if len(items) > _OF_ONE_ROOT:
        return
    parts = [parts_of(item.name) for item in items]
    by_folder: dict[tuple[str, ...], list[tuple[Label, Item]]] = {}
    by_path: dict[tuple[int, tuple[str, ...]], list[tuple[Label, Item]]] = {}
    for item, part in zip(items, parts, strict=True):
        by_folder.setdefault(part.folders, []).append((Label(-1, part.end), item))
        for place, folder in enumerate(part.folders):
            others = (*part.folders[:place], "", *part.folders[place + 1 :])
            by_path.setdefault((place, others), []).append((Label(place, folder), item))
    for group in (*by_folder.values(), *by_path.values()):
        yield from _pairs_of(group)


def _pairs_of(group: Iterable[tuple[Label, Item]]) -> Iterator[tuple[Label, Label, Item, Item]]:
    first: dict[Label, Item] = {}
    for label, item in group:
        first.setdefault(label, item)
    for one, other in combinations(sorted(first, key=_label_key), 2):
        if one.place < 0 or not _parallel(one.text, other.text):
            yield one, other, first[one], first[other]


def _label_key(label: Label) -> tuple[object, ...]:
    return (label.place, *natural_key(label.text), label.text)


def _parallel(one: str, other: str) -> bool:
    """Whether folders are two of a kind by their names: splits, or numbers of sequences."""
    if split_of(f"{one}/") and split_of(f"{other}/"):
        return True
    return _DIGITS.sub("0", one) == _DIGITS.sub("0", other)
