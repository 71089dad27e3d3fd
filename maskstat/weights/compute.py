"""From counts to class weights: scheme, absent classes, normalisation, clipping, in this order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import (
    AbsentClassError,
    ParameterError,
    UnknownCountsError,
    UnlistedValuesError,
    WeightError,
    argument,
    call,
)
from maskstat.naming import counted, printable
from maskstat.parameters import check_word
from maskstat.values.histogram import ClassHistogram
from maskstat.values.known import known
from maskstat.values.readings import (
    reading_of_ignored_0,
    readings_of_255,
    readings_of_unlisted,
)
from maskstat.values.tally import IntArray
from maskstat.version import __version__
from maskstat.weights.choices import ABSENT, UNLISTED, Absent, Normalisation, Unlisted
from maskstat.weights.normalise import normalise
from maskstat.weights.schemes import ClassCounts, FloatArray, find_scheme
from maskstat.weights.table import WeightTable

if TYPE_CHECKING:
    from maskstat.weights.equal_cost import EqualCostWeights


def compute(
    histogram: ClassHistogram,
    scheme: str = "equal-cost",
    *,
    parameters: Mapping[str, object] | None = None,
    normalize: Normalisation = "none",
    clip: tuple[float, float] | None = None,
    absent: Absent | None = None,
    unlisted: Unlisted = "refuse",
    source: str | None = None,
    components: Callable[[], IntArray] | None = None,
) -> WeightTable:
    """Class weights from exact counts.

    Args:
        histogram: counts of K classes.
        scheme: one of `SCHEMES`.
        parameters, normalize, clip, absent, unlisted: as in `maskstat.api.scan.Scan.weights`.
        source: provenance.
        components: gives int64[K], connected components, where a scheme is asked to count them.

    Returns:
        Weights, finite and >= 0.

    Raises:
        UnlistedValuesError: pixels have values that are neither classes nor ignored.
        AbsentClassError: a named class never occurs and no policy was chosen.
        UnknownCountsError: the scheme needs more than these given counts know.
        WeightError: nothing is labelled, the formula overflows, or it counts components and there
            are none to be had.
        ParameterError: unknown scheme, parameter, normalisation or policy.
        PluginError: the scheme is a plugin's that can't be used.
    """
    chosen = find_scheme(scheme)
    bound = chosen.bind(parameters or {})
    heed_unlisted(histogram, unlisted)
    policy = resolve_absent(histogram, absent)
    counts = present_counts(histogram, components)
    try:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            raw = chosen.function(counts, **bound)
    except UnknownCountsError as error:
        raise UnknownCountsError(
            error.problem, where=f"scheme {chosen.name}", remedy=error.remedy
        ) from error
    return finish(
        histogram,
        raw,
        chosen.name,
        bound,
        policy=policy,
        normalize=normalize,
        clip=clip,
        source=source,
        reduction=chosen.reduction,
        package=chosen.package,
    )


def finish(
    histogram: ClassHistogram,
    raw: FloatArray,
    scheme: str,
    parameters: Mapping[str, object],
    *,
    policy: Absent,
    normalize: Normalisation = "none",
    clip: tuple[float, float] | None = None,
    source: str | None = None,
    reduction: str | None = None,
    solution: EqualCostWeights | None = None,
    package: str | None = None,
) -> WeightTable:
    """A table from the raw weights [P] of the classes that occur. Raises like `compute`."""
    present = histogram.present
    if not np.isfinite(raw).all() or (raw < 0).any() or not (raw > 0).any():
        raise WeightError(
            f"scheme {scheme} gives no usable weights under {_spelled(parameters)}",
            remedy="choose milder parameters",
        )
    weights = scaled(raw, present, histogram.frequency, policy, normalize)
    if clip is not None:
        low, high = checked_clip(clip)
        counted = present | (weights > 0)
        weights[counted] = np.clip(weights[counted], low, high)
    if not np.isfinite(weights).all():
        raise WeightError(f"scheme {scheme} overflows under {_spelled(parameters)}")
    names = histogram.catalog.names
    missing = [names[k] for k in np.flatnonzero(~present)]
    return WeightTable(
        histogram.catalog.names,
        weights,
        histogram.pixels,
        scheme,
        dict(parameters),
        normalize,
        reduction,
        {"policy": policy, "classes": missing, **_void(histogram)} if missing else {},
        clip,
        {
            "source": source,
            "masks": known(histogram, "mask_count"),
            **({"row": histogram.row} if histogram.seen else {}),
            **({"measure": "volume"} if histogram.unit == "volume" else {}),
            "labelled_pixels": None if histogram.unit == "shares" else histogram.labelled_pixels,
            "counts_digest": histogram.counts_digest(),
            "catalog": histogram.catalog.name,
            "maskstat": __version__,
            **({} if package is None else {"plugin": package}),
        },
        "shares" if histogram.unit == "volume" else histogram.unit,
        solution,
        known(histogram, "masks"),
    )


def scaled(
    raw: FloatArray,
    present: NDArray[np.bool_],
    frequency: FloatArray,
    policy: Absent,
    normalize: Normalisation,
) -> FloatArray:
    """float64[K]: raw weights [P] with those of absent classes, normalised, before clipping."""
    weights = np.zeros(len(present))
    weights[present] = raw
    if not present.all():
        weights[~present] = {"zero": 0.0, "one": 1.0, "max": float(raw.max())}[policy]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return normalise(weights, frequency, normalize)


def present_counts(
    histogram: ClassHistogram, components: Callable[[], IntArray] | None = None
) -> ClassCounts:
    """The counts of the classes that occur. Raises WeightError where none does."""
    present = histogram.present
    if not present.any():
        raise WeightError(
            "not one pixel belongs to a class, so there is nothing to weigh",
            remedy=f"check {argument('classes')} and {argument('ignore')} against"
            f" '{call('open_scan')}'",
        )
    masks, image_pixels, labelled_image_pixels = (
        None if (counts := known(histogram, name)) is None else counts[present]
        for name in ("masks", "image_pixels", "labelled_image_pixels")
    )
    return ClassCounts(
        histogram.pixels[present],
        masks,
        image_pixels,
        labelled_image_pixels,
        None if components is None else lambda: components()[present],
        histogram.unit,
    )


def heed_unlisted(histogram: ClassHistogram, unlisted: Unlisted) -> None:
    """Raise UnlistedValuesError where pixels have values that nobody explained, unless ignored."""
    check_word(unlisted, UNLISTED, parameter="unlisted")
    if not histogram.unlisted or unlisted == "ignore":
        return
    shown = [
        f"{value} ({counted(count.pixels, 'pixel')} in {counted(count.masks, 'mask')},"
        f" first {printable(count.first or '')})"
        for value, count in list(histogram.unlisted.items())[:3]
    ]
    more = len(histogram.unlisted) - len(shown)
    listing = ", ".join(shown) + (f" and {more} more" if more else "")
    raise UnlistedValuesError(
        f"values that are neither classes nor ignored: {listing}",
        remedy=f"{argument('unlisted', 'ignore')} where they are void; {argument('classes')} with"
        " a file that lists them where they are classes"
        if more
        else readings_of_unlisted(
            [info.values for info in histogram.catalog.classes],
            list(histogram.unlisted),
            numbered=histogram.catalog.origin == "number",
        ),
    )


def resolve_absent(histogram: ClassHistogram, absent: Absent | None) -> Absent:
    """The policy for absent classes. Raises AbsentClassError where the user must choose one.

    That is also where 255 is ignored by default, and is probably the class that is missing; where
    it stops anyway it says so wherever 255 may be one.
    """
    if absent is not None:
        check_word(absent, ABSENT, parameter="absent")
    names = histogram.catalog.names
    missing = [names[k] for k in np.flatnonzero(~histogram.present)]
    # Somebody who gave only K declared a model's outputs, not what the data should hold.
    counted_only = histogram.catalog.origin in {"number", "inferred"}
    void = histogram.probable_255 if counted_only else histogram.doubtful_255
    if absent is None and void is not None:
        raise AbsentClassError(
            f"{_never_occur(missing, histogram)}, while 255 is ignored by default"
            f" ({counted(void.pixels, 'pixel')} in {counted(void.masks, 'mask')})"
            + ("" if histogram.present.any() else ": not one pixel belongs to a class"),
            remedy=f"{readings_of_255()}; where classes lack, choose their weight with"
            f" {argument('absent')}: zero, one or max",
        )
    if absent is None:
        absent = "one" if counted_only else "error"
    if missing and absent == "error" and histogram.present.any():
        raise AbsentClassError(
            _never_occur(missing, histogram),
            remedy=f"{_shift(histogram)}choose their weight with {argument('absent')}: zero, one or"
            " max",
        )
    return absent


def _void(histogram: ClassHistogram) -> dict[str, object]:
    void = histogram.doubtful_255
    said: dict[str, object] = {} if void is None else {"ignored_255": void.pixels}
    return said | ({"ignored_0": True} if histogram.catalog.lacks_zero else {})


def _shift(histogram: ClassHistogram) -> str:
    return f"{reading_of_ignored_0()}; else " if histogram.catalog.lacks_zero else ""


def _never_occur(missing: list[str], histogram: ClassHistogram) -> str:
    names = ", ".join(map(printable, missing[:8])) + (" ..." if len(missing) > 8 else "")
    return f"{len(missing)} of {len(histogram.catalog)} classes never occur: {names}"


def checked_clip(clip: tuple[float, float]) -> tuple[float, float]:
    """Bounds of weights. Raises ParameterError where they are none."""
    low, high = clip
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high and high > 0):
        raise ParameterError(
            f"{low:g}:{high:g} is no range of weights",
            parameter="clip",
            remedy=argument("clip", (0.1, 10)),
        )
    return low, high


def _spelled(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items()) or "these counts"
