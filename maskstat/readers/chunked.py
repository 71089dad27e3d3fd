"""Arrays in chunks, whatever holds them: counted some chunks at a time, whole or plane by plane."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes, check_count
from maskstat.readers.raw_masks import ArrayPlan, RawMask, leading_axes, plan_array
from maskstat.readers.tallying import PixelCounter
from maskstat.values.tally import MaskTally

MAX_CHUNK_BYTES = 256 << 20
MAX_PIXELS = 1 << 40
MAX_CHUNKS = 1 << 20
MOST_TOGETHER = 1 << 16  # chunks where they can't be parted: in a shard, of all channels
_BLOCK_CHUNKS = 1024  # that are asked for at once: Zarr keeps some objects for each
_COUNTED_TOGETHER = 4096  # planes
_BLOCK_BYTES = 32 << 20
_Kept = Mapping[int, slice]


class Chunks(ABC):
    """An array whose parts are read when they are asked for.

    Attributes:
        shape, dtype: of the array.
        container: as in `Encoding`.
        chunks: the lengths of what is decoded together.
        together: the lengths of what is better read together, as the chunks of a shard are.
        working: bytes that reading takes beside its result, where more than what is `together`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    container: str
    chunks: tuple[int, ...]
    together: tuple[int, ...]
    working: int = 0

    @abstractmethod
    def fetch(self, part: tuple[slice, ...]) -> NDArray[np.generic]:
        """A part of the array in memory. Raises MaskError, and OSError where reading fails."""


class InMemory(Chunks):
    """An array that is in memory, a plane a chunk."""

    def __init__(self, array: NDArray[np.generic], container: str):
        self._array, self.container = array, container
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = self.together = (1,) * (array.ndim - 2) + array.shape[-2:]

    def fetch(self, part: tuple[slice, ...]) -> NDArray[np.generic]:
        """A part of it."""
        return self._array[part]


class ChunkedPlanes(Planes):
    """The planes of an array. Those that chunks hold together are decoded, or counted, together."""

    def __init__(self, array: Chunks, options: ReadOptions):
        self.array = array
        dtype, self.shape = array.dtype, array.shape
        self.leading = leading_axes(self.shape, dtype, options)
        self.axes = self.shape[self.leading :]
        self.plan = plan_array(self.axes, dtype, array.container, options)
        self.count = check_count(math.prod(self.shape[: self.leading]))
        self.size = math.prod(self.axes) * dtype.itemsize
        deep = array.together[: self.leading]
        self._deep = min(deep[-1], self.shape[self.leading - 1]) if deep else 1
        self.in_order = self._deep > 1
        self._slab: tuple[range, NDArray[np.generic]] | None = None
        self._counted: tuple[range, list[MaskError | MaskTally]] | None = None

    def mask(self, plane: int) -> RawMask:
        """One of them."""
        return _Plane(self, plane)

    def _beside(self, plane: int, most: int) -> range:
        """The planes in the same chunks along the last axis of planes, or `most` of them."""
        length = self.shape[self.leading - 1]
        row = plane - plane % length
        start = plane - (plane - row) % self._deep
        first = plane - (plane - start) % most
        return range(first, min(first + most, start + self._deep, row + length))

    def _part(self, planes: range) -> dict[int, slice]:
        """The indices of planes that are beside each other, by their axes."""
        at = np.unravel_index(planes.start, self.shape[: self.leading])
        part = {axis: slice(int(index), int(index) + 1) for axis, index in enumerate(at)}
        last = self.leading - 1
        part[last] = slice(part[last].start, part[last].start + len(planes))
        return part

    @property
    def is_small(self) -> bool:
        """Whether the planes that chunks hold together can be held in memory."""
        return self._deep * self.size <= MAX_CHUNK_BYTES

    def items(self, plane: int) -> NDArray[np.generic]:
        """The items of a plane; those beside it are kept where they are few."""
        beside = self._beside(plane, self._deep if self.is_small else 1)
        if self._slab is None or self._slab[0] != beside:
            self._slab = None  # before another one takes memory
            self.held = len(beside) * self.size
            ask_memory(self.held)
            items = np.empty((len(beside), *self.axes), self.array.dtype)
            for part in _parts(self.array, self._part(beside)):
                inner = part[self.leading :]
                lengths = [at.stop - at.start for at in inner]
                items[(slice(None), *inner)] = self.array.fetch(part).reshape(len(beside), *lengths)
            self._slab = beside, items
        found: NDArray[np.generic] = self._slab[1][plane - beside.start]
        return found

    def counted(self, plane: int) -> MaskTally:
        """The counts of a plane, added up a block at a time with those of the planes beside it."""
        beside = self._beside(plane, _COUNTED_TOGETHER)
        if self._counted is None or self._counted[0] != beside:
            masks = [self.mask(other) for other in beside]
            counters = [PixelCounter() for _ in beside]
            wrong: dict[int, MaskError] = {}
            for piece in _blocks(self.array, self.plan, self._part(beside)):
                for at, part in enumerate(piece.reshape(piece.shape[self.leading - 1 :])):
                    try:
                        if at not in wrong:
                            masks[at].add_to(counters[at], part)
                    except MaskError as error:  # of this plane, and none of the others
                        wrong[at] = error
            shape, encoding = self.plan.shape, self.plan.encoding
            self._counted = (
                beside,
                [
                    wrong.get(at) or counter.finish("", shape, encoding)
                    for at, counter in enumerate(counters)
                ],
            )
        found = self._counted[1][plane - beside.start]
        if isinstance(found, MaskError):
            raise found
        return found


class _Plane(RawMask):
    """A plane of an open array."""

    def __init__(self, planes: ChunkedPlanes, plane: int):
        super().__init__(planes.plan, planes.axes, planes.size)
        self._planes, self._plane = planes, plane

    def tally(self, name: str) -> MaskTally:
        """Its counts."""
        if self._planes.is_small:
            return super().tally(name)
        return replace(self._planes.counted(self._plane), name=name)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """All at once."""
        yield self.whole()

    def whole(self) -> NDArray[np.generic]:
        """In memory."""
        return self._planes.items(self._plane)


class ChunkedMask(RawMask):
    """An array as one mask."""

    def __init__(self, array: Chunks, options: ReadOptions):
        self._array = array
        shape, dtype = array.shape, array.dtype
        plan = plan_array(shape, dtype, array.container, options)
        super().__init__(plan, shape, math.prod(shape) * dtype.itemsize)

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Parts of the array that are made of whole chunks."""
        plan, kept = self.plan, {}
        if plan.plane is not None:
            axis = plan.leading + (1 if plan.channels.endswith("-first") else 0)
            kept[axis] = slice(plan.plane, plan.plane + 1)
        return _blocks(self._array, plan, kept)

    def whole(self) -> NDArray[np.generic]:
        """All chunks."""
        found = np.empty(self.axes, self._array.dtype)
        for part in _parts(self._array, {}):
            found[part] = self._array.fetch(part)
        return found


def chunks_of(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """How many chunks a part of an array is made of."""
    return math.prod(-(-length // step) for length, step in zip(shape, chunks, strict=True))


def too_many(what: str, most: int) -> MaskError:
    """What is wrong where there are so many chunks."""
    return MaskError(
        f"{what} chunks, more than the {most:,} that are read: rewrite it with larger chunks"
    )


def _blocks(array: Chunks, plan: ArrayPlan, kept: _Kept) -> Iterator[NDArray[np.generic]]:
    """Parts of the array that count, made of whole chunks; channels are the last axis."""
    first = plan.channels.endswith("-first")
    whole = None if plan.is_plain else 0 if first else len(array.shape) - 1
    for part in _parts(array, kept, whole):
        found = array.fetch(part)
        yield np.moveaxis(found, 0, -1) if first else found


def _parts(array: Chunks, kept: _Kept, whole: int | None = None) -> Iterator[tuple[slice, ...]]:
    """The array cut along its chunks, a few at a time.

    Args:
        kept: axes of which only some indices are wanted, in one piece, and these.
        whole: the axis that is not cut.
    """
    shape = array.shape
    block = list(array.together)
    if whole is not None:
        block[whole] = shape[whole]
    if math.prod(block) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        raise MaskError("its chunks are too large to put all channels of one side by side")
    together = chunks_of(block, array.chunks)
    if together > MOST_TOGETHER:
        raise too_many(f"{together:,}", MOST_TOGETHER)
    for axis in reversed(range(len(shape))):
        room = min(
            _BLOCK_BYTES // (math.prod(block) * array.dtype.itemsize),
            _BLOCK_CHUNKS // chunks_of(block, array.chunks),
        )
        if room > 1:
            block[axis] = min(shape[axis], block[axis] * room)
    item = array.dtype.itemsize
    ask_memory(2 * math.prod(block) * item + max(math.prod(array.together) * item, array.working))
    ranges = [
        [kept[axis]]
        if axis in kept
        else [slice(at, min(at + step, length)) for at in range(0, length, step)]
        for axis, (length, step) in enumerate(zip(shape, block, strict=True))
    ]
    return itertools.product(*ranges)
