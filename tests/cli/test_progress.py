"""How far a scan is: in words that say what each number is, and nothing that is not known."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from maskstat.cli.progress import how_far
from maskstat.scanning.recording import Progress


@pytest.mark.parametrize(
    ("progress", "elapsed", "left", "said"),
    [
        (Progress(0, None, 0, 0), 3.0, None, "0 masks"),
        (Progress(64, None, 0, 64_000_000), 2.0, None, "64 masks, 32 masks/s"),
        (Progress(0, 24, 0, 0), 3.0, None, "0/24 masks"),
        (
            Progress(4, 24, 0, 2_000),
            8.0,
            40.1,
            "4/24 masks, 0.5 masks/s, 00:41 left",
        ),
        (Progress(24, 24, 0, 0), 0.1, 0.0, "24/24 masks"),
        (Progress(12, 24, 0, 0, "choosing shifts, 1 of 7"), 0.1, 9.0, "choosing shifts, 1 of 7"),
        (Progress(2, 24, 1, 0), 0.1, 7_261.0, "2/24 masks, 1 failed, 2:01:01 left"),
    ],
)
def test_numbers_say_what_they_are(
    progress: Progress, elapsed: float, left: float | None, said: str
) -> None:
    assert how_far(progress, elapsed, left) == said


def test_it_fits_beside_a_bar() -> None:
    longest = Progress(123_456, 999_999, 99, 10**11)
    assert cell_len(how_far(longest, 3_600.0, 35_999.0)) <= 80 - len("scanning ") - 8
