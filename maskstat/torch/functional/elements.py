"""What all losses share: labels, weights, what is ignored, and the four reductions.

A loss of labels is given as two functions: `sparse(logits, labels)` for the loss of every element,
and `soft(logits, mass)` for sum_k mass_k loss(label k), where mass is the label times the weights.
So integer labels never become one-hot ones, and soft labels get the same meaning in every loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskstat.errors import ParameterError
from maskstat.parameters import check_word

Reduction: TypeAlias = Literal["none", "sum", "mean", "weighted-mean"]
PerClass: TypeAlias = Tensor | npt.ArrayLike | Sequence[float]

REDUCTIONS = ("none", "sum", "mean", "weighted-mean")
IGNORE_INDEX = -100
"""torch's own default."""


def label_loss(
    logits: Tensor,
    target: Tensor,
    *,
    weight: PerClass | None,
    ignore_index: int | None,
    reduction: str,
    sparse: Callable[[Tensor, Tensor], Tensor],
    soft: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """A weighted, reduced loss of labels; see `maskstat.torch.functional` for the arguments."""
    check_reduction(reduction)
    classes = check_logits(logits)
    check_target(logits, target)
    z = widened(logits)
    w = None if weight is None else per_class(weight, classes, z, "weight")
    if target.ndim == logits.ndim:
        mass, counted = soft_mass(target, z, ignore_index)
        weights = None
        if w is not None:
            mass = mass * along_classes(w, z)
            weights = mass.sum(1)
        elif reduction == "weighted-mean":
            weights = mass.sum(1)
        return reduced(soft(z, mass), counted, weights, reduction)
    labels, ignored = valid_labels(target, classes, ignore_index)
    losses = sparse(z, labels)
    if w is None:
        if ignored is not None:
            losses = losses.masked_fill(ignored, 0.0)
        return reduced(losses, None if ignored is None else ~ignored, None, reduction)
    weights = w.index_select(0, labels.reshape(-1)).view(labels.shape)
    if ignored is None:
        return reduced(losses * weights, None, weights, reduction)
    weights = weights.masked_fill(ignored, 0.0)
    return reduced(losses * weights, ~ignored, weights, reduction)


def reduced(
    losses: Tensor, counted: Tensor | None, weights: Tensor | None, reduction: str
) -> Tensor:
    """Losses that are weighted already, and 0 where they are ignored, reduced.

    Args:
        counted: bool, which elements are labelled; None for all.
        weights: of every element; None for ones.
    """
    if reduction == "none":
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    if reduction == "weighted-mean" and weights is not None:
        divisor = weights.sum()
    elif counted is not None:
        divisor = counted.sum().to(total.dtype)
    else:
        return total / max(losses.numel(), 1)
    # Where nothing is left the total is 0, and so is its gradient.
    return total / torch.where(divisor > 0, divisor, torch.ones_like(divisor))


# --- labels -------------------------------------------------------------------------------------


def valid_labels(
    target: Tensor, classes: int, ignore_index: int | None
) -> tuple[Tensor, Tensor | None]:
    """int64 labels in 0..K-1 with ignored ones replaced by 0, and which those are (None: none)."""
    labels = target.long()
    ignored = None
    if ignore_index is not None:
        ignored = labels == ignore_index
        labels = labels.masked_fill(ignored, 0)
    if free_to_look(labels) and labels.numel() > 0:
        low, high = (int(end) for end in torch.aminmax(labels))
        if low < 0 or high >= classes:
            raise ParameterError(
                f"label {low if low < 0 else high} is none of the {classes} classes "
                f"0..{classes - 1}, and ignore_index is {ignore_index}",
                remedy="map such labels to classes, or give ignore_index=",
            )
    return labels, ignored


def soft_mass(target: Tensor, z: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Labels [N, K, ...] without what is on the ignored class, and which elements have any left."""
    mass = target.to(z.dtype)
    if ignore_index is not None and 0 <= ignore_index < z.shape[1]:
        mass = mass.clone()
        mass.select(1, ignore_index).zero_()
    return mass, mass.sum(1) > 0


# --- arguments ----------------------------------------------------------------------------------


def free_to_look(tensor: Tensor) -> bool:
    """Whether looking at values costs no wait for an accelerator and breaks no compiled graph."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def widened(logits: Tensor) -> Tensor:
    """Logits in the type that losses are computed in: float32 for half precision."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def check_reduction(reduction: str) -> None:
    check_word(reduction, REDUCTIONS, parameter="reduction")


def check_logits(logits: Tensor) -> int:
    """K, the size of the class axis."""
    if not logits.is_floating_point():
        raise ParameterError(f"logits are {logits.dtype}, not floating")
    if logits.ndim < 2:
        raise ParameterError(f"logits of shape {tuple(logits.shape)} have no class axis 1")
    if logits.shape[1] < 2:
        raise ParameterError(
            "a softmax over 1 class is always 1",
            remedy="use two logits, or torch.nn.functional.binary_cross_entropy_with_logits",
        )
    return int(logits.shape[1])


def check_target(logits: Tensor, target: Tensor) -> None:
    shape, labels = tuple(logits.shape), tuple(target.shape)
    if labels == shape:
        if target.requires_grad:
            raise ParameterError("labels are constants here", remedy="pass target.detach()")
        if free_to_look(target) and target.numel() > 0:
            low, high = (float(end) for end in torch.aminmax(target))
            if not 0 <= low <= high < math.inf:
                raise ParameterError("soft labels must be finite and not negative")
        return
    if labels != (shape[0], *shape[2:]):
        raise ParameterError(
            f"labels of shape {labels} do not fit logits of shape {shape}",
            remedy=f"integer labels are {(shape[0], *shape[2:])}, soft ones {shape}",
        )
    if target.is_floating_point() or target.is_complex():
        raise ParameterError(
            f"labels of shape {labels} are {target.dtype}, not integers",
            remedy="pass target.long(), or soft labels of the logits' shape",
        )


def per_class(values: PerClass, classes: int, z: Tensor, name: str) -> Tensor:
    """[K] finite, not negative numbers as a tensor beside the logits."""
    table = as_tensor(values)
    if tuple(table.shape) != (classes,):
        raise ParameterError(
            f"{name} of shape {tuple(table.shape)} does not fit logits of {classes} classes"
        )
    check_per_class(table, name)
    return table.to(device=z.device, dtype=z.dtype)


def as_tensor(values: PerClass) -> Tensor:
    """Tensors as they are; anything else as float64 (copied: weights of files are read-only)."""
    return values if isinstance(values, Tensor) else torch.tensor(np.array(values, np.float64))


def check_per_class(table: Tensor, name: str) -> None:
    """Refuse negative and non-finite numbers, where looking is free."""
    if free_to_look(table) and not bool((torch.isfinite(table) & (table >= 0)).all()):
        raise ParameterError(f"{name} must be finite and not negative")


def along_classes(values: Tensor, z: Tensor) -> Tensor:
    """[K] as [1, K, 1, ...]."""
    return values.view(1, -1, *[1] * (z.ndim - 2))


def finite(value: float, name: str, least: float = -math.inf) -> float:
    # Comparisons alone, which also compiled graphs understand.
    if not (-math.inf < value < math.inf and value >= least):
        limit = "" if least == -math.inf else f" and at least {least:g}"
        raise ParameterError(f"{name} is {value}, but must be finite{limit}")
    return value
