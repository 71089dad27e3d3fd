"""Example masks in class colours: where a class is large, and its rarest case."""

from __future__ import annotations

import base64
import colorsys
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import FileFormatError, MaskError
from maskstat.readers.tallying import count_pixels
from maskstat.scanning.mask_reader import Reader
from maskstat.values.catalog import ClassCatalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray, TallyTable

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan
    from maskstat.sources.base import Entry

SIDE = 176
_IGNORED_COLOUR, _UNLISTED_COLOUR = 0x9AA0A6, 0xFF00FF
_FADE, _OUTLINE = 0.55, 0x14
_LARGEST = 1 << 27  # pixels; larger masks are not decoded for a picture


@dataclass(frozen=True, slots=True)
class Example:
    """A mask that shows a class.

    Attributes:
        class_index: which class.
        mask: the mask's name.
        pixels: the class's pixels in it.
        share: of the mask's labelled pixels.
        rarest: whether it is the mask with the fewest pixels of the class.
        image: PNG as a data URI; None where the file is gone, has changed since the scan, or is
            too large for a picture.
        width, height: of the PNG in pixels; 0 without one.
    """

    class_index: int
    mask: str
    pixels: int
    share: float
    rarest: bool
    image: str | None = None
    width: int = 0
    height: int = 0


def choose_examples(ledger: MaskLedger, count: int) -> list[Example]:
    """Up to `count` masks a class: those with most of its pixels, and last the one with fewest.

    Ties go to the first mask. A class in one mask has one example, a class that never occurs none.
    """
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    labelled = ledger.labelled
    # By class, then by falling number of pixels, then by mask.
    order = np.lexsort((rows, -ledger.pixels, ledger.classes))
    starts = np.searchsorted(ledger.classes[order], np.arange(ledger.class_count + 1))
    examples = []
    for k in range(ledger.class_count if count else 0):
        entries = order[starts[k] : starts[k + 1]]
        chosen = entries[:count]
        if count > 1 and entries.size > count:
            chosen = np.append(entries[: count - 1], entries[-1])
        for place, entry in enumerate(chosen.tolist()):
            row, pixels = int(rows[entry]), int(ledger.pixels[entry])
            examples.append(
                Example(
                    k,
                    ledger.names[row],
                    pixels,
                    pixels / int(labelled[row]),
                    rarest=place > 0 and entry == entries[-1],
                )
            )
    return examples


def draw_examples(scan: StoredScan, examples: list[Example]) -> list[Example]:
    """The same examples with their images; every mask file is read once."""
    wanted: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        wanted.setdefault(example.mask, []).append(number)
    drawn = list(examples)
    try:
        options = replace(scan.read_options, colours=scan.catalog.has_colours)
    except FileFormatError:  # the file that says what segments are is gone
        return examples
    reader = Reader(options)
    palette = example_colours(scan.catalog)
    areas = dict(zip(scan.ledger.names, scan.ledger.areas.tolist(), strict=True))
    for entry in scan.entries() if wanted else ():
        numbers = wanted.get(entry.name, [])
        if not numbers or areas.get(entry.name, 0) > _LARGEST:
            continue
        classes = _class_map(scan.catalog, entry, reader)
        if classes is None:
            continue
        for number in numbers:
            example = examples[number]
            if int((classes == example.class_index).sum()) == example.pixels:
                drawn[number] = _with_image(example, classes, palette)
    return drawn


def _class_map(catalog: ClassCatalog, entry: Entry, reader: Reader) -> NDArray[np.int64] | None:
    """int64[H, W] class indices, IGNORED or UNLISTED; None where the file can't be read."""
    try:
        pixels, encoding = reader.label_map(entry)
    except (MaskError, MemoryError):
        return None
    tally = count_pixels(entry.name, pixels, encoding)
    targets = catalog.targets(TallyTable.of([tally]))
    return targets[np.searchsorted(tally.values, pixels)]


def _with_image(example: Example, classes: IntArray, palette: NDArray[np.uint8]) -> Example:
    small = shrunk(classes, example.class_index, SIDE)
    image = _encoded(small, example.class_index, palette)
    height, width = small.shape
    return Example(
        example.class_index,
        example.mask,
        example.pixels,
        example.share,
        example.rarest,
        image,
        width,
        height,
    )


def shrunk(classes: IntArray, chosen: int, side: int) -> IntArray:
    """int64[h, w], at most `side` high and wide, by the middle pixel of each block.

    A block that holds the chosen class shows it, so that a single pixel of it is not lost.
    """
    height, width = classes.shape
    step = max(1, -(-max(height, width) // side))
    if step == 1:
        return classes
    small = classes[step // 2 :: step, step // 2 :: step]
    rows, columns = -(-height // step), -(-width // step)
    small = (
        np.pad(small, ((0, rows - small.shape[0]), (0, columns - small.shape[1])), mode="edge")
        if small.size
        else classes[::step, ::step]
    )
    own = classes == chosen
    own = np.logical_or.reduceat(own, np.arange(0, height, step), axis=0)
    own = np.logical_or.reduceat(own, np.arange(0, width, step), axis=1)
    return np.where(own, chosen, small)


def example_colours(catalog: ClassCatalog) -> NDArray[np.uint8]:
    """uint8[K + 2, 3]: RGB of each class, then of unlisted and ignored pixels (-2 and -1).

    Classes without a colour get one of their own by the golden ratio, which keeps hues apart.
    """
    colours = [
        _invented(info.index) if info.colour is None else info.colour for info in catalog.classes
    ]
    numbers = np.array([*colours, _UNLISTED_COLOUR, _IGNORED_COLOUR], np.int64)
    return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=1).astype(np.uint8)


def _invented(index: int) -> int:
    hue = index * 0.618033988749895 % 1.0
    lightness = (0.42, 0.58, 0.72)[index % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.55))
    return red << 16 | green << 8 | blue


def _encoded(classes: IntArray, chosen: int, palette: NDArray[np.uint8]) -> str:
    """A PNG in class colours as a data URI; the chosen class is outlined, the others are faded."""
    from PIL import Image

    pixels = palette[classes].astype(np.float64)
    own = classes == chosen
    pixels[~own] = pixels[~own] * (1 - _FADE) + 255 * _FADE
    pixels[_outline(own)] = _OUTLINE
    flat = pixels.round().astype(np.uint8).reshape(-1, 3)
    colours, indices = np.unique(flat, axis=0, return_inverse=True)
    buffer = BytesIO()
    if len(colours) <= 256:
        image = Image.fromarray(indices.reshape(classes.shape).astype(np.uint8), "P")
        image.putpalette(colours.tobytes())
    else:
        image = Image.fromarray(flat.reshape(*classes.shape, 3), "RGB")
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _outline(own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[h, w], pixels outside that touch the class with an edge."""
    padded = np.pad(own, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return np.asarray(near & ~own)
