"""What training sees of a scan: asked for by a recipe, worked out or taken from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maskstat.api.unlisted import values_explained
from maskstat.errors import Blank, ExposureError, ParameterError, call
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.asking import recipe_of
from maskstat.exposure.counts import ExposureCounts
from maskstat.sampling.table import SamplingTable, load_sampling
from maskstat.scanning import exposing
from maskstat.scanning.recording import Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.weights.choices import Unlisted
from maskstat.weights.compute import heed_unlisted


def exposed(
    scan: StoredScan,
    asked: Mapping[str, Any],
    *,
    sampler: SamplingTable | str | Path | None,
    crops: int | None,
    presence: bool,
    unlisted: Unlisted,
    make: ExecutorChoice | None,
    on_progress: Callable[[Progress], None] | None,
) -> ExposureCounts:
    """What `Scan.exposure` gives, by the parameters of a recipe. Raises like it.

    Args:
        make: where masks are decoded; None decodes none.
    """
    recipe = recipe_of(**asked)
    if crops is not None and crops < 1:
        raise ParameterError("is at least 1", parameter="crops")
    with values_explained(scan):
        heed_unlisted(scan.histogram, unlisted)
    table = load_sampling(sampler) if isinstance(sampler, (str, Path)) else sampler
    wanted = crops or exposing.crops_kept(scan, recipe) or exposing.CROPS
    if make is not None:
        exposing.make(
            scan,
            recipe,
            crops=wanted,
            presence=presence,
            executor=make,
            on_progress=on_progress,
        )
    try:
        counts = exposing.exposure(scan, recipe, crops=wanted, presence=presence)
    except ExposureError as error:
        error.remedy = error.remedy or _making(
            asked,
            crops=crops,
            presence=presence or None,
            unlisted="ignore" if scan.histogram.unlisted_pixels else None,
        )
        raise
    if table is None:
        return counts
    return counts.drawn(dict(zip(table.names, table.weights.tolist(), strict=True)))


def _making(asked: Mapping[str, Any], **more: object) -> str:
    """The call that works out what was asked for."""
    words = {key: asked[key] for key in ("recipe", "crop", "scale", "cat_max_ratio")}
    given = {
        key: value if isinstance(value, (str, int, float, tuple, Path)) else Blank(key)
        for key, value in {**words, **more}.items()
        if value is not None
    }
    return f"type: {call('Scan.exposure', **given)}"
