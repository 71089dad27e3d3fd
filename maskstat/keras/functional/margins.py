"""Losses that move logits by what is known of the classes before cross entropy is taken."""

from __future__ import annotations

import numpy as np
from keras import ops

from maskstat.keras.functional.cross_entropy import cross_entropy
from maskstat.keras.functional.elements import (
    PerClass,
    Tensor,
    checked_logits,
    finite,
    label_loss,
    numbers_per_class,
)
from maskstat.keras.functional.odds import log_odds, log_odds_of_all, softplus
from maskstat.training.loss_arguments import IgnoreIndex


def logit_adjusted(
    logits: Tensor,
    target: Tensor,
    *,
    prior: PerClass,
    tau: float = 1.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Cross entropy of z + tau ln prior (Menon et al. 2021, arXiv 2007.07314, equation 10).

    Only the loss adds the prior: predictions are made from the logits as they are.

    Args:
        prior: [K], how often classes occur: counts or shares (`load_counts` reads them), never
            weights. A class of prior 0 is taken to be as frequent as the rarest class above 0.
        tau: 1 in theory; tuned in practice. 0 is cross entropy.

    Other arguments as in `maskstat.keras.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    z = checked_logits(logits)
    logs = finite(tau, "tau") * np.log(numbers_per_class(prior, z.shape[-1], "prior"))
    return cross_entropy(
        z + ops.convert_to_tensor(logs, dtype=z.dtype),
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
    )


def ldam(
    logits: Tensor,
    target: Tensor,
    *,
    counts: PerClass,
    max_margin: float = 0.5,
    scale: float = 30.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Label-distribution-aware margin loss (Cao et al. 2019, arXiv 1906.07413).

    Cross entropy of scale (z - m_g e_g) with m_k proportional to n_k^(-1/4), the largest being
    `max_margin`. Made for logits in -1..1, cosines of normalised features and weights.

    Args:
        counts: [K], how often classes occur, counts or shares, never weights. A class of count 0
            gets `max_margin`.
        max_margin: at least 0.
        scale: at least 0.

    Other arguments as in `maskstat.keras.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    max_margin, scale = finite(max_margin, "max_margin", 0.0), finite(scale, "scale", 0.0)
    z = checked_logits(logits)
    n = numbers_per_class(counts, z.shape[-1], "counts")
    margins = ops.convert_to_tensor(scale * max_margin * (n.min() / n) ** 0.25, dtype=z.dtype)

    # A margin on the true logit is the same as one on the log odds against it.
    def sparse(z: Tensor, labels: Tensor) -> Tensor:
        return softplus(log_odds(scale * z, labels) + ops.take(margins, labels, axis=0))

    def soft(z: Tensor, mass: Tensor) -> Tensor:
        return ops.sum(mass * softplus(log_odds_of_all(scale * z) + margins), axis=-1)

    return label_loss(
        z,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        mask=mask,
        sparse=sparse,
        soft=soft,
    )
