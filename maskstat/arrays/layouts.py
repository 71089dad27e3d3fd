"""What the axes of an array are: one mask or a batch, labels, colours or channels of classes.

Without a word about channels, from the shape alone:

    (H, W)  (H, W, 1)                      one mask
    (N, H, W)  (N, 1, H, W)  (N, H, W, 1)  a batch of N masks
    (H, W, 3 or 4)  (N, H, W, 3 or 4)      colours, uint8, where the classes have colours

Masks 3 or 4 pixels wide are masks as well; but where they would be more than 64 high, or hold uint8
as colours do, it must be said that they are meant.

With `channels`, "one-hot", "bitmask" or "multilabel": (H, W, C) and (N, H, W, C); with
"one-hot-first", "bitmask-first" or "multilabel-first": (C, H, W) and (N, C, H, W). What can be read
in two ways is refused with both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maskstat.errors import MaskError, argument
from maskstat.naming import counted
from maskstat.parameters import check_word
from maskstat.readers.channels import encoding_of
from maskstat.readers.choices import CHANNELS
from maskstat.values.tally import Encoding

MEMORY = "memory"  # the container of what no file holds
_SAMPLES = {3: "rgb", 4: "rgba"}
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
_TALLEST = 64  # nobody has masks 3 or 4 pixels wide and higher than that


class Reading(NamedTuple):
    """What decides how arrays and images are read.

    Attributes:
        channels: how several channels make one value, or None; see `readers.channels`.
        colours: whether the classes have colours.
        indices: whether the classes have raw values that are no colours.
        allow_lossy: count images whose compression may have changed labels.
    """

    channels: str | None = None
    colours: bool = False
    indices: bool = True
    allow_lossy: bool = False

    @classmethod
    def of(
        cls, channels: str | None, *, colours: bool, indices: bool, allow_lossy: bool
    ) -> Reading:
        """Check what the user said. Raises ParameterError."""
        if channels is not None:
            check_word(channels, CHANNELS, parameter="channels")
        return cls(channels, colours, indices, allow_lossy)


class Layout(NamedTuple):
    """How an array makes masks.

    Attributes:
        masks: how many there are.
        shape: (height, width) of each.
        encoding: as its tallies have it.
        select: what makes (N, H, W) of the array, or (N, H, W, C) with the channels wherever they
            stand, by indexing.
    """

    masks: int
    shape: tuple[int, int]
    encoding: Encoding
    select: tuple[slice | int | None, ...]


def layout_of(
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
    reading: Reading,
    *,
    named: int | None = None,
) -> Layout:
    """What an array of this shape and type is.

    Args:
        shape, dtype: of the array.
        reading: what the classes and the user say.
        named: how many names were given for its masks, where that is known.

    Raises:
        MaskError: it is no mask, or not without a word; with the shape and what to pass.
    """
    if dtype.kind not in _KINDS:
        raise MaskError(f"array of type {str(dtype)[:60]} where whole numbers are expected")
    layout = (
        _labels(shape, dtype, reading, named)
        if reading.channels is None
        else _stack(shape, reading.channels)
    )
    if 0 in layout.shape:
        raise MaskError(f"array of shape {_text(shape)} has no pixels")
    return layout


def _labels(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], reading: Reading, named: int | None
) -> Layout:
    plain = Encoding(MEMORY, _KINDS[dtype.kind], 1 if dtype.kind == "b" else dtype.itemsize * 8)
    every = slice(None)
    if len(shape) == 2:
        return Layout(1, (shape[0], shape[1]), plain, (None,))
    if len(shape) == 3 and shape[2] == 1:
        return Layout(1, (shape[0], shape[1]), plain, (None, every, every, 0))
    if len(shape) == 3 and _is_coloured(shape, dtype, reading):
        encoding = Encoding(MEMORY, _SAMPLES[shape[2]], 8)
        return Layout(1, (shape[0], shape[1]), encoding, (None,))
    if len(shape) == 3:
        if _may_be_coloured(shape, dtype) and (named != shape[0] or named == 1):
            raise _wide_or_coloured(shape, dtype, reading)
        return Layout(shape[0], (shape[1], shape[2]), plain, ())
    if len(shape) == 4 and reading.colours and shape[3] in _SAMPLES and dtype == np.uint8:
        encoding = Encoding(MEMORY, _SAMPLES[shape[3]], 8)
        return Layout(shape[0], (shape[1], shape[2]), encoding, ())
    if len(shape) == 4 and shape[1] == 1:
        return Layout(shape[0], (shape[2], shape[3]), plain, (every, 0))
    if len(shape) == 4 and shape[3] == 1:
        return Layout(shape[0], (shape[1], shape[2]), plain, (every, every, every, 0))
    raise _no_mask(shape, dtype, reading)


def _is_coloured(shape: tuple[int, ...], dtype: np.dtype[np.generic], reading: Reading) -> bool:
    """Whether (H, W, 3 or 4) surely is one mask of colours."""
    if shape[2] not in _SAMPLES or dtype != np.uint8 or not reading.colours:
        return False
    return shape[1] > _TALLEST or not reading.indices


def _may_be_coloured(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bool:
    """Whether (N, H, 3 or 4) may be meant as colours, which are uint8, or is no batch for sure."""
    return shape[2] in _SAMPLES and (dtype == np.uint8 or shape[1] > _TALLEST)


def _wide_or_coloured(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], reading: Reading
) -> MaskError:
    height, width, channels = shape
    batch = f"{counted(height, 'mask')} of {width} x {channels} pixels"
    image = f"an image of {height} x {width} pixels with {channels} channels"
    if not reading.colours:
        image += ", but the classes have no colours"
        whole = f"give {argument('classes')} a catalogue with colours for the image"
    elif dtype != np.uint8:
        image += ", but colours are uint8"
        whole = "pass masks.astype('uint8') for the image"
    else:
        whole = "pass masks[None] for the image"
    return MaskError(
        f"array of shape {_text(shape)}: {batch}, or {image}",
        remedy=f"pass list(masks) for the batch, or {whole}",
    )


def _no_mask(shape: tuple[int, ...], dtype: np.dtype[np.generic], reading: Reading) -> MaskError:
    problem = f"array of shape {_text(shape)} where (H, W) or (N, H, W) is expected"
    if len(shape) == 4 and shape[3] in _SAMPLES and dtype == np.uint8:
        return MaskError(
            problem, remedy=f"for colours give {argument('classes')} a catalogue with colours"
        )
    if len(shape) == 4 and dtype.kind == "f":
        return MaskError(problem, remedy="pass the argmax of logits over their axis of classes")
    if len(shape) == 4:
        first = argument("channels", "one-hot-first")
        return MaskError(
            problem,
            remedy=f"for a channel a class pass {first}, or "
            f"{argument('channels', 'one-hot')} where they are the last axis",
        )
    if len(shape) < 2:
        return MaskError(problem, remedy="pass labels of pixels in rows and columns")
    return MaskError(problem)


def _stack(shape: tuple[int, ...], channels: str) -> Layout:
    first = channels.endswith("-first")
    if len(shape) not in {3, 4}:
        axes = "(C, H, W) or (N, C, H, W)" if first else "(H, W, C) or (N, H, W, C)"
        raise MaskError(
            f"array of shape {_text(shape)} where {axes} is expected",
            remedy=f"leave out {argument('channels')} for labels",
        )
    masks, axes_of_one = (1, shape) if len(shape) == 3 else (shape[0], shape[1:])
    height, width = axes_of_one[1:] if first else axes_of_one[:2]
    encoding = encoding_of(MEMORY, channels, axes_of_one[0 if first else 2], channels)
    return Layout(masks, (height, width), encoding, (None,) if len(shape) == 3 else ())


def _text(shape: tuple[int, ...]) -> str:
    return str(shape) if len(shape) <= 8 else f"of {len(shape)} axes"
