"""The words that plots take; no heavy import."""

from __future__ import annotations

from typing import Literal

Order = Literal["frequency", "catalog"]
ORDERS: tuple[Order, ...] = ("frequency", "catalog")
"""Of the classes: from the most to the least frequent, or as the catalogue has them."""
