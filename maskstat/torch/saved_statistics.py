"""The weights, priors and counts of losses: what checkpoints do to them, and when they hold."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor

from maskstat.torch.precise_buffers import PreciseBuffers, wide


class SavedStatistics(PreciseBuffers):
    """A checkpoint's buffers take the place of those given, with a warning where they differ.

    `optional` is the one buffer that a loss may be made without: a checkpoint that has it brings
    it, and one without leaves what is here. So training that begins without weights resumes.
    """

    optional: ClassVar[str]
    _deferred: Tensor | None
    """Whether ones stand in for the optional buffer; a buffer too, for compiled graphs."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_deferred", None, persistent=False)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, *lists: Any
    ) -> None:
        key = prefix + self.optional
        given = {name: None if b is None else b.clone() for name, b in self._buffers.items()}
        saved = state_dict.get(key)
        if saved is not None and self._buffers[self.optional] is None:
            self._buffers[self.optional] = wide(torch.zeros_like(saved))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)
        if saved is None and self._buffers[self.optional] is not None:
            missing: list[str] = lists[0]
            missing[:] = [other for other in missing if other != key]
        for name, table in self._buffers.items():
            if table is None or f"{prefix}{name}" not in state_dict:
                continue
            self._buffers[name] = wide(table)
            before = given[name]
            if before is None:
                said = "comes from the checkpoint: this loss was made without"
            elif not table.is_meta and not torch.equal(before.to(table), table):
                said = "of the checkpoint takes the place of another one"
            else:
                continue
            warnings.warn(f"{prefix}{name} {said}", UserWarning, stacklevel=2)

    def extra_repr(self) -> str:
        numbers = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "training"
        ]
        return ", ".join([*self._statistics(), *numbers])

    def _statistics(self) -> list[str]:
        """Words on the optional buffer; none where there is none."""
        table = self._buffers[self.optional]
        if table is None:
            return []
        if table.ndim == 0 and not table.is_meta:
            return [f"{self.optional}={float(table):g}"]
        return [f"{table.numel()} {self.optional}s"]


def in_force(criterion: SavedStatistics) -> Tensor | None:
    """The optional buffer as the loss takes it: ones while it is deferred."""
    table: Tensor | None = getattr(criterion, criterion.optional)
    if table is None or criterion._deferred is None:
        return table
    return torch.where(criterion._deferred, torch.ones_like(table), table)


def defer(criterion: SavedStatistics, deferred: bool) -> None:
    """Let ones stand in for the optional buffer, or no longer."""
    table: Tensor | None = getattr(criterion, criterion.optional)
    if criterion._deferred is not None:
        criterion._deferred.fill_(deferred)
    elif table is not None:
        criterion._deferred = torch.tensor(deferred, device=table.device)
