"""Outlines and runs to index masks, under one rule for pixels that several regions claim.

Which pixels a polygon covers is what pycocotools says, for every format. Runs are those of COCO: of
zeros and ones in turns, down the columns. Where regions overlap, the smaller one lies on top, as
far as regions say what they are (`crowd` regions lie below all others); of equally large ones that
with the larger value. So a mask depends on its regions alone, never on their order.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from maskstat.errors import MaskError, MissingExtraError
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.sources.base import Entry
from maskstat.values.tally import IntArray

RULE = 1  # of what is drawn: another one draws masks anew that have not changed
MAX_COORDINATE = 1 << 24  # pixels; pycocotools computes with five times as much in 32 bits
MAX_BOUNDARY = 1 << 24  # steps along a polygon, of a fifth of a pixel; pycocotools keeps them all
_DIGIT, _MORE, _SIGN = 0x1F, 0x20, 0x10  # of a character of compressed runs
_MAX_CHARACTERS = 7  # of a run: 35 bits
_TOO_FAR = f"a polygon with a coordinate that is not within ±{MAX_COORDINATE}"
_TYPES = ("u1", "i1", "<i2", "<i4", "<i8")
_HEADER_BYTES = 128  # of an NPY file


class Region(NamedTuple):
    """Pixels of one value: runs of pixels outside and inside in turns, down the columns."""

    value: int
    runs: IntArray
    crowd: bool = False

    @property
    def area(self) -> int:
        """Its pixels."""
        return int(self.runs[1::2].sum())


class MaskDrawing(ABC):
    """What a mask is drawn from. It can be pickled, and then takes only what it needs along."""

    @property
    def local_files(self) -> tuple[str, ...]:
        """The files that it reads; none where it brings everything along."""
        return ()

    @abstractmethod
    def pixels(self) -> NDArray[np.integer]:
        """The mask (H, W), in Fortran order. Raises MaskError where it can't be drawn."""


@dataclass(slots=True)
class RasterEntry(Entry):
    """A mask that is drawn when it is read; its bytes are those of an NPY file."""

    drawing: MaskDrawing

    def load(self) -> bytes:
        """The mask as an NPY file. Raises MaskError."""
        ask_memory(2 * self.size)  # pixels once more, and which of them the largest region covers
        pixels = self.drawing.pixels()
        header = io.BytesIO()
        npy_format.write_array_header_1_0(header, npy_format.header_data_from_array_1_0(pixels))
        return b"".join((header.getvalue(), pixels.T.data))

    def open(self) -> BinaryIO:
        """The same as a file."""
        return io.BytesIO(self.load())

    @property
    def local_files(self) -> tuple[str, ...]:
        """What drawing it takes."""
        return self.drawing.local_files


def need_pycocotools() -> Any:
    """The module `pycocotools.mask`. Raises MissingExtraError."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise MissingExtraError(
            "reading annotation files needs the package pycocotools",
            remedy='pip install "maskstat[annotations]"',
        ) from error
    return mask


def type_of(values: Iterable[int]) -> str:
    """The smallest type of pixels that holds all values, and in which no 255 looks like "ignore".

    Values are of 64 bits.
    """
    least, most = min(values := [*values]), max(values)
    for kind in _TYPES:
        bounds = np.iinfo(kind)
        if bounds.min <= least and most <= bounds.max - (kind == "u1"):
            return kind
    raise OverflowError("a value of more than 64 bits")


def check_size(height: object, width: object, kind: str) -> tuple[int, int]:
    """Height and width as a file gives them. Raises MaskError where no mask is that large."""
    height, width = (
        int(n) if isinstance(n, float) and n.is_integer() else n for n in (height, width)
    )
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        raise MaskError("the file does not say how many pixels high and wide the image is")
    if height * width > LARGEST_MASK // np.dtype(kind).itemsize:
        text = f"{width}x{height}" if max(width, height) < 1 << 60 else "far too many"
        raise MaskError(
            f"{text} pixels take more than the {LARGEST_MASK >> 20} MiB a mask may take"
        )
    return height, width


def encoded_size(size: tuple[int, int], kind: str) -> int:
    """Bytes of a mask as `RasterEntry` gives it."""
    return _HEADER_BYTES + size[0] * size[1] * np.dtype(kind).itemsize


def draw(
    regions: Iterable[Region], size: tuple[int, int], background: int, kind: str
) -> NDArray[np.integer]:
    """A mask (H, W) of type `kind` in Fortran order, under the rule of this module."""
    height, width = size
    flat: NDArray[np.integer] = np.full(height * width, background, kind)
    for region in sorted(regions, key=lambda r: (not r.crowd, -r.area, r.value)):
        runs = region.runs
        inside = runs[1 : runs.size - runs.size % 2]  # from the first pixel to the last one
        if inside.size:
            part = flat[runs[0] : runs[0] + int(inside.sum())]
            covered = np.zeros(inside.size, bool)
            covered[::2] = True
            np.copyto(part, np.array(region.value, kind), where=np.repeat(covered, inside))
    return flat.reshape((height, width), order="F")


def polygon(numbers: object) -> NDArray[np.float64]:
    """x, y, x, y, ... of at least three points, in pixels, as far as it can be drawn.

    Raises:
        MaskError: it can't.
    """
    if not _are(numbers, int, float):
        raise MaskError("a polygon that is no list of numbers")
    try:
        points = np.array(numbers, np.float64)
    except OverflowError as error:
        raise MaskError(_TOO_FAR) from error
    if points.size % 2:
        raise MaskError(f"a polygon of {points.size} numbers: the last x has no y")
    if points.size < 6:
        raise MaskError(f"a polygon of {points.size // 2} points: it takes three")
    least, most = points.min(), points.max()
    if not (least >= -MAX_COORDINATE and most <= MAX_COORDINATE):  # also where one is no number
        raise MaskError(_TOO_FAR)
    if (most - least + 1) * 5 * points.size > 2 * MAX_BOUNDARY:
        steps = np.abs(np.diff(points.reshape(-1, 2), axis=0, append=points[None, :2])).max(axis=1)
        if 5 * steps.sum() + steps.size > MAX_BOUNDARY:
            raise MaskError(f"a polygon with an outline of {int(steps.sum()):,} pixels")
    return points


def runs_of_polygons(polygons: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> IntArray:
    """The pixels that any of some polygons covers, as pycocotools draws each of them."""
    drawn = need_pycocotools().frPyObjects(list(polygons), *size)
    parts = [_runs_of_text(part["counts"]) for part in drawn]
    return parts[0] if len(parts) == 1 else _union(parts, size[0] * size[1])


def runs_of_pixels(inside: NDArray[np.bool_]) -> IntArray:
    """The runs of pixels (H, W) that are set."""
    flat = inside.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0] if flat[0] else [], [0], changes, [flat.size]))
    runs: IntArray = np.diff(edges).astype(np.int64)
    return runs


def _union(parts: Sequence[IntArray], pixels: int) -> IntArray:
    """The pixels that any of some runs cover. (pycocotools' `merge` takes memory for an image.)"""
    edges = [part.cumsum() for part in parts]
    starts = np.sort(np.concatenate([own[: own.size - own.size % 2 : 2] for own in edges]))
    stops = np.sort(np.concatenate([own[1::2] for own in edges]))
    if not starts.size:
        return parts[0]
    # The n-th start begins a new run where all n runs before it have stopped.
    begins = np.concatenate(([True], starts[1:] > stops[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    joined = np.stack([starts[begins], stops[ends]], axis=1).ravel()
    return np.diff(joined, prepend=0, append=pixels)


def _are(values: object, *kinds: type) -> bool:
    """Whether it is a list (or an array) of such numbers; NumPy makes numbers of more than that."""
    if isinstance(values, np.ndarray):
        return True
    return isinstance(values, list) and {*map(type, values)} <= {*kinds}


def runs_of_counts(counts: object, size: tuple[int, int]) -> IntArray:
    """COCO's `counts`: a list of runs, or the text that pycocotools makes of one.

    Raises:
        MaskError: it is neither, or its runs are not as long as `size` has pixels. (pycocotools
            would fill what they leave out with whatever memory holds.)
    """
    if isinstance(counts, str):
        try:
            runs = _runs_of_text(counts.encode("ascii"))
        except ValueError as error:
            raise MaskError("runs that are no text of pycocotools") from error
    else:
        if not _are(counts, int):
            raise MaskError("runs that are neither text nor a list of whole numbers")
        try:
            runs = np.array(counts, np.int64)
        except OverflowError:
            runs = np.empty(0, np.int64)
    pixels = size[0] * size[1]
    if not runs.size or runs.min() < 0 or runs.max() > pixels or int(runs.sum()) != pixels:
        raise MaskError(f"runs that are not the {size[1]}x{size[0]} pixels of the image")
    return runs


def _runs_of_text(text: bytes) -> IntArray:
    """The runs in pycocotools' text: a few characters each, of 5 bits, the lowest ones first.

    From the fourth run on, a run is told as its difference to the last but one. Raises ValueError.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & _MORE:
        raise ValueError("no runs")
    ends = np.flatnonzero(codes & _MORE == 0) + 1
    starts = np.concatenate(([0], ends[:-1]))
    lengths = ends - starts
    if lengths.max() > _MAX_CHARACTERS:
        raise ValueError("a run of too many characters")
    places = np.arange(codes.size) - np.repeat(starts, lengths)
    runs: IntArray = np.add.reduceat((codes & _DIGIT) << 5 * places, starts)
    runs -= np.where(codes[ends - 1] & _SIGN, np.int64(1) << 5 * lengths, 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs
