"""Looking at the pixels of masks, on the threads that decode them: for profiles, recipes, indices.

In come entries; out come their counts, and parts of what each consumer makes of the pixels, which
are decoded once for all of them. Threads add up what they find in parts, and hand these over every
now and then, with the outcome of their last mask. So whoever takes outcomes in has the counts of a
part's masks before the part. What is left when all is done is asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from maskstat.errors import MaskError
from maskstat.kernels.engine import current_engine
from maskstat.scanning.mask_reader import Reader
from maskstat.sources.base import Entry
from maskstat.store.profiles import MeasuredMask
from maskstat.store.records import Failure, StoredMask
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import Encoding, IntArray, MaskTally

if TYPE_CHECKING:
    from maskstat.kernels.region_types import Pixels, RegionCounts, Runs
    from maskstat.regions.profile_sums import ProfileSum

PART_SECONDS = 0.5
_MOST_KEPT, _MOST_KEPT_VALUES = 512, 256  # sets of values whose classes are kept, and their sizes


class LabelledPixels:
    """A decoded mask under a catalogue, for all that look at it.

    Attributes:
        tally: its counts.
        pixels: its pixels.
        targets: int64[V], the class of each value of the tally, below 0 for none.
    """

    def __init__(self, tally: MaskTally, pixels: Pixels, targets: IntArray):
        self.tally, self.pixels, self.targets = tally, pixels, targets

    @cached_property
    def runs(self) -> tuple[Runs, IntArray]:
        """Runs of its classes, and which classes these are: `label_runs.runs_of`."""
        from maskstat.kernels.label_runs import runs_of

        return runs_of(self.pixels, self.tally.values, self.targets)


class Part(Protocol):
    """What one consumer found in some masks. It can be pickled."""

    def join(self, other: Any) -> None:
        """Take in another part, which is used up."""

    def settle(self) -> None:
        """Become as small as it can be: it is handed over."""


class Consumer(Protocol):
    """What something is made by of the pixels of masks; safe to use from many threads."""

    @property
    def bulky(self) -> bool:
        """Whether parts are large."""

    def begin(self) -> Any:
        """A part of no masks."""

    def make(self, entry: Entry, seen: LabelledPixels) -> Any:
        """What is made of a mask. Raises MaskError where it can't be, and MemoryError."""

    def add(self, part: Any, entry: Entry, made: Any) -> None:
        """Add what was made of a mask to a part."""

    def leave_out(self, part: Any, entry: Entry, reason: str, *, for_good: bool) -> None:
        """Note that a mask is counted, and why nothing is made of it."""

    def of_masks(self, names: Sequence[str]) -> Consumer:
        """The same, for these masks only: without what it knows of all others."""


class Measured(NamedTuple):
    """The outcome of a mask with which parts end, and a part for each consumer."""

    outcome: StoredMask | Failure
    parts: tuple[Part, ...]


@dataclass(slots=True)
class _Open:
    """The parts that a thread is filling."""

    parts: tuple[Any, ...]
    since: float


class Measurer:
    """Reads masks, and lets consumers look at their pixels; safe to use from many threads.

    Each thread fills parts of its own; `take` hands them over, and `rest` those that are left.
    `done` says by the name of a mask which of the consumers have it already.
    """

    def __init__(
        self,
        catalog: ClassCatalog,
        consumers: Sequence[Consumer],
        done: Mapping[str, Sequence[int]] | None = None,
    ):
        self.catalog, self.consumers = catalog, tuple(consumers)
        self.done: Mapping[str, Sequence[int]] = {} if done is None else done
        self._open: dict[int, _Open] = {}  # by thread, each of which touches its own
        self._targets: dict[tuple[Encoding, bytes], IntArray] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.catalog, self.consumers, self.done)

    @property
    def bulky(self) -> bool:
        """Whether parts are large."""
        return any(consumer.bulky for consumer in self.consumers)

    def of_masks(self, names: Sequence[str]) -> Measurer:
        """The same, for a process that measures these masks only."""
        consumers = [consumer.of_masks(names) for consumer in self.consumers]
        done = {name: self.done[name] for name in names if name in self.done}
        return Measurer(self.catalog, consumers, done)

    def read(self, entry: Entry, reader: Reader, *, alone: bool = True) -> MaskTally:
        """Decode a mask once, let all that lack it look at it, and give its counts.

        A mask that can be counted, but not measured, is left out by those that can't. Raises
        MaskError where it can't be counted either, and MemoryError where others that are read at
        the same time (it is not `alone`) may have what it lacks.
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
        seen = LabelledPixels(tally, pixels, self._targets_of(tally))
        made = {at: self._made(at, entry, seen, alone=alone) for at in self._lacking(entry)}
        # Nothing is added before all is made: what is read once more would be added twice.
        try:
            for at, one in made.items():
                consumer, part = self.consumers[at], self._parts[at]
                if isinstance(one, MaskError):
                    consumer.leave_out(part, entry, one.text, for_good=False)
                else:
                    consumer.add(part, entry, one)
        except MemoryError:  # some of it may be added up, and must not be once more
            raise MaskError("not enough memory to add up its regions") from None
        return tally

    def _targets_of(self, tally: MaskTally) -> IntArray:
        """The class of each value of a mask: masks of a set often have the same values."""
        values = tally.values
        if values.size > _MOST_KEPT_VALUES:
            return self.catalog.targets_of(tally.encoding, values)
        key = tally.encoding, values.tobytes()
        if (targets := self._targets.get(key)) is None:
            if len(self._targets) >= _MOST_KEPT:
                self._targets = {}
            targets = self._targets[key] = self.catalog.targets_of(tally.encoding, values)
            targets.flags.writeable = False
        return targets

    def _made(self, at: int, entry: Entry, seen: LabelledPixels, *, alone: bool) -> object:
        """What a consumer makes of a mask, or why it makes nothing of it."""
        try:
            return self.consumers[at].make(entry, seen)
        except MaskError as error:
            return error
        except MemoryError:
            if not alone:
                raise
            return MaskError("not enough memory to measure it")

    def leave_out(self, entry: Entry, reason: str, *, for_good: bool = False) -> None:
        """Note that a mask is counted, but not measured; `for_good` where no other try helps."""
        for at in self._lacking(entry):
            self.consumers[at].leave_out(self._parts[at], entry, reason, for_good=for_good)

    def _lacking(self, entry: Entry) -> list[int]:
        """The consumers that lack a mask."""
        done = self.done.get(entry.name, ())
        return [at for at in range(len(self.consumers)) if at not in done]

    @property
    def _parts(self) -> tuple[Any, ...]:
        thread = threading.get_ident()
        if thread not in self._open:
            parts = tuple(consumer.begin() for consumer in self.consumers)
            self._open[thread] = _Open(parts, time.monotonic())
        return self._open[thread].parts

    def take(self) -> tuple[Part, ...] | None:
        """What this thread has found, where it is time to hand it over."""
        thread = threading.get_ident()
        one = self._open.get(thread)
        if one is None or time.monotonic() - one.since <= PART_SECONDS:
            return None
        del self._open[thread]
        return _settled(one.parts)

    def rest(self) -> list[tuple[Part, ...]]:
        """What all threads have found and not handed over; none may be reading any more."""
        found = [_settled(one.parts) for one in self._open.values()]
        self._open.clear()
        return found


def _settled(parts: tuple[Any, ...]) -> tuple[Part, ...]:
    for part in parts:
        part.settle()
    return parts


# --- profiles ------------------------------------------------------------------------------------


@dataclass(slots=True)
class ProfilePart:
    """The profile of some masks, and which masks they are."""

    total: ProfileSum
    masks: list[MeasuredMask] = field(default_factory=list)

    def join(self, other: ProfilePart) -> None:
        """Take in another part, which is used up."""
        self.total.absorb(other.total)
        self.masks += other.masks

    def settle(self) -> None:
        """Count together what waits."""
        self.total.settle()


@dataclass(frozen=True, slots=True)
class Profiler:
    """Measures masks for a profile: a `Consumer`.

    Raises:
        ParameterError: too many classes or cells, as `maskstat.regions.profile.check_size`.
    """

    catalog: ClassCatalog
    grid: int

    bulky = True

    def __post_init__(self) -> None:
        from maskstat.regions.profile import check_size

        check_size(len(self.catalog), self.grid)

    def begin(self) -> ProfilePart:
        """A part of no masks."""
        from maskstat.regions.profile_sums import ProfileSum

        return ProfilePart(ProfileSum(self.catalog, self.grid))

    def make(self, entry: Entry, seen: LabelledPixels) -> tuple[Runs, IntArray, RegionCounts]:
        """The runs of a mask, its classes, and its regions. Raises MaskError and MemoryError."""
        runs, classes = seen.runs
        return runs, classes, current_engine().measure(runs)

    def add(
        self, part: ProfilePart, entry: Entry, made: tuple[Runs, IntArray, RegionCounts]
    ) -> None:
        """Add a mask to a part."""
        runs, classes, regions = made
        spread = partial(current_engine().spread, runs)
        part.total.add(entry.name, runs.shape, classes, regions, spread)
        part.masks.append(MeasuredMask(entry.name, *entry.mark))

    def leave_out(self, part: ProfilePart, entry: Entry, reason: str, *, for_good: bool) -> None:
        """Note why a mask is not in it: profiles do without such ones."""
        part.masks.append(MeasuredMask(entry.name, *entry.mark, reason))

    def of_masks(self, names: Sequence[str]) -> Profiler:
        """The same: it knows of no masks."""
        return self
