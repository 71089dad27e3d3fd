"""CPU time of an exposure, `scan.exposure(recipe)`, against that of `scan(profile=True)`.

    python -m benchmarks.exposure_cost [--masks FOLDER_OF_REAL_MASKS] [--rounds 5] [--workers 2]

All are of the same masks, in one process, in turns. Each decodes every file: scans go into a fresh
store in memory, and an exposure is one that no store has. The last is a scan that makes a profile
and works the first recipe out in one pass.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import maskstat
from benchmarks import mask_sets
from benchmarks.profile_cost import CLASSES
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.rescaling import Rescaling

SHARES, TOGETHER = "shares, 24 crops", "profile and shares in one pass"
SCALED = Rescaling("uniform", (0.5, 2.0))


def contenders(side: int) -> dict[str, tuple[Recipe, bool]]:
    """(recipe, whether presence is exact) by what is measured, for crops of this side."""
    crop = (side, side)
    return {
        SHARES: (Recipe(crop), False),
        "and presence": (Recipe(crop), True),
        "8 scales": (Recipe(crop, SCALED), False),
        "8 scales and presence": (Recipe(crop, SCALED), True),
        "refusal": (Recipe(crop, cat_max_ratio=0.75), False),
    }


def profile_seconds(folder: Path, workers: int) -> float:
    """One scan from nothing, with its profile."""
    start = time.process_time()
    with maskstat.scan(folder, classes=CLASSES, workers=workers, profile=True) as scan:
        scan.need_profile(of_all=True)
    return time.process_time() - start


def exposure_seconds(folder: Path, workers: int, recipe: Recipe, *, presence: bool) -> float:
    """One exposure of a scan that has none, its shares and crops put together."""
    with maskstat.scan(folder, classes=CLASSES, workers=workers) as scan:
        start = time.process_time()
        seen = scan.exposure(recipe, presence=presence, workers=workers)
        if abs(seen.frequency.sum() - 1) > 1e-9 or not len(seen.ledger):
            raise AssertionError("shares do not add up")
        return time.process_time() - start


def one_pass_seconds(folder: Path, workers: int, recipe: Recipe) -> float:
    """One scan from nothing, with its profile and an exposure."""
    start = time.process_time()
    with maskstat.scan(
        folder, classes=CLASSES, workers=workers, profile=True, recipe=recipe
    ) as scan:
        scan.need_profile(of_all=True)
        seen = scan.exposure(recipe, stored=True)
        if abs(seen.frequency.sum() - 1) > 1e-9 or not len(seen.ledger):
            raise AssertionError("shares do not add up")
    return time.process_time() - start


def measure(folder: Path, side: int, rounds: int, workers: int) -> dict[str, float]:
    """Median CPU seconds of a profile and of each contender; the first round warms up."""
    turns: dict[str, list[float]] = {"profile": []}
    for turn in range(rounds + 1):
        taken = {"profile": profile_seconds(folder, workers)}
        for name, (recipe, presence) in contenders(side).items():
            taken[name] = exposure_seconds(folder, workers, recipe, presence=presence)
        taken[TOGETHER] = one_pass_seconds(folder, workers, Recipe((side, side)))
        for name, seconds in taken.items() if turn else ():
            turns.setdefault(name, []).append(seconds)
    return {name: statistics.median(seconds) for name, seconds in turns.items()}


def make_sets(folder: Path, real: Path | None, scale: float) -> list[tuple[str, Path, int]]:
    """(name, folder, side of the crops); real masks first, where there are."""
    sources = mask_sets.real_masks(real)
    sets = [("real masks", real, 128)] if real is not None else []
    for name, place, count, shape, side in (
        ("480x360 grey", "small", 400, (360, 480), 128),
        ("2048x1024 grey", "grey", 100, (1024, 2048), 512),
    ):
        count = max(3, round(count * scale))
        make = mask_sets.maker(shape, sources)
        where = mask_sets.write_set(
            folder / place, count, min(count, 40), make, mask_sets.save_grey
        )
        sets.append((name, where, side))
    return sets


def table(results: Iterable[tuple[str, int, int, dict[str, float]]]) -> str:
    """A Markdown table: milliseconds a mask, and times the profile."""
    lines: list[str] = []
    for name, count, side, seconds in results:
        if not lines:
            heads = ["masks", "crop", "`--profile`, ms a mask", *list(seconds)[1:]]
            heads.append("of two passes")
            lines = [_row(heads), _row(["---"] * len(heads))]
        plain = seconds["profile"]
        cells = [f"{count:,} of {name}", f"{side}²", f"{1000 * plain / count:.2f}"]
        cells += [
            f"{1000 * taken / count:.2f} ({taken / plain:.2f})"
            for what, taken in seconds.items()
            if what != "profile"
        ]
        cells.append(f"{seconds[TOGETHER] / (plain + seconds[SHARES]):.2f}")
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Parse the options, measure, print the table."""
    options = mask_sets.arguments(__doc__).parse_args()
    results = [
        (name, count, side, measure(folder, side, options.rounds, options.workers))
        for count, (name, folder, side) in mask_sets.asked_sets(options, make_sets)
    ]
    print(table(results))


if __name__ == "__main__":
    main()
