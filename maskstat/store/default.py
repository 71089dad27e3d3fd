"""The store that is meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path


def default_db() -> Path:
    """$MASKSTAT_DB, or maskstat.db in the working directory."""
    return Path(os.environ.get("MASKSTAT_DB") or "maskstat.db")
