"""The sampler of crops: the law it draws by, processes and epochs, and what it refuses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.crops.class_index import ClassIndex
from maskstat.crops.sampler import LONGEST_EPOCH, CropDraw, CropSampler
from maskstat.errors import ParameterError
from maskstat.values.crop_draws import CropBox, CropDraws
from maskstat.values.ledger import MaskLedger
from maskstat.weights.table import WeightTable
from tests.support.crop_cases import blob_index, blobs
from tests.support.loops import at_least_one

LAWS = [
    CropDraws(temperature=0.2),
    CropDraws(classes="uniform", first="mask"),
    CropDraws(classes=(0.0, 1.0, 2.0, 3.0), chance=0.4),
    CropDraws(classes=(1.0, 1.0, 1.0, 0.0), least_pixels=4, chance=0.1, first="mask"),
    CropDraws(chance=1.0),
]


def rows_of(ledger: MaskLedger) -> Any:
    return np.repeat(np.arange(len(ledger)), ledger.class_counts)


@pytest.mark.parametrize("draws", LAWS, ids=CropDraws.words)
def test_masks_and_classes_are_drawn_as_often_as_the_law_says(draws: CropDraws) -> None:
    index, samples = blob_index(), 60_000
    drawn = CropSampler(index, 8, draws, samples=samples, seed=1).draw(0, 0, samples)
    found = np.zeros((len(index), 5))
    np.add.at(found, (drawn.items, drawn.classes), 1)
    law = np.zeros((len(index), 5))
    law[:, -1] = draws.chance / len(index)
    if draws.chance < 1:
        ledger = index.ledger
        pairs = (1 - draws.chance) * draws.pair_probabilities(ledger)
        law[rows_of(ledger), ledger.classes] = pairs
    assert law.sum() == pytest.approx(1)
    deviation = np.sqrt(samples * law * (1 - law))
    assert (np.abs(found - samples * law) <= 5 * deviation).all()


@pytest.mark.parametrize("side", [1, 8, (12, 25), 64])
def test_a_crop_for_a_class_has_it(side: int | tuple[int, int]) -> None:
    masks, sampler = blobs(), CropSampler(blob_index(), side, "uniform", samples=500)
    classes = sampler.draw(0, 0, 500).classes
    for draw, wanted in zip(sampler, classes.tolist(), strict=True):
        mask = masks[draw.item]
        assert draw.box.mask == mask.shape
        assert (mask[draw.box.rows, draw.box.columns] == wanted).any()


def test_crops_stay_in_the_mask_and_padding_is_below_and_right() -> None:
    for draw in at_least_one(CropSampler(blob_index(), (8, 64), CropDraws(chance=0.5), samples=99)):
        box = draw.box
        assert 0 <= box.top <= box.mask[0] - 8
        assert (box.left, box.columns, box.is_padded) == (0, slice(0, box.mask[1]), True)
    assert not any(draw.box.is_padded for draw in CropSampler(blob_index(), 20, samples=99))


def test_where_the_pixel_is_in_the_crop() -> None:
    """One pixel of a class in a large mask: it is at every place of the crop as often."""
    mask = np.zeros((100, 100), np.uint8)
    mask[40, 60] = 1
    index, samples = ClassIndex.of_labels(["a"], [mask], 2), 64_000
    drawn = CropSampler(index, (4, 8), CropDraws((0.0, 1.0)), samples=samples).draw(0, 0, samples)
    places = np.bincount((40 - drawn.tops) * 8 + 60 - drawn.lefts, minlength=32)
    assert places.size == 32
    assert np.abs(places - 2000).max() < 5 * np.sqrt(2000)


def test_every_pixel_of_a_class_is_drawn_as_often() -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[3, 10:20] = 1
    mask[20, 7] = 1
    index, samples = ClassIndex.of_labels(["a"], [mask], 2), 22_000
    drawn = CropSampler(index, 1, CropDraws((0.0, 1.0)), samples=samples).draw(0, 0, samples)
    found = Counter(zip(drawn.tops.tolist(), drawn.lefts.tolist(), strict=True))
    assert set(found) == {(int(row), int(column)) for row, column in np.argwhere(mask)}
    assert max(abs(count - 2000) for count in found.values()) < 5 * np.sqrt(2000)


def test_chance_takes_every_crop_as_often() -> None:
    index, samples = ClassIndex.of_labels(["a"], [np.zeros((7, 9), int)], 1), 35_000
    drawn = CropSampler(index, 5, CropDraws(chance=1.0), samples=samples).draw(0, 0, samples)
    found = np.bincount(drawn.tops * 5 + drawn.lefts, minlength=15)
    assert found.size == 15
    assert np.abs(found - samples / 15).max() < 5 * np.sqrt(samples / 15)
    assert set(drawn.classes.tolist()) == {-1}


# --- processes and epochs -----------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 60), st.integers(0, 2**40), st.integers(0, 3))
def test_processes_together_draw_what_one_draws(
    processes: int, samples: int, seed: int, epoch: int
) -> None:
    index = blob_index()
    alone = CropSampler(index, 8, CropDraws(chance=0.3), samples=samples, seed=seed)
    shards = []
    for rank in range(processes):
        shard = CropSampler(
            *(index, 8, CropDraws(chance=0.3)),
            samples=samples,
            seed=seed,
            rank=rank,
            world_size=processes,
        )
        shard.set_epoch(epoch)
        shards.append(list(shard))
        assert len(shards[-1]) == shard.num_samples == -(-samples // processes)
    together = [draw for draws in zip(*shards, strict=True) for draw in draws]
    assert len(together) == shard.total_size
    assert together[:samples] == alone.take(epoch, 0, samples)


def test_a_draw_does_not_depend_on_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = CropSampler(blob_index(), 8, CropDraws(chance=0.3), samples=50)
    whole = list(sampler)
    monkeypatch.setattr("maskstat.crops.sampler._AT_ONCE", 7)
    sampler.set_epoch(0)
    assert list(sampler) == whole
    assert [sampler.take(0, at, 1)[0] for at in range(50)] == whole


def test_a_pass_goes_on_where_it_was_left() -> None:
    sampler = CropSampler(blob_index(), 8, samples=41, rank=1, world_size=2)
    sampler.set_epoch(3)
    whole = list(sampler)
    assert sampler.epoch == 4
    later = CropSampler(blob_index(), 8, samples=41, rank=1, world_size=2)
    later.set_epoch(3, done=16)
    assert len(later) == 21 - 16
    assert list(later) == whole[16:]
    assert (later.epoch, len(later)) == (4, 21)
    assert list(later) == list(sampler)


def test_a_look_moves_no_epoch_and_each_pass_is_another() -> None:
    sampler = CropSampler(blob_index(), 8, samples=30)
    first = next(iter(sampler))
    passes = [list(sampler) for _ in range(3)]
    assert passes[0][0] == first
    assert passes[0] != passes[1] != passes[2] != passes[0]
    other = CropSampler(blob_index(), 8, samples=30, seed=1)
    assert list(other) not in passes
    draws = iter(sampler)
    next(draws)
    sampler.set_epoch(9)  # a pass that ends after that does not move on from there
    list(draws)
    assert sampler.epoch == 9


def test_the_draws_are_the_same_on_every_machine() -> None:
    sampler = CropSampler(blob_index(), 8, CropDraws(classes="uniform", chance=0.4), samples=4)
    assert [(item, box.top, box.left) for item, box in sampler] == [
        (2, 1, 7),
        (4, 25, 22),
        (0, 29, 0),
        (5, 5, 6),
    ]


# --- items --------------------------------------------------------------------------------------


def test_items_of_another_order_are_drawn_by_their_masks() -> None:
    index, items = blob_index(), [4, 1, 1, 0]
    sampler = CropSampler(index, 8, "uniform", items=items, samples=4000)
    masks = blobs()
    drawn = sampler.draw(0, 0, 4000)
    for draw, wanted in zip(sampler, drawn.classes.tolist(), strict=True):
        mask = masks[items[draw.item]]
        assert draw.box.mask == mask.shape
        assert (mask[draw.box.rows, draw.box.columns] == wanted).any()
    # Class 2 is in mask 1 alone, which is two items; mask 4 alone has class 3.
    assert set(drawn.items[drawn.classes == 2].tolist()) == {1, 2}
    assert set(drawn.items[drawn.classes == 3].tolist()) == {0}
    assert len(CropSampler(index, 8, items=items)) == 4


def test_a_table_of_weights_is_chances() -> None:
    table = WeightTable(("a", "b", "c", "d"), np.array([0.0, 1, 0, 3]), np.ones(4, int), "x")
    sampler = CropSampler(blob_index(), 8, table)
    assert sampler.draws == CropDraws((0.0, 1.0, 0.0, 3.0))


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"crop": 0}, "crop: is a side"),
        ({"crop": (4, 1 << 17)}, "crop: is a side"),
        ({"crop": (4, 4, 4)}, "crop: is a side"),
        ({"crop": 4.0}, "crop: is a side"),
        ({"draws": "rarest"}, "classes: 'rarest' is not one of"),
        ({"draws": {"road": 1.0}}, "classes: is rare, uniform, or a number"),
        ({"draws": (1.0, 2.0)}, "2 numbers for 4 classes"),
        ({"draws": CropDraws(least_pixels=4)}, "class 3 has 3 pixels in a mask at most"),
        ({"samples": 0}, "samples: must be from 1"),
        ({"samples": LONGEST_EPOCH + 1}, "samples: must be from 1"),
        ({"seed": -1}, "seed: is a whole number"),
        ({"rank": 2, "world_size": 2}, "no rank 2 among 2"),
        ({"items": []}, "items: are positions from 0 to 5"),
        ({"items": [6]}, "items: are positions"),
        ({"items": [-1]}, "items: are positions"),
        ({"items": [0.5]}, "items: are positions"),
    ],
)
def test_bad_parameters_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        CropSampler(**{"index": blob_index(), "crop": 8, **given})


@pytest.mark.parametrize("given", [(-1, 0), (0, -1), (0, 7)])
def test_bad_epochs_are_refused(given: tuple[int, int]) -> None:
    with pytest.raises(ParameterError):
        CropSampler(blob_index(), 8).set_epoch(*given)


def test_it_says_what_it_is() -> None:
    assert repr(CropSampler(blob_index(), (8, 9))) == (
        "<CropSampler 8 × 9, rare classes drawn (T = 0.01)>"
    )
    draw = CropSampler(blob_index(), 8).take(0, 0, 1)[0]
    assert isinstance(draw, CropDraw) and isinstance(draw.box, CropBox)
