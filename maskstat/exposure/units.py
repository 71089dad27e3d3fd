"""What is kept of one mask under a recipe, and in which units."""

from __future__ import annotations

from typing import NamedTuple

from maskstat.values.tally import IntArray

UNIT_BITS = 20  # expected pixels are kept in units of 2^-20 pixel
CHANCE_BITS = 32  # chances in units of 2^-32
REPLICATES = 4  # lattices with independent shifts that crops are drawn from in turns


class MaskExposure(NamedTuple):
    """One mask as training sees it; C of the K classes occur in it.

    Attributes:
        classes: int64[C], ascending.
        expected: int64[C], pixels of each in a crop, on average; in units of 2^-20.
        rest: the same of pixels without a class: ignored, unlisted, filled.
        chance: int64[C] in units of 2^-32, of a crop to contain the class; None where not asked.
        counts: int64[J, C], pixels of each class in J crops.
        area: int64[J], all pixels of each crop, filled ones included.
    """

    classes: IntArray
    expected: IntArray
    rest: int
    chance: IntArray | None
    counts: IntArray
    area: IntArray

    @property
    def crops(self) -> int:
        """J."""
        return len(self.counts)

    @property
    def exact(self) -> bool:
        """Whether chances are exact, and not only those of the sampled crops."""
        return self.chance is not None

    def first(self, crops: int) -> MaskExposure:
        """The same with so many of its crops."""
        return self._replace(counts=self.counts[:crops], area=self.area[:crops])


class AimedExposure(NamedTuple):
    """One mask whose crops are aimed at classes: each of its classes is seen in crops of its own.

    It says nothing of how often a class is drawn: that is of all masks together.

    Attributes:
        anywhere: of crops that lie anywhere in the mask, with equal chance.
        pixels: int64[C], those of each of its C classes in the mask; 0 of one that only fills.
        aimed: of crops around a random pixel of each class that has some, in their order.
    """

    anywhere: MaskExposure
    pixels: IntArray
    aimed: tuple[MaskExposure, ...]

    @property
    def crops(self) -> int:
        """J, of each class and of crops anywhere."""
        return self.anywhere.crops

    @property
    def exact(self) -> bool:
        """As of a mask."""
        return self.anywhere.exact

    def first(self, crops: int) -> AimedExposure:
        """The same with so many of the crops of each."""
        fewer = tuple(one.first(crops) for one in self.aimed)
        return AimedExposure(self.anywhere.first(crops), self.pixels, fewer)
