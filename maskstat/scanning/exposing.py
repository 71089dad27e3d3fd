"""Exposing the masks of a scan: what a recipe makes of each, kept in the store as they come.

An `Exposer` looks at the pixels of masks as a profile does, in the pass of a scan or in one of its
own. An `ExposureShelf` is what a store keeps of it. What is there already is not done again, so a
run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from maskstat.errors import ExposureError
from maskstat.executors.chunking import chunked
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import from_bytes, to_bytes
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import MaskExposure
from maskstat.naming import counted, natural_key, printable
from maskstat.scanning import counting
from maskstat.scanning.measuring import LabelledPixels, Measured, Measurer
from maskstat.scanning.recording import FLUSH_MASKS, FLUSH_SECONDS, Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.base import Entry
from maskstat.sources.identities import is_merged, knows_names_only
from maskstat.store.exposures import ExposedMask, KnownMask
from maskstat.store.records import Failure, ScanInfo, StoredMask
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog

CROPS = 24  # of each mask, where nobody says how many
MOST_CROPS = 1 << 16


@dataclass(slots=True)
class ExposedPart:
    """What is to be kept of some masks."""

    masks: list[ExposedMask] = field(default_factory=list)

    def join(self, other: ExposedPart) -> None:
        """Take in another part."""
        self.masks += other.masks

    def settle(self) -> None:
        """Nothing waits."""


@dataclass(frozen=True, slots=True)
class Exposer:
    """Works out what a recipe makes of masks: a `Consumer` of their pixels.

    `drawn` has the names that decide the crops of those masks that are called something else now.
    """

    recipe: Recipe
    crops: int
    presence: bool = False
    drawn: Mapping[str, str] = field(default_factory=dict)

    bulky = False

    def begin(self) -> ExposedPart:
        """A part of no masks."""
        return ExposedPart()

    def make(self, entry: Entry, seen: LabelledPixels) -> bytes:
        """What is to be kept of a mask. Raises MaskError and MemoryError."""
        from maskstat.exposure.mask_exposure import expose

        runs, classes = seen.runs
        drawn = self._drawn(entry.name)
        one = expose(
            runs,
            classes,
            self.recipe,
            name=drawn,
            crops=self.crops,
            presence=self.presence,
        )
        return to_bytes(one, drawn)

    def add(self, part: ExposedPart, entry: Entry, made: bytes) -> None:
        """Add a mask to a part."""
        mark, drawn = entry.mark, self._drawn(entry.name)
        part.masks.append(
            ExposedMask(entry.name, *mark, self.crops, self.presence, drawn, made, None)
        )

    def leave_out(self, part: ExposedPart, entry: Entry, reason: str, *, for_good: bool) -> None:
        """Note why there are no crops of a mask."""
        part.masks.append(self.without(entry.name, entry.mark, reason, for_good=for_good))

    def without(
        self, name: str, mark: tuple[int, int | str], reason: str, *, for_good: bool = False
    ) -> ExposedMask:
        """What is kept of a mask without crops; it is tried again, unless it is so `for_good`."""
        crops = self.crops if for_good else 0
        return ExposedMask(name, *mark, crops, self.presence, self._drawn(name), None, reason)

    def of_masks(self, names: Sequence[str]) -> Exposer:
        """The same, for these masks only."""
        return replace(self, drawn={name: self.drawn[name] for name in names if name in self.drawn})

    def _drawn(self, name: str) -> str:
        return self.drawn.get(name, name)


def digest_of(catalog: ClassCatalog, recipe: Recipe) -> str:
    """What the rows of an exposure are kept under; 0 is the seed of all crops."""
    return f"{recipe.digest}/{catalog.digest}/0"


class ExposureShelf:
    """What a store keeps of the masks of a scan under a recipe: read once, and added to.

    Attributes:
        consumer: makes what the shelf lacks, and never less of a mask than there was.
        crops: of each mask; where nobody says how many, those that are kept.
        failed: masks among those added of which there are no crops.
    """

    def __init__(
        self,
        store: Store,
        scan: ScanInfo,
        catalog: ClassCatalog,
        recipe: Recipe,
        *,
        crops: int | None = None,
        presence: bool = False,
    ):
        self._store, self._scan, self._catalog, self._recipe = store, scan, catalog, recipe
        self._digest = digest_of(catalog, recipe)
        self._known = store.exposed(scan, self._digest)
        kept = [one.crops for one in self._known.values() if not one.left_out]
        self.crops, self._presence = crops or min(kept, default=CROPS), presence
        fewer = {name: one for name, one in self._known.items() if not self._serves(one)}
        self.consumer = Exposer(
            recipe,
            max([self.crops, *(one.crops for one in fewer.values() if one.crops <= MOST_CROPS)]),
            presence or any(one.presence for one in fewer.values()),
            {name: one.drawn for name, one in fewer.items() if one.drawn != name},
        )
        self.failed = 0
        self._waiting: list[ExposedMask] = []
        self._changed: list[str] = []
        self._committed = time.monotonic()

    @classmethod
    def of(
        cls, scan: StoredScan, recipe: Recipe, *, crops: int | None = None, presence: bool = False
    ) -> ExposureShelf:
        """Of a scan, under its classes."""
        arguments = scan._store, scan.info, scan.catalog, recipe
        return cls(*arguments, crops=crops, presence=presence)

    def _serves(self, one: KnownMask) -> bool:
        """Whether what is there of a mask is enough."""
        return one.crops >= self.crops and (one.left_out or one.presence or not self._presence)

    def __contains__(self, name: object) -> bool:
        """Whether enough is there of a mask."""
        return name in self._known and self._serves(self._known[name])

    @cached_property
    def _names(self) -> list[str]:
        return list(self._store.names(self._scan))

    def _lacks(self, name: str) -> bool:
        """Whether something is left to know of a mask, for now."""
        return name not in self and not (name in self._known and self._known[name].left_out)

    @property
    def lacks_some(self) -> bool:
        """Whether masks are counted of which nothing is said yet, or not enough."""
        return any(map(self._lacks, self._names))

    def add(self, part: ExposedPart) -> None:
        """Take masks in; `commit` keeps them."""
        self._waiting += part.masks
        self.failed += sum(one.content is None for one in part.masks)

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit."""
        late = time.monotonic() - self._committed > FLUSH_SECONDS
        return len(self._waiting) >= (1 if late else FLUSH_MASKS)

    def commit(self) -> None:
        """Keep what waits, of masks whose counts are in the store."""
        waiting, self._waiting = self._waiting, []
        said = json.dumps(asdict(self._recipe))
        changed = self._store.keep_exposed(self._scan, self._digest, said, waiting)
        for one in waiting:
            self._known[one.name] = KnownMask(
                one.crops, one.presence, one.drawn, one.content is None
            )
        for name in changed:
            del self._known[name]
        self._changed += changed
        self._committed = time.monotonic()

    def fill(
        self,
        scan: StoredScan,
        executor: ExecutorChoice | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Work out, and keep, what the masks of the scan lack: a pass of its own.

        What is committed survives whatever ends it; the next run does the rest. A mask that could
        not be read is tried again.

        Raises:
            ExposureError: masks have changed since they were scanned, or are gone.
            SourceError: the source is gone, or masks were counted in memory.
        """
        lacking = {name for name in self._names if name not in self}
        if not lacking:
            return
        self._store.upgrade()
        marks: dict[str, tuple[int, int | str]] = {}
        large = ExposedPart()
        reason = counting.too_large_to_be_whole(counting.STREAM_ABOVE)

        def listed() -> Iterator[Entry]:
            for entry in scan._entries_of(lacking):
                marks[entry.name] = entry.mark
                if entry.size <= counting.STREAM_ABOVE:
                    yield entry
                else:  # it is counted, and nobody will look at its pixels
                    self.consumer.leave_out(large, entry, reason, for_good=True)

        done, total, pixels = len(self._names) - len(lacking), len(self._names), 0
        counter = counting.Counter(scan.read_options, Measurer(self._catalog, [self.consumer]))
        with (executor or ExecutorChoice()).opened(scan._reads) as opened:
            outcomes = opened.outcomes(counter, chunked(listed(), opened.sizes), in_order=False)
            try:
                for found in outcomes:
                    for outcome in found:
                        if isinstance(outcome, Measured):
                            self.add(*outcome.parts)  # type: ignore[arg-type]
                            outcome = outcome.outcome
                        if isinstance(outcome, StoredMask):
                            pixels += outcome.tally.area
                        else:
                            name, why = outcome.mask, outcome.reason
                            self.add(ExposedPart([self.consumer.without(name, marks[name], why)]))
                    done += len(found)
                    if self.is_full:
                        self.commit()
                    if on_progress is not None:
                        on_progress(Progress(done, total, self.failed, pixels))
            finally:
                outcomes.close()
                self.add(large)
                self.commit()
        self._check(scan, lacking - marks.keys())

    def _check(self, scan: StoredScan, gone: set[str]) -> None:
        """Raise ExposureError where masks could not be worked out."""
        if not (self._changed or gone):
            return
        said = [
            f"{counted(len(some), 'mask')} {word}, first {printable(min(some, key=natural_key))}"
            for some, word in ((self._changed, "changed"), (gone, "not found any more"))
            if some
        ]
        if is_merged(scan.source):
            remedy = "work those out that were merged, where their masks are, and merge them again"
        elif knows_names_only(scan.source):
            remedy = "scan the same masks again"
        else:
            remedy = f"scan again: {scan._scan_call()}"
        raise ExposureError(
            f"since the scan: {'; '.join(said)}", where=printable(scan.name), remedy=remedy
        )

    def left_out(self) -> tuple[Failure, ...]:
        """As the function of this name."""
        if not any(one.left_out for one in self._known.values()):
            return ()
        return tuple(self._store.not_exposed(self._scan, self._digest))

    def counts(self) -> ExposureCounts:
        """What is kept, put together; masks that are in `left_out` are not in it.

        Raises:
            ExposureError: masks are not worked out, or with fewer crops.
            StoreError: what was kept has changed.
        """
        lacking = sum(map(self._lacks, self._names))
        if lacking:
            fewer = [one.crops for one in self._known.values() if 0 < one.crops < self.crops]
            less = f" with {self.crops} crops (there are {min(fewer)})" if fewer else ""
            raise ExposureError(
                f"{counted(lacking, 'mask')} of {len(self._names):,} not worked out under the"
                f" recipe and these classes{less}",
                where=printable(self._scan.name),
            )
        return ExposureCounts.of(self._recipe, self._catalog, self._kept())

    def _kept(self) -> Iterator[tuple[str, MaskExposure]]:
        names = sorted(self._names, key=natural_key)
        for name, drawn, content in self._store.exposed_masks(self._scan, self._digest, names):
            with self._store.checked():
                one = from_bytes(content, drawn)
                if len(one.counts) < self.crops or (self._presence and one.chance is None):
                    raise ValueError("less than is said")
            yield name, one._replace(counts=one.counts[: self.crops], area=one.area[: self.crops])


def begun(scan: StoredScan) -> list[Recipe]:
    """Recipes that were worked out under these classes, wholly or in part, the latest first."""
    found = scan._store.exposures(scan.info)
    with scan._store.checked():
        recipes = [(digest, Recipe.of(json.loads(said))) for digest, said in found]
    return [recipe for digest, recipe in recipes if digest == digest_of(scan.catalog, recipe)]


def left_out(scan: StoredScan, recipe: Recipe) -> tuple[Failure, ...]:
    """Masks that count, and of which there are no crops, with the reason, in natural order."""
    return ExposureShelf.of(scan, recipe).left_out()
