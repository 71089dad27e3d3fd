"""Equal cost on crops: PyTorch's own loss on batches of real crops, and the stated errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import maskstat
from maskstat.errors import WeightError
from maskstat.exposure.counts import ExposureCounts
from maskstat.weights import equal_cost
from maskstat.weights.batches import BatchDrawer, Batching, MaskRows
from maskstat.weights.equal_cost import InfeasibleEqualCost
from tests.support.equal_cost_cases import CAMVID_NAMES, ledger_of
from tests.support.paths import CAMVID

NAMES = ["road", "car", "bicycle", "sky"]
SIDE, CROP = 40, 12
BATCHING = Batching(crops=24, replicates=4)


def street(number: int) -> NDArray[np.uint8]:
    """A mask with large regions, a small one that is in some masks only, and void."""
    generator = np.random.default_rng(number)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: generator.integers(8, 20)] = 3
    for label, chance, side in ((1, 0.9, 14), (2, 0.6, 9), (255, 0.5, 8)):
        if generator.random() < chance:
            top, left = generator.integers(0, SIDE - side, 2)
            mask[top : top + side, left : left + generator.integers(3, side)] = label
    return mask


def scan_of(folder: Path, masks: int) -> maskstat.Scan:
    """A scan of so many streets."""
    folder.mkdir()
    for number in range(masks):
        Image.fromarray(street(number)).save(folder / f"{number:03}.png")
    return maskstat.scan(folder, classes=NAMES)


def loss_of_a_loader(
    masks: int, batch_size: int, weights: dict[str, NDArray[np.float64]], epochs: int
):
    """By weights float64[epochs, K]: what the constant answers cost in batches of a DataLoader.

    A wrong pixel costs 1: logits are 0 and -1 / wrong, in the limit.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

    class Crops(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return masks

        def __getitem__(self, number: int):
            top, left = torch.randint(SIDE - CROP + 1, (2,)).tolist()
            return torch.from_numpy(
                streets[number][top : top + CROP, left : left + CROP].astype(np.int64)
            )

    streets = [street(number) for number in range(masks)]
    torch.manual_seed(7)
    loader = torch.utils.data.DataLoader(Crops(), batch_size, shuffle=True)
    wrong = 40.0
    answers = torch.full((4, 4), -wrong, dtype=torch.float64).fill_diagonal_(0.0)
    losses = {
        name: torch.nn.CrossEntropyLoss(torch.tensor(table), ignore_index=255)
        for name, table in weights.items()
    }
    costs: dict[str, list[NDArray[np.float64]]] = {name: [] for name in weights}
    for _ in range(epochs):
        epoch: dict[str, list[list[float]]] = {name: [] for name in weights}
        for labels in loader:
            flat = labels.ravel()
            for name, loss in losses.items():
                epoch[name].append(
                    [float(loss(row.expand(len(flat), 4), flat)) / wrong for row in answers]
                )
        for name, rows in epoch.items():
            costs[name].append(np.nanmean(rows, axis=0))
    return {name: np.array(rows) for name, rows in costs.items()}


@pytest.mark.parametrize(("masks", "batch_size"), [(24, 16), (30, 4)])
def test_pytorch_s_default_loader_of_crops_sees_equal_costs(
    tmp_path: Path, masks: int, batch_size: int
) -> None:
    with scan_of(tmp_path / "masks", masks) as scan:
        seen = scan.exposure({"crop": CROP, "batch_size": batch_size}, crops=96)
        table = seen.weights(average="batch")
        assert table.parameters["batch_size"] == batch_size
        solution = table.solution
        assert solution is not None
        assert solution.crops == 96
        assert solution.last_batch == masks % batch_size
        folder = scan.weights(average="batch", batch_size=batch_size)
    epochs = 400
    costs = loss_of_a_loader(
        masks, batch_size, {"crops": table.weights, "folder": folder.weights}, epochs
    )
    error = costs["crops"].std(axis=0, ddof=1) / np.sqrt(epochs)
    # An error of a weight moves its class's share by less than that, relatively.
    allowed = 4 * error + 2 * solution.standard_errors.max() / 4
    distance = {name: np.abs(rows.mean(axis=0) - 3 / 4) for name, rows in costs.items()}
    assert (distance["crops"] < allowed).all()
    assert (distance["folder"] > allowed).any()
    assert distance["folder"].max() > 3 * distance["crops"].max()


def crops_of(masks: int, crops: int, seed: int) -> NDArray[np.int64]:
    """int64[masks * crops, 4]: a mask's crops are alike, and in four lots like each other."""
    generator = np.random.default_rng(seed)
    of_mask = np.random.default_rng(5).gamma(1.0, 100.0, (masks, 1, 4))
    lots = generator.gamma(4.0, 0.25, (masks, 4, 4))[:, np.arange(crops) % 4]
    return np.rint(of_mask * lots * [1000, 300, 60, 30]).astype(np.int64).reshape(-1, 4)


@pytest.mark.parametrize("size", [1, 6])
def test_the_stated_error_is_the_scatter_between_samples_of_crops(size: int) -> None:
    logs, errors = [], []
    for seed in range(40):
        solved = equal_cost.weight_normalised(
            ledger_of(crops_of(50, 24, seed)), size, batching=BATCHING, seed=seed
        )
        logs.append(np.log(solved.weights))
        errors.append(solved.standard_errors)
    assert solved.crops == 24
    assert solved.sampled is (size > 1)
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.std(logs, axis=0, ddof=1)
    assert (ratio > 0.7).all()
    assert (ratio < 1.5).all()


def test_replicates_weighed_by_themselves_say_the_same() -> None:
    table = crops_of(200, 24, 1)
    whole = equal_cost.weight_normalised(ledger_of(table), batching=BATCHING)
    turn = np.arange(len(table)) % 24 % 4
    parts = np.log(
        [equal_cost.weight_normalised(ledger_of(table[turn == part])).weights for part in range(4)]
    )
    np.testing.assert_allclose(whole.crop_errors, parts.std(axis=0, ddof=1) / 2, rtol=0.1)
    np.testing.assert_array_equal(whole.standard_errors, whole.crop_errors)
    needed = whole.crops_needed
    assert needed is not None
    assert 0.005 < whole.crop_errors.max() * 24 / needed <= 0.01


def test_an_epoch_takes_one_crop_of_each_mask_and_goes_through_them_in_turns() -> None:
    masks, crops = 5, 8
    rows = MaskRows.of(
        ledger_of(np.eye(masks * crops, dtype=np.int64)), Batching(crops=crops, replicates=4)
    )
    batches = BatchDrawer(rows, 2, 0).draw(3 * crops)
    members = [row.nonzero()[0] for row in batches.mixture.toarray()]
    epochs = [np.concatenate(members[at : at + 3]) for at in range(0, 3 * crops, 3)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch // crops) == list(range(masks))
        assert (epoch % crops % 4 == number % 4).all()
        assert (np.asarray(batches.replicates)[3 * number : 3 * number + 3] == number % 4).all()
    assert sorted(np.concatenate(epochs)) == list(range(masks * crops))


def test_processes_share_an_epoch() -> None:
    rows = MaskRows.of(ledger_of(np.eye(30, dtype=np.int64)), Batching(processes=4))
    assert rows.epoch == 8
    batches = BatchDrawer(rows, 5, 0).draw(4)
    assert sorted((batches.mixture.toarray() > 0).sum(axis=1)) == [3, 3, 5, 5]


def test_a_sampler_weighs_masks_as_a_scan_that_has_them_so_often() -> None:
    """Batches of one: draws 2, 1, 0 and 1 are as masks twice, once, never and once."""
    table = crops_of(4, 3, 1)
    draws = np.array([2.0, 1.0, 0.0, 1.0])
    drawn = equal_cost.weight_normalised(
        ledger_of(table), batching=Batching(crops=3, replicates=3, draws=draws)
    )
    often = table.reshape(4, 3, 4)[[0, 0, 1, 3]].reshape(-1, 4)
    plain = equal_cost.weight_normalised(ledger_of(often), batching=Batching(crops=3, replicates=3))
    np.testing.assert_allclose(drawn.weights, plain.weights, rtol=1e-9)
    np.testing.assert_allclose(drawn.standard_errors, plain.standard_errors, rtol=1e-6)
    assert drawn.linear_ratio == pytest.approx(plain.linear_ratio)


def test_a_sampler_s_batches_agree_with_independent_draws() -> None:
    table, draws = crops_of(12, 8, 2), np.linspace(0.2, 3.0, 12)
    solved = equal_cost.weight_normalised(
        ledger_of(table), 4, batching=Batching(crops=8, replicates=4, draws=draws), stability=0.005
    )
    generator = np.random.default_rng(0)
    chances = np.repeat(draws / draws.sum() / 8, 8)
    batches = table[generator.choice(96, (40_000, 4), p=chances)].sum(axis=1)
    held = batches * solved.weights
    shares = (held / held.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(shares, 1 / 4, rtol=0.01)


def test_crops_that_are_repeated_for_a_sampler_are_right_to_the_rounding(tmp_path: Path) -> None:
    with scan_of(tmp_path / "masks", 6) as scan:
        counts: ExposureCounts = scan.exposure({"crop": CROP}, crops=5).counts
    draws = dict(zip(counts.names, (1, 2, 0, 0.3, 5, 1), strict=True))
    drawn = counts.drawn(draws)
    times = np.bincount(
        [counts.crops.names.index(name) for name in drawn.ledger.names], minlength=30
    )
    wanted = np.repeat(np.array(list(draws.values())) / sum(draws.values()) * 6, 5)
    assert times.sum() == 30
    assert (np.abs(times - wanted) < 1).all()
    assert np.abs(np.cumsum(times) - np.cumsum(wanted)).max() <= 0.5 + 1e-9


def test_a_class_that_no_sampled_crop_has_is_not_given_the_weight_0(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(4):
        mask = np.ones((64, 64), np.uint8)
        mask[:32] = 0
        mask[63, 63] = 2 if number == 0 else 1
        Image.fromarray(mask).save(folder / f"{number}.png")
    with maskstat.scan(folder, classes=["sky", "road", "bicycle"]) as scan:
        seen = scan.exposure({"crop": 4}, crops=4)
        assert seen.histogram.present.all()
        with pytest.raises(WeightError, match=r"bicycle: in no sampled crop \(crops=4\)"):
            seen.weights(average="batch", batch_size=2)


def test_one_crop_of_each_mask_does_not_say_how_sure_it_is(tmp_path: Path) -> None:
    with scan_of(tmp_path / "masks", 30) as scan:
        for crops in (1, 2):
            seen = scan.exposure({"crop": CROP}, crops=crops)
            solution = seen.weights(average="batch", batch_size=4).solution
            assert solution is not None
            assert solution.crops == crops
            assert not solution.is_stable
            assert solution.crops_needed is not None
            assert (solution.crops_needed == 24) is (crops == 1)
            costs = seen.costs([1, 2, 3, 1], average="batch", batch_size=4)
            np.testing.assert_allclose(
                costs.plain.pixel_accuracy, seen.histogram.frequency, rtol=1e-12
            )


@pytest.fixture(scope="module")
def camvid_scan():
    if not CAMVID.is_dir():
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/masks")
    with maskstat.scan(CAMVID / "train" / "masks", classes=list(CAMVID_NAMES), ignore=[11]) as scan:
        yield scan


def test_camvid_in_crops_of_128(camvid_scan: maskstat.Scan) -> None:
    seen = camvid_scan.exposure({"crop": 128})
    alone = seen.weights(average="batch", batch_size=1).solution
    assert alone is not None
    assert alone.weight_ratio == pytest.approx(1830, rel=0.1)
    assert not alone.sampled
    assert 0.02 < alone.standard_errors.max() < 0.2
    table = seen.weights(average="batch", batch_size=8)
    solution = table.solution
    assert solution is not None
    assert solution.relative_spread < 1e-9
    costs = {}
    for name, weights in (
        ("folder", camvid_scan.weights(average="batch", batch_size=8)),
        ("pixels", camvid_scan.weights()),
        ("crops", table),
    ):
        shares = seen.costs(weights, average="batch", batch_size=8).weighted.shares
        costs[name] = (float(1 - shares.max()), float(1 - shares.min()))
    assert costs["folder"] == pytest.approx((0.888, 0.930), abs=0.005)
    assert costs["pixels"] == pytest.approx((0.887, 0.930), abs=0.005)
    assert costs["crops"] == pytest.approx((10 / 11, 10 / 11), abs=0.003)


@pytest.mark.parametrize(("side", "smallest"), [(96, 2), (64, 3), (48, 4)])
def test_small_crops_need_batches(camvid_scan: maskstat.Scan, side: int, smallest: int) -> None:
    seen = camvid_scan.exposure({"crop": side})
    with pytest.raises(InfeasibleEqualCost, match=r"Bicyclist is in [0-9,]+ of [0-9,]+ crops") as e:
        seen.weights(average="batch", batch_size=1)
    assert e.value.smallest_batch_size == smallest
