"""The law of drawing crops: DAFormer's chances, chances of pairs, where a crop begins."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.values.crop_draws import ClassLaw, CropDraws, First, crop_start
from tests.support.equal_cost_cases import camvid_table, ledger_of
from tests.support.loops import at_least_one
from tests.support.packages import package

torch = package("torch")


def daformer(table: NDArray[np.int64], temperature: float) -> dict[int, float]:
    """Chances as `get_rcs_class_probs` of mmseg/datasets/uda_dataset.py has them, in its order."""
    overall: dict[int, int] = {}
    for row in table.tolist():
        for c, pixels in enumerate(row):
            if pixels:
                overall[c] = overall.get(c, 0) + pixels
    overall = dict(sorted(overall.items(), key=lambda item: item[1]))
    frequencies = torch.tensor(list(overall.values()))
    frequencies = 1 - frequencies / torch.sum(frequencies)
    chances = torch.softmax(frequencies / temperature, dim=-1)
    return dict(zip(overall, chances.tolist(), strict=True))


@pytest.mark.torch
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_rare_classes_of_camvid_are_drawn_as_daformer_draws(
    camvid: Path, temperature: float
) -> None:
    table = camvid_table(camvid)
    ours = CropDraws(temperature=temperature).class_probabilities(ledger_of(table))
    theirs = daformer(table, temperature)
    assert sorted(theirs) == list(range(11))
    # They compute in single precision, in which (1 - f) / 0.01 is known to 4e-6.
    assert np.allclose(ours, [theirs[c] for c in range(11)], rtol=2e-5, atol=0)
    assert list(theirs) == np.argsort(-ours, kind="stable").tolist()


tables = st.lists(
    st.lists(st.sampled_from([0, 0, 1, 2, 3, 40, 500]), min_size=4, max_size=4),
    min_size=1,
    max_size=6,
).filter(lambda rows: any(map(any, rows)))
laws: st.SearchStrategy[ClassLaw | tuple[float, ...]] = st.sampled_from(
    ["rare", "uniform", (1.0, 2.0, 3.0, 4.0)]
)


@given(tables, laws, st.sampled_from(["class", "mask"]))
def test_chances_are_those_of_drawing_step_by_step(
    table: list[list[int]], classes: ClassLaw | tuple[float, ...], first: First
) -> None:
    draws = CropDraws(classes=classes, temperature=0.5, first=first)
    ledger = ledger_of(np.array(table))
    totals = np.sum(table, axis=0)
    raw = {"uniform": np.ones(4), "rare": np.exp((1 - totals / totals.sum()) / 0.5)}
    wanted = np.where(totals > 0, raw.get(str(classes), np.array((1.0, 2.0, 3.0, 4.0))), 0.0)
    wanted /= wanted.sum()
    assert np.allclose(draws.class_probabilities(ledger), wanted, rtol=1e-12)

    expected = np.zeros((len(table), 4))
    some = [row for row in table if any(row)]
    for b, c in product(range(len(table)), range(4)):
        if not table[b][c]:
            continue
        if first == "class":
            expected[b, c] = wanted[c] / sum(row[c] > 0 for row in table)
        else:
            own = sum(wanted[k] for k in range(4) if table[b][k])
            expected[b, c] = wanted[c] / own / len(some)
    found = draws.pair_probabilities(ledger)
    rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
    assert np.allclose(found, expected[rows, ledger.classes], rtol=1e-12)
    assert found.sum() == pytest.approx(1, rel=1e-12)


def test_with_the_class_first_classes_are_drawn_by_their_chances() -> None:
    ledger = ledger_of(np.array([[900, 100, 0], [500, 0, 3], [800, 50, 0]]))
    draws = CropDraws(classes=(1, 2, 5))
    pairs = draws.pair_probabilities(ledger)
    sums = np.bincount(ledger.classes, weights=pairs)
    assert np.allclose(sums, draws.class_probabilities(ledger))
    assert np.allclose(sums, [1 / 8, 2 / 8, 5 / 8])


def test_masks_with_few_pixels_of_a_class_are_not_drawn_for_it() -> None:
    ledger = ledger_of(np.array([[900, 99], [900, 100], [900, 0]]))
    pairs = CropDraws(classes="uniform", least_pixels=100).pair_probabilities(ledger)
    assert pairs.tolist() == [1 / 6, 0, 1 / 6, 1 / 2, 1 / 6]
    # With the mask first, the others of a mask stand in.
    pairs = CropDraws(classes="uniform", least_pixels=100, first="mask").pair_probabilities(ledger)
    assert np.allclose(pairs, [1 / 3, 0, 1 / 6, 1 / 6, 1 / 3])


def test_shares_count_masks_with_few_pixels_too() -> None:
    table = np.array([[900, 99], [900, 100], [900, 0]])
    some = CropDraws(temperature=0.1, least_pixels=100).class_probabilities(ledger_of(table))
    assert np.allclose(some, CropDraws(temperature=0.1).class_probabilities(ledger_of(table)))


def test_limits_of_the_temperature() -> None:
    ledger = ledger_of(np.array([[900, 90, 10, 0]]))
    hot = CropDraws(temperature=1e9).class_probabilities(ledger)
    assert np.allclose(hot, [1 / 3, 1 / 3, 1 / 3, 0])
    cold = CropDraws(temperature=1e-300).class_probabilities(ledger)
    assert cold.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("draws", "table", "said"),
    [
        (CropDraws(), [[0, 0]], "no mask has a class"),
        (CropDraws(classes=(0.0, 1.0)), [[5, 0]], "no mask has a class"),
        (CropDraws(least_pixels=6), [[9, 5], [9, 4]], "class 1 has 5 pixels in a mask at most"),
        (CropDraws(classes=(1.0,)), [[5, 1]], "1 numbers for 2 classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    draws: CropDraws, table: list[list[int]], said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        draws.class_probabilities(ledger_of(np.array(table)))


def test_a_class_of_chance_0_may_be_small() -> None:
    draws = CropDraws(classes=(1.0, 0.0), least_pixels=6)
    assert draws.class_probabilities(ledger_of(np.array([[9, 5]]))).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"classes": "rarest"}, "classes"),
        ({"classes": (0.0, 0.0)}, "classes"),
        ({"classes": (1.0, -1.0)}, "classes"),
        ({"classes": (float("nan"),)}, "classes"),
        ({"classes": (1e308, 1e308)}, "classes"),
        ({"classes": None}, "classes"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"chance": 1.01}, "chance"),
        ({"chance": True}, "chance"),
        ({"least_pixels": 0}, "least_pixels"),
        ({"least_pixels": 1.5}, "least_pixels"),
        ({"first": "pixel"}, "first"),
        ({"where": "centre"}, "draws"),
    ],
)
def test_bad_values_are_refused(given: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as caught:
        CropDraws.of(given)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    "draws",
    [
        CropDraws(),
        CropDraws(classes="uniform", chance=0.67, least_pixels=100, first="mask"),
        CropDraws(classes=(0.25, 0.75), temperature=0.5),
    ],
)
def test_said_and_read_again(draws: CropDraws) -> None:
    again = CropDraws.of(json.loads(json.dumps(draws.to_dict())))
    assert again == draws
    assert again.digest == draws.digest
    assert hash(again) == hash(draws)


def test_words() -> None:
    assert CropDraws().words() == "rare classes drawn (T = 0.01)"
    assert CropDraws(classes="uniform", chance=0.67, least_pixels=3001, first="mask").words() == (
        "classes drawn uniformly, masks first, from 3,001 pixels on, 0.67 left to chance"
    )
    assert CropDraws(classes=(1.0,)).words() == "classes by given chances"
    assert len({CropDraws(chance=chance).digest for chance in (0.0, 0.1, 0.2)}) == 3


def test_a_pixel_away_from_the_edges_is_uniformly_placed() -> None:
    starts = [crop_start(50, 100, 8, jitter) for jitter in range(8)]
    assert sorted(50 - start for start in starts) == list(range(8))


@given(st.integers(1, 30), st.integers(1, 40), st.data())
def test_a_crop_holds_its_pixel_and_stays_in_the_mask(
    size: int, side: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, size - 1))
    jitters = np.arange(side)
    starts = crop_start(np.full(side, at), np.full(side, size), side, jitters)
    assert starts.tolist() == [crop_start(at, size, side, int(jitter)) for jitter in jitters]
    for start in at_least_one(starts.tolist()):
        assert start <= at < start + side
        assert start == 0 if size <= side else 0 <= start <= size - side


def test_the_law_of_the_start() -> None:
    """P(start = t) by enumeration: moved-in crops add up at the edges."""
    size, side = 6, 4
    for at in range(size):
        law = dict.fromkeys(range(size - side + 1), Fraction(0))
        for jitter in range(side):
            law[crop_start(at, size, side, jitter)] += Fraction(1, side)
        expected = {}
        for start in law:
            low, high = at - start, at - start
            if start == 0:
                high = side - 1
            if start == size - side:
                low = 0
            expected[start] = Fraction(max(0, min(high, side - 1) - max(low, 0) + 1), side)
        assert law == expected
