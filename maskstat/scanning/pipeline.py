"""Scanning: the one place that knows sources, readers, executor and store together."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import ParameterError, SourceError, StoreError, StrictError
from maskstat.executors import opening
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.kernels.engine import prepare
from maskstat.naming import counted, natural_key, printable, storable
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.regions.profile import DEFAULT_GRID
from maskstat.scanning.changes import Changes, Comparison
from maskstat.scanning.counting import ChunkCount, Counter, Outcome, lost_mask, seen
from maskstat.scanning.measuring import Measurer, tasks
from maskstat.scanning.recording import Recorder
from maskstat.scanning.stored_scan import (
    Classes,
    StoredScan,
    interpreting,
    parse_ignored,
)
from maskstat.showing import one_line
from maskstat.sources.annotations.recognising import remedy_for
from maskstat.sources.base import Entry, Selection, Source
from maskstat.sources.blobs import from_anywhere, location_of
from maskstat.sources.identities import is_merged
from maskstat.sources.opening import find_splits, open_source
from maskstat.store.records import ScanInfo
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import catalog_from_categories, load_catalog

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from maskstat.executors.clusters import Cluster
    from maskstat.readers.options import Reading

CHUNK_FILES = 32
REMOTE_CHUNK_FILES = 4  # what one thread waits for, one after another
CHUNK_BYTES = 4 << 20
CLUSTER_CHUNK_FILES = 256
CLUSTER_CHUNK_BYTES = 16 << 20
CLUSTER_READS = 8  # at once, of one thread of a worker
MAX_WORKERS = 1024
STREAM_ABOVE = 64 << 20  # bytes of a file; larger ones are read in pieces where the format can
SWITCH_SECONDS = 0.0003
COLLECT_EVERY = 50_000  # objects that a scan may make between two collections of garbage
FLUSH_SECONDS = 0.5
FLUSH_MASKS = 4096


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: masks done, failed among them, pixels counted.

    `total` is None as long as the source is still being listed.
    """

    done: int
    total: int | None
    failed: int
    pixels: int

    __repr__ = one_line


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
    executor: str = "threads",
    scheduler: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **reading: Unpack[Reading],
) -> StoredScan:
    """Count every mask of a source, exactly; see `maskstat.scan`."""
    if workers is not None and not 1 <= workers <= MAX_WORKERS:
        raise ParameterError(
            f"takes at least one worker and at most {MAX_WORKERS:,}, not {workers:,}",
            where="--workers",
        )
    spread = opening.opened(executor, scheduler=scheduler, workers=workers)
    options = ReadOptions.of(reading, allow_lossy=allow_lossy)
    selection = Selection(tuple(include), tuple(exclude), formats.SUFFIXES)
    if executor != "threads":
        source = from_anywhere(source)
    origin = open_source(source, selection, column=column, split=split)
    if classes is not None:
        catalog = load_catalog(classes)
    elif options.panoptic is not None:
        catalog = catalog_from_categories(options.panoptic.categories, name="panoptic categories")
    else:
        catalog = origin.catalog() or ClassCatalog.to_infer()
    catalog = catalog.ignoring(*parse_ignored(ignore))
    catalog = interpreting(catalog, options.recorded, nearest_colour)
    options = replace(options, colours=catalog.has_colours)
    measurer = Measurer.for_scan(catalog, grid) if profile else None
    workers = workers or max(usable_cpus(), origin.reads or 0)
    listing = _listed(origin)  # before there is a store: where nothing is, none should be left
    with spread as cluster:
        store = Store.in_memory() if db is None else Store.open(db, create=True)
        try:
            name = storable(name) if name else _free_name(store, origin)
            run = _Run(store, origin, options, cluster, strict=strict, on_progress=on_progress)
            info, changes = run.carry_out(
                name, catalog, listing, rescan=rescan, workers=workers, measurer=measurer
            )
            result = StoredScan(store, info, catalog, changes, grid if profile else None)
            # Only now the classes are known where they are inferred, and only now the masks that
            # shared a block with one that changed.
            if profile and len(result.catalog):
                rest = Measurer(result.catalog, grid)
                if store.unmeasured(rest.key(info)):
                    run = _Run(
                        store, origin, options, cluster, strict=strict, on_progress=on_progress
                    )
                    run.carry_out(
                        name,
                        catalog,
                        _listed(origin),
                        rescan=False,
                        workers=workers,
                        measurer=rest,
                    )
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
    selection = Selection(tuple(include), tuple(exclude), formats.SUFFIXES)
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


def _listed(source: Source) -> Iterator[Entry]:
    """The masks of a source. Raises SourceError where there is none, or it can't be listed."""
    entries = source.entries()
    first = next(entries, None)
    if first is not None:
        return chain([first], entries)
    skipped = source.skipped()
    others = f" ({counted(skipped, 'file')} of other kinds)" if skipped else ""
    usual = f"masks end in {', '.join(sorted(formats.SUFFIXES))}; see --include, --exclude"
    raise SourceError(
        f"no masks found{others}",
        where=printable(source.location),
        remedy=remedy_for(source.location) or usual,
    )


def _no_scan_of_a_sum(name: str) -> StoreError:
    """What to say where a scan would take the place of a merged one."""
    return StoreError(
        "this scan was merged from others, and scanning would forget them",
        where=printable(name),
        remedy="choose another --name, or scan the shards again and merge",
    )


class _Run:
    """One run of a scan: list, compare with the store, count what is left, commit as it goes."""

    def __init__(
        self,
        store: Store,
        source: Source,
        options: ReadOptions,
        cluster: Cluster | None,
        *,
        strict: bool,
        on_progress: Callable[[Progress], None] | None,
    ):
        self.store, self.source, self.options = store, source, options
        self.cluster = cluster
        self.strict, self.on_progress = strict, on_progress
        self._measurer: Measurer | None = None

    def carry_out(
        self,
        name: str,
        catalog: ClassCatalog,
        listing: Iterator[Entry],
        *,
        rescan: bool,
        workers: int,
        measurer: Measurer | None = None,
    ) -> tuple[ScanInfo, Changes]:
        known = revision = gone = 0
        revisions = self.store.revisions
        if name in self.store.sources():
            scan = self.store.find(name)
            if is_merged(scan.source) and scan.source != self.source.location:
                raise _no_scan_of_a_sum(name)
            revision = self.store.revision(scan)
            if scan.source == self.source.location:
                known = self.store.mask_count(scan)
            else:  # a file of the same name, size and time elsewhere is another mask
                gone = self.store.forget_all(scan)
        info = self.store.begin(name, self.source.location, catalog, self.options.recorded)
        self._measurer = measurer
        found = Comparison(
            self.store,
            self.source,
            info,
            known=known,
            rescan=rescan,
            refuses=self.options.refuses,
            measured=None if measurer is None else self.store.measured(measurer.key(info)),
        )
        todo = found.to_read(listing)
        if self.cluster is None:
            todo = _prepared(found, todo)
        if self.strict:  # the first failure is then the same one every time
            todo = iter(sorted(map(_light, todo), key=lambda entry: natural_key(entry.name)))
        record = self._count_all(info, found, todo, workers)
        if found.lacks_some:
            record.commit(last=True)  # looking for what is gone may take as long as the listing
            found.forget_gone()
        changes = Changes(
            found.new,
            found.changed,
            found.unchanged,
            found.gone + gone,
            self.source.skipped(),
            self.source.splits(),
        )
        with self.store.together():  # a disk takes its time for every transaction
            record.commit(last=True)
            self.store.write(info, (), found.doubles)
            # Had another process changed masks too, the scan's revision would be a later one.
            revision += self.store.revisions - revisions
            totals = None if found.unchanged or record.lost else record.totals
            return self.store.finish(info, totals, revision), changes

    def _count_all(
        self, info: ScanInfo, found: Comparison, todo: Iterator[Entry], workers: int
    ) -> Recorder:
        """Count what is left to do. The last outcomes are taken in, but not committed yet."""
        measurer = self._measurer
        record = Recorder(
            self.store, info, found.again, None if measurer is None else measurer.key(info)
        )
        results = self._outcomes(todo, workers)
        with _interpreter_for_threads():
            try:
                self._take_in(results, record, found)
            except BaseException:
                # Also on Ctrl-C: what is counted is kept.
                results.close()
                record.commit(last=True)
                raise
        found.unchanged -= record.lost
        found.changed += record.lost
        return record

    def _outcomes(
        self, todo: Iterator[Entry], workers: int
    ) -> Generator[Sequence[Outcome], None, None]:
        """Count what is left to do, on threads or on the cluster."""
        counter = Counter(self.options, self._measurer, STREAM_ABOVE)
        if self.cluster is not None:
            from maskstat.executors import dask

            at_once = CLUSTER_READS if self.source.reads else 1
            return seen(
                dask.map_chunks(
                    self.cluster,
                    lambda chunk: ChunkCount.of(counter, chunk, at_once),
                    _chunks(todo, _growing(CLUSTER_CHUNK_FILES), CLUSTER_CHUNK_BYTES),
                    lost=lost_mask,
                    in_order=self.strict,
                )
            )
        files = REMOTE_CHUNK_FILES if self.source.reads else CHUNK_FILES
        chunks = _chunks(todo, repeat(files), CHUNK_BYTES)
        if self._measurer is None:
            return map_chunks(
                counter.count,
                chunks,
                workers=workers,
                in_order=self.strict,
                weigh=lambda chunk: sum(entry.held for entry in chunk),
            )
        return map_chunks(
            counter.count_and_measure,
            tasks(chunks),
            workers=workers,
            window=4 * workers,  # parts of a profile are large: few may wait
            in_order=self.strict,
            weigh=lambda chunk: sum(task.entry.held for task in chunk),
        )

    def _take_in(
        self, results: Iterable[Sequence[Outcome]], record: Recorder, found: Comparison
    ) -> None:
        """Record outcomes as they come, commit every now and then, and say how far it is."""
        flushed = time.monotonic()
        for outcomes in results:
            for outcome in outcomes:
                failure = record.add(outcome)
                if failure is not None and self.strict:
                    raise StrictError(failure.reason, where=printable(failure.mask))
            if self.on_progress is not None:
                total = found.listed if found.done else None
                self.on_progress(Progress(record.done, total, record.failures, record.pixels))
            late = time.monotonic() - flushed > FLUSH_SECONDS
            due = record.waiting >= (1 if late else FLUSH_MASKS)
            if due or record.block_is_full:
                record.commit()
                flushed = time.monotonic()


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


def _prepared(found: Comparison, todo: Iterator[Entry]) -> Iterator[Entry]:
    """The same entries; at their end the engine hears how many there are."""
    yield from todo
    prepare(found.listed, found.listed_bytes)


def _light(entry: Entry) -> Entry:
    """The entry without bytes that it carries: all of a source are held at once."""
    entry.let_go()
    return entry


def _growing(most: int) -> Iterator[int]:
    """Sizes of chunks for a cluster: small ones first, so that few masks go round, too."""
    for doublings in count():
        yield from repeat(min(most, 16 << min(doublings, 16)), 8)


def _chunks(
    entries: Iterable[Entry], sizes: Iterator[int], most_bytes: int
) -> Iterator[list[Entry]]:
    """Consecutive entries, few enough that a chunk is short and many enough that it pays."""
    chunk: list[Entry] = []
    size, files = 0, next(sizes)
    for entry in entries:
        if chunk and (len(chunk) >= files or size + entry.size > most_bytes):
            yield chunk
            chunk, size, files = [], 0, next(sizes)
        chunk.append(entry)
        size += entry.size
    if chunk:
        yield chunk


def default_db() -> Path:
    """The store a command uses when none is named: $MASKSTAT_DB, or maskstat.db here."""
    return Path(os.environ.get("MASKSTAT_DB") or "maskstat.db")
