"""`Exposure`: a scan as training sees it, with the methods of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from maskstat.api.scan import Scan
from maskstat.exposure.exposure import ExposureCounts, FloatArray
from maskstat.exposure.recipe import Recipe
from maskstat.frames import data_frame
from maskstat.showing import one_line
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger

if TYPE_CHECKING:
    from pandas import DataFrame

    from maskstat.sampling.table import SamplingTable


class Exposure(Scan):
    """A scan under a recipe: the share of each class that a loss sees ("how often it is exposed").

    `histogram` is an epoch as it is expected: pixels in crops, crops that contain a class, pixels
    of those crops. `ledger` has a row for each sampled crop. So weights, costs, plots and the
    report are of crops.

    Attributes:
        counts: what the recipe makes of the masks.
        folder: the scan itself.
    """

    def __init__(self, folder: Scan, counts: ExposureCounts):
        super().__init__(folder._store, folder.info, folder._given, folder.changes, folder._grid)
        self.folder, self.counts = folder, counts

    def __repr__(self) -> str:
        return one_line(self, self.name, self.recipe.words())

    def close(self) -> None:
        """Nothing: the scan's store is the scan's to close."""

    @property
    def recipe(self) -> Recipe:
        """What lies between the masks and the loss."""
        return self.counts.recipe

    @property
    def catalog(self):  # type: ignore[no-untyped-def]
        """The classes of the scan."""
        return self.folder.catalog

    @cached_property
    def histogram(self) -> ClassHistogram:
        """An epoch, as it is expected."""
        return self.counts.histogram

    @cached_property
    def ledger(self) -> MaskLedger:
        """Sampled crops, a row each."""
        return self.counts.ledger

    @property
    def frequency(self) -> FloatArray:
        """float64[K], shares of the classes among pixels that have one, exact."""
        return self.counts.frequency

    @property
    def in_crops(self) -> FloatArray:
        """float64[K], the chance that a crop contains each class."""
        return self.counts.in_crops

    def in_batches(self, batch_size: int | None = None) -> FloatArray:
        """float64[K], the chance that a batch contains each class."""
        return self.counts.in_batches(batch_size)
