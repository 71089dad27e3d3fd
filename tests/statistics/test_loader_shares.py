"""Shares of classes in a sample of crops: silent where all is as expected, however rare a class."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from maskstat.api.loader_check import SeenShare
from maskstat.statistics.loader_shares import ShareTable, adjusted, compare_shares
from tests.support.loops import at_least_one

CLASSES = 8
ROWS = 2000


def population(seed: int) -> NDArray[np.int64]:
    """int64[ROWS, K]: crops in which class k is about every 3^k-th time, in lumps of its own."""
    rng = np.random.default_rng(seed)
    there = rng.random((ROWS, CLASSES)) < 3.0 ** -np.arange(CLASSES)
    pixels = np.where(there, 1 + rng.lognormal(6, 1.5, there.shape), 0).astype(np.int64)
    pixels[:, 0] += 1
    return pixels


def table(dense: NDArray[np.int64]) -> ShareTable:
    masks, classes = dense.nonzero()
    return ShareTable(dense.sum(1), masks, classes, dense[masks, classes])


@pytest.mark.parametrize("count", [1, 16, 200, 3000])
def test_a_sample_of_what_is_expected_is_silent(count: int) -> None:
    """Of 500 samples of independent crops at most 5% say anything, all classes together."""
    crops = population(0)
    expected = crops.sum(0) / crops.sum()
    known, rng, alarms, samples = table(crops), np.random.default_rng(1), 0, 500
    for _ in range(samples):
        seen = table(crops[rng.integers(0, ROWS, count)])
        alarms += bool((adjusted(compare_shares(expected, known, seen).p_value) <= 0.05).any())
    assert alarms <= 0.05 * samples + 3 * (0.05 * 0.95 * samples) ** 0.5


def test_the_standard_error_is_how_shares_vary() -> None:
    crops = population(2)
    expected = crops.sum(0) / crops.sum()
    known, rng = table(crops), np.random.default_rng(3)
    found = [
        compare_shares(expected, known, table(crops[rng.integers(0, ROWS, 400)]))
        for _ in range(600)
    ]
    spread = np.std([shares.seen for shares in found], axis=0)
    assert found[0].standard_error[:5] == pytest.approx(spread[:5], rel=0.1)


def test_shares_and_moments_agree_with_the_dense_table() -> None:
    crops = population(4)
    expected = crops.sum(0) / crops.sum()
    seen = crops[:50]
    found = compare_shares(expected, table(crops), table(seen))
    assert found.seen == pytest.approx(seen.sum(0) / seen.sum())
    residuals = crops - expected * crops.sum(1)[:, None]
    size = min(seen.sum(1).mean(), crops.sum(1).mean())
    assert found.standard_error == pytest.approx(residuals.std(0) / size / 50**0.5)


def test_a_class_that_lacks_or_comes_too_often_is_found() -> None:
    crops, rng = population(5), np.random.default_rng(6)
    expected = crops.sum(0) / crops.sum()
    for k in at_least_one(range(1, CLASSES)):
        often = rng.choice(crops[crops[:, k] > 0], 2000)
        found = compare_shares(expected, table(crops), table(often))
        assert adjusted(found.p_value)[k] < 0.01
    gone = crops.copy()
    gone[:, 2] = 0
    found = compare_shares(expected, table(crops), table(gone))
    assert adjusted(found.p_value)[2] < 1e-9
    assert found.never[2] < 1e-9


def test_what_is_not_expected_at_all_is_found_once_it_comes() -> None:
    crops = population(6)
    crops[:, 3] = 0
    expected = crops.sum(0) / crops.sum()
    seen = crops[:20].copy()
    assert compare_shares(expected, table(crops), table(seen)).p_value[3] == 1
    seen[4, 3] = 1
    assert compare_shares(expected, table(crops), table(seen)).p_value[3] == 0


def test_a_share_that_never_varies() -> None:
    one = np.full((30, 1), 64)
    found = compare_shares(np.ones(1), table(one), table(one[:4]))
    assert (found.seen[0], found.standard_error[0], found.p_value[0]) == (1, 0, 1)


def test_a_class_in_hardly_a_mask_is_told_by_masks_and_not_by_standard_errors() -> None:
    """One mask full of it is many standard errors, and says nothing."""
    crops = population(7)[:400]
    crops[:, 4] = 0
    crops[0, 4] = 1  # of a few pixels
    expected = crops.sum(0) / crops.sum()
    seen = crops[1:41].copy()
    seen[0] = [0] * 4 + [int(crops.sum(1).max())] + [0] * (CLASSES - 5)
    found = compare_shares(expected, table(crops), table(seen))
    assert (found.seen - expected)[4] > 100 * found.standard_error[4]
    assert found.by_masks[4] and found.p_value[4] > 0.05
    row = SeenShare("rare", *(float(x[4]) for x in (expected, found.seen)), 1e-9, 0.3, True)
    assert row.z is None and row._replace(by_masks=False).z is not None
