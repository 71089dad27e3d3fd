"""What all losses share: labels, weights, what is left out, and the four reductions.

A loss of labels is given as two functions: `sparse(logits, labels)` for the loss of every element,
and `soft(logits, mass)` for sum_k mass_k loss(label k), where mass is the label times the weights.
So integer labels never become one-hot ones, and soft labels get the same meaning in every loss.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from keras import ops
from keras.backend import standardize_dtype

from maskstat.errors import ParameterError
from maskstat.parameters import check_word
from maskstat.training.loss_arguments import IgnoreIndex, check_amounts, ignored_labels
from maskstat.weights.table import WeightTable

Tensor: TypeAlias = Any
"""Of whatever backend Keras runs on, or what it makes tensors of."""
PerClass: TypeAlias = npt.ArrayLike | Sequence[float] | Tensor
Reduction: TypeAlias = Literal[
    "none", "sum", "mean", "weighted-mean", "sum_over_batch_size", "mean_with_sample_weight"
]

REDUCTIONS: dict[str | None, str] = {
    "none": "none",
    "sum": "sum",
    "mean": "mean",
    "weighted-mean": "weighted-mean",
    None: "none",
    "sum_over_batch_size": "mean",
    "mean_with_sample_weight": "weighted-mean",
}
"""Keras' names beside ours."""
SUM_ROUNDING = 0.01
"""How far the sum of soft labels may be above 1, in half precision for instance."""


def label_loss(
    logits: Tensor,
    target: Tensor,
    *,
    weight: PerClass | None,
    ignore_index: IgnoreIndex,
    reduction: str | None,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    sparse: Callable[[Tensor, Tensor], Tensor],
    soft: Callable[[Tensor, Tensor], Tensor],
    label_smoothing: float = 0.0,
    hardness: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """A weighted, reduced loss of labels; see `maskstat.keras.functional` for the arguments.

    Args:
        hardness: (losses without weights, which are labelled) -> how much of each is kept.
    """
    reduction = standard_reduction(reduction)
    z = checked_logits(logits)
    classes = int(z.shape[-1])
    labels, is_soft = checked_target(target, z)
    w = None if weight is None else per_class(weight, classes, z.dtype, "weight")
    kept = None if mask is None else ops.cast(along_elements(mask, z, "mask"), "bool")
    if is_soft:
        mass, counted = soft_mass(labels, z, ignore_index)
        weights = ops.sum(mass if w is None else mass * w, axis=-1)
        plain = None if hardness is None else soft(z, mass)
        if label_smoothing:
            evenly = ops.sum(mass, axis=-1, keepdims=True) * (label_smoothing / classes)
            mass = mass * (1 - label_smoothing) + evenly
        losses = soft(z, mass if w is None else mass * w)
    else:
        refuse_strange_labels(labels, classes, ignore_index, mask)
        indices, counted = valid_labels(labels, classes, ignore_index)
        losses, weights = sparse(z, indices), None
        plain = losses
        if w is not None:
            weights = ops.take(w, indices, axis=0)
            losses = losses * weights
        if label_smoothing:
            # As in PyTorch, an element weighs what its own label does.
            evenly = ops.ones((classes,), dtype=z.dtype) if w is None else w
            losses = (1 - label_smoothing) * losses
            losses = losses + soft(z, evenly * (label_smoothing / classes))
    if sample_weight is not None:
        factor = ops.cast(along_elements(sample_weight, z, "sample_weight"), z.dtype)
        losses = losses * factor
        weights = (
            ops.broadcast_to(factor, ops.shape(losses)) if weights is None else (weights * factor)
        )
    counted = counted if kept is None else ops.logical_and(counted, kept)
    losses = ops.where(counted, losses, ops.zeros_like(losses))
    ones = ops.cast(counted, z.dtype)
    if hardness is not None:
        ones = hardness(plain, counted)
        losses = losses * ones
    if reduction == "none" or reduction == "sum":
        return losses if reduction == "none" else ops.sum(losses)
    divisor = ops.sum(
        ones * weights if reduction == "weighted-mean" and weights is not None else ones
    )
    return quotient(ops.sum(losses) * ops.cast(divisor > 0, z.dtype), divisor)


def quotient(total: Tensor, divisor: Tensor) -> Tensor:
    """total / divisor, and total where nothing is left to divide by."""
    return total / ops.where(divisor > 0, divisor, ops.ones_like(divisor))


# --- labels -------------------------------------------------------------------------------------


def checked_target(target: Tensor, z: Tensor) -> tuple[Tensor, bool]:
    """Labels as a tensor of a type they can be compared in, and whether they are soft ones."""
    labels = ops.convert_to_tensor(target)
    shape, wanted = tuple(labels.shape), tuple(z.shape)
    if len(shape) == len(wanted) and shape[-1] == 1:
        labels, shape = ops.squeeze(labels, axis=-1), shape[:-1]
    if not (fits(shape, wanted) or fits(shape, wanted[:-1])):
        raise ParameterError(
            f"labels of shape {shape} do not fit logits of shape {wanted}",
            remedy=enlarged(wanted, shape)
            or f"integer labels are {wanted[:-1]}, soft ones {wanted}: the class axis is last",
        )
    is_soft = len(shape) == len(wanted)
    if not is_soft and standardize_dtype(labels.dtype) not in ("int32", "int64"):
        if not is_floating(labels):
            labels = ops.cast(labels, "int32")
        elif is_half(labels.dtype):
            labels = ops.cast(labels, "float32")
    return labels, is_soft


def enlarged(logits: Sequence[int | None], labels: Sequence[int | None]) -> str | None:
    """What to do where the model's output is smaller than the labels; None where it is not."""
    if len(logits) != 4 or len(labels) not in (3, 4) or not fits(labels[:1], logits[:1]):
        return None
    size = tuple(labels[1:3])
    if not all(s and t and s <= t for s, t in zip(logits[1:3], size, strict=True)):
        return None
    return f"enlarge the logits: logits = keras.ops.image.resize(logits, {size})"


def valid_labels(labels: Tensor, classes: int, ignore_index: IgnoreIndex) -> tuple[Tensor, Tensor]:
    """int32 labels in 0..K-1, with 0 in place of all others, and which ones are counted."""
    counted = ops.logical_and(labels >= 0, labels < classes)
    for index in ignored_labels(ignore_index):
        if 0 <= index < classes:
            counted = ops.logical_and(counted, ops.not_equal(labels, index))
    return ops.cast(ops.where(counted, labels, ops.zeros_like(labels)), "int32"), counted


def refuse_strange_labels(
    labels: Tensor, classes: int, ignore_index: IgnoreIndex, mask: Tensor | None
) -> None:
    """Raise ParameterError for labels neither of a class nor ignored, where looking is free."""
    values, kept = at_hand(labels), None if mask is None else at_hand(mask)
    if values is None or (mask is not None and kept is None):
        return
    strange = (values < 0) | (values >= classes)
    if values.dtype.kind == "f":
        strange |= values != np.floor(values)
    for index in ignored_labels(ignore_index):
        strange &= values != index
    if kept is not None:
        strange &= np.reshape(kept, kept.shape + (1,) * (values.ndim - kept.ndim)).astype(bool)
    if strange.any():
        raise ParameterError(
            f"label {values[strange][0]} is none of the {classes} classes 0..{classes - 1}, and "
            f"ignore_index is {ignore_index}",
            remedy="map such labels to classes, or give ignore_index=",
        )


def soft_mass(labels: Tensor, z: Tensor, ignore_index: IgnoreIndex) -> tuple[Tensor, Tensor]:
    """Labels [..., K] without what is on the ignored class, and which elements have any left."""
    mass = ops.cast(labels, z.dtype)
    others = other_classes(z.shape[-1], ignore_index)
    if others is not None:
        mass = mass * ops.cast(ops.convert_to_tensor(others), z.dtype)
    total = ops.sum(mass, axis=-1)
    sums = at_hand(total)
    if sums is not None and sums.max(initial=0.0) > 1 + SUM_ROUNDING:
        raise ParameterError(
            f"the labels of an element sum to {sums.max():g}: it is of several classes, but losses "
            "over a softmax know one",
            remedy="multi-hot labels go with BinaryCrossEntropy or BinaryFocal; of soft ones take"
            " shares",
        )
    return mass, total > 0


def other_classes(classes: int, ignore_index: IgnoreIndex) -> npt.NDArray[np.bool_] | None:
    """bool[K], which classes are not ignored; None where all are."""
    inside = [index for index in ignored_labels(ignore_index) if 0 <= index < classes]
    return ~np.isin(np.arange(classes), inside) if inside else None


def is_class(labels: Tensor, classes: int) -> Tensor:
    """bool[..., K]: which class is the label. One byte a logit, and no memory once compiled."""
    return ops.equal(ops.expand_dims(labels, -1), ops.arange(classes, dtype="int32"))


# --- arguments ----------------------------------------------------------------------------------


def at_hand(values: Any) -> npt.NDArray[Any] | None:
    """Values as NumPy where looking is free: no tracing, no wait for an accelerator; else None."""
    if isinstance(values, WeightTable):
        return values.weights
    if isinstance(values, (np.ndarray, np.generic, list, tuple, int, float)):
        return np.asarray(values)
    if "cpu" in str(getattr(values, "device", "")).lower():
        return np.asarray(values.detach() if hasattr(values, "detach") else values)
    return None


def looked_at(values: Any, name: str) -> npt.NDArray[Any]:
    """Values as NumPy, from wherever they are. Raises ParameterError for what is being traced."""
    table = at_hand(values)
    if table is not None:
        return table
    try:
        return np.asarray(ops.convert_to_numpy(values))
    except Exception as error:  # every backend has its own
        raise ParameterError(
            f"{name} has no values while a function is compiled ({type(error).__name__})",
            remedy="make it outside, of numbers",
        ) from None


def checked_logits(logits: Tensor) -> Tensor:
    """Logits [N, ..., K] in the type that losses are computed in: float32 for half precision."""
    refuse_probabilities(logits)
    z = ops.convert_to_tensor(logits)
    if not is_floating(z):
        raise ParameterError(f"logits are {standardize_dtype(z.dtype)}, not floating")
    if len(z.shape) < 2 or z.shape[-1] is None:
        raise ParameterError(f"logits of shape {tuple(z.shape)} have no last axis of known size")
    if z.shape[-1] < 2:
        raise ParameterError(
            "a softmax over 1 class is always 1",
            remedy="use BinaryCrossEntropy or BinaryFocal, or two logits",
        )
    return widened(z)


def refuse_probabilities(logits: Tensor) -> None:
    """Raise ParameterError for what a softmax or sigmoid made, where the backend remembers it.

    TensorFlow does, and Keras' own losses take its input instead: a model would silently get
    another loss on another backend.
    """
    operation = getattr(getattr(logits, "op", None), "type", None)
    if hasattr(logits, "_keras_logits") or operation in ("Softmax", "Sigmoid"):
        raise ParameterError(
            "the model ends in a softmax or sigmoid, but losses take logits",
            remedy='give its last layer activation="linear", and predictions what it had',
        )


def is_floating(tensor: Tensor) -> bool:
    return "float" in standardize_dtype(tensor.dtype)


def is_half(dtype: Any) -> bool:
    return standardize_dtype(dtype) in ("float16", "bfloat16")


def widened(tensor: Tensor) -> Tensor:
    if is_half(tensor.dtype):
        return ops.cast(tensor, "float32")
    return tensor


def fits(shape: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Whether two shapes can be the same; None is a size that is not known yet."""
    return len(shape) == len(wanted) and all(
        one is None or other is None or one == other
        for one, other in zip(shape, wanted, strict=True)
    )


def along_elements(values: Tensor, z: Tensor, name: str) -> Tensor:
    """[N, ...] numbers, or those of its first axes with 1 for the others, of logits [N, ..., K]."""
    tensor, wanted = ops.convert_to_tensor(values), tuple(z.shape)[:-1]
    shape = tuple(tensor.shape)
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        tensor, shape = ops.squeeze(tensor, axis=-1), shape[:-1]
    if len(shape) > len(wanted) or not all(
        size == 1 or fits((size,), (other,)) for size, other in zip(shape, wanted, strict=False)
    ):
        raise ParameterError(
            f"{name} of shape {shape} does not fit logits of shape {tuple(z.shape)}",
            remedy=f"it is {wanted}, or its first axes",
        )
    for _ in range(len(wanted) - len(shape)):
        tensor = ops.expand_dims(tensor, -1)
    return tensor


def per_class(values: PerClass, classes: int, dtype: Any, name: str) -> Tensor:
    """[K] finite, not negative numbers as a tensor beside the logits."""
    refuse_files(values, name)
    table = at_hand(values)
    if table is None:
        tensor = ops.cast(values, dtype)
        check_length(tuple(tensor.shape), classes, name)
        return tensor
    check_length(table.shape, classes, name)
    return ops.convert_to_tensor(check_per_class(table, name), dtype=dtype)


def refuse_files(values: Any, name: str) -> None:
    """Raise ParameterError for a file, and for a table of weights as anything but weights."""
    is_table = isinstance(values, WeightTable)
    if isinstance(values, (str, os.PathLike)) or (is_table and name != "weight"):
        raise ParameterError(
            f"{name} is numbers, one a class, not {'weights' if is_table else 'a file'}",
            remedy=f"write {name}=load_{'weights' if name == 'weight' else 'counts'}(...) of"
            " maskstat.keras",
        )


def numbers_per_class(values: PerClass, classes: int, name: str) -> npt.NDArray[np.float64]:
    """float64[K] finite, not negative numbers, with the smallest one above 0 in place of zeros."""
    refuse_files(values, name)
    table = looked_at(values, name)
    check_length(table.shape, classes, name)
    return occurring(check_per_class(table, name), name)


def occurring(table: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    check_amounts(table, name)
    return np.where(table > 0, table, table[table > 0].min())


def check_length(shape: tuple[int, ...], classes: int, name: str) -> None:
    if shape != (classes,):
        raise ParameterError(f"{name} of shape {shape} does not fit logits of {classes} classes")


def check_per_class(values: PerClass, name: str) -> npt.NDArray[np.float64]:
    """float64[K]. Raises ParameterError for what float32 can't hold and for negative numbers."""
    table = np.asarray(values, np.float64)
    if not (np.abs(table) <= np.finfo(np.float32).max).all() or (table < 0).any():
        raise ParameterError(f"{name} must be finite and not negative")
    return table


def share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise ParameterError(f"{name} is {value}, but must be from 0 to 1")
    return float(value)


def finite(value: float, name: str, least: float = -math.inf) -> float:
    if not math.isfinite(value) or value < least:
        limit = "" if least == -math.inf else f" and at least {least:g}"
        raise ParameterError(f"{name} is {value}, but must be finite{limit}")
    return float(value)


def standard_reduction(reduction: str | None) -> str:
    if reduction is not None:
        names = [name for name in REDUCTIONS if name is not None]
        check_word(reduction, names, parameter="reduction")
    return REDUCTIONS[reduction]
