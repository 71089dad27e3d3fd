"""Complement entropy and complement cross entropy.

With the true logit taken out, q = softmax of the others and C = -sum_j q_j ln q_j. Nothing is
divided by 1 - p_g, which is 0 in floating point as soon as the true logit leads by 18 (float32).
Cross entropy follows from the others' log sum, s, as well: ln((1 - p_g) / p_g) = s - z_g.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    along_classes,
    finite,
    is_transformed,
    label_loss,
)
from maskstat.training.loss_arguments import IgnoreIndex


def complement_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """C = -sum_{j != g} q_j ln q_j with q_j = p_j / (1 - p_g) (Chen et al. 2019, arXiv 1903.01182).

    At least 0, at most ln(K - 1), and to be made **larger**: it is greatest where the wrong classes
    share evenly what the true class leaves. Not divided by K - 1. For two classes it is always
    0, which a warning says.

    Arguments as in `maskstat.torch.functional`.

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
        sparse=lambda z, labels: of_labels(z, labels)[1],
        soft=lambda z, mass: (mass * complements(z)).sum(1),
    )


def complement_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = -1.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """-ln p_g + gamma / (K - 1) C, C the complement entropy (Kim et al. 2020, arXiv 2009.02189).

    Args:
        gamma: -1 in the paper; 0 is cross entropy.

    Other arguments as in `maskstat.torch.functional`.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    gamma = finite(gamma, "gamma")
    warn_of_two_classes(logits)

    def sparse(z: Tensor, labels: Tensor) -> Tensor:
        odds, complement = of_labels(z, labels)
        return -logsigmoid(-odds) + gamma / (z.shape[1] - 1) * complement

    def soft(z: Tensor, mass: Tensor) -> Tensor:
        losses = gamma / (z.shape[1] - 1) * complements(z) - torch.log_softmax(z, 1)
        return (mass * losses).sum(1)

    return label_loss(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        sparse=sparse,
        soft=soft,
    )


def warn_of_two_classes(logits: Tensor) -> None:
    if logits.ndim > 1 and logits.shape[1] == 2 and not torch.compiler.is_compiling():
        warnings.warn(
            "the complement entropy of two classes is always 0: there is one wrong class, and it "
            "has all that the true one leaves",
            UserWarning,
            stacklevel=3,
        )


def of_labels(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(ln((1 - p_g) / p_g), C) of every element, from logits [N, K, ...] and labels [N, ...]."""
    if torch.compiler.is_compiling():
        function: Any = Masked
    elif is_transformed(z) or is_transformed(labels):
        odds, complement, _ = masked(z, labels)
        return odds, complement
    else:
        function = Indexed
    apply: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = function.apply
    return apply(z, labels)


class Indexed(torch.autograd.Function):
    """Step by step and in place, writing at the labels' indices."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        at = labels.unsqueeze(1)
        others = z.scatter(1, at, -torch.inf)
        highest = others.amax(1, keepdim=True)
        others -= highest
        shares = others.exp()
        total = shares.sum(1, keepdim=True)
        others.scatter_(1, at, 0.0)
        log_total = total.log()
        complement = log_total - shares.mul_(others).sum(1, keepdim=True) / total
        odds = (highest - z.gather(1, at)) + log_total
        ctx.save_for_backward(z, labels, highest, log_total, complement)
        return odds.squeeze(1), complement.squeeze(1)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        z, labels, highest, log_total, complement = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: what was saved has no history
            of_both = masked(z, labels)[:2]
            return torch.autograd.grad(of_both, z, slopes, create_graph=True)[0], None
        of_odds, of_complement = (slope.unsqueeze(1) for slope in slopes)
        gradient = z - highest
        gradient -= log_total
        shares = gradient.exp()
        gradient += complement
        gradient *= -of_complement
        gradient += of_odds
        gradient *= shares
        return gradient.scatter_(1, labels.unsqueeze(1), -of_odds), None


class Masked(torch.autograd.Function):
    """As compilers fuse it: what compares indices with labels is never stored."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        odds, complement, log_sum = masked(z, labels)
        ctx.save_for_backward(z, labels, complement, *log_sum)
        return odds, complement

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        z, labels, complement, highest, log_total = ctx.saved_tensors
        of_odds, of_complement = (slope.unsqueeze(1) for slope in slopes)
        log_q = (z - highest) - log_total
        gradient = log_q.exp() * (of_odds - of_complement * (log_q + complement.unsqueeze(1)))
        return torch.where(is_label(z, labels), -of_odds, gradient), None


def masked(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """The odds, C, and the others' log sum in two parts, in operations that autograd knows."""
    own = is_label(z, labels)
    others = torch.where(own, -torch.inf, z)
    highest = others.detach().amax(1, keepdim=True)
    others = others - highest
    shares = others.exp()
    total = shares.sum(1, keepdim=True)
    log_total = total.log()
    complement = log_total - (shares * torch.where(own, 0.0, others)).sum(1, keepdim=True) / total
    # Where only C is used, NaN alone keeps this look-up, which checks labels, in the graph.
    true = z.gather(1, labels.unsqueeze(1))
    complement = torch.where(true.isnan(), true.detach(), complement)
    odds = (highest - true) + log_total
    return odds.squeeze(1), complement.squeeze(1), (highest, log_total)


def is_label(z: Tensor, labels: Tensor) -> Tensor:
    """bool [N, K, ...]: one-hot labels."""
    classes = torch.arange(z.shape[1], device=z.device)
    return along_classes(classes, z) == labels.unsqueeze(1)


def complements(z: Tensor) -> Tensor:
    """[N, K, ...]: the complement entropy of every class, were it the true one.

    With H the entropy of p, C_k = ln(1 - p_k) + (H + p_k ln p_k) / (1 - p_k). This is stable for
    all classes but the most likely one, which is taken out of the logits instead.
    """
    top = is_label(z, z.argmax(1))
    logs = torch.log_softmax(z, 1)
    p = logs.exp()
    entropy = -(p * logs).sum(1, keepdim=True)
    lower = p.masked_fill(top, 0.0)
    closed = torch.log1p(-lower) + (entropy + lower * logs) / (1 - lower)
    log_q = torch.log_softmax(z.masked_fill(top, -torch.inf), 1).masked_fill(top, 0.0)
    of_top = -(log_q.exp() * log_q).sum(1, keepdim=True)
    return torch.where(top, of_top, closed)
