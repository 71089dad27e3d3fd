"""Arrays of any number of axes as masks: what is a plane, a volume, a colour or a stack of classes.

A mask has two axes, (H, W). Axes of length 1 say nothing and are dropped. What else has more axes
than two is refused unless the user says what it is, but for (H, W, 3 or 4) of bytes: colours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.naming import counted, printable, storable
from maskstat.readers.base import LabelMap, no_page
from maskstat.readers.channels import ChannelReader
from maskstat.readers.options import ReadOptions
from maskstat.readers.raster import MAX_DECODED_BYTES, pack_colours
from maskstat.readers.tallying import PixelCounter, whole_numbers
from maskstat.values.tally import Encoding, MaskTally

_COLOURS = {3: "rgb", 4: "rgba"}
_SHOWN = 8


class ArrayPlan(NamedTuple):
    """How an array makes a mask.

    Attributes:
        shape: (height, width) of the mask.
        encoding: how the file stores it.
        leading: how many first axes of length 1 are dropped (after that of channels).
        plane: the only index of the next axis that counts, or None for all.
        colours: samples of its colours where the last axis has them, or "".
        channels: the mode where an axis has a channel a class, or "".
    """

    shape: tuple[int, int]
    encoding: Encoding
    leading: int = 0
    plane: int | None = None
    colours: str = ""
    channels: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether every item is a raw value by itself, wherever it stands."""
        return not self.colours and not self.channels


def plan_array(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], container: str, options: ReadOptions
) -> ArrayPlan:
    """What an array of this shape and type is as a mask.

    Raises:
        MaskError: it is none, or not without an option.
    """
    if dtype.hasobject or dtype.kind not in "biuf":
        raise MaskError(f"array of type {str(dtype)[:60]} where whole numbers are expected")
    if not math.prod(shape):
        raise MaskError("has no pixels")
    if options.channels is not None:
        axes = shape[1:] if options.channels.endswith("-first") else shape[:-1]
        if len(shape) < 3:
            raise MaskError(
                f"array of shape {_text(shape)}: {argument('channels')} needs one more axis"
            )
        leading, plane, size = _mask_shape(axes, shape, options)
        encoding = Encoding(container, "int", 64)
        return ArrayPlan(size, encoding, leading, plane, channels=options.channels)
    if len(shape) == 3 and shape[2] in _COLOURS and dtype == np.uint8 and options.pages is None:
        samples = _COLOURS[shape[2]]
        return ArrayPlan((shape[0], shape[1]), Encoding(container, samples, 8), colours=samples)
    leading, plane, size = _mask_shape(shape, shape, options)
    kinds = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
    bits = 1 if dtype.kind == "b" else dtype.itemsize * 8
    return ArrayPlan(size, Encoding(container, kinds[dtype.kind], bits), leading, plane)


def _mask_shape(
    axes: tuple[int, ...], shape: tuple[int, ...], options: ReadOptions
) -> tuple[int, int | None, tuple[int, int]]:
    """Leading axes to drop, the plane that counts, the mask's size: of axes without channels."""
    leading, plane = 0, None
    while len(axes) > 2 and axes[0] == 1:
        leading, axes = leading + 1, axes[1:]
    if isinstance(options.pages, int):
        planes = axes[0] if len(axes) > 2 else 1
        if options.pages > planes:
            raise no_page(counted(planes, "plane"), options.pages)
    if isinstance(options.pages, int) and len(axes) > 2:
        plane, axes = options.pages - 1, axes[1:]
    long = [length for length in axes if length != 1]
    kept = axes if len(axes) == 2 else tuple([1] * (2 - len(long)) + long)
    if len(axes) < 2 or (len(kept) > 2 and options.pages != "all"):
        raise MaskError(
            f"array of shape {_text(shape)} where (H, W) is expected"
            f" ({argument('pages', 'all')} counts a volume;"
            f" {argument('channels')} a stack of classes)"
        )
    return leading, plane, (math.prod(kept[:-1]), kept[-1])


def _text(shape: tuple[int, ...]) -> str:
    return str(shape) if len(shape) <= 8 else f"of {len(shape)} axes"


def chosen(array: NDArray[np.generic], plan: ArrayPlan) -> NDArray[np.generic]:
    """The part of an array that counts; channels, if any, are its last axis."""
    if plan.channels.endswith("-first"):
        array = np.moveaxis(array, 0, -1)
    array = array[(0,) * plan.leading]
    return array if plan.plane is None else array[plan.plane]


def add_array(
    counter: PixelCounter,
    array: NDArray[np.generic],
    plan: ArrayPlan,
    reader: ChannelReader | None,
) -> None:
    """Count a part of an array as `chosen` gives it, cut anywhere but within colours or channels.

    `reader` is the mask's own, where the plan has channels.
    """
    if plan.colours:
        counter.add_colours(np.asarray(array, np.uint8))
    elif reader is not None:
        counter.add(reader.values(array))
    else:
        counter.add(array)


def channel_reader(plan: ArrayPlan, shape: tuple[int, ...]) -> ChannelReader | None:
    """A reader of the channels of an array of this shape, where the plan has channels."""
    if not plan.channels:
        return None
    return ChannelReader(plan.channels, shape[0 if plan.channels.endswith("-first") else -1])


def tally_array(
    array: NDArray[np.generic], name: str, container: str, options: ReadOptions
) -> MaskTally:
    """Count an array that is in memory. Raises MaskError."""
    plan = plan_array(array.shape, array.dtype, container, options)
    reader, counter = channel_reader(plan, array.shape), PixelCounter()
    part = chosen(array, plan)
    if plan.is_plain:
        counter.add(part)
    else:
        rows = max(1, (1 << 24) // max(1, part[:1].size))
        for first in range(0, len(part), rows):
            add_array(counter, part[first : first + rows], plan, reader)
    return counter.finish(name, plan.shape, plan.encoding)


def read_array(array: NDArray[np.generic], container: str, options: ReadOptions) -> LabelMap:
    """Pixels (H, W) of raw values of an array that is in memory. Raises MaskError."""
    plan = plan_array(array.shape, array.dtype, container, options)
    reader, part = channel_reader(plan, array.shape), chosen(array, plan)
    if plan.colours:
        return LabelMap(pack_colours(np.asarray(part, np.uint8), plan.colours), plan.encoding)
    if reader is not None:
        part = reader.values(part)
    pixels = part.reshape(plan.shape)
    if pixels.dtype.kind == "b":
        return LabelMap(pixels.view(np.uint8), plan.encoding)
    if pixels.dtype.kind == "f":
        return LabelMap(whole_numbers(pixels), plan.encoding)
    if pixels.dtype == np.uint64 and int(pixels.max()) >= 2**63:
        raise MaskError(f"the value {int(pixels.max())} does not fit a signed 64-bit integer")
    return LabelMap(
        pixels.astype(pixels.dtype.newbyteorder("="), copy=False),
        plan.encoding,
    )


def choose_array(names: list[str], options: ReadOptions) -> str:
    """The name asked for, or the only one there is. Raises MaskError."""
    shown = ", ".join(printable(storable(name))[:60] for name in names[:_SHOWN])
    shown += ", ..." if len(names) > _SHOWN else ""
    if options.array is not None:
        if options.array in names:
            return options.array
        asked = printable(storable(options.array))
        raise MaskError(f"has no array {asked!r} (it has {shown})")
    if len(names) == 1:
        return names[0]
    raise MaskError(
        f"has {len(names)} arrays: {argument('array', Blank('NAME'))} chooses one (it has {shown})"
    )


def check_decoded(size: int) -> None:
    """Raise MaskError where an array of `size` bytes is too large to be held in memory."""
    if size > MAX_DECODED_BYTES:
        raise MaskError(
            f"would take {size >> 20} MiB decoded, more than the {MAX_DECODED_BYTES >> 20} MiB"
            " that may be held at once"
        )
