"""Exposing the masks of a scan: what a recipe makes of each, kept in the store as they come.

The masks are decoded once more, on the threads or the cluster that scans use. What is there already
is not done again, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from maskstat.errors import ExposureError, MaskError
from maskstat.executors.chunking import chunked
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import from_bytes, to_bytes
from maskstat.exposure.recipe import Recipe
from maskstat.kernels.engine import prepare
from maskstat.naming import counted, printable
from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.scanning.recording import FLUSH_SECONDS, Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.base import Entry
from maskstat.store.exposures import ExposedMask
from maskstat.values.catalog import ClassCatalog

if TYPE_CHECKING:
    from maskstat.exposure.counts import FloatArray

CROPS = 24  # of each mask, where nobody says how many


@dataclass(frozen=True, slots=True)
class Exposer:
    """Works out what a recipe makes of masks; safe to use from many threads."""

    catalog: ClassCatalog
    recipe: Recipe
    options: ReadOptions
    crops: int
    seed: int
    presence: bool

    bulky = False

    def __call__(self, items: Sequence[Entry]) -> Iterator[ExposedMask]:
        """What is to be kept of each mask of a chunk."""
        for entry in items:
            yield self._exposed(entry)

    def expect(self, items: int, size: int) -> None:
        """Hear how much there is to do in this process: compiled kernels may pay."""
        prepare(items, size)

    def to_send(self, items: Sequence[Entry], at_once: int) -> ChunkExpose:
        """What a worker does with a chunk."""
        options = self.options.of_masks([entry.name for entry in items])
        return ChunkExpose(replace(self, options=options), items)

    def received(self, results: Sequence[ExposedMask]) -> list[ExposedMask]:
        """What a worker gave."""
        return list(results)

    def spared(self, items: Sequence[Entry]) -> None:
        """There is no less to do."""

    def lost(self, item: Entry) -> ExposedMask:
        """What is kept of a mask that killed every worker that read it."""
        reason = "each worker that read it died: it took too much memory, or crashed the process"
        return ExposedMask(item.name, item.size, item.stamp, self.crops, None, reason)

    def _exposed(self, entry: Entry) -> ExposedMask:
        content, reason = None, None
        try:
            content = self._content(entry)
        except MaskError as error:
            reason = error.text
        except OSError as error:
            reason = f"can't be read: {error.strerror or error}"
        except MemoryError:
            reason = "not enough memory for its pixels"
        return ExposedMask(entry.name, entry.size, entry.stamp, self.crops, content, reason)

    def _content(self, entry: Entry) -> bytes:
        from maskstat.exposure.mask_exposure import expose
        from maskstat.kernels.crops import runs_of

        data = entry.load()
        tally, pixels = formats.read_tally_and_pixels(data, entry.name, self.options)
        labels = self.catalog.targets_of(tally.encoding, tally.values)
        runs, classes = runs_of(pixels, tally.values, labels)
        return to_bytes(
            expose(
                runs,
                classes,
                self.recipe,
                name=entry.name,
                crops=self.crops,
                seed=self.seed,
                presence=self.presence,
            )
        )


@dataclass(frozen=True, slots=True)
class ChunkExpose:
    """The masks of a chunk, and what a worker of a cluster is to make of them."""

    exposer: Exposer
    entries: Sequence[Entry]

    def __call__(self) -> list[ExposedMask]:
        """Work them out."""
        return list(self.exposer(self.entries))


def digest_of(scan: StoredScan, recipe: Recipe, *, seed: int, presence: bool) -> str:
    """What the rows of an exposure are kept under."""
    return f"{recipe.digest}/{scan.catalog.digest}/{seed}{'/presence' if presence else ''}"


def crops_kept(scan: StoredScan, recipe: Recipe, *, seed: int = 0, presence: bool = False) -> int:
    """Crops of each mask that are kept, where all masks are worked out; else 0."""
    names = {name for table in scan.tables() for name in table.names}
    most = 0
    for exact in {presence, True}:
        digest = digest_of(scan, recipe, seed=seed, presence=exact)
        known = scan._store.exposed(scan.info, digest)
        most = max(most, min((known.get(name, 0) for name in names), default=0))
    return most


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

    Raises:
        ExposureError: masks have changed since they were scanned.
        SourceError: the masks are gone, or were counted in memory.
    """
    digest = digest_of(scan, recipe, seed=seed, presence=presence)
    store, said = scan._store, json.dumps(asdict(recipe))
    known = store.exposed(scan.info, digest)
    total = scan.histogram.mask_count
    if sum(number >= crops for number in known.values()) >= total:
        return
    exposer = Exposer(scan.catalog, recipe, scan.read_options, crops, seed, presence)
    counts = {name for table in scan.tables() for name in table.names}
    wanted = (
        entry
        for entry in scan.entries()
        if entry.name in counts and known.get(entry.name, -1) < crops
    )
    changed = done = failed = 0
    with (executor or ExecutorChoice()).opened(None) as opened:
        outcomes = opened.outcomes(exposer, chunked(wanted, opened.sizes), in_order=False)
        waiting: list[ExposedMask] = []
        flushed = time.monotonic()
        try:
            for found in outcomes:
                waiting += found
                done += len(found)
                failed += sum(one.content is None for one in found)
                if on_progress is not None:
                    on_progress(Progress(done + len(known), total, failed, 0))
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    changed += store.keep_exposed(scan.info, digest, said, waiting)
                    waiting, flushed = [], time.monotonic()
        finally:
            outcomes.close()
            changed += store.keep_exposed(scan.info, digest, said, waiting)
    if changed:
        raise ExposureError(
            f"{counted(changed, 'mask')} changed since the scan",
            where=printable(scan.name),
            remedy=scan._scan_call(),
        )


def exposure(
    scan: StoredScan,
    recipe: Recipe,
    *,
    crops: int = CROPS,
    seed: int = 0,
    presence: bool = False,
    draws: FloatArray | None = None,
) -> ExposureCounts:
    """What `make` kept, put together; nothing is decoded.

    Raises:
        ExposureError: masks are not worked out, or with fewer crops.
        StoreError: what was kept has changed.
    """
    # What is exact serves whoever asks for less.
    digests = [digest_of(scan, recipe, seed=seed, presence=exact) for exact in {presence, True}]
    names = {name for table in scan.tables() for name in table.names}
    for digest in digests:
        known = scan._store.exposed(scan.info, digest)
        lacking = sum(known.get(name, -1) < crops for name in names)
        if not lacking:
            break
    else:
        most = max(known.values(), default=0)
        raise ExposureError(
            f"{counted(lacking, 'mask')} of {len(names):,} not worked out under the recipe"
            + (f" with {crops} crops (there are {most})" if most else ""),
            where=printable(scan.name),
        )
    masks = []
    for name, content in scan._store.exposed_masks(scan.info, digest):
        with scan._store.checked():
            one = from_bytes(content)
        if name in names:
            masks.append((name, one._replace(counts=one.counts[:crops], area=one.area[:crops])))
    if draws is not None and len(draws) != len(masks):
        draws = np.asarray(draws)
    return ExposureCounts.of(recipe, scan.catalog, masks, draws)
