"""Metrics whose whole state is one tensor of int64 counts, which adds up over processes.

A metric says how a batch is counted (`tally`) and what counts mean (`value`); a counter does the
rest. `Counter` is a genuine torchmetrics.Metric where torchmetrics is installed, which is what
Lightning's `self.log` and torchmetrics' collections ask for, and elsewhere `PlainCounter`,
a module that is used in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import distributed, nn


class PlainCounter(nn.Module):
    """update, compute, reset and forward as torchmetrics.Metric has them.

    `compute` adds up the counts of all processes where torch.distributed is initialised, so it
    must be called on all of them. The state is a buffer that is not saved.
    """

    cells: torch.Tensor

    def __init__(self, size: int, settings: Sequence[int] = ()):
        super().__init__()
        self.register_buffer("cells", torch.zeros(size, dtype=torch.int64), persistent=False)

    def tally(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """int64, the counts of one batch."""
        raise NotImplementedError

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """The metric of these counts."""
        raise NotImplementedError

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Count one batch."""
        self.cells = self.cells + self.tally(preds, target)

    def compute(self) -> torch.Tensor:
        """The metric of everything counted since the last reset, by all processes."""
        total = self.cells
        if distributed.is_available() and distributed.is_initialized():
            total = total.clone()
            distributed.all_reduce(total)
        return self.value(total)

    def reset(self) -> None:
        """Forget everything counted."""
        self.cells = torch.zeros_like(self.cells)

    def forward(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Count one batch and return the metric of it alone."""
        batch = self.tally(preds, target)
        self.cells = self.cells + batch
        return self.value(batch)


if TYPE_CHECKING or find_spec("torchmetrics") is None:
    Counter = PlainCounter
else:
    from maskstat.torch.torchmetrics_counter import TorchmetricsCounter

    Counter = TorchmetricsCounter
