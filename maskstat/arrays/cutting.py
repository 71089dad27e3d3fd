"""A crop of an image or a mask: of NumPy arrays, tensors of PyTorch and images of Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from maskstat.arrays.frameworks import is_image, is_tensor, type_of
from maskstat.errors import ParameterError
from maskstat.parameters import several
from maskstat.values.crop_draws import CropBox

Fill = float | Sequence[float]


def cut(pixels: Any, box: CropBox, fill: Fill = 0) -> Any:
    """The crop of an image or a mask: of the same kind and type, and always as large as the box.

    Args:
        pixels: an array (H, W), (H, W, C) or (C, H, W), a tensor of these shapes, or an image of
            Pillow. H and W are those of the box's mask. Where a shape can be read both ways, arrays
            have their channels last and tensors first.
        box: the crop.
        fill: what is beyond the edge of the mask: a number, or one a channel.

    Raises:
        ParameterError: it has another height or width, or its type does not hold `fill`.
    """
    if is_image(pixels):
        return _cut_image(pixels, box, fill)
    kind = type(pixels).__name__
    pixels = pixels if is_tensor(pixels) else np.asarray(pixels)
    rows = _axis_of_rows(pixels, box, kind)
    before = (slice(None),) * rows
    part = pixels[(*before, box.rows, box.columns)]
    if not box.is_padded:
        # A view would keep all of the image in memory.
        return part.contiguous() if is_tensor(part) else part.copy()
    shape = list(pixels.shape)
    shape[rows : rows + 2] = box.height, box.width
    full = part.new_empty(shape) if is_tensor(part) else np.empty(shape, part.dtype)
    axis = None if len(shape) == 2 else 0 if rows else 2
    colours = _colours(fill, 1 if axis is None else shape[axis], type_of(pixels))
    for channel, colour in enumerate(colours):
        full[() if axis is None else (channel,) if rows else (..., channel)] = colour
    height, width = part.shape[rows : rows + 2]
    full[(*before, slice(height), slice(width))] = part
    return full


def _axis_of_rows(pixels: Any, box: CropBox, kind: str) -> int:
    """The axis of rows; that of columns follows. Raises ParameterError where there is none."""
    shape = tuple(pixels.shape)
    axes = {2: (0,), 3: (1, 0) if is_tensor(pixels) else (0, 1)}.get(len(shape), ())
    for axis in axes:
        if shape[axis : axis + 2] == box.mask:
            return axis
    what = "of the shape {}".format(" × ".join(map(str, shape)))
    raise _other_size(what if shape else f"a {kind}", box)


def _other_size(what: str, box: CropBox) -> ParameterError:
    height, width = box.mask
    return ParameterError(
        f"is {what}, and its mask was {height} × {width} when it was indexed",
        remedy="crop before anything else is done to it, or index masks of its size",
    )


def _colours(fill: Fill, channels: int, kind: np.dtype[Any]) -> list[Any]:
    """What each channel is filled with. Raises ParameterError where that can't be."""
    colours = list(several(fill))
    if len(colours) == 1:
        colours *= channels
    if len(colours) != channels:
        raise ParameterError(f"fill is {len(colours)} numbers for {channels} channels")
    if kind.kind in "bui":
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        for colour in colours:
            if not (low <= colour <= high and colour == int(colour)):
                raise ParameterError(
                    f"is of the type {kind}, which does not hold the fill {colour}"
                )
        return [int(colour) for colour in colours]
    return colours


def _cut_image(image: Any, box: CropBox, fill: Fill) -> Any:
    """The crop of an image of Pillow."""
    if (image.height, image.width) != box.mask:
        raise _other_size(f"an image of {image.height} × {image.width}", box)
    edges = box.columns.start, box.rows.start, box.columns.stop, box.rows.stop
    part = image.crop(edges)
    if not box.is_padded:
        return part
    kind = {"1": "bool", "I": "int32", "I;16": "uint16", "F": "float32"}.get(image.mode, "uint8")
    colours = _colours(fill, len(image.getbands()), np.dtype(kind))
    colour = colours[0] if len(colours) == 1 else tuple(colours)
    padded = Image.new(image.mode, (box.width, box.height), colour)
    if image.mode in {"P", "PA"} and image.palette is not None:
        padded.putpalette(image.getpalette(image.palette.mode), image.palette.mode)
    padded.paste(part, (0, 0))
    return padded
