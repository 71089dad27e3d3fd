"""Annotation files, and the masks that they must make: pycocotools' own, painted by the rule."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.support.scan_cases import write
from tests.support.source_cases import entries_of

Pixels = NDArray[np.integer]
Document = dict[str, Any]
SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]  # 16 pixels: rows 1 to 4, columns 2 to 5
HEIGHT, WIDTH = 8, 10
NAMES = {1: "road", 2: "car", 300: "sky"}


def image(number: Any, height: Any = HEIGHT, width: Any = WIDTH, **more: Any) -> Document:
    return {"id": number, "file_name": f"{number}.jpg", "height": height, "width": width, **more}


def annotation(image_id: Any, category: Any, segmentation: Any, **more: Any) -> Document:
    return {
        "id": 7,
        "image_id": image_id,
        "category_id": category,
        "segmentation": segmentation,
        "iscrowd": 0,
        **more,
    }


def coco(
    images: Sequence[Any], annotations: Sequence[Any], names: Mapping[int, str] = NAMES, **more: Any
) -> Document:
    categories = [{"id": number, "name": name} for number, name in names.items()]
    return {"images": images, "annotations": annotations, "categories": categories, **more}


def saved(folder: Path, document: Any, name: str = "instances.json") -> Path:
    return write(folder / name, json.dumps(document).encode())


def drawn(where: str | Path, **options: Any) -> dict[str, Pixels]:
    """name -> the pixels of every mask of a source."""
    found = entries_of(where, **options)
    return {name: np.load(io.BytesIO(entry.load())) for name, entry in found.items()}


def painted(
    layers: Iterable[tuple[bool, int, NDArray[np.bool_]]],
    size: tuple[int, int],
    background: int = 0,
) -> Pixels:
    """Regions (crowd, value, where), one over the other by the rule; int64."""
    canvas = np.full(size, background, np.int64)
    for _, value, where in sorted(layers, key=lambda one: (not one[0], -one[2].sum(), one[1])):
        canvas[where] = value
    return canvas


def region(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """What pycocotools' `annToMask` says of a segmentation."""
    from pycocotools import mask

    runs = segmentation
    if isinstance(segmentation, list):
        runs = mask.merge(mask.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        runs = mask.frPyObjects(segmentation, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' own, with NumPy 2
        decoded: NDArray[np.bool_] = mask.decode(runs).astype(bool)
    return decoded


def expected(document: Document) -> dict[str, Pixels]:
    """The masks of a COCO file, by the names of its images."""
    background = -1 if any(one["id"] == 0 for one in document["categories"]) else 0
    return {
        one["file_name"]: painted(
            (
                (bool(own["iscrowd"]), own["category_id"], region(own["segmentation"], size))
                for own in document["annotations"]
                if own["image_id"] == one["id"]
            ),
            size,
            background,
        )
        for one in document["images"]
        for size in [(one["height"], one["width"])]
    }


def filled(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Pixels:
    """Ones from (top, left) up to but without (bottom, right)."""
    mask = np.zeros((height, width), np.int64)
    mask[top:bottom, left:right] = 1
    return mask


def shape(label: Any, points: Any, kind: Any = "polygon", **more: Any) -> Document:
    return {"label": label, "points": points, "shape_type": kind, **more}


def labelme(shapes: Any, height: Any = HEIGHT, width: Any = WIDTH, **more: Any) -> Document:
    return {"shapes": shapes, "imageHeight": height, "imageWidth": width, **more}


def picture(
    height: int = HEIGHT, width: int = WIDTH, kind: str = "PNG", orientation: int = 1
) -> bytes:
    """An image of which only the size matters."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", (width, height)).save(stream, kind, exif=exif)
    return stream.getvalue()


def box_line(number: int, left: float, top: float, right: float, bottom: float) -> str:
    """A line of YOLO's labels: the four corners, in fractions of the image."""
    return f"{number} {left} {top} {right} {top} {right} {bottom} {left} {bottom}"


def yolo(folder: Path, labels: Mapping[str, str | None], text: str | None = None) -> Path:
    """Ultralytics' layout: images/train/1.png, labels/train/1.txt; None: no labels."""
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
    for name, lines in labels.items():
        write(folder / "images" / f"{name}.png", picture())
        if lines is not None:
            write(folder / "labels" / f"{name}.txt", lines.encode())
    said = "path: .\ntrain: images/train\nval: images/val\nnames: [road, car]\n"
    return write(folder / "data.yaml", (said if text is None else text).encode())


def needs_pycocotools() -> None:
    pytest.importorskip("pycocotools", reason="needs maskstat[annotations]")


# --- generated files ---------------------------------------------------------------------------

_numbers = st.floats(-8, 40, width=32) | st.integers(-8, 40).map(float)
polygons = st.lists(_numbers, min_size=6, max_size=16).map(lambda xs: xs[: len(xs) // 2 * 2])
CATEGORIES = [0, 1, 2, 255, 300, 70_000]


@st.composite
def segmentations(draw: st.DrawFn, size: tuple[int, int]) -> Any:
    """Polygons of one or more parts, runs as numbers, or runs as pycocotools' text."""
    kind = draw(st.sampled_from(["polygons", "runs", "text"]))
    if kind == "polygons":
        return draw(st.lists(polygons, min_size=1, max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, size[0] * size[1]), max_size=8)))
    counts = np.diff([0, *cuts, size[0] * size[1]]).tolist()
    runs = {"size": list(size), "counts": counts}
    if kind == "text":
        from pycocotools import mask

        runs["counts"] = mask.frPyObjects(runs, *size)["counts"].decode()
    return runs


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """COCO files of up to three images, of which some have no annotation."""
    ids = draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=3, unique=True))
    images = [image(n, draw(st.integers(1, 33)), draw(st.integers(1, 33))) for n in ids]
    names = draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True))
    annotations = []
    for number in range(draw(st.integers(0, 6))):
        where = draw(st.sampled_from(images))
        outline = draw(segmentations((where["height"], where["width"])))
        category, crowd = draw(st.sampled_from(names)), int(draw(st.booleans()))
        annotations.append(annotation(where["id"], category, outline, id=number, iscrowd=crowd))
    return coco(images, annotations, {number: f"class {number}" for number in names})
