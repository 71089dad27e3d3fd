"""The counter of `maskstat.torch.counters` as a torchmetrics.Metric."""

from __future__ import annotations

import torch
from torchmetrics import Metric


class TorchmetricsCounter(Metric):  # type: ignore[misc, unused-ignore]
    """A torchmetrics.Metric whose state is one tensor of counts, summed over processes."""

    is_differentiable = False
    full_state_update = False
    cells: torch.Tensor

    def __init__(self, size: int):
        super().__init__()
        self.add_state("cells", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

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
        return self.value(self.cells)
