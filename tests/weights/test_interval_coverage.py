"""How often 95% intervals hold the truth, measured on populations that are known."""

from __future__ import annotations

import numpy as np
import pytest

from maskstat.statistics.intervals import frequency_intervals
from maskstat.values.contributions import Contributions
from maskstat.values.groups import MaskGroups
from tests.support.equal_cost_cases import ledger_of
from tests.support.loops import at_least_one
from tests.weights.test_weight_intervals import weighed

# Of six classes: how many groups have it, and how uneven its sizes are (sigma of a logarithm).
PRESENCE = np.array([1, 1, 0.6, 0.3, 0.1, 0.05])
SPREAD = np.array([0.2, 0.6, 0.6, 0.6, 0.6, 0.6])
SIZE = np.array([60_000, 20_000, 5_000, 2_000, 1_000, 1_000])


def drawn(groups: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of groups of one to five nearly equal ones, and the group of each."""
    generator = np.random.default_rng(seed)
    logs = SPREAD * generator.normal(size=(groups, 6)) - SPREAD**2 / 2
    some = generator.random((groups, 6)) < PRESENCE
    scene = np.where(some, SIZE * np.exp(logs), 0)
    of = np.repeat(np.arange(groups), generator.integers(1, 6, groups))
    jitter = generator.gamma(50.0, 0.02, (of.size, 6))
    return np.rint(scene[of] * jitter).astype(np.int64), of


def named(of: np.ndarray, rule: str = "film") -> MaskGroups:
    return MaskGroups.of_labels(rule, [str(at) for at in of.tolist()])


def coverage(groups: int, repeats: int, *, grouped: bool = True) -> np.ndarray:
    """float64[6]: how often the interval of a class that has one holds its true share."""
    truth = PRESENCE * SIZE / (PRESENCE @ SIZE)
    held, known = np.zeros(6), np.zeros(6)
    for seed in range(repeats):
        table, of = drawn(groups, seed)
        bars = frequency_intervals(
            Contributions.of(ledger_of(table)),
            named(of if grouped else np.arange(of.size)),
        )
        known += bars.known
        held += (bars.lower <= truth) & (truth <= bars.upper)
    assert (known[:5] >= 0.9 * repeats).all()
    assert known[5] >= 0.6 * repeats
    return held / known


def test_at_100_groups_95_percent_are_92_to_97() -> None:
    found = coverage(100, 2000)
    assert (found[:5] >= 0.92).all() and (found[:5] <= 0.97).all(), found
    # Some five groups have the last class: its interval is rather too wide than too narrow.
    assert 0.94 <= found[5] <= 0.995, found


def test_at_50_groups_they_are_90_to_97_and_too_wide_for_rare_classes() -> None:
    found = coverage(50, 2000)
    assert (found[:4] >= 0.90).all() and (found[:4] <= 0.97).all(), found
    assert (found[4:] >= 0.95).all(), found


def test_masks_for_groups_pretend() -> None:
    """Three nearly equal masks a group on average: intervals that count masks are too short."""
    found = coverage(100, 500, grouped=False)
    assert (found[:4] < 0.85).all(), found


@pytest.mark.parametrize("options", [{"normalize": "mean"}, {"average": "batch", "batch_size": 1}])
def test_intervals_of_weights_hold_the_weights_of_the_population(options: dict) -> None:
    """Of ten thousand groups, which 300 samples of 100 are drawn like; of the first classes.

    A class that is alone in few batches of one mask can't be made as dear as the others.
    """
    table, of = drawn(10_000, 9999)
    truth = weighed(ledger_of(table[:, :3]), of, **options).weights
    held, repeats = np.zeros(3), 300
    for seed in range(repeats):
        sample, of = drawn(100, seed)
        bars = weighed(ledger_of(sample[:, :3]), of, **options).intervals
        held += (bars.lower <= truth) & (truth <= bars.upper)
    for share in at_least_one((held / repeats).tolist()):
        assert 0.90 <= share <= 0.98, held / repeats
