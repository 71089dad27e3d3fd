"""Reading masks: files of their own, and planes of files that have several.

In come entries; out come their counts or their pixels. A thread keeps the file open whose plane it
read last, so that a file of a thousand planes is not opened and unpacked a thousand times.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import repeat

from maskstat.errors import MaskError
from maskstat.kernels.region_types import Pixels
from maskstat.memory import ask_memory
from maskstat.readers import formats, png_files
from maskstat.readers.formats import LabelMap, OpenPlanes
from maskstat.readers.options import ReadOptions
from maskstat.scanning.plane_entries import OpenFile, PlaneEntry, key_of
from maskstat.sources.base import Entry, FileEntry
from maskstat.values.tally import MaskTally


class _Kept(threading.local):
    """The file that a thread has open."""

    def __init__(self) -> None:
        self.file: OpenFile | None = None


class Reader:
    """Reads masks whole, under the same options; safe to use from many threads.

    Every method raises MaskError as `maskstat.readers.formats.read_tally` does, OSError where
    reading fails, and MemoryError.
    """

    def __init__(self, options: ReadOptions):
        self._options = options
        self._kept = _Kept()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._options,)

    def tally(self, entry: Entry) -> MaskTally:
        """The counts of a mask."""
        if isinstance(entry, PlaneEntry):
            found = self._planes(entry).tally(entry.plane, entry.name)
            entry.check()
            return found
        return formats.read_tally(_data(entry), entry.name, self._options)

    def tallies(self, entries: Sequence[Entry]) -> Iterator[MaskTally | None]:
        """The counts of masks of which many can be had at once, in their order.

        None for each that `tally` must be asked for, which says why it has none.
        """
        waiting: list[tuple[str, str, int] | None] = []
        held = 0
        for entry in entries:
            usual = type(entry) is FileEntry and png_files.is_usual(entry.name, entry.size)
            if held + entry.size > png_files.TOGETHER and usual:
                yield from self._together(waiting)
                waiting, held = [], 0
            held += entry.size if usual else 0
            waiting.append((entry.name, entry.path, entry.size) if usual else None)
        yield from self._together(waiting)

    def _together(self, files: list[tuple[str, str, int] | None]) -> Iterator[MaskTally | None]:
        usual = [file for file in files if file is not None]
        try:
            found = iter(png_files.tally_files(usual))
        except MemoryError:
            found = repeat(None)
        for file in files:
            tally = None if file is None else next(found)
            try:
                yield None if tally is None else formats.accepted(tally, self._options)
            except MaskError:
                yield None

    def tally_and_pixels(self, entry: Entry) -> tuple[MaskTally, Pixels]:
        """The counts of a mask, and its pixels, decoded once."""
        if isinstance(entry, PlaneEntry):
            found = self._planes(entry).tally_and_pixels(entry.plane, entry.name)
            entry.check()
            return found
        return formats.read_tally_and_pixels(_data(entry), entry.name, self._options)

    def label_map(self, entry: Entry) -> LabelMap:
        """The pixels of a mask, and how they are stored."""
        if isinstance(entry, PlaneEntry):
            found = self._planes(entry).label_map(entry.plane, entry.name)
            entry.check()
            return found
        return formats.read_label_map(_data(entry), self._options, entry.name)

    def _planes(self, entry: PlaneEntry) -> OpenPlanes:
        kept = self._kept
        if kept.file is None or kept.file.key != key_of(entry):
            kept.file = None  # closed before another one takes memory
            kept.file = OpenFile(entry, self._options)
        else:
            ask_memory(kept.file.held)
        return kept.file.planes


def _data(entry: Entry) -> bytes:
    ask_memory(entry.size)
    return entry.load()
