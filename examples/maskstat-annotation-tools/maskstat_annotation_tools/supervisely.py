"""Supervisely's projects: a folder with `meta.json` and, in folders `ann`, a JSON an image.

Polygons, rectangles and bitmaps are regions. Their corners are pixels, which belong to them, as in
Supervisely's own drawing, which is OpenCV's.
"""

import base64
import io
import os
import zlib
from pathlib import Path

import numpy as np

from .drawing import Export, Image, Region, classes_of, placed, read_json, value_of, values_of

NO_REGIONS = frozenset({"point", "line", "graph", "cuboid", "any"})


def open_supervisely(path):
    """The project at a path. Raises ValueError where it is none."""
    meta = read_json(os.path.join(path, "meta.json"))
    if not isinstance(meta, dict) or not isinstance(meta.get("classes"), list):
        raise ValueError("not Supervisely's: its meta.json has no 'classes'")
    values = values_of([one.get("title") for one in meta["classes"]])
    return Export(classes_of(values), lambda: _images(Path(path), values))


def _images(folder, values):
    for file in sorted(folder.glob("**/ann/*.json")):
        name = (file.parent.parent / file.stem).relative_to(folder).as_posix()
        try:
            document = read_json(file)
            size = document["size"]["height"], document["size"]["width"]
            objects = [one for one in document["objects"] if _kind(one) not in NO_REGIONS]
            yield Image(name, *size, [_region(one, values) for one in objects])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            yield Image(name, problem=f"not Supervisely's: {type(error).__name__}: {error}")


def _kind(one):
    return one.get("geometryType")


def _region(one, values):
    value = value_of(values, one["classTitle"])
    if _kind(one) == "bitmap":
        left, top = one["bitmap"]["origin"]
        return Region(value, bitmap, (one["bitmap"]["data"], int(left), int(top)))
    points = one.get("points") or {}
    outline = tuple(tuple(map(round, point)) for point in points["exterior"])
    if _kind(one) == "rectangle":
        (ax, ay), (bx, by) = outline
        outline = (ax, ay), (bx, ay), (bx, by), (ax, by)
    elif _kind(one) != "polygon":
        raise ValueError(f"the unknown shape {str(_kind(one))[:40]!r}")
    holes = tuple(
        tuple(tuple(map(round, point)) for point in hole) for hole in points.get("interior") or ()
    )
    return Region(value, filled, (outline, holes))


def filled(size, outline, holes):
    """A polygon without its holes, as Supervisely draws it."""
    import cv2

    inside = np.zeros(size, np.uint8)
    for points, value in ((outline, 1), *((hole, 0) for hole in holes)):
        if max(map(abs, np.ravel(points))) >= 1 << 15:
            raise ValueError("a polygon far off the image")
        cv2.fillPoly(inside, [np.array(points, np.int32)], value)
    return inside.astype(bool)


def bitmap(size, text, left, top):
    """A bitmap: a PNG, packed by zlib, as base64."""
    from PIL import PngImagePlugin

    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), 64 << 20)
        image = PngImagePlugin.PngImageFile(io.BytesIO(data))
    except (ValueError, zlib.error, OSError, SyntaxError) as error:
        raise ValueError("a bitmap that is no PNG") from error
    if image.width > size[1] or image.height > size[0]:
        raise ValueError("a bitmap that does not lie on the image")
    if image.mode == "RGBA" or "transparency" in image.info:
        inside = np.asarray(image.convert("RGBA"))[..., 3] > 0
    elif image.mode in {"1", "L"}:
        inside = np.asarray(image) > 0
    else:
        raise ValueError(f"a bitmap of mode {image.mode}")
    return placed(size, inside, left, top)
