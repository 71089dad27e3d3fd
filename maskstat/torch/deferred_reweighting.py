"""Deferred re-weighting (Cao et al. 2019): weights that are off until an epoch."""

from __future__ import annotations

from maskstat.errors import ParameterError
from maskstat.torch.saved_statistics import SavedStatistics, defer, in_force
from maskstat.training.loss_arguments import check_start


class DeferredReweighting:
    """Weights that are off until an epoch (Cao et al. 2019, arXiv 1906.07413, section 3.3).

        criterion = LDAM("weights.json", counts=load_counts("weights.json"), scale=1.0)
        schedule = DeferredReweighting(criterion, start=160)
        for epoch in range(200):
            schedule.step(epoch)
            ...

    Until then every weight is 1, under every reduction, and for `divisor` too. The criterion keeps
    its weights and saves them in every phase, so that a checkpoint tells nothing of the phase: the
    epoch alone says it, and training that resumes with `step(epoch)` has the weights that it would
    have had. A compiled criterion is not compiled again.

    Under "mean" weights that do not average 1 change the size of the loss at the start:
    `maskstat weights --normalize pixel`. Under "weighted-mean" their scale plays no part.

    Args:
        criterion: any loss of this package that was made with weights (or pos_weight).
        start: the first epoch with weights, counted from 0. Counts of anything else, such as
            iterations, do as well.

    Raises:
        ParameterError: a criterion without weights, or a start that is no whole number from 0 on.
    """

    def __init__(self, criterion: SavedStatistics, *, start: int):
        if not isinstance(criterion, SavedStatistics):
            raise ParameterError(
                f"{type(criterion).__name__} is no loss of maskstat.torch, which know how to do "
                "without their weights for a while"
            )
        if in_force(criterion) is None:
            raise ParameterError(
                f"this {type(criterion).__name__} was made without {criterion.optional}, so there "
                "is nothing to defer",
                remedy=f"make it with {criterion.optional}=",
            )
        self.criterion = criterion
        self.start = check_start(start)
        self.epoch = 0
        self.step(0)

    def step(self, epoch: int) -> None:
        """Say which epoch begins."""
        self.epoch = int(epoch)
        defer(self.criterion, self.epoch < self.start)

    def state_dict(self) -> dict[str, int]:
        """The epoch, for checkpoints in the middle of one."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on in the epoch of `state_dict`."""
        self.step(state["epoch"])
