"""A scan in numbers: the one JSON document that tables, `--json` and reports are made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskstat.profile.imbalance import Imbalance, imbalance
from maskstat.scanning import Scan
from maskstat.version import __version__

SCHEMA = 1


def scan_document(scan: Scan) -> dict[str, Any]:
    """Everything `maskstat scan --json` prints; plain JSON types, no NaN.

    Keys: `schema`, `maskstat`, `scan`, `source`, `complete`, `catalog`, `masks`, `total_pixels`,
    `labelled_pixels`, `classes` (index, name, colour, values, pixels, masks, image_pixels,
    frequency), `ignored` and `unlisted` (value -> pixels), `unlisted_values` (with masks and the
    first mask), `imbalance`, `absent_classes`, `single_class_masks`, `unlabelled_masks`,
    `failures` (mask, reason) and, after a scan, `changes`.
    """
    histogram = scan.histogram
    catalog = scan.catalog
    frequency = histogram.frequency.tolist()
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "maskstat": __version__,
        "scan": scan.name,
        "source": scan.source,
        "complete": scan.info.complete,
        "catalog": {"name": catalog.name, "origin": catalog.origin, "digest": catalog.digest},
        "masks": histogram.mask_count,
        "total_pixels": histogram.total_pixels,
        "labelled_pixels": histogram.labelled_pixels,
        "classes": [
            {
                "index": info.index,
                "name": info.name,
                "colour": None if info.colour is None else f"#{info.colour:06x}",
                "values": list(info.values),
                "pixels": int(histogram.pixels[info.index]),
                "masks": int(histogram.masks[info.index]),
                "image_pixels": int(histogram.image_pixels[info.index]),
                "frequency": frequency[info.index],
            }
            for info in catalog.classes
        ],
        "ignored": {str(value): count.pixels for value, count in histogram.ignored.items()},
        "unlisted": {str(value): count.pixels for value, count in histogram.unlisted.items()},
        "unlisted_values": [
            {"value": value, "pixels": c.pixels, "masks": c.masks, "first": c.first}
            for value, c in histogram.unlisted.items()
        ],
        "ignored_by_default": _ignored_by_default(scan),
        "imbalance": imbalance_document(imbalance(histogram.pixels)),
        "absent_classes": [catalog.names[k] for k in np.flatnonzero(~histogram.present)],
        "single_class_masks": histogram.single_class_masks,
        "unlabelled_masks": histogram.unlabelled_masks,
        "failures": [{"mask": f.mask, "reason": f.reason} for f in scan.failures],
    }
    if scan.changes is not None:
        changes = scan.changes
        document["changes"] = {
            "new": changes.new,
            "changed": changes.changed,
            "unchanged": changes.unchanged,
            "gone": changes.gone,
            "skipped": changes.skipped,
        }
    return document


def imbalance_document(measures: Imbalance) -> dict[str, float | None]:
    """The measures that scans and reports print; plain JSON types."""
    return {
        "ratio": measures.ratio,
        "entropy": measures.entropy,
        "normalised_entropy": measures.normalised_entropy,
        "effective_classes": measures.effective_classes,
        "gini": measures.gini,
    }


def _ignored_by_default(scan: Scan) -> list[int]:
    """[255] where it is ignored although nobody asked."""
    found = 255 in scan.histogram.ignored
    return [255] if found and 255 not in scan.catalog.ignored_values else []
