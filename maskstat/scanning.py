"""Scanning: the one place that knows sources, readers, executor and store together."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat import readers
from maskstat.catalog import ClassCatalog
from maskstat.catalog_files import catalog_from_categories, load_catalog
from maskstat.errors import MaskError, ParameterError, SourceError, StrictError
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.histogram import ClassHistogram
from maskstat.kernels.engine import prepare
from maskstat.measuring import Measured, Measurer, Task, tasks
from maskstat.measuring.recording import Recorder
from maskstat.naming import counted, natural_key, printable, storable
from maskstat.profile.pixels import DEFAULT_GRID
from maskstat.readers import ReadOptions
from maskstat.sources import Entry, Selection, Source, find_splits, open_source
from maskstat.sources.blobs import location_of
from maskstat.sources.folder import StoreEntry
from maskstat.sources.streams import StreamedEntry, held
from maskstat.store import Failure, ScanInfo, Store, StoredMask
from maskstat.stored_scan import Changes, Classes, Scan, interpreting, open_scan, parse_ignored

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from maskstat.readers.options import Reading

__all__ = ["Changes", "Classes", "Progress", "Scan", "default_db", "open_scan", "scan"]

CHUNK_FILES = 32
REMOTE_CHUNK_FILES = 4  # what one thread waits for, one after another
CHUNK_BYTES = 4 << 20
STREAM_ABOVE = 64 << 20  # bytes of a file; larger ones are read in pieces where the format can
SWITCH_SECONDS = 0.0003
COLLECT_EVERY = 50_000  # objects that a scan may make between two collections of garbage
FLUSH_SECONDS = 0.5
FLUSH_MASKS = 4096
_STREAMED = f"larger than the {STREAM_ABOVE >> 20} MiB up to which files are read whole"
_DOUBLE = "another file has this name too (bytes that are no UTF-8 are escaped in names)"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: masks done, failed among them, pixels counted.

    `total` is None as long as the source is still being listed.
    """

    done: int
    total: int | None
    failed: int
    pixels: int


def scan(
    source: str | Path,
    *,
    classes: Classes | None = None,
    ignore: int | str | Iterable[int | str] = (),
    name: str | None = None,
    db: str | Path | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    allow_lossy: bool = False,
    strict: bool = False,
    rescan: bool = False,
    profile: bool = False,
    grid: int = DEFAULT_GRID,
    workers: int | None = None,
    column: str | None = None,
    split: str | None = None,
    nearest_colour: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **reading: Unpack[Reading],
) -> Scan:
    """Count every mask of a source, exactly.

    Args:
        source: a folder (walked recursively), a glob, a single mask, a text list of paths, a
            manifest, an archive, a table, or the URL of any of them.
        classes: K, a catalogue, its file or a preset; None infers classes from the values.
        ignore: raw values (or "#rrggbb") that no count of classes should hold.
        name: what the scan is called in the store; by default the source's folder.
        db: the store's file; None keeps the counts in memory only.
        include, exclude: shell patterns on names.
        allow_lossy: count JPEG and lossy WebP too.
        strict: raise at the first mask that can't be read instead of listing it.
        rescan: decode masks that have not changed too.
        profile: measure the pixels too (`Scan.profile`), of masks that were counted before as well.
        grid: cells a side of the profile's heat maps.
        workers: threads; by default one a usable CPU, more where reading waits for a network.
        column: where a table or a manifest keeps its masks, where that is not clear.
        split: only the masks of this split, as `maskstat.sources.find_splits` names them.
        nearest_colour: how far a channel of a mask's colour may be off its class's.
        on_progress: called after every chunk of masks.
        reading: how masks are read where a file alone does not say: `pages`, `channels`, `array`,
            `value_divisor`, `divide_all`, `panoptic`; see `maskstat.readers.options.ReadOptions`.
            Masks that were counted with another reading are read again.

    Raises:
        SourceError: there are no masks at the source.
        CatalogError: `classes` is malformed.
        StoreError: the store can't be used.
        StrictError: with `strict`, the first mask that failed, by name.
        ParameterError: an option is out of range.
        MissingExtraError: reading the source needs a package that is not installed.
    """
    if workers is not None and workers < 1:
        raise ParameterError("needs at least one worker", where="--workers")
    options = ReadOptions.of(reading, allow_lossy=allow_lossy)
    if classes is not None:
        catalog = load_catalog(classes)
    elif options.panoptic is not None:
        catalog = catalog_from_categories(options.panoptic.categories, name="panoptic categories")
    else:
        catalog = ClassCatalog.to_infer()
    catalog = catalog.ignoring(*parse_ignored(ignore))
    catalog = interpreting(catalog, options.recorded, nearest_colour)
    options = replace(options, colours=catalog.has_colours)
    selection = Selection(tuple(include), tuple(exclude), readers.SUFFIXES)
    origin = open_source(source, selection, column=column, split=split)
    measurer = Measurer.for_scan(catalog, grid) if profile else None
    store = Store.in_memory() if db is None else Store.open(db, create=True)
    try:
        name = storable(name) if name else _free_name(store, origin)
        workers = workers or max(usable_cpus(), origin.reads or 0)
        run = _Run(store, origin, options, strict=strict, on_progress=on_progress)
        info, changes = run.carry_out(
            name, catalog, rescan=rescan, workers=workers, measurer=measurer
        )
        result = Scan(store, info, catalog, changes, grid if profile else None)
        # Only now the classes are known where they are inferred, and only now the masks that
        # shared a block with one that changed.
        if profile and len(result.catalog):
            rest = Measurer(result.catalog, grid)
            if store.unmeasured(rest.key(info)):
                run = _Run(store, origin, options, strict=strict, on_progress=on_progress)
                run.carry_out(name, catalog, rescan=False, workers=workers, measurer=rest)
    except BaseException:
        store.close()
        raise
    return result


def splits_of(
    source: str | Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    column: str | None = None,
) -> dict[str | None, int]:
    """The splits of a source, for `scan`'s `split`, and the masks of each; None: those in none.

    Raises:
        SourceError: it has no splits, or there is nothing at all.
    """
    selection = Selection(tuple(include), tuple(exclude), readers.SUFFIXES)
    found = find_splits(source, selection, column=column)
    if not any(found):
        raise SourceError(
            "has no splits",
            where=printable(location_of(str(source))),
            remedy="they are folders called train, val or test, or a column 'split' of a manifest",
        )
    return found


def _free_name(store: Store, source: Source) -> str:
    """The first name by rule that is this source's own or that no scan has.

    A scan that the user gave a name of its own is thus never changed by a run without that name.
    """
    taken = store.sources()
    parents = Path(source.location).parent.parts[1:]
    longer = (
        "-".join((*parents[at:], source.default_name)) for at in reversed(range(len(parents)))
    )
    numbered = (f"{source.default_name}-{number}" for number in count(2))
    names = chain([source.default_name], longer, numbered)
    return next(name for name in names if taken.get(name, source.location) == source.location)


class _Run:
    """One run of a scan: list, compare with the store, count what is left, commit as it goes."""

    def __init__(
        self,
        store: Store,
        source: Source,
        options: ReadOptions,
        *,
        strict: bool,
        on_progress: Callable[[Progress], None] | None,
    ):
        self.store, self.source, self.options = store, source, options
        self.strict, self.on_progress = strict, on_progress
        self._listed = self._listed_bytes = self._changed = self._unchanged = 0
        self._all_listed = False
        self._doubles: list[Failure] = []
        self._measurer: Measurer | None = None
        self._measured: set[str] = set()
        self._again: set[str] = set()  # unchanged masks that are decoded just to be measured

    def carry_out(
        self,
        name: str,
        catalog: ClassCatalog,
        *,
        rescan: bool,
        workers: int,
        measurer: Measurer | None = None,
    ) -> tuple[ScanInfo, Changes]:
        entries = self.source.entries()
        first = next(entries, None)
        if first is None:
            raise self._nothing_found()
        known: dict[str, str] = {}
        revision, revisions = 0, self.store.revisions
        if (before := self.store.sources().get(name)) is not None:
            scan = self.store.find(name)
            revision = self.store.revision(scan)
            known = self.store.fingerprints(scan)
            if before != self.source.location:
                # Elsewhere a file of the same name, size and time may hold something else.
                self.store.forget(scan, known)
            if rescan or before != self.source.location:
                known = dict.fromkeys(known, "")
            for refused in self.store.encoded(scan, self.options.refuses):
                known[refused] = ""
        info = self.store.begin(name, self.source.location, catalog, self.options.recorded)
        if measurer is not None:
            self._measurer, self._measured = measurer, self.store.measured(measurer.key(info))
        todo = self._compare(chain([first], entries), known)
        if self.strict:  # the first failure is then the same one every time
            todo = iter(sorted(map(_light, todo), key=lambda entry: natural_key(entry.name)))
        totals = self._count_all(info, todo, workers)
        # What the listing did not take out of `known` is gone.
        self.store.forget(info, known)
        self.store.write(info, (), self._doubles)
        new = self._listed - self._changed - len(self._again)
        changes = Changes(
            new, self._changed, self._unchanged, len(known), self.source.skipped(),
            self.source.splits(),
        )  # fmt: skip
        # Had another process changed masks too, the scan's revision would be a later one.
        revision += self.store.revisions - revisions
        return self.store.finish(info, totals, revision), changes

    def _nothing_found(self) -> SourceError:
        skipped = self.source.skipped()
        others = f" ({counted(skipped, 'file')} of other kinds)" if skipped else ""
        return SourceError(
            f"no masks found{others}",
            where=printable(self.source.location),
            remedy=f"masks end in {', '.join(sorted(readers.SUFFIXES))}; --include widens that",
        )

    def _compare(
        self,
        entries: Iterable[Entry],
        known: dict[str, str],
    ) -> Iterator[Entry]:
        """The entries that must be counted; what is listed is taken out of `known`."""
        seen: set[str] = set()
        for entry in entries:
            name = entry.name
            if name in seen:
                # Not under the plain name, which is the other file's.
                number = len(self._doubles) + 2
                self._doubles.append(Failure(f"{name} ({number})", _DOUBLE))
                continue
            seen.add(name)
            mark = known.pop(name, None)
            if mark is not None:
                if mark != entry.mark:
                    self._changed += 1
                else:
                    self._unchanged += 1
                    if self._measurer is None or name in self._measured:
                        continue
                    self._again.add(name)
            self._listed += 1
            self._listed_bytes += entry.size
            yield entry
        self._all_listed = True
        prepare(self._listed, self._listed_bytes)

    def _count_all(
        self, info: ScanInfo, todo: Iterator[Entry], workers: int
    ) -> ClassHistogram | None:
        """Count what is left to do; the totals of all masks, where this run counted them all."""
        measurer = self._measurer
        record = Recorder(
            self.store, info, self._again, None if measurer is None else measurer.key(info)
        )
        chunks = _chunks(todo, REMOTE_CHUNK_FILES if self.source.reads else CHUNK_FILES)
        results: Generator[Sequence[StoredMask | Failure | Measured], None, None]
        if measurer is None:
            results = map_chunks(
                self._count, chunks, workers=workers, in_order=self.strict,
                weigh=lambda chunk: sum(map(held, chunk)),
            )  # fmt: skip
        else:
            results = map_chunks(
                self._count_and_measure, tasks(chunks), workers=workers,
                window=4 * workers,  # parts of a profile are large: few may wait
                in_order=self.strict, weigh=lambda chunk: sum(held(task.entry) for task in chunk),
            )  # fmt: skip
        with _interpreter_for_threads():
            try:
                self._take_in(results, record)
            finally:
                # Also on Ctrl-C: what is counted is kept.
                results.close()
                record.commit(last=True)
        self._unchanged -= record.lost
        self._changed += record.lost
        return None if self._unchanged or record.lost else record.totals

    def _take_in(
        self, results: Iterable[Sequence[StoredMask | Failure | Measured]], record: Recorder
    ) -> None:
        """Record outcomes as they come, commit every now and then, and say how far it is."""
        flushed = time.monotonic()
        for outcomes in results:
            for outcome in outcomes:
                failure = record.add(outcome)
                if failure is not None and self.strict:
                    raise StrictError(failure.reason, where=printable(failure.mask))
            if self.on_progress is not None:
                total = self._listed if self._all_listed else None
                self.on_progress(Progress(record.done, total, record.failures, record.pixels))
            late = time.monotonic() - flushed > FLUSH_SECONDS
            due = record.waiting >= (1 if late else FLUSH_MASKS)
            if due or record.block_is_full:
                record.commit()
                flushed = time.monotonic()

    def _count_and_measure(self, task: Task) -> StoredMask | Failure | Measured:
        assert self._measurer is not None
        outcome = self._count(task.entry)
        part = self._measurer.take(last=task.last)
        return outcome if part is None else Measured(outcome, part)

    def _count(self, entry: Entry) -> StoredMask | Failure:
        try:
            if isinstance(entry, StoreEntry) and entry.size > STREAM_ABOVE:
                tally = readers.read_tally_folder(entry.path, entry.name, self.options)
                if self._measurer is not None:
                    self._measurer.leave_out(entry, _STREAMED)
            elif entry.size > STREAM_ABOVE:
                with entry.open() as file:
                    tally = readers.read_tally_stream(file, entry.name, self.options)
                if self._measurer is not None:
                    self._measurer.leave_out(entry, _STREAMED)
            elif self._measurer is not None:
                tally = self._measurer.read(entry, self.options)
            else:
                tally = readers.read_tally(entry.load(), entry.name, self.options)
        except MaskError as error:
            return Failure(entry.name, str(error))
        except OSError as error:
            return Failure(entry.name, f"can't be read: {error.strerror or error}")
        except MemoryError:
            return Failure(entry.name, "not enough memory to decode it")
        return StoredMask(tally, entry.size, entry.stamp)


@contextlib.contextmanager
def _interpreter_for_threads() -> Iterator[None]:
    """The interpreter's settings as threads need them that come and go to native code."""
    switching, thresholds = sys.getswitchinterval(), gc.get_threshold()
    # A worker that comes back from native code should not wait 5 ms for another's Python.
    sys.setswitchinterval(min(switching, SWITCH_SECONDS))
    if thresholds[0]:  # zero: somebody switched it off
        # Results that wait for a commit are no garbage; looking through them stops all threads.
        gc.set_threshold(max(thresholds[0], COLLECT_EVERY), *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(switching)
        gc.set_threshold(*thresholds)


def _light(entry: Entry) -> Entry:
    """The entry without bytes that it carries: all of a source are held at once."""
    if isinstance(entry, StreamedEntry):
        entry.let_go()
    return entry


def _chunks(entries: Iterable[Entry], files: int) -> Iterator[list[Entry]]:
    """Consecutive entries, few enough that a chunk is short and many enough that it pays."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) >= files or size + entry.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += entry.size
    if chunk:
        yield chunk


def default_db() -> Path:
    """The store a command uses when none is named: $MASKSTAT_DB, or maskstat.db here."""
    return Path(os.environ.get("MASKSTAT_DB") or "maskstat.db")
