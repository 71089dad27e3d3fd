"""Labels that are counted on their device: as anywhere else, and without waiting for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import maskstat as ms
from maskstat.api import watching
from maskstat.arrays.device_labels import LOWEST, MOST_BATCHES, DeviceLabels, device_table
from maskstat.arrays.frameworks import is_tensor
from maskstat.arrays.label_batches import label_tallies, layout_of_labels
from maskstat.values.tally import NO_NUMBER
from tests.support.loops import at_least_one

torch = pytest.importorskip("torch")

HIGHEST = 255
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32"]
DTYPES += ["float64"]


def labels(dtype: str, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    values = (
        [0, 1, 2, 19] + ([] if dtype == "int8" else [255]) + ([] if dtype[0] == "u" else [-100])
    )
    found: NDArray[np.int64] = rng.choice(values, (3, 1, 7, 45))
    return torch.from_numpy(found).to(getattr(torch, dtype))


def counted_there(*batches: Any) -> list[dict[int, int]]:
    device = DeviceLabels(HIGHEST)
    for batch in batches:
        device.add(batch, layout_of_labels(batch))
    return [dict(zip(t.values.tolist(), t.counts.tolist(), strict=True)) for t in device.take()]


def counted_here(*batches: Any) -> list[dict[int, int]]:
    return [
        dict(zip(tally.values.tolist(), tally.counts.tolist(), strict=True))
        for batch in batches
        for tally in label_tallies(batch)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_are_those_of_the_processor(dtype: str) -> None:
    batch, other = labels(dtype), labels(dtype, 1)[:2, 0, :5]
    assert counted_there(batch, other, other[0]) == counted_here(batch, other, other[0])
    assert counted_there(batch.transpose(2, 3)) == counted_here(batch)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_fractions_and_what_is_no_number(dtype: str) -> None:
    odd = [0.5, float("nan"), float("inf"), -float("inf")]
    batch = torch.tensor(
        [[odd, [1, 1, 0, 3.25]], [[0, 1, 2, 255]] * 2], dtype=getattr(torch, dtype)
    )
    assert (
        counted_there(batch)
        == counted_here(batch)
        == [{NO_NUMBER: 5, 0: 1, 1: 2}, {0: 2, 1: 2, 2: 2, 255: 2}]
    )


def test_values_far_away_are_counted_as_the_farthest_of_a_mask() -> None:
    batch = torch.tensor([[[0, -1000, -2000, 300]], [[70000, 1, 2**40, LOWEST]]])
    assert counted_there(batch) == [{-2000: 2, 0: 1, 300: 1}, {LOWEST: 1, 1: 1, 2**40: 2}]


def test_nothing_waits_for_the_device() -> None:
    """On torch's "meta" device there are no values: who asks for one fails."""
    for dtype in at_least_one([torch.uint8, torch.int64, torch.float32]):
        batch = torch.zeros((2, 8, 9), dtype=dtype, device="meta")
        table, ends = device_table(batch, LOWEST, HIGHEST)
        assert (table.shape, ends.shape) == ((2, HIGHEST - LOWEST + 4), (2, 2))
        with pytest.raises(Exception, match=r"[Mm]eta"):
            torch.bincount(batch.flatten().to(torch.int64))


def test_a_watch_of_labels_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device is made believe here: counts are taken every so many batches, and when asked for."""
    monkeypatch.setattr(watching, "is_on_cuda", is_tensor)
    batches = [labels("int64", seed) for seed in range(MOST_BATCHES + 3)]
    watched = ms.watch(batches, classes=20, ignore=-100)
    for _ in watched:
        pass
    assert watched.mask_count == 3 * len(batches)
    expected = ms.count(torch.cat(batches), classes=20, ignore=[-100, 255])
    assert watched.scan().histogram == expected.histogram
    assert np.array_equal(watched.scan().ledger.dense(), expected.ledger.dense())
    assert watched.mask_count == 3 * len(batches)


def test_the_benchmark_runs() -> None:
    from benchmarks.watching import measure

    times = measure((1, 8, 12), 1, "cpu")
    assert times.step > 0
    assert times.ratio == pytest.approx(times.watching / times.step)
