"""The words that say where masks are counted; no heavy import."""

from __future__ import annotations

from typing import Literal

ExecutorName = Literal["threads", "dask"]
EXECUTORS: tuple[ExecutorName, ...] = ("threads", "dask")
"""Threads of this process, or processes of a Dask cluster."""
