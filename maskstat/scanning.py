"""Scanning: the one place that knows sources, readers, executor and store together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat import readers
from maskstat.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.catalog_files import load_catalog, parse_colour
from maskstat.errors import CatalogError, MaskError, ParameterError, SourceError, StrictError
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.histogram import ClassHistogram
from maskstat.kernels.engine import prepare
from maskstat.ledger import MaskLedger
from maskstat.naming import counted, natural_key, printable, storable
from maskstat.readers import ReadOptions
from maskstat.sources import Entry, Selection, Source, open_source
from maskstat.store import Failure, ScanInfo, Store, StoredMask
from maskstat.tally import Encoding, TallyTable

if TYPE_CHECKING:
    from maskstat.weights import WeightTable
    from maskstat.weights.equal_cost_table import EqualCost, Framework

Classes = ClassCatalog | int | str | Path

CHUNK_FILES = 32
CHUNK_BYTES = 4 << 20
STREAM_ABOVE = 64 << 20  # bytes of a file; larger ones are read in pieces where the format can
SWITCH_SECONDS = 0.0003
FLUSH_SECONDS = 0.5
FLUSH_MASKS = 4096
_DOUBLE = "another file has this name too, once bytes that are no UTF-8 are escaped"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a scan found against what the store had: masks new, changed, unchanged and gone.

    Masks that failed before count as new; `skipped` files are no masks by their suffix.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: masks done, failed among them, pixels counted.

    `total` is None as long as the source is still being listed.
    """

    done: int
    total: int | None
    failed: int
    pixels: int


class Scan:
    """A finished or stored scan, read under one catalogue.

    Attributes:
        info: the store's record of it.
        catalog: the classes its counts are read under.
        changes: what the run that made it found; None where it was opened from a store.

    `histogram` and `ledger` are computed when first asked for, a block of masks at a time.
    """

    def __init__(
        self,
        store: Store,
        info: ScanInfo,
        catalog: ClassCatalog | None = None,
        changes: Changes | None = None,
    ):
        self._store = store
        self.info = info
        self._given = catalog if catalog is not None else info.catalog
        self.changes = changes

    @property
    def name(self) -> str:
        """The scan's name in its store."""
        return self.info.name

    @property
    def source(self) -> str:
        """Where its masks are."""
        return self.info.source

    @cached_property
    def catalog(self) -> ClassCatalog:
        """The catalogue given, or the classes inferred from the values found."""
        return self._given if len(self._given) else self._inferred(self._given)

    @cached_property
    def histogram(self) -> ClassHistogram:
        """Exact totals."""
        kept = self._store.totals(self.info, self.catalog)
        if kept is not None:
            return kept
        # Read first: whatever another process changes meanwhile makes these totals out of date.
        revision = self._store.revision(self.info)
        total = ClassHistogram.empty(self.catalog)
        for table in self.tables():
            total += ClassHistogram.of(self.catalog, table)
        self._store.keep_totals(self.info, total, revision)
        return total

    @cached_property
    def ledger(self) -> MaskLedger:
        """Pixels of each class in each mask, in natural order of the names."""
        blocks = [MaskLedger.of(self.catalog, table) for table in self.tables()]
        return MaskLedger.concatenate(blocks, len(self.catalog)).naturally_sorted()

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Masks that could not be counted, with the reason, in natural order."""
        return tuple(self._store.failures(self.info))

    def tables(self) -> Iterator[TallyTable]:
        """Raw tallies as stored, a block of masks at a time."""
        return self._store.tables(self.info)

    def entries(self) -> Iterator[Entry]:
        """The files of its masks as they are now: to look at pixels again.

        A mask whose file is gone is not among them. Raises SourceError where the source is gone.
        """
        names = set(self._store.fingerprints(self.info))
        for entry in open_source(self.source, Selection(include=("*",))).entries():
            if entry.name in names:
                yield entry

    def under(
        self, classes: Classes | None = None, ignore: int | str | Iterable[int | str] = ()
    ) -> Scan:
        """The same counts read under another catalogue or with more ignored; nothing is decoded.

        Raises:
            CatalogError: `classes` names no catalogue.
            ParameterError: something in `ignore` is neither a number nor a colour.
        """
        catalog = self._given if classes is None else load_catalog(classes)
        catalog = catalog.ignoring(*parse_ignored(ignore))
        return Scan(self._store, self.info, catalog, self.changes)

    def weights(self, scheme: str = "equal-cost", **options: object) -> WeightTable:
        """Class weights from these counts; see `maskstat.weights.compute` for the options."""
        from maskstat.weights import compute

        return compute(self.histogram, scheme, source=self.source, **options)  # type: ignore[arg-type]

    def equal_cost(self, framework: Framework = "keras", **options: object) -> EqualCost:
        """Equal-cost weights for a framework; options of `weights.equal_cost_table.equal_cost`."""
        from maskstat.weights.equal_cost_table import equal_cost

        return equal_cost(
            self.histogram,
            lambda: self.ledger,
            framework,
            source=self.source,
            **options,  # type: ignore[arg-type]
        )

    def _inferred(self, asked: ClassCatalog) -> ClassCatalog:
        narrow: set[int] = set()
        wide: set[int] = set()
        for table in self.tables():
            narrow.update(table.index_values(eight_bit=True).tolist())
            wide.update(table.index_values(eight_bit=False).tolist())
        catalog = ClassCatalog.inferred(
            narrow | wide, eight_bit=DEFAULT_IGNORE not in wide, ignored=asked.ignored_values
        )
        return catalog.ignoring(asked.ignored_values, asked.ignored_colours)

    def close(self) -> None:
        """Close the store this scan reads from."""
        self._store.close()

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


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
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Scan:
    """Count every mask of a source, exactly.

    Args:
        source: a folder (walked recursively), a glob, a single mask, or a text list of paths.
        classes: K, a catalogue, its file or a preset; None infers classes from the values.
        ignore: raw values (or "#rrggbb") that no count of classes should hold.
        name: what the scan is called in the store; by default the source's folder.
        db: the store's file; None keeps the counts in memory only.
        include, exclude: shell patterns on names.
        allow_lossy: count JPEG and lossy WebP too.
        strict: raise at the first mask that can't be read instead of listing it.
        rescan: decode masks that have not changed too.
        workers: threads; by default one a usable CPU.
        on_progress: called after every chunk of masks.

    Raises:
        SourceError: there are no masks at the source.
        CatalogError: `classes` is malformed.
        StoreError: the store can't be used.
        StrictError: with `strict`, the first mask that failed, by name.
    """
    if workers is not None and workers < 1:
        raise ParameterError("needs at least one worker", where="--workers")
    catalog = ClassCatalog.to_infer() if classes is None else load_catalog(classes)
    catalog = catalog.ignoring(*parse_ignored(ignore))
    selection = Selection(tuple(include), tuple(exclude), readers.SUFFIXES)
    origin = open_source(source, selection)
    options = ReadOptions(allow_lossy, catalog.has_colours)
    store = Store.in_memory() if db is None else Store.open(db, create=True)
    try:
        run = _Run(store, origin, options, strict=strict, on_progress=on_progress)
        info, changes = run.carry_out(
            storable(name) if name else _free_name(store, origin), catalog, rescan=rescan,
            workers=workers or usable_cpus(),
        )  # fmt: skip
    except BaseException:
        store.close()
        raise
    return Scan(store, info, catalog, changes)


def open_scan(db: str | Path, name: str | None = None) -> Scan:
    """A scan from a store: the one of this name, or the latest. Raises StoreError."""
    store = Store.open(db)
    try:
        return Scan(store, store.find(name))
    except BaseException:
        store.close()
        raise


def parse_ignored(ignore: int | str | Iterable[int | str]) -> tuple[list[int], list[int]]:
    """Raw values and colours to ignore, from numbers and "#rrggbb". Raises ParameterError."""
    values: list[int] = []
    colours: list[int] = []
    # A lone "255" must not be taken for the values 2 and 5.
    for item in [ignore] if isinstance(ignore, (int, str)) else ignore:
        text = str(item).strip()
        try:
            if text.startswith("#"):
                colours.append(parse_colour(text))
            else:
                values.append(int(text))
        except (ValueError, CatalogError):
            raise ParameterError(
                f"{printable(text)!r} is neither a whole number nor a colour #rrggbb",
                where="--ignore",
            ) from None
    return values, colours


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

    def carry_out(
        self, name: str, catalog: ClassCatalog, *, rescan: bool, workers: int
    ) -> tuple[ScanInfo, Changes]:
        entries = self.source.entries()
        first = next(entries, None)
        if first is None:
            raise self._nothing_found()
        known: dict[str, str] = {}
        if (before := self.store.sources().get(name)) is not None:
            scan = self.store.find(name)
            known = self.store.fingerprints(scan)
            if before != self.source.location:
                # Elsewhere a file of the same name, size and time may hold something else.
                self.store.forget(scan, known)
            if rescan or before != self.source.location:
                known = dict.fromkeys(known, "")
            for refused in self.store.encoded(scan, self._refuses):
                known[refused] = ""
        info = self.store.begin(name, self.source.location, catalog)
        todo = self._compare(chain([first], entries), known)
        if self.strict:  # the first failure is then the same one every time
            todo = iter(sorted(todo, key=lambda entry: natural_key(entry.name)))
        self._count_all(info, todo, workers)
        # What the listing did not take out of `known` is gone.
        self.store.forget(info, known)
        self.store.write(info, (), self._doubles)
        new = self._listed - self._changed
        changes = Changes(new, self._changed, self._unchanged, len(known), self.source.skipped())
        return self.store.finish(info), changes

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
                if mark == entry.mark:
                    self._unchanged += 1
                    continue
                self._changed += 1
            self._listed += 1
            self._listed_bytes += entry.size
            yield entry
        self._all_listed = True
        prepare(self._listed, self._listed_bytes)

    def _refuses(self, encoding: Encoding) -> bool:
        """Whether a mask that was counted before must be looked at again under these options."""
        if encoding.is_lossy and not self.options.allow_lossy:
            return True
        return encoding.is_colour and not self.options.colours

    def _count_all(self, info: ScanInfo, todo: Iterator[Entry], workers: int) -> None:
        fresh: list[StoredMask] = []
        failed: list[Failure] = []
        done = failures = pixels = 0
        flushed = time.monotonic()
        results = map_chunks(self._count, _chunks(todo), workers=workers, in_order=self.strict)
        switching = sys.getswitchinterval()
        # A worker that comes back from native code should not wait 5 ms for this thread's Python.
        sys.setswitchinterval(min(switching, SWITCH_SECONDS))
        try:
            for outcomes in results:
                for outcome in outcomes:
                    if isinstance(outcome, StoredMask):
                        fresh.append(outcome)
                        pixels += outcome.tally.area
                        continue
                    failed.append(outcome)
                    failures += 1
                    if self.strict:
                        raise StrictError(outcome.reason, where=printable(outcome.mask))
                done += len(outcomes)
                if self.on_progress is not None:
                    total = self._listed if self._all_listed else None
                    self.on_progress(Progress(done, total, failures, pixels))
                late = time.monotonic() - flushed > FLUSH_SECONDS
                if len(fresh) >= FLUSH_MASKS or (late and (fresh or failed)):
                    self.store.write(info, fresh, failed)
                    fresh, failed, flushed = [], [], time.monotonic()
        finally:
            # Also on Ctrl-C: what is counted is kept.
            results.close()
            sys.setswitchinterval(switching)
            if fresh or failed:
                self.store.write(info, fresh, failed)

    def _count(self, entry: Entry) -> StoredMask | Failure:
        try:
            if entry.size > STREAM_ABOVE:
                with entry.open() as file:
                    tally = readers.read_tally_stream(file, entry.name, self.options)
            else:
                tally = readers.read_tally(entry.load(), entry.name, self.options)
        except MaskError as error:
            return Failure(entry.name, str(error))
        except OSError as error:
            return Failure(entry.name, f"can't be read: {error.strerror or error}")
        except MemoryError:
            return Failure(entry.name, "not enough memory to decode it")
        return StoredMask(tally, entry.size, entry.stamp)


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Consecutive entries, few enough that a chunk is short and many enough that it pays."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) >= CHUNK_FILES or size + entry.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += entry.size
    if chunk:
        yield chunk


def default_db() -> Path:
    """The store a command uses when none is named: $MASKSTAT_DB, or maskstat.db here."""
    return Path(os.environ.get("MASKSTAT_DB") or "maskstat.db")
