"""Weights of labels: for each the pos_weight of binary cross entropy.

A label is a problem of two classes: pixels that lack it (0) and pixels that have it (1). A scheme
gives these weights w0 and w1, and binary cross entropy with pos_weight p = w1 / w0 under a plain
mean is cross entropy with them, up to a factor w0 that is of each label alone; for equal cost p is
n0 / n1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from maskstat.errors import (
    AbsentClassError,
    ParameterError,
    UnlistedValuesError,
    WeightError,
    argument,
    call,
)
from maskstat.naming import counted, printable
from maskstat.parameters import check_word
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.readings import CHANNELS_UNLISTED
from maskstat.values.tally import IntArray
from maskstat.version import __version__
from maskstat.weights.choices import ABSENT, Absent, Normalisation, Unlisted
from maskstat.weights.compute import checked_clip, heed_unlisted
from maskstat.weights.schemes import ClassCounts, FloatArray, find_scheme
from maskstat.weights.table import WeightTable


def weigh_labels(
    histogram: ClassHistogram,
    ledger: Callable[[], MaskLedger],
    scheme: str = "equal-cost",
    *,
    parameters: Mapping[str, object] | None = None,
    normalize: Normalisation = "none",
    clip: tuple[float, float] | None = None,
    absent: Absent | None = None,
    unlisted: Unlisted = "refuse",
    source: str | None = None,
) -> WeightTable:
    """pos_weight of each label, from exact counts.

    Args:
        histogram: counts of K labels.
        ledger: gives the mask x label counts.
        scheme, parameters, clip, unlisted: as in `maskstat.api.scan.Scan.weights`.
        normalize: "none": a ratio of two weights has no scale.
        absent: pos_weight of labels that no pixel has, or every pixel.
        source: provenance.

    Returns:
        A table of K numbers, finite and >= 0, with `negatives`.

    Raises:
        UnlistedValuesError: pixels are in channels that are neither labels nor ignored.
        AbsentClassError: a named label has no positive or no negative pixel, and no policy was
            chosen.
        WeightError: that is so of all labels, or the formula overflows.
        ParameterError: unknown scheme, parameter or policy, or a normalisation.
    """
    chosen = find_scheme(scheme)
    bound = chosen.bind(parameters or {})
    if normalize != "none":
        raise ParameterError(
            "divides both weights of a label, and pos_weight is their ratio",
            parameter="normalize",
            remedy=f"leave it out; {argument('clip')} bounds pos_weight",
        )
    try:
        heed_unlisted(histogram, unlisted)
    except UnlistedValuesError as error:
        remedy = f"{CHANNELS_UNLISTED}; {argument('unlisted', 'ignore')} where they are void"
        raise UnlistedValuesError(error.problem, remedy=remedy) from error
    one_sided = (histogram.pixels == 0) | (histogram.negatives == 0)
    policy = _policy(histogram, one_sided, absent)
    pairs = _pairs(histogram, ledger())
    weights = np.zeros(len(histogram.catalog))
    for k in np.flatnonzero(~one_sided):
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            pair = chosen.function(ClassCounts(*(each[k] for each in pairs)), **bound)
            weights[k] = pair[1] / pair[0]
    if not np.isfinite(weights).all():
        raise WeightError(
            f"scheme {chosen.name} gives no usable weights under {bound}",
            remedy="choose milder parameters",
        )
    if one_sided.any():
        weights[one_sided] = {"zero": 0.0, "one": 1.0, "max": float(weights.max())}[policy]
    if clip is not None:
        low, high = checked_clip(clip)
        clipped = ~one_sided | (weights > 0)
        weights[clipped] = np.clip(weights[clipped], low, high)
    names = histogram.catalog.names
    missing = [names[k] for k in np.flatnonzero(one_sided)]
    return WeightTable(
        names,
        weights,
        histogram.pixels,
        chosen.name,
        bound,
        reduction="linear",
        absent={"policy": policy, "classes": missing} if missing else {},
        clip=clip,
        provenance={
            "source": source,
            "masks": histogram.mask_count,
            "labelled_pixels": histogram.labelled_pixels,
            "counts_digest": histogram.counts_digest(),
            "catalog": histogram.catalog.name,
            "maskstat": __version__,
            **({} if chosen.package is None else {"plugin": chosen.package}),
        },
        masks=histogram.masks,
        negatives=histogram.negatives,
    )


def _pairs(histogram: ClassHistogram, ledger: MaskLedger) -> tuple[IntArray, ...]:
    """pixels, masks, image_pixels and labelled_image_pixels int64[K, 2] without and with a label.

    A mask has pixels without a label unless all of its labelled pixels have it.
    """
    labelled = ledger.labelled
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    full = ledger.pixels == labelled[rows]

    def lacking(of_mask: IntArray) -> IntArray:
        found = np.full(ledger.class_count, of_mask[labelled > 0].sum(), np.int64)
        np.subtract.at(found, ledger.classes[full], of_mask[rows[full]])
        return found

    columns = (
        (histogram.negatives, histogram.pixels),
        (lacking(np.ones_like(labelled)), histogram.masks),
        (lacking(ledger.areas), histogram.image_pixels),
        (lacking(labelled), histogram.labelled_image_pixels),
    )
    return tuple(np.stack(pair, axis=1) for pair in columns)


def _policy(histogram: ClassHistogram, one_sided: FloatArray, absent: Absent | None) -> Absent:
    """What labels without positives or without negatives weigh. Raises AbsentClassError."""
    if absent is not None:
        check_word(absent, ABSENT, parameter="absent")
    if not histogram.labelled_pixels or one_sided.all():
        raise WeightError(
            "no label has both positive and negative pixels, so there is nothing to weigh",
            remedy=f"check {argument('classes')} and {argument('ignore')} against"
            f" '{call('open_scan')}'",
        )
    named = histogram.catalog.origin not in {"number", "inferred"}
    policy = absent or ("error" if named else "one")
    if one_sided.any() and policy == "error":
        names = [histogram.catalog.names[k] for k in np.flatnonzero(one_sided)]
        listed = ", ".join(map(printable, names[:8])) + (" ..." if len(names) > 8 else "")
        raise AbsentClassError(
            f"{counted(len(names), 'label')} of {len(histogram.catalog)} without a positive or"
            f" without a negative pixel: {listed}",
            remedy=f"choose their pos_weight with {argument('absent')}: zero, one or max",
        )
    return policy
