"""Shift a trained model's logits: to decide otherwise, or to undo class weights.

`maskstat.training.calibration` says why and when weights are undone, docs/deciding.md how shifts
are chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy.typing as npt
import torch

from maskstat.errors import ParameterError
from maskstat.torch.precise_buffers import PreciseBuffers
from maskstat.training.calibration import logit_shift
from maskstat.training.shifts import Shifts, shift_values
from maskstat.weights.table import WeightTable, load_weights

Weights: TypeAlias = torch.Tensor | npt.ArrayLike | str | Path | WeightTable


class ShiftLogits(PreciseBuffers):
    """Adds a number to the logits of each class, so that argmax decides otherwise.

    A last layer for export: one addition, no parameters. The shift is a buffer, so it follows
    `.to(device)` and is in `state_dict`. Logits in half precision give float32, as the losses do.

    Args:
        shift: [K], nats, as numbers, `Shifts`, or the file that `maskstat decide` wrote.
        dim: the class axis.

    Raises:
        ParameterError: shifts that are not finite.
        FileFormatError: a file that holds none.
    """

    shift: torch.Tensor

    def __init__(self, shift: torch.Tensor | npt.ArrayLike | Shifts | str | Path, dim: int = 1):
        super().__init__()
        self.dim = dim
        if isinstance(shift, torch.Tensor):
            shift = shift.detach().double().cpu().numpy()
        self.register_buffer("shift", torch.from_numpy(shift_values(shift)).float())

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of the same shape. Raises ParameterError where the class axis is not K long."""
        return _shifted(logits, self.shift, self.dim)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"{len(self.shift)} classes, dim={self.dim}"


class UnweightLogits(ShiftLogits):
    """Turns logits of a model trained with class weights into logits of the posterior, z - ln w.

    Under a weighted mean (PyTorch's) they are so as far as the picture tells what is in it; see
    `maskstat.training.calibration`.

    A last layer for export, as `ShiftLogits` is. Classes of weight 0 get -inf.

    Args:
        weight: [K], the class weights of training; any scale; a table or a file of weights.
        dim: the class axis.

    Raises:
        FileFormatError: the file holds no weights.
        ParameterError: weights that are negative, not finite or all 0.
    """

    def __init__(self, weight: Weights, dim: int = 1):
        PreciseBuffers.__init__(self)
        self.dim = dim
        self.register_buffer("shift", _shift(weight).float())


def unweight_logits(logits: torch.Tensor, weight: Weights, *, dim: int = 1) -> torch.Tensor:
    """Logits z - ln w along `dim`, differentiable; arguments and errors as `UnweightLogits`."""
    return _shifted(logits, _shift(weight), dim)


def _shift(weight: Weights) -> torch.Tensor:
    if isinstance(weight, (str, Path)):
        weight = load_weights(weight)
    if isinstance(weight, torch.Tensor):
        weight = weight.detach().double().cpu().numpy()
    return torch.from_numpy(logit_shift(weight))


def _shifted(logits: torch.Tensor, shift: torch.Tensor, dim: int) -> torch.Tensor:
    if not -logits.ndim <= dim < logits.ndim or logits.shape[dim] != shift.shape[0]:
        raise ParameterError(
            f"{shift.shape[0]} classes do not fit axis {dim} of logits of shape"
            f" {tuple(logits.shape)}"
        )
    if not logits.is_floating_point():
        raise ParameterError(f"logits are floating-point numbers, not {logits.dtype}")
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    shape = [1] * logits.ndim
    shape[dim] = -1
    return logits + shift.to(logits).reshape(shape)
