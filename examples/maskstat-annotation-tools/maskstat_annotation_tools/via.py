"""VIA (VGG Image Annotator) 2: a project, or its annotations as JSON.

The file has no sizes of images: they are looked for beside it. The label is the only attribute that
regions have, or the one called `label`, `class`, `name` or `type`.
"""

import os
from pathlib import Path

from .drawing import (
    Export,
    Image,
    Region,
    classes_of,
    ellipse,
    polygon,
    read_json,
    rectangle,
    value_of,
    values_of,
)

NO_REGIONS = frozenset({"point", "polyline"})
CALLED = ("label", "class", "name", "type")


def open_via(path):
    """The file at a path. Raises ValueError where it is none of VIA's."""
    document = read_json(path)
    if isinstance(document, dict):
        document = document.get("_via_img_metadata", document)
    if not isinstance(document, dict) or not all(
        isinstance(one, dict) and isinstance(one.get("filename"), str) and "regions" in one
        for one in document.values()
    ):
        raise ValueError("not VIA's: its entries have no 'filename' and 'regions'")
    entries = sorted(document.values(), key=lambda one: one["filename"])
    key = _key(entries)
    labels = {_label(region, key) for entry in entries for region in _regions(entry)}
    values = values_of(sorted(label for label in labels if label))
    folder = Path(path).parent
    return Export(classes_of(values), lambda: (_image(one, folder, key, values) for one in entries))


def _regions(entry):
    regions = entry["regions"]
    listed = regions.values() if isinstance(regions, dict) else regions  # version 1 has a mapping
    return [one for one in listed if one["shape_attributes"]["name"] not in NO_REGIONS]


def _key(entries):
    """The attribute that is the label."""
    keys = {key for entry in entries for one in _regions(entry) for key in one["region_attributes"]}
    if len(keys) < 2:
        return next(iter(keys), "label")
    called = [key for key in CALLED if key in keys]
    if len(called) != 1:
        listed = ", ".join(sorted(keys))[:200]
        raise ValueError(f"it is not clear which attribute of regions is the label: {listed}")
    return called[0]


def _label(region, key):
    label = region["region_attributes"].get(key)
    return label.strip() if isinstance(label, str) else None


def _image(entry, folder, key, values):
    from PIL import Image as Pillow

    name = entry["filename"]
    try:
        with Pillow.open(os.path.join(folder, name)) as image:
            width, height = image.size
    except Exception as error:  # Pillow raises anything on hostile bytes
        return Image(name, problem=f"its image is not beside the file: {type(error).__name__}")
    try:
        regions = [
            Region(value_of(values, _label(one, key)), *_shape(one["shape_attributes"]))
            for one in _regions(entry)
        ]
    except (ValueError, TypeError, KeyError) as error:
        return Image(name, problem=f"a region that can't be read: {error}")
    return Image(name, height, width, regions)


def _shape(said):
    kind = said["name"]
    if kind == "polygon":
        pairs = zip(said["all_points_x"], said["all_points_y"], strict=True)
        return polygon, tuple(float(n) for pair in pairs for n in pair)
    if kind == "rect":
        x, y, width, height = (float(said[key]) for key in ("x", "y", "width", "height"))
        return rectangle, (x, y, x + width, y + height)
    if kind == "circle":
        return ellipse, (float(said["cx"]), float(said["cy"]), float(said["r"]), float(said["r"]))
    if kind == "ellipse":
        of = [float(said[key]) for key in ("cx", "cy", "rx", "ry")]
        return ellipse, (*of, float(said.get("theta", 0)) * 57.29577951308232)
    raise ValueError(f"the unknown shape {str(kind)[:40]!r}")
