"""Online hard example mining: which elements of a batch a loss is taken of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from maskstat.training.loss_arguments import check_mining, least_loss

Hardness = Callable[[Tensor, Tensor | None], Tensor]
"""(losses, which are labelled or None for all) -> how much of each element is kept, 0..1."""


def hard_examples(top_k: float | None, threshold: float | None) -> Hardness | None:
    """What is kept under these arguments; None where everything is."""
    check_mining(top_k, threshold)
    if top_k is None and threshold is None:
        return None

    def kept(losses: Tensor, labelled: Tensor | None) -> Tensor:
        difficulty = losses.detach()
        if labelled is None:
            labelled = torch.ones_like(difficulty, dtype=torch.bool)
        hard = torch.zeros_like(difficulty)
        if top_k is not None:
            hard = hardest(difficulty, labelled, top_k)
        if threshold is not None:
            hard = hard.masked_fill(difficulty > least_loss(threshold), 1.0)
        return hard * labelled

    return kept


def hardest(difficulty: Tensor, labelled: Tensor, top_k: float) -> Tensor:
    """1 for the top_k share of the labelled elements, and what is left of it over ties.

    Nothing is gathered: shapes depend on no value, so compiled graphs and `torch.func` take it.
    """
    if difficulty.numel() == 0:
        return difficulty
    ranked = difficulty.masked_fill(~labelled, -1.0).reshape(-1)
    wanted = top_k * labelled.sum().to(ranked.dtype)
    last = (wanted.ceil().long() - 1).clamp(0, ranked.numel() - 1)
    least = ranked.sort(descending=True).values.gather(0, last.reshape(1))
    harder, equal = difficulty > least, difficulty == least
    ties = (equal & labelled).sum().clamp_min(1)
    left = wanted - (harder & labelled).sum()
    return harder + equal * (left / ties).clamp(0, 1)
