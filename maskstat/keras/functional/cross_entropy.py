"""Cross entropy and focal loss: functions of the true class's probability alone."""

from __future__ import annotations

import keras
from keras import ops

from maskstat.keras.functional.elements import PerClass, Tensor, finite, label_loss, share
from maskstat.keras.functional.hard_examples import hard_examples
from maskstat.keras.functional.odds import log_odds, softplus
from maskstat.training.loss_arguments import IgnoreIndex

SMALLEST = 1e-30
"""Below this cross entropy focal loss is 0, and its powers are not differentiated."""


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    top_k: float | None = None,
    threshold: float | None = None,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
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

    Other arguments as in `maskstat.keras.functional`. With the defaults this is Keras' sparse or
    categorical cross entropy with `from_logits=True`, but soft labels need not add up to 1.

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
        mask=mask,
        label_smoothing=share(label_smoothing, "label_smoothing"),
        hardness=hard_examples(top_k, threshold),
        sparse=log_loss,
        soft=soft_log_loss,
    )


def focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """-(1 - p_g)^gamma ln p_g (Lin et al. 2017, arXiv 1708.02002, with softmax for sigmoid).

    Keras' `CategoricalFocalCrossentropy` is `alpha` times this (0.25 unless told otherwise), takes
    labels times class weights for the balance, and clips probabilities at 1e-7.

    Args:
        gamma: at least 0, which is cross entropy.

    Other arguments as in `maskstat.keras.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    gamma = finite(gamma, "gamma", 0.0)
    if gamma == 0:
        return cross_entropy(
            logits,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            sample_weight=sample_weight,
            mask=mask,
        )

    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        sparse=lambda z, labels: focused(log_loss(z, labels), gamma),
        soft=lambda z, mass: ops.sum(mass * focused(-ops.log_softmax(z, axis=-1), gamma), axis=-1),
    )


def log_loss(z: Tensor, labels: Tensor) -> Tensor:
    """-ln p_g by the backend's own kernel; JAX has none and would make one-hot labels."""
    if keras.config.backend() == "jax":
        return softplus(log_odds(z, labels))
    return ops.sparse_categorical_crossentropy(labels, z, from_logits=True)


def soft_log_loss(z: Tensor, mass: Tensor) -> Tensor:
    return -ops.sum(mass * ops.log_softmax(z, axis=-1), axis=-1)


def focused(loss: Tensor, gamma: float) -> Tensor:
    """(1 - e^-loss)^gamma loss, whose slope is finite at 0 for every gamma >= 0."""
    positive = loss > SMALLEST
    safe = ops.where(positive, loss, ops.ones_like(loss))
    return ops.where(positive, (-ops.expm1(-safe)) ** gamma * safe, ops.zeros_like(loss))
