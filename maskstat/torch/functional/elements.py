"""What all losses share: labels, weights, what is ignored, and the four reductions.

A loss of labels is given as two functions: `sparse(logits, labels)` for the loss of every element,
and `soft(logits, mass)` for sum_k mass_k loss(label k), where mass is the label times the weights.
So integer labels never become one-hot ones, and soft labels get the same meaning in every loss.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskstat.errors import ParameterError
from maskstat.parameters import check_word
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.weights.table import WeightTable

Reduction: TypeAlias = Literal["none", "sum", "mean", "weighted-mean"]
PerClass: TypeAlias = Tensor | npt.ArrayLike | Sequence[float]

REDUCTIONS = ("none", "sum", "mean", "weighted-mean")
IGNORE_INDEX = -100
"""torch's own default."""
SUM_ROUNDING = 0.01
"""How far the sum of soft labels may be above 1, in half precision for instance."""


def label_loss(
    logits: Tensor,
    target: Tensor,
    *,
    weight: PerClass | None,
    ignore_index: IgnoreIndex,
    reduction: str,
    sparse: Callable[[Tensor, Tensor], Tensor],
    soft: Callable[[Tensor, Tensor], Tensor],
    sample_weight: Tensor | None,
    label_smoothing: float = 0.0,
    hardness: Callable[[Tensor, Tensor | None], Tensor] | None = None,
) -> Tensor:
    """A weighted, reduced loss of labels; see `maskstat.torch.functional` for the arguments.

    Args:
        hardness: (losses without weights, which are labelled) -> how much of each is kept.
    """
    check_reduction(reduction)
    classes = check_logits(logits)
    target = checked_target(logits, target)
    z = widened(logits)
    w = None if weight is None else per_class(weight, classes, z, "weight")
    weights: Tensor | None
    kept: Tensor | None
    hard: Tensor | None = None
    if target.ndim == logits.ndim:
        mass, left = soft_mass(target, z.dtype, ignore_index)
        kept, total = left > 0, left.unsqueeze(1)
        if hardness is not None:
            kept = hard = hardness(soft(z, mass), kept)
        weights = left if w is None else (mass * along_classes(w, z)).sum(1)
        if label_smoothing:
            mass = mass * (1 - label_smoothing) + total * (label_smoothing / classes)
        if w is not None:
            mass = mass * along_classes(w, z)
        losses = soft(z, mass)
    else:
        labels, ignored = valid_labels(target, classes, ignore_index)
        losses, weights = sparse(z, labels), None
        kept = None if ignored is None else ~ignored
        if hardness is not None:
            kept = hard = hardness(losses, kept)
        if w is not None or label_smoothing:
            every = z.new_ones(classes) if w is None else w
            weights = every.index_select(0, labels.reshape(-1)).view(labels.shape)
            losses = losses * weights
        if label_smoothing:
            # As in torch, an element weighs what its own label does.
            evenly = soft(z, along_classes(every * (label_smoothing / classes), z))
            losses = (1 - label_smoothing) * losses + evenly
        if ignored is not None:
            losses = losses.masked_fill(ignored, 0.0)
            weights = None if weights is None else weights.masked_fill(ignored, 0.0)
    if hard is not None:
        losses = losses * hard
        weights = None if weights is None else weights * hard
    if sample_weight is not None:
        factor = along_elements(sample_weight, z).expand_as(losses)
        losses = losses * factor
        if weights is None:
            weights = factor if kept is None else factor * kept
        else:
            weights = weights * factor
    return reduced(losses, kept, weights, reduction)


def reduced(
    losses: Tensor, counted: Tensor | None, weights: Tensor | None, reduction: str
) -> Tensor:
    """Losses that are weighted already, and 0 where they are ignored, reduced.

    Args:
        counted: which elements are labelled, or how much of each counts; None for all.
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
    return quotient(total, divisor)


def quotient(total: Tensor, divisor: Tensor) -> Tensor:
    """total / divisor, and 0 with gradient 0 where nothing is left to divide by."""
    left = divisor > 0
    return total * left / torch.where(left, divisor, torch.ones_like(divisor))


# --- labels -------------------------------------------------------------------------------------


def valid_labels(
    target: Tensor, classes: int, ignore_index: IgnoreIndex
) -> tuple[Tensor, Tensor | None]:
    """int64 labels in 0..K-1 with ignored ones replaced by 0, and which those are (None: none)."""
    labels = target.long()
    ignored = left_out(labels, ignore_index)
    if ignored is not None:
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


def left_out(labels: Tensor, ignore_index: IgnoreIndex) -> Tensor | None:
    """Which integer labels are ignored; None where none can be."""
    ignored = None
    for index in ignored_labels(ignore_index):
        these = labels == index
        ignored = these if ignored is None else ignored | these
    return ignored


def soft_mass(
    target: Tensor, dtype: torch.dtype, ignore_index: IgnoreIndex
) -> tuple[Tensor, Tensor]:
    """Labels [N, K, ...] without what is on ignored classes, and what is left of each element."""
    mass = target.to(dtype)
    inside = [index for index in ignored_labels(ignore_index) if 0 <= index < mass.shape[1]]
    if inside:
        mass = mass.clone()
        for index in inside:
            mass.select(1, index).zero_()
    total = mass.sum(1)
    if free_to_look(total) and total.numel() > 0 and float(total.amax()) > 1 + SUM_ROUNDING:
        raise ParameterError(
            f"the labels of an element sum to {float(total.amax()):g}: it is of several classes, "
            "but losses over a softmax know one",
            remedy="multi-hot labels go with BinaryCrossEntropy or BinaryFocal; of soft ones take"
            " shares",
        )
    return mass, total


# --- arguments ----------------------------------------------------------------------------------


def free_to_look(tensor: Tensor) -> bool:
    """Whether looking at values costs no wait for an accelerator and breaks no compiled graph."""
    return (
        tensor.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not is_transformed(tensor)
    )


def is_transformed(tensor: Tensor) -> bool:
    """Whether `torch.func` (vmap, grad, jvp) stands in for it, whose values can't be looked at."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


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
            remedy="use BinaryCrossEntropy or BinaryFocal, or two logits",
        )
    return int(logits.shape[1])


def checked_target(logits: Tensor, target: Tensor) -> Tensor:
    """The target, without an axis of length 1 in the place of the class axis."""
    shape, labels = tuple(logits.shape), tuple(target.shape)
    wanted = (shape[0], *shape[2:])
    if labels == shape:
        if target.requires_grad:
            raise ParameterError("labels are constants here", remedy="pass target.detach()")
        if free_to_look(target) and target.numel() > 0:
            low, high = (float(end) for end in torch.aminmax(target))
            if not 0 <= low <= high < math.inf:
                raise ParameterError("soft labels must be finite and not negative")
        return target
    if labels == (shape[0], 1, *shape[2:]):
        target, labels = target.squeeze(1), wanted
    if labels != wanted:
        raise ParameterError(
            f"labels of shape {labels} do not fit logits of shape {shape}",
            remedy=enlarged(shape, labels)
            or f"integer labels are {wanted}, soft ones {shape}: the class axis is 1",
        )
    if target.is_floating_point() or target.is_complex():
        raise ParameterError(
            f"labels of shape {labels} are {target.dtype}, not integers",
            remedy="pass target.long(), or soft labels of the logits' shape",
        )
    return target


def enlarged(logits: tuple[int, ...], labels: tuple[int, ...]) -> str | None:
    """What to do where the model's output is smaller than the labels; None where it is not."""
    mode = {4: "bilinear", 5: "trilinear"}.get(len(logits))
    if len(labels) > len(logits) - 1 and labels[1] == 1:
        labels = (labels[0], *labels[2:])
    if mode is None or len(labels) != len(logits) - 1 or labels[0] != logits[0]:
        return None
    if not all(small <= large for small, large in zip(logits[2:], labels[1:], strict=True)):
        return None
    return (
        "enlarge the logits: logits = torch.nn.functional.interpolate("
        f"logits, size={labels[1:]}, mode='{mode}', align_corners=False)"
    )


def per_class(values: PerClass, classes: int, z: Tensor, name: str) -> Tensor:
    """[K] finite, not negative numbers as a tensor beside the logits."""
    table = as_tensor(values, name)
    if tuple(table.shape) != (classes,):
        raise ParameterError(
            f"{name} of shape {tuple(table.shape)} does not fit logits of {classes} classes"
        )
    check_per_class(table, name)
    return table.to(device=z.device, dtype=z.dtype)


def as_tensor(values: PerClass, name: str) -> Tensor:
    """Tensors as they are; anything else as float64 (copied: weights of files are read-only)."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, (str, os.PathLike)) or (
        isinstance(values, WeightTable) and name != "weight"
    ):
        loader = "load_weights" if name == "weight" else "load_counts"
        raise ParameterError(
            f"{name} is numbers, one a class, not {'weights' if loader[5] == 'c' else 'a file'}",
            remedy=f"write {name}={loader}(...) of maskstat.torch",
        )
    return torch.tensor(np.array(values, np.float64))


def check_per_class(table: Tensor, name: str) -> None:
    """Refuse negative and non-finite numbers, where looking is free."""
    if free_to_look(table) and not bool((torch.isfinite(table) & (table >= 0)).all()):
        raise ParameterError(f"{name} must be finite and not negative")


def along_elements(sample_weight: Tensor, z: Tensor) -> Tensor:
    """[N, ...] factors, or those of the first axes with 1 for the others, beside the logits."""
    factor, wanted = sample_weight, (z.shape[0], *z.shape[2:])
    if factor.ndim == z.ndim and factor.shape[1] == 1:
        factor = factor.squeeze(1)
    if factor.ndim < 1 or tuple(factor.shape) != wanted[: factor.ndim]:
        raise ParameterError(
            f"sample_weight of shape {tuple(sample_weight.shape)} does not fit logits of shape "
            f"{tuple(z.shape)}",
            remedy=f"it is {wanted}, or its first axes",
        )
    check_per_class(factor, "sample_weight")
    return factor.to(z).reshape(factor.shape + (1,) * (len(wanted) - factor.ndim))


def along_classes(values: Tensor, z: Tensor) -> Tensor:
    """[K] as [1, K, 1, ...]."""
    return values.view(1, -1, *[1] * (z.ndim - 2))


def share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise ParameterError(f"{name} is {value}, but must be from 0 to 1")
    return value


def finite(value: float, name: str, least: float = -math.inf) -> float:
    # Comparisons alone, which also compiled graphs understand.
    if not (-math.inf < value < math.inf and value >= least):
        limit = "" if least == -math.inf else f" and at least {least:g}"
        raise ParameterError(f"{name} is {value}, but must be finite{limit}")
    return value
