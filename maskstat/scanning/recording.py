"""What a run finds on its way into the store: counts, failures, and what was measured.

In come outcomes; out goes the scan's record, finished, with all that was counted in the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from maskstat.errors import StrictError
from maskstat.naming import printable
from maskstat.readers.plugin_readers import is_of_plugin
from maskstat.scanning.changes import Pending
from maskstat.scanning.counting import Outcome
from maskstat.scanning.measuring import Measured, Part
from maskstat.scanning.resuming import Resumed
from maskstat.showing import one_line
from maskstat.store.profiles import ProfileKey
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram

if TYPE_CHECKING:
    from maskstat.scanning.measuring import Consumer, ProfilePart

BLOCK_MASKS = 1024
BLOCK_SECONDS = 30.0  # a block of slow masks is closed earlier: a kill takes no more than this
FLUSH_SECONDS = 0.5
FLUSH_MASKS = 4096


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: masks done, failed among them, pixels counted.

    `total` is None as long as the source is still being listed. `doing` says what takes its time
    where that is not the next mask.
    """

    done: int
    total: int | None
    failed: int
    pixels: int
    doing: str = ""

    __repr__ = one_line


class Shelf(Protocol):
    """Where a store keeps what a consumer makes of masks."""

    @property
    def consumer(self) -> Consumer:
        """What makes it."""

    @property
    def lacks_some(self) -> bool:
        """Whether it says nothing yet of some masks that are counted."""

    def __contains__(self, name: object, /) -> bool:
        """Whether a mask need not be looked at."""

    def add(self, part: Any, /) -> None:
        """Take a part in; it is used up."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit."""

    def commit(self) -> None:
        """Keep what was taken in. The masks' counts must be in the store."""


class ProfileShelf:
    """Parts of a profile on their way into the store, committed in blocks."""

    def __init__(self, store: Store, scan: ScanInfo, catalog: ClassCatalog, grid: int):
        from maskstat.scanning.measuring import Profiler

        self._store, self._key = store, ProfileKey(scan, catalog.digest, grid)
        self.consumer = Profiler(catalog, grid)
        self._clear()

    def _clear(self) -> None:
        self._part: ProfilePart | None = None
        self._opened = time.monotonic()

    @cached_property
    def _measured(self) -> set[str]:
        return self._store.measured(self._key)

    def __contains__(self, name: object) -> bool:
        """Whether a mask was measured before, or left out for good."""
        return name in self._measured

    @property
    def lacks_some(self) -> bool:
        """Whether masks are to be measured, by what the store says now."""
        return self._store.unmeasured(self._key) > 0

    def add(self, part: ProfilePart) -> None:
        """Add a part; it is used up."""
        if self._part is None:
            self._part = part
        else:
            self._part.join(part)

    @property
    def is_full(self) -> bool:
        """Whether it should be committed, by its masks or by its age."""
        masks = () if self._part is None else self._part.masks
        late = time.monotonic() - self._opened > BLOCK_SECONDS
        return len(masks) >= (1 if late else BLOCK_MASKS)

    def commit(self) -> None:
        """Keep what was added, and begin another block."""
        from maskstat.regions.profile_bytes import to_bytes

        part = self._part
        if part is not None and part.masks:
            self._store.keep_block(self._key, part.masks, to_bytes(part.total.profile()))
        self._clear()


class Recorder:
    """Takes outcomes in and commits them.

    Attributes:
        done, failures: outcomes taken in, and failures among them.
        lost: failures among the masks that were in the store and read just to be measured.
        pixels: pixels of the masks read.
        plugins: formats of those that a plugin read.
    """

    def __init__(
        self, store: Store, resumed: Resumed, pending: Pending, shelves: Sequence[Shelf] = ()
    ):
        self._store, self._resumed, self._pending = store, resumed, pending
        self._scan = resumed.info
        classes = self._scan.catalog
        # Of the masks that were committed; where classes are to be inferred nobody knows them yet.
        self._totals = ClassHistogram.empty(classes) if len(classes) else None
        self._shelves = shelves
        self._fresh: list[StoredMask] = []
        self._failed: list[Failure] = []
        self.done = self.failures = self.lost = self.pixels = 0
        self.plugins: set[str] = set()

    def take_in(
        self,
        results: Generator[Sequence[Outcome], None, None],
        *,
        strict: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Record outcomes as they come, commit every now and then, and say how far it is.

        The last of them wait for `finish`; where anything ends it early, also an interrupt, what
        was counted is kept.

        Raises:
            StrictError: a mask failed, and that is not to be.
        """
        try:
            flushed = time.monotonic()
            for outcomes in results:
                for outcome in outcomes:
                    failure = self._add(outcome)
                    if failure is not None and strict:
                        raise StrictError(failure.reason, where=printable(failure.mask))
                if on_progress is not None:
                    total = self._pending.total
                    on_progress(Progress(self.done, total, self.failures, self.pixels))
                late = time.monotonic() - flushed > FLUSH_SECONDS
                waiting = len(self._fresh) + len(self._failed)
                if waiting >= (1 if late else FLUSH_MASKS) or any(
                    shelf.is_full for shelf in self._shelves
                ):
                    self._commit()
                    flushed = time.monotonic()
        except BaseException:
            results.close()
            self._commit(last=True)
            raise

    def add_parts(self, parts: Sequence[Part]) -> None:
        """Take in what was measured of masks whose outcomes were taken in."""
        for shelf, part in zip(self._shelves, parts, strict=True):
            shelf.add(part)

    def finish(self) -> ScanInfo:
        """Commit the last outcomes, forget masks that are gone, and say that the scan is whole."""
        if self._pending.lacks_some:
            self._commit(last=True)  # looking for what is gone may take as long as the listing
            self._pending.forget_gone()
        with self._store.together():  # a disk takes its time for every transaction
            self._commit(last=True)
            self._store.write(self._scan, (), self._pending.doubles)
            self._pending.keep_folders()
            # Had another process changed masks too, the scan's revision would be a later one.
            revision = self._resumed.revision + self._store.revisions - self._resumed.writes
            totals = None if self._pending.unchanged else self._totals
            return self._store.finish(self._scan, totals, revision)

    def _add(self, outcome: Outcome) -> Failure | None:
        """Take in one outcome; gives it back where it is a failure."""
        self.done += 1
        if isinstance(outcome, Measured):
            self.add_parts(outcome.parts)
            outcome = outcome.outcome
        if isinstance(outcome, StoredMask):
            self.pixels += outcome.tally.area
            if is_of_plugin(container := outcome.tally.encoding.container):
                self.plugins.add(container)
            if outcome.tally.name not in self._pending.again:
                self._fresh.append(outcome)
            return None
        self.failures += 1
        self._failed.append(outcome)
        self.lost += outcome.mask in self._pending.again
        return outcome

    def _commit(self, *, last: bool = False) -> None:
        """Commit the counts and failures that wait; then what was measured of them, in time."""
        if self._fresh or self._failed:
            table = self._store.write(self._scan, self._fresh, self._failed)
            if self._totals is not None and len(table):
                self._totals += ClassHistogram.of(self._totals.catalog, table)
            self._fresh, self._failed = [], []
        for shelf in self._shelves:
            if last or shelf.is_full:
                shelf.commit()
