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
