"""What a plot is made of and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted, printable
from maskstat.regions.profile import PixelProfile
from maskstat.render.plots.style import head
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.contributions import Contributions
from maskstat.values.error_bars import Intervals
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.values.ledger import MaskLedger

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ScanView(Protocol):
    """What plots need of a scan: a `Scan` has it."""

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

    @property
    def intervals(self) -> Intervals:
        """Of the frequencies. Raises UnknownCountsError where counts were given."""

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        """What each mask adds to the totals, and the groups of masks. Raises alike."""

    def need_profile(self) -> PixelProfile:
        """`profile`. Raises ProfileError, which says what to do, where there is none."""


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


def under_recipe(drawing: Drawing, seen: Mapping[str, str]) -> Drawing:
    """The same plot, which says so where it is of what training sees; under `drawing_style`.

    `seen` is that of the histogram of each scan, by the scan's name.
    """
    if not any(seen.values()):
        return drawing
    said = [printable(words) or "masks as they are" for words in seen.values()]
    if len(set(said)) > 1:
        said = [f"{printable(name)}: {words}" for name, words in zip(seen, said, strict=True)]
    words = f"As training sees it: {'; '.join(dict.fromkeys(said))}"
    head(drawing.figure, words)
    return Drawing(drawing.figure, f"{drawing.description} {words}.")


def masks_of(histogram: ClassHistogram) -> str:
    """How many masks are counted; where counts are of what training sees, crops of an epoch."""
    epoch = " of an epoch" if histogram.seen else ""
    return f"{counted(histogram.mask_count, histogram.row)}{epoch}"


def presence_of(histogram: ClassHistogram) -> NDArray[np.float64] | None:
    """float64[K], the share of masks that contain each class; None where it is unknown."""
    masks, count = known(histogram, "masks"), known(histogram, "mask_count")
    return None if masks is None or count is None else masks / max(count, 1)
