"""Which masks stand for all where these are too many to hold: a sample that rare classes are in.

Every mask has a number in (0, 1) that its name alone decides, and N_b, how many masks have the
rarest of its classes. Those with the least products of both are kept: priority sampling with
weights 1 / N_b (Duffield, Lund and Thorup 2007). With t the least product that was left out, a mask
stands for max(1, N_b / t) masks, which is unbiased for every sum over masks. So all masks of a
class that at most t masks have are kept, and nothing depends on order, threads or machines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np

from maskstat.showing import one_line
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray
from maskstat.weights.batches import Batching, FloatArray

MOST_MASKS = 1_000_000
"""More are not held together, where batches are drawn from them."""

SAMPLED_MASKS = 400_000
"""So many stand for them."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskSample:
    """Masks that stand for all.

    Attributes:
        ledger: of n masks, in the order of their names.
        stands_for: float64[n], how many masks each is in place of, itself included; >= 1.
        masks: how many there are, N.
    """

    ledger: MaskLedger
    stands_for: FloatArray
    masks: int

    __repr__ = one_line

    @classmethod
    def of(
        cls,
        blocks: Iterable[MaskLedger],
        masks_with: IntArray,
        masks: int,
        size: int,
    ) -> MaskSample:
        """Some of all masks; memory grows with `size` only.

        Args:
            blocks: all masks, some at a time.
            masks_with: int64[K], masks that have each class.
            masks: how many there are; those without a class count as one of a class that all have.
            size: how many are kept.
        """
        kept = MaskLedger.concatenate([], len(masks_with))
        rarest, products, bound = np.empty(0), np.empty(0), np.inf
        waiting: list[tuple[MaskLedger, FloatArray, FloatArray]] = [(kept, rarest, products)]
        held = 0

        def cut() -> None:
            nonlocal kept, rarest, products, bound, held
            ledgers, of_rarest, of_products = zip(*waiting, strict=True)
            kept = MaskLedger.concatenate(ledgers, len(masks_with))
            rarest, products = np.concatenate(of_rarest), np.concatenate(of_products)
            if len(products) > size:
                bound = float(np.partition(products, size)[size])
            least = np.flatnonzero(products < bound)
            if len(least) < len(products):
                kept, rarest, products = kept.take(least), rarest[least], products[least]
            waiting[:] = [(kept, rarest, products)]
            held = len(products)

        for block in blocks:
            found = _rarest(block, masks_with, masks)
            product = found * _numbers(block.names)
            chosen = np.flatnonzero(product < bound)
            waiting.append((block.take(chosen), found[chosen], product[chosen]))
            held += len(chosen)
            if held >= 2 * size:
                cut()
        cut()
        if any(before > after for before, after in pairwise(kept.names)):
            order = sorted(range(len(kept)), key=kept.names.__getitem__)
            kept, rarest = kept.take(order), rarest[order]
        return cls(kept, np.maximum(1.0, rarest / bound), masks)

    @property
    def batching(self) -> Batching:
        """What makes batches of them that are like those of all masks."""
        return Batching(draws=self.stands_for, masks=self.masks, stand_for_others=True)


def _rarest(ledger: MaskLedger, masks_with: IntArray, masks: int) -> FloatArray:
    """float64[B], how many masks have the rarest class of each."""
    found = np.full(len(ledger), masks, np.float64)
    some = np.flatnonzero(ledger.class_counts)
    if some.size:
        found[some] = np.minimum.reduceat(masks_with[ledger.classes], ledger.indptr[some])
    return found


def _numbers(names: Iterable[str]) -> FloatArray:
    """float64[B] in (0, 1), each decided by a name: its CRC-32, mixed as SplitMix64 does."""
    codes = [crc32(name.encode("utf-8", "surrogatepass")) for name in names]
    mixed = np.array(codes, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)
