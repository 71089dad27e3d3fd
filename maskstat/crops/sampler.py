"""`CropSampler`: crops that find rare classes, the same on every machine and for any processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from maskstat.crops.class_index import ClassIndex
from maskstat.errors import ParameterError
from maskstat.showing import one_line
from maskstat.values.crop_draws import ClassLaw, CropBox, CropDraws, FloatArray, crop_start
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

LONGEST_EPOCH = 1 << 27
"""Draws an epoch may have at most."""

MOST_SIDE = 1 << 16
_UNIFORM = 5  # numbers of a draw: is it left to chance, which mask and class, which pixel, where
_AT_ONCE = 4096  # draws that a pass works out together


class CropDraw(NamedTuple):
    """One draw: what a data set is asked for, and what is cut out of it.

    Attributes:
        item: the item that is drawn.
        box: the crop of it.
    """

    item: int
    box: CropBox

    def __repr__(self) -> str:
        return one_line(self, f"item {self.item}", repr(self.box))


class Drawn(NamedTuple):
    """n draws as arrays.

    Attributes:
        items: int64[n], the item of each.
        classes: int64[n], the class that each is for; -1 for one that was left to chance.
        tops, lefts: int64[n], where the crops begin.
    """

    items: IntArray
    classes: IntArray
    tops: IntArray
    lefts: IntArray

    def __repr__(self) -> str:
        return one_line(self)


class CropSampler:
    """Draws crops by a law that meets rare classes: an iterable of `CropDraw`.

    Draw i of an epoch depends on the seed, the epoch and i alone. Process r of n takes the draws r,
    r + n, r + 2n and so on: processes together draw what one alone does. A pass that comes to its
    end moves on to the next epoch, and `set_epoch` to any.

    Attributes:
        index: where the classes are.
        crop: (height, width).
        draws: the law.
        num_samples: draws of this process in an epoch.
        total_size: draws of all processes together.
        epoch: the epoch of the next pass.
    """

    def __init__(
        self,
        index: ClassIndex,
        crop: int | tuple[int, int],
        draws: CropDraws | ClassLaw | ArrayLike = "rare",
        *,
        items: ArrayLike | None = None,
        samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        """A sampler of crops.

        Args:
            index: of the masks.
            crop: the side in pixels, or (height, width).
            draws: the law, or its `classes`: "rare", "uniform", K numbers or a WeightTable.
            items: int64[B], where in `index.names` the mask of each item is, for a data set whose
                items are others or in another order; without, items are the masks of the index.
            samples: draws an epoch, of all processes together; as many as there are items where
                None. Rounded up, so that all processes have equally many.
            seed: what the draws depend on, beside the epoch.
            rank, world_size: this process, and how many there are.

        Raises:
            ParameterError: a parameter out of range, no item, or a law that these masks do not
                allow (`CropDraws.class_probabilities`).
        """
        if not 0 <= rank < world_size:
            raise ParameterError(f"there is no rank {rank} among {world_size} processes")
        if seed < 0:
            raise ParameterError("is a whole number from 0 on", parameter="seed")
        self.index, self.crop, self.draws = index, _sides(crop), _law(draws)
        self.seed, self.rank, self.world_size = seed, rank, world_size
        ledger, self._masks = _of_items(index, items)
        wanted = len(ledger) if samples is None else samples
        if not 1 <= wanted <= LONGEST_EPOCH:
            raise ParameterError(f"must be from 1 to {LONGEST_EPOCH:,}", parameter="samples")
        self.num_samples = math.ceil(wanted / world_size)
        self.total_size = self.num_samples * world_size
        self._items = np.repeat(np.arange(len(ledger)), ledger.class_counts)
        self._classes = ledger.classes
        self._sums = np.empty(0)
        if self.draws.chance < 1:
            self._sums = np.cumsum(self.draws.pair_probabilities(ledger))
        self.epoch, self._done = 0, 0

    def __repr__(self) -> str:
        height, width = self.crop
        return one_line(self, f"{height} × {width}", self.draws.words())

    def set_epoch(self, epoch: int, done: int = 0) -> None:
        """The next pass is of this epoch, and begins behind the draws that were taken of it.

        Args:
            epoch: from 0 on.
            done: draws that this process took already, where training goes on in mid-epoch.

        Raises:
            ParameterError: a number out of range.
        """
        if epoch < 0:
            raise ParameterError("is a whole number from 0 on", parameter="epoch")
        if not 0 <= done <= self.num_samples:
            raise ParameterError(f"must be from 0 to {self.num_samples:,}", parameter="done")
        self.epoch, self._done = epoch, done

    def __len__(self) -> int:
        """Draws of the next pass."""
        return self.num_samples - self._done

    def __iter__(self) -> Iterator[CropDraw]:
        epoch, done = self.epoch, self._done
        for start in range(done, self.num_samples, _AT_ONCE):
            yield from self.take(epoch, start, min(_AT_ONCE, self.num_samples - start))
        if (self.epoch, self._done) == (epoch, done):
            self.epoch, self._done = epoch + 1, 0

    def take(self, epoch: int, start: int, count: int) -> list[CropDraw]:
        """Draws start to start + count - 1 of this process in an epoch."""
        drawn = self.draw(epoch, start, count)
        height, width = self.crop
        sizes = self.index.sizes[self._masks[drawn.items]].tolist()
        rows = zip(
            drawn.items.tolist(), drawn.tops.tolist(), drawn.lefts.tolist(), sizes, strict=True
        )
        return [
            CropDraw(item, CropBox(top, left, height, width, (size[0], size[1])))
            for item, top, left, size in rows
        ]

    def draw(self, epoch: int, start: int, count: int) -> Drawn:
        """The same as arrays, with the class that each draw is for."""
        bits = np.random.PCG64([self.seed, epoch])
        bits.advance(_UNIFORM * start * self.world_size)
        numbers = np.random.Generator(bits).random((count * self.world_size, _UNIFORM))
        left, which, pixel, *places = numbers[self.rank :: self.world_size].T
        items = (which * self._masks.size).astype(np.int64)
        classes, at = np.full(count, -1), np.zeros((2, count), np.int64)
        for_class = np.flatnonzero(left >= self.draws.chance)
        if for_class.size:
            pairs = self._pairs(which[for_class])
            items[for_class], classes[for_class] = self._items[pairs], self._classes[pairs]
            masks = self._masks[items[for_class]]
            found = self.index.pixel(classes[for_class], pixel[for_class], masks)
            at[:, for_class] = found.row, found.column
        sizes = self.index.sizes[self._masks[items]].T
        tops, lefts = (
            np.where(classes < 0, _anywhere(u, size, side), _around(one, u, size, side))
            for one, u, size, side in zip(at, places, sizes, self.crop, strict=True)
        )
        return Drawn(items, classes, tops, lefts)

    def _pairs(self, which: FloatArray) -> IntArray:
        """The entry of the ledger that each of these shares in [0, 1) stands for."""
        pairs = np.searchsorted(self._sums, which * self._sums[-1], side="right")
        # The product may be rounded up to the sum itself: that is the last entry of any chance.
        last = np.searchsorted(self._sums, self._sums[-1])
        return np.asarray(np.minimum(pairs, last))


def _anywhere(u: FloatArray, size: IntArray, side: int) -> IntArray:
    """Where a crop begins that may lie anywhere in the mask."""
    return np.asarray((u * (np.maximum(size - side, 0) + 1)).astype(np.int64))


def _around(at: IntArray, u: FloatArray, size: IntArray, side: int) -> IntArray:
    """Where a crop begins that has a pixel at a uniformly drawn place."""
    return crop_start(at, size, side, (u * side).astype(np.int64))


def _sides(crop: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width). Raises ParameterError."""
    sides = crop if isinstance(crop, tuple) else (crop, crop)
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(0 < side <= MOST_SIDE for side in sides):
        raise ParameterError(
            f"is a side, or (height, width), from 1 to {MOST_SIDE} pixels", parameter="crop"
        )
    return sides


def _law(draws: CropDraws | ClassLaw | ArrayLike) -> CropDraws:
    if isinstance(draws, CropDraws):
        return draws
    return CropDraws(classes=draws)  # type: ignore[arg-type]  # which looks at what it is


def _of_items(index: ClassIndex, items: ArrayLike | None) -> tuple[MaskLedger, IntArray]:
    """The counts of the items, and int64[B], the mask of each. Raises ParameterError."""
    ledger = index.ledger
    masks = np.arange(len(index)) if items is None else np.asarray(items)
    whole = masks.ndim == 1 and masks.dtype.kind in "iu"
    if not masks.size or not whole or masks.min() < 0 or masks.max() >= len(index):
        raise ParameterError(
            f"are positions from 0 to {len(index) - 1}, one an item, and at least one",
            parameter="items",
        )
    masks = masks.astype(np.int64)
    return (ledger if items is None else ledger.take(masks)), masks
