"""The benchmarks still run, and everything they compare counts the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import maskstat
from benchmarks import mask_sets, rescan_and_memory, scan_speed, user_loops


def test_every_contender_counts_the_same(tmp_path: Path) -> None:
    sets = scan_speed.make_sets(tmp_path / "sets", None, scale=0.001)
    assert len(sets) >= 6
    for masks in sets:
        loops, pools = user_loops.contenders(2, palette=masks.palette)
        for pool in pools:
            pool.shutdown()
        reference = user_loops.pillow_unique(masks.paths)
        scan = scan_speed.scanner(masks.folder, tmp_path / "scan.db", 2)
        assert np.array_equal(scan(masks.paths), reference), masks.name
        for name, loop in loops.items():
            if "2 " not in name and name != scan_speed.FLOOR:
                assert np.array_equal(loop(masks.paths), reference), (masks.name, name)


def test_measure_and_table(tmp_path: Path) -> None:
    masks = scan_speed.MaskSet(
        "tiny",
        mask_sets.write_set(
            tmp_path / "tiny", 3, 2, mask_sets.maker((48, 64), []), mask_sets.save_grey
        ),
    )
    results = {"tiny": scan_speed.measure(masks, 1, 2, tmp_path / "scan.db")}
    printed = scan_speed.table(results, [masks], 2)
    assert scan_speed.OURS in printed
    assert "time ÷ floor" in printed


def test_opencv_would_read_palettes_as_colours(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    mask_sets.save_palette(tmp_path / "p.png", mask_sets.labels((48, 64), 0))
    with pytest.raises(ValueError, match="colours"):
        user_loops.opencv_bincount([str(tmp_path / "p.png")])


def test_rescan_and_memory(tmp_path: Path) -> None:
    folder = rescan_and_memory.fill(tmp_path / "small", 30, (24, 32), distinct=5)
    walking, scanning = rescan_and_memory.rescan_ratio(folder, tmp_path / "r.db", 1)
    assert walking > 0
    assert scanning > 0
    huge = rescan_and_memory.huge_mask(tmp_path / "huge" / "mask.png", 400)
    assert maskstat.scan(huge, classes=31).histogram.total_pixels == 160_000
