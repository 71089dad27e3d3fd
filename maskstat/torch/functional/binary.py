"""Losses of a sigmoid: one logit an element, or a channel a label, each by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from maskstat.errors import ParameterError
from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    along_elements,
    as_tensor,
    check_per_class,
    enlarged,
    finite,
    free_to_look,
    left_out,
    reduced,
    share,
    widened,
)
from maskstat.training.binary_arguments import (
    check_binary_reduction,
    one_weight_of_positives,
    stray_target,
)
from maskstat.training.loss_arguments import IgnoreIndex
from maskstat.weights.pos_weight import of_table
from maskstat.weights.table import WeightTable

BinaryReduction: TypeAlias = Literal["none", "sum", "mean"]
PosWeight: TypeAlias = float | PerClass | WeightTable


def binary_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    pos_weight: PosWeight | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: BinaryReduction = "mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """-y pos_weight ln p - (1 - y) ln(1 - p), p = sigmoid(z).

    It is cross entropy of the logits (0, z) with weights (1, pos_weight) and reduction "mean", and
    `torch.nn.functional.binary_cross_entropy_with_logits` where nothing is ignored.

    Args:
        logits: [N], [N, H, W]: one logit an element; [N, L], [N, L, ...]: a channel a label.
        target: 0, 1 or between, of the logits' shape; an axis of one channel is optional. Of any
            type: integers, booleans, floats.
        label_smoothing: from 0 to 1; y becomes (1 - s) y + s / 2.
        pos_weight: what a positive weighs, where a negative weighs 1: a number, [L] numbers, a
            table of two weights (w1 / w0) or of labels, or None for 1. `load_pos_weight` reads
            files.
        ignore_index: targets to leave out, one or several, or None.
        reduction: "none", of the logits' shape; "sum"; "mean", by the number of elements that are
            not ignored, 0 where there are none. pos_weight holds under this mean alone, so there
            is no "weighted-mean".
        sample_weight: factors, of the logits' shape, [N, ...] for all labels alike, or [N].

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing. Targets outside
            0..1 that are not ignored are looked at on the CPU only; elsewhere, in compiled graphs
            and under `torch.func` they make the loss NaN.
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
        of_positive=lambda z: -logsigmoid(z),
    )


def binary_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    pos_weight: PosWeight | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: BinaryReduction = "mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """-(1 - p)^gamma ln p where y = 1, -p^gamma ln(1 - p) where y = 0 (Lin et al. 2017).

    arXiv 1708.02002, equations 4 and 5: torchvision's `sigmoid_focal_loss`, whose `alpha` is 0.25
    unless told otherwise. An element with y between costs y and 1 - y of the two.

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
        shares=shares,
        # A power of the other side's probability: smooth, where (1 - p)^gamma has no slope at 0.
        of_positive=lambda z: -torch.exp(gamma * logsigmoid(-z)) * logsigmoid(z),
    )


def _binary_loss(
    logits: Tensor,
    target: Tensor,
    *,
    pos_weight: PosWeight | None,
    ignore_index: IgnoreIndex,
    reduction: str,
    sample_weight: Tensor | None,
    of_positive: Callable[[Tensor], Tensor],
    label_smoothing: float = 0.0,
    shares: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """A loss that of a negative is that of a positive with the logit's sign turned."""
    check_binary_reduction(reduction)
    if not logits.is_floating_point() or logits.ndim == 0:
        raise ParameterError(f"logits are {logits.dtype}, {logits.ndim}-D: not floating, [N, ...]")
    z = widened(logits)
    y, ignored = binary_target(z, target, ignore_index)
    if label_smoothing:
        y = y * (1 - label_smoothing) + label_smoothing / 2
    positive = y * shares[0]
    if pos_weight is not None:
        positive = positive * _along_labels(pos_weight_tensor(pos_weight), z)
    losses = positive * of_positive(z) + (1 - y) * shares[1] * of_positive(-z)
    if sample_weight is not None:
        losses = losses * _factors(sample_weight, z)
    if ignored is not None:
        losses = losses.masked_fill(ignored, 0.0)
    return reduced(losses, None if ignored is None else ~ignored, None, reduction)


def binary_target(
    z: Tensor, target: Tensor, ignore_index: IgnoreIndex
) -> tuple[Tensor, Tensor | None]:
    """y in 0..1 beside the logits, 0 where it is ignored, and where that is (None: nowhere)."""
    if target.requires_grad:
        raise ParameterError("targets are constants here", remedy="pass target.detach()")
    if target.is_complex():
        raise ParameterError(f"targets are {target.dtype}, not numbers from 0 to 1")
    y = _fitted(z, target).to(z.dtype)
    ignored = left_out(y, ignore_index)
    if ignored is not None:
        y = y.masked_fill(ignored, 0.0)
    if free_to_look(y) and y.numel() > 0:
        low, high = (float(end) for end in torch.aminmax(y))
        if not 0 <= low <= high <= 1:
            raise stray_target(high if low >= 0 else low, ignore_index)
    return torch.where((y >= 0) & (y <= 1), y, torch.nan), ignored


def _fitted(z: Tensor, target: Tensor) -> Tensor:
    """The target in the logits' shape: an axis of one channel comes and goes."""
    shape, given = tuple(z.shape), tuple(target.shape)
    if given == shape:
        return target
    if len(shape) > 1 and shape[1] == 1 and given == (shape[0], *shape[2:]):
        return target.unsqueeze(1)
    if given == (shape[0], 1, *shape[1:]):
        return target.squeeze(1)
    whole = shape if has_labels(z) else (shape[0], 1, *shape[1:])
    remedy = enlarged(whole, (given[0], 1, *given[2:]) if len(given) == len(whole) else given)
    if has_labels(z) and given == (shape[0], *shape[2:]):
        remedy = (
            "class labels go with CrossEntropy; labels that overlap have a channel each:"
            f" torch.nn.functional.one_hot(target, {shape[1]}).movedim(-1, 1)"
        )
    raise ParameterError(
        f"targets of shape {given} do not fit logits of shape {shape}",
        remedy=remedy or "both have the same shape",
    )


def has_labels(z: Tensor) -> bool:
    """Whether axis 1 is one of labels: [N, L], [N, L, H, W], but not [N, H, W]."""
    return z.ndim == 2 or z.ndim > 3


def pos_weight_tensor(values: PosWeight) -> Tensor:
    """A number or [L] numbers, as a tensor of as many axes. Raises ParameterError, WeightError."""
    if isinstance(values, WeightTable):
        values = of_table(values)
    if isinstance(values, (str, os.PathLike)):
        raise ParameterError(
            "pos_weight is a number or one a label, not a file",
            remedy="write pos_weight=load_pos_weight(...) of maskstat.torch",
        )
    table = as_tensor(values, "pos_weight")
    if table.ndim > 1:
        raise ParameterError(
            f"pos_weight of shape {tuple(table.shape)} is neither a number nor one a label",
            remedy="pass pos_weight.flatten()",
        )
    check_per_class(table, "pos_weight")
    return table


def _along_labels(table: Tensor, z: Tensor) -> Tensor:
    """A number, or [L] along the logits' axis of labels."""
    values = table.to(z)
    if values.numel() == 1:
        return values.reshape(())
    if not has_labels(z) or len(values) != z.shape[1]:
        raise ParameterError(
            f"pos_weight of {values.numel()} labels does not fit logits of shape {tuple(z.shape)}",
            remedy="labels are axis 1: [N, L] or [N, L, H, W]",
        )
    return values.view(-1, *[1] * (z.ndim - 2))


def _factors(sample_weight: Tensor, z: Tensor) -> Tensor:
    """Factors of elements, beside the logits."""
    if sample_weight.shape == z.shape:
        check_per_class(sample_weight, "sample_weight")
        return sample_weight.to(z)
    if not has_labels(z):
        return along_elements(sample_weight, z.unsqueeze(1))
    return along_elements(sample_weight, z).unsqueeze(1)
