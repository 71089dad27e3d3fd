"""Whether masks that a loader gave are drawn as expected: shares of classes, and how sure they are.

What a loader gives is a sample. Of n crops the share of a class is a ratio of two sums, and its
standard error comes from how x - p m varies from crop to crop: x pixels of the class, m of all,
p the share expected. Such sums are skewed where a class is rare, so the long tail is that of a
gamma distribution of the same variance and skewness (Pearson's type III); where a class is so rare
that this too would mislead, the crops that have it are counted instead of its pixels.

The crops count as drawn independently. A loader that takes each mask once an epoch varies less, so
differences are claimed a little less often than the confidence allows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.statistics.p_values import holm
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

_FEWEST_SEEN = 5  # crops with the class that are expected among those seen, to look at pixels
_FEWEST_ROWS = 10  # crops with the class that tell how its pixels vary
_SKEWED = 1e-3  # less skewness than this is none


class ShareTable(NamedTuple):
    """Pixels of masks in compressed sparse rows, entries by mask or not.

    Attributes:
        whole: int64[n], of each mask, those of which shares are.
        masks, classes, pixels: int64[nnz], entries: pixels of a class in a mask, all >= 1.
    """

    whole: IntArray
    masks: IntArray
    classes: IntArray
    pixels: IntArray

    def __repr__(self) -> str:
        return one_line(self)

    @classmethod
    def of_classes(cls, ledger: MaskLedger) -> ShareTable:
        """Pixels of classes, among those that have one."""
        masks = np.repeat(np.arange(len(ledger)), ledger.class_counts)
        return cls(ledger.labelled, masks, ledger.classes, ledger.pixels)

    @classmethod
    def of_one(cls, whole: IntArray, pixels: IntArray) -> ShareTable:
        """Pixels of one kind, int64[n], among all."""
        masks = pixels.nonzero()[0]
        return cls(whole, masks, np.zeros(masks.size, np.int64), pixels[masks])


class Shares(NamedTuple):
    """Shares expected and seen, class by class.

    Attributes:
        seen: float64[K].
        standard_error: float64[K], of a share among so many crops where all is as expected.
        never: float64[K], the chance that none of so many crops has the class.
        p_value: float64[K], how likely a difference like this is where all is as expected.
        by_masks: bool[K], whether that is of the crops with the class, since they are too few for
            how its pixels vary; a difference in standard errors then means nothing.
    """

    seen: FloatArray
    standard_error: FloatArray
    never: FloatArray
    p_value: FloatArray
    by_masks: NDArray[np.bool_]

    def __repr__(self) -> str:
        return one_line(self)


def compare_shares(expected: FloatArray, crops: ShareTable, seen: ShareTable) -> Shares:
    """Compare what came with what was expected.

    Args:
        expected: float64[K], shares, exact.
        crops: a sample of the crops that are expected; how they vary.
        seen: the n crops that came, at least one pixel in them.
    """
    count, total = len(seen.whole), float(seen.whole.sum())
    shares = _sums(seen, seen.pixels, expected.size) / max(total, 1.0)
    variance, third = _moments(expected, crops)
    # Over what came the ratio is a plain sum; but masks that are too large are no more of them.
    usual = count * float(crops.whole.mean()) if len(crops.whole) else total
    error = np.sqrt(variance * count) / max(min(total, usual), 1.0)
    having = _sums(crops, np.ones(crops.pixels.size), expected.size)
    came = _sums(seen, np.ones(seen.pixels.size), expected.size)
    never = _chance_of_none(having, len(crops.whole), count)
    never[expected == 0] = 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, (shares - expected) / error, 0.0)
        skewness = np.where(variance > 0, third / variance**1.5, 0.0) / np.sqrt(max(count, 1))
    p_value = _two_sided(z, skewness, np.where(came == 0, never, 1.0))
    likely = np.isclose(shares, expected, rtol=1e-5, atol=1e-9)
    p_value = np.where(error > 0, p_value, np.where(likely, 1.0, 0.0))
    times = count * having / max(len(crops.whole), 1)
    rare = (times < _FEWEST_SEEN) | (having < _FEWEST_ROWS)
    for k in np.flatnonzero(rare):
        if not 0 < expected[k] < 1:
            p_value[k] = 1.0 if likely[k] else 0.0
        else:
            p_value[k] = _presence(int(came[k]), count, float(having[k]), len(crops.whole))
    return Shares(shares, error, never, p_value, rare & (expected > 0) & (expected < 1))


def adjusted(p_values: FloatArray) -> FloatArray:
    """Adjusted for their number, so that one false claim among all is as rare as one alone."""
    return holm(p_values)


def _sums(table: ShareTable, values: NDArray[np.generic], class_count: int) -> FloatArray:
    """float64[K]."""
    weights = values.astype(np.float64)
    return np.bincount(table.classes, weights, minlength=class_count).astype(np.float64)


def _moments(p: FloatArray, crops: ShareTable) -> tuple[FloatArray, FloatArray]:
    """float64[K] each: variance and third central moment of x - p m over the crops."""
    count = max(len(crops.whole), 1)
    m = crops.whole.astype(np.float64)
    share = p[crops.classes]
    without = -share * m[crops.masks]
    having = crops.pixels + without
    raw = [
        (_sums(crops, having**power - without**power, p.size) + (-p) ** power * (m**power).sum())
        / count
        for power in (1, 2, 3)
    ]
    mean, second, third = raw
    variance = np.maximum(second - mean**2, 0.0)
    variance[variance < 1e-12 * second] = 0.0
    return variance, third - 3 * mean * second + 2 * mean**3


def _two_sided(z: FloatArray, skewness: FloatArray, none: FloatArray) -> FloatArray:
    """float64[K]: p-values of standardised sums; `none` where nothing came, the chance of that."""
    from scipy.special import gammaincc, ndtr

    g = np.maximum(np.abs(skewness), _SKEWED)
    # The long tail is that of the gamma distribution. The short one is not: that distribution
    # begins somewhere, and what lies before would be impossible. A normal tail is longer.
    far = z * np.where(skewness < 0, -1.0, 1.0)
    shape = 4 / g**2
    long = gammaincc(shape, np.maximum(shape + far * 2 / g, 0.0))
    short = np.minimum(ndtr(far), none)
    return np.asarray(np.minimum(2 * np.minimum(long, short), 1.0))


def _chance_of_none(having: FloatArray, rows: int, count: int) -> FloatArray:
    """float64[K]: that no one of n crops has a class which `having` of so many rows have."""
    from scipy.special import betaln

    a, b = having + 0.5, rows - having + 0.5
    return np.asarray(np.exp(betaln(a, b + count) - betaln(a, b)))


def _presence(came: int, count: int, having: float, rows: int) -> float:
    """Two-sided p-value of so many crops with a class, where `having` of so many rows have it.

    The rows are a sample too, so this is the beta-binomial law under Jeffreys' prior.
    """
    from scipy.special import betaln, gammaln

    a, b = having + 0.5, rows - having + 0.5
    k = np.arange(came + 1)
    logs = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    chances = np.exp(logs + betaln(k + a, count - k + b) - betaln(a, b))
    at_most = min(float(chances.sum()), 1.0)
    at_least = max(1.0 - float(chances[:-1].sum()), 0.0)
    return min(2 * min(at_most, at_least), 1.0)
