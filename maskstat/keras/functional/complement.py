"""Complement entropy and complement cross entropy."""

from __future__ import annotations

import functools
import warnings

from keras import ops

from maskstat.keras.functional.cross_entropy import soft_log_loss
from maskstat.keras.functional.elements import PerClass, Tensor, finite, label_loss
from maskstat.keras.functional.odds import complement_of_all, log_odds_and_complement, softplus
from maskstat.training.loss_arguments import IgnoreIndex


def complement_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """C = -sum_{j != g} q_j ln q_j with q_j = p_j / (1 - p_g) (Chen et al. 2019, arXiv 1903.01182).

    At least 0, at most ln(K - 1), and to be made **larger**: it is greatest where the wrong classes
    share evenly what the true class leaves. Not divided by K - 1. For two classes it is always
    0, which a warning says.

    Arguments as in `maskstat.keras.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    warn_of_two_classes(logits)
    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        sparse=lambda z, labels: log_odds_and_complement(z, labels)[1],
        soft=lambda z, mass: ops.sum(mass * complement_of_all(z), axis=-1),
    )


def complement_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = -1.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """-ln p_g + gamma / (K - 1) C, C the complement entropy (Kim et al. 2020, arXiv 2009.02189).

    Args:
        gamma: -1 in the paper; 0 is cross entropy.

    Other arguments as in `maskstat.keras.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    gamma = finite(gamma, "gamma")
    warn_of_two_classes(logits)

    def sparse(z: Tensor, labels: Tensor) -> Tensor:
        odds, complement = log_odds_and_complement(z, labels)
        return softplus(odds) + gamma / (z.shape[-1] - 1) * complement

    def soft(z: Tensor, mass: Tensor) -> Tensor:
        complement = ops.sum(mass * complement_of_all(z), axis=-1)
        return soft_log_loss(z, mass) + gamma / (z.shape[-1] - 1) * complement

    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        sparse=sparse,
        soft=soft,
    )


def warn_of_two_classes(logits: Tensor) -> None:
    if getattr(logits, "shape", (0,))[-1] == 2:
        _warn_once()


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "the complement entropy of two classes is always 0: there is one wrong class, and it "
        "has all that the true one leaves",
        UserWarning,
        stacklevel=4,
    )
