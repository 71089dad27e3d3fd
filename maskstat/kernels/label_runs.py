"""A mask in runs of its labels: what all that looks at pixels works on, made once for all of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels.engine import current_engine
from maskstat.kernels.region_types import Image, IndexedPixels, Int32Array, IntArray, Pixels, Runs
from maskstat.memory import ask_memory

_BLOCK_PIXELS = 1 << 22
_BYTE_VALUES = 256


def runs_of(pixels: Pixels, values: IntArray, labels: NDArray[np.integer]) -> tuple[Runs, IntArray]:
    """Runs of the classes of one mask, and int64[C], the classes that occur, ascending.

    Args:
        pixels: raw values (H, W).
        values, labels: int64[V] ascending, the values that occur; the class of each, or below 0.

    Raises:
        MaskError: the mask has too many pixels or classes.
    """
    _check_size(*(pixels.image if isinstance(pixels, IndexedPixels) else pixels).shape)
    if not isinstance(pixels, IndexedPixels) and pixels.dtype == np.uint8:
        number_of, classes = _numbers_of_bytes(_in_bytes(values), _in_bytes(labels))
        return current_engine().find_runs(pixels, number_of, len(classes) + 1), classes
    numbers, classes = _numbers(labels)
    image, number_of = _numbered(pixels, values, numbers, len(classes))
    return current_engine().find_runs(image, number_of, len(classes) + 1), classes


def _in_bytes(numbers: NDArray[np.integer]) -> bytes:
    return numbers.astype(np.int64, copy=False).tobytes()


@lru_cache(maxsize=512)
def _numbers_of_bytes(values: bytes, labels: bytes) -> tuple[Int32Array, IntArray]:
    """The label's number for each of 256 values, and the classes that occur, ascending.

    Kept, since masks of a set have the same values again and again. Of int64[V] in bytes.
    """
    numbers, classes = _numbers(np.frombuffer(labels, np.int64))
    number_of = np.full(_BYTE_VALUES, len(classes), np.int32)
    found = np.frombuffer(values, np.int64)
    some = (found >= 0) & (found < number_of.size)
    number_of[found[some]] = numbers[some]
    classes.flags.writeable = False
    return number_of, classes


def _numbers(labels: NDArray[np.integer]) -> tuple[Int32Array, IntArray]:
    """int32[V], numbers of labels among those that occur, ascending, which are int64[C].

    Labels below 0 have the number C.
    """
    occurs = np.zeros(int(labels.max(initial=-1)) + 2, bool)
    labels = np.maximum(labels, -1)  # the last one: no class
    occurs[labels] = True
    classes = occurs[:-1].nonzero()[0]
    numbers = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    numbers[-1] = len(classes)
    return numbers[labels], classes


def _check_size(height: int, width: int) -> None:
    """Coordinates must fit 32 bits, and sums of them 64."""
    longest = max(height, width)
    if min(height, width) < 1 or longest >= 2**31 or height * width * longest >= 2**62:
        raise MaskError(f"{width} x {height} pixels cannot be measured")


def _numbered(
    pixels: Pixels, values: IntArray, numbers: Int32Array, outside: int
) -> tuple[Image, Int32Array]:
    """An image of uint8 or uint16, and the label's number for each of its values.

    `numbers` are those of `values`; other values have `outside`.
    """
    if isinstance(pixels, IndexedPixels):
        found = _numbers_of(pixels.values, values, numbers, outside)
        return pixels.image, found.astype(np.int32)
    if pixels.dtype == np.uint16:
        number_of = np.full(1 << 16, outside, np.int32)
        if values.size and (values[0] < 0 or values[-1] >= number_of.size):
            some = (values >= 0) & (values < number_of.size)
            values, numbers = values[some], numbers[some]
        number_of[values] = numbers
        return pixels, number_of
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
    """Numbers of raw values, each looked up among `values`. Raises MaskError for too many."""
    if outside >= 1 << 16:
        raise MaskError(f"{outside} classes are too many to be measured")
    if not values.size:
        return np.full(found.size, outside, np.uint16)
    wanted = found.astype(np.int64)
    at = np.minimum(np.searchsorted(values, wanted), values.size - 1)
    return np.where(values[at] == wanted, numbers[at], outside).astype(np.uint16)
