"""What every loss as a module has: a function of logits and target, and a divisor of its mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from maskstat.errors import ParameterError
from maskstat.torch.functional.elements import quotient
from maskstat.torch.saved_statistics import SavedStatistics, in_force
from maskstat.training.loss_arguments import IgnoreIndex


class ReducedLoss(SavedStatistics):
    """A function of logits and target, which reduces, and ignores labels, by itself."""

    function: ClassVar[Callable[..., Tensor]]
    settings: ClassVar[tuple[str, ...]] = ()
    """Attributes that the function takes besides."""
    _needs_divisor: ClassVar[bool] = True
    """Whether the mean is 0 where there is nothing to divide by, and not divided by 1."""

    ignore_index: IgnoreIndex
    reduction: str

    def _evaluate(
        self,
        logits: Tensor,
        target: Tensor,
        sample_weight: Tensor | None,
        divisor: Tensor | float | None,
    ) -> Tensor:
        """The loss, divided by `divisor` where there is one."""
        loss = type(self).function(
            logits,
            target,
            ignore_index=self.ignore_index,
            reduction=self.reduction if divisor is None else "sum",
            sample_weight=sample_weight,
            **{self.optional: in_force(self)},
            **{name: getattr(self, name) for name in self.settings},
        )
        if divisor is None:
            return loss
        total = torch.as_tensor(divisor, device=loss.device).to(loss.dtype)
        return quotient(loss, total if self._needs_divisor else total.masked_fill(total <= 0, 1))

    def _check_mean(self, said: str) -> None:
        if "mean" not in self.reduction:
            raise ParameterError(f"{said}, and reduction is {self.reduction!r}")
