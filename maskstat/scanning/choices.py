"""The words that say how scans are merged; no heavy import."""

from __future__ import annotations

from typing import Literal

Prefer = Literal["newest"]
PREFER: tuple[Prefer, ...] = ("newest",)
"""Which counts of a mask to take where scans differ: those of the file that changed last."""
