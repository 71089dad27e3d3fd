"""The runs of every class in every mask, and which pixel of a class has which rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from maskstat.kernels.coded_runs import CodedRuns, RunTables


class MaskTables(NamedTuple):
    """Masks one after another, each with its classes, and these with their blocks of runs.

    What `maskstat.kernels.coded_runs.CodedRuns` has of each mask, put together.

    Attributes:
        sizes: int64[B, 2], height and width of each mask.
        entries: int64[B], how many classes each has.
        classes: int64[E], the classes of the first mask, ascending, then those of the next.
        blocks: int64[E], how many blocks each of these has.
        pixels: int64[N], pixels of each block.
        lengths: int64[N], bytes of each block.
    """

    sizes: IntArray
    entries: IntArray
    classes: IntArray
    blocks: IntArray
    pixels: IntArray
    lengths: IntArray

    def __repr__(self) -> str:
        return one_line(self)

    @classmethod
    def of(cls, masks: Iterable[CodedRuns], data: IO[bytes]) -> MaskTables:
        """Of these masks, whose bytes are written to `data`."""
        none = np.empty(0, np.int64)
        sizes: list[tuple[int, int]] = []
        parts: list[list[IntArray]] = [[none], [none], [none], [none]]
        for mask in masks:
            sizes.append(mask.shape)
            data.write(mask.data)
            for part, array in zip(parts, mask[1:5], strict=True):
                part.append(array)
        entries = np.array([one.size for one in parts[0][1:]], np.int64)
        shapes = np.array(sizes, np.int64).reshape(-1, 2)
        return cls(shapes, entries, *(np.concatenate(part) for part in parts))


@dataclass(frozen=True, eq=False)
class ClassRuns:
    """Runs, the longest stretches of one class in a row of a mask, as bytes.

    An *entry* is a class in a mask that has it; there are E, by class, then by mask.

    Attributes:
        classes, masks: int64[E], the class and the mask of each entry.
        before: int64[E + 1], pixels of all entries before each.
        tables: as the store and the file have them, by mask.
        data: uint8[D], the bytes of all blocks.
        coded: what finds pixels in them.
    """

    classes: IntArray
    masks: IntArray
    before: IntArray
    tables: MaskTables
    data: NDArray[np.uint8]
    coded: RunTables

    __repr__ = one_line

    @classmethod
    def of(cls, tables: MaskTables, data: NDArray[np.uint8]) -> ClassRuns:
        """Of what masks have, in the order of these."""
        from maskstat.kernels.coded_runs import RunTables

        sizes, entries, classes, blocks, pixels, lengths = tables
        masks = np.repeat(np.arange(len(entries)), entries)
        order = np.argsort(classes, kind="stable")
        first = np.cumsum(blocks) - blocks
        ends = np.concatenate([[0], np.cumsum(blocks[order])])
        of_block = np.repeat(first[order] - ends[:-1], blocks[order]) + np.arange(ends[-1])
        before_block = np.concatenate([[0], np.cumsum(pixels[of_block])])
        before = before_block[ends]
        coded = RunTables(
            before,
            masks[order],
            np.ascontiguousarray(sizes),
            ends,
            (before_block[:-1] - np.repeat(before[:-1], blocks[order])).astype(np.uint32),
            (np.cumsum(lengths) - lengths)[of_block],
            data,
        )
        data.flags.writeable = False
        return cls(classes[order], coded.masks, before, tables, data, coded)

    @property
    def first_damaged(self) -> int:
        """The mask of the first entry whose bytes are not runs of its pixels; -1 where none is."""
        entry = self.coded.first_damaged
        return entry if entry < 0 else int(self.masks[entry])
