"""Exposing the masks of a scan: what a recipe makes of each, kept in the store as they come.

The masks are decoded once more, on the threads or the cluster that scans use. What is there already
is not done again, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from maskstat.errors import ExposureError, MaskError
from maskstat.executors.chunking import chunked
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import from_bytes, to_bytes
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import MaskExposure
from maskstat.kernels.engine import prepare
from maskstat.memory import with_memory
from maskstat.naming import counted, natural_key, printable
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.recording import FLUSH_MASKS, FLUSH_SECONDS, Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.scanning.worker_chunks import DIED, Unseen, outcomes_of, settled, unseen
from maskstat.sources.base import Entry
from maskstat.sources.identities import is_merged, knows_names_only
from maskstat.store.exposures import ExposedMask, KnownMask
from maskstat.store.records import Failure
from maskstat.values.catalog import ClassCatalog

CROPS = 24  # of each mask, where nobody says how many
MOST_CROPS = 1 << 16


@dataclass(frozen=True, slots=True)
class Exposer:
    """Works out what a recipe makes of masks; safe to use from many threads.

    `drawn` has the names that decide the crops of those masks that are called something else now.
    """

    catalog: ClassCatalog
    recipe: Recipe
    options: ReadOptions
    crops: int
    seed: int = 0
    presence: bool = False
    drawn: Mapping[str, str] = field(default_factory=dict)
    stream_above: int = field(default_factory=lambda: counting.STREAM_ABOVE)
    _reader: Reader = field(init=False, repr=False, compare=False)

    bulky = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reader", Reader(self.options))

    def __call__(self, items: Sequence[Entry]) -> Iterator[ExposedMask]:
        """What is to be kept of each mask of a chunk."""
        for entry in items:
            yield self._exposed(entry)

    def expect(self, items: int, size: int) -> None:
        """Hear how much there is to do in this process: compiled kernels may pay."""
        prepare(items, size)

    def to_send(self, items: Sequence[Entry], at_once: int) -> ChunkExpose:
        """What a worker does with a chunk: with what is known of these masks, not of all others."""
        names = [entry.name for entry in items]
        drawn = {name: self.drawn[name] for name in names if name in self.drawn}
        part = replace(self, options=self.options.of_masks(names), drawn=drawn)
        return ChunkExpose(part, items, at_once)

    def received(
        self, results: Sequence[ExposedMask | Unseen[ExposedMask]]
    ) -> Sequence[ExposedMask]:
        """What a worker gave. Raises ClusterError where it does not see a file that is there."""
        return [settled(one) if isinstance(one, Unseen) else one for one in results]

    def spared(self, items: Sequence[Entry]) -> None:
        """There is no less to do."""

    def lost(self, item: Entry) -> ExposedMask:
        """What is kept of a mask that killed every worker that read it."""
        return self._without(item, DIED)

    def _without(self, entry: Entry, reason: str, crops: int = 0) -> ExposedMask:
        return ExposedMask(
            entry.name, *entry.mark, crops, self.presence, self._drawn(entry), None, reason
        )

    def _drawn(self, entry: Entry) -> str:
        return self.drawn.get(entry.name, entry.name)

    def _exposed(self, entry: Entry) -> ExposedMask:
        if entry.size > self.stream_above:  # crops need its pixels, and no other try changes that
            reason = counting.too_large_to_be_whole(self.stream_above)
            return self._without(entry, reason, self.crops)
        try:
            content = with_memory(lambda _: self._content(entry))
        except MaskError as error:
            return self._without(entry, error.text)
        except OSError as error:
            return self._without(entry, f"can't be read: {error.strerror or error}")
        except MemoryError:
            return self._without(entry, "not enough memory for its pixels")
        return ExposedMask(
            entry.name, *entry.mark, self.crops, self.presence, self._drawn(entry), content
        )

    def _content(self, entry: Entry) -> bytes:
        from maskstat.exposure.mask_exposure import expose
        from maskstat.kernels.crops import runs_of

        tally, pixels = self._reader.tally_and_pixels(entry)
        labels = self.catalog.targets_of(tally.encoding, tally.values)
        runs, classes = runs_of(pixels, tally.values, labels)
        del pixels
        drawn = self._drawn(entry)
        one = expose(
            runs,
            classes,
            self.recipe,
            name=drawn,
            crops=self.crops,
            seed=self.seed,
            presence=self.presence,
        )
        return to_bytes(one, drawn)


@dataclass(frozen=True, slots=True)
class ChunkExpose:
    """The masks of a chunk, and what a worker of a cluster is to make of them.

    `at_once` of them are read at the same time.
    """

    exposer: Exposer
    entries: Sequence[Entry]
    at_once: int

    def __call__(self) -> list[ExposedMask | Unseen[ExposedMask]]:
        """Work them out."""
        entries = {entry.name: entry for entry in self.entries}
        done: list[ExposedMask | Unseen[ExposedMask]] = []
        for one in outcomes_of(self.exposer, self.entries, self.at_once):
            failed = one.content is None
            done.append((failed and unseen(entries[one.name], one)) or one)
        return done


def digest_of(scan: StoredScan, recipe: Recipe, seed: int = 0) -> str:
    """What the rows of an exposure are kept under."""
    return f"{recipe.digest}/{scan.catalog.digest}/{seed}"


def crops_kept(scan: StoredScan, recipe: Recipe, *, seed: int = 0) -> int:
    """Crops of each mask that are kept, where all masks are worked out; else 0."""
    known = scan._store.exposed(scan.info, digest_of(scan, recipe, seed))
    if any(name not in known for name in scan._store.names(scan.info)):
        return 0
    return min((one.crops for one in known.values() if not one.left_out), default=0)


def make(
    scan: StoredScan,
    recipe: Recipe,
    *,
    crops: int = CROPS,
    seed: int = 0,
    presence: bool = False,
    executor: ExecutorChoice | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Work out, and keep, what a recipe makes of all masks of a scan that it lacks.

    What is committed survives whatever ends it; the next run does the rest. A mask that could not
    be read is tried again.

    Raises:
        ExposureError: masks have changed since they were scanned, or are gone.
        SourceError: the source is gone, or masks were counted in memory.
    """
    store, digest = scan._store, digest_of(scan, recipe, seed)
    known = store.exposed(scan.info, digest)
    names = set(store.names(scan.info))
    lacking = {name for name in names if not _serves(known.get(name), crops, presence)}
    if not lacking:
        return
    store.upgrade()
    some = [known[name] for name in lacking if name in known]
    exposer = Exposer(
        scan.catalog,
        recipe,
        scan.read_options,
        # Never less than there was.
        max([crops, *(one.crops for one in some if one.crops <= MOST_CROPS)]),
        seed,
        presence or any(one.presence for one in some),
        {name: known[name].drawn for name in lacking if name in known},
    )
    keeper = _Keeper(scan, digest, recipe)
    done, total, failed = len(names) - len(lacking), len(names), 0
    with (executor or ExecutorChoice()).opened(scan._reads) as opened:
        chunks = chunked(keeper.heard(scan._entries_of(lacking)), opened.sizes)
        outcomes = opened.outcomes(exposer, chunks, in_order=False)
        try:
            for found in outcomes:
                keeper.add(found)
                done += len(found)
                failed += sum(one.content is None for one in found)
                if on_progress is not None:
                    on_progress(Progress(done, total, failed, 0))
        finally:
            outcomes.close()
            keeper.commit()
    keeper.check(lacking)


def _serves(known: KnownMask | None, crops: int, presence: bool) -> bool:
    """Whether what is there of a mask is enough."""
    if known is None or known.crops < crops:
        return False
    return known.left_out or known.presence or not presence


class _Keeper:
    """Commits what is worked out every now and then, and knows what could not be."""

    def __init__(self, scan: StoredScan, digest: str, recipe: Recipe):
        self._scan, self._digest, self._said = scan, digest, json.dumps(asdict(recipe))
        self._waiting: list[ExposedMask] = []
        self._changed: list[str] = []
        self._heard: set[str] = set()
        self._committed = time.monotonic()

    def heard(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries: whatever is not among them is gone."""
        for entry in entries:
            self._heard.add(entry.name)
            yield entry

    def add(self, found: Sequence[ExposedMask]) -> None:
        """Take some in, and commit where it is time to."""
        self._waiting += found
        late = time.monotonic() - self._committed > FLUSH_SECONDS
        if len(self._waiting) >= (1 if late else FLUSH_MASKS):
            self.commit()

    def commit(self) -> None:
        """Keep what waits."""
        waiting, self._waiting = self._waiting, []
        self._changed += self._scan._store.keep_exposed(
            self._scan.info, self._digest, self._said, waiting
        )
        self._committed = time.monotonic()

    def check(self, wanted: set[str]) -> None:
        """Raise ExposureError where some of these could not be worked out."""
        gone = wanted - self._heard
        if not (self._changed or gone):
            return
        said = [
            f"{counted(len(some), 'mask')} {word}, first {printable(min(some, key=natural_key))}"
            for some, word in ((self._changed, "changed"), (gone, "not found any more"))
            if some
        ]
        if is_merged(self._scan.source):
            remedy = "work those out that were merged, where their masks are, and merge them again"
        elif knows_names_only(self._scan.source):
            remedy = "scan the same masks again"
        else:
            remedy = f"scan again: {self._scan._scan_call()}"
        raise ExposureError(
            f"since the scan: {'; '.join(said)}", where=printable(self._scan.name), remedy=remedy
        )


def left_out(scan: StoredScan, recipe: Recipe, seed: int = 0) -> tuple[Failure, ...]:
    """Masks that count, and of which there are no crops, with the reason, in natural order."""
    return tuple(scan._store.not_exposed(scan.info, digest_of(scan, recipe, seed)))


def exposure(
    scan: StoredScan,
    recipe: Recipe,
    *,
    crops: int = CROPS,
    seed: int = 0,
    presence: bool = False,
) -> ExposureCounts:
    """What `make` kept, put together; nothing is decoded.

    Masks that are in `left_out` are not in it.

    Raises:
        ExposureError: masks are not worked out, or with fewer crops.
        StoreError: what was kept has changed.
    """
    digest, store = digest_of(scan, recipe, seed), scan._store
    known = store.exposed(scan.info, digest)
    names = sorted(store.names(scan.info), key=natural_key)
    lacking = sum(not _is_there(known.get(name), crops, presence) for name in names)
    if lacking:
        fewer = [one.crops for one in known.values() if 0 < one.crops < crops]
        raise ExposureError(
            f"{counted(lacking, 'mask')} of {len(names):,} not worked out under the recipe and"
            " these classes" + (f" with {crops} crops (there are {min(fewer)})" if fewer else ""),
            where=printable(scan.name),
        )
    masks = _kept(scan, digest, names, crops, presence)
    return ExposureCounts.of(recipe, scan.catalog, masks)


def _is_there(known: KnownMask | None, crops: int, presence: bool) -> bool:
    """Whether all is known of a mask that there is to know, for now."""
    return known is not None and (known.left_out or _serves(known, crops, presence))


def _kept(
    scan: StoredScan, digest: str, names: Sequence[str], crops: int, presence: bool
) -> Iterator[tuple[str, MaskExposure]]:
    for name, drawn, content in scan._store.exposed_masks(scan.info, digest, names):
        with scan._store.checked():
            one = from_bytes(content, drawn)
            if len(one.counts) < crops or (presence and one.chance is None):
                raise ValueError("less than is said")
        yield name, one._replace(counts=one.counts[:crops], area=one.area[:crops])
