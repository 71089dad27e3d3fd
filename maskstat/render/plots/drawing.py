"""What a plot is made of and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ProfileError
from maskstat.naming import printable
from maskstat.regions.profile import PixelProfile
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.values.ledger import MaskLedger

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ScanView(Protocol):
    """What plots need of a scan: a `Scan` has it, and so has a `View`."""

    @property
    def name(self) -> str: ...

    @property
    def catalog(self) -> ClassCatalog: ...

    @property
    def histogram(self) -> ClassHistogram: ...

    @property
    def ledger(self) -> MaskLedger: ...

    @property
    def profile(self) -> PixelProfile | None: ...

    def need_profile(self) -> PixelProfile:
        """`profile`. Raises ProfileError, which says what to do, where there is none."""


@dataclass(frozen=True, slots=True)
class View:
    """A scan's counts without a store behind them."""

    name: str
    histogram: ClassHistogram
    ledger: MaskLedger
    profile: PixelProfile | None = None

    @property
    def catalog(self) -> ClassCatalog:
        """The classes."""
        return self.histogram.catalog

    def need_profile(self) -> PixelProfile:
        """The profile. Raises ProfileError where none was given."""
        if self.profile is None:
            raise ProfileError("there is no pixel profile", where=printable(self.name))
        return self.profile


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished plot.

    Attributes:
        figure: matplotlib's figure, all positions in points from its lower left corner.
        description: what the plot shows, in words with numbers, for who can't see it.
    """

    figure: Figure
    description: str

    __repr__ = one_line


def presence_of(histogram: ClassHistogram) -> NDArray[np.float64] | None:
    """float64[K], the share of masks that contain each class; None where it is unknown."""
    masks, count = known(histogram, "masks"), known(histogram, "mask_count")
    return None if masks is None or count is None else masks / max(count, 1)
