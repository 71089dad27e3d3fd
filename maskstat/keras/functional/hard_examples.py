"""Online hard example mining: which elements of a batch a loss is taken of."""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from maskstat.keras.functional.elements import Tensor
from maskstat.training.loss_arguments import check_mining, least_loss

Hardness = Callable[[Tensor, Tensor], Tensor]
"""(losses, which are labelled) -> how much of each element is kept, 0..1."""


def hard_examples(top_k: float | None, threshold: float | None) -> Hardness | None:
    """What is kept under these arguments; None where everything is."""
    check_mining(top_k, threshold)
    if top_k is None and threshold is None:
        return None

    def kept(losses: Tensor, labelled: Tensor) -> Tensor:
        difficulty = ops.stop_gradient(losses)
        hard = ops.zeros_like(difficulty)
        if top_k is not None:
            hard = hardest(difficulty, labelled, top_k)
        if threshold is not None:
            hard = ops.where(difficulty > least_loss(threshold), ops.ones_like(hard), hard)
        return ops.where(labelled, hard, ops.zeros_like(hard))

    return kept


def hardest(difficulty: Tensor, labelled: Tensor, top_k: float) -> Tensor:
    """1 for the top_k share of the labelled elements, and what is left of it over ties.

    Nothing is gathered: shapes depend on no value, so compiled functions take it.
    """
    kind = difficulty.dtype
    unlabelled = ops.cast(-1.0, kind)
    flat = ops.reshape(ops.where(labelled, difficulty, unlabelled), (-1,))
    # One more, at the end of the ranking, so that there is one in an empty batch.
    ranked = ops.sort(ops.concatenate([flat, ops.reshape(unlabelled, (1,))]))
    wanted = top_k * ops.cast(ops.sum(ops.cast(labelled, "int32")), kind)
    place = ops.maximum(ops.cast(ops.ceil(wanted), "int32"), 1)
    least = ops.take(ranked, ops.maximum(ops.shape(ranked)[0] - place, 0))
    harder = ops.logical_and(labelled, difficulty > least)
    equal = ops.logical_and(labelled, ops.equal(difficulty, least))
    ties = ops.maximum(ops.sum(ops.cast(equal, "int32")), 1)
    left = wanted - ops.cast(ops.sum(ops.cast(harder, "int32")), kind)
    part = ops.clip(left / ops.cast(ties, kind), 0.0, 1.0)
    return ops.cast(harder, kind) + ops.cast(equal, kind) * part
