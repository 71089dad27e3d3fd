"""CVAT's XML 1.1, for images and for video: an `annotations.xml`, or a folder that holds one.

Polygons, rectangles, ellipses and masks are regions, as in CVAT's own exports of masks; points,
lines, skeletons, cuboids and tags are none. `z_order` is the layer.
"""

import os
from xml.etree import ElementTree

import numpy as np

from .drawing import (
    Export,
    Image,
    Region,
    classes_of,
    ellipse,
    placed,
    polygon,
    rectangle,
    value_of,
    values_of,
)

NO_REGIONS = frozenset({"polyline", "points", "skeleton", "cuboid", "tag", "attribute"})


def open_cvat(path):
    """The export at a path. Raises ValueError where it is none."""
    if os.path.isdir(path):
        path = os.path.join(path, "annotations.xml")
    try:
        meta = _meta(path)
    except ElementTree.ParseError as error:
        raise ValueError(f"no valid XML: {error}") from error
    labels = [label for label in meta.iter("label") if label.find("parent") is None]
    values = values_of([label.findtext("name") for label in labels])
    return Export(classes_of(values), lambda: _images(path, values, meta))


def _parsed(path):
    with open(path, "rb") as file:
        yield from ElementTree.iterparse(file, events=("start", "end"))


def _meta(path):
    root = None
    for event, element in _parsed(path):
        if root is None:
            root = element.tag
            if root != "annotations":
                raise ValueError(f"not CVAT's: its root is <{root[:40]}>")
        if event == "end" and element.tag == "meta":
            return element
    raise ValueError("not CVAT's: it has no <meta>")


def _images(path, values, meta):
    frames = {}
    for event, element in _parsed(path):
        if event == "start":
            continue
        if element.tag == "image":
            yield _image(element, values)
            element.clear()
        elif element.tag == "track":
            for shape in element:
                if shape.get("outside") != "1" and shape.tag not in NO_REGIONS:
                    frame = int(shape.get("frame"))
                    frames.setdefault(frame, []).append((element.get("label"), shape))
    if frames or meta.findtext(".//mode") == "interpolation":
        yield from _frames(frames, values, meta)


def _image(element, values):
    name, subset = element.get("name") or element.get("id"), element.get("subset")
    if subset and not name.startswith(f"{subset}/"):
        name = f"{subset}/{name}"
    shapes = [(shape.get("label"), shape) for shape in element if shape.tag not in NO_REGIONS]
    return _drawn(name, element.get("height"), element.get("width"), shapes, values)


def _frames(frames, values, meta):
    sizes = meta.findall(".//original_size")
    count = int(meta.findtext(".//size") or 0)
    if len(sizes) != 1 or count < 1:
        raise ValueError("tracks of several tasks, or of none: export each task by itself")
    if frames and max(frames) >= count:
        raise ValueError(f"a track has a frame {max(frames)}, and the task has {count}")
    height, width = sizes[0].findtext("height"), sizes[0].findtext("width")
    for frame in range(count):
        yield _drawn(f"frame_{frame:06}", height, width, frames.get(frame, ()), values)


def _drawn(name, height, width, shapes, values):
    try:
        regions = [_region(shape, value_of(values, label)) for label, shape in shapes]
        return Image(name, int(height), int(width), regions)
    except (ValueError, TypeError, KeyError) as error:
        return Image(name, problem=f"a shape that can't be read: {error}")


def _region(shape, value):
    said = {key: shape.attrib[key] for key in shape.attrib}
    layer, degrees = int(said.get("z_order", 0)), float(said.get("rotation", 0))
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in said["points"].split(";")]
        return Region(value, polygon, tuple(float(n) for x, y in pairs for n in (x, y)), layer)
    if shape.tag == "box":
        corners = [float(said[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        return Region(value, rectangle, (*corners, degrees), layer)
    if shape.tag == "ellipse":
        of = [float(said[key]) for key in ("cx", "cy", "rx", "ry")]
        return Region(value, ellipse, (*of, degrees), layer)
    if shape.tag == "mask":
        place = [int(said[key]) for key in ("left", "top", "width", "height")]
        return Region(value, rows, (said["rle"], *place), layer)
    raise ValueError(f"the unknown shape <{shape.tag[:40]}>")


def rows(size, text, left, top, width, height):
    """CVAT's runs: of pixels outside and inside in turns, along the rows of a rectangle."""
    counts = np.array([int(count) for count in text.split(",")], np.int64)
    if width < 1 or height < 1 or width > size[1] or height > size[0]:
        raise ValueError("a mask that does not lie on the image")
    if counts.min() < 0 or counts.sum() != width * height:
        raise ValueError("a mask whose runs are not the pixels of its rectangle")
    inside = np.repeat(np.arange(counts.size) % 2 == 1, counts).reshape(height, width)
    return placed(size, inside, left, top)
