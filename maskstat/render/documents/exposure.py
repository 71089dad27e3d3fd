"""What training sees, beside what the folder holds, as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.heat_maps import ApproximateExposure
from maskstat.scanning.stored_scan import StoredScan
from maskstat.store.records import Failure
from maskstat.values.catalog import ClassCatalog


def exposure_document(
    folder: StoredScan, seen: ExposureCounts, left_out: Sequence[Failure] = ()
) -> dict[str, Any]:
    """Everything `maskstat exposure --json` prints; plain JSON types.

    Keys: `scan`, `source`, `recipe` (its attributes), `does` (in words), `approximate`, `masks`,
    `left_out` (masks that have no crops, and the `reason` of each),
    `crops_per_mask`, `exact_presence` (whether `in_crops` is exact, or that of the sampled crops),
    `batch_size`, and `classes`: index, name, `frequency` (the share in the folder), `exposure`
    (the share in crops, exact), `in_masks`, `in_crops`, `in_batches` (chances), and
    `pixels_an_epoch` (expected).
    """
    catalog, histogram = seen.catalog, folder.histogram
    columns = {
        "frequency": histogram.frequency.tolist(),
        "exposure": seen.frequency.tolist(),
        "in_masks": (histogram.masks / max(1, histogram.mask_count)).tolist(),
        "in_crops": seen.in_crops.tolist(),
        "in_batches": seen.in_batches().tolist(),
        "pixels_an_epoch": seen.expected_pixels.tolist(),
    }
    return {
        "scan": folder.name,
        "source": folder.source,
        "recipe": seen.recipe.to_dict(),
        "does": seen.words,
        "approximate": False,
        "masks": len(seen.names),
        "left_out": [{"mask": one.mask, "reason": one.text} for one in left_out],
        "crops_per_mask": seen.crops_per_mask,
        "exact_presence": seen.chance is not None,
        "batch_size": seen.recipe.batch_size,
        "last_batch": seen.recipe.last_batch,
        "classes": _rows(catalog, columns),
    }


def approximate_document(folder: StoredScan, seen: ApproximateExposure) -> dict[str, Any]:
    """The same of what heat maps tell: `exposure` is about that, from `lowest` to `highest`."""
    columns = {
        "frequency": folder.histogram.frequency.tolist(),
        "exposure": seen.frequency.tolist(),
        "lowest": seen.lowest.tolist(),
        "highest": seen.highest.tolist(),
    }
    return {
        "scan": folder.name,
        "source": folder.source,
        "recipe": seen.recipe.to_dict(),
        "does": seen.recipe.words(),
        "approximate": True,
        "masks": folder.histogram.mask_count,
        "classes": _rows(seen.catalog, columns),
    }


def _rows(catalog: ClassCatalog, columns: Mapping[str, Sequence[object]]) -> list[dict[str, Any]]:
    return [
        {
            "index": info.index,
            "name": info.name,
            **{name: column[info.index] for name, column in columns.items()},
        }
        for info in catalog.classes
    ]
