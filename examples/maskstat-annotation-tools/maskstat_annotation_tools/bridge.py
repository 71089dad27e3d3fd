"""Datumaro's own forms, read by Datumaro: its JSON, its binary form, its Arrow files.

Polygons and masks are regions, `z_order` is the layer; boxes, labels, points, lines and captions
are none. What else there is, and what Datumaro warns of, is an error: it would be left out.
"""

import logging

from .drawing import Export, Image, Region, classes_of, polygon, runs, value_of, values_of

NO_REGIONS = frozenset({"bbox", "rotated_bbox", "label", "points", "polyline", "caption"})


def open_datumaro(path):
    """Datumaro's JSON: a folder with `annotations`."""
    return _opened(path, "datumaro")


def open_binary(path):
    """Datumaro's binary form."""
    return _opened(path, "datumaro_binary")


def open_arrow(path):
    """Datumaro's Arrow files."""
    return _opened(path, "arrow")


class _Warned(logging.Handler):
    """What is logged as a warning or worse."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def _opened(path, form):
    from datumaro import AnnotationType, Dataset

    warned = _Warned()
    logging.getLogger().addHandler(warned)
    try:
        dataset = Dataset.import_from(path, form)
        items = list(dataset)
    except Exception as error:
        first = error
        while first.__cause__ is not None:
            first = first.__cause__
        raise ValueError(f"Datumaro can't read it: {type(first).__name__}: {first}") from error
    finally:
        logging.getLogger().removeHandler(warned)
    if warned.said:
        raise ValueError(f"Datumaro warns: {warned.said[0]}")
    labels = [label.name for label in dataset.categories()[AnnotationType.label]]
    values = values_of(labels)
    return Export(classes_of(values), lambda: (_image(item, labels, values) for item in items))


def _image(item, labels, values):
    name = item.id if item.subset == "default" else f"{item.subset}/{item.id}"
    size = getattr(item.media, "size", None)
    if size is None:
        return Image(name, problem="neither the form nor an image beside it says its size")
    try:
        regions = [
            _region(one, labels, values)
            for one in item.annotations
            if one.type.name not in NO_REGIONS
        ]
        return Image(name, int(size[0]), int(size[1]), regions)
    except ValueError as error:
        return Image(name, problem=str(error))


def _region(one, labels, values):
    if one.type.name not in {"polygon", "mask"}:
        raise ValueError(f"an annotation of the kind {one.type.name}")
    if one.label is None:
        raise ValueError("a region without a label")
    value = value_of(values, labels[one.label])
    if one.type.name == "polygon":
        return Region(value, polygon, tuple(map(float, one.points)), one.z_order)
    from pycocotools import mask

    encoded = mask.encode(one.image.astype("u1", order="F"))
    return Region(value, runs, (encoded["counts"].decode("ascii"),), one.z_order)
