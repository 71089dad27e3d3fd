"""What sampling weights do: the class mix of an epoch, and how many masks it effectively uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import WeightError, argument, call
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]


def effective_masks(weights: FloatArray) -> float:
    """Effective sample size (sum w)^2 / sum w^2 (Kish 1965): B for equal weights, 1 for one."""
    largest = float(weights.max(initial=0.0))
    if not largest:
        return 0.0
    scaled = weights / largest
    return float(scaled.sum()) ** 2 / float(scaled @ scaled)


def mask_rows(ledger: MaskLedger) -> IntArray:
    """int64[nnz], which mask each entry of the ledger belongs to."""
    return np.repeat(np.arange(len(ledger)), ledger.class_counts)


def class_pixels(ledger: MaskLedger) -> FloatArray:
    """float64[K], pixels of each class."""
    return np.asarray(
        np.bincount(ledger.classes, weights=ledger.pixels, minlength=ledger.class_count), np.float64
    )


def expected_mix(ledger: MaskLedger, weights: FloatArray) -> FloatArray:
    """float64[K], class mix of the labelled pixels of an epoch that draws masks by weight.

    sum_b w_b n_bc / sum_b w_b N_b. Raises WeightError where no labelled pixel is ever drawn.
    """
    mass = np.bincount(
        ledger.classes,
        weights=weights[mask_rows(ledger)] * ledger.pixels,
        minlength=ledger.class_count,
    )
    total = float(mass.sum())
    if not total > 0:
        raise WeightError(
            "not one pixel belongs to a class, so there is no class mix",
            remedy=f"check {argument('classes')} and {argument('ignore')} against"
            f" '{call('open_scan')}'",
        )
    return mass / total


def expected_presence(ledger: MaskLedger, weights: FloatArray) -> FloatArray:
    """float64[K], the share of draws whose mask contains each class."""
    mass = np.bincount(
        ledger.classes, weights=weights[mask_rows(ledger)], minlength=ledger.class_count
    )
    return np.minimum(mass / float(weights.sum()), 1.0)  # sums may round above 1
