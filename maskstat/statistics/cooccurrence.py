"""Which classes appear together, and how varied single masks are. Needs presence, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.showing import one_line
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

MAX_CLASSES = 4096
"""A class x class table of more would take over 128 MiB, and nobody could read it."""


@dataclass(frozen=True, slots=True, eq=False)
class CoOccurrence:
    """How often classes share a mask.

    Attributes:
        masks: int64[K, K], masks that contain both classes; symmetric; the diagonal is the image
            count of each class.
        mask_count: all masks.
    """

    masks: IntArray
    mask_count: int

    __repr__ = one_line

    @classmethod
    def of(cls, ledger: MaskLedger) -> CoOccurrence:
        """X^T X of the sparse mask x class presence table X.

        Raises:
            ParameterError: more than MAX_CLASSES classes.
        """
        from scipy.sparse import csr_array

        if ledger.class_count > MAX_CLASSES:
            raise ParameterError(
                f"co-occurrence of {ledger.class_count:,} classes would fill a table of"
                f" {ledger.class_count**2:,} cells; {MAX_CLASSES:,} classes are the most"
            )
        presence = csr_array(
            (np.ones_like(ledger.pixels), ledger.classes, ledger.indptr),
            shape=(len(ledger), ledger.class_count),
        )
        table = np.asarray((presence.T @ presence).toarray(), np.int64)
        table.flags.writeable = False
        return cls(table, len(ledger))

    @property
    def presence(self) -> FloatArray:
        """float64[K], P(c): the share of masks that contain each class."""
        return np.asarray(self.masks.diagonal() / max(self.mask_count, 1))

    @property
    def lift(self) -> FloatArray:
        """float64[K, K], P(a and b) / (P(a) P(b)): above 1 where classes attract each other.

        Symmetric; 0 where one of the two never occurs.
        """
        own = self.masks.diagonal().astype(np.float64)
        chance = own[:, None] * own[None, :]
        return np.asarray(self.masks * float(self.mask_count) / np.where(chance > 0, chance, 1.0))


def mask_entropies(ledger: MaskLedger) -> FloatArray:
    """float64[B], Shannon entropy of each mask's own class mix in nats.

    0 for a mask of one class, ln k for k equally large ones, 0 without a labelled pixel.
    """
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    shares = ledger.pixels / ledger.labelled[rows]
    return np.asarray(
        np.bincount(rows, weights=-shares * np.log(shares), minlength=len(ledger)), np.float64
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Five-number summary and mean of a quantity over masks (quantiles are interpolated)."""

    least: float
    lower_quartile: float
    median: float
    upper_quartile: float
    most: float
    mean: float

    __repr__ = one_line


def spread(values: NDArray[np.integer] | FloatArray) -> Spread | None:
    """Summary of [B] values; None where there are none."""
    if not values.size:
        return None
    least, lower, median, upper, most = np.quantile(values, (0.0, 0.25, 0.5, 0.75, 1.0)).tolist()
    return Spread(least, lower, median, upper, most, float(values.mean()))


@dataclass(frozen=True, slots=True)
class MaskVariety:
    """What single masks are like.

    Attributes:
        classes: spread of the number of classes a mask has.
        pixels: spread of all pixels a mask has.
        labelled: spread of its labelled pixels.
        entropy: spread of the entropy of its class mix, in nats.
        masks_by_classes: int counts: entry k is the number of masks with exactly k classes.
    """

    classes: Spread | None
    pixels: Spread | None
    labelled: Spread | None
    entropy: Spread | None
    masks_by_classes: tuple[int, ...]

    __repr__ = one_line


def mask_variety(ledger: MaskLedger) -> MaskVariety:
    """Classes, pixels and entropy a mask."""
    return MaskVariety(
        spread(ledger.class_counts),
        spread(ledger.areas),
        spread(ledger.labelled),
        spread(mask_entropies(ledger)),
        tuple(np.bincount(ledger.class_counts).tolist()),
    )
