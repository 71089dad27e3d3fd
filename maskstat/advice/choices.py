"""Words of the advice room that the command line knows without loading it."""

from __future__ import annotations

from typing import Literal, get_args

Goal = Literal["iou", "recall", "accuracy"]
GOALS: tuple[Goal, ...] = get_args(Goal)

Framework = Literal["torch", "keras", "mmseg", "hf", "lightning"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
"""Keys of `snippets.SNIPPETS`."""
