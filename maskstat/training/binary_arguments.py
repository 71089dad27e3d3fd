"""What binary losses of every framework take and refuse."""

from __future__ import annotations

from typing import Any

from maskstat.errors import ParameterError
from maskstat.parameters import check_word
from maskstat.training.loss_arguments import IgnoreIndex

BINARY_REDUCTIONS = ("none", "sum", "mean")


def check_binary_reduction(reduction: str) -> None:
    """Raise ParameterError for what is no reduction of a binary loss."""
    if reduction == "weighted-mean":
        raise ParameterError(
            "pos_weight holds under the plain mean",
            parameter="reduction",
            remedy="take 'mean'; a mean that divides by weights is that of CrossEntropy, of two"
            " logits",
        )
    check_word(reduction, BINARY_REDUCTIONS, parameter="reduction")


def one_weight_of_positives(alpha: float | None, pos_weight: Any) -> None:
    """Raise ParameterError where positives are weighed twice."""
    if alpha is not None and pos_weight is not None:
        raise ParameterError(
            "alpha and pos_weight both weigh positives",
            remedy="give one: pos_weight is alpha / (1 - alpha), at another scale of the loss",
        )


def stray_target(value: float, ignore_index: IgnoreIndex) -> ParameterError:
    """What to say of a target outside of 0..1 that is not ignored."""
    if value == 255:
        remedy = "where 255 is the label pass target / 255, where it is void give ignore_index=255"
    else:
        remedy = (
            "give ignore_index= for what is void; labels of several classes go with CrossEntropy"
        )
    return ParameterError(
        f"target {value:g} is outside of 0..1, and ignore_index is {ignore_index}", remedy=remedy
    )
