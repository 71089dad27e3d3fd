"""Measuring the pixels of masks for a profile, on the threads that decode them.

In come entries; out come their counts, and parts of the profile. Threads add up what they measure
in parts, and hand a part over with the outcome of its last mask. So whoever takes outcomes in has
the counts of a part's masks before the part.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from maskstat.errors import MaskError
from maskstat.regions.profile import check_size
from maskstat.regions.profile_sums import ProfileSum
from maskstat.scanning.mask_reader import Reader
from maskstat.sources.base import Entry
from maskstat.store.profiles import MeasuredMask, ProfileKey
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import MaskTally

PART_SECONDS = 0.2


class ProfilePart(NamedTuple):
    """What one thread measured of some masks: their sum, and which masks they are."""

    total: ProfileSum
    masks: tuple[MeasuredMask, ...]

    def joined(self, other: ProfilePart) -> ProfilePart:
        """Both as one; they are used up."""
        self.total.absorb(other.total)
        return ProfilePart(self.total, self.masks + other.masks)


class Measured(NamedTuple):
    """The outcome of a mask with which a part ends, and the part."""

    outcome: StoredMask | Failure
    part: ProfilePart


class _OpenPart(threading.local):
    """The part that a thread is filling."""

    def __init__(self) -> None:
        self.total: ProfileSum | None = None
        self.masks: list[MeasuredMask] = []
        self.opened = 0.0


class Measurer:
    """Reads masks and measures them under one catalogue; safe to use from many threads.

    Each thread fills a part of its own; `take` hands it over.

    Raises:
        ParameterError: too many classes or cells, as `maskstat.regions.profile.check_size`.
    """

    def __init__(self, catalog: ClassCatalog, grid: int):
        check_size(len(catalog), grid)
        self.catalog, self.grid = catalog, grid
        self._open = _OpenPart()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.catalog, self.grid)

    @classmethod
    def for_scan(cls, catalog: ClassCatalog, grid: int) -> Measurer | None:
        """For this catalogue, or None where its classes are still to be inferred. Raises alike."""
        check_size(max(1, len(catalog)), grid)
        return cls(catalog, grid) if len(catalog) else None

    def key(self, scan: ScanInfo) -> ProfileKey:
        """Where a store keeps the profile of a scan that this measures."""
        return ProfileKey(scan, self.catalog.digest, self.grid)

    def read(self, entry: Entry, reader: Reader, *, alone: bool = True) -> MaskTally:
        """Decode a mask once, measure it, and give its counts.

        A mask that can be counted, but not measured, is left out of the profile. Raises MaskError
        where it can't be counted either, and MemoryError where others that are read at the same
        time (it is not `alone`) may have what it lacks.
        """
        try:
            tally, pixels = reader.tally_and_pixels(entry)
        except (MaskError, MemoryError) as error:
            if isinstance(error, MemoryError) and not alone:
                raise
            tally = reader.tally(entry)
            lacking = "not enough memory for its pixels"
            self.leave_out(entry, error.text if isinstance(error, MaskError) else lacking)
            return tally
        from maskstat.kernels.region_counts import measure

        labels = self.catalog.targets_of(tally.encoding, tally.values)
        labels[labels < 0] = len(self.catalog)
        try:
            regions = measure(pixels, (tally.values, labels), len(self.catalog), self.grid)
        except MaskError as error:
            self.leave_out(entry, error.text)
        except MemoryError:
            if not alone:
                raise
            self.leave_out(entry, "not enough memory to measure it")
        else:
            try:
                self._part.add(entry.name, tally.shape, regions)
            except MemoryError:  # some of it may be added up, and must not be once more
                raise MaskError("not enough memory to add up its regions") from None
            self._open.masks.append(MeasuredMask(entry.name, *entry.mark))
        return tally

    def leave_out(self, entry: Entry, reason: str) -> None:
        """Note that a mask is counted, but not measured."""
        _ = self._part
        self._open.masks.append(MeasuredMask(entry.name, *entry.mark, reason))

    @property
    def _part(self) -> ProfileSum:
        if self._open.total is None:
            self._open.total = ProfileSum(self.catalog, self.grid)
            self._open.opened = time.monotonic()
        return self._open.total

    def take(self, *, last: bool) -> ProfilePart | None:
        """What this thread has measured, where it is time to hand it over or `last` of a chunk."""
        part = self._open
        late = time.monotonic() - part.opened > PART_SECONDS
        if part.total is None or not (last or late):
            return None
        part.total.settle()
        done = ProfilePart(part.total, tuple(part.masks))
        part.total, part.masks = None, []
        return done
