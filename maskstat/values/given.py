"""What counts can be, as words: a module that costs nothing to import."""

from __future__ import annotations

from typing import Literal, get_args

Given = Literal["counts", "shares", "percent"]
GIVEN: tuple[Given, ...] = get_args(Given)
"""What numbers are that somebody gives."""

Amount = Literal["pixels", "volume"]
AMOUNTS: tuple[Amount, ...] = get_args(Amount)
"""What shares of classes are shares of: of pixels, or of what voxels measure."""
