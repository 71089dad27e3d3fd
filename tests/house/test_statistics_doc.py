"""Every figure of docs/statistics.md that no example there computes is recomputed."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import maskstat as ms
from maskstat.statistics.effective_masks import effective_masks
from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.contributions import Contributions
from maskstat.values.groups import MaskGroups
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scan(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> ms.Scan:
    db = tmp_path_factory.mktemp("statistics") / "camvid.db"
    return ms.scan(camvid / "train" / "masks", classes="camvid-11", db=db)


def blocks_of(names: tuple[str, ...], size: int) -> MaskGroups:
    """Frames of a film, so many in a row."""
    films: dict[str, int] = defaultdict(int)
    labels = []
    for name in names:
        film = name.partition("_")[0]
        labels.append(f"{film}/{films[film] // size}")
        films[film] += 1
    return MaskGroups.of_labels(f"blocks of {size}", labels)


def test_the_table_of_what_is_independent(scan: ms.Scan) -> None:
    k = scan.catalog.names.index("Bicyclist")
    p, pixels = float(scan.histogram.frequency[k]), scan.histogram.labelled_pixels
    assert f"the share of bicyclists is {100 * p:.2f}%" in TEXT.replace("The share", "the share")
    alone = math.sqrt((1 - p) / (p * pixels))
    rows = [("pixels", pixels, alone, (p * math.exp(-1.96 * alone), p * math.exp(1.96 * alone)))]
    contributions = Contributions.of(scan.ledger)
    for what, bars in (
        ("masks", scan.intervals),
        (
            "blocks of 10 frames",
            frequency_intervals(contributions, blocks_of(scan.ledger.names, 10)),
        ),
        ("films", scan.grouped("^([^_]+)_").intervals),
    ):
        interval = bars.interval(k)
        assert interval is not None
        rows.append((what, bars.group_count, bars.relative_standard_error[k], interval))
    for what, count, error, (low, high) in at_least_one(rows):
        assert (
            f"| {what} | {count:,} | {100 * error:.1f} | {100 * low:.2f} to {100 * high:.2f} |"
        ) in TEXT
    assert "three films" in TEXT
    assert f"{pixels / 1e6:.0f} million labelled pixels in {len(scan.ledger)} masks" in TEXT


def test_how_many_masks_are_needed_and_what_they_are_worth(scan: ms.Scan) -> None:
    names, bars = scan.catalog.names, scan.intervals
    needed = dict(zip(names, bars.needed.astype(int).tolist(), strict=True))
    assert (
        f"Road {100 * scan.histogram.frequency[names.index('Road')]:.1f}% needs {needed['Road']}"
        f" masks for ±10%, Fence {needed['Fence']:,} and Bicyclist {needed['Bicyclist']:,}."
    ) in TEXT
    blocks = frequency_intervals(Contributions.of(scan.ledger), blocks_of(scan.ledger.names, 10))
    worth = dict(zip(names, effective_masks(bars, blocks), strict=True))
    said = re.search(r"worth (\d+) independent ones for Road and (\d+) for Fence", TEXT)
    assert said is not None
    assert [int(number) for number in said.groups()] == [
        round(worth["Road"]), round(worth["Fence"])
    ]  # fmt: skip


def test_what_crops_show(scan: ms.Scan) -> None:
    crops = scan.exposure(ms.Recipe(crop=(128, 128)))
    names = scan.catalog.names
    ratio = crops.frequency / scan.histogram.frequency
    more, less = (round(abs(100 * (ratio[names.index(c)] - 1))) for c in ("Pedestrian", "Sky"))
    flat = " ".join(TEXT.split())
    assert (
        f"pedestrians is {more}% larger than in its masks, and that of sky {less}% smaller" in flat
    )
    k = names.index("Bicyclist")
    share = scan.histogram.masks[k] / len(scan.ledger)
    said = f"bicyclists are in {100 * share:.0f}% of CamVid's masks, and in"
    assert f"{said} {100 * crops.in_crops[k]:.0f}% of its 128² crops" in flat


def test_the_error_of_an_error_of_ten_groups() -> None:
    """1 / sqrt(2 (G - 1)) of a normal distribution, by simulation."""
    draws = np.random.default_rng(0).normal(size=(20_000, 10))
    spread = draws.std(axis=1, ddof=1)
    assert spread.std() / spread.mean() == pytest.approx(0.25, abs=0.02)
