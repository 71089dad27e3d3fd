"""Cross entropy and focal loss: functions of the true class's probability alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    finite,
    label_loss,
    share,
)
from maskstat.torch.functional.hard_examples import hard_examples
from maskstat.training.loss_arguments import IgnoreIndex

SMALLEST = 1e-30
"""Least 1 - p_g whose power is differentiated: powers below 1 have no slope at 0."""


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    top_k: float | None = None,
    threshold: float | None = None,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """-ln p_g, g the true class.

    Args:
        label_smoothing: from 0 to 1; this share of every label is spread evenly over all classes
            (Szegedy et al. 2016, arXiv 1512.00567). With weights each class's part has its own,
            and an element weighs in a mean what its label does.
        top_k: above 0, at most 1: only this share of the batch's labelled elements counts, those
            whose true class is least likely (Wu et al. 2016, arXiv 1605.06885). Elements that are
            as hard as the last of them share what is left, so that no order matters.
        threshold: above 0, at most 1: only elements whose true class is less likely count, and at
            least the share `top_k`, if given (Shrivastava et al. 2016, arXiv 1604.03540, as HRNet
            and MMSegmentation have it).

    Neither weights nor smoothing say what is hard. What is not is left out as if it was ignored:
    "mean" divides by the number of hard elements, "weighted-mean" by the sum of their weights.

    Other arguments as in `maskstat.torch.functional`. With integer labels and the defaults this is
    `torch.nn.functional.cross_entropy`, but 0 and not NaN where nothing is labelled.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        label_smoothing=share(label_smoothing, "label_smoothing"),
        hardness=hard_examples(top_k, threshold),
        sparse=log_loss,
        soft=lambda z, mass: -(mass * torch.log_softmax(z, 1)).sum(1),
    )


def focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """-(1 - p_g)^gamma ln p_g (Lin et al. 2017, arXiv 1708.02002, with softmax for sigmoid).

    Args:
        gamma: at least 0, which is cross entropy.

    Other arguments as in `maskstat.torch.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    gamma = finite(gamma, "gamma", 0.0)
    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        sparse=lambda z, labels: focused(log_loss(z, labels), gamma),
        soft=lambda z, mass: (mass * focused(-torch.log_softmax(z, 1), gamma)).sum(1),
    )


def log_loss(z: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(z, labels, reduction="none")


def focused(loss: Tensor, gamma: float) -> Tensor:
    """(1 - e^-loss)^gamma loss, whose slope is finite at 0 for every gamma >= 0."""
    if gamma == 0:
        return loss
    return (-torch.expm1(-loss)).clamp_min(SMALLEST).pow(gamma) * loss
