"""Losses of a sigmoid: one logit an element, or a channel a label, each by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from maskstat.errors import ParameterError
from maskstat.keras.functional.elements import (
    REDUCTIONS,
    PerClass,
    Tensor,
    along_elements,
    at_hand,
    check_per_class,
    enlarged,
    finite,
    fits,
    is_floating,
    quotient,
    refuse_probabilities,
    share,
    widened,
)
from maskstat.keras.functional.odds import softplus
from maskstat.training.binary_arguments import (
    check_binary_reduction,
    one_weight_of_positives,
    stray_target,
)
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.weights.pos_weight import of_table
from maskstat.weights.table import WeightTable

PosWeight: TypeAlias = float | PerClass | WeightTable


def binary_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    pos_weight: PosWeight | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """-y pos_weight ln p - (1 - y) ln(1 - p), p = sigmoid(z).

    It is cross entropy of the logits (0, z) with weights (1, pos_weight) and reduction "mean", and
    Keras' `BinaryCrossentropy(from_logits=True)` where nothing is weighed or ignored.

    Args:
        logits: [N], [N, H, W]: one logit an element; [N, L], [N, ..., L]: a channel a label.
        target: 0, 1 or between, of the logits' shape; an axis of one channel is optional. Of any
            type: integers, booleans, floats.
        label_smoothing: from 0 to 1; y becomes (1 - s) y + s / 2.
        pos_weight: what a positive weighs, where a negative weighs 1: a number, [L] numbers, a
            table of two weights (w1 / w0) or of labels, or None for 1. `load_pos_weight` reads
            files.
        ignore_index: targets to leave out, one or several, or None.
        reduction: "none", of the logits' shape; "sum"; "mean" ("sum_over_batch_size"), by the
            number of elements that are neither ignored nor masked, 0 where there are none.
            pos_weight holds under this mean alone, so there is no "weighted-mean".
        sample_weight: factors, of the logits' shape, [N, ...] for all labels alike, or its first
            axes; or None.
        mask: boolean, as `sample_weight`: False leaves an element out; or None.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing. Targets outside
            0..1 that are not ignored are an error where looking is free; elsewhere they make the
            loss NaN.
        WeightError: a table of other than two classes, or one of which never occurs.
    """
    return _binary_loss(
        logits,
        target,
        label_smoothing=share(label_smoothing, "label_smoothing"),
        pos_weight=pos_weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        of_positive=lambda z: softplus(-z),
    )


def binary_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    pos_weight: PosWeight | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """-(1 - p)^gamma ln p where y = 1, -p^gamma ln(1 - p) where y = 0 (Lin et al. 2017).

    arXiv 1708.02002, equations 4 and 5: Keras' `BinaryFocalCrossentropy(from_logits=True)` of
    targets 0 and 1, where `alpha` goes with apply_class_balancing=True. An element with y between
    costs y and 1 - y of the two here; Keras takes another power there.

    Args:
        gamma: at least 0, which is binary cross entropy.
        alpha: from 0 to 1: positives weigh alpha, negatives 1 - alpha. Not beside `pos_weight`,
            which is alpha / (1 - alpha) in other words; None for neither.

    Other arguments as in `binary_cross_entropy`.

    Raises:
        ParameterError, WeightError: as `binary_cross_entropy`.
    """
    gamma = finite(gamma, "gamma", 0.0)
    one_weight_of_positives(alpha, pos_weight)
    shares = (1.0, 1.0)
    if alpha is not None:
        alpha = share(alpha, "alpha")
        shares = (alpha, 1 - alpha)
    return _binary_loss(
        logits,
        target,
        pos_weight=pos_weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        shares=shares,
        # A power of the other side's probability: smooth, where (1 - p)^gamma has no slope at 0.
        of_positive=lambda z: ops.exp(-gamma * softplus(z)) * softplus(-z),
    )


def _binary_loss(
    logits: Tensor,
    target: Tensor,
    *,
    pos_weight: PosWeight | None,
    ignore_index: IgnoreIndex,
    reduction: str | None,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    of_positive: Callable[[Tensor], Tensor],
    label_smoothing: float = 0.0,
    shares: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """A loss that of a negative is that of a positive with the logit's sign turned."""
    reduction = standard_binary_reduction(reduction)
    refuse_probabilities(logits)
    given = ops.convert_to_tensor(logits)
    if not is_floating(given) or len(given.shape) == 0:
        raise ParameterError(
            f"logits are {standardize_dtype(given.dtype)}, {len(given.shape)}-D: not floating,"
            " [N, ...]"
        )
    z = widened(given)
    kept = None if mask is None else ops.cast(_along(mask, z, "mask"), "bool")
    y, counted = _binary_target(z, target, ignore_index, kept)
    if label_smoothing:
        y = y * (1 - label_smoothing) + label_smoothing / 2
    positive = y * shares[0]
    if pos_weight is not None:
        positive = positive * _along_labels(pos_weight, z)
    losses = positive * of_positive(z) + (1 - y) * shares[1] * of_positive(-z)
    if sample_weight is not None:
        losses = losses * ops.cast(_along(sample_weight, z, "sample_weight"), z.dtype)
    losses = ops.where(counted, losses, ops.zeros_like(losses))
    if reduction == "none" or reduction == "sum":
        return losses if reduction == "none" else ops.sum(losses)
    return quotient(ops.sum(losses), ops.sum(ops.cast(counted, z.dtype)))


def standard_binary_reduction(reduction: str | None) -> str:
    """One of "none", "sum" and "mean". Raises ParameterError for any other."""
    own = reduction
    if reduction is None or isinstance(reduction, str):
        own = REDUCTIONS.get(reduction, reduction)
    check_binary_reduction(own)  # type: ignore[arg-type]
    return str(own)


def _binary_target(
    z: Tensor, target: Tensor, ignore_index: IgnoreIndex, kept: Tensor | None
) -> tuple[Tensor, Tensor]:
    """y in 0..1 beside the logits, 0 where it is left out, and what counts."""
    y = ops.cast(_fitted(z, ops.convert_to_tensor(target)), z.dtype)
    counted = ops.ones_like(y, dtype="bool")
    if kept is not None:
        counted = ops.logical_and(counted, kept)
    for index in ignored_labels(ignore_index):
        counted = ops.logical_and(counted, ops.not_equal(y, index))
    y = ops.where(counted, y, ops.zeros_like(y))
    inside = ops.logical_and(y >= 0, y <= 1)
    values = at_hand(y)
    if values is not None:
        stray = values[~((values >= 0) & (values <= 1))]
        if stray.size:
            raise stray_target(float(stray[0]), ignore_index)
    return ops.where(inside, y, ops.cast(np.nan, y.dtype)), counted


def _fitted(z: Tensor, target: Tensor) -> Tensor:
    """The target in the logits' shape: an axis of one channel comes and goes."""
    shape, given = tuple(z.shape), tuple(target.shape)
    if fits(given, shape):
        return target
    if shape[-1] == 1 and fits(given, shape[:-1]):
        return ops.expand_dims(target, -1)
    if given and given[-1] == 1 and fits(given[:-1], shape):
        return ops.squeeze(target, -1)
    remedy = enlarged(shape if has_labels(z) else (*shape, 1), given)
    if has_labels(z) and fits(given, shape[:-1]):
        remedy = (
            "class labels go with CrossEntropy; labels that overlap have a channel each:"
            f" keras.ops.one_hot(target, {shape[-1]})"
        )
    raise ParameterError(
        f"targets of shape {given} do not fit logits of shape {shape}",
        remedy=remedy or "both have the same shape",
    )


def has_labels(z: Tensor) -> bool:
    """Whether the last axis is one of labels: [N, L], [N, H, W, L], but not [N, H, W]."""
    return len(z.shape) == 2 or len(z.shape) > 3


def pos_weight_array(values: PosWeight) -> np.ndarray | Tensor:
    """A number or [L] numbers, of as many axes. Raises ParameterError, WeightError."""
    if isinstance(values, WeightTable):
        values = of_table(values)
    if isinstance(values, (str, os.PathLike)):
        raise ParameterError(
            "pos_weight is a number or one a label, not a file",
            remedy="write pos_weight=load_pos_weight(...) of maskstat.keras",
        )
    table = at_hand(values)
    found = ops.convert_to_tensor(values) if table is None else check_per_class(table, "pos_weight")
    if len(found.shape) > 1:
        raise ParameterError(
            f"pos_weight of shape {tuple(found.shape)} is neither a number nor one a label",
            remedy="make it a list of one number a label",
        )
    return found


def _along_labels(values: PosWeight, z: Tensor) -> Tensor:
    """A number, or [L] along the logits' axis of labels."""
    table = pos_weight_array(values)
    shape = tuple(table.shape)
    if shape and shape != (1,) and not (has_labels(z) and fits(shape, (z.shape[-1],))):
        raise ParameterError(
            f"pos_weight of {shape[0]} labels does not fit logits of shape {tuple(z.shape)}",
            remedy="labels are the last axis: [N, L] or [N, H, W, L]",
        )
    return ops.cast(ops.convert_to_tensor(table), z.dtype)


def _along(values: Tensor, z: Tensor, name: str) -> Tensor:
    """Numbers of elements, beside the logits."""
    tensor = ops.convert_to_tensor(values)
    if fits(tuple(tensor.shape), tuple(z.shape)):
        return tensor
    if not has_labels(z):
        return along_elements(tensor, ops.expand_dims(z, -1), name)
    return ops.expand_dims(along_elements(tensor, z, name), -1)
