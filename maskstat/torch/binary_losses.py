"""The binary losses of `maskstat.torch.functional` as modules.

criterion = BinaryCrossEntropy("weights.json", ignore_index=255)
criterion(logits, target).backward()  # both [N, H, W], [N, 1, H, W] or [N, L, H, W]
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

import maskstat.torch.functional as functional
from maskstat.errors import ParameterError
from maskstat.torch.functional.binary import BinaryReduction, PosWeight, pos_weight_tensor
from maskstat.torch.functional.elements import IGNORE_INDEX, finite, left_out, share
from maskstat.torch.loading import load_pos_weight
from maskstat.torch.precise_buffers import least_precise, wide
from maskstat.torch.reduced_loss import ReducedLoss
from maskstat.training.binary_arguments import check_binary_reduction, one_weight_of_positives
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.weights.table import WeightTable


class BinaryLoss(ReducedLoss):
    """What binary losses have.

    A checkpoint's pos_weight takes the place of the one given here, with a warning where they
    differ. A checkpoint without leaves the one given here as it is.

    Args:
        pos_weight: what a positive weighs, where a negative weighs 1: a number; [L] numbers, one
            a label; a table or file of two weights (w1 / w0) or of labels; a file that
            `maskstat weights --layout pos-weight` wrote; None for 1.
        ignore_index: targets to leave out, one or several, or None.
        reduction: "none", "sum" or "mean", by the number of elements that are not ignored, under
            which pos_weight holds. Where there are none the mean is 0.

    Raises:
        ParameterError: a pos_weight, index or reduction that means nothing.
        FileFormatError, WeightError: as `load_pos_weight`.
    """

    optional = "pos_weight"

    pos_weight: Tensor | None

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: BinaryReduction = "mean",
    ):
        super().__init__()
        check_binary_reduction(reduction)
        ignored_labels(ignore_index)
        self.register_buffer("pos_weight", None if pos_weight is None else _buffer(pos_weight))
        self.ignore_index = ignore_index
        self.reduction: BinaryReduction = reduction

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        divisor: Tensor | float | None = None,
    ) -> Tensor:
        """The loss of logits [N, H, W] or [N, L, H, W] and targets of the same shape.

        Args:
            sample_weight: factors, of the logits' shape, [N, ...] for all labels, or [N].
            divisor: what to divide by instead of the number of elements of this batch: the sum of
                `divisor` of all batches of an optimiser step, or of all processes.
        """
        if divisor is not None:
            self._check_mean("divisor= goes with a mean")
        return self._evaluate(logits, target, sample_weight, divisor)

    def divisor(self, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """What the mean of these targets divides by: how many are not ignored.

        Args:
            target: as the loss gets it.
            sample_weight: as the loss gets it; the mean does not divide by it.

        Raises:
            ParameterError: the reduction is no mean.
        """
        self._check_mean("only means divide by something")
        ignored = left_out(target.float(), self.ignore_index)
        kept = torch.ones_like(target, dtype=torch.bool) if ignored is None else ~ignored
        return kept.sum().to(torch.float32)


class BinaryCrossEntropy(BinaryLoss):
    """-y pos_weight ln p - (1 - y) ln(1 - p), p = sigmoid(z).

    See `functional.binary_cross_entropy` and, for the other arguments, `BinaryLoss`.
    """

    function = staticmethod(functional.binary_cross_entropy)
    settings = ("label_smoothing",)

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        label_smoothing: float = 0.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: BinaryReduction = "mean",
    ):
        super().__init__(pos_weight, ignore_index=ignore_index, reduction=reduction)
        self.label_smoothing = share(label_smoothing, "label_smoothing")


class BinaryFocal(BinaryLoss):
    """-(1 - p)^gamma ln p of positives, p = sigmoid(z), and the same of negatives with 1 - p.

    See `functional.binary_focal` and, for the other arguments, `BinaryLoss`.
    """

    function = staticmethod(functional.binary_focal)
    settings = ("gamma", "alpha")

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        gamma: float = 2.0,
        alpha: float | None = None,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: BinaryReduction = "mean",
    ):
        one_weight_of_positives(alpha, pos_weight)
        super().__init__(pos_weight, ignore_index=ignore_index, reduction=reduction)
        self.gamma = finite(gamma, "gamma", 0.0)
        self.alpha = None if alpha is None else share(alpha, "alpha")


def _buffer(given: PosWeight | str | Path) -> Tensor:
    """A new tensor, a number or [L], finite and not negative."""
    if isinstance(given, (str, os.PathLike, WeightTable)):
        given = load_pos_weight(given)
    table = pos_weight_tensor(given)
    if table.numel() == 0:
        raise ParameterError("pos_weight is of no label")
    pos_weight_tensor(table.detach().cpu())  # its values are looked at, wherever they are
    table = table.detach().clone()
    return wide(table) if isinstance(given, Tensor) else table.to(least_precise())
