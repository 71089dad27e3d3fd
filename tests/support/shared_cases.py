"""The inputs of ../shared/cases, each with what is right about it in the README there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import SHARED


def shared_case(name: str) -> Path:
    """A file or folder of ../shared/cases; the test is skipped where it is absent."""
    path = SHARED / "cases" / name
    if not path.exists():
        pytest.skip(f"real masks are absent: ../shared/cases has no {name}")
    return path
