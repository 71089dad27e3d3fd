"""What a store knows of scans and masks, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from maskstat.errors import spelled
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import MaskTally

KeptMark = tuple[int, int | str, str]
"""Of a counted mask: the size and the stamp it had, and its encoding as text."""


@dataclass(frozen=True, slots=True)
class ScanInfo:
    """What the store knows about one scan besides its masks.

    `catalog` has no classes where they are inferred; `complete` is False while a run is under way
    or after one that was interrupted; `created` and `updated` are UTC in ISO 8601. `reading` is
    what the user said about how masks are to be read, as
    `maskstat.readers.options.ReadOptions.of` takes it; `group_by` is the text of the rule that says
    which masks belong together, where somebody gave one.
    """

    id: int
    name: str
    source: str
    catalog: ClassCatalog
    created: str
    updated: str
    complete: bool
    reading: Mapping[str, object] = field(default_factory=dict)
    group_by: str | None = None

    __repr__ = one_line


class Settled(NamedTuple):
    """Raw values of index masks when it was settled what 255 means in a scan.

    Attributes:
        own: those of the scan.
        others: those of the splits that were scanned together with it.
    """

    own: frozenset[int]
    others: frozenset[int] = frozenset()

    @property
    def all(self) -> frozenset[int]:
        """Both."""
        return self.own | self.others


class StoredMask(NamedTuple):
    """A counted mask on its way into the store: its tally and the mark of its content."""

    tally: MaskTally
    size: int
    stamp: int | str


@dataclass(frozen=True, slots=True)
class Failure:
    """A mask that could not be counted, and why; in `text`, parameters are not spelled yet."""

    mask: str
    text: str

    __repr__ = one_line

    @property
    def reason(self) -> str:
        """Why, for whoever reads it."""
        return spelled(self.text)
