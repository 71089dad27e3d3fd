"""Scanning: the one place that knows sources, readers, executor and store together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat import readers
from maskstat.catalog import ClassCatalog
from maskstat.catalog_files import load_catalog, parse_colour
from maskstat.errors import MaskError, ParameterError, SourceError, StrictError
from maskstat.executors.threads import map_in_order, usable_cpus
from maskstat.histogram import ClassHistogram
from maskstat.kernels.engine import prepare
from maskstat.ledger import MaskLedger
from maskstat.naming import natural_key, printable
from maskstat.readers import ReadOptions
from maskstat.sources import Entry, Selection, Source, open_source
from maskstat.store import Failure, ScanInfo, Store, StoredMask
from maskstat.tally import Encoding, TallyTable

if TYPE_CHECKING:
    from maskstat.weights import WeightTable

Classes = ClassCatalog | int | str | Path

CHUNK_FILES = 16
CHUNK_BYTES = 4 << 20
STREAM_ABOVE = 64 << 20  # bytes of a file; larger ones are read in pieces where the format can
FLUSH_SECONDS = 0.5
FLUSH_MASKS = 4096


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
    """How far a scan is: masks done of total, failed among them, pixels counted."""

    done: int
    total: int
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
        total = ClassHistogram.empty(self.catalog)
        for table in self.tables():
            total += ClassHistogram.of(self.catalog, table)
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
        counted = set(self._store.fingerprints(self.info))
        for entry in open_source(self.source, Selection(include=("*",))).entries():
            if entry.name in counted:
                yield entry

    def under(self, classes: Classes | None = None, ignore: Iterable[int | str] = ()) -> Scan:
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

    def _inferred(self, asked: ClassCatalog) -> ClassCatalog:
        values: set[int] = set()
        encodings: set[Encoding] = set()
        for table in self.tables():
            encodings.update(table.encodings)
            values.update(table.index_values().tolist())
        eight_bit = all(encoding.bits <= 8 for encoding in encodings)
        catalog = ClassCatalog.inferred(values, eight_bit=eight_bit, ignored=asked.ignored_values)
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
    ignore: Iterable[int | str] = (),
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
            name or _free_name(store, origin), catalog, rescan=rescan,
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


def parse_ignored(ignore: Iterable[int | str]) -> tuple[list[int], list[int]]:
    """Raw values and colours to ignore, from numbers and "#rrggbb". Raises ParameterError."""
    values: list[int] = []
    colours: list[int] = []
    for item in ignore:
        text = str(item).strip()
        try:
            if text.startswith("#"):
                colours.append(parse_colour(text))
            else:
                values.append(int(text))
        except ValueError:
            raise ParameterError(
                f"{printable(text)!r} is neither a whole number nor a colour #rrggbb",
                where="--ignore",
            ) from None
    return values, colours


def _free_name(store: Store, source: Source) -> str:
    """The name of the scan of this source, or one that no other source's scan has."""
    taken = {info.name: info.source for info in store.scans()}
    for name, location in taken.items():
        if location == source.location:
            return name
    candidate = source.default_name
    parents = list(Path(source.location).parent.parts[1:])
    while candidate in taken and parents:
        candidate = f"{parents.pop()}-{candidate}"
    number = 2
    while candidate in taken:
        candidate, number = f"{source.default_name}-{number}", number + 1
    return candidate


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

    def carry_out(
        self, name: str, catalog: ClassCatalog, *, rescan: bool, workers: int
    ) -> tuple[ScanInfo, Changes]:
        todo, gone, changes, doubles = self._compare(name, rescan=rescan)
        info = self.store.begin(name, self.source.location, catalog)
        self.store.clear_failures(info)
        if gone:
            self.store.forget(info, gone)
        if doubles:
            self.store.write(info, (), doubles)
        todo.sort(key=lambda entry: natural_key(entry.name))
        self._count_all(info, todo, workers)
        self.store.finish(info)
        return self.store.find(name), changes

    def _compare(
        self, name: str, *, rescan: bool
    ) -> tuple[list[Entry], list[str], Changes, list[Failure]]:
        """What to count, what is gone, how many of each, and names that stand for two files."""
        known: dict[str, tuple[int, int | str, str]] = {}
        if name in {info.name for info in self.store.scans()}:
            known = self.store.fingerprints(self.store.find(name))
        todo: list[Entry] = []
        doubles: list[Failure] = []
        seen: set[str] = set()
        unchanged = changed = 0
        for entry in self.source.entries():
            if entry.name in seen:
                doubles.append(Failure(entry.name, "two files have this name once it is readable"))
                continue
            seen.add(entry.name)
            mark = known.pop(entry.name, None)
            if mark is not None:
                if mark[:2] == (entry.size, entry.stamp) and not rescan and self._allows(mark[2]):
                    unchanged += 1
                    continue
                changed += 1
            todo.append(entry)
        skipped = self.source.skipped()
        if not seen:
            others = f" ({skipped} files of other kinds)" if skipped else ""
            raise SourceError(
                f"no masks found{others}",
                where=printable(self.source.location),
                remedy=f"masks end in {', '.join(sorted(readers.SUFFIXES))}; --include widens that",
            )
        new = len(todo) - changed
        return todo, list(known), Changes(new, changed, unchanged, len(known), skipped), doubles

    def _allows(self, encoding_text: str) -> bool:
        """Whether a stored tally would be counted under this run's options too."""
        encoding = Encoding.from_text(encoding_text)
        if encoding.is_lossy and not self.options.allow_lossy:
            return False
        return not encoding.is_colour or self.options.colours

    def _count_all(self, info: ScanInfo, todo: list[Entry], workers: int) -> None:
        counted: list[StoredMask] = []
        failed: list[Failure] = []
        done = failures = pixels = 0
        prepare(len(todo), sum(entry.size for entry in todo))
        flushed = time.monotonic()
        results = map_in_order(self._count, _chunks(todo), workers=workers)
        try:
            for outcomes in results:
                for outcome in outcomes:
                    if isinstance(outcome, StoredMask):
                        counted.append(outcome)
                        pixels += outcome.tally.area
                        continue
                    failed.append(outcome)
                    failures += 1
                    if self.strict:
                        raise StrictError(outcome.reason, where=printable(outcome.mask))
                done += len(outcomes)
                if self.on_progress is not None:
                    self.on_progress(Progress(done, len(todo), failures, pixels))
                late = time.monotonic() - flushed > FLUSH_SECONDS
                if late or len(counted) >= FLUSH_MASKS:
                    self.store.write(info, counted, failed)
                    counted, failed, flushed = [], [], time.monotonic()
        finally:
            # Also on Ctrl-C: what is counted is kept.
            results.close()
            if counted or failed:
                self.store.write(info, counted, failed)

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


def _chunks(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Consecutive entries, few enough that a chunk is short and many enough that it pays."""
    start = size = 0
    for at, entry in enumerate(entries):
        if at > start and (at - start >= CHUNK_FILES or size + entry.size > CHUNK_BYTES):
            yield entries[start:at]
            start, size = at, 0
        size += entry.size
    if start < len(entries):
        yield entries[start:]


def default_db() -> Path:
    """The store a command uses when none is named: $MASKSTAT_DB, or maskstat.db here."""
    return Path(os.environ.get("MASKSTAT_DB") or "maskstat.db")
