"""Samplers: how often masks are drawn, on one process and on many, and how names find masks."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import FileFormatError, ParameterError
from maskstat.sampling.matching import match_names
from maskstat.sampling.table import SamplingTable
from maskstat.training.metrics import ConfidenceHistogram, ConfusionMatrix
from tests.support.paths import ROOT, SUPPORT

torch = pytest.importorskip("torch")
from torch.utils.data import (  # noqa: E402
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    Subset,
    TensorDataset,
)

from maskstat.torch.data import LONGEST_EPOCH, MaskSampler, sampler  # noqa: E402


def table_of(weights, unit: str, names=None) -> SamplingTable:
    weights = np.array(weights, np.float64)
    if unit == "probability":
        weights = weights / weights.sum()
    names = [f"city/mask_{k}.png" for k in range(weights.size)] if names is None else names
    return SamplingTable(tuple(names), weights, "some method", unit)


@st.composite
def tables(draw):
    unit = draw(st.sampled_from(["probability", "repeat factor"]))
    size = draw(st.integers(1, 12))
    if unit == "probability":
        weights = draw(
            st.lists(st.just(0.0) | st.floats(1e-6, 1), min_size=size, max_size=size).filter(any)
        )
    else:
        # Sevenths and tenths have no finite binary fraction.
        parts = st.integers(0, 30).map(lambda n: 1 + n / 7) | st.integers(0, 20).map(
            lambda n: 1 + n / 10
        )
        weights = draw(st.lists(parts, min_size=size, max_size=size))
    return table_of(weights, unit)


# --- shards -----------------------------------------------------------------------------------


@given(tables(), st.integers(1, 7), st.integers(0, 1000), st.integers(0, 3))
def test_shards_are_disjoint_and_together_one_epoch(table, processes, seed, epoch):
    shards = []
    for rank in range(processes):
        shard = sampler(table, list(table.names), seed=seed, rank=rank, world_size=processes)
        shard.set_epoch(epoch)
        shards.append(list(shard))
        assert len(shards[-1]) == len(shard) == len(shards[0])
    # Draw i of the epoch is draw i // n of process i % n: every place of the epoch is in one shard.
    together = [draw for draws in zip(*shards, strict=True) for draw in draws]
    order = shard.epoch_order(epoch)
    assert together == order.tolist()
    assert order.size == shard.total_size
    alone = sampler(table, list(table.names), seed=seed, rank=0, world_size=1)
    single = alone.epoch_order(epoch).tolist()
    assert len(single) <= len(together) < len(single) + processes
    if table.unit == "repeat factor":
        # What is added to make shards equally long comes from the same epoch.
        assert not Counter(single) - Counter(together)
    assert all(table.weights[draw] > 0 for draw in together)


@given(tables(), st.integers(0, 1000))
def test_repeats_are_the_factor_rounded_down_or_up(table, seed):
    if table.unit == "probability":
        table = table_of(table.weights + 1, "repeat factor")
    draws = sampler(table, list(table.names), seed=seed)
    assert len(draws) == int(np.ceil(round(float(table.weights.sum()), 9)))
    for epoch in range(3):
        order = draws.epoch_order(epoch)
        counts = np.bincount(order, minlength=len(table))
        down = np.floor(table.weights + 1e-9)
        # One more at most, from rounding the epoch up to a whole number.
        over = np.maximum(counts - np.ceil(table.weights - 1e-9), 0)
        assert (counts >= down).all() and over.sum() <= 1


def test_the_fraction_is_the_chance_of_one_more_repeat():
    weights = np.array([1.0, 1.25, 2.5, 1.9, 3.0, 1.35])  # an epoch is exactly 11
    draws = sampler(table_of(weights, "repeat factor"), [f"mask_{k}.png" for k in range(6)])
    epochs = 4000
    counts = np.zeros(6)
    for epoch in range(epochs):
        order = draws.epoch_order(epoch)
        assert order.size == 11
        counts += np.bincount(order, minlength=6)
    fraction = weights % 1
    deviation = np.sqrt(fraction * (1 - fraction) / epochs)
    assert (np.abs(counts / epochs - weights) <= 5 * deviation).all()


def test_probabilities_are_drawn_as_often_as_they_say():
    weights = np.array([0.0, 0.5, 0.3, 0.15, 0.05, 0.0])
    names = [f"mask_{k}.png" for k in range(6)]
    draws = sampler(table_of(weights, "probability"), names, samples=40_000)
    counts = np.bincount(list(draws), minlength=6)
    deviation = np.sqrt(40_000 * weights * (1 - weights))
    assert (np.abs(counts - 40_000 * weights) <= 5 * deviation).all()


def test_every_place_of_a_shuffled_epoch_is_as_likely():
    """A process that takes every second draw gets every mask half of the time."""
    draws = sampler(table_of(np.ones(4), "repeat factor"), [f"mask_{k}.png" for k in range(4)])
    first = np.bincount([draws.epoch_order(epoch)[0] for epoch in range(2000)], minlength=4)
    assert np.abs(first - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_each_pass_is_another_epoch_and_seeds_reproduce_them():
    table = table_of(np.linspace(1, 3, 20), "repeat factor")
    names = list(table.names)
    draws = sampler(table, names, seed=5)
    passes = [list(draws) for _ in range(3)]
    assert passes[0] != passes[1] != passes[2] != passes[0]
    again = sampler(table, names, seed=5)
    again.set_epoch(1)
    assert [list(again), list(again)] == passes[1:]
    other = sampler(table, names, seed=6)
    assert list(other) not in passes


def test_a_look_at_the_first_batch_moves_no_epoch():
    """One process that looks early would else draw another epoch than all others."""
    table = table_of(np.linspace(1, 3, 20), "repeat factor")
    shards = [sampler(table, list(table.names), rank=rank, world_size=2) for rank in range(2)]
    next(iter(DataLoader(range(20), batch_size=2, sampler=shards[0])))
    for epoch in range(2):
        passes = [list(shard) for shard in shards]
        order = shards[0].epoch_order(epoch).tolist()
        assert passes == [order[::2], order[1::2]]
    draws = iter(shards[0])
    next(draws)
    shards[0].set_epoch(7)  # a pass that ends after that does not move on from there
    list(draws)
    assert shards[0].epoch == 7


# What matters of accelerate.data_loader: each process takes every n-th batch of a whole sampler.
ACCELERATE = """
class BatchSamplerShard:
    def __init__(self, batches, rank, size):
        self.batches, self.rank, self.size = batches, rank, size

    def __iter__(self):
        for number, batch in enumerate(self.batches):
            if number % self.size == self.rank:
                yield batch
"""


def test_what_accelerate_divides_is_not_divided_already():
    from torch.utils.data import BatchSampler

    module = types.ModuleType("accelerate.data_loader")
    exec(ACCELERATE, module.__dict__)

    def seen(parts):
        shards = [
            module.BatchSamplerShard(BatchSampler(part, 3, drop_last=False), rank, 2)
            for rank, part in enumerate(parts)
        ]
        loaders = [DataLoader(range(24), batch_sampler=shard) for shard in shards]
        return torch.cat([batch for loader in loaders for batch in loader]).tolist()

    table = table_of(np.ones(24), "repeat factor")
    names = list(table.names)
    whole = [sampler(table, names, rank=0, world_size=1) for _ in range(2)]
    for _ in range(2):
        assert sorted(seen(whole)) == list(range(24))
    with pytest.raises(ParameterError, match="world_size=1"):
        seen([sampler(table, names, rank=rank, world_size=2) for rank in range(2)])


def test_the_order_is_the_same_on_every_machine():
    repeats = sampler(table_of([1, 1.5, 2.25], "repeat factor"), ["mask_0", "mask_1", "mask_2"])
    assert repeats.epoch_order(3).tolist() == [0, 2, 1, 2, 1]
    draws = sampler(table_of([1, 2, 3], "probability"), ["mask_0", "mask_1", "mask_2"], samples=6)
    assert draws.epoch_order(3).tolist() == [2, 2, 1, 1, 1, 2]


def test_two_processes_count_and_sample_as_one(tmp_path):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(5, 3, 4, 6)).astype(np.float32)
    target = generator.integers(0, 3, (5, 4, 6))
    target[generator.random(target.shape) < 0.2] = 255
    np.savez(tmp_path / "inputs.npz", scores=scores, target=target)
    table = table_of([1, 1.5, 2, 1.25, 3], "repeat factor")
    table.save(tmp_path / "sampling.csv")
    (tmp_path / "names.json").write_text(json.dumps(list(table.names)))
    worker = SUPPORT / "ddp_worker.py"
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", str(worker), str(rank), "2", str(tmp_path)],
            cwd=ROOT,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = []
    for process in running:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        said.append(json.loads(out.splitlines()[-1]))
    exact = ConfusionMatrix.of(target, scores.argmax(1), 3, ignore_index=255)
    histogram = ConfidenceHistogram.of(
        torch.from_numpy(scores).softmax(1).numpy(), target, class_axis=1, ignore_index=255
    )
    flavours = sorted(set(said[0]) & {"plain", "torchmetrics"})
    assert "plain" in flavours
    for flavour in flavours:
        for process in said:
            assert process[flavour]["counts"] == exact.counts.tolist()
            assert process[flavour]["again"] == exact.counts.tolist()
            assert process[flavour]["error"] == pytest.approx(
                histogram.expected_calibration_error(), abs=1e-6
            )
        local = [ConfusionMatrix(np.array(process[flavour]["local"])) for process in said]
        np.testing.assert_array_equal(sum(local).counts, exact.counts)
        assert local[0].counts.sum() > local[1].counts.sum()
    alone = sampler(table, list(table.names), rank=0, world_size=1)
    for epoch in range(2):
        draws = sampler(table, list(table.names), rank=0, world_size=2).epoch_order(epoch)
        for rank in range(2):
            assert said[rank]["epochs"][epoch] == draws[rank::2].tolist()
        assert not Counter(alone.epoch_order(epoch).tolist()) - Counter(draws.tolist())
    for process in said:
        assert process["first again"] == process["epochs"][0]


def _environment() -> dict[str, str]:
    import os

    root = str(ROOT)
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def test_a_data_loader_draws_with_it():
    class Masks(Dataset):
        def __init__(self, count: int):
            self.mask_paths = [Path("/data/masks/city") / f"mask_{k}.png" for k in range(count)]

        def __len__(self) -> int:
            return len(self.mask_paths)

        def __getitem__(self, index: int) -> int:
            return index

    masks = Masks(6)
    draws = sampler(table_of([1, 1, 1, 2.5, 1, 1], "repeat factor"), masks)
    assert isinstance(draws, DistributedSampler)
    loader = DataLoader(masks, batch_size=4, sampler=draws)
    seen = torch.cat(list(loader)).tolist()
    assert len(loader) == 2 and len(seen) == 8
    assert Counter(seen)[3] in (2, 3)


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["probability", "repeat factor"])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".yaml", ".txt", ".npy"])
@pytest.mark.parametrize("layout", ["full", "list"])
def test_every_file_form_samples_alike(tmp_path, unit, suffix, layout):
    table = table_of([1, 2.5, 1.5], unit)
    path = table.save(tmp_path / f"sampling{suffix}", layout)
    expected = sampler(table, list(table.names), seed=1).epoch_order(0)
    draws = sampler(path, list(table.names), seed=1)
    np.testing.assert_array_equal(draws.epoch_order(0), expected)


def test_numbers_alone_go_by_place_and_need_as_many_items(tmp_path):
    path = table_of([1, 2, 3], "repeat factor").save(tmp_path / "sampling.npy")
    unnamed = TensorDataset(torch.zeros(3))
    assert len(sampler(path, unnamed)) == 6
    with pytest.raises(ParameterError, match=r"sampling.npy: holds 3 weights without names.* 4 it"):
        sampler(path, TensorDataset(torch.zeros(4)))
    np.save(tmp_path / "odd.npy", [0.5, 3.0])
    with pytest.raises(ParameterError, match=r"odd.npy: the weights are neither probabilities"):
        sampler(tmp_path / "odd.npy", TensorDataset(torch.zeros(2)))
    with pytest.raises(FileFormatError, match=r"absent.csv: can't be read"):
        sampler(tmp_path / "absent.csv", unnamed)


# --- names ------------------------------------------------------------------------------------


MASKS = ("park/7.png", "street/7.png", "street/8.png", "notes.v1.png")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("park/7.png", 0),
        ("/data/images/park/7.jpg", 0),
        ("/data/images/street/7.jpg", 1),
        ("street/7", 1),
        ("8", 2),
        ("8.jpeg", 2),
        ("elsewhere/8.jpg", 2),
        (Path("/data/masks/street/8.png"), 2),
        ("notes.v1.jpg", 3),
        ("notes.v1", 3),
    ],
)
def test_a_name_finds_its_mask(name, row):
    assert match_names([name], MASKS).tolist() == [row]


def test_the_same_suffix_decides_between_equals():
    masks = ("a/7.png", "a/7.tif")
    assert match_names(["/data/a/7.tif"], masks).tolist() == [1]
    with pytest.raises(
        ParameterError, match=r"1 of 1 name in the data set fit several masks: 7\.jpg"
    ):
        match_names(["7.jpg"], masks)


@given(st.permutations(range(len(MASKS))), st.sampled_from(["", "/data/x/", "images/"]))
def test_matching_goes_item_by_item(order, folder):
    names = [folder + MASKS[k].replace(".png", ".jpg") for k in order]
    assert match_names(names, MASKS).tolist() == list(order)
    assert match_names(names + names, MASKS).tolist() == list(order) * 2


def test_names_that_do_not_match_are_listed():
    table = table_of([1, 1, 1], "repeat factor")
    with pytest.raises(ParameterError) as raised:
        sampler(table, ["mask_0.png", "a.png", "b.png", "c\x1b.png", "d.png"])
    assert str(raised.value).startswith(
        r"4 of 5 names in the data set fit no mask: a.png, b.png, c\x1b.png ...; give key="
    )
    with pytest.raises(ParameterError, match=r"both x/mask_0.png and y/mask_0.png fit the mask"):
        sampler(table, ["x/mask_0.png", "y/mask_0.png"])


def test_a_key_leads_from_images_to_masks():
    table = table_of([1, 2, 3], "repeat factor", [f"aachen_{k}_labelIds.png" for k in range(3)])
    images = [f"/data/aachen_{k}_leftImg8bit.png" for k in (2, 0, 1)]
    with pytest.raises(ParameterError, match="fit no mask"):
        sampler(table, images)
    draws = sampler(table, images, key=lambda name: name.replace("leftImg8bit", "labelIds"))
    assert np.bincount(draws.epoch_order(0)).tolist() == [3, 1, 2]


def test_subsets_and_sums_of_data_sets_know_their_names():
    class Images(Dataset):
        def __init__(self, numbers):
            self.images = [f"/data/{k}.jpg" for k in numbers]

        def __len__(self):
            return len(self.images)

    table = table_of([1, 2, 3, 4], "repeat factor", [f"{k}.png" for k in range(4)])
    both = ConcatDataset([Images([3, 0]), Subset(Images([0, 1, 2]), [2])])
    draws = sampler(table, both)
    assert np.bincount(draws.epoch_order(0)).tolist() == [4, 1, 3]
    with pytest.raises(ParameterError, match="does not list names"):
        sampler(table, ConcatDataset([Images([0]), TensorDataset(torch.zeros(1))]))
    named = sampler(table, TensorDataset(torch.zeros(2)), names=["1.png", Path("2.png")])
    assert np.bincount(named.epoch_order(0)).tolist() == [2, 3]
    with pytest.raises(ParameterError, match="1 names for 2 items"):
        sampler(table, TensorDataset(torch.zeros(2)), names=["1.png"])


def test_lists_that_are_no_names_are_not_taken_for_them():
    class Odd(Dataset):
        masks = (torch.zeros(1), torch.zeros(1))
        names = ("road", "car", "tree")  # of classes
        paths = ("/data/0.png", "/data/1.png")

        def __len__(self):
            return 2

    table = table_of([1, 2], "repeat factor", ["1.png", "0.png"])
    assert np.bincount(sampler(table, Odd()).epoch_order(0)).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("weights", "unit", "options", "said"),
    [
        ([1, 1], "repeat factor", {"rank": 0}, "go together"),
        ([1, 1], "repeat factor", {"rank": 2, "world_size": 2}, "no rank 2 among 2"),
        ([1, 1], "repeat factor", {"seed": -1}, "seed"),
        ([1, 1], "repeat factor", {"samples": 5}, "goes with probabilities"),
        ([0.5, 1], "repeat factor", {}, "at least 1"),
        ([1, 1e300], "repeat factor", {}, "more than"),
        ([LONGEST_EPOCH, 1], "repeat factor", {}, "more than"),
        ([1, 1], "probability", {"samples": 0}, "samples must be from 1"),
        ([1, 1], "probability", {"samples": 10**12}, "samples must be from 1"),
    ],
)
def test_what_makes_no_sense_is_refused(weights, unit, options, said):
    with pytest.raises(ParameterError, match=said):
        sampler(table_of(weights, unit), ["mask_0", "mask_1"], **options)


def test_weights_of_nothing_but_zero_are_refused():
    table = table_of([0, 0, 1], "probability")
    with pytest.raises(ParameterError, match="every item of the data set has the weight 0"):
        sampler(table, ["mask_0", "mask_1"])
    with pytest.raises(ParameterError, match="empty"):
        sampler(table, [])
    assert isinstance(sampler(table, ["mask_1", "mask_2"]), MaskSampler)
    assert set(sampler(table, ["mask_1", "mask_2"], samples=50)) == {1}
