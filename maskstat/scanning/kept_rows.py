"""What is made of each mask of a scan on its own: rows of the store, kept as they come.

A `RowMaker` looks at the pixels of masks as a profile does, in the pass of a scan or in one of its
own. A `RowShelf` is what a store keeps of it. What is there already is not done again, so a run
that was killed goes on where it was. Recipes (`exposing`) and indices (`indexing`) are kept so.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from maskstat.errors import ExposureError
from maskstat.executors.chunking import chunked
from maskstat.executors.opening import ExecutorChoice
from maskstat.naming import counted, natural_key, printable
from maskstat.scanning import counting
from maskstat.scanning.measuring import LabelledPixels, Measured, Measurer
from maskstat.scanning.recording import FLUSH_MASKS, FLUSH_SECONDS, Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.base import Entry
from maskstat.sources.identities import is_merged, knows_names_only
from maskstat.store.exposures import ExposedMask, KnownMask
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog

Maker = TypeVar("Maker", bound="RowMaker")


@dataclass(slots=True)
class RowPart:
    """What is to be kept of some masks."""

    masks: list[ExposedMask] = field(default_factory=list)

    def join(self, other: RowPart) -> None:
        """Take in another part."""
        self.masks += other.masks

    def settle(self) -> None:
        """Nothing waits."""


class RowMaker(ABC):
    """Makes bytes of each mask: a `Consumer` of their pixels, a frozen dataclass.

    Attributes:
        crops: of each mask, and `presence`: what the rows say of themselves.
        drawn: the names that masks had first which are called something else now.
    """

    __slots__ = ()

    crops: int
    presence: bool
    drawn: Mapping[str, str]

    bulky = False

    def begin(self) -> RowPart:
        """A part of no masks."""
        return RowPart()

    @abstractmethod
    def make(self, entry: Entry, seen: LabelledPixels) -> bytes:
        """What is to be kept of a mask. Raises MaskError and MemoryError."""

    def add(self, part: RowPart, entry: Entry, made: bytes) -> None:
        """Add a mask to a part."""
        mark, drawn = entry.mark, self._drawn(entry.name)
        part.masks.append(
            ExposedMask(entry.name, *mark, self.crops, self.presence, drawn, made, None)
        )

    def leave_out(self, part: RowPart, entry: Entry, reason: str, *, for_good: bool) -> None:
        """Note why nothing is made of a mask."""
        part.masks.append(self.without(entry.name, entry.mark, reason, for_good=for_good))

    def without(
        self, name: str, mark: tuple[int, int | str], reason: str, *, for_good: bool = False
    ) -> ExposedMask:
        """The row of a mask of which nothing is made; there is another try, unless `for_good`."""
        crops = self.crops if for_good else 0
        return ExposedMask(name, *mark, crops, self.presence, self._drawn(name), None, reason)

    def of_masks(self: Maker, names: Sequence[str]) -> Maker:
        """The same, for these masks only."""
        drawn = {name: self.drawn[name] for name in names if name in self.drawn}
        return replace(self, drawn=drawn)  # type: ignore[type-var]

    def _drawn(self, name: str) -> str:
        return self.drawn.get(name, name)


class RowShelf(ABC):
    """What a store keeps of the masks of a scan in one kind of rows: read once, and added to.

    Attributes:
        consumer: makes what the shelf lacks.
        crops: what a row is to say of itself, or more.
        failed: masks among those added of which nothing was made.
    """

    consumer: RowMaker
    crops: int
    _store: Store
    _scan: ScanInfo
    _catalog: ClassCatalog
    _digest: str
    _known: dict[str, KnownMask]

    @property
    @abstractmethod
    def _said(self) -> str:
        """What decides the rows, as JSON."""

    @abstractmethod
    def _serves(self, one: KnownMask) -> bool:
        """Whether what is there of a mask is enough."""

    def _nothing_waits(self) -> None:
        """For the end of a constructor."""
        self.failed = 0
        self._waiting: list[ExposedMask] = []
        self._changed: list[str] = []
        self._committed = time.monotonic()

    def __contains__(self, name: object) -> bool:
        """Whether enough is there of a mask."""
        return name in self._known and self._serves(self._known[name])

    @cached_property
    def _names(self) -> list[str]:
        return list(self._store.names(self._scan))

    def _lacks(self, name: str) -> bool:
        """Whether something is left to know of a mask, for now."""
        return name not in self and not (name in self._known and self._known[name].left_out)

    @property
    def lacks_some(self) -> bool:
        """Whether masks are counted of which nothing is said yet, or not enough."""
        return any(map(self._lacks, self._names))

    def add(self, part: RowPart) -> None:
        """Take masks in; `commit` keeps them."""
        self._waiting += part.masks
        self.failed += sum(one.content is None for one in part.masks)

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit."""
        late = time.monotonic() - self._committed > FLUSH_SECONDS
        return len(self._waiting) >= (1 if late else FLUSH_MASKS)

    def commit(self) -> None:
        """Keep what waits, of masks whose counts are in the store."""
        waiting, self._waiting = self._waiting, []
        changed = self._store.keep_exposed(self._scan, self._digest, self._said, waiting)
        for one in waiting:
            self._known[one.name] = KnownMask(
                one.crops, one.presence, one.drawn, one.content is None
            )
        for name in changed:
            del self._known[name]
        self._changed += changed
        self._committed = time.monotonic()

    def fill(
        self,
        scan: StoredScan,
        executor: ExecutorChoice | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Work out, and keep, what the masks of the scan lack: a pass of its own.

        What is committed survives whatever ends it; the next run does the rest. A mask that could
        not be read is tried again.

        Raises:
            ExposureError: masks have changed since they were scanned, or are gone.
            SourceError: the source is gone, or masks were counted in memory.
        """
        lacking = {name for name in self._names if name not in self}
        if not lacking:
            return
        self._store.upgrade()
        marks: dict[str, tuple[int, int | str]] = {}
        large = RowPart()
        reason = counting.too_large_to_be_whole(counting.STREAM_ABOVE)

        def listed() -> Iterator[Entry]:
            for entry in scan._entries_of(lacking):
                marks[entry.name] = entry.mark
                if entry.size <= counting.STREAM_ABOVE:
                    yield entry
                else:  # it is counted, and nobody will look at its pixels
                    self.consumer.leave_out(large, entry, reason, for_good=True)

        done, total, pixels = len(self._names) - len(lacking), len(self._names), 0
        measurer = Measurer(self._catalog, [self.consumer])
        counter = counting.Counter(scan.read_options, measurer)
        with (executor or ExecutorChoice()).opened(scan._reads) as opened:
            outcomes = opened.outcomes(counter, chunked(listed(), opened.sizes), in_order=False)
            try:
                for found in outcomes:
                    for outcome in found:
                        if isinstance(outcome, Measured):
                            self.add(*outcome.parts)  # type: ignore[arg-type]
                            outcome = outcome.outcome
                        if isinstance(outcome, StoredMask):
                            pixels += outcome.tally.area
                        else:
                            name, why = outcome.mask, outcome.reason
                            self.add(RowPart([self.consumer.without(name, marks[name], why)]))
                    done += len(found)
                    if self.is_full:
                        self.commit()
                    if on_progress is not None:
                        on_progress(Progress(done, total, self.failed, pixels))
                for parts in measurer.rest():
                    self.add(*parts)  # type: ignore[arg-type]
            finally:
                outcomes.close()
                self.add(large)
                self.commit()
        self._check(scan, lacking - marks.keys())

    def _check(self, scan: StoredScan, gone: set[str]) -> None:
        """Raise ExposureError where masks could not be worked out."""
        if not (self._changed or gone):
            return
        said = [
            f"{counted(len(some), 'mask')} {word}, first {printable(min(some, key=natural_key))}"
            for some, word in ((self._changed, "changed"), (gone, "not found any more"))
            if some
        ]
        if is_merged(scan.source):
            remedy = "work those out that were merged, where their masks are, and merge them again"
        elif knows_names_only(scan.source):
            remedy = "scan the same masks again"
        else:
            remedy = f"scan again: {scan._scan_call()}"
        raise ExposureError(
            f"since the scan: {'; '.join(said)}", where=printable(scan.name), remedy=remedy
        )

    def left_out(self) -> tuple[Failure, ...]:
        """As the function of this name."""
        if not any(one.left_out for one in self._known.values()):
            return ()
        return tuple(self._store.not_exposed(self._scan, self._digest))
