"""Masks on their way into one table: a row a part, which is a mask, or a class of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.exposure.units import AimedExposure, MaskExposure
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

_BLOCK = 1024  # parts that are looked at one by one before they are put together
ANYWHERE = -1


class CropNames(Sequence[str]):
    """Names of the J crops of each of some parts, or of some of them, made when asked for."""

    def __init__(self, parts: tuple[str, ...], crops: int, rows: IntArray | None = None):
        self._parts, self._crops, self._rows = parts, crops, rows

    def __len__(self) -> int:
        return len(self._parts) * self._crops if self._rows is None else len(self._rows)

    def of(self, rows: IntArray) -> CropNames:
        """The names of these of all crops."""
        return CropNames(self._parts, self._crops, rows)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...

    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        row = range(len(self))[at]
        part, crop = divmod(row if self._rows is None else int(self._rows[row]), self._crops)
        return f"{self._parts[part]} crop {crop}"


class PartTable(NamedTuple):
    """P parts of masks, and the J crops of each, one below the other.

    Attributes:
        masks: int64[P], the mask of each part.
        aims: int64[P], the class that its crops are aimed at, ANYWHERE where they are not.
        lengths: int64[P], classes of each part; its entries of the next three.
        classes, expected, chance: int64[nnz]; `chance` is empty where it is only sampled.
        rest: int64[P].
        areas, crop_lengths: int64[P J], pixels of each crop, and classes that it has.
        crop_classes, crop_pixels: int64[...], of the crops.
    """

    masks: IntArray
    aims: IntArray
    lengths: IntArray
    classes: IntArray
    expected: IntArray
    chance: IntArray
    rest: IntArray
    areas: IntArray
    crop_lengths: IntArray
    crop_classes: IntArray
    crop_pixels: IntArray

    def take(self, kept: NDArray[np.bool_]) -> PartTable:
        """Those of the parts that are kept, bool[P]."""
        crops = np.repeat(kept, self.areas.size // max(1, kept.size))
        entries, crop_entries = np.repeat(kept, self.lengths), np.repeat(crops, self.crop_lengths)
        return PartTable(
            self.masks[kept],
            self.aims[kept],
            self.lengths[kept],
            self.classes[entries],
            self.expected[entries],
            self.chance[entries] if self.chance.size else self.chance,
            self.rest[kept],
            self.areas[crops],
            self.crop_lengths[crops],
            self.crop_classes[crop_entries],
            self.crop_pixels[crop_entries],
        )


class Joined:
    """Collects masks, a block of parts at a time: what is sparse stays so.

    Attributes:
        names: of the masks so far.
        crops: of each part.
        exact: whether all of them have the exact chances of their classes.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.crops, self.exact = 0, True
        self._block: list[tuple[int, int, MaskExposure]] = []
        self._done: list[list[IntArray]] = []
        self._pixels: list[tuple[IntArray, IntArray]] = []

    def add(self, name: str, one: MaskExposure | AimedExposure) -> None:
        """Add a mask. Raises ParameterError where it has another number of crops."""
        if not self.names:
            self.crops = one.crops
        if one.crops != self.crops:
            raise ParameterError("masks have different numbers of crops", parameter="crops")
        self.names.append(name)
        if isinstance(one, MaskExposure):
            self._add(ANYWHERE, one)
            return
        self._add(ANYWHERE, one.anywhere)
        has = one.pixels > 0
        self._pixels.append((one.anywhere.classes[has], one.pixels[has]))
        for aim, part in zip(one.anywhere.classes[has].tolist(), one.aimed, strict=True):
            self._add(aim, part)

    def ledger(self, class_count: int) -> MaskLedger:
        """What masks have of each class, where crops are aimed: an entry an aimed part."""
        none = np.empty(0, np.int64)
        areas = np.array([int(pixels.sum()) for _, pixels in self._pixels], np.int64)
        return MaskLedger(
            class_count,
            tuple(self.names),
            areas,
            starts_of([classes.size for classes, _ in self._pixels]),
            np.concatenate([none, *(classes for classes, _ in self._pixels)]),
            np.concatenate([none, *(pixels for _, pixels in self._pixels)]),
        )

    def done(self) -> PartTable:
        """All parts, in the order of the masks. It is used up."""
        self._close()
        columns, blocks = [], self._done
        self._done = []
        for at in range(len(PartTable._fields)):
            columns.append(np.concatenate([np.empty(0, np.int64), *(b[at] for b in blocks)]))
            for block in blocks:  # most of it is in two places for one column at a time
                block[at] = np.empty(0, np.int64)
        parts = PartTable(*columns)
        return parts if self.exact else parts._replace(chance=np.empty(0, np.int64))

    def _add(self, aim: int, part: MaskExposure) -> None:
        self._block.append((len(self.names) - 1, aim, part))
        if len(self._block) >= _BLOCK:
            self._close()

    def _close(self) -> None:
        block, self._block = self._block, []
        if not block:
            return
        masks, aims, parts = zip(*block, strict=True)
        self.exact = self.exact and all(part.exact for part in parts)
        rows, columns, pixels = [], [], []
        for at, part in enumerate(parts):
            row, column = part.counts.nonzero()
            rows.append(row + at * self.crops)
            columns.append(part.classes[column])
            pixels.append(part.counts[row, column])
        chances = [part.chance for part in parts if part.chance is not None]
        self._done.append(
            [
                np.array(masks, np.int64),
                np.array(aims, np.int64),
                np.array([part.classes.size for part in parts]),
                np.concatenate([part.classes for part in parts]),
                np.concatenate([part.expected for part in parts]),
                np.concatenate(chances) if self.exact else np.empty(0, np.int64),
                np.array([part.rest for part in parts], np.int64),
                np.concatenate([part.area for part in parts]),
                np.bincount(np.concatenate(rows), minlength=len(parts) * self.crops),
                np.concatenate(columns),
                np.concatenate(pixels),
            ]
        )


def starts_of(lengths: IntArray | Sequence[int]) -> IntArray:
    """int64[n + 1], where each of n rows of these lengths starts, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
