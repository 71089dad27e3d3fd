"""Where the project's files are, and the real data beside it, which may be absent."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SUPPORT = TESTS / "support"
FIXTURES = TESTS / "fixtures"
SAMPLES = ROOT / "sample_masks"
SHARED = ROOT.parent / "shared"
CAMVID = SHARED / "data" / "camvid"
