"""Scans within a budget of memory: the same counts, later."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat import memory
from maskstat.executors import threads
from maskstat.readers.options import ReadOptions
from maskstat.scanning import counting
from tests.support.interpreters import run_script
from tests.support.scan_cases import stored_rows

SIDE, MASKS = 5000, 6
NEEDED = 3 * SIDE * SIDE  # of a GIF: what its reader asks for

_SCAN = """
import json, sys
import maskstat as ms
from maskstat.executors import threads

threads.CHUNK_FILES = 1

def status(line):
    with open("/proc/self/status") as file:
        return next(int(text.split()[1]) << 10 for text in file if text.startswith(line))

for folder in sys.argv[2:]:
    before = status("VmRSS")
    with ms.scan(folder, classes=3, workers=6, memory=int(sys.argv[1])) as scan:
        pixels = scan.histogram.pixels.tolist()
print(json.dumps([pixels, status("VmHWM") - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_six_large_gifs_on_six_threads(tmp_path: Path) -> None:
    """One after another, where there is memory for one: 12 kB each, and 75 MB decoded."""
    small, large = tmp_path / "small", tmp_path / "large"
    for folder in (small, large):
        folder.mkdir()
    Image.new("P", (8, 8)).save(small / "0.gif")
    Image.new("P", (SIDE, SIDE), 1).save(large / "0.gif")
    assert (large / "0.gif").stat().st_size < 100_000
    for number in range(1, MASKS):
        shutil.copy(large / "0.gif", large / f"{number}.gif")
    limit = NEEDED + (1 << 20)
    said = run_script(_SCAN, str(limit), str(small), str(large), MALLOC_MMAP_THRESHOLD_="131072")
    pixels, peak = json.loads(said)
    assert pixels == [0, MASKS * SIDE * SIDE, 0]
    assert peak < limit + (24 << 20)


@pytest.mark.parametrize("profile", [False, True])
def test_counts_do_not_depend_on_it(
    profile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With next to nothing for all, too; and afterwards nothing is held."""
    monkeypatch.setattr(memory, "SMALL", 1 << 10)
    monkeypatch.setattr(counting, "STREAM_ABOVE", 1 << 14)  # some are read in pieces
    rng = np.random.default_rng(5)
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(24):
        side = int(rng.integers(20, 200))
        image = Image.fromarray(rng.integers(0, 3, (side, side), np.uint8))
        suffix = ("png", "gif", "bmp", "tif")[number % 4]
        image.save(folder / f"{number}.{suffix}")
        np.save(folder / f"{number}.npy", np.asarray(image))
    rows = []
    for size in ("1T", 2048, None):
        with ms.scan(folder, classes=3, workers=5, memory=size, profile=profile) as scan:
            heat = scan.profile.heat.tolist() if profile else None
            rows.append((stored_rows(scan), heat))
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0][0]) == 48
    assert memory._budget.held == 0


@pytest.mark.parametrize("profile", [False, True])
def test_what_others_took_the_memory_of_is_read_once_more_alone(
    profile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        np.save(tmp_path / f"{number}.npy", np.full((4, 4), number % 2, np.uint8))
    name = "read_tally_and_pixels" if profile else "read_tally"
    real, turns = getattr(counting.formats, name), dict[str, list[int]]()

    def short(data: bytes, mask: str, options: ReadOptions) -> object:
        turns.setdefault(mask, []).append(memory._budget.held)
        if memory._budget.held < memory.ALL_MEMORY:
            raise MemoryError
        assert memory._budget._holders == 1
        return real(data, mask, options)

    monkeypatch.setattr(counting.formats, name, short)
    monkeypatch.setattr(threads, "FIRST_CHUNK_FILES", 8)  # one thread has them all
    with ms.scan(tmp_path, classes=2, workers=3, profile=profile) as scan:
        assert scan.histogram.pixels.tolist() == [64, 64]
        assert not profile or scan.profile.heat.any()  # which is refused where a mask was left out
    assert [len(held) for held in turns.values()] == 8 * [2]
    assert memory._budget.held == 0
