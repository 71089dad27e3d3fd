"""Every figure of docs/equal-cost.md is recomputed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskstat.weights import equal_cost
from maskstat.weights.batches import Batching, Cut
from maskstat.weights.costs import price_list
from maskstat.weights.feasibility import chances_of_cut
from tests.support.equal_cost_cases import CAMVID_NAMES, camvid_table, ledger_of, rare_class_table
from tests.support.loops import at_least_one
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "equal-cost.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def printed_table(first: str, second: str) -> list[list[str]]:
    """The cells of the one table whose header begins with these two columns."""
    lines = TEXT.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith(f"| {first} | {second} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def agrees(cell: str, value: float, relative: float = 0.0) -> bool:
    """Whether the value rounds to what is printed, or is within a relative sampling error."""
    number = cell.replace(",", "")
    digits = len(number.partition(".")[2])
    return abs(float(number) - value) <= max(0.501 * 10.0**-digits, relative * abs(value))


@pytest.fixture
def counts(camvid):
    return camvid_table(camvid)


def test_the_price_table(counts):
    pixels, ledger = counts.sum(axis=0), ledger_of(counts)
    frequency = pixels / ((counts > 0).sum(axis=0) * 480 * 360)
    schemes = [
        np.ones(11),
        np.sqrt(pixels.max() / pixels),
        np.median(frequency) / frequency,
        1 / pixels,
    ]
    prices = [price_list(ledger, weights) for weights in schemes]
    rows = printed_table("class", "in masks")
    assert tuple(row[0] for row in rows) == CAMVID_NAMES
    for c, row in at_least_one(enumerate(rows)):
        assert int(row[1]) == np.count_nonzero(counts[:, c])
        assert agrees(row[2], 100 * prices[0].pixel_accuracy[c])
        assert agrees(row[3], 100 * prices[0].mean_iou[c])
        for cell, price in zip(row[4:], prices, strict=True):
            assert agrees(cell, 1 - price.shares[c])
    assert [round(100 * price.relative_spread) for price in prices] == [49, 24, 6, 0]
    assert "49% more than the cheapest, with `sqrt` 24%, with `median-frequency` 6%" in TEXT
    assert "scores 33% pixel accuracy" in TEXT
    assert round(100 * prices[0].pixel_accuracy.max()) == 33
    assert f"{prices[3].soft_loss / prices[3].scale:.3f} for K = 11" in TEXT
    assert prices[3].soft_loss / prices[3].scale == pytest.approx(math.log(11))
    assert f"unweighted CamVid has {prices[0].soft_loss:.3f}" in TEXT


def test_the_table_of_inverse_frequencies_in_batches_of_one(counts):
    prices = price_list(ledger_of(counts), 1 / counts.sum(axis=0), "batch", epsilon=1e-7)
    rows = printed_table("class", "share")
    assert tuple(row[0] for row in rows) == CAMVID_NAMES
    for c, row in at_least_one(enumerate(rows)):
        assert agrees(row[1], prices.shares[c])
        assert agrees(row[2], 1 - prices.shares[c])
        assert agrees(row[3], prices.costs[c])
    assert "they get 0.068 of the weight instead of 1/11 = 0.091" in TEXT
    assert round(prices.shares[10], 3) == 0.068


def test_the_table_of_weights(counts):
    ledger = ledger_of(counts)
    exact = [1 / counts.sum(axis=0), equal_cost.weight_normalised(ledger, 1).weights]
    sampled = [equal_cost.weight_normalised(ledger, size, seed=7).weights for size in (2, 8, 64)]
    rows = printed_table("class", "1/n")
    assert tuple(row[0] for row in rows) == CAMVID_NAMES
    for c, row in at_least_one(enumerate(rows)):
        for cell, weights in zip(row[1:3], exact, strict=True):
            assert agrees(cell, weights[c] / weights[3])
        for cell, weights in zip(row[3:], sampled, strict=True):
            assert agrees(cell, weights[c] / weights[3], relative=0.03)


def test_the_last_batch(counts):
    """Its share of all batches of ten masks, exactly: they are enumerated."""
    ledger = ledger_of(counts[::37])
    whole = equal_cost.weight_normalised(ledger, 8, batching=Batching(drop_last=True)).weights
    shares = 11 * price_list(ledger, whole, "batch", batch_size=8).shares
    said = f"{shares.min():.2f} to {shares.max():.2f} times their share"
    assert said in TEXT
    kept = equal_cost.weight_normalised(ledger, 8).weights
    np.testing.assert_allclose(
        price_list(ledger, kept, "batch", batch_size=8).shares, 1 / 11, rtol=1e-9
    )


def test_the_table_of_batch_sizes():
    table = rare_class_table()
    rows = printed_table("batch size", "batches with the rare class %")

    def chance_to_meet(size: int) -> float:
        return float(chances_of_cut(2000, 2000, Cut.of(2000, size, drop_last=True))[80])

    assert agrees(rows[0][1].split()[0], 100 * chance_to_meet(5))
    with pytest.raises(equal_cost.InfeasibleEqualCost) as caught:
        equal_cost.weight_normalised(ledger_of(table), 5)
    assert caught.value.smallest_batch_size == 6
    for size, chance, ratio in at_least_one(rows[1:-1]):
        assert agrees(chance, 100 * chance_to_meet(int(size)))
        solved = equal_cost.weight_normalised(ledger_of(table), int(size), stability=0.03, seed=7)
        assert agrees(ratio, solved.weight_ratio, relative=0.12)
    pixels = table.sum(axis=0)
    assert agrees(rows[-1][2], pixels.max() / pixels.min())
    assert "trained with a weight of\n18,420" in TEXT
    assert rows[1][2] == "18,420"


def test_the_table_of_best_efforts(counts):
    for limit, cheapest, dearest, which in at_least_one(printed_table("largest ratio", "cheapest")):
        best = equal_cost.best_effort(ledger_of(counts), max_ratio=float(limit))
        assert agrees(cheapest, best.costs.min())
        assert agrees(dearest, best.costs.max())
        if which:
            assert CAMVID_NAMES[int(best.costs.argmax())] == which
    exact = equal_cost.weight_normalised(ledger_of(counts))
    assert f"From a ratio of {math.ceil(exact.weight_ratio)} on, the exact solution fits" in TEXT


def test_the_remark_on_void(counts):
    assert "void is 4% of the pixels" in TEXT
    labelled = counts.sum(axis=1)
    assert round(100 * (1 - labelled.sum() / (367 * 480 * 360))) == 4
    by_mask = (counts / labelled[:, None]).mean(axis=0)
    assert np.abs(by_mask / (counts.sum(axis=0) / counts.sum()) - 1).max() < 0.01
