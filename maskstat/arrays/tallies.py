"""From one thing that holds masks (an array, an image, an encoded file's bytes) to tallies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskstat.arrays.device_counts import device_counts, device_labels
from maskstat.arrays.frameworks import (
    is_array,
    is_elsewhere,
    is_image,
    pieces,
    shape_of,
    to_numpy,
    type_of,
)
from maskstat.arrays.layouts import MEMORY, Layout, Reading, layout_of
from maskstat.errors import MaskError, argument, unreadable
from maskstat.naming import printable
from maskstat.readers.channels import ChannelReader
from maskstat.readers.choices import is_multilabel
from maskstat.readers.formats import ReadOptions, read_tally
from maskstat.readers.tallying import (
    MAX_DISTINCT_VALUES,
    PixelCounter,
    count_pixels,
    too_many_values,
)
from maskstat.regular_files import open_file
from maskstat.values.tally import MaskTally

if TYPE_CHECKING:
    from PIL import Image

_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000"})  # of an image that Pillow has opened
_COLOURED = frozenset({"RGB", "RGBA", "RGBX", "LA"})
_BAND_PIXELS = 1 << 22


def is_encoded(thing: object) -> bool:
    """Whether this is an encoded mask: bytes of a file, or a dict of "bytes" and "path"."""
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return True
    return isinstance(thing, Mapping) and "bytes" in thing and thing.keys() <= {"bytes", "path"}


def is_countable(thing: object) -> bool:
    """Whether this holds masks by itself; else it may be something that gives some."""
    return is_encoded(thing) or is_image(thing) or is_array(thing)


def tallies_of(thing: Any, reading: Reading, *, named: int | None = None) -> Iterator[MaskTally]:
    """The tallies of an array, an image or an encoded mask, one after the other, without names.

    Args:
        thing: what `is_countable`.
        reading: how it is to be read.
        named: how many names were given for its masks, where that is known.

    Raises:
        MaskError: it is no mask, with its shape and what to pass instead.
    """
    if is_encoded(thing):
        yield _encoded(thing, reading)
    elif is_image(thing):
        yield _image(thing, reading)
    else:
        yield from _array(thing, reading, named)


def axes_of(thing: Any) -> str:
    """Whether a thing is "one" mask or "several", as far as its axes tell; "" where they don't."""
    if not is_array(thing):
        return "one"
    try:
        return {2: "one", 3: "several"}.get(len(shape_of(thing)), "")
    except MaskError:
        return ""


def _array(array: Any, reading: Reading, named: int | None) -> Iterator[MaskTally]:
    layout = layout_of(shape_of(array), type_of(array), reading, named=named)
    if layout.select[:1] == (None,) or layout.masks == 0:  # one mask, or none
        yield from _planes(array, layout, reading, layout.masks)
        return
    for part in pieces(array):
        yield from _planes(part, layout, reading, shape_of(part)[0])


def _planes(array: Any, layout: Layout, reading: Reading, masks: int) -> Iterator[MaskTally]:
    """The tallies of so many masks that an array of this layout holds."""
    if masks == 0:
        return
    colours = layout.encoding.is_colour
    if is_elsewhere(array):
        labels = device_labels(array[layout.select], reading.channels, colours=colours)
        if labels is not None:
            for values, counts in device_counts(labels):
                if values.size > MAX_DISTINCT_VALUES:
                    raise too_many_values()
                yield MaskTally("", layout.shape, layout.encoding, values, counts)
            return
    planes = to_numpy(array)[layout.select]
    if reading.channels is not None and reading.channels.endswith("-first"):
        planes = np.moveaxis(planes, 1, -1)
    for plane in planes:
        if colours or reading.channels is not None:
            yield _channels(plane, layout, reading)
        else:
            yield count_pixels("", plane, layout.encoding)


def _channels(plane: NDArray[Any], layout: Layout, reading: Reading) -> MaskTally:
    """The tally of (H, W, C)."""
    counter = PixelCounter()
    of_classes = (
        None if reading.channels is None else ChannelReader(reading.channels, plane.shape[-1])
    )
    rows = max(1, _BAND_PIXELS // max(1, plane[0].size))
    for first in range(0, len(plane), rows):
        band = plane[first : first + rows]
        if of_classes is None:
            counter.add_colours(band)
        else:
            counter.add(of_classes.values(band))
    return counter.finish("", layout.shape, layout.encoding)


def _image(image: Image.Image, reading: Reading) -> MaskTally:
    from maskstat.readers.pillow_images import label_map

    if getattr(image, "format", None) in _LOSSY and not reading.allow_lossy:
        raise MaskError(
            f"{image.format} compression is lossy and invents classes at borders",
            remedy=f"keep masks as PNG, or pass {argument('allow_lossy', True)}",
        )
    of_labels = is_multilabel(reading.channels)
    if image.mode in _COLOURED and not (reading.colours or of_labels):
        raise MaskError(
            f"{image.mode} image of {image.height} x {image.width} pixels where class indices"
            " are expected",
            remedy=f"give {argument('classes')} a catalogue with colours",
        )
    pixels, encoding = label_map(image, MEMORY, "image")
    tally = count_pixels("", pixels, encoding)
    return ReadOptions(channels=reading.channels).interpreted(tally) if of_labels else tally


def _encoded(thing: Any, reading: Reading) -> MaskTally:
    of_file = thing if isinstance(thing, Mapping) else {"bytes": thing}
    data, path = of_file.get("bytes"), of_file.get("path")
    if data is None:
        if path is None:
            raise MaskError("neither bytes nor a path")
        try:
            with open_file(path) as file:
                data = file.read()
        except (OSError, ValueError) as error:
            raise MaskError(f"{printable(str(path))} {unreadable(error)}") from error
    channels = reading.channels if is_multilabel(reading.channels) else None
    options = ReadOptions(
        allow_lossy=reading.allow_lossy, colours=reading.colours, channels=channels
    )
    return read_tally(bytes(data), "", options)
