"""The battery's cases on torch: the class axis moved to 1 and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from maskstat.torch import functional
from tests.support.loss_cases import LossCase
from tests.support.loss_oracles import Array

Function = Callable[..., torch.Tensor]


def class_first(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(array, -1, 1).copy())


def tensors(
    case: LossCase, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that want a gradient, and the target."""
    whole = case.target.ndim == case.logits.ndim
    target = class_first(case.target) if whole else torch.from_numpy(case.target)
    return class_first(case.logits).to(dtype).requires_grad_(), target


def value_and_gradient(
    case: LossCase,
    reduction: str,
    dtype: torch.dtype = torch.float64,
    function: Function | None = None,
) -> tuple[Array, Array]:
    """As the oracle gives them, in float64 with the class axis last."""
    logits, target = tensors(case, dtype)
    loss = function or getattr(functional, case.loss)
    value = loss(logits, target, reduction=reduction, **case.arguments)
    value.sum().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == dtype
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    numbers = value.detach().double().numpy()
    if numbers.ndim == logits.ndim:
        numbers = np.moveaxis(numbers, 1, -1)
    return numbers, np.moveaxis(logits.grad.double().numpy(), 1, -1)


def rounded(case: LossCase, dtype: torch.dtype) -> Array:
    """The case's logits as this type holds them."""
    return torch.from_numpy(case.logits).to(dtype).double().numpy()


def apart(found: Array, wanted: Array) -> float:
    """The largest difference, relative to the largest number or to 1; NaN counts as infinite."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return np.inf
    scale = 1 + np.abs(wanted).max(initial=0.0)
    return float(np.abs(found - wanted).max(initial=0.0) / scale)
