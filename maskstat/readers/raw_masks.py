"""Arrays of any number of axes as masks: what is a plane, a volume, a colour or a stack of classes.

A mask has two axes, (H, W). Axes of length 1 say nothing and are dropped. What else has more axes
than two is refused unless the user says what it is, but for (H, W, 3 or 4) of bytes: colours.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.naming import counted, printable, storable
from maskstat.readers.base import LabelMap, no_page, several_now
from maskstat.readers.channels import ChannelReader, encoding_of
from maskstat.readers.choices import Channel
from maskstat.readers.index_channel import IndexChannel
from maskstat.readers.options import ReadOptions
from maskstat.readers.packed_colours import pack_colours
from maskstat.readers.tallying import PixelCounter, whole_numbers
from maskstat.values.tally import Encoding, MaskTally

_COLOURS = {3: "rgb", 4: "rgba"}
_ONE = frozenset({None, "each"})  # of `pages`: what says nothing of a single plane
_SHOWN = 8
# What masks are called where a file has an array of them beside others, and what those are called.
_MASKS = frozenset(
    [
        "annotation",
        "annotations",
        "gt",
        "ground_truth",
        "groundtruth",
        "label",
        "label_map",
        "labelmap",
        "labels",
        "mask",
        "masks",
        "seg",
        "segmentation",
        "segmentation_mask",
        "segmentations",
        "target",
        "targets",
        "y",
    ]
)
_BESIDE = frozenset(
    [
        "affine",
        "data",
        "depth",
        "image",
        "images",
        "img",
        "imgs",
        "input",
        "inputs",
        "origin",
        "raw",
        "rgb",
        "spacing",
        "volume",
        "x",
    ]
)
PIECE = 1 << 24  # bytes or samples that are looked at together


class ArrayPlan(NamedTuple):
    """How an array makes a mask.

    Attributes:
        shape: (height, width) of the mask.
        encoding: how the file stores it.
        leading: how many first axes of length 1 are dropped (after that of channels).
        plane: the only index of the next axis that counts, or None for all.
        colours: samples of its colours where the last axis has them, or "".
        channels: the mode where an axis has a channel a class, or "".
        channel: which of the colours' samples is the value, where they are no bytes.
    """

    shape: tuple[int, int]
    encoding: Encoding
    leading: int = 0
    plane: int | None = None
    colours: str = ""
    channels: str = ""
    channel: Channel | None = None

    @property
    def is_plain(self) -> bool:
        """Whether every item is a raw value by itself, wherever it stands."""
        return not self.colours and not self.channels

    @property
    def is_coloured(self) -> bool:
        """Whether colours are the values."""
        return bool(self.colours) and self.channel is None


def plan_array(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], container: str, options: ReadOptions
) -> ArrayPlan:
    """What an array of this shape and type is as a mask.

    Raises:
        MaskError: it is none, or not without an option.
    """
    check_numbers(dtype)
    if not math.prod(shape):
        raise MaskError("has no pixels")
    if options.pages == "each" and math.prod(shape[: leading_axes(shape, dtype, options)]) != 1:
        raise several_now()
    if options.channels is not None:
        axes = shape[1:] if options.channels.endswith("-first") else shape[:-1]
        if len(shape) < 3:
            raise MaskError(
                f"array of shape {_text(shape)}: {argument('channels')} needs one more axis"
            )
        leading, plane, size = _mask_shape(axes, shape, options)
        channels = shape[0] if options.channels.endswith("-first") else shape[-1]
        encoding = encoding_of(container, options.channels, channels)
        return ArrayPlan(size, encoding, leading, plane, channels=options.channels)
    if len(shape) == 3 and shape[2] in _COLOURS and dtype == np.uint8 and options.pages in _ONE:
        samples = _COLOURS[shape[2]]
        return ArrayPlan((shape[0], shape[1]), Encoding(container, samples, 8), colours=samples)
    kinds = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
    encoding = Encoding(
        container, kinds[dtype.kind], 1 if dtype.kind == "b" else dtype.itemsize * 8
    )
    if options.channel is not None and len(shape) == 3 and shape[2] in _COLOURS:
        colours = _COLOURS[shape[2]]
        return ArrayPlan((shape[0], shape[1]), encoding, colours=colours, channel=options.channel)
    leading, plane, size = _mask_shape(shape, shape, options)
    return ArrayPlan(size, encoding, leading, plane)


def leading_axes(shape: tuple[int, ...], dtype: np.dtype[np.generic], options: ReadOptions) -> int:
    """How many first axes number the planes, where each plane is a mask: (H, W), or what is that.

    Raises:
        MaskError: channels come first, and it can't be told whether planes come before them.
    """
    length = len(shape)
    if options.channels is not None:
        if options.channels.endswith("-first"):
            if length > 3:
                raise MaskError(
                    f"array of shape {_text(shape)}: planes or channels may be its first axis"
                    " (save it with channels last)"
                )
            return 0
        return max(0, length - 3)
    is_coloured = dtype == np.uint8 or options.channel is not None
    if length > 2 and shape[-1] in _COLOURS and is_coloured:
        return length - 3
    while length > 2 and shape[length - 1] == 1:
        length -= 1
    return max(0, length - 2)


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
        coloured = len(shape) == 3 and shape[2] in _COLOURS
        colours = f"; {argument('channel')} indices in colours" if coloured else ""
        raise MaskError(
            f"array of shape {_text(shape)} where (H, W) is expected"
            f" ({argument('pages', 'each')} counts each plane as a mask,"
            f" {argument('pages', 'all')} one mask of all planes;"
            f" {argument('channels')} a stack of classes{colours})"
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


class RawMask(ABC):
    """A mask of plain numbers in some container: how it is counted, and read, is the same for all.

    Args:
        plan: what the array is as a mask.
        axes: the array's shape.
        size: bytes that all of it takes in memory.
    """

    copies: ClassVar[int] = 2
    """What `whole` takes, in arrays."""

    def __init__(self, plan: ArrayPlan, axes: tuple[int, ...], size: int):
        self.plan, self.axes, self.size = plan, axes, size
        self._reader: ChannelReader | IndexChannel | None = None
        if plan.channel is not None:
            self._reader = IndexChannel(plan.channel, plan.colours, plan.encoding.bits)
        elif plan.channels:
            at = 0 if plan.channels.endswith("-first") else -1
            self._reader = ChannelReader(plan.channels, axes[at])

    @abstractmethod
    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """All that counts, as `chosen` gives it, cut anywhere but within colours or channels."""

    @abstractmethod
    def whole(self) -> NDArray[np.generic]:
        """All of the array in memory."""

    def tally(self, name: str) -> MaskTally:
        """Count it piece by piece. Raises MaskError."""
        ask_memory(min(self.size, PIECE) * (2 if self.plan.is_plain else 8))
        counter = PixelCounter()
        for piece in self.pieces():
            self.add_to(counter, piece)
        return counter.finish(name, self.plan.shape, self.plan.encoding)

    def add_to(self, counter: PixelCounter, piece: NDArray[np.generic]) -> None:
        """Count one of its pieces. Raises MaskError."""
        if self.plan.is_coloured:
            counter.add_colours(np.asarray(piece, np.uint8))
        else:
            counter.add(self._values(piece))

    def read(self) -> LabelMap:
        """Its pixels (H, W) of raw values. Raises MaskError, also where it is too large."""
        plan = self.plan
        check_decoded(self.size)
        self._ask_for_whole()
        part = chosen(self.whole(), plan)
        if plan.is_coloured:
            return LabelMap(pack_colours(np.asarray(part, np.uint8), plan.colours), plan.encoding)
        return LabelMap(whole_numbers(self._values(part).reshape(plan.shape)), plan.encoding)

    def _ask_for_whole(self) -> None:
        """Ask for the array, and for what its items and pixels are on the way to raw values."""
        encoding, pixels = self.plan.encoding, math.prod(self.plan.shape)
        each = 8 if encoding.samples != "float" else 12 if encoding.bits == 64 else 20
        if self._reader is not None:
            each = 32 + 3 * self.size // pixels
        ask_memory(self.copies * self.size + each * pixels)

    def _values(self, part: NDArray[np.generic]) -> NDArray[np.generic]:
        return part if self._reader is None else self._reader.values(part)


class ArrayInMemory(RawMask):
    """An array that is in memory. Raises MaskError where it is no mask."""

    copies = 0

    def __init__(self, array: NDArray[np.generic], container: str, options: ReadOptions):
        plan = plan_array(array.shape, array.dtype, container, options)
        super().__init__(plan, array.shape, array.nbytes)
        self._array = array

    def whole(self) -> NDArray[np.generic]:
        """The array."""
        return self._array

    def pieces(self) -> Iterator[NDArray[np.generic]]:
        """Some rows at a time where they need memory of their own."""
        part = chosen(self._array, self.plan)
        rows = len(part)
        if not self.plan.is_plain:
            rows = max(1, PIECE // max(1, part[:1].size))
        for first in range(0, len(part), max(1, rows)):
            yield part[first : first + rows]


def choose_array(names: list[str], options: ReadOptions) -> str:
    """The name asked for, the only one there is, or the only one that masks have. Raises MaskError.

    Names alone decide only where the other arrays are called what masks never are.
    """
    shown = ", ".join(printable(storable(name))[:60] for name in names[:_SHOWN])
    shown += ", ..." if len(names) > _SHOWN else ""
    if options.array is not None:
        if options.array in names:
            return options.array
        asked = printable(storable(options.array))
        raise MaskError(f"has no array {asked!r} (it has {shown})")
    if len(names) == 1:
        return names[0]
    last = {name: name.rpartition("/")[2].lower() for name in names}
    masks = [name for name in names if last[name] not in _BESIDE]
    if len(masks) == 1 and last[masks[0]] in _MASKS:
        return masks[0]
    raise MaskError(
        f"has {len(names)} arrays: {argument('array', Blank('NAME'))} chooses one (it has {shown})"
    )


def check_numbers(dtype: np.dtype[np.generic], what: str = "array") -> None:
    """Raise MaskError where items of this type can't be labels: objects, texts, complex numbers."""
    if dtype.hasobject or dtype.kind not in "biuf":
        why = ": Python's objects are pickles, which may run any code" if dtype.hasobject else ""
        raise MaskError(f"{what} of type {str(dtype)[:60]} where whole numbers are expected{why}")


def read_whole(file: BinaryIO) -> bytes:
    """All bytes of a file that is decoded at once. Raises MaskError where they are too many."""
    file.seek(0)
    data = file.read(LARGEST_MASK + 1)
    check_decoded(len(data))
    return data


def check_decoded(size: int) -> None:
    """Raise MaskError where an array of `size` bytes is too large to be held in memory."""
    if size > LARGEST_MASK:
        raise MaskError(
            f"would take {size >> 20} MiB decoded, more than the {LARGEST_MASK >> 20} MiB"
            " that may be held at once"
        )
