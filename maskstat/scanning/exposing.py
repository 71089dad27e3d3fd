"""Exposing the masks of a scan: what a recipe makes of each, kept in the store as they come.

An `Exposer` looks at the pixels of masks, and an `ExposureShelf` is what a store keeps of it; see
`kept_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from maskstat.errors import ExposureError
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.exposure_bytes import (
    aimed_from_bytes,
    aimed_to_bytes,
    from_bytes,
    to_bytes,
)
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import AimedExposure, MaskExposure
from maskstat.naming import counted, natural_key, printable
from maskstat.scanning.indexing import is_index
from maskstat.scanning.kept_rows import RowMaker, RowShelf
from maskstat.scanning.measuring import LabelledPixels
from maskstat.scanning.stored_scan import StoredScan
from maskstat.sources.base import Entry
from maskstat.store.exposures import KnownMask
from maskstat.store.records import Failure, ScanInfo
from maskstat.store.store import Store
from maskstat.values.catalog import ClassCatalog

CROPS = 24  # of each mask, where nobody says how many
AIMED_CROPS = 8  # of each class of a mask, where they are drawn by class
MOST_CROPS = 1 << 16


@dataclass(frozen=True, slots=True)
class Exposer(RowMaker):
    """Works out what a recipe makes of masks: a `Consumer` of their pixels.

    `drawn` has the names that decide the crops of those masks that are called something else now.
    """

    recipe: Recipe
    crops: int
    presence: bool = False
    drawn: Mapping[str, str] = field(default_factory=dict)

    def make(self, entry: Entry, seen: LabelledPixels) -> bytes:
        """What is to be kept of a mask. Raises MaskError and MemoryError."""
        from maskstat.exposure.aimed import expose_aimed
        from maskstat.exposure.mask_exposure import expose

        runs, classes = seen.runs
        drawn = self._drawn(entry.name)
        asked: dict[str, Any] = {
            "name": drawn,
            "crops": self.crops,
            "presence": self.presence,
        }
        if self.recipe.draws is not None:
            return aimed_to_bytes(expose_aimed(runs, classes, self.recipe, **asked), drawn)
        return to_bytes(expose(runs, classes, self.recipe, **asked), drawn)


def digest_of(catalog: ClassCatalog, recipe: Recipe) -> str:
    """What the rows of an exposure are kept under; 0 is the seed of all crops."""
    return f"{recipe.digest}/{catalog.digest}/0"


class ExposureShelf(RowShelf):
    """What a store keeps of the masks of a scan under a recipe: read once, and added to.

    Attributes:
        consumer: makes what the shelf lacks, and never less of a mask than there was.
        crops: of each mask, or of each class of it where crops are drawn by class; where nobody
            says how many, those that are kept.
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
        usual = CROPS if recipe.draws is None else AIMED_CROPS
        self.crops, self._presence = crops or min(kept, default=usual), presence
        fewer = {name: one for name, one in self._known.items() if not self._serves(one)}
        self.consumer = Exposer(
            recipe,
            max([self.crops, *(one.crops for one in fewer.values() if one.crops <= MOST_CROPS)]),
            presence or any(one.presence for one in fewer.values()),
            {name: one.drawn for name, one in fewer.items() if one.drawn != name},
        )
        self._nothing_waits()

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

    @property
    def _said(self) -> str:
        return json.dumps(asdict(self._recipe))

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

    def _kept(self) -> Iterator[tuple[str, MaskExposure | AimedExposure]]:
        read = from_bytes if self._recipe.draws is None else aimed_from_bytes
        names = sorted(self._names, key=natural_key)
        for name, drawn, content in self._store.exposed_masks(self._scan, self._digest, names):
            with self._store.checked():
                one = read(content, drawn)
                if one.crops < self.crops or (self._presence and not one.exact):
                    raise ValueError("less than is said")
            yield name, one.first(self.crops)


def begun(scan: StoredScan) -> list[Recipe]:
    """Recipes that were worked out under these classes, wholly or in part, the latest first."""
    found = scan._store.exposures(scan.info)
    with scan._store.checked():
        recipes = [
            (digest, Recipe.of(json.loads(said))) for digest, said in found if not is_index(digest)
        ]
    return [recipe for digest, recipe in recipes if digest == digest_of(scan.catalog, recipe)]


def left_out(scan: StoredScan, recipe: Recipe) -> tuple[Failure, ...]:
    """Masks that count, and of which there are no crops, with the reason, in natural order."""
    return ExposureShelf.of(scan, recipe).left_out()
