"""What all tests share: real masks where they are at hand, and reproducible generated input."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Generated input is the same on every machine and on every run, and slow machines are no failure.
settings.register_profile(
    "reproducible",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("reproducible")

CAMVID = Path(__file__).resolve().parents[2] / "shared" / "data" / "camvid"


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The folder of the CamVid masks, an optional sibling of the project's folder."""
    if not (CAMVID / "train" / "masks").is_dir() or not (CAMVID / "val" / "masks").is_dir():
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/masks and val/masks")
    return CAMVID
