"""What training sees of a scan: asked for by a recipe, worked out or taken from the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from maskstat.api.unlisted import values_explained
from maskstat.errors import (
    Blank,
    ExposureError,
    IncompleteScanError,
    ParameterError,
    argument,
    call,
)
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.asking import Draw, recipe_of
from maskstat.exposure.counts import ExposureCounts
from maskstat.exposure.heat_maps import ApproximateExposure, approximate
from maskstat.exposure.recipe import Recipe
from maskstat.naming import counted, did_you_mean, printable
from maskstat.sampling.table import SamplingTable, load_sampling
from maskstat.scanning.exposing import MOST_CROPS, ExposureShelf
from maskstat.scanning.recording import Progress
from maskstat.scanning.stored_scan import StoredScan
from maskstat.showing import cut
from maskstat.values.catalog import ClassCatalog
from maskstat.values.crop_draws import ClassLaw, CropDraws
from maskstat.weights.choices import Unlisted
from maskstat.weights.compute import heed_unlisted
from maskstat.weights.table import load_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def exposed(
    scan: StoredScan,
    asked: Mapping[str, Any],
    *,
    sampler: SamplingTable | str | Path | None,
    crops: int | None,
    presence: bool,
    unlisted: Unlisted,
    allow_incomplete: bool,
    make: ExecutorChoice | None,
    on_progress: Callable[[Progress], None] | None,
) -> ExposureCounts:
    """What `Scan.exposure` gives, by the parameters of a recipe. Raises like it.

    Args:
        make: where masks are decoded; None decodes none.
    """
    recipe = _recipe(scan, asked)
    if crops is not None and not 1 <= crops <= MOST_CROPS:
        raise ParameterError(f"is from 1 to {MOST_CROPS:,}", parameter="crops")
    if sampler is not None and recipe.draws is not None:
        raise ParameterError("the recipe draws masks itself, by their classes", parameter="sampler")
    with values_explained(scan):
        heed_unlisted(scan.histogram, unlisted)
    table = load_sampling(sampler) if isinstance(sampler, (str, Path)) else sampler
    shelf = ExposureShelf.of(scan, recipe, crops=crops, presence=presence)
    if make is not None:
        shelf.fill(scan, make, on_progress)
    try:
        counts = shelf.counts()
    except ExposureError as error:
        error.remedy = error.remedy or _making(
            asked,
            crops=crops,
            presence=presence or None,
            unlisted="ignore" if scan.histogram.unlisted_pixels else None,
        )
        raise
    if not allow_incomplete and (lacking := shelf.left_out()):
        raise IncompleteScanError(
            f"{counted(len(lacking), 'mask')} could not be cropped, first"
            f" {printable(lacking[0].mask)} ({lacking[0].text})",
            where=printable(scan.name),
            remedy=argument("allow_incomplete", True),
        )
    if table is None:
        return counts
    return counts.drawn(dict(zip(table.names, table.weights.tolist(), strict=True)))


def approximated(
    scan: StoredScan, asked: Mapping[str, Any], *, unlisted: Unlisted
) -> ApproximateExposure:
    """What `Scan.approximate_exposure` gives. Raises like it."""
    recipe = _recipe(scan, asked)
    with values_explained(scan):
        heed_unlisted(scan.histogram, unlisted)
    profile = scan.need_profile(of_all=True)
    shapes = {tuple(shape) for table in scan.tables() for shape in table.shapes.tolist()}
    if len(shapes) != 1:
        raise ExposureError(
            f"masks have {len(shapes):,} sizes, and heat maps are relative to the size of each",
            where=printable(scan.name),
            remedy=_making(asked),
        )
    (shape,) = shapes
    return approximate(profile, recipe, shape)


def _recipe(scan: StoredScan, asked: Mapping[str, Any]) -> Recipe:
    """The recipe asked for. Raises ParameterError where it names a class that there is not."""
    words = dict(asked)
    if (draw := words.get("draw")) is not None:
        words["draw"] = _law(draw, scan.catalog)
    recipe = recipe_of(**words)
    recipe.check_padding(len(scan.catalog))
    return recipe


def _law(draw: CropDraws | ArrayLike | Path, catalog: ClassCatalog) -> Draw:
    """The law of the classes that crops are drawn by; of a file, its weights.

    Raises:
        ParameterError: it is neither a word nor a file, or the file is of other classes.
        FileFormatError: a file without weights.
    """
    words = get_args(ClassLaw)
    if isinstance(draw, CropDraws) or (isinstance(draw, str) and draw in words):
        return draw  # type: ignore[return-value]
    if not isinstance(draw, (str, Path)):
        try:
            return CropDraws(classes=draw).classes  # type: ignore[arg-type]  # it looks at them
        except ParameterError as error:
            raise ParameterError(
                f"{cut(repr(draw))} is not one of {', '.join(words)}, a file of weights, or a"
                " number of at least 0 for each class",
                parameter="draw",
            ) from error
    if not os.path.exists(draw) or os.path.isdir(draw):
        raise ParameterError(
            f"{cut(repr(str(draw)))} is not one of {', '.join(words)}, and no file",
            parameter="draw",
            remedy=did_you_mean(str(draw), words).rstrip() or None,
        )
    table = load_weights(draw)
    own = table.names != ClassCatalog.numbered(len(table.names)).names
    if len(table.names) != len(catalog) or (own and table.names != tuple(catalog.names)):
        raise ParameterError(
            f"{printable(str(draw))} has weights of other classes than the scan", parameter="draw"
        )
    return tuple(table.weights.tolist())


def _making(asked: Mapping[str, Any], **more: object) -> str:
    """The call that works out what was asked for."""
    said = ("recipe", "crop", "scale", "cat_max_ratio", "draw", "chance")
    words = {key: asked.get(key) for key in said}
    given = {
        key: value if isinstance(value, (str, int, float, tuple, Path)) else Blank(key)
        for key, value in {**words, **more}.items()
        if value is not None
    }
    return f"type: {call('Scan.exposure', **given)}"
