"""What checkpoints do to the weights, priors and counts of losses."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch

from maskstat.torch.precise_buffers import PreciseBuffers, wide


class SavedStatistics(PreciseBuffers):
    """A checkpoint's buffers take the place of those given, with a warning where they differ.

    `optional` is the one buffer that a loss may be made without: a checkpoint that has it brings
    it, and one without leaves what is here. So training that begins without weights resumes.
    """

    optional: ClassVar[str]

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
