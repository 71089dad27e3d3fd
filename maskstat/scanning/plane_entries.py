"""Files whose planes are masks each: TIFF pages, planes of arrays, slices of volumes.

In come the files of a source; out go their planes, entries like all others, called `name#1`,
`name#2`, ... A file is opened once more for it, but no pixel is decoded. A file of one plane stays
what it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import BinaryIO, NamedTuple

from maskstat.errors import MaskError, unreadable
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.memory import MemoryTask, ask_memory
from maskstat.naming import plane_name
from maskstat.readers import formats
from maskstat.readers.formats import OpenPlanes
from maskstat.readers.options import ReadOptions
from maskstat.sources.base import BrokenEntry, Entry, Source
from maskstat.sources.virtual_files import comes_forwards

READ_WHOLE = 64 << 20  # bytes of a file; larger ones are read in pieces
# Formats that say all over the file what they hold: a request each is dearer than some megabytes.
_SCATTERED = frozenset({"TIFF", "NPZ"})
_LOOKED_AT = 8  # files that one thread opens, one after another
_ROOM = 64 << 20  # bytes of what is being opened or waits for it
_WEIGHT = 1 << 20  # of a list of files, whatever they carry


@dataclass(slots=True)
class PlaneEntry(Entry):
    """A plane of a file, which is a mask of its own; `size` is its share of the file's.

    Attributes:
        file: the entry of the file.
        plane: which one, from 0.
        planes: how many there are.
        together: whether they should be read by one thread, one after another.
    """

    file: Entry
    plane: int
    planes: int
    together: bool

    @property
    def mark(self) -> tuple[int, int | str]:
        """The file's: where it changes, all of its planes may."""
        return self.file.mark

    @property
    def group(self) -> str | None:
        """The file, where its planes are quick to read only one after another."""
        return self.path if self.together else None

    @property
    def held(self) -> int:
        """Its share of what the file's entry carries."""
        return -(-self.file.held // self.planes)

    def let_go(self) -> None:
        """With the last plane the file's entry carries nothing any longer."""
        if self.plane == self.planes - 1:
            self.file.let_go()

    def check(self) -> None:
        """With the last plane, look at the file once more. Raises MaskError if it changed."""
        if self.plane == self.planes - 1:
            self.file.check()

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file's."""
        return self.file.local_files

    def load(self) -> bytes:
        """All bytes of the file. Raises MaskError where they can't be had."""
        return self.file.load()

    def open(self) -> BinaryIO:
        """The file. Raises MaskError where it can't be opened."""
        return self.file.open()


class PlaneSource(Source):
    """The planes of the files of a source."""

    def __init__(self, base: Source, options: ReadOptions):
        self._base, self._options = base, options
        self.reads = base.reads
        # A file may be called like the plane of another.
        self.distinct = False

    @property
    def default_name(self) -> str:
        """The source's."""
        return self._base.default_name

    @property
    def location(self) -> str:
        """The source's."""
        return self._base.location

    def entries(self) -> Iterator[Entry]:
        """The planes of all files."""
        yield from planes_of(self._base.entries(), self._options, self.reads)
        self.only = self._base.only

    def skipped(self) -> int:
        """Files passed over by the source."""
        return self._base.skipped()

    def outside(self) -> int:
        """Files outside the folder of their list."""
        return self._base.outside()

    def splits(self) -> tuple[str, ...]:
        """Splits that the source came across."""
        return self._base.splits()


def by_plane(source: Source, options: ReadOptions) -> Source:
    """The source, of planes where each is to be a mask."""
    return PlaneSource(source, options) if options.pages == "each" else source


def planes_of(
    files: Iterable[Entry], options: ReadOptions, reads: int | None = None
) -> Iterator[Entry]:
    """The planes of files in any order; a file that has one plane, or can't be read, is one entry.

    Args:
        reads: how many files are worth reading at once; None where that is a matter of CPUs.
    """
    chunks = _lists_of(files, 1 if reads else _LOOKED_AT)
    results = map_chunks(
        partial(map, partial(_look, options=options)),
        chunks,
        workers=reads or usable_cpus(),
        in_order=False,
        weigh=lambda chunk: max(_WEIGHT, sum(entry.held for entry in chunk)),
        room=_ROOM,
    )
    with closing(results):
        for entry, found in chain.from_iterable(results):
            if found is None:
                yield entry
            else:
                yield from (_plane(entry, found, plane) for plane in range(found.planes))


def first_plane(file: Entry, options: ReadOptions) -> Entry:
    """The first of a file's planes, or the file where it has one."""
    entry, found = _look(file, options)
    return entry if found is None else _plane(entry, found, 0)


def _plane(file: Entry, found: _Found, plane: int) -> PlaneEntry:
    name, size = plane_name(file.name, plane + 1), -(-file.size // found.planes)
    return PlaneEntry(name, file.path, size, file.stamp, file, plane, found.planes, found.together)


class _Found(NamedTuple):
    """How many planes a file has, and whether they should be read one after another."""

    planes: int
    together: bool


def _lists_of(files: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Consecutive files; one that carries its bytes goes alone."""
    batch: list[Entry] = []
    for entry in files:
        batch.append(entry)
        if len(batch) >= size or entry.held:
            yield batch
            batch = []
    if batch:
        yield batch


def _look(entry: Entry, options: ReadOptions) -> tuple[Entry, _Found | None]:
    """The entry, and what planes it has; one that fails when it is read where that is known."""
    try:
        with MemoryTask():
            return entry, _planes_in(entry, options)
    except MaskError as error:
        reason = error.text
    except OSError as error:
        reason = unreadable(error)
    except MemoryError:
        reason = "not enough memory to decode it"
    return BrokenEntry(entry.name, entry.path, *entry.mark, reason), None


def _planes_in(entry: Entry, options: ReadOptions) -> _Found | None:
    if entry.folder is not None:
        planes = formats.open_planes_folder(entry.folder, options)
        return _found(planes.count, planes.in_order)
    small = entry.size <= READ_WHOLE
    if entry.local_files or entry.held or not small:
        with entry.open() as file:
            return _look_into(file, options, small)
    # Not every server says how long a file is, or sends parts of it.
    with suppress(MaskError), entry.open() as file:
        if entry.size and formats.format_of(file).name not in _SCATTERED:
            return _look_into(file, options, small)
    ask_memory(entry.size)
    return _look_into(io.BytesIO(entry.load()), options, small)


def _look_into(file: BinaryIO, options: ReadOptions, small: bool) -> _Found | None:
    planes = formats.open_planes(file, options)
    if planes is None:
        return None
    return _found(planes.count, small or planes.in_order or comes_forwards(file))


def _found(planes: int, together: bool) -> _Found | None:
    return None if planes == 1 else _Found(planes, together)


class OpenFile:
    """A file of several planes, open for as long as somebody has this. `key` is which file."""

    def __init__(self, entry: PlaneEntry, options: ReadOptions):
        self.key = key_of(entry)
        self._file: BinaryIO | None = None
        self._planes: OpenPlanes | None = None
        self._error: MaskError | None = None
        self._loaded = 0
        try:
            self._open(entry, options)
        except MaskError as error:
            self._error = error
        except OSError as error:
            self._error = MaskError(unreadable(error))

    def _open(self, entry: PlaneEntry, options: ReadOptions) -> None:
        whole = entry.file
        planes: OpenPlanes | None
        if whole.folder is not None:
            planes = formats.open_planes_folder(whole.folder, options)
        else:
            small = whole.size <= READ_WHOLE
            if small:
                self._loaded = whole.size
                ask_memory(self._loaded)
            self._file = file = io.BytesIO(whole.load()) if small else whole.open()
            if comes_forwards(file):  # it knows at its end whether it is what it should be
                while file.read(1 << 20):
                    pass
            planes = formats.open_planes(file, options)
        if planes is None or planes.count != entry.planes:
            raise MaskError("has another number of planes than when it was listed: scan again")
        planes.prepare()
        self._planes = planes

    @property
    def planes(self) -> OpenPlanes:
        """Its planes. Raises MaskError where it could not be opened."""
        if self._planes is None:
            raise self._error or MaskError("is closed")
        return self._planes

    @property
    def held(self) -> int:
        """Bytes of memory that are kept for its planes."""
        return self._loaded + (0 if self._planes is None else self._planes.held)

    def close(self) -> None:
        """Read no more of it."""
        self._planes = None
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        self.close()


def key_of(entry: PlaneEntry) -> tuple[object, ...]:
    """What two planes share that are of one file as it was listed."""
    return entry.path, entry.file.mark, entry.planes
