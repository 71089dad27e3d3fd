"""Distance-aware cross entropy of heat maps."""

from __future__ import annotations

from keras import ops

from maskstat.errors import ParameterError
from maskstat.keras.functional.elements import (
    PerClass,
    Tensor,
    along_elements,
    finite,
    fits,
    is_floating,
    other_classes,
    per_class,
    quotient,
    refuse_probabilities,
    standard_reduction,
    widened,
)
from maskstat.keras.functional.odds import softplus
from maskstat.training.loss_arguments import IgnoreIndex


def distance_aware(
    logits: Tensor,
    heatmap: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 4.0,
    weight: PerClass | None = None,
    ignore_index: IgnoreIndex = None,
    reduction: str | None = "mean",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The CornerNet heat-map loss (Law & Deng 2018, arXiv 1808.01244, equation 1), p = sigmoid(z).

    -(1 - p)^alpha ln p where y = 1, -(1 - y)^beta p^alpha ln(1 - p) elsewhere.

    Args:
        logits: [N, ..., K], every class by itself.
        heatmap: [N, ..., K] in 0..1, as `maskstat.training.keypoint_heatmaps` makes them;
            1 exactly at key points.
            Negative values leave elements out.
        alpha, beta: at least 0.
        weight: [K].
        ignore_index: classes whose channels are left out, where they are of 0..K-1.
        reduction: "mean" divides by the number of elements with y = 1, "weighted-mean" by the sum
            of their weights; either by 1 where that is 0.
        sample_weight, mask: [N, ...] or its first axes, the same for every class.

    Raises:
        ParameterError: shapes, types or values of arguments that mean nothing.
    """
    reduction = standard_reduction(reduction)
    alpha, beta = finite(alpha, "alpha", 0.0), finite(beta, "beta", 0.0)
    refuse_probabilities(logits)
    given, heat = ops.convert_to_tensor(logits), ops.convert_to_tensor(heatmap)
    shape = tuple(given.shape)
    if len(shape) < 2 or shape[-1] is None or not is_floating(given) or not is_floating(heat):
        raise ParameterError("logits and heat map must be floating, [N, ..., K]")
    if not fits(tuple(heat.shape), shape):
        raise ParameterError(
            f"a heat map of shape {tuple(heat.shape)} does not fit logits of shape {shape}"
        )
    z = widened(given)
    y = ops.stop_gradient(ops.cast(heat, z.dtype))
    positive, counted = ops.equal(y, 1.0), y >= 0
    others = other_classes(shape[-1], ignore_index)
    if others is not None:
        counted = ops.logical_and(counted, ops.convert_to_tensor(others))
    if mask is not None:
        kept = ops.cast(along_elements(mask, z, "mask"), "bool")
        counted = ops.logical_and(counted, ops.expand_dims(kept, -1))
    weights = ops.cast(counted, z.dtype)
    if weight is not None:
        weights = weights * per_class(weight, shape[-1], z.dtype, "weight")
    if sample_weight is not None:
        factor = along_elements(sample_weight, z, "sample_weight")
        weights = weights * ops.expand_dims(ops.cast(factor, z.dtype), -1)
    off_key = ops.relu(1.0 - y) ** beta
    # Both cases are one function of the logit towards the right answer.
    right = ops.where(positive, z, -z)
    losses = ops.exp(-alpha * softplus(right)) * softplus(-right)
    losses = losses * weights * ops.where(positive, ops.ones_like(y), off_key)
    if reduction == "none" or reduction == "sum":
        return losses if reduction == "none" else ops.sum(losses)
    keys = ops.cast(ops.logical_and(positive, counted), z.dtype)
    return quotient(ops.sum(losses), ops.sum(keys * weights if reduction != "mean" else keys))
