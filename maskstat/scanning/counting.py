"""Counting masks: what a thread does with one, and a worker of a cluster with a chunk of them.

In come entries; out come outcomes: the counts of a mask, or why it has none. A worker gets a
`ChunkCount`, which knows all that it takes, and gives `Outcomes` back, which travel in columns: a
mask takes a few dozen bytes on its way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from maskstat.errors import MaskError, unreadable
from maskstat.kernels.engine import announce, prepare
from maskstat.memory import with_memory
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.measuring import Measured, Measurer, Part
from maskstat.scanning.plane_entries import PlaneEntry
from maskstat.scanning.worker_chunks import DIED, Unseen, outcomes_of, settled, unseen
from maskstat.sources.base import Entry
from maskstat.store.records import Failure, StoredMask
from maskstat.values.tally import Encoding, MaskTally, TallyTable

Outcome: TypeAlias = StoredMask | Failure | Measured

STREAM_ABOVE = 64 << 20  # bytes of a file; larger ones are read in pieces where the format can
_MANY_MASKS = 100_000  # a process that joined a cluster counts enough to load its kernels


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts masks, and has a measurer look at their pixels; safe to use from many threads.

    Files of more than `stream_above` bytes are read in pieces where their format can be. With
    `count_only` what a measurer would measure is left out. It is the
    `maskstat.executors.base.Work` of a scan.
    """

    options: ReadOptions
    measurer: Measurer | None = None
    stream_above: int = field(default_factory=lambda: STREAM_ABOVE)
    count_only: bool = False
    _reader: Reader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reader", Reader(self.options))

    @property
    def bulky(self) -> bool:
        """Parts of a profile are large."""
        return self.measurer is not None and self.measurer.bulky

    def __call__(self, items: Sequence[Entry]) -> Iterator[Outcome]:
        """The outcomes of a chunk's masks; with some comes what this thread has measured so far."""
        if self.measurer is None:
            for entry, tally in zip(items, self._reader.tallies(items), strict=True):
                yield self.count(entry) if tally is None else StoredMask(tally, *entry.mark)
            return
        for entry in items:
            outcome = self.count(entry)
            parts = self.measurer.take()
            yield outcome if parts is None else Measured(outcome, parts)

    def expect(self, items: int, size: int) -> None:
        """Hear how much there is to do in this process: compiled kernels may pay."""
        (announce if self.measurer is None else prepare)(items, size)

    def to_send(self, items: Sequence[Entry], at_once: int) -> ChunkCount:
        """What a worker does with a chunk: with what is known of these masks, not of all others."""
        names = [entry.name for entry in items]
        measurer = None if self.measurer is None else self.measurer.of_masks(names)
        part = replace(self, options=self.options.of_masks(names), measurer=measurer)
        return ChunkCount(part, items, at_once)

    def received(self, results: Sequence[Outcome | Unseen[Failure]]) -> list[Outcome]:
        """The outcomes that a worker gave; masks whose files are gone for everybody have failed.

        Raises:
            ClusterError: a worker does not see a file that is there.
        """
        return [settled(one) if isinstance(one, Unseen) else one for one in results]

    def spared(self, items: Sequence[Entry]) -> ChunkCount | None:
        """Count what could not be measured, which takes more memory."""
        return None if self.measurer is None else replace(self, count_only=True).to_send(items, 1)

    def lost(self, item: Entry) -> Failure:
        """The outcome of a mask that killed every worker that read it."""
        return Failure(item.name, DIED)

    def count(self, entry: Entry) -> StoredMask | Failure:
        """The counts of one mask, or why it has none."""
        try:
            return with_memory(lambda alone: self._counted(entry, alone=alone))
        except MemoryError:
            return Failure(entry.name, "not enough memory to decode it")

    def _counted(self, entry: Entry, *, alone: bool) -> StoredMask | Failure:
        try:
            if entry.size > self.stream_above:
                tally = self._streamed(entry)
                large = too_large_to_be_whole(self.stream_above)
                self._leave_out(entry, large, for_good=True)
            elif self.measurer is not None and not self.count_only:
                tally = self.measurer.read(entry, self._reader, alone=alone)
            else:
                tally = self._reader.tally(entry)
                self._leave_out(entry, "each worker that measured it died: it took too much memory")
        except MaskError as error:
            return Failure(entry.name, error.text)
        except OSError as error:
            return Failure(entry.name, unreadable(error))
        return StoredMask(tally, *entry.mark)

    def _streamed(self, entry: Entry) -> MaskTally:
        if isinstance(entry, PlaneEntry):
            return self._reader.tally(entry)
        if entry.folder is not None:
            tally = formats.read_tally_folder(entry.folder, entry.name, self.options)
            entry.check()
            return tally
        with entry.open() as file:
            return formats.read_tally_stream(file, entry.name, self.options)

    def _leave_out(self, entry: Entry, reason: str, *, for_good: bool = False) -> None:
        if self.measurer is not None:
            self.measurer.leave_out(entry, reason, for_good=for_good)


def too_large_to_be_whole(stream_above: int) -> str:
    """Why a file's pixels are not looked at."""
    return f"larger than the {stream_above >> 20} MiB up to which files are read whole"


class Outcomes:
    """What became of the masks of a chunk. It is pickled in columns.

    `parts` are what was measured of all of them, `unseen` those whose files a worker does not see.
    """

    def __init__(
        self,
        outcomes: Sequence[StoredMask | Failure],
        parts: tuple[Part, ...] | None = None,
        unseen: Sequence[Unseen[Failure]] = (),
    ):
        self.outcomes, self.parts, self.unseen = outcomes, parts, unseen

    def __iter__(self) -> Iterator[Outcome | Unseen[Failure]]:
        """Those that are unseen, then all others, the last one with the parts."""
        yield from self.unseen
        last = len(self.outcomes) - 1
        for at, outcome in enumerate(self.outcomes):
            yield outcome if at < last or self.parts is None else Measured(outcome, self.parts)

    def __reduce__(self) -> tuple[object, ...]:
        masks = [one for one in self.outcomes if isinstance(one, StoredMask)]
        failures = [one for one in self.outcomes if isinstance(one, Failure)]
        table = TallyTable.of(mask.tally for mask in masks)
        numbers = {encoding: at for at, encoding in enumerate(dict.fromkeys(table.encodings))}
        columns = (
            np.array([numbers[encoding] for encoding in table.encodings], np.int64),
            table.shapes.ravel(),
            np.diff(table.indptr),
            table.values,
            table.counts,
        )
        marks = [(mask.tally.name, mask.size, mask.stamp) for mask in masks]
        packed = tuple(map(_packed, columns))
        return _unpack, (list(numbers), packed, marks, failures, self.parts, self.unseen)


def _packed(numbers: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[str, bytes]:
    """Whole numbers in the narrowest type that holds them all."""
    least, most = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    for kind in ("<u1", "<i2", "<i4"):
        bounds = np.iinfo(kind)
        if bounds.min <= least and most <= bounds.max:
            return kind, numbers.astype(kind).tobytes()
    return "<i8", numbers.astype("<i8").tobytes()


def _unpack(
    encodings: list[Encoding],
    packed: tuple[tuple[str, bytes], ...],
    marks: list[tuple[str, int, int | str]],
    failures: list[Failure],
    parts: tuple[Part, ...] | None,
    unseen: Sequence[Unseen[Failure]],
) -> Outcomes:
    used, shapes, lengths, values, counts = (
        np.frombuffer(data, kind).astype(np.int64) for kind, data in packed
    )
    ends = np.cumsum(lengths).tolist()
    columns = zip(
        marks, used.tolist(), shapes.reshape(-1, 2).tolist(), [0, *ends[:-1]], ends, strict=False
    )
    outcomes: list[StoredMask | Failure] = []
    for (name, size, stamp), number, (height, width), start, stop in columns:
        tally = MaskTally(
            name, (height, width), encodings[number], values[start:stop], counts[start:stop]
        )
        outcomes.append(StoredMask(tally, size, stamp))
    return Outcomes([*outcomes, *failures], parts, unseen)


@dataclass(frozen=True, slots=True)
class ChunkCount:
    """The masks of a chunk, and how a worker of a cluster is to count them.

    `at_once` of them are read at the same time: more than one where reading waits for a network.
    """

    counter: Counter
    entries: Sequence[Entry]
    at_once: int

    def __call__(self) -> Outcomes:
        """Count them."""
        self.counter.expect(_MANY_MASKS, 0)
        entries = {entry.name: entry for entry in self.entries}
        outcomes: list[StoredMask | Failure] = []
        missing: list[Unseen[Failure]] = []
        measured: list[tuple[Part, ...]] = []
        for outcome in outcomes_of(self.counter, self.entries, self.at_once):
            if isinstance(outcome, Measured):
                measured.append(outcome.parts)
                outcome = outcome.outcome
            missed = None
            if isinstance(outcome, Failure):
                missed = unseen(entries[outcome.mask], outcome)
            if missed is None:
                outcomes.append(outcome)
            else:
                missing.append(missed)
        if self.counter.measurer is not None:
            measured += self.counter.measurer.rest()
        for others in measured[1:]:
            for mine, other in zip(measured[0], others, strict=True):
                mine.join(other)
        return Outcomes(outcomes, measured[0] if measured else None, missing)
