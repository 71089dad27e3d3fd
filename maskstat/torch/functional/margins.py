"""Losses that move logits by what is known of the classes before cross entropy is taken."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from maskstat.torch.functional.complement import is_label
from maskstat.torch.functional.cross_entropy import cross_entropy, log_loss
from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    along_classes,
    check_logits,
    finite,
    free_to_look,
    label_loss,
    per_class,
    widened,
)
from maskstat.training.loss_arguments import IgnoreIndex, check_amounts


def logit_adjusted(
    logits: Tensor,
    target: Tensor,
    *,
    prior: PerClass,
    tau: float = 1.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of z + tau ln prior (Menon et al. 2021, arXiv 2007.07314, equation 10).

    Only the loss adds the prior: predictions are made from the logits as they are.

    Args:
        prior: [K], how often classes occur: counts or shares (`load_counts` reads them), never
            weights. A class of prior 0 is taken to be as frequent as the rarest class above 0.
        tau: 1 in theory; tuned in practice. 0 is cross entropy.

    Other arguments as in `maskstat.torch.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    tau = finite(tau, "tau")
    z = widened(logits)
    shares = occurring(per_class(prior, check_logits(logits), z, "prior"), "prior")
    moved = z + along_classes(tau * shares.log(), z)
    return cross_entropy(
        moved,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
    )


def ldam(
    logits: Tensor,
    target: Tensor,
    *,
    counts: PerClass,
    max_margin: float = 0.5,
    scale: float = 30.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Label-distribution-aware margin loss (Cao et al. 2019, arXiv 1906.07413).

    Cross entropy of scale (z - m_g e_g) with m_k proportional to n_k^(-1/4), the largest being
    `max_margin`. Made for logits in -1..1, cosines of normalised features and weights.

    Args:
        counts: [K], how often classes occur, counts or shares, never weights. A class of count 0
            gets `max_margin`.
        max_margin: at least 0.
        scale: at least 0.

    Other arguments as in `maskstat.torch.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    max_margin, scale = finite(max_margin, "max_margin", 0.0), finite(scale, "scale", 0.0)
    wide = widened(logits)
    n = occurring(per_class(counts, check_logits(logits), wide, "counts"), "counts")
    margins = scale * max_margin * (n.min() / n).pow(0.25)

    def sparse(z: Tensor, labels: Tensor) -> Tensor:
        margin = margins.index_select(0, labels.reshape(-1)).view(labels.shape)
        moved = (scale * z).scatter_add(1, labels.unsqueeze(1), -margin.unsqueeze(1))
        return log_loss(moved, labels)

    def soft(z: Tensor, mass: Tensor) -> Tensor:
        odds = log_odds(scale * centred(z)) + along_classes(margins, z)
        return -(mass * logsigmoid(-odds)).sum(1)

    return label_loss(
        wide,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        sparse=sparse,
        soft=soft,
    )


def centred(z: Tensor) -> Tensor:
    """Logits with 0 the largest of each element: what is added to them is not rounded away."""
    return z - z.detach().amax(1, keepdim=True)


def log_odds(z: Tensor) -> Tensor:
    """[N, K, ...]: ln((1 - p_k) / p_k) of every class."""
    top = is_label(z, z.argmax(1))
    logs = torch.log_softmax(z, 1)
    of_others = torch.log1p(-logs.exp().masked_fill(top, 0.0))
    without_top = z.masked_fill(top, -torch.inf).logsumexp(1, keepdim=True)
    return torch.where(top, without_top - z, of_others - logs)


def occurring(table: Tensor, name: str) -> Tensor:
    """[K], with the smallest number above 0 in place of zeros."""
    if free_to_look(table):
        check_amounts(table.detach().double().numpy(), name)
    return torch.where(table > 0, table, table.masked_fill(table <= 0, torch.inf).min())
