"""Complement objective training (Chen et al. 2019, arXiv 1903.01182): two steps a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from maskstat.errors import ParameterError
from maskstat.torch.functional import complement_entropy, cross_entropy
from maskstat.torch.functional.elements import IGNORE_INDEX, PerClass, Reduction, check_reduction
from maskstat.torch.losses import checked
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels


class Scaler(Protocol):
    """What is used of a `torch.amp.GradScaler`."""

    def scale(self, outputs: Tensor) -> Tensor: ...
    def unscale_(self, optimizer: torch.optim.Optimizer) -> None: ...
    def step(self, optimizer: torch.optim.Optimizer) -> object: ...
    def update(self) -> None: ...


class Objectives(NamedTuple):
    """The two objectives of a batch, detached, each before its own step.

    `primary` falls in training; `complement` = C / (K - 1) rises.
    """

    primary: Tensor
    complement: Tensor


class ComplementObjectiveTraining:
    """Two optimiser steps a batch: the primary loss descends, then C / (K - 1) ascends.

        training = ComplementObjectiveTraining(optimizer, complement_optimizer, weight=weights)
        for images, labels in loader:
            primary, complement = training.step(lambda: model(images), labels)

    The forward pass is a function because each step needs its own: the second gradient belongs to
    the parameters that the first step made. So a batch costs about twice as much, dropout is drawn
    twice, and batch normalisation sees the batch twice (its running averages move twice as fast).

    - **Optimisers.** Two over the same parameters, as in the paper's own code, so that momentum and
      second moments of the two objectives do not mix; the same one twice is allowed. Schedulers
      belong to each. An optimiser whose step needs a closure (L-BFGS) evaluates one objective
      several times a step, which is another algorithm: it is refused.
    - **Mixed precision.** Put autocast into the forward function, and pass `scaler`: it scales,
      checks and updates in **each** of the two steps, so one that overflows is skipped by itself.
    - **Clipping** and other work between gradient and step go into `before_step`, which is called
      with the optimiser, twice a batch; gradients are unscaled by then.
    - **Distributed.** The forward function calls the model that `DistributedDataParallel` wraps,
      which averages the gradients of both steps.
    - **Other loops** (Lightning with manual optimisation, gradient accumulation): take the terms
      `primary_loss` and `complement_loss`, both to be minimised, and step yourself.

    Args:
        optimizer: of the primary loss.
        complement_optimizer: of the complement; often with the same settings.
        weight: [K] class weights of both terms, or None.
        ignore_index: labels left out of both terms, or None.
        reduction: "sum", "mean" or "weighted-mean"; see `maskstat.torch.losses.ClassLoss`.
        primary: another loss of (logits, labels) for the first step; it takes care of its own
            weights. Default: cross entropy.
        scaler: a `torch.amp.GradScaler`, or None.
        before_step: called before each step, with the optimiser about to step.

    Raises:
        ParameterError: options that mean nothing, or an optimiser that needs a closure.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        complement_optimizer: torch.optim.Optimizer,
        *,
        weight: PerClass | None = None,
        ignore_index: IgnoreIndex = IGNORE_INDEX,
        reduction: Reduction = "weighted-mean",
        primary: Callable[[Tensor, Tensor], Tensor] | None = None,
        scaler: Scaler | None = None,
        before_step: Callable[[torch.optim.Optimizer], object] | None = None,
    ):
        check_reduction(reduction)
        if reduction == "none":
            raise ParameterError('a step needs one number: reduction="none" gives many')
        for given in (optimizer, complement_optimizer):
            if isinstance(given, torch.optim.LBFGS):
                raise ParameterError(
                    "L-BFGS evaluates an objective several times a step",
                    remedy="use a first-order optimiser",
                )
        self.optimizer = optimizer
        self.complement_optimizer = complement_optimizer
        self.weight = None if weight is None else checked(weight, "weight")
        ignored_labels(ignore_index)
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction
        self.scaler = scaler
        self.before_step = before_step
        self.primary = primary

    def primary_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """What the first step minimises."""
        if self.primary is not None:
            return self.primary(logits, target)
        return cross_entropy(
            logits,
            target,
            weight=self._weight(logits),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )

    def complement_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """What the second step minimises: -C / (K - 1)."""
        complement = complement_entropy(
            logits,
            target,
            weight=self._weight(logits),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )
        return complement / (1 - logits.shape[1])

    def step(self, forward: Callable[[], Tensor], target: Tensor) -> Objectives:
        """One batch: both steps.

        Args:
            forward: makes logits [N, K, ...] of this batch, from the parameters as they are.
            target: labels, as losses take them.
        """
        primary = self._descend(self.optimizer, self.primary_loss, forward, target)
        complement = self._descend(self.complement_optimizer, self.complement_loss, forward, target)
        return Objectives(primary, -complement)

    def _weight(self, logits: Tensor) -> Tensor | None:
        """The weights beside the logits; they are moved once."""
        if self.weight is not None and self.weight.device != logits.device:
            self.weight = self.weight.to(logits.device)
        return self.weight

    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        loss_of: Callable[[Tensor, Tensor], Tensor],
        forward: Callable[[], Tensor],
        target: Tensor,
    ) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(forward(), target)
        if self.scaler is None:
            torch.autograd.backward(loss)
            if self.before_step is not None:
                self.before_step(optimizer)
            optimizer.step()
        else:
            torch.autograd.backward(self.scaler.scale(loss))
            if self.before_step is not None:
                self.scaler.unscale_(optimizer)
                self.before_step(optimizer)
            self.scaler.step(optimizer)
            self.scaler.update()
        return loss.detach()
