"""What a page is about: a scan's document, and the counts that drawings of it need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import printable
from maskstat.regions.profile import PixelProfile
from maskstat.render.report.class_colours import page_colours
from maskstat.values.catalog import ClassCatalog
from maskstat.values.ledger import MaskLedger

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

MOST_CLASSES = 1000
_FIRST, _LAST = 240, 60
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """A scan on its way to a page.

    Attributes:
        scan: as it was asked about; crops under a recipe.
        document: its `report_document`.
    """

    scan: StoredScan
    document: Mapping[str, Any]

    @cached_property
    def catalog(self) -> ClassCatalog:
        """The classes."""
        return self.scan.catalog

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes as text that can be shown."""
        return tuple(printable(name) for name in self.catalog.names)

    @cached_property
    def colours(self) -> list[str]:
        """A colour a class."""
        return page_colours(self.catalog)

    @cached_property
    def shares(self) -> FloatArray:
        """float64[K], of the labelled pixels."""
        return self.scan.histogram.frequency

    @cached_property
    def order(self) -> list[int]:
        """Classes from the most to the least frequent; equals as the catalogue has them."""
        return [int(k) for k in np.argsort(-self.shares, kind="stable")]

    @cached_property
    def occurring(self) -> list[int]:
        """The same, without those that never occur."""
        return [k for k in self.order if self.shares[k] > 0]

    @cached_property
    def shown(self) -> list[int]:
        """The classes that have a row: all, or of very many the first and the last that occur."""
        if len(self.order) <= MOST_CLASSES:
            return self.order
        some = self.occurring
        return some if len(some) <= _FIRST + _LAST else [*some[:_FIRST], *some[-_LAST:]]

    @cached_property
    def left_out(self) -> list[int]:
        """The others, by share."""
        shown = set(self.shown)
        return [k for k in self.order if k not in shown]

    @property
    def unit(self) -> str:
        """What a row of the ledger is: a mask, or a crop under a recipe."""
        return str(self.document["row"])

    @cached_property
    def files(self) -> StoredScan:
        """The scan of the files."""
        return self.scan._files

    @cached_property
    def ledger(self) -> MaskLedger | None:
        """Pixels of each class in each file's mask; None where counts were given."""
        return None if self.scan.histogram.unknown else self.files.ledger

    @cached_property
    def profile(self) -> PixelProfile | None:
        """Where classes lie, where that was measured."""
        return self.scan.profile

    @cached_property
    def groups(self) -> dict[str, str]:
        """Class -> head, medium, tail or absent."""
        found = self.document["groups"]
        return {
            name: group for group in ("head", "medium", "tail", "absent") for name in found[group]
        }
