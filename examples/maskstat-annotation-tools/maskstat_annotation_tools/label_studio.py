"""Label Studio's JSON: polygons, rectangles, ellipses and brush strokes, in percent of the image.

Labels are values from 1 in their order as texts. A task with several annotations, or without a
region (which alone says the size), is a failed mask.
"""

import numpy as np

from .drawing import (
    Export,
    Image,
    Region,
    classes_of,
    ellipse,
    placed,
    polygon,
    read_json,
    rectangle,
    value_of,
    values_of,
)

LABELS = ("polygonlabels", "rectanglelabels", "ellipselabels", "brushlabels")


def open_label_studio(path):
    """The file at a path. Raises ValueError where it is none of Label Studio's."""
    tasks = read_json(path)
    if not isinstance(tasks, list) or not all(
        isinstance(one, dict) and isinstance(one.get("annotations"), list) for one in tasks
    ):
        raise ValueError(
            "not Label Studio's JSON: a list of tasks with 'annotations' (not JSON-MIN)"
        )
    found = {label for task in tasks for one in _results(task)[0] for label in _labels(one)}
    values = values_of(sorted(found))
    return Export(classes_of(values), lambda: (_image(task, values) for task in tasks))


def _results(task):
    """The regions of a task, and how many annotations it has."""
    kept = [one for one in task["annotations"] if not one.get("was_cancelled")]
    regions = [
        region for one in kept for region in one.get("result", ()) if region.get("type") in LABELS
    ]
    return regions, len(kept)


def _labels(region):
    return [label for label in region["value"][region["type"]] if isinstance(label, str)]


def _image(task, values):
    data = task.get("data") or {}
    paths = [text for text in data.values() if isinstance(text, str) and "/" in text]
    last = paths[0].partition("?")[0].rpartition("/")[2] if paths else ""
    name = f"{task.get('id')}/{last}" if last else f"{task.get('id')}"
    regions, annotations = _results(task)
    if annotations != 1:
        return Image(name, problem=f"the task has {annotations} annotations, and a mask one")
    if not regions:
        return Image(name, problem="the task has no region, which alone says the image's size")
    try:
        sizes = {(one["original_height"], one["original_width"]) for one in regions}
        if len(sizes) > 1:
            raise ValueError("regions of images of several sizes")
        size = next(iter(sizes))
        return Image(name, *size, [_region(one, size, values) for one in regions])
    except (ValueError, TypeError, KeyError) as error:
        return Image(name, problem=f"a region that can't be read: {error}")


def _region(one, size, values):
    labels, said, (height, width) = _labels(one), one["value"], size
    if len(labels) != 1:
        raise ValueError(f"a region with {len(labels)} labels")
    if one.get("image_rotation"):
        raise ValueError("an image that was turned")
    value, kind = value_of(values, labels[0]), one["type"]
    if kind == "polygonlabels":
        points = [(x * width / 100, y * height / 100) for x, y in said["points"]]
        return Region(value, polygon, tuple(n for point in points for n in point))
    if kind == "brushlabels":
        if said.get("format") != "rle":
            raise ValueError("a brush that is no RLE")
        return Region(value, brush, (bytes(said["rle"]),))
    x, y = said["x"] * width / 100, said["y"] * height / 100
    degrees = float(said.get("rotation", 0))
    if kind == "ellipselabels":
        radii = said["radiusX"] * width / 100, said["radiusY"] * height / 100
        return Region(value, ellipse, (x, y, *radii, degrees))
    right, bottom = x + said["width"] * width / 100, y + said["height"] * height / 100
    return Region(value, rectangle, (x, y, right, bottom, degrees, True))


def brush(size, data):
    """Label Studio's RLE: bits of RGBA bytes in runs. Inside is what is half opaque or more."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).tobytes()
    at = 0

    def number(length):
        nonlocal at
        if at + length > len(bits):
            raise ValueError("a brush that is cut off")
        value = int.from_bytes(np.packbits(np.frombuffer(bits, np.uint8, length, at)), "big")
        at += length
        return value >> -length % 8

    count = number(32)
    if count != 4 * size[0] * size[1]:
        raise ValueError("a brush of another size than the image")
    word = number(5) + 1
    lengths = [number(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        same = number(1)
        run = 1 + number(lengths[number(2)])
        if done + run > count:
            raise ValueError("a brush of another size than the image")
        if same:
            values[done : done + run] = number(word)
        else:
            values[done : done + run] = [number(word) for _ in range(run)]
        done += run
    return placed(size, values.reshape(*size, 4)[..., 3] >= 128, 0, 0)
