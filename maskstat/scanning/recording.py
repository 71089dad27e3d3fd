"""What a run finds on its way into the store: counts, failures, and blocks of a profile."""

from __future__ import annotations

import time

from maskstat.regions.profile_bytes import to_bytes
from maskstat.regions.profile_sums import ProfileSum
from maskstat.scanning.measuring import Measured, Part
from maskstat.store.profiles import MeasuredMask, ProfileKey
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.store import Store
from maskstat.values.histogram import ClassHistogram

BLOCK_MASKS = 1024
BLOCK_SECONDS = 30.0  # a block of slow masks is closed earlier: a kill takes no more than this


class _Block:
    """Parts of a profile on their way into the store, committed together."""

    def __init__(self, store: Store, key: ProfileKey):
        self._store, self._key = store, key
        self._clear()

    def _clear(self) -> None:
        self._total: ProfileSum | None = None
        self._masks: list[MeasuredMask] = []
        self._opened = time.monotonic()

    def add(self, part: Part) -> None:
        """Add a part; it is used up."""
        if self._total is None:
            self._total = part.total
        else:
            self._total.absorb(part.total)
        self._masks += part.masks

    @property
    def is_full(self) -> bool:
        """Whether it should be committed, by its masks or by its age."""
        late = time.monotonic() - self._opened > BLOCK_SECONDS
        return len(self._masks) >= BLOCK_MASKS or (late and bool(self._masks))

    def commit(self) -> None:
        """Keep what was added and begin another block. The masks' counts must be in the store."""
        if self._total is not None and self._masks:
            self._store.keep_block(self._key, self._masks, to_bytes(self._total.profile()))
        self._clear()


class Recorder:
    """Takes outcomes in and commits them.

    Attributes:
        again: names of masks that are in the store already and were read just to be measured.
        done, failures: outcomes taken in, and failures among them.
        lost: failures among the masks of `again`, which are then no longer in it.
        pixels: pixels of the masks read.
        totals: of the masks that were committed; None where the classes are to be inferred.
    """

    def __init__(self, store: Store, scan: ScanInfo, again: set[str], key: ProfileKey | None):
        classes = scan.catalog
        self.totals = ClassHistogram.empty(classes) if len(classes) else None
        self._store, self._scan = store, scan
        self._block = None if key is None else _Block(store, key)
        self._fresh: list[StoredMask] = []
        self._failed: list[Failure] = []
        self.again = again
        self.done = self.failures = self.lost = self.pixels = 0

    def add(self, outcome: StoredMask | Failure | Measured) -> Failure | None:
        """Take in one outcome; gives it back where it is a failure."""
        self.done += 1
        if isinstance(outcome, Measured):
            if self._block is not None:
                self._block.add(outcome.part)
            outcome = outcome.outcome
        if isinstance(outcome, StoredMask):
            self.pixels += outcome.tally.area
            if outcome.tally.name not in self.again:
                self._fresh.append(outcome)
            return None
        self.failures += 1
        self._failed.append(outcome)
        if outcome.mask in self.again:
            self.again.remove(outcome.mask)
            self.lost += 1
        return outcome

    @property
    def waiting(self) -> int:
        """Outcomes that no commit holds."""
        return len(self._fresh) + len(self._failed)

    @property
    def block_is_full(self) -> bool:
        """Whether a block of the profile should be committed."""
        return self._block is not None and self._block.is_full

    def commit(self, *, last: bool = False) -> None:
        """Commit the counts and failures that wait; then a block, where it is full or the last."""
        if self.waiting:
            table = self._store.write(self._scan, self._fresh, self._failed)
            if self.totals is not None and len(table):
                self.totals += ClassHistogram.of(self.totals.catalog, table)
            self._fresh, self._failed = [], []
        if self._block is not None and (last or self._block.is_full):
            self._block.commit()
