"""The losses of `maskstat.torch.functional` as modules.

What belongs to classes (weights, priors, counts) is a registered buffer: it moves with
`.to(device)` and is saved by `state_dict`. Numbers that are no tensors become torch's default
floating type.

    criterion = CrossEntropy(weight=weights, ignore_index=255)
    criterion(logits, labels).backward()
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskstat.errors import ParameterError
from maskstat.torch import functional
from maskstat.torch.functional.elements import (
    IGNORE_INDEX,
    PerClass,
    Reduction,
    as_tensor,
    check_per_class,
    check_reduction,
    finite,
)


class ClassLoss(nn.Module):
    """What all losses have.

    Args:
        weight: [K] class weights, finite and not negative; None for ones.
        ignore_index: a label to leave out, inside or outside 0..K-1; None for none.
        reduction: "none"; "sum"; "mean", by the number of labelled elements (Keras' mean);
            "weighted-mean", by the sum of their weights (the mean of torch's own
            `CrossEntropyLoss(weight)`). Both means are 0 where nothing is labelled.

    Raises:
        ParameterError: a weight, index or reduction that means nothing.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: PerClass | None = None,
        *,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__()
        check_reduction(reduction)
        self.register_buffer("weight", None if weight is None else checked(weight, "weight"))
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def extra_repr(self) -> str:
        numbers = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "training"
        ]
        weighted = [] if self.weight is None else [f"{len(self.weight)} weights"]
        return ", ".join([*weighted, *numbers])


def checked(values: PerClass, name: str, *, some: bool = False) -> Tensor:
    """A new tensor [K] of finite, not negative numbers; not all 0 if `some` must be above."""
    table = as_tensor(values).detach().clone()
    if not isinstance(values, Tensor) or not table.is_floating_point():
        table = table.to(torch.get_default_dtype())
    if table.ndim != 1:
        raise ParameterError(f"{name} has shape {tuple(table.shape)}, not one number a class")
    check_per_class(table.cpu(), name)
    if some and not bool((table > 0).any()):
        raise ParameterError(f"{name} is 0 for every class")
    return table


class CrossEntropy(ClassLoss):
    """-ln p_g; see `functional.cross_entropy` and, for the arguments, `ClassLoss`."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class Focal(ClassLoss):
    """-(1 - p_g)^gamma ln p_g; see `functional.focal` and, for the arguments, `ClassLoss`."""

    def __init__(
        self,
        weight: PerClass | None = None,
        *,
        gamma: float = 2.0,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.gamma = finite(gamma, "gamma", 0.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.focal(
            logits,
            target,
            gamma=self.gamma,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class ComplementEntropy(ClassLoss):
    """C >= 0, to be made larger: `(-criterion(logits, labels)).backward()`.

    See `functional.complement_entropy` and, for the arguments, `ClassLoss`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.complement_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class ComplementCrossEntropy(ClassLoss):
    """-ln p_g + gamma / (K - 1) C, to be made smaller.

    See `functional.complement_cross_entropy` and, for the arguments, `ClassLoss`.
    """

    def __init__(
        self,
        weight: PerClass | None = None,
        *,
        gamma: float = -1.0,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.gamma = finite(gamma, "gamma")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.complement_cross_entropy(
            logits,
            target,
            gamma=self.gamma,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class LogitAdjusted(ClassLoss):
    """Cross entropy of z + tau ln prior.

    Args:
        prior: [K], how frequent classes are, of any scale.

    See `functional.logit_adjusted` and, for the other arguments, `ClassLoss`.
    """

    prior: Tensor

    def __init__(
        self,
        prior: PerClass,
        weight: PerClass | None = None,
        *,
        tau: float = 1.0,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.register_buffer("prior", checked(prior, "prior", some=True))
        self.tau = finite(tau, "tau")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.logit_adjusted(
            logits,
            target,
            prior=self.prior,
            tau=self.tau,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class LDAM(ClassLoss):
    """Cross entropy with margins that grow as classes get rare.

    Args:
        counts: [K], how often classes occur.

    See `functional.ldam` and, for the other arguments, `ClassLoss`. For deferred re-weighting (Cao
    et al. 2019, section 3.3) assign `criterion.weight` when the time has come.
    """

    counts: Tensor

    def __init__(
        self,
        counts: PerClass,
        weight: PerClass | None = None,
        *,
        max_margin: float = 0.5,
        scale: float = 30.0,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.register_buffer("counts", checked(counts, "counts", some=True))
        self.max_margin = finite(max_margin, "max_margin", 0.0)
        self.scale = finite(scale, "scale", 0.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.ldam(
            logits,
            target,
            counts=self.counts,
            max_margin=self.max_margin,
            scale=self.scale,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class DistanceAware(ClassLoss):
    """The CornerNet heat-map loss of sigmoids.

    See `functional.distance_aware`, also for what `ignore_index` and the means are here.
    """

    def __init__(
        self,
        weight: PerClass | None = None,
        *,
        alpha: float = 2.0,
        beta: float = 4.0,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
    ):
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.alpha = finite(alpha, "alpha", 0.0)
        self.beta = finite(beta, "beta", 0.0)

    def forward(self, logits: Tensor, heatmap: Tensor) -> Tensor:
        return functional.distance_aware(
            logits,
            heatmap,
            alpha=self.alpha,
            beta=self.beta,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )
