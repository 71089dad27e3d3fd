"""Recommending: the facts of a scan, for the rules of the advice room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from maskstat.advice.choices import GOALS, Goal
from maskstat.advice.recommendation import Recommendation
from maskstat.advice.situation import Lacking, Situation
from maskstat.advice.snippets import ignored_label
from maskstat.api.unlisted import values_explained
from maskstat.errors import CatalogError, ParameterError, UnknownCountsError, argument
from maskstat.exposure.asking import asked_again
from maskstat.naming import printable
from maskstat.parameters import check_word
from maskstat.render.report.calls import can_be_typed, read_as, whose
from maskstat.scanning.stored_scan import StoredScan
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.values.tally import IntArray
from maskstat.weights.choices import Unlisted
from maskstat.weights.compute import heed_unlisted, present_counts
from maskstat.weights.feasibility import lacking
from maskstat.weights.table import WeightTable

USUAL_BATCH = 8


def recommend(
    scan: StoredScan,
    measure: Goal,
    *,
    batch_size: int | None,
    against: StoredScan | None,
    unlisted: Unlisted,
    weigh: Callable[[str], WeightTable],
) -> Recommendation:
    """As `Scan.recommend`; `weigh` makes the weights of a scheme."""
    check_word(measure, GOALS, parameter="measure")
    if batch_size is not None and batch_size < 1:
        raise ParameterError("must be at least 1", parameter="batch_size")
    if against is not None:
        _demand_other(scan, against)
    with values_explained(scan):
        heed_unlisted(scan.histogram, unlisted)
    present_counts(scan.histogram)  # that there are some
    return Recommendation.of(situation_of(scan, measure, batch_size, against), weigh)


def _demand_other(scan: StoredScan, against: StoredScan) -> None:
    if against is scan or (against.info.id and against.info == scan.info):
        raise ParameterError(f"{printable(against.name)!r} is the scan itself", parameter="against")
    if against.catalog.names != scan.catalog.names:
        raise CatalogError(
            f"is read under other classes than {printable(scan.name)}",
            where=printable(against.name),
            remedy=f"{argument('classes')} reads both under the same",
        )


def situation_of(
    scan: StoredScan, measure: Goal, batch_size: int | None, against: StoredScan | None
) -> Situation:
    """The facts of a scan, or of what training sees of it."""
    files, seen = scan._files, scan._crops
    said = batch_size
    if said is None and seen is not None and seen.recipe.batch_size > 1:
        said = seen.recipe.batch_size
    size = said or USUAL_BATCH
    suggested = None
    try:
        intervals, suggested = files.intervals, files.suggested_groups
    except UnknownCountsError:  # counts were given
        intervals = None
    cannot = None
    if intervals is not None and said is not None and measure == "recall":
        cannot = lacking(scan._batch_rows, size, scan._batching)
    named, rule = files.has_group_rule, files.group_rule.text
    suggestion = "" if suggested is None else suggested.sentence
    typed = can_be_typed(scan)
    crop = None if seen is None else asked_again(seen.recipe).get("crop")
    with np.errstate(divide="ignore", invalid="ignore"):
        width = None if intervals is None else intervals.upper / intervals.lower
    validation = None if against is None else against.histogram
    return Situation(
        scan.catalog.names,
        measure,
        np.asarray(scan.histogram.frequency),
        size,
        said is not None,
        scan.histogram.row,
        known(files.histogram, "masks") if intervals is None else intervals.masks,
        None if intervals is None else intervals.groups,
        width,
        _in_batches(scan, size),
        None if cannot is None else Lacking(tuple(cannot[0].tolist()), cannot[1]),
        named,
        suggestion,
        rule if named else "" if suggested is None else suggested.rule.text,
        _ignored(files.histogram),
        None if validation is None else np.asarray(validation.frequency),
        "" if against is None else against.name,
        {**whose(scan), **read_as(scan)} if typed else {},
        whose(scan) if typed else {},
        crop if isinstance(crop, (int, str)) else None,
        seen is not None and seen.recipe.draws is not None,
        ignored_label(files.histogram),
    )


def _in_batches(scan: StoredScan, size: int) -> npt.NDArray[np.float64] | None:
    """Chance of a full batch to have each class."""
    if (seen := scan._crops) is not None:
        return seen.in_batches(size)
    masks, count = known(scan.histogram, "masks"), known(scan.histogram, "mask_count")
    return None if masks is None or not count else chance_to_meet(masks, count, size)


def chance_to_meet(masks: IntArray, count: int, size: int) -> npt.NDArray[np.float64]:
    """float64[K]: chance that one of `masks` of `count` is among `size` that are drawn at once.

    1 - C(count - masks, size) / C(count, size), and 1 where so many are drawn that one must be.
    """
    left = count - np.arange(min(size, count), dtype=np.float64)
    with np.errstate(divide="ignore"):  # ln 0: one must be
        logs = [np.log1p(-np.minimum(m / left, 1.0)).sum() for m in masks.tolist()]
    return np.asarray(-np.expm1(logs))


def _ignored(histogram: ClassHistogram) -> float | None:
    """Share of the pixels that have no class."""
    whole = known(histogram, "total_pixels")
    if not whole or histogram.unit == "shares":
        return None
    return 1.0 - int(histogram.pixels.sum()) / int(whole)
