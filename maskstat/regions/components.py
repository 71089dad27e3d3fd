"""Connected components in exact numbers: how many a class has, how large, how many in a mask.

Everything is kept as sparse tables of counts, so sizes are neither binned nor sampled, quantiles
are exact, and sets of masks add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

NUMBER_BITS = 48
MAX_NUMBER = (1 << NUMBER_BITS) - 1


@dataclass(frozen=True, slots=True, eq=False)
class CountTable:
    """How often each (class, number) occurs: sparse, exact, with an identity and `+`.

    Attributes:
        keys: int64[n], class << 48 | number, ascending, each once.
        counts: int64[n], all >= 1.
    """

    keys: IntArray
    counts: IntArray

    __repr__ = one_line

    def __post_init__(self) -> None:
        self.keys.flags.writeable = False
        self.counts.flags.writeable = False

    @classmethod
    def empty(cls) -> CountTable:
        """The identity of `+`."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def of(cls, classes: IntArray, numbers: IntArray, counts: IntArray | None = None) -> CountTable:
        """Count pairs [n] of a class and a number (or sum their `counts`); any order, repeats."""
        return cls.of_keys(classes << NUMBER_BITS | numbers, counts)

    @classmethod
    def of_keys(cls, keys: IntArray, counts: IntArray | None = None) -> CountTable:
        """The same of pairs that are packed as in `keys`."""
        if not keys.size:
            return cls.empty()
        if counts is None:
            keys = np.sort(keys)
            starts = _starts(keys)
            return cls(keys[starts], np.diff(starts, append=keys.size))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = _starts(keys)
        return cls(keys[starts], np.add.reduceat(counts[order], starts))

    def __add__(self, other: object) -> CountTable:
        if not isinstance(other, CountTable):
            return NotImplemented
        if not (self.keys.size and other.keys.size):
            return self if self.keys.size else other
        return CountTable.of_keys(
            np.concatenate([self.keys, other.keys]), np.concatenate([self.counts, other.counts])
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CountTable):
            return NotImplemented
        return np.array_equal(self.keys, other.keys) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    @property
    def classes(self) -> IntArray:
        """int64[n], the class of every entry."""
        return self.keys >> NUMBER_BITS

    @property
    def numbers(self) -> IntArray:
        """int64[n], the number of every entry."""
        return self.keys & MAX_NUMBER

    def of_class(self, index: int) -> tuple[IntArray, IntArray]:
        """Numbers, ascending, and their counts."""
        ends = np.array([index, index + 1], np.int64) << NUMBER_BITS
        start, stop = np.searchsorted(self.keys, ends).tolist()
        return self.numbers[start:stop], self.counts[start:stop]

    def totals(self, class_count: int) -> IntArray:
        """int64[K], how many numbers each class has, repeats counted."""
        return self._sums(self.counts, class_count)

    def sums(self, class_count: int) -> IntArray:
        """int64[K], the sum of each class's numbers."""
        return self._sums(self.counts * self.numbers, class_count)

    def _sums(self, values: IntArray, class_count: int) -> IntArray:
        found = np.zeros(class_count, np.int64)
        np.add.at(found, self.classes, values)
        return found

    def quantiles(self, class_count: int, shares: Sequence[float]) -> IntArray:
        """int64[K, Q]: the smallest number that at least this share of a class's numbers reach.

        That is the inverse of the empirical distribution function: always a number that occurs
        (share 0 is the smallest, 1 the largest); 0 for classes without any.
        """
        found = np.zeros((class_count, len(shares)), np.int64)
        exact = [Fraction(share).limit_denominator(10**6) for share in shares]
        for k in np.unique(self.classes).tolist():
            numbers, counts = self.of_class(k)
            upto = np.cumsum(counts)
            total = int(upto[-1])
            ranks = [max(1, math.ceil(share * total)) for share in exact]
            found[k] = numbers[np.searchsorted(upto, ranks)]
        return found


def _starts(keys: IntArray) -> IntArray:
    """Where each run of equal keys begins; `keys` are sorted."""
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: keys.size])


@dataclass(frozen=True, slots=True)
class Components:
    """The components of every class under one connectivity.

    Attributes:
        class_count: K.
        sizes: (class, pixels) -> components.
        in_mask: (class, components in a mask) -> masks; only masks that have the class.
    """

    class_count: int
    sizes: CountTable
    in_mask: CountTable

    __repr__ = one_line

    @classmethod
    def none(cls, class_count: int) -> Components:
        """The identity of `+`."""
        return cls(class_count, CountTable.empty(), CountTable.empty())

    def __add__(self, other: object) -> Components:
        if not isinstance(other, Components) or self.class_count != other.class_count:
            return NotImplemented
        return Components(self.class_count, self.sizes + other.sizes, self.in_mask + other.in_mask)

    @property
    def counts(self) -> IntArray:
        """int64[K], components of each class."""
        return self.sizes.totals(self.class_count)

    @property
    def masks(self) -> IntArray:
        """int64[K], masks with at least one."""
        return self.in_mask.totals(self.class_count)

    @property
    def mean_in_mask(self) -> FloatArray:
        """float64[K], components a mask that has the class; 0 where none has."""
        return np.asarray(self.counts / np.maximum(self.masks, 1))

    def in_mask_quantiles(self, shares: Sequence[float]) -> IntArray:
        """int64[K, Q], of the number of components in a mask that has the class; see CountTable."""
        return self.in_mask.quantiles(self.class_count, shares)

    def size_quantiles(self, shares: Sequence[float]) -> IntArray:
        """int64[K, Q], of a component's pixels; see CountTable."""
        return self.sizes.quantiles(self.class_count, shares)

    @property
    def size_histogram(self) -> IntArray:
        """int64[K, J], components of 2^j up to 2^(j + 1) - 1 pixels; J as large as needed, >= 1."""
        numbers = self.sizes.numbers
        # A float64 holds every number below 2^53, so its exponent is exact.
        bins = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
        width = int(bins.max(initial=0)) + 1
        found = np.zeros((self.class_count, width), np.int64)
        np.add.at(found, (self.sizes.classes, bins), self.sizes.counts)
        return found

    def share_under(self, size: int) -> FloatArray:
        """float64[K], share of a class's pixels in components of fewer than `size` pixels."""
        all_pixels = self.sizes.sums(self.class_count)
        below = self.sizes.numbers < size
        small = CountTable(self.sizes.keys[below], self.sizes.counts[below])
        return np.asarray(small.sums(self.class_count) / np.maximum(all_pixels, 1))
