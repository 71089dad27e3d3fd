"""Where the labels of one mask lie, what they touch, and in how many pieces: exact integers.

`measure` runs the kernels of `maskstat.kernels.region_walk` or, where these are not wanted or
cannot be had, NumPy and SciPy, which take many times longer. Both give the same answers.

Memory beside the result: 40 bytes for each run that no run of its label touches from above (a
*piece*), as much again while that buffer grows, and little else. The result takes 8 G^2 bytes a
label and up to 48 bytes a component. In the worst noise every pixel is a piece and a component:
then measuring takes up to 100 bytes a pixel. A mask of more than MAX_PIECES pieces is refused.
"""

from __future__ import annotations

import os
from functools import cache

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels import loading
from maskstat.kernels.engine import current_engine
from maskstat.kernels.loading import VARIABLE, cannot_load
from maskstat.kernels.region_types import (
    Adjacency,
    Image,
    Implementation,
    Int32Array,
    IntArray,
    RegionCounts,
)
from maskstat.memory import ask_memory

LabelsOf = NDArray[np.integer] | tuple[NDArray[np.integer], NDArray[np.integer]]

MAX_HEAT_BYTES = 1 << 30

_BLOCK_PIXELS = 1 << 22


def measure(
    pixels: NDArray[np.integer], labels_of: LabelsOf, class_count: int, grid: int = 64
) -> RegionCounts:
    """Measure one mask.

    Args:
        pixels: raw values (H, W) of any integer type, H and W at least 1.
        labels_of: what they mean: (values, labels), int64[V] ascending and integer[V], where a
            value that is not listed has label K; cheapest with just the values that occur, as in
            the mask's tally. Or, for uint8 and uint16 pixels, a table of 256 or 65536 labels.
        class_count: K.
        grid: G.

    Raises:
        MaskError: the mask has too many pixels, labels or pieces.
        ParameterError: as `maskstat.kernels.engine.current_engine`.
    """
    _check_size(*pixels.shape)
    if not isinstance(labels_of, tuple):
        found = _values_in(pixels)
        labels_of = (found, labels_of[found])
    values = np.asarray(labels_of[0], np.int64)
    occur = np.zeros(class_count + 1, bool)
    occur[labels_of[1]] = occur[class_count] = True
    labels = occur.nonzero()[0]
    outside = labels.size - 1
    numbers = (np.cumsum(occur, dtype=np.int32) - 1)[labels_of[1]]
    if 8 * labels.size * grid * grid > MAX_HEAT_BYTES:
        raise MaskError(
            f"heat maps of {labels.size} classes with {grid} x {grid} cells take more than"
            f" {MAX_HEAT_BYTES >> 20} MiB"
        )
    image, number_of = numbered(pixels, values, numbers, outside)
    regions = implementation()(image, number_of, labels.size, outside, grid)
    return _named(regions, labels)


def _check_size(height: int, width: int) -> None:
    """Coordinates must fit 32 bits, and sums of them 64."""
    longest = max(height, width)
    if min(height, width) < 1 or longest >= 2**31 or height * width * longest >= 2**62:
        raise MaskError(f"{width} x {height} pixels cannot be measured")


def _values_in(pixels: NDArray[np.integer]) -> IntArray:
    """Values of uint8 or uint16 pixels, ascending."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError("a table of labels is for uint8 and uint16 pixels")
    flat = pixels.reshape(-1)
    bins = np.zeros(np.iinfo(pixels.dtype).max + 1, np.int64)
    for start in range(0, flat.size, _BLOCK_PIXELS):
        bins += np.bincount(flat[start : start + _BLOCK_PIXELS], minlength=bins.size)
    return bins.nonzero()[0]


def numbered(
    pixels: NDArray[np.integer], values: IntArray, numbers: Int32Array, outside: int
) -> tuple[Image, Int32Array]:
    """An image of uint8 or uint16, and the label's number for each of its values.

    `numbers` are those of `values`; other values have `outside`.
    """
    if pixels.dtype in (np.uint8, np.uint16):
        number_of = np.full(1 << 8 * pixels.itemsize, outside, np.int32)
        if values.size and (values[0] < 0 or values[-1] >= number_of.size):
            some = (values >= 0) & (values < number_of.size)
            values, numbers = values[some], numbers[some]
        number_of[values] = numbers
        return np.require(pixels, requirements=["C", "W"]), number_of
    if outside >= 1 << 16:
        raise MaskError(f"{outside} classes are too many to be measured")
    flat = pixels.reshape(-1)
    ask_memory(2 * flat.size)
    image = np.empty(flat.size, np.uint16)
    for start in range(0, flat.size, _BLOCK_PIXELS):
        block = flat[start : start + _BLOCK_PIXELS]
        runs = np.concatenate(([0], np.flatnonzero(block[1:] != block[:-1]) + 1))
        found = _numbers_of(block[runs], values, numbers, outside)
        image[start : start + block.size] = np.repeat(found, np.diff(runs, append=block.size))
    return image.reshape(pixels.shape), np.arange(1 << 16, dtype=np.int32)


def _numbers_of(
    found: NDArray[np.integer], values: IntArray, numbers: Int32Array, outside: int
) -> NDArray[np.uint16]:
    """Numbers of raw values, each looked up among `values`."""
    if not values.size:
        return np.full(found.size, outside, np.uint16)
    wanted = found.astype(np.int64)
    at = np.minimum(np.searchsorted(values, wanted), values.size - 1)
    return np.where(values[at] == wanted, numbers[at], outside).astype(np.uint16)


def _named(regions: RegionCounts, labels: IntArray) -> RegionCounts:
    """The catalogue's labels in place of their numbers; those that do not occur fall away."""
    occur = regions.moments[:, 1] > 0
    heat, moments, frame = regions.heat, regions.moments, regions.frame
    if not occur.all():
        # mostly it is the last one that is missing, "no class", and no copy is needed
        some = slice(labels.size - 1) if occur[:-1].all() else occur
        heat, moments, frame = heat[some], moments[some], frame[some]
    first, second, edges = regions.adjacency
    short = labels.astype(np.int32)
    return RegionCounts(
        labels[occur],
        heat,
        moments,
        frame,
        Adjacency(labels[first], labels[second], edges),
        regions.four._replace(label=short[regions.four.label]),
        regions.eight._replace(label=short[regions.eight.label]),
    )


@cache
def implementation() -> Implementation:
    """What measures: compiled kernels, or NumPy where MASKSTAT_ENGINE asks for it or Numba fails.

    Raises ParameterError as `current_engine` does. Kernels are loaded, or compiled, when the first
    mask needs them.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in {"", "compiled"}:
        current_engine()  # knows which names there are
    if wanted != "numpy":
        try:
            with loading.lock:
                from maskstat.kernels.compiled_regions import measure_image
            return measure_image
        except Exception as error:
            if wanted == "compiled":
                raise cannot_load(error) from error
            loading.fell_back(error)
    from maskstat.kernels.numpy_regions import measure_image as measure_slowly

    return measure_slowly
