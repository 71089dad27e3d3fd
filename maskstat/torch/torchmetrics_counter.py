"""The counter of `maskstat.torch.counters` as a torchmetrics.Metric."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchmetrics import Metric


class TorchmetricsCounter(Metric):  # type: ignore[misc, unused-ignore]
    """A torchmetrics.Metric whose state is one tensor of counts, summed over processes.

    `MetricCollection` merges metrics whose states are equal after the first batch, whatever they
    count in later ones. So settings that decide what is counted are a state as well, which
    never changes.
    """

    is_differentiable = False
    full_state_update = False
    cells: torch.Tensor

    def __init__(self, size: int, settings: Sequence[int] = ()):
        super().__init__()
        # The number of settings first: no state may be empty.
        made = torch.tensor([len(settings), *settings], dtype=torch.int64)
        self.add_state("settings", made, dist_reduce_fx="max")
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
