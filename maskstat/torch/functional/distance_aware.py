"""Distance-aware cross entropy of heat maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from maskstat.errors import ParameterError
from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    along_classes,
    along_elements,
    check_reduction,
    finite,
    free_to_look,
    per_class,
    widened,
)
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels


def distance_aware(
    logits: Tensor,
    heatmap: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 4.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = IGNORE_INDEX,
    reduction: Reduction = "weighted-mean",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """The CornerNet heat-map loss (Law & Deng 2018, arXiv 1808.01244, equation 1), p = sigmoid(z).

    -(1 - p)^alpha ln p where y = 1, -(1 - y)^beta p^alpha ln(1 - p) elsewhere.

    Args:
        logits: [N, K, ...], every class by itself.
        heatmap: [N, K, ...] in 0..1, as `maskstat.training.keypoint_heatmaps` makes them;
            1 exactly at key points.
            Negative values leave elements out.
        alpha, beta: at least 0.
        weight: [K].
        ignore_index: classes whose channels are left out, where they are of 0..K-1.
        reduction: "mean" divides by the number of elements with y = 1, "weighted-mean" by the sum
            of their weights; either by 1 where that is 0.
        sample_weight: [N, ...] or its first axes, the same for every class.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    check_reduction(reduction)
    alpha, beta = finite(alpha, "alpha", 0.0), finite(beta, "beta", 0.0)
    if logits.ndim < 2 or not logits.is_floating_point() or not heatmap.is_floating_point():
        raise ParameterError("logits and heat map must be floating, [N, K, ...]")
    if logits.shape != heatmap.shape:
        raise ParameterError(
            f"a heat map of shape {tuple(heatmap.shape)} does not fit logits of shape "
            f"{tuple(logits.shape)}"
        )
    if free_to_look(heatmap) and heatmap.numel() > 0 and not float(heatmap.amax()) <= 1:
        raise ParameterError("a heat map must be in 0..1, or negative where it is left out")
    z = widened(logits)
    positive = heatmap == 1
    counted = heatmap >= 0
    for index in ignored_labels(ignore_index):
        if 0 <= index < z.shape[1]:
            counted.select(1, index).zero_()
    factor = torch.where(positive, 1.0, (1 - heatmap.to(z.dtype)).clamp(min=0).pow(beta))
    factor = factor.masked_fill(~counted, 0.0)
    weights = (positive & counted).to(z.dtype)
    if weight is not None:
        w = along_classes(per_class(weight, z.shape[1], z, "weight"), z)
        factor = factor * w
        if reduction == "weighted-mean":
            weights = weights * w
    if sample_weight is not None:
        of_elements = along_elements(sample_weight, z).unsqueeze(1)
        factor = factor * of_elements
        if reduction == "weighted-mean":
            weights = weights * of_elements
    # Both cases are one function of the logit towards the right answer.
    right = torch.where(positive, z, -z)
    losses = factor * torch.exp(alpha * logsigmoid(-right)) * -logsigmoid(right)
    if reduction == "none":
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    divisor = weights.sum()
    return total / torch.where(divisor > 0, divisor, torch.ones_like(divisor))
