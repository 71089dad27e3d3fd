"""What all tests share: real masks where they are at hand, and reproducible generated input."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from maskstat.readers import formats
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import MaskTally
from tests.support.paths import CAMVID
from tests.support.scan_cases import grey_png, pixels_of

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


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The folder of the CamVid masks, an optional sibling of the project's folder."""
    if not (CAMVID / "train" / "masks").is_dir() or not (CAMVID / "val" / "masks").is_dir():
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/masks and val/masks")
    return CAMVID


@pytest.fixture
def forty_masks(tmp_path: Path) -> Path:
    """40 small masks of classes 0..6 in three folders."""
    masks = tmp_path / "masks"
    for number in range(40):
        path = masks / ("a", "b", "b/c")[number % 3] / f"mask_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(grey_png(pixels_of(number)))
    return masks


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the masks that were decoded, as it happens."""
    names: list[str] = []
    real = formats.read_tally

    def read_tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
        names.append(name)
        return real(data, name, options)

    monkeypatch.setattr(formats, "read_tally", read_tally)
    return names
