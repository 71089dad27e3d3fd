"""The losses of `maskstat.torch.functional` as modules.

What belongs to classes (weights, priors, counts) is a registered buffer: it moves with
`.to(device)`, is saved by `state_dict`, and stays float32 where a model is cast to half precision.

    criterion = CrossEntropy("weights.json", ignore_index=255)
    criterion(logits, labels).backward()
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

import maskstat.torch.functional as functional
from maskstat.errors import ParameterError
from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    along_elements,
    as_tensor,
    check_per_class,
    check_reduction,
    finite,
    left_out,
    share,
    soft_mass,
    valid_labels,
)
from maskstat.torch.functional.margins import occurring
from maskstat.torch.loading import load_weights
from maskstat.torch.precise_buffers import least_precise, wide
from maskstat.torch.reduced_loss import ReducedLoss
from maskstat.torch.saved_statistics import in_force
from maskstat.training.loss_arguments import IgnoreIndex, check_mining, ignored_labels
from maskstat.weights.table import WeightTable


class ClassLoss(ReducedLoss):
    """What all losses have.

    A checkpoint's weights, priors and counts take the place of those given here, with a warning
    where they differ. One without weights leaves those given here as they are.

    Args:
        weight: [K] class weights, finite and not negative; a table or file of weights; None for
            ones.
        ignore_index: labels to leave out, one or several, inside or outside 0..K-1; None for none.
        reduction: "none"; "sum"; "mean", by the number of labelled elements (Keras' mean);
            "weighted-mean", by the sum of their weights (the mean of torch's own
            `CrossEntropyLoss(weight)`). Both means are 0 where nothing is labelled.

    Raises:
        ParameterError: a weight, index or reduction that means nothing.
        FileFormatError, WeightError: as `load_weights`.
    """

    optional = "weight"

    weight: Tensor | None

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__()
        check_reduction(reduction)
        ignored_labels(ignore_index)
        if isinstance(weight, (str, os.PathLike, WeightTable)):
            weight = load_weights(weight, reduction=reduction)
        self.register_buffer("weight", None if weight is None else checked(weight, "weight"))
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        divisor: Tensor | float | None = None,
    ) -> Tensor:
        """The loss of logits [N, K, ...].

        Args:
            sample_weight: further factors of the weights, [N, ...] or one an image; not negative.
            divisor: what to divide by instead of what this batch weighs: the sum of `divisor` of
                all batches of an optimiser step, or of all processes. The losses of the parts then
                add up to the exact mean of the whole.
        """
        if divisor is not None:
            self._check_mean("divisor= goes with a mean")
            if not target.is_floating_point() and target.shape == logits.shape:
                raise ParameterError(
                    "one-hot labels beside divisor= are floating", remedy="pass target.float()"
                )
        return self._evaluate(logits, target, sample_weight, divisor)

    def divisor(self, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """What the mean of these labels divides by, a number that adds up over batches.

        Args:
            target: integer labels, or soft labels [N, K, ...], which are floating.
            sample_weight: as the loss gets it.

        Raises:
            ParameterError: the reduction is no mean, or labels that mean nothing.
        """
        self._check_mean("only means divide by something")
        w = in_force(self)
        if target.is_floating_point():
            kind = torch.float32 if w is None else w.dtype
            mass, weights = soft_mass(target, kind, self.ignore_index)
            kept = weights > 0
            weights = weights if w is None else mass.movedim(1, -1) @ w
        else:
            if sample_weight is not None and target.shape == sample_weight.unsqueeze(1).shape:
                target = target.squeeze(1)
            ignored = left_out(target, self.ignore_index)
            kept = torch.ones_like(target, dtype=torch.bool) if ignored is None else ~ignored
            weights = kept.to(torch.float32)
            if w is not None:
                labels, _ = valid_labels(target, len(w), self.ignore_index)
                weights = w.index_select(0, labels.reshape(-1)).view(labels.shape) * kept
        if self.reduction == "mean":
            return kept.sum().to(weights.dtype)
        if sample_weight is not None:
            weights = weights * along_elements(sample_weight, weights.unsqueeze(1))
        return weights.sum()

    def _check_mean(self, said: str) -> None:
        super()._check_mean(said)
        if any(getattr(self, name, None) is not None for name in ("top_k", "threshold")):
            raise ParameterError(
                "which elements are hard depends on logits, so labels alone have no divisor",
                remedy="leave out top_k= and threshold=, or average the means of batches",
            )


def checked(values: PerClass, name: str, *, some: bool = False) -> Tensor:
    """A new tensor [K] of finite, not negative numbers; counts or shares if `some` must be."""
    table = as_tensor(values, name).detach().clone()
    table = wide(table) if isinstance(values, Tensor) else table.to(least_precise())
    if table.ndim != 1:
        raise ParameterError(f"{name} has shape {tuple(table.shape)}, not one number a class")
    check_per_class(table.cpu(), name)
    if some:
        occurring(table.cpu(), name)
    return table


class CrossEntropy(ClassLoss):
    """-ln p_g, of all elements or of hard ones.

        criterion = CrossEntropy("weights.json", threshold=0.7, top_k=0.05, ignore_index=255)

    See `functional.cross_entropy` and, for the other arguments, `ClassLoss`.
    """

    function = staticmethod(functional.cross_entropy)
    settings = ("label_smoothing", "top_k", "threshold")

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        label_smoothing: float = 0.0,
        top_k: float | None = None,
        threshold: float | None = None,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.label_smoothing = share(label_smoothing, "label_smoothing")
        check_mining(top_k, threshold)
        self.top_k, self.threshold = top_k, threshold


class Focal(ClassLoss):
    """-(1 - p_g)^gamma ln p_g; see `functional.focal` and, for the arguments, `ClassLoss`."""

    function = staticmethod(functional.focal)
    settings = ("gamma",)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        gamma: float = 2.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.gamma = finite(gamma, "gamma", 0.0)


class ComplementEntropy(ClassLoss):
    """C >= 0, to be made larger: `(-criterion(logits, labels)).backward()`.

    See `functional.complement_entropy` and, for the arguments, `ClassLoss`.
    """

    function = staticmethod(functional.complement_entropy)


class ComplementCrossEntropy(ClassLoss):
    """-ln p_g + gamma / (K - 1) C, to be made smaller.

    See `functional.complement_cross_entropy` and, for the arguments, `ClassLoss`.
    """

    function = staticmethod(functional.complement_cross_entropy)
    settings = ("gamma",)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        gamma: float = -1.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.gamma = finite(gamma, "gamma")


class LogitAdjusted(ClassLoss):
    """Cross entropy of z + tau ln prior: `LogitAdjusted(prior=load_counts("weights.json"))`.

    Args:
        prior: [K], how often classes occur: counts or shares, never weights.

    See `functional.logit_adjusted` and, for the other arguments, `ClassLoss`.
    """

    function = staticmethod(functional.logit_adjusted)
    settings = ("prior", "tau")
    prior: Tensor

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        prior: PerClass,
        tau: float = 1.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.register_buffer("prior", checked(prior, "prior", some=True))
        self.tau = finite(tau, "tau")


class LDAM(ClassLoss):
    """Cross entropy with margins that grow as classes get rare.

        criterion = LDAM(counts=load_counts("weights.json"), scale=1.0)

    The paper trains without weights until the last learning rate, and with them from then on:

        criterion = LDAM("weights.json", counts=load_counts("weights.json"), scale=1.0)
        schedule = DeferredReweighting(criterion, start=160)

    Args:
        counts: [K], how often classes occur: counts or shares, never weights.

    See `functional.ldam` and, for the other arguments, `ClassLoss`.
    """

    function = staticmethod(functional.ldam)
    settings = ("counts", "max_margin", "scale")
    counts: Tensor

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        counts: PerClass,
        max_margin: float = 0.5,
        scale: float = 30.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.register_buffer("counts", checked(counts, "counts", some=True))
        self.max_margin = finite(max_margin, "max_margin", 0.0)
        self.scale = finite(scale, "scale", 0.0)


class DistanceAware(ClassLoss):
    """The CornerNet heat-map loss of sigmoids.

    See `functional.distance_aware`, also for what `ignore_index` and the means are here.
    """

    function = staticmethod(functional.distance_aware)
    settings = ("alpha", "beta")
    _needs_divisor = False

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        alpha: float = 2.0,
        beta: float = 4.0,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.alpha = finite(alpha, "alpha", 0.0)
        self.beta = finite(beta, "beta", 0.0)

    def divisor(self, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """What the mean of a heat map divides by: its key points, or the sum of their weights."""
        self._check_mean("only means divide by something")
        w = in_force(self)
        keys = (target == 1).to(torch.float32 if w is None else w.dtype)
        for index in ignored_labels(self.ignore_index):
            if 0 <= index < keys.shape[1]:
                keys.select(1, index).zero_()
        if self.reduction == "mean":
            return keys.sum()
        weights = keys.sum(1) if w is None else keys.movedim(1, -1) @ w
        if sample_weight is not None:
            weights = weights * along_elements(sample_weight, keys)
        return weights.sum()
