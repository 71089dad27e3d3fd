"""Masks of regions that somebody else found in a file: a plugin, or a user's own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.memory import ask_memory
from maskstat.sources.annotations.rasterising import (
    Region,
    check_size,
    draw,
    encoded_size,
    polygon,
    runs_of_counts,
    runs_of_pixels,
    runs_of_polygons,
    type_of,
)
from maskstat.values.tally import IntArray


def draw_mask(
    regions: Iterable[tuple[int, object]], size: tuple[int, int], *, background: int = 0
) -> NDArray[np.integer]:
    """A mask of regions, as maskstat draws those of annotation files.

    Where regions overlap, the one with fewer pixels lies on top; of equally large ones that with
    the larger value. So the mask does not depend on their order. Which pixels a polygon covers is
    what pycocotools says; what lies off the image is cut away.

    Args:
        regions: pairs of a value and a shape. A shape is a list of polygons
            `[[x, y, x, y, ...], ...]` in pixels, which are one region; runs as COCO has them,
            `{"size": [height, width], "counts": ...}`; or an array bool[height, width].
        size: height and width in pixels.
        background: the value of pixels in no region.

    Returns:
        int[height, width] of the narrowest type that holds all values.

    Raises:
        MaskError: the size or a shape is none, or takes more than 1 GiB.
        MissingExtraError: polygons need a package that is not installed.
    """
    pairs = [(int(value), shape) for value, shape in regions]
    try:
        kind = type_of([int(background), *(value for value, _ in pairs)])
    except OverflowError as error:
        raise MaskError(str(error)) from error
    size = check_size(*size, kind)
    ask_memory(2 * encoded_size(size, kind))
    drawn = []
    for number, (value, shape) in enumerate(pairs, 1):
        try:
            drawn.append(Region(value, _runs(shape, size)))
        except MaskError as error:
            raise MaskError(f"region {number}: {error.problem}") from error
    return draw(drawn, size, int(background), kind)


def _runs(shape: object, size: tuple[int, int]) -> IntArray:
    if isinstance(shape, Mapping):
        if list(shape.get("size", size)) != list(size):
            raise MaskError("runs of another size than the image")
        return runs_of_counts(shape.get("counts"), size)
    if isinstance(shape, np.ndarray):
        if shape.dtype != bool or shape.shape != tuple(size):
            raise MaskError("an array that is no bool[height, width] of the image")
        return runs_of_pixels(shape)
    if not isinstance(shape, list) or not shape:
        raise MaskError("neither polygons, nor runs, nor an array")
    return runs_of_polygons([polygon(one) for one in shape], size)
