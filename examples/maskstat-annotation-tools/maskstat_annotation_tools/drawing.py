"""Images with regions, as maskstat asks for masks: they are drawn when they are read.

A region is a value and a function that draws it, with what the export says of it, so that masks can
be pickled and little is held of each. Where regions overlap, a higher layer lies on top; within one
it is the rule of `maskstat.draw_mask`: the one with fewer pixels.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np

from maskstat import draw_mask

BACKGROUNDS = frozenset({"background", "_background_", "__background__"})
MOST_BYTES = 512 << 20  # of an export
MOST_CORNERS = 4096


class Region(NamedTuple):
    """Pixels of a class: `draw(size, *said)` is a shape of `maskstat.draw_mask`."""

    value: int
    draw: Callable[..., object]
    said: tuple
    layer: int = 0


@dataclass
class Image:
    """A mask; `problem` says why it has none."""

    name: str
    height: int = 0
    width: int = 0
    regions: list[Region] = field(default_factory=list)
    problem: str = ""

    @property
    def stamp(self) -> str:
        """A digest of all that decides its pixels."""
        said = [(one.value, one.draw.__name__, one.said, one.layer) for one in self.regions]
        text = repr((self.height, self.width, sorted(map(repr, said)), self.problem))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of its pixels."""
        return max(1, 4 * self.height * self.width)

    def read(self) -> np.ndarray:
        """int32[height, width]. Raises ValueError where it can't be drawn."""
        if self.problem:
            raise ValueError(self.problem)
        if self.height < 1 or self.width < 1:
            raise ValueError("the export does not say how many pixels high and wide it is")
        size = self.height, self.width
        mask = np.zeros(size, np.int32)
        by_layer = sorted(self.regions, key=lambda one: one.layer)
        for _, layer in groupby(by_layer, key=lambda one: one.layer):
            shapes = [(one.value, one.draw(size, *one.said)) for one in layer]
            drawn = draw_mask(shapes, size, background=-1)
            np.copyto(mask, drawn, where=drawn >= 0)
        return mask


@dataclass
class Export:
    """What is at a path: classes, and a function that lists the images."""

    classes: dict
    list_images: Callable[[], Iterator[Image]]

    def masks(self) -> Iterator[Image]:
        """All images."""
        return self.list_images()


def values_of(names: list[str]) -> dict[str, int]:
    """A value for each label, from 1 on; 0 is the background, also where a label is called so."""
    values: dict[str, int] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError("a label has no name")
        values[name] = len(values) + 1
    for name in [name for name in values if name.lower() in BACKGROUNDS][:1]:
        values[name] = 0
    return values


def classes_of(values: dict[str, int]) -> dict:
    """The labels as a file of classes has them."""
    classes = [{"name": name, "value": value} for name, value in values.items()]
    known = {one["value"] for one in classes}
    return {"classes": [*([] if 0 in known else [{"name": "background", "value": 0}]), *classes]}


def value_of(values: dict[str, int], label: object) -> int:
    """The value of a label. Raises ValueError where there is none."""
    if not isinstance(label, str) or label not in values:
        raise ValueError(f"a region's label is none of the export's: {str(label)[:60]!r}")
    return values[label]


def read_json(path) -> object:
    """What a JSON file holds. Raises ValueError."""
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES >> 20} MiB")
    return json.loads(data)


# --- shapes ---------------------------------------------------------------------------------


def polygon(size, *points):
    """A polygon of x, y, x, y, ... in pixels."""
    return [list(points)]


def rectangle(size, left, top, right, bottom, degrees=0.0, at_corner=False):
    """A rectangle, turned clockwise around its centre, or around its first corner."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    centre = (left, top) if at_corner else ((left + right) / 2, (top + bottom) / 2)
    return [_turned(corners, centre, degrees)]


def ellipse(size, x, y, across, down, degrees=0.0):
    """An ellipse of two radii, as a polygon with a corner a pixel."""
    corners = int(min(max(64, 8 * max(abs(across), abs(down))), MOST_CORNERS))
    angles = [2 * math.pi * k / corners for k in range(corners)]
    points = [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]
    return [_turned(points, (x, y), degrees)]


def runs(size, counts):
    """Runs as COCO has them, of the whole image."""
    return {"size": list(size), "counts": counts}


def placed(size, inside, left, top):
    """A part of the image, bool[h, w], with its first pixel at (left, top). Raises ValueError."""
    height, width = inside.shape
    if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError("a mask that does not lie on the image")
    whole = np.zeros(size, bool)
    whole[top : top + height, left : left + width] = inside
    return whole


def _turned(points, centre, degrees):
    x, y = centre
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    if degrees == 0:
        return [number for point in points for number in point]
    return [
        number
        for a, b in points
        for number in (x + (a - x) * cos - (b - y) * sin, y + (a - x) * sin + (b - y) * cos)
    ]
