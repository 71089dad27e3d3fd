"""The price list: what it costs to answer every pixel with the same class.

A constant predictor looks at nothing. What it costs under some weights shows what these weights
reward; its accuracy, mean IoU and balanced accuracy show what a metric is worth as a baseline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError
from maskstat.naming import counted
from maskstat.parameters import check_word
from maskstat.showing import one_line, span
from maskstat.weights.choices import AVERAGES, Average

if TYPE_CHECKING:
    from maskstat.weights.batches import Batches, Batching, FloatArray, LedgerLike

DEFAULT_EPSILON = 1e-7
"""Keras clips probabilities at this distance from 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceList:
    """Costs of the constant predictors, in nats a labelled pixel, and their metrics.

    Attributes:
        average: "pixel" (a mean over pixels: weighted losses are added and divided by the number
            of labelled pixels) or "batch" (every batch divided by its sum of weights).
        batch_size: masks in a batch; no matter to "pixel".
        last_batch: masks in the last batch of an epoch where that is smaller and kept, else 0.
        crops: of each mask that batches are made of; 0 where they are of masks.
        epsilon: the predictor gives its class 1 - epsilon, every other epsilon / (K - 1).
        occurs: bool[K], classes with at least one labelled pixel.
        frequency: float64[K], p, share of each class among labelled pixels.
        shares: float64[K], share of each class in the weight of all pixels ("pixel": p_c w_c
            normalised) or of the average batch ("batch"). Sums to 1.
        scale: the weight of an average pixel: sum_c p_c w_c for "pixel", 1 for "batch".
        costs: float64[K], scale * (b - (b - a) shares), with a = -ln(1 - epsilon) for a right
            and b = -ln(epsilon / (K - 1)) for a wrong pixel.
        standard_errors: float64[K], of the costs, from the drawing of batches and of crops; 0
            where all batches of masks were taken.
        soft_predictor: float64[K], the best constant probabilities; they equal `shares`.
        soft_loss: their loss, scale * entropy(shares); ln K when equal costs are scaled to an
            average pixel weight of 1.
        pixel_accuracy: float64[K] of each constant predictor, p.
        mean_iou: float64[K], p over the number of classes that occur: one class has IoU p, the
            others 0.
        balanced_accuracy: float64[K], mean recall over the classes that occur: 1 over their
            number.
        batches: batches averaged over.
        left_out: batches left out since they have no labelled pixel or weigh nothing (0/0).
    """

    average: Average
    batch_size: int
    last_batch: int
    crops: int
    epsilon: float
    occurs: npt.NDArray[np.bool_]
    frequency: FloatArray
    shares: FloatArray
    scale: float
    costs: FloatArray
    standard_errors: FloatArray
    soft_predictor: FloatArray
    soft_loss: float
    pixel_accuracy: FloatArray
    mean_iou: FloatArray
    balanced_accuracy: FloatArray
    batches: int
    left_out: int

    def __repr__(self) -> str:
        return one_line(
            self,
            self.average,
            counted(len(self.costs), "class"),
            f"{span(self.costs)} nats a pixel",
        )

    @property
    def saved(self) -> FloatArray:
        """float64[K], nats a labelled pixel that each constant predictor costs less than one that
        is wrong everywhere: scale * (b - a) * shares."""
        wrong, right = wrong_and_right(len(self.shares), self.epsilon)
        return self.scale * (wrong - right) * self.shares

    @property
    def spread(self) -> float:
        """Dearest minus cheapest, among classes that occur, in nats."""
        return float(np.ptp(self.costs[self.occurs]))

    @property
    def relative_spread(self) -> float:
        """Dearest over cheapest, minus 1, among classes that occur."""
        costs = self.costs[self.occurs]
        return float(costs.max() / costs.min() - 1.0) if costs.min() > 0 else 0.0

    @property
    def effective_weights(self) -> FloatArray:
        """float64[K], shares / p: the weight an average pixel of each class really has.

        Equal to w up to scale for "pixel". For "batch" a pixel also counts the more the less
        weight its batch has; under equal cost this is 1 / (K p_c), whatever the batch size.
        Classes that do not occur have 0.
        """
        weights = np.zeros(len(self.shares))
        weights[self.occurs] = self.shares[self.occurs] / self.frequency[self.occurs]
        return weights


def epsilon_of(confidence: float | None) -> float:
    """What a predictor of this confidence leaves to the other classes. Raises ParameterError."""
    if confidence is None:
        return DEFAULT_EPSILON
    if not 0 < confidence < 1:
        raise ParameterError(
            f"{confidence:g} is no probability above 0 and below 1",
            parameter="predictor_confidence",
        )
    return 1.0 - confidence


def wrong_and_right(class_count: int, epsilon: float) -> tuple[float, float]:
    """(b, a): cross entropy of a wrong and of a right pixel for a predictor of this confidence.

    Raises:
        ParameterError: epsilon is not above 0, or so large that the predictor prefers no class.
    """
    if not 0.0 < epsilon < (class_count - 1) / class_count and class_count > 1:
        raise ParameterError(
            f"a predictor of {class_count} classes that gives its own {1 - epsilon:g} has no "
            "finite cost or does not prefer it",
            parameter="predictor_confidence",
            remedy=f"its confidence must lie above {1 / class_count:.3g} and below 1",
        )
    right = -float(np.log1p(-epsilon))
    return (-float(np.log(epsilon / (class_count - 1))), right) if class_count > 1 else (0.0, 0.0)


def linear_price_list(
    pixels: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    epsilon: float = DEFAULT_EPSILON,
) -> PriceList:
    """Costs of all constant predictors where the loss is a plain mean or sum (Keras).

    Args:
        pixels: [K], labelled pixels of each class, or numbers in proportion to them.
        weights: [K], or None for no weights.
        epsilon: as in `PriceList`.

    Raises:
        WeightError: no labelled pixel, or all labelled pixels weigh 0.
        ParameterError: weights of another length, negative or not finite, or an epsilon outside
            its range.
    """
    totals = np.asarray(pixels, np.float64)
    if not totals.any():
        raise WeightError("no pixel has a class, so there is nothing to weigh")
    frequency = totals / totals.sum()
    table = _checked_weights(weights, frequency)
    scale = float(frequency @ table)
    shares, errors = frequency * table / scale, np.zeros(len(totals))
    return _price_list("pixel", 1, 0, 0, epsilon, frequency, shares, scale, errors, 0, 0)


def price_list(
    ledger: LedgerLike,
    weights: npt.ArrayLike | None = None,
    average: Average = "pixel",
    *,
    batch_size: int = 1,
    batching: Batching | None = None,
    pixels: npt.ArrayLike | None = None,
    epsilon: float = DEFAULT_EPSILON,
    seed: int = 0,
) -> PriceList:
    """Costs of all constant predictors under these weights (None: no weights).

    "pixel" is `linear_price_list` of the ledger's totals. For "batch" all batches are averaged
    where there are few (a batch size of 1, one batch of everything), otherwise at least 2,048
    seeded random ones, as `batching` makes them (by default of masks, the last batch kept).

    `pixels`, [K], are those of each class where the ledger is a sample of them (crops); only
    batches are made of its rows then.

    Raises:
        WeightError: no labelled pixel, or all labelled pixels weigh 0.
        ParameterError: unknown average, weights of another length, negative or not finite, a
            batch size below 1, or an epsilon outside its range.
    """
    from maskstat.weights.batches import BatchDrawer, MaskRows, sample_of_passes

    check_word(average, AVERAGES, parameter="average")
    rows = MaskRows.of(ledger, batching)
    totals = rows.spread_out(rows.totals) if pixels is None else np.asarray(pixels, np.float64)
    drawer = BatchDrawer(rows, batch_size, seed)
    if average == "pixel":
        linear = linear_price_list(totals, weights, epsilon=epsilon)
        return replace(linear, batch_size=drawer.batch_size)
    frequency = totals / totals.sum()
    table = _checked_weights(weights, frequency)
    wrong_and_right(len(table), epsilon)  # refused before anything is drawn
    drawn = drawer.every_batch() if drawer.enumerable else sample_of_passes(drawer)
    mean, deviation, weighing = _sampled_shares(drawn, table[rows.present])
    return _price_list(
        "batch",
        drawer.batch_size,
        drawer.cut.last,
        rows.crops,
        epsilon,
        frequency,
        rows.spread_out(mean),
        1.0,
        rows.spread_out(deviation),
        weighing,
        drawn.left_out + len(drawn) - weighing,
    )


def _checked_weights(weights: npt.ArrayLike | None, frequency: FloatArray) -> FloatArray:
    count = len(frequency)
    table = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if table.shape != (count,) or not np.isfinite(table).all() or (table < 0).any():
        raise ParameterError(f"weights must be {count} finite numbers, none of them negative")
    if not (frequency * table).any():
        raise WeightError("every class that occurs has weight 0, so the loss is 0/0")
    return table


def _price_list(
    average: Average,
    batch_size: int,
    last_batch: int,
    crops: int,
    epsilon: float,
    frequency: FloatArray,
    shares: FloatArray,
    scale: float,
    errors: FloatArray,
    batches: int,
    left_out: int,
) -> PriceList:
    """What follows from the shares and their errors."""
    wrong, right = wrong_and_right(len(frequency), epsilon)
    occurs = frequency > 0
    entropy = -float(shares[shares > 0] @ np.log(shares[shares > 0]))
    return PriceList(
        average=average,
        batch_size=batch_size,
        last_batch=last_batch,
        crops=crops,
        epsilon=epsilon,
        occurs=occurs,
        frequency=frequency,
        shares=shares,
        scale=scale,
        costs=scale * (wrong - (wrong - right) * shares),
        standard_errors=scale * (wrong - right) * errors,
        soft_predictor=shares,
        soft_loss=scale * entropy,
        pixel_accuracy=frequency,
        mean_iou=frequency / occurs.sum(),
        balanced_accuracy=occurs / occurs.sum(),
        batches=batches,
        left_out=left_out,
    )


def _sampled_shares(batches: Batches, weights: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Mean shares, their standard errors, and the number of batches that weigh anything."""
    from maskstat.weights.matrix_scaling import parts, share_errors

    split = parts(batches, weights)
    if not len(split):
        raise WeightError("every batch holds classes of weight zero only, so its mean is 0/0")
    return split.mean, share_errors(batches, split).total, len(split)
