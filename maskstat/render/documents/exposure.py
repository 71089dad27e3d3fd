"""What training sees, beside what the folder holds, as one JSON document."""

from __future__ import annotations

from typing import Any

from maskstat.exposure.counts import ExposureCounts
from maskstat.scanning.stored_scan import StoredScan


def exposure_document(folder: StoredScan, seen: ExposureCounts) -> dict[str, Any]:
    """Everything `maskstat exposure --json` prints; plain JSON types.

    Keys: `scan`, `source`, `recipe` (its attributes), `does` (in words), `masks`,
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
        "does": seen.recipe.words(),
        "masks": len(seen.names),
        "crops_per_mask": seen.crops_per_mask,
        "exact_presence": seen.chance is not None,
        "batch_size": seen.recipe.batch_size,
        "last_batch": seen.recipe.last_batch,
        "classes": [
            {
                "index": info.index,
                "name": info.name,
                **{name: column[info.index] for name, column in columns.items()},
            }
            for info in catalog.classes
        ],
    }
