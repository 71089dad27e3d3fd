"""Modules whose buffers `.half()` leaves in float32.

Weights of 1/n are 0 in half precision and counts above 65,504 infinite, so a module that follows
its model into it (Lightning's precision="16-true", DeepSpeed) would train something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class PreciseBuffers(nn.Module):
    """Buffers follow `.to(device)` and `.double()`, but are never narrower than float32."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, given in before.items():
            made = self._buffers[name]
            if given is not None and made is not None and made.dtype in HALF:
                self._buffers[name] = given.to(made.device)
        return self


HALF = (torch.float16, torch.bfloat16)


def least_precise() -> torch.dtype:
    """torch's default floating type, or float32 where that is half precision."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def wide(table: Tensor) -> Tensor:
    """Floating numbers of at least float32."""
    return table.to(torch.promote_types(table.dtype, torch.float32))
